"""The description of a derivative data set: whose the folder is, and of which data."""

import json
import os
from pathlib import Path
from typing import Any

from scripted_models import __version__
from scripted_models.cases.bids.data_set import DESCRIPTION, read_description
from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import make_folder, write_file

PROGRAM = "braintumorseg"  # the folder of a derivative has it in its name
RAW = "raw"  # name of the source in BIDS URIs
_VERSION = "1.11.1"
_README = "README.md"
_README_TEXT = """# Brain tumor segmentations

Made by BrainTumorSeg. Each `sub-*/[ses-*/]anat` holds:

- `*_seg-glioma_dseg.nii.gz`: the labels. The `.tsv` beside it names them, the `.json` holds the
  model, the warnings and all measurements (key `Report`).
- `*_seg-glioma_probseg.nii.gz`: where it was asked for, the probability of each label.
- `*_seg-lesions_dseg.nii.gz`: connected lesions by number. The `.tsv` beside it has their sizes.

`docs/pictures` shows each result and, of raw scans, how they were prepared. No result is a
diagnosis: look at each before you use it.
"""


def check_output(output: Path, source: Path) -> None:
    """Ask whether a folder can be the derivative of a data set.

    Args:
        output: folder of the derivative, there or not.
        source: root of the raw data set.

    Raises:
        InputError: it is another program's or of other data, or cannot be named so.
    """
    known = read_description(output)
    if known:
        _refuse_strange(output, known)
        _refuse_other_source(output, known, source)
    elif (output / DESCRIPTION).exists() or _visible(output):
        raise InputError(
            found=f"files and no {DESCRIPTION} that can be read",
            expected="a derivative of this program, or an empty or new folder",
            action=f"choose another --output, such as {source / 'derivatives' / PROGRAM}",
            path=output,
        )
    inside = source.resolve() in output.resolve().parents
    if inside and PROGRAM not in output.name:
        raise InputError(
            found=f"a folder named '{output.name}' in the data set",
            expected=f"'{PROGRAM}' in its name, as BIDS asks of derivatives",
            action=f"choose {source / 'derivatives' / PROGRAM}, or a folder elsewhere",
            path=output,
        )


def write_description(output: Path, source: Path) -> None:
    """Write what a derivative data set needs at its root; what a user has added stays.

    Raises:
        ResourceError: the folder cannot be written.
    """
    make_folder(output)
    known = read_description(output)
    told = {**_description(output, source), **known, "GeneratedBy": _generated_by()}
    if told != known:
        write_file(output / DESCRIPTION, json.dumps(told, indent=2) + "\n")
    if not any(
        (output / name).exists() for name in (_README, "README", "README.txt", "README.rst")
    ):
        write_file(output / _README, _README_TEXT)


def _refuse_strange(output: Path, known: dict[str, Any]) -> None:
    makers = known.get("GeneratedBy")
    first = makers[0] if isinstance(makers, list) and makers else {}
    name = first.get("Name") if isinstance(first, dict) else None
    if name != PROGRAM:
        whose = f"made by '{name}'" if name else f"named '{known.get('Name', '')}'"
        raise InputError(
            found=f"a data set that this program did not make ({whose})",
            expected="a derivative of this program, or a new folder",
            action="choose another --output, it stays as it is",
            path=output / DESCRIPTION,
        )


def _refuse_other_source(output: Path, known: dict[str, Any], source: Path) -> None:
    """Refuse the derivative of another data set that is still where it was."""
    links = known.get("DatasetLinks")
    link = links.get(RAW) if isinstance(links, dict) else None
    if not isinstance(link, str) or "://" in link:
        return
    place = (output / link).resolve()
    if place != source.resolve() and (place / DESCRIPTION).is_file():
        raise InputError(
            found=f"the derivative of another data set ({place})",
            expected=f"one of {source}, or a new folder",
            action="choose another --output",
            path=output / DESCRIPTION,
        )


def _visible(folder: Path) -> bool:
    return folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())


def _description(output: Path, source: Path) -> dict[str, Any]:
    of_source = read_description(source)
    name = str(of_source.get("Name") or source.name)
    link = _link(output, source)
    doi = of_source.get("DatasetDOI")
    return {
        "Name": f"Brain tumor segmentations of {name}",
        "BIDSVersion": _VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": _generated_by(),
        "SourceDatasets": [{"URL": link, **({"DOI": doi} if doi else {})}],
        "DatasetLinks": {RAW: link},
    }


def _generated_by() -> list[dict[str, str]]:
    text = "segments gliomas: necrosis, edema, non-enhancing and enhancing tumor"
    return [{"Name": PROGRAM, "Version": __version__, "Description": text}]


def _link(output: Path, source: Path) -> str:
    """Return where the source lies, from the derivative."""
    try:
        return Path(os.path.relpath(source.resolve(), output.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        return source.resolve().as_uri()
