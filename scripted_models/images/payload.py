"""What a header announces, and the errors of headers that cannot be true."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from scripted_models.errors import InputError, Problem
from scripted_models.geometry import Grid

Packing = Literal["raw", "zlib", "gzip", "bzip2", "ascii", "hex", "file"]


@dataclass(frozen=True)
class Payload:
    """Where the voxels lie, and how.

    Attributes:
        path: file that holds them.
        offset: their first byte; for "file" in the decompressed file.
        at_end: they are the last bytes of the file, wherever they begin.
        packing: how they are packed; "file" for a file that is gzipped as a whole.
        type: of one number, with its byte order.
        bytes_needed: bytes of all of them, unpacked.
    """

    path: Path
    offset: int
    packing: Packing
    type: np.dtype
    bytes_needed: int
    at_end: bool = False


@dataclass(frozen=True)
class VolumeHeader:
    """What the header of a volume file states, after it was judged.

    Attributes:
        size: voxels along each axis, x first; three at least.
        components: numbers per voxel.
        payload: where the voxels lie.
        grid: of the first three axes.
        scale: slope and intercept that make gray values of stored numbers; None where there is
            nothing to do.
        doubts: what it leaves open, and how that was decided; for people.
        entries: further entries of the header, key -> value.
    """

    size: tuple[int, ...]
    payload: Payload
    grid: Grid
    components: int = 1
    scale: tuple[float, float] | None = None
    doubts: tuple[Problem, ...] = ()
    entries: Mapping[str, str] = field(default_factory=dict)

    @property
    def volumes(self) -> int:
        """Number of 3-D volumes."""
        return math.prod(self.size[3:])


def damaged_header(path: Path, found: str, expected: str) -> InputError:
    """Return the error for a header that cannot be true."""
    return InputError(
        found=found,
        expected=expected,
        action="copy or export the file again, its header is damaged",
        path=path,
    )


def unsupported(path: Path, found: str, expected: str) -> InputError:
    """Return the error for a sound header of a kind that is not read."""
    return InputError(
        found=found,
        expected=expected,
        action="save the volume again, for example with 3D Slicer",
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
            found=f"voxel spacing {by(stated)} mm",
            expected="positive numbers",
            action="repair the header or export the volume again",
            path=path,
        )


def check_voxel_type(path: Path, kind: str, components: int = 1) -> None:
    """Refuse voxels that are not one real number.

    Args:
        path: for the message.
        kind: in words, such as "32-bit float".
        components: numbers per voxel.
    """
    if components != 1 or "complex" in kind or "RGB" in kind:
        raise InputError(
            found=f"{'vector of ' if components != 1 else ''}{kind} pixels",
            expected="one number per voxel",
            action="export a gray-value image",
            path=path,
        )


def type_words(kind: np.dtype) -> str:
    """Return a type as people say it: "32-bit float", "16-bit signed integer"."""
    names = {"f": "float", "i": "signed integer", "u": "unsigned integer"}
    return f"{8 * kind.itemsize}-bit {names[kind.kind]}"


def companion(path: Path, name: str) -> Path:
    """Return the file beside a header that holds its voxels.

    Raises:
        InputError: the name leads to another folder, to several files, or to no file.
    """
    shown = name[:80].encode("unicode_escape").decode()
    if re.match(r"LIST\b", name) or re.search(r"%\d*d.*\s", name):
        raise unsupported(path, f"voxels in several files ({shown})", "one file")
    if Path(name).name != name or name in ("", ".", ".."):
        raise unsupported(path, f"voxels in another folder ({shown})", "them beside the header")
    file = path.parent / name
    if not file.is_file():
        raise InputError(
            found=f"no file {shown} beside it, which has the voxels",
            expected="both files",
            action="copy them together",
            path=path,
        )
    return file


def volume_size(size: tuple[int, ...]) -> tuple[int, ...]:
    """Return three axes at least, without further axes of one voxel at the end."""
    padded = (*size, *[1] * (3 - len(size)))
    return volume_size(padded[:-1]) if len(padded) > 3 and padded[-1] == 1 else padded


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers of 0 or more that spaces separate; empty where there is anything else."""
    parts = text.split()
    known = all(p.isdecimal() and p.isascii() and len(p) < 19 for p in parts)
    return tuple(int(p) for p in parts) if parts and known else ()


def by(values: Iterable[float]) -> str:
    """Return numbers as "1 x 2 x 3"."""
    return " x ".join(f"{v:g}" for v in values)
