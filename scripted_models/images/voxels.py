"""The voxels of a file, taken only where it has exactly the bytes that its header announces.

Hand-written because ITK reads on without a word where bytes are missing, left over or damaged. Of
a compressed MetaImage whose size is misstated it gives whatever lay in memory before.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from scripted_models.errors import InputError
from scripted_models.images.compression import inflated
from scripted_models.images.integrity import readable
from scripted_models.images.payload import Payload, VolumeHeader

MOST_PADDING = 511  # bytes of 0 after the voxels, to the end of a block on a disk or tape
_CHUNK = 1 << 22
_MOST_COUNTED = 1 << 26  # bytes too many that are counted


def read_voxels(path: Path, header: VolumeHeader) -> np.ndarray:
    """Read the voxels that a header announces.

    Args:
        path: the volume, for messages.
        header: of the volume.

    Returns:
        Array with the axes of `header.size` in reverse, and one of the numbers within a voxel where
        it has several; in the byte order of this machine, scaled as the header says.

    Raises:
        InputError: fewer or more bytes than announced, or damaged data.
    """
    payload = header.payload
    with readable(path), payload.path.open("rb") as file:
        if payload.packing == "ascii":
            numbers = _from_text(path, file, payload)
        else:
            numbers = np.frombuffer(_exact_bytes(path, file, header), payload.type)
    stored = numbers.astype(payload.type.newbyteorder("="), copy=False)
    within = (header.components,) if header.components > 1 else ()
    return _scaled(stored.reshape((*header.size[::-1], *within)), header.scale)


def _scaled(stored: np.ndarray, scale: tuple[float, float] | None) -> np.ndarray:
    """Return gray values, float32; float64 where the numbers need it."""
    if scale is None:
        return stored
    kind = np.float64 if stored.dtype.itemsize > 2 and stored.dtype != np.float32 else np.float32
    with np.errstate(over="ignore"):  # infinity is found by whoever looks at the voxels
        scaled: np.ndarray = (stored * scale[0] + scale[1]).astype(kind, copy=False)
    return scaled


def _exact_bytes(path: Path, file: BinaryIO, header: VolumeHeader) -> bytearray:
    payload, needed = header.payload, header.payload.bytes_needed
    found, extra, padded = bytearray(), 0, True
    for chunk in _unpacked(path, file, payload):
        room = needed - len(found)
        found += chunk[:room]
        rest = chunk[max(0, room) :]
        extra += len(rest)
        padded = padded and rest.count(0) == len(rest)
        if extra > _MOST_COUNTED:
            break
    if len(found) < needed:
        raise InputError(
            found=f"{len(found)} bytes of voxels",
            expected=f"the {needed} that its header announces",
            action="copy the file again, it is truncated or damaged",
            path=path,
        )
    slice_bytes = math.prod(header.size[:2]) * payload.type.itemsize
    if extra > min(MOST_PADDING, slice_bytes - 1) or not padded:
        more = "more than " if extra > _MOST_COUNTED else ""
        raise InputError(
            found=f"{more}{needed + extra} bytes of voxels",
            expected=f"the {needed} that its header announces",
            action="check the size and the type of the voxels in its header, or export it again",
            path=path,
        )
    return found


def _unpacked(path: Path, file: BinaryIO, payload: Payload) -> Iterator[bytes]:
    """Give the bytes of the voxels, to the end of the file."""
    if payload.packing == "file":
        yield from _after(payload.offset, inflated(path, file, payload.packing))
        return
    offset = payload.offset
    if payload.at_end:
        offset = max(0, file.seek(0, 2) - payload.bytes_needed)
    file.seek(offset)
    if payload.packing == "raw":
        yield from iter(lambda: file.read(_CHUNK), b"")
    elif payload.packing == "hex":
        text = b"".join(file.read(4 * payload.bytes_needed + _CHUNK).split())
        yield _from_hex(path, text)
    else:
        yield from inflated(path, file, payload.packing)


def _after(offset: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[offset:]
        offset = max(0, offset - len(chunk))


def _from_hex(path: Path, text: bytes) -> bytes:
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError as error:
        raise _no_numbers(path) from error


def _from_text(path: Path, file: BinaryIO, payload: Payload) -> np.ndarray:
    """Read numbers written as text, separated by blanks or commas."""
    file.seek(payload.offset)
    count = payload.bytes_needed // payload.type.itemsize
    words = file.read(32 * count + _CHUNK).replace(b",", b" ").split()
    if len(words) != count:
        raise InputError(
            found=f"{len(words)} numbers",
            expected=f"the {count} that its header announces",
            action="check its header, or copy it again",
            path=path,
        )
    try:
        if payload.type.kind == "f":
            return np.array([float(word) for word in words], payload.type)
        return np.array([int(word) for word in words], payload.type)
    except (ValueError, OverflowError) as error:
        raise _no_numbers(path) from error


def _no_numbers(path: Path) -> InputError:
    return InputError(
        found="voxels as text that are no numbers of their type",
        expected="numbers",
        action="export the volume again, for example with 3D Slicer",
        path=path,
    )
