"""The header of a MetaImage file (.mha).

Hand-written because ITK misreads some of these headers without a word and crashes on others.
"""

import math
import re
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.images.payload import (
    Payload,
    check_spacing,
    damaged_header,
    whole_numbers,
    wrong_type,
)

_BYTES = {
    "MET_CHAR": 1,
    "MET_UCHAR": 1,
    "MET_SHORT": 2,
    "MET_USHORT": 2,
    "MET_INT": 4,
    "MET_UINT": 4,
    "MET_LONG": 4,
    "MET_ULONG": 4,
    "MET_LONG_LONG": 8,
    "MET_ULONG_LONG": 8,
    "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}
# Key -> the power of the number of dimensions that is the count of its numbers.
_NUMBERS = {
    "DimSize": 1,
    "ElementSpacing": 1,
    "ElementSize": 1,
    "Offset": 1,
    "Position": 1,
    "Origin": 1,
    "CenterOfRotation": 1,
    "TransformMatrix": 2,
    "Rotation": 2,
    "Orientation": 2,
    "CompressedDataSize": 0,
    "ElementNumberOfChannels": 0,
}
_WHOLE = {"DimSize", "CompressedDataSize", "ElementNumberOfChannels"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?|[+-]?(nan|inf)", re.IGNORECASE)


def meta_image_payload(path: Path, head: bytes) -> Payload:
    """Read what the start of a MetaImage file announces.

    Raises:
        InputError: no MetaImage, voxels in another file, a rare encoding, or a damaged header.
    """
    fields, offset = _fields(path, head)
    _check(path, fields)
    size = whole_numbers(fields["DimSize"])
    if 0 in size:
        raise _damaged(path, f"DimSize = {fields['DimSize']}", "positive numbers of voxels")
    spacing = fields.get("ElementSpacing", fields.get("ElementSize", "1 " * int(fields["NDims"])))
    check_spacing(path, [float(text) for text in spacing.split()])
    if fields["ElementDataFile"] != "LOCAL":
        raise InputError(
            found=f"MetaImage voxels that lie elsewhere ({fields['ElementDataFile'][:80]})",
            expected="them in the file itself",
            action="save the volume as one .mha file",
            path=path,
        )
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    packed = fields.get("CompressedData", "False").lower() == "true"
    needed = math.prod(size) * _voxel_bytes(path, fields) * channels
    return Payload(size, needed, offset, "zlib" if packed else "raw")


def _voxel_bytes(path: Path, fields: dict[str, str]) -> int:
    known = _BYTES.get(fields["ElementType"])
    binary = fields.get("BinaryData", "True").lower() == "true"
    if known is None or not binary or fields.get("HeaderSize", "0") != "0":
        raise InputError(
            found=f"a MetaImage of {fields['ElementType'][:80]} voxels in a rare encoding",
            expected="binary whole or floating numbers",
            action="save the volume again, for example with 3D Slicer",
            path=path,
        )
    return known


def _fields(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """Return the fields of a header, and the place of the first byte after them."""
    if not re.match(rb"\s*[A-Za-z]+ *=", head):
        raise wrong_type(path, "no MetaImage header", "a .mha image")
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


def _damaged(path: Path, found: str, expected: str) -> InputError:
    shown = found.encode("unicode_escape").decode()
    return damaged_header(path, f"{shown} in the MetaImage header", expected)


def _are_numbers(text: str, count: int, whole: bool) -> bool:
    parts = text.split()
    known = [p.isdecimal() and len(p) < 19 if whole else _NUMBER.fullmatch(p) for p in parts]
    return len(parts) == count and all(known)
