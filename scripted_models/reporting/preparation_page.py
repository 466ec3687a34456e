"""The page to check a preparation: a picture of every registration and of the brain mask."""

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripted_models.errors import InputError
from scripted_models.pictures.render import png_bytes
from scripted_models.preparation.image_preparation import Prepared
from scripted_models.preparation.prepared_files import (
    FACTS,
    facts_of,
    picture_of,
    prepared_names,
    write_prepared,
)
from scripted_models.reporting.case_report import Picture
from scripted_models.reporting.rendering import render
from scripted_models.runtime.atomic_files import BEGUN, put_in_place, write_file
from scripted_models.runtime.structured_text import read_json
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.sequences import TITLES

HOW_TO_READ = (
    "The yellow line is the border of the brain mask; it should follow the brain everywhere. In "
    "pictures of two sequences the squares are of both by turns; outlines should go on across "
    "their borders. Do not use the volumes where they do not."
)


PAGE = "check.html"


def write_preparation(
    output: Path,
    name: str,
    prepared: Prepared,
    inputs: CaseInputs,
    warnings: Sequence[str] = (),
) -> Path:
    """Write the folder of a prepared case: its volumes and transforms, and the page to check them.

    Args:
        output: folder that receives the folder of the case.
        name: of the case.
        prepared: its volumes.
        inputs: files that they are of.
        warnings: sentences for the page.

    Returns:
        The page.

    Raises:
        InputError: the folder holds something else than a former preparation of these inputs.
        ResourceError: the folder cannot be written.
    """
    target = Path(output) / name
    refuse_other_files(target, inputs)
    facts = {"inputs": inputs.paths, "inputs_sha256": inputs.contents}
    with tempfile.TemporaryDirectory(prefix=BEGUN, dir=output) as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        write_prepared(folder, prepared, facts)
        write_file(folder / PAGE, preparation_page(prepared, name, warnings))
        if target.exists():
            stale = [target / n for n in prepared_names() if not (folder / n).exists()]
            put_in_place(folder, target, stale)
        else:
            folder.rename(target)
    return target / PAGE


def refuse_other_files(target: Path, inputs: CaseInputs) -> None:
    """Refuse a folder that holds something else than a former preparation of these inputs.

    Args:
        target: folder of the case.
        inputs: files of the case.

    Raises:
        InputError: it does.
    """
    if not target.exists() or not (found := sorted(path.name for path in target.iterdir())):
        return
    try:
        former = read_json(target / FACTS)
    except (OSError, ValueError, RecursionError):
        former = None
    if not isinstance(former, dict) or not inputs.shares_file_with(former):
        raise InputError(
            found=f"other files ({', '.join(found[:3])})",
            expected="a folder for the prepared volumes, empty or with former ones of this case",
            action="choose another --output, or move this folder away",
            path=target,
        )


def preparation_page(prepared: Prepared, name: str, warnings: Sequence[str] = ()) -> str:
    """Return the page about one case as HTML.

    Args:
        prepared: its volumes.
        name: of the case.
        warnings: sentences for the reader.
    """
    known = facts_of(prepared)
    names = ("reference", "brain_extraction", "brain_ml", "seconds")
    return render(
        "preparation_page.html.j2",
        title=f"{name}: check of the preparation",
        how_to_read=HOW_TO_READ,
        picture=_picture(picture_of(prepared)),
        warnings=list(warnings),
        reference=TITLES[prepared.reference],
        lines=_lines(prepared),
        facts={fact: known[fact] for fact in names},
    )


def _picture(picture: np.ndarray) -> Picture:
    source = "data:image/png;base64," + base64.b64encode(png_bytes(picture)).decode("ascii")
    return Picture(source, "Patient right is image left. All lie on the grid of the reference.")


def _lines(prepared: Prepared) -> list[list[str]]:
    """Return titles and a row for each sequence that was registered."""
    titles = ["Sequence", "Moved (mm)", "Turned (degrees)", "Overlap of brains", "Information"]
    rows = [titles]
    for sequence, found in prepared.registrations.items():
        before, after = found.start_overlap, found.overlap
        overlap = "" if before is None or after is None else f"{before:.3f} → {after:.3f}"
        rows.append(
            [
                TITLES[sequence],
                f"{found.moved_mm:.1f}",
                f"{found.degrees:.1f}",
                overlap,
                f"{found.start_information:.3f} → {found.information:.3f}",
            ]
        )
    return rows
