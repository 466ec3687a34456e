"""The one place where the header of a volume file is judged, whatever its format.

Hand-written because ITK believes any header; here each is compared with what can be true. What a
header leaves open is decided here too, and said in a doubt.
"""

import os
from pathlib import Path

from scripted_models.errors import InputError, Problem
from scripted_models.images.integrity import check_is_file, check_voxel_count, readable
from scripted_models.images.meta_image import meta_image_header
from scripted_models.images.nifti import nifti_header
from scripted_models.images.nrrd import nrrd_header
from scripted_models.images.payload import VolumeHeader

# What is read; .hdr with its .img, .mhd and .nhdr with the file that they name.
EXTENSIONS = (".nii.gz", ".nii", ".mha", ".nrrd", ".mhd", ".nhdr", ".hdr")
_TEXT_HEADER_BYTES = 1 << 20


def volume_extension(path: Path) -> str | None:
    """Return the known volume extension of a file name, or None."""
    name = os.path.basename(path).lower()  # of thousands of files; making a Path takes longer
    return next((ext for ext in EXTENSIONS if name.endswith(ext)), None)


def read_header(path: Path) -> VolumeHeader:
    """Read and judge the header of a volume file.

    Args:
        path: file with the header; or the .img file beside it.

    Raises:
        InputError: no volume file, or a header that cannot be true or is of a kind that is not
            read.
    """
    path = _header_file(Path(path))
    check_is_file(path)
    extension = volume_extension(path)
    if extension is None:
        raise InputError(
            found="an unknown file type",
            expected=".nii, .nii.gz, .mha or .nrrd",
            action="convert it",
            path=path,
        )
    with readable(path):
        if extension in (".nii", ".nii.gz", ".hdr"):
            header = nifti_header(path, extension)
        else:
            with path.open("rb") as stream:
                head = stream.read(_TEXT_HEADER_BYTES)
            known = nrrd_header if extension in (".nrrd", ".nhdr") else meta_image_header
            header = known(path, head)
    check_voxel_count(path, header.size)
    return header


def header_doubts(path: Path) -> tuple[Problem, ...]:
    """Return what the header of a volume leaves open, and how that was decided; for people.

    Raises:
        InputError: as `read_header`.
    """
    return read_header(path).doubts


def volume_parts(path: Path) -> tuple[Path, ...]:
    """Return the files that make up a volume: the file itself, or header and voxels.

    Raises:
        InputError: as `read_header`, where the voxels lie in another file.
    """
    if volume_extension(path) in (".mhd", ".nhdr", ".hdr") or path.suffix.lower() == ".img":
        return tuple(dict.fromkeys((_header_file(path), read_header(path).payload.path)))
    return (path,)


def _header_file(path: Path) -> Path:
    """Return the .hdr file beside an .img file, any other path as it is."""
    if path.name.lower().endswith(".img"):
        return path.with_suffix(".HDR" if path.suffix.isupper() else ".hdr")
    return path
