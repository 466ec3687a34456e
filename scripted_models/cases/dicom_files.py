"""DICOM files in a folder: recognized, not read."""

import os
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.images.volume_files import volume_extension
from scripted_models.runtime.plain_files import open_file

_TRIED = 3  # files of a folder
_NAMES = (".dcm", ".ima", "dicomdir")
_FIRST_GROUPS = (b"\x02\x00\x00\x00", b"\x08\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00")
CONVERT = (
    "convert each series, for example with dcm2niix, or load them in 3D Slicer (DICOM module) and "
    "save the volumes as .nii.gz"
)


def dicom_folders(folder: Path) -> dict[Path, Path]:
    """Return the folders that hold DICOM files, each with one of them."""
    found: dict[Path, Path] = {}
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        unknown = [
            Path(parent) / name
            for name in sorted(names)
            if not name.startswith(".") and not volume_extension(Path(name))
        ]
        unknown.sort(key=lambda path: not path.name.lower().endswith(_NAMES))
        for path in unknown[:_TRIED]:
            if is_dicom(path):
                found[Path(parent)] = path
                break
    return found


def is_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM, with its preamble or without (ACR-NEMA)."""
    try:
        with open_file(path) as stream:
            head = stream.read(132)
    except OSError:
        return False
    return head[128:] == b"DICM" or head.startswith(_FIRST_GROUPS)


def refuse_dicom(folder: Path) -> None:
    """Raise InputError where a folder without volumes holds DICOM files."""
    found = dicom_folders(folder)
    if found:
        first = next(iter(found.values()))
        raise InputError(
            found=f"DICOM files (such as {first}) in {len(found)} folder(s)",
            expected="volumes, a file for each sequence",
            action=CONVERT,
            path=folder,
        )
