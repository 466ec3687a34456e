"""The header of an NRRD file: .nrrd, and .nhdr with its voxels in another file.

Hand-written because ITK reads truncated NRRD files without a word, forgets units of length, and
takes any axes for those of a patient. Format: teem.sourceforge.net/nrrd/format.html.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from scripted_models.errors import InputError, Problem
from scripted_models.geometry import Grid
from scripted_models.images.axes import place, unstated
from scripted_models.images.payload import (
    Packing,
    Payload,
    VolumeHeader,
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

_TYPE_NAMES = {
    "i1": "signed char,int8,int8_t",
    "u1": "uchar,unsigned char,uint8,uint8_t",
    "i2": "short,short int,signed short,signed short int,int16,int16_t",
    "u2": "ushort,unsigned short,unsigned short int,uint16,uint16_t",
    "i4": "int,signed int,int32,int32_t",
    "u4": "uint,unsigned int,uint32,uint32_t",
    "i8": "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t",
    "u8": "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t",
    "f4": "float",
    "f8": "double",
}
_TYPES = {name: kind for kind, names in _TYPE_NAMES.items() for name in names.split(",")}
_PACKINGS: dict[str, Packing] = {
    "raw": "raw",
    "gzip": "gzip",
    "gz": "gzip",
    "bzip2": "bzip2",
    "bz2": "bzip2",
    "txt": "ascii",
    "text": "ascii",
    "ascii": "ascii",
    "hex": "hex",
}
_SPACES: dict[str, tuple[int, int, int]] = {  # sign of each axis on the way to LPS
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
_OTHER_SPACES = {"scanner-xyz", "3d-right-handed", "3d-left-handed"}
_SPATIAL_KINDS = {"domain", "space", "???", "none", ""}
_SYNONYMS = {
    "datafile": "data file",
    "lineskip": "line skip",
    "byteskip": "byte skip",
    "axismins": "axis mins",
    "axismaxs": "axis maxs",
    "sampleunits": "sample units",
    "oldmin": "old min",
    "oldmax": "old max",
}
_LISTED = (
    "dimension,type,block size,blocksize,encoding,endian,content,min,max,number,sizes,spacings,"
    "thicknesses,centers,centerings,labels,units,kinds,measurement frame,space,space dimension,"
    "space units,space origin,space directions"
)
_KNOWN = {*_SYNONYMS.values(), *_LISTED.split(",")}
_VECTOR = re.compile(r"\(([^()]*)\)|(none)")


def nrrd_header(path: Path, head: bytes) -> VolumeHeader:
    """Read and judge what the start of an NRRD file announces.

    Raises:
        InputError: no NRRD file, voxels of another kind, or a header that cannot be true.
    """
    if not head.startswith(b"NRRD000"):
        raise wrong_type(path, "no NRRD header", "an NRRD image")
    fields, entries, end = _fields(path, head)
    sizes = whole_numbers(fields.get("sizes", ""))
    if not sizes or 0 in sizes or fields.get("dimension") != str(len(sizes)):
        found = f"sizes {fields.get('sizes', '')[:80]} of dimension {fields.get('dimension')}"
        raise _damaged(path, found, "one positive number for each dimension")
    kind = _type(path, fields)
    payload = _payload(path, fields, end, kind, math.prod(sizes))
    order, components = _axes(fields, len(sizes))
    layers = math.prod(sizes[k] for k in components)
    if components != [0] or "Segment0_ID" not in entries:  # a Slicer segmentation may have layers
        check_voxel_type(path, type_words(kind), layers)
    size = tuple(sizes[k] for k in order)
    grid, doubts = _grid(path, fields, order, size)
    return VolumeHeader(volume_size(size), payload, grid, layers, None, tuple(doubts), entries)


def _fields(path: Path, head: bytes) -> tuple[dict[str, str], dict[str, str], int]:
    """Return the fields, the further entries, and the place of the first byte after them."""
    fields: dict[str, str] = {}
    entries: dict[str, str] = {}
    offset = 0
    for number, line in enumerate(head.splitlines(keepends=True)):
        offset += len(line)
        text = _decoded(line).strip()
        if not text:
            break
        if text.startswith("#") or number == 0:
            continue
        key, sign, value = text.partition(":")
        if value.startswith("="):
            entries[key] = line.decode("utf-8", "replace").strip().partition(":=")[2]
            continue
        key = _SYNONYMS.get(key.strip().lower(), key.strip().lower())
        if not sign or key not in _KNOWN or key in fields:
            raise _damaged(path, f"the line '{text[:80]}'", "one line for each known field")
        fields[key] = value.strip()
    return fields, entries, offset


def _type(path: Path, fields: dict[str, str]) -> np.dtype:
    name = fields.get("type", "").lower()
    if name not in _TYPES:
        raise unsupported(path, f"NRRD voxels of type '{name[:80]}'", "whole or floating numbers")
    kind, endian = np.dtype(_TYPES[name]), fields.get("endian", "").lower()
    binary = _PACKINGS.get(fields.get("encoding", "").lower()) != "ascii"
    if kind.itemsize > 1 and binary and endian not in ("little", "big"):
        raise _damaged(path, f"endian '{endian[:20]}'", "little or big")
    return kind.newbyteorder(">" if endian == "big" else "<")


def _payload(path: Path, fields: dict[str, str], end: int, kind: np.dtype, count: int) -> Payload:
    encoding = fields.get("encoding", "")
    packing = _PACKINGS.get(encoding.lower())
    if packing is None:
        raise unsupported(path, f"NRRD voxels of encoding '{encoding[:20]}'", "raw or gzip")
    named = fields.get("data file")
    data, offset = (companion(path, named), 0) if named is not None else (path, end)
    lines, skipped = fields.get("line skip", "0"), fields.get("byte skip", "0")
    if lines != "0" or (skipped != "0" and packing != "raw"):
        found = f"an NRRD header with line skip {lines[:20]} and byte skip {skipped[:20]}"
        raise unsupported(path, found, "voxels that begin where the header ends")
    if skipped == "-1":
        return Payload(data, 0, packing, kind, count * kind.itemsize, at_end=True)
    if not whole_numbers(skipped):
        raise _damaged(path, f"byte skip {skipped[:20]}", "a whole number")
    return Payload(data, offset + int(skipped), packing, kind, count * kind.itemsize)


def _decoded(line: bytes) -> str:
    """Return a line of the header; names of segments are UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")


def _axes(fields: dict[str, str], n: int) -> tuple[list[int], list[int]]:
    """Return which axes are of space or time, and which count numbers within a voxel."""
    kinds = fields.get("kinds", "").lower().split()
    directions = _VECTOR.findall(fields.get("space directions", ""))
    within = [
        k
        for k in range(n)
        if (k < len(kinds) and kinds[k] not in _SPATIAL_KINDS and kinds[k] != "time")
        or (k < len(directions) and directions[k][1] and n > 3 and k == 0)
    ]
    return [k for k in range(n) if k not in within], within


def _grid(
    path: Path, fields: dict[str, str], order: Sequence[int], size: tuple[int, ...]
) -> tuple[Grid, list[Problem]]:
    """Return the grid of the axes in `order`, whose sizes are `size`."""
    if not 2 <= len(size) <= 4:
        raise InputError(
            found=f"a {len(size)}-D image of size {size}",
            expected="one 3-D volume",
            action="export a single volume",
            path=path,
        )
    _check_units(path, fields)
    space = fields.get("space", "").lower()
    if space and space not in _SPACES and space not in _OTHER_SPACES:
        raise unsupported(path, f"an NRRD of space '{space[:40]}'", "left-posterior-superior")
    signs = np.array(_SPACES.get(space, (1, 1, 1)), float)
    if "space directions" in fields:
        steps, first = _stated_axes(path, fields, order)
        what = f"an NRRD header of space '{space}'" if space else "an NRRD header without space"
        doubts = [] if space in _SPACES else [unstated(what)]
    else:
        steps, doubts = _spacings(path, fields, order)
        first = np.zeros(3)
    grid, about_axes = place(path, (*size, 1)[:3], signs[:, np.newaxis] * steps, signs * first)
    return grid, [*doubts, *about_axes]


def _stated_axes(
    path: Path, fields: dict[str, str], order: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps (3, 3) along the first three axes and the origin (3,)."""
    found = _VECTOR.findall(fields["space directions"])
    vectors = [_vector(text) for text, _ in found]
    origin = _vector(fields.get("space origin", "").strip("()"))
    length = len(origin)
    chosen = [vectors[k] for k in order if k < len(vectors)]
    if len(chosen) == 4 and not chosen[3]:
        chosen.pop()  # time has no direction
    doubled = [n for k in order for n in fields.get("spacings", "").lower().split()[k : k + 1]]
    if any(n != "nan" for n in doubled):
        raise _damaged(path, "spacings beside space directions", "one of them")
    lengths, axes = {len(v) for v in chosen}, (len(order), min(3, len(order)))
    if len(chosen) not in axes or lengths != {length} or length not in (2, 3, 4):
        shown = f"{fields['space directions'][:80]} and {fields.get('space origin', 'none')[:80]}"
        raise _damaged(path, f"space directions and origin {shown}", "a vector for each axis")
    steps, first = np.eye(4), np.zeros(4)
    steps[:length, : len(chosen)] = np.array(chosen).T
    first[:length] = origin
    if length == 4 and (steps[3, :3].any() or steps[:3, 3].any()):
        raise _damaged(path, "a fourth axis that lies in space", "three axes in space")
    if length == 2:
        steps[2, :2] = 0
    return steps[:3, :3], first[:3]


def _spacings(
    path: Path, fields: dict[str, str], order: Sequence[int]
) -> tuple[np.ndarray, list[Problem]]:
    """Return the steps (3, 3) where only voxel sizes are stated, or nothing at all."""
    for key in ("axis mins", "axis maxs", "space origin"):
        if any(part != "nan" for part in fields.get(key, "").lower().split()):
            raise unsupported(path, f"an NRRD placed by {key} alone", "space directions")
    stated = fields.get("spacings", "").split()
    doubts = [unstated("an NRRD header without space directions")]
    if not stated:
        found, action = "an NRRD header without voxel size", "check the volumes in mL, 1 mm is"
        doubts.append(Problem(found, "space directions", f"{action} taken, as in 3D Slicer"))
        return np.eye(3), doubts
    chosen = [_number(stated[k]) if k < len(stated) else np.nan for k in order[:3]]
    check_spacing(path, chosen)
    return np.diag([*chosen, 1.0][:3]), doubts


def _check_units(path: Path, fields: dict[str, str]) -> None:
    """Refuse units of length other than mm, which ITK would take for mm."""
    for key in ("space units", "units"):
        units = re.findall(r'"([^"]*)"', fields.get(key, ""))
        others = [u for u in units if u.lower() not in ("mm", "", "millimeter", "millimeters")]
        spatial = [u for u in others if u.lower() not in ("s", "ms", "sec", "second", "seconds")]
        if spatial:
            raise unsupported(path, f"an NRRD in '{spatial[0][:20]}'", "millimeters")


def _vector(text: str) -> tuple[float, ...]:
    return tuple(_number(part) for part in text.split(",")) if text.strip() else ()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # refused where it matters


def _damaged(path: Path, found: str, expected: str) -> InputError:
    shown = found.encode("unicode_escape").decode()
    return damaged_header(path, f"{shown} in the NRRD header", expected)
