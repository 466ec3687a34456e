"""The header of an NRRD file.

Hand-written because ITK reads truncated NRRD files without a word; rare encodings are left to it.
"""

import math
from pathlib import Path
from typing import Literal

from scripted_models.errors import InputError
from scripted_models.images.payload import Payload, whole_numbers, wrong_type

_TYPES = {
    1: "signed char,int8,int8_t,uchar,unsigned char,uint8,uint8_t",
    2: "short,short int,signed short,signed short int,int16,int16_t,"
    "ushort,unsigned short,unsigned short int,uint16,uint16_t",
    4: "int,signed int,int32,int32_t,uint,unsigned int,uint32,uint32_t,float",
    8: "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t,"
    "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t,double",
}
_BYTES = {name: size for size, names in _TYPES.items() for name in names.split(",")}
_PACKINGS: dict[str, Literal["raw", "gzip"]] = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
_ELSEWHERE = {"data file", "datafile", "line skip", "lineskip", "byte skip", "byteskip"}


def nrrd_payload(path: Path, head: bytes) -> Payload | None:
    """Read what the start of an NRRD file announces; None where only ITK knows (rare encodings).

    Raises:
        InputError: no NRRD file, or voxels in another file.
    """
    if not head.startswith(b"NRRD000"):
        raise wrong_type(path, "no NRRD header", "a .nrrd image")
    fields: dict[str, str] = {}
    offset = 0
    for line in head.splitlines(keepends=True):
        offset += len(line)
        if not line.strip():
            break
        key, _, value = line.decode("latin-1").partition(":")
        fields[key.strip().lower()] = value.strip().lower()
    if named := _ELSEWHERE & set(fields):
        raise InputError(
            found=f"NRRD voxels that lie elsewhere ({', '.join(sorted(named))})",
            expected="them in the file itself",
            action="save the volume as one .nrrd file",
            path=path,
        )
    packing = _PACKINGS.get(fields.get("encoding", ""))
    item = _BYTES.get(fields.get("type", ""))
    size = whole_numbers(fields.get("sizes", ""))
    if packing is None or item is None or not size:
        return None
    return Payload(size, math.prod(size) * item, offset, packing)
