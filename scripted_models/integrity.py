"""Checks on image files before ITK sees them.

ITK reads truncated .nii.gz files without a word, turns NaN in NIfTI into numbers and believes any
header; all three are noticed here from the bytes of the file.
"""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from scripted_models.errors import InputError

_FLOATS = {16: "f4", 64: "f8"}  # NIfTI-1 datatype codes
_CHUNK = 1 << 22


def check_file_integrity(path: Path, extension: str | None) -> None:
    """Raise InputError when a file is missing, empty, of unknown type, truncated or damaged.

    Args:
        path: the file.
        extension: its volume extension ('.nii.gz', '.nii', '.mha', '.nrrd'), None when unknown.
    """
    _check_is_file(path)
    if extension is None:
        raise InputError(
            f"{path}: found an unknown file type, expected .nii, .nii.gz, .mha or .nrrd; convert it."
        )
    if extension in (".nii", ".nii.gz"):
        _check_nifti(path, _content(path, compressed=extension == ".nii.gz"))


def _check_is_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(
                f"{path}: found a folder, expected an image file; name the file itself."
            )
        if not path.exists():
            raise InputError(f"{path}: no such file; check the path.")
        with path.open("rb") as stream:
            if not stream.read(1):
                raise InputError(f"{path}: the file is empty; copy or export it again.")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened ({error.strerror}); check its permissions."
        ) from error


def _content(path: Path, compressed: bool) -> bytes:
    if not compressed:
        return path.read_bytes()
    try:
        with gzip.open(path) as stream:
            return b"".join(iter(lambda: stream.read(_CHUNK), b""))
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        raise InputError(
            f"{path}: the compressed data is truncated or damaged ({error}); download or copy it again."
        ) from error


def _check_nifti(path: Path, content: bytes) -> None:
    if len(content) < 352:
        raise InputError(
            f"{path}: found {len(content)} bytes, too few for a NIfTI image; copy it again."
        )
    if struct.unpack("<i", content[:4])[0] == 540 or struct.unpack(">i", content[:4])[0] == 540:
        return  # NIfTI-2: left to ITK
    order = "<" if struct.unpack("<i", content[:4])[0] == 348 else ">"
    if struct.unpack(order + "i", content[:4])[0] != 348:
        raise InputError(
            f"{path}: found no NIfTI header; check that the extension tells the true type."
        )
    dims = struct.unpack(order + "8h", content[40:56])
    datatype, bits = struct.unpack(order + "2h", content[70:74])
    offset = max(int(struct.unpack(order + "f", content[108:112])[0]), 352)
    voxels = int(np.prod([max(n, 1) for n in dims[1 : 1 + max(dims[0], 0)]], dtype=np.int64))
    needed = voxels * bits // 8
    if len(content) - offset < needed:
        raise InputError(
            f"{path}: its header announces {needed} bytes of voxels but {max(len(content) - offset, 0)} "
            "are there; the file is truncated or damaged, copy it again."
        )
    if datatype in _FLOATS:
        _check_finite(path, np.frombuffer(content, order + _FLOATS[datatype], voxels, offset))


def _check_finite(path: Path, values: np.ndarray) -> None:
    bad = values.size - int(np.isfinite(values).sum())
    if bad:
        raise InputError(
            f"{path}: found {bad} voxels that are NaN or infinite, expected numbers; repair the volume "
            "(for example by setting them to 0) before segmentation."
        )
