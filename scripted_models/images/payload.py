"""What a header announces about the voxels of its file."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripted_models.errors import InputError


@dataclass(frozen=True)
class Payload:
    """Where the voxels of a file lie.

    Attributes:
        size: voxels along each dimension.
        bytes_needed: bytes of voxels, decompressed.
        offset: their first byte; for "file" in the decompressed file.
        packing: "raw", "zlib" or "gzip" (voxels only), or "file" (the whole file is gzipped).
        float_type: NumPy type whose NaN ITK would hide, else empty.
    """

    size: tuple[int, ...]
    bytes_needed: int
    offset: int
    packing: Literal["raw", "zlib", "gzip", "file"]
    float_type: str = ""


def damaged_header(path: Path, found: str, expected: str) -> InputError:
    """Return the error for a header that cannot be true."""
    return InputError(
        found=found,
        expected=expected,
        action="copy or export the file again, its header is damaged",
        path=path,
    )


def wrong_type(path: Path, found: str, expected: str) -> InputError:
    """Return the error for a file that is not what its extension says."""
    return InputError(
        found=found,
        expected=expected,
        action="check that the extension tells the true type, or copy it again",
        path=path,
    )


def check_spacing(path: Path, spacing_mm: Iterable[float]) -> None:
    """Refuse spacing that ITK would replace by a guess (zero, NaN) or mirror (negative).

    Raises:
        InputError: a number is not finite and positive.
    """
    stated = list(spacing_mm)
    if not all(math.isfinite(s) and s > 0 for s in stated):
        raise InputError(
            found=f"voxel spacing {' x '.join(f'{s:g}' for s in stated)} mm",
            expected="positive numbers",
            action="repair the header or export the volume again",
            path=path,
        )


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers of 0 or more that spaces separate; empty where there is anything else."""
    parts = text.split()
    return tuple(int(p) for p in parts) if parts and all(p.isdecimal() for p in parts) else ()
