"""Checks on image files before ITK sees them.

ITK reads truncated .nii.gz and damaged .mha files without a word, turns NaN in NIfTI into numbers and
believes any header; all of these are noticed here from the bytes of the file.
"""

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripted_models.errors import InputError
from scripted_models.images.headers import Payload, read_payload

MAX_VOXELS = 2**29  # 512 Mi voxels, 2 GiB as float32; clinical head volumes are 100 times smaller
_CHUNK = 1 << 22  # a multiple of every voxel's bytes
_COMPRESSED_CHUNK = 1 << 16  # deflate grows at most about 1000-fold: 64 MiB


def check_file_integrity(path: Path, extension: str | None) -> None:
    """Raise InputError when a file is missing, empty, of unknown type, truncated or damaged.

    Args:
        path: the file.
        extension: its volume extension ('.nii.gz', '.nii', '.mha', '.nrrd'), None when unknown.
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
        if "Not a gzipped file" in str(error):
            raise InputError(
                found="no gzip data",
                expected="a .nii.gz file",
                action="check that the extension tells the true type, or copy it again",
                path=path,
            ) from error
        reason = str(error).partition(" 0x")[0]  # without the checksums
        raise InputError(
            found=f"data that is truncated or damaged ({reason})",
            expected="a whole file",
            action="download or copy it again",
            path=path,
        ) from error


def check_voxel_count(path: Path, size: tuple[int, ...]) -> None:
    """Raise InputError when a header announces far more voxels than a head volume has."""
    if math.prod(size) > MAX_VOXELS * 4:
        raise InputError(
            found=f"a header that announces {'x'.join(map(str, size))} voxels",
            expected=f"a head volume of at most {MAX_VOXELS} voxels",
            action="the header is damaged or the file is no head volume",
            path=path,
        )


def check_file_name(path: Path) -> None:
    """Raise InputError when a path has bytes that are no text: SimpleITK ends the process on these."""
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
        if path.is_dir():
            raise InputError(
                found="a folder",
                expected="an image file",
                action="name the file itself",
                path=path,
            )
        if not path.exists():
            raise InputError(
                found="no such file",
                expected="an image",
                action="check the path",
                path=path,
            )
        if not path.is_file():
            raise InputError(
                found="a device or pipe",
                expected="an image file",
                action="name a plain file",
                path=path,
            )
        with path.open("rb") as stream:
            if not stream.read(1):
                raise InputError(
                    found="an empty file",
                    expected="an image",
                    action="copy or export it again",
                    path=path,
                )
    except OSError as error:
        raise InputError(
            found=f"a file that cannot be opened ({error.strerror})",
            expected="a readable image",
            action="check its name and permissions",
            path=path,
        ) from error


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
            action="the file is truncated or damaged, copy it again",
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
    """Give the decompressed voxel bytes, to the end of the file so that checksums are compared."""
    with path.open("rb") as file:
        if payload.packing != "file":
            file.seek(payload.offset)
        if payload.packing == "zlib":
            yield from _inflate(file)
            return
        stream = file if payload.packing == "raw" else gzip.GzipFile(fileobj=file)
        if payload.packing == "file":
            stream.seek(payload.offset)
        yield from iter(lambda: stream.read(_CHUNK), b"")


def _inflate(file) -> Iterator[bytes]:
    engine = zlib.decompressobj(wbits=47)  # zlib or gzip header
    while not engine.eof:
        piece = file.read(_COMPRESSED_CHUNK)
        if not piece:
            raise EOFError("the compressed voxels end early")
        yield engine.decompress(piece)
