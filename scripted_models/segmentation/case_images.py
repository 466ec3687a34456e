"""The images of a case: read onto one grid, and looked at before anything is computed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.bundle.missing_sequences import missing_finding
from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.errors import InputError
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.checks import (
    STOP,
    Examined,
    Finding,
    grid_findings,
    voxel_findings,
)
from scripted_models.images.header_findings import header_findings
from scripted_models.images.headers import header_doubts, volume_extension
from scripted_models.images.voxel_facts import look_at
from scripted_models.sequences import SEQUENCES


def read_on_one_grid(case: Case, one_of: Sequence[str] = ()) -> dict[str, sitk.Image]:
    """Read the images of a case and make sure that they lie on one grid.

    Grids that rounding has moved by at most `HARMLESS_MM` become that of the first image.

    Args:
        case: with the sequences that `Case.require_images` asks for.
        one_of: as for `Case.require_images`.

    Returns:
        Sequence -> image, in the order of `SEQUENCES`.

    Raises:
        InputError: as `Case.require_images`, or grids that differ.
    """
    return on_one_grid(case, read_images(case, one_of))


def read_images(case: Case, one_of: Sequence[str] = ()) -> dict[str, sitk.Image]:
    """Read the images of a case, whatever their grids.

    Args:
        case: with the sequences that `Case.require_images` asks for.
        one_of: as for `Case.require_images`.

    Returns:
        Sequence -> image, in the order of `SEQUENCES`.

    Raises:
        InputError: as `Case.require_images`, or an image that cannot be read.
    """
    case.require_images(one_of)
    return {m: _read(case, m, one_of) for m in SEQUENCES if m in case.images}


def on_one_grid(case: Case, images: dict[str, sitk.Image]) -> dict[str, sitk.Image]:
    """Return the images of a case on one grid, see `read_on_one_grid`.

    Raises:
        InputError: grids that differ.
    """
    first = next(iter(images))
    reference = Grid.of(images[first])
    for sequence, image in images.items():
        if difference := Grid.of(image).difference(reference, HARMLESS_MM):
            raise InputError(
                path=case.images[sequence].path,
                found=f"another grid than in {case.images[first].title}: {difference}"
                + _cause([case.images[sequence].path, case.images[first].path]),
                expected="co-registered volumes",
                action="resample them onto one grid first",
            )
        reference.put_on(image)
    return images


def findings_of(
    case: Case,
    volumes: Mapping[str, np.ndarray],
    grid: Grid,
    model: Model,
    as_in_files: bool = True,
) -> list[Finding]:
    """Look at the volumes of a case before a model sees them.

    Args:
        case: where they come from.
        volumes: sequence -> (z, y, x).
        grid: of all volumes.
        model: that will segment them.
        as_in_files: False where the volumes were moved since, so that grids of files say nothing.

    Raises:
        InputError: a volume that the model uses is of no use.
    """
    examined = {m: Examined(m, look_at(volume), grid) for m, volume in volumes.items()}
    found = voxel_findings(examined, prepared=not as_in_files)
    found += grid_findings(examined, model.space, next(iter(examined)))
    used = model.description.sequences
    for finding in found:
        if finding.severity == STOP and finding.slots[0] in used:
            slot = finding.slots[0]
            way_out = _way_out(case, slot, model.description.needs_one_of)
            stop = replace(finding, action=finding.action + way_out)
            raise InputError.of(stop, case.images[slot].path)
    files = {m: source.path for m, source in case.images.items() if not source.series}
    series = {m: s.series.grid for m, s in case.images.items() if s.series}
    found += header_findings(files, grid if as_in_files else None, series)
    cost = missing_finding(model.description, examined)
    return [*found, cost] if cost else found


def _read(case: Case, sequence: str, one_of: Sequence[str]) -> sitk.Image:
    try:
        return case.images[sequence].read()
    except InputError as error:
        action = error.action + _way_out(case, sequence, one_of)
        raise InputError.of(replace(error.problem, action=action)) from error


def _cause(paths: Sequence[Path]) -> str:
    """Say what the headers leave open of volumes that should lie on one grid."""
    files = [path for path in paths if volume_extension(path)]  # not those of a DICOM series
    said = [f"{path.name} has {d.found}" for path in files for d in header_doubts(path)]
    return "".join(f", {words}" for words in said)


def _way_out(case: Case, sequence: str, one_of: Sequence[str]) -> str:
    """Say that a sequence of no use can be left out, where the model can do without it."""
    rest = set(case.images) - {sequence}
    if not rest & set(one_of):
        return ""
    return f", or leave {sequence} out (of a case folder with --without {sequence})"
