"""Checks on image files before ITK sees them.

ITK reads truncated .nii.gz and damaged .mha files without a word. It turns NaN in NIfTI into
numbers and believes any header. All of these are noticed here from the bytes of the file.
Hand-written because no library compares the bytes of all these formats with their headers.
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scripted_models.errors import InputError
from scripted_models.images.headers import read_payload
from scripted_models.images.payload import Payload, damaged_header, wrong_type

MAX_VOXELS = 2**29  # 512 Mi voxels, 2 GiB as float32; clinical head volumes are 100 times smaller
_CHUNK = 1 << 22  # a multiple of every voxel's bytes
_COMPRESSED_CHUNK = 1 << 16  # deflate grows at most about 1000-fold: 64 MiB


def check_file_integrity(path: Path, extension: str | None) -> None:
    """Raise InputError when a file is missing, empty, of unknown type, truncated or damaged.

    Args:
        path: the file.
        extension: one of `volume_files.EXTENSIONS`, None when unknown.
    """
    _check_is_file(path)
    if extension is None:
        raise InputError(
            found="an unknown file type",
            expected=".nii, .nii.gz, .mha or .nrrd",
            action="convert it",
            path=path,
        )
    try:
        payload = read_payload(path, extension)
        if payload is not None:
            check_voxel_count(path, payload.size)
            _check_payload(path, payload)
    except (EOFError, zlib.error, OSError) as error:
        if "Not a gzipped file" in str(error):  # the words of `gzip`
            raise wrong_type(path, "no gzip data", "a .nii.gz file") from error
        reason = str(error).partition(" 0x")[0]  # without the checksums that `gzip` names
        raise InputError(
            found=f"data that is truncated or damaged ({reason})",
            expected="a whole file",
            action="download or copy it again",
            path=path,
        ) from error


def check_voxel_count(path: Path, size: tuple[int, ...]) -> None:
    """Raise InputError when a header announces far more voxels than a head volume has."""
    if math.prod(size) > MAX_VOXELS * 4:
        found = f"a header that announces {'x'.join(map(str, size))} voxels"
        raise damaged_header(path, found, f"a head volume of at most {MAX_VOXELS} voxels")


def check_file_name(path: Path) -> None:
    """Raise InputError when a path is no valid text: SimpleITK ends the process on it."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            found="bytes in the path that are no valid UTF-8 text",
            expected="a readable name",
            action="rename the file or its folder",
            path=ascii(str(path)),
        ) from error


def _check_is_file(path: Path) -> None:
    check_file_name(path)
    try:
        problem = _kind_problem(path)
    except OSError as error:
        raise InputError(
            found=f"a file that cannot be opened ({error.strerror})",
            expected="a readable image",
            action="check its name and permissions",
            path=path,
        ) from error
    if problem:
        found, expected, action = problem
        raise InputError(found=found, expected=expected, action=action, path=path)


def _kind_problem(path: Path) -> tuple[str, str, str] | None:
    """Return what was found, what was expected and what to do where a path is no file of bytes."""
    if path.is_dir():
        return "a folder", "an image file", "name the file itself"
    if not path.exists():
        return "no such file", "an image", "check the path"
    if not path.is_file():
        return "a device or pipe", "an image file", "name a plain file"
    with path.open("rb") as stream:
        empty = not stream.read(1)
    return ("an empty file", "an image", "copy or export it again") if empty else None


def _check_payload(path: Path, payload: Payload) -> None:
    count, bad = 0, 0
    for chunk in _chunks(path, payload):
        voxels = chunk[: max(0, payload.bytes_needed - count)]
        count += len(chunk)
        if payload.float_type:
            values = np.frombuffer(
                voxels, payload.float_type, len(voxels) // int(payload.float_type[-1])
            )
            bad += values.size - int(np.count_nonzero(np.isfinite(values)))
    if count < payload.bytes_needed:
        raise InputError(
            found=f"{count} bytes of voxels",
            expected=f"the {payload.bytes_needed} that its header announces",
            action="copy the file again, it is truncated or damaged",
            path=path,
        )
    if bad:
        raise not_finite(path, bad)


def not_finite(path: Path, count: int) -> InputError:
    """Return the error for a volume with NaN or infinite voxels."""
    return InputError(
        found=f"{count} voxels that are NaN or infinite",
        expected="numbers",
        action="repair the volume (for example by setting them to 0) before segmentation",
        path=path,
    )


def _chunks(path: Path, payload: Payload) -> Iterator[bytes]:
    """Give the decompressed voxel bytes, to the end of the file: then checksums are compared."""
    with path.open("rb") as file:
        if payload.packing != "file":
            file.seek(payload.offset)
        if payload.packing == "zlib":
            yield from _inflate(file)
            return
        stream: BufferedIOBase = file if payload.packing == "raw" else gzip.GzipFile(fileobj=file)
        if payload.packing == "file":
            stream.seek(payload.offset)
        yield from iter(lambda: stream.read(_CHUNK), b"")


def _inflate(file: BinaryIO) -> Iterator[bytes]:
    engine = zlib.decompressobj(wbits=47)  # zlib or gzip header
    while not engine.eof:
        piece = file.read(_COMPRESSED_CHUNK)
        if not piece:
            raise EOFError("the compressed voxels end early")
        yield engine.decompress(piece)
