"""The header of a MetaImage file: .mha, and .mhd with its voxels in another file.

Hand-written because ITK misreads some of these headers without a word and crashes on others.
"""

import math
import re
from pathlib import Path

import numpy as np

from scripted_models.errors import Problem
from scripted_models.geometry import Grid
from scripted_models.images.axes import place, unstated
from scripted_models.images.payload import (
    Payload,
    VolumeHeader,
    by,
    check_spacing,
    check_voxel_type,
    companion,
    damaged_header,
    type_words,
    unsupported,
    volume_size,
    whole_numbers,
    wrong_type,
)

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
# Names of one thing, and the power of the number of dimensions that is the count of its numbers.
# ITK takes the first that it knows and forgets the others.
_OFFSET = ("Offset", "Position", "Origin")
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_BYTE_ORDER = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_NUMBERS = {
    "DimSize": 1,
    "ElementSpacing": 1,
    "ElementSize": 1,
    **dict.fromkeys(_OFFSET, 1),
    "CenterOfRotation": 1,
    **dict.fromkeys(_MATRIX, 2),
    "CompressedDataSize": 0,
    "ElementNumberOfChannels": 0,
    "ElementToIntensityFunctionSlope": 0,
    "ElementToIntensityFunctionOffset": 0,
}
_WHOLE = {"DimSize", "CompressedDataSize", "ElementNumberOfChannels"}
_TRUTH = {"BinaryData", "CompressedData", *_BYTE_ORDER}
_WORDS = {"NDims", "ElementType", "ElementDataFile", "HeaderSize", "DistanceUnits"}
_KNOWN = {key.lower(): key for key in (*_NUMBERS, *_TRUTH, *_WORDS, "AnatomicalOrientation")}
_ROUNDING = 1e-3  # of the length of an axis, which some programs write with three digits
_CLEAR = 0.9  # cosine of an axis that is near one of the body
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?|[+-]?(nan|inf)", re.IGNORECASE)


def meta_image_header(path: Path, head: bytes) -> VolumeHeader:
    """Read and judge what the start of a MetaImage file announces.

    Raises:
        InputError: no MetaImage, voxels in several files, a rare encoding, or a damaged header.
    """
    fields, end = _fields(path, head)
    _check(path, fields)
    size = whole_numbers(fields["DimSize"])
    if 0 in size:
        raise _damaged(path, f"DimSize = {fields['DimSize']}", "positive numbers of voxels")
    kind = _type(path, fields)
    check_voxel_type(path, type_words(kind), int(fields.get("ElementNumberOfChannels", "1")))
    payload = _payload(path, fields, end, kind, math.prod(size))
    grid, doubts = _grid(path, fields, size)
    doubts += _compressed_size(fields, payload)
    return VolumeHeader(volume_size(size), payload, grid, 1, None, tuple(doubts))


def _payload(path: Path, fields: dict[str, str], end: int, kind: np.dtype, count: int) -> Payload:
    local = fields["ElementDataFile"].upper() == "LOCAL"
    data = path if local else companion(path, fields["ElementDataFile"])
    packed, needed = _is_true(fields, "CompressedData"), count * kind.itemsize
    skipped = fields.get("HeaderSize", "0")
    if skipped == "-1" and not packed:
        return Payload(data, 0, "raw", kind, needed, at_end=True)
    if not skipped.isdecimal() or (skipped != "0" and (local or packed)):
        raise unsupported(path, f"a MetaImage with HeaderSize = {skipped[:20]}", "0")
    offset = end if local else int(skipped)
    return Payload(data, offset, "zlib" if packed else "raw", kind, needed)


def _type(path: Path, fields: dict[str, str]) -> np.dtype:
    kind = fields["ElementType"][:80]
    if kind not in _TYPES or not _is_true(fields, "BinaryData", "True"):
        encoding = "" if _is_true(fields, "BinaryData", "True") else " written as text"
        raise unsupported(
            path, f"a MetaImage of {kind} voxels{encoding}", "binary whole or floating numbers"
        )
    slope = float(fields.get("ElementToIntensityFunctionSlope", 1))
    offset = float(fields.get("ElementToIntensityFunctionOffset", 0))
    if (slope, offset) != (1, 0):
        found = f"a MetaImage whose gray values are scaled by {slope:g} and {offset:g}"
        raise unsupported(path, found, "gray values as they are stored")
    big = _is_true(fields, _one_of(fields, _BYTE_ORDER))
    return np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")


def _grid(path: Path, fields: dict[str, str], size: tuple[int, ...]) -> tuple[Grid, list[Problem]]:
    n = len(size)
    key = "ElementSpacing" if "ElementSpacing" in fields else "ElementSize"
    spacing = _numbers(fields, key, np.ones(n))
    check_spacing(path, spacing)
    matrix = _numbers(fields, _one_of(fields, _MATRIX), np.eye(n)).reshape(n, n)
    lengths = np.linalg.norm(matrix, axis=1)
    if np.abs(lengths - 1).max() > _ROUNDING:
        raise _damaged(path, f"a TransformMatrix with axes of length {by(lengths)}", "axes of 1")
    matrix = matrix / lengths[:, np.newaxis]
    origin = _numbers(fields, _one_of(fields, _OFFSET), np.zeros(n))
    steps, first = np.eye(3), np.zeros(3)
    m = min(n, 3)
    steps[:m, :m] = (matrix.T * spacing)[:m, :m]  # a row of the file is an axis
    first[:m] = origin[:m]
    if n == 4 and (matrix[3, :3].any() or matrix[:3, 3].any()):
        raise _damaged(path, "a fourth axis that lies in space", "three axes in space")
    units = fields.get("DistanceUnits", "mm")
    if units.lower() not in ("mm", "?"):
        raise unsupported(path, f"a MetaImage in {units[:20]}", "millimeters")
    grid, doubts = place(path, (*size, 1)[:3], steps, first)
    return grid, [*_about(fields, key, spacing, grid), *doubts]


def _about(fields: dict[str, str], key: str, spacing: np.ndarray, grid: Grid) -> list[Problem]:
    """Say what the header leaves open about sizes and axes."""
    doubts = []
    if key not in fields:
        found, action = "a MetaImage header without voxel size", "check the volumes in mL, 1 mm is"
        doubts.append(Problem(found, "ElementSpacing", f"{action} taken, as in 3D Slicer"))
    elif "ElementSize" in fields:
        sizes = _numbers(fields, "ElementSize", spacing)
        if not np.allclose(sizes, spacing, rtol=1e-4):
            found = f"ElementSpacing {by(spacing)} mm and ElementSize {by(sizes)} mm"
            action = "check the volumes in mL, ElementSpacing is used, as in 3D Slicer"
            doubts.append(Problem(found, "one voxel size in the MetaImage header", action))
    if not set(_MATRIX) & set(fields):
        doubts.append(unstated("a MetaImage header without TransformMatrix"))
    named = fields.get("AnatomicalOrientation", "").upper()
    axes = np.reshape(grid.direction, (3, 3))
    clear = np.abs(axes).max(axis=0).min() > _CLEAR
    if re.fullmatch("[LRAPSI]{3}", named) and clear and named != _from_letters(axes):
        found = f"an AnatomicalOrientation {named} that is not that of its axes"
        action = "check left and right in the result, its axes are used, as in 3D Slicer"
        doubts.append(Problem(found, f"{_from_letters(axes)} in the MetaImage header", action))
    return doubts


def _from_letters(axes: np.ndarray) -> str:
    """Return where each axis comes from, as MetaImage names it: RAI for x to the left and so on."""
    letters = (("R", "L"), ("A", "P"), ("I", "S"))
    main = np.abs(axes).argmax(axis=0)
    return "".join(letters[row][int(axes[row, k] < 0)] for k, row in enumerate(main))


def _compressed_size(fields: dict[str, str], payload: Payload) -> list[Problem]:
    """Say that ITK, which trusts the size, reads something else."""
    if payload.packing != "zlib":
        return []
    stated = fields.get("CompressedDataSize")
    there = payload.path.stat().st_size - payload.offset
    if stated == str(there):
        return []
    doubt = Problem(
        found="no CompressedDataSize" if stated is None else f"a CompressedDataSize of {stated}",
        expected="the size of the compressed voxels",
        action="save the volume again for other programs, here all of it is read",
    )
    return [doubt]


def _fields(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """Return the fields of a header, and the place of the first byte after them."""
    if not re.match(rb"\s*[A-Za-z]+ *=", head):
        raise wrong_type(path, "no MetaImage header", "a MetaImage")
    fields: dict[str, str] = {}
    offset = 0
    for line in head.splitlines(keepends=True):
        offset += len(line)
        text = line.decode("latin-1").strip()
        key, sign, value = (part.strip() for part in text.partition("="))
        if not text:
            continue
        if not sign or not 0 < len(key) < 100 or len(value) > 4000 or key in fields:
            raise _damaged(path, f"the line '{text[:80]}'", "one line KEY = VALUE for each key")
        if (meant := _KNOWN.get(key.lower(), key)) != key:
            raise _damaged(path, f"the key '{key}'", f"'{meant}'")
        fields[key] = value
        if key == "ElementDataFile":
            break
    return fields, offset


def _check(path: Path, fields: dict[str, str]) -> None:
    """Refuse all that ITK would misread or crash on."""
    if missing := {"NDims", "DimSize", "ElementType", "ElementDataFile"} - set(fields):
        raise _damaged(path, f"no {', '.join(sorted(missing))}", "them in the header")
    if fields["NDims"] not in ("2", "3", "4"):
        raise _damaged(path, f"NDims = {fields['NDims'][:80]}", "2, 3 or 4")
    for key, power in _NUMBERS.items():
        count = int(fields["NDims"]) ** power
        if key in fields and not _are_numbers(fields[key], count, whole=key in _WHOLE):
            kind = "whole numbers" if key in _WHOLE else "numbers"
            raise _damaged(path, f"{key} = {fields[key][:80]}", f"{count} {kind}")
    for key in _TRUTH & set(fields):
        if fields[key].lower() not in ("true", "false", "1", "0"):
            raise _damaged(path, f"{key} = {fields[key][:80]}", "True or False")
    for names in (_MATRIX, _OFFSET, _BYTE_ORDER):
        found = [key for key in names if key in fields]
        if len({_plain(fields[key]) for key in found}) > 1:
            raise _damaged(path, f"different values of {' and '.join(found)}", "one of them")


def _plain(text: str) -> tuple[object, ...]:
    """Return numbers or words so that those that mean the same are equal."""
    return tuple(float(p) if _NUMBER.fullmatch(p) else p.lower() for p in text.split())


def _one_of(fields: dict[str, str], names: tuple[str, ...]) -> str:
    return next((key for key in names if key in fields), names[0])


def _is_true(fields: dict[str, str], key: str, default: str = "False") -> bool:
    return fields.get(key, default).lower() in ("true", "1")


def _numbers(fields: dict[str, str], key: str, default: np.ndarray) -> np.ndarray:
    return np.array([float(p) for p in fields[key].split()]) if key in fields else default


def _damaged(path: Path, found: str, expected: str) -> Exception:
    shown = found.encode("unicode_escape").decode()
    return damaged_header(path, f"{shown} in the MetaImage header", expected)


def _are_numbers(text: str, count: int, whole: bool) -> bool:
    parts = text.split()
    known = [
        p.isdecimal() and p.isascii() and len(p) < 19 if whole else _NUMBER.fullmatch(p)
        for p in parts
    ]
    return len(parts) == count and all(known)
