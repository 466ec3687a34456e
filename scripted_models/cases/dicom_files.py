"""DICOM files in a folder: recognized, not read. They need pydicom, see `cases.dicom`."""

import importlib.util
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from scripted_models.cases.folder_walk import files_below
from scripted_models.errors import InputError
from scripted_models.images.volume_files import volume_extension
from scripted_models.runtime.plain_files import open_file

_TRIED = 3  # files of a folder
_NAMES = (".dcm", ".ima", "dicomdir")
_FIRST_GROUPS = (b"\x02\x00\x00\x00", b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00")
CONVERT = (
    "install pydicom with pip install 'scripted-models[dicom]', or convert each series, for "
    "example with dcm2niix, or save the volumes as .nii.gz in 3D Slicer"
)
ALONE = "give their folder alone to have them read"


def dicom_folders(folder: Path) -> dict[Path, Path]:
    """Return the folders that hold DICOM files, each with one of them."""
    unknown: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in files_below(folder):
        if not volume_extension(path):
            unknown[path.parent].append(path)
    found: dict[Path, Path] = {}
    for parent, paths in unknown.items():
        paths.sort(key=lambda path: not path.name.lower().endswith(_NAMES))
        if first := next(filter(is_dicom, paths[:_TRIED]), None):
            found[parent] = first
    return found


def is_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM, with its preamble or without (ACR-NEMA)."""
    try:
        with open_file(path) as stream:
            head = stream.read(132)
    except OSError:
        return False
    return head[128:] == b"DICM" or head.startswith(_FIRST_GROUPS)


def has_pydicom() -> bool:
    """Tell whether the package that reads attributes is installed."""
    return importlib.util.find_spec("pydicom") is not None


def refuse_dicom(folder: Path, paths: Sequence[Path]) -> NoReturn:
    """Raise InputError about DICOM files that cannot be read without pydicom.

    Args:
        folder: that was searched.
        paths: DICOM files in it.
    """
    raise InputError(
        found=f"{len(paths)} DICOM file(s) (such as {paths[0]}), and no pydicom to read them",
        expected="pydicom, or volumes, a file for each sequence",
        action=CONVERT,
        path=folder,
    )
