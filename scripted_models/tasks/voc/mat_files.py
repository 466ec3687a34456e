"""A field of a struct in a MATLAB file, every size checked.

Scipy's reader crashes on some damaged files; the label maps of SBD are such fields. Source: The
MathWorks, "MAT-file format", level 5.
"""

import math
import struct
import zlib

import numpy as np

MAX_BYTES = 1 << 26  # of a variable, decompressed; a label map of SBD has less than 2**18 pixels
_HEADER_BYTES = 128
_NUMBERS = dict(
    zip(
        (1, 2, 3, 4, 5, 6, 7, 9, 12, 13),
        ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "i8", "u8"],
        strict=True,
    )
)
_MATRIX, _COMPRESSED = 14, 15  # types of elements
_STRUCT = 2  # class of a matrix
_NUMERIC = range(6, 16)

Element = tuple[int, memoryview]  # type and data


def read_struct_field(content: bytes, variable: str, field: str) -> np.ndarray:
    """Return a numeric field of a struct.

    Args:
        content: of a level 5 file.
        variable: name of the struct.
        field: name of its field.

    Raises:
        ValueError: another kind of file, no such variable or field, or damaged.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[_HEADER_BYTES - 2 : _HEADER_BYTES])
    if order is None:
        raise ValueError("no MATLAB file of level 5")
    for element in _elements(memoryview(content)[_HEADER_BYTES:], order):
        kind, size, name, parts = _matrix(_decompressed(element, order), order)
        if name == variable and kind == _STRUCT and len(parts) > 2:
            length = int(_numbers(parts[0], order)[0])
            names = bytes(parts[1][1])
            starts = range(0, len(names), max(length, 1))
            fields = [names[i : i + length].split(b"\0")[0].decode("latin-1") for i in starts]
            if field not in fields or math.prod(size) != 1 or len(parts) != 2 + len(fields):
                raise ValueError(f"no field {field} of one struct, its fields are {fields}"[:200])
            kind, size, _, parts = _matrix(parts[2 + fields.index(field)], order)
            values = _numbers(parts[0], order) if parts and kind in _NUMERIC else np.zeros(0)
            if values.size != math.prod(size):
                raise ValueError(f"{values.size} numbers in a matrix of size {size}")
            return values.reshape(size, order="F")
    raise ValueError(f"no struct {variable}")


def _elements(content: memoryview, order: str) -> list[Element]:
    """Split content into its elements; data of at most 4 bytes lie inside the tag."""
    found, place = [], 0
    while place + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        small = kind >> 16
        first = place + (4 if small else 8)
        size, kind = (small, kind & 0xFFFF) if small else (size, kind)
        if first + size > (place + 8 if small else len(content)):
            raise ValueError(f"an element of {size} bytes where fewer are left")
        found.append((kind, content[first : first + size]))
        padding = 0 if kind == _COMPRESSED else -size % 8
        place = place + 8 if small else first + size + padding
    return found


def _decompressed(element: Element, order: str) -> Element:
    if element[0] != _COMPRESSED:
        return element
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(element[1], MAX_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if inflater.unconsumed_tail or not inflater.eof:
        raise ValueError(f"a variable that is cut off, or has more than {MAX_BYTES} bytes")
    return (_elements(memoryview(content), order) or [element])[0]


def _matrix(element: Element, order: str) -> tuple[int, tuple[int, ...], str, list[Element]]:
    """Return class, size, name and further elements of a matrix."""
    parts = _elements(element[1], order) if element[0] == _MATRIX else []
    if len(parts) < 3 or len(parts[0][1]) < 4:
        raise ValueError(f"an element of type {element[0]} that is no matrix")
    size = tuple(_numbers(parts[1], order).tolist())
    if len(size) < 2 or not all(0 <= n < MAX_BYTES for n in size):
        raise ValueError(f"a matrix of size {size}")
    (flags,) = struct.unpack_from(f"{order}I", parts[0][1])
    return flags & 0xFF, size, bytes(parts[2][1]).decode("latin-1"), parts[3:]


def _numbers(element: Element, order: str) -> np.ndarray:
    kind, data = element
    if kind not in _NUMBERS or len(data) % np.dtype(_NUMBERS[kind]).itemsize:
        raise ValueError(f"{len(data)} bytes of type {kind}, which are no numbers")
    values = np.frombuffer(data, order + _NUMBERS[kind])
    if not values.size:
        raise ValueError("an empty element")
    return values
