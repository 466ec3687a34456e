"""Compressed data, unpacked piece by piece; what comes after their end is not passed over.

Hand-written because `gzip` calls a file with other bytes at its end no gzip file.
"""

import bz2
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from scripted_models.errors import InputError
from scripted_models.images.payload import wrong_type

_CHUNK = 1 << 22
_PACKED_CHUNK = 1 << 16  # deflate grows at most about 1000-fold: 64 MiB


class _Unpacker(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def first_bytes(path: Path, count: int, packed: bool) -> bytes:
    """Return the first bytes of a file, unpacked where it is gzipped; fewer where it ends."""
    found = b""
    with path.open("rb") as file:
        if not packed:
            return file.read(count)
        for chunk in inflated(path, file, "file"):
            found += chunk[:count]
            if len(found) >= count:
                break
    return found[:count]


def inflated(path: Path, file: BinaryIO, packing: str) -> Iterator[bytes]:
    """Give what compressed streams hold; their checksums are compared at their ends.

    Args:
        path: for messages.
        file: at the first compressed byte.
        packing: see `payload.Packing`: "file" and "gzip" for one gzip file or several in a row,
            "bzip2" likewise, "zlib" for a single stream of zlib or gzip.

    Raises:
        InputError: no gzip data, or bytes that are left over.
        EOFError, OSError, zlib.error: truncated or damaged data.
    """
    piece = file.read(_PACKED_CHUNK)
    if packing in ("file", "gzip") and piece[:2] != b"\x1f\x8b":
        raise wrong_type(path, "no gzip data", "a .nii.gz file" if packing == "file" else "it")
    engine = _unpacker(packing)
    while True:
        if piece:
            yield _unpacked(engine, piece)
        if engine.eof:
            piece = engine.unused_data
            piece += b"" if len(piece) > 1 else file.read(_PACKED_CHUNK)
            if packing == "zlib" or piece[:2] not in (b"\x1f\x8b", b"BZ"):
                _check_tail(path, piece, file)
                return
            engine = _unpacker(packing)
            continue
        piece = file.read(_PACKED_CHUNK)
        if not piece:
            raise EOFError("Compressed file ended before the end-of-stream marker was reached")


def _unpacked(engine: _Unpacker, piece: bytes) -> bytes:
    try:
        return engine.decompress(piece)
    except zlib.error as error:
        # zlib's words for a wrong checksum are hard to understand
        wrong = "incorrect data check" in str(error)
        raise OSError("CRC check failed" if wrong else error) from error


def _unpacker(packing: str) -> _Unpacker:
    if packing == "bzip2":
        return bz2.BZ2Decompressor()
    return zlib.decompressobj(wbits=47 if packing == "zlib" else 31)  # 47: zlib or gzip


def _check_tail(path: Path, piece: bytes, file: BinaryIO) -> None:
    """Refuse bytes after the compressed voxels, but for zeros, which are padding."""
    count, padded = 0, True
    while piece:
        count += len(piece)
        padded = padded and piece.count(0) == len(piece)
        piece = file.read(_CHUNK)
    if not padded:
        raise InputError(
            found=f"{count} bytes after the end of its compressed data",
            expected="none",
            action="unpack and pack it again, or copy it again",
            path=path,
        )
