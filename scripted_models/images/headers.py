"""What the header of a volume file announces: how many bytes of voxels, where, and how packed."""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripted_models.errors import InputError
from scripted_models.images.nifti import (
    DATATYPES,
    FIRST_VOXEL,
    HEADER_BYTES,
    NiftiHeader,
    open_nifti,
)

_TEXT_HEADER_BYTES = 1 << 16

_META_TYPES = {
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
_META_NUMBERS = {
    "DimSize": 1, "ElementSpacing": 1, "ElementSize": 1, "Offset": 1, "Position": 1, "Origin": 1,
    "CenterOfRotation": 1, "TransformMatrix": 2, "Rotation": 2, "Orientation": 2,
    "CompressedDataSize": 0, "ElementNumberOfChannels": 0,
}  # fmt: skip
_META_WHOLE = {"DimSize", "CompressedDataSize", "ElementNumberOfChannels"}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?|[+-]?(nan|inf)", re.IGNORECASE)
_NRRD_TYPES = {
    1: "signed char,int8,int8_t,uchar,unsigned char,uint8,uint8_t",
    2: "short,short int,signed short,signed short int,int16,int16_t,"
    "ushort,unsigned short,unsigned short int,uint16,uint16_t",
    4: "int,signed int,int32,int32_t,uint,unsigned int,uint32,uint32_t,float",
    8: "longlong,long long,long long int,signed long long,signed long long int,int64,int64_t,"
    "ulonglong,unsigned long long,unsigned long long int,uint64,uint64_t,double",
}
_NRRD_BYTES = {name: size for size, names in _NRRD_TYPES.items() for name in names.split(",")}


@dataclass(frozen=True)
class Payload:
    """Where the voxels of a file lie.

    Attributes:
        size: voxels along each dimension.
        bytes_needed: bytes of voxels, decompressed.
        offset: their first byte; for 'file' in the decompressed file.
        packing: 'raw', 'zlib' (voxels only), 'gzip' (voxels only) or 'file' (the whole file is gzipped).
        float_type: NumPy type whose NaN ITK would hide, else empty.
    """

    size: tuple[int, ...]
    bytes_needed: int
    offset: int
    packing: str
    float_type: str = ""


def read_payload(path: Path, extension: str) -> Payload | None:
    """Read the announcement of a header; None where only ITK knows (rare encodings of NRRD).

    Raises:
        InputError: the file is not of the type of its extension, or the header cannot be true.
        OSError, EOFError, zlib.error: the file cannot be read or decompressed.
    """
    if extension in (".nii", ".nii.gz"):
        return _nifti_payload(path, "file" if extension == ".nii.gz" else "raw")
    with path.open("rb") as stream:
        head = stream.read(_TEXT_HEADER_BYTES)
    return _meta_payload(path, head) if extension == ".mha" else _nrrd_payload(path, head)


def _nifti_payload(path: Path, packing: str) -> Payload:
    with open_nifti(path) as stream:
        content = stream.read(HEADER_BYTES)
    header = NiftiHeader.parse(content)
    if header is None:
        raise InputError(
            found=f"no NIfTI header in its {('first ' if len(content) > 347 else '')}{len(content)} bytes",
            expected="a NIfTI image",
            action="check that the extension tells the true type, or copy it again",
            path=path,
        )
    fields, known = header.fields, DATATYPES.get(int(header.fields["datatype"]))
    if known is None:
        raise InputError(
            found=f"NIfTI voxel type {fields['datatype']}",
            expected="whole or floating numbers",
            action="convert the volume, for example to 32-bit float",
            path=path,
        )
    _check_nifti_size(path, header)
    _check_nifti_geometry(path, header)
    item_bytes, kind = known
    float_type = header.order + kind if kind[0] == "f" else ""
    needed = math.prod(header.size) * item_bytes
    return Payload(header.size, needed, int(fields["vox_offset"]), packing, float_type)


def _check_nifti_size(path: Path, header: NiftiHeader) -> None:
    dim, offset = header.fields["dim"], float(header.fields["vox_offset"])
    if not 1 <= dim[0] <= 7 or min(header.size) < 1:
        raise InputError(
            found=f"the NIfTI size {dim.tolist()}",
            expected="positive numbers of voxels",
            action="the header is damaged, copy or export the file again",
            path=path,
        )
    if not FIRST_VOXEL[header.version] <= offset < 2**40:
        raise InputError(
            found=f"a NIfTI header that puts the first voxel at byte {offset:g}",
            expected=f"{FIRST_VOXEL[header.version]} or more",
            action="the header is damaged, copy or export the file again",
            path=path,
        )


def _check_nifti_geometry(path: Path, header: NiftiHeader) -> None:
    fields = header.fields
    along = [i for i, n in enumerate(header.size[:3], 1) if n > 1]
    _check_spacing(path, fields["pixdim"][along])
    placed = [("sform_code", "sform"), ("qform_code", "quaternion")]
    if any(fields[code] > 0 and not np.isfinite(fields[name]).all() for code, name in placed):
        raise InputError(
            found="an orientation or origin that is NaN or infinite",
            expected="numbers",
            action="repair the header or export the volume again",
            path=path,
        )


def _check_spacing(path: Path, spacing) -> None:
    """Refuse spacing that ITK would fix by guessing (zero, NaN) or by mirroring the volume (negative)."""
    if not all(math.isfinite(s) and s > 0 for s in spacing):
        raise InputError(
            found=f"voxel spacing {' x '.join(f'{s:g}' for s in spacing)} mm",
            expected="positive numbers",
            action="repair the header or export the volume again",
            path=path,
        )


def _meta_payload(path: Path, head: bytes) -> Payload:
    fields, offset = _meta_fields(path, head)
    dimensions = int(fields["NDims"])
    if (size := _whole_numbers(fields["DimSize"])) and 0 in size:
        raise _meta_error(path, f"DimSize = {fields['DimSize']}", "positive numbers of voxels")
    spacing = fields.get("ElementSpacing", fields.get("ElementSize", "1 " * dimensions))
    _check_spacing(path, [float(text) for text in spacing.split()])
    if fields["ElementDataFile"] != "LOCAL":
        raise InputError(
            found=f"a MetaImage header whose voxels lie elsewhere ({fields['ElementDataFile'][:80]})",
            expected="them in the file itself",
            action="save the volume as one .mha file",
            path=path,
        )
    item = _META_TYPES.get(fields["ElementType"])
    binary = fields.get("BinaryData", "True").lower() == "true"
    if item is None or not binary or fields.get("HeaderSize", "0") != "0":
        raise InputError(
            found=f"a MetaImage of {fields['ElementType'][:80]} voxels in a rare encoding",
            expected="binary whole or floating numbers",
            action="save the volume again, for example with 3D Slicer",
            path=path,
        )
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    packing = "zlib" if fields.get("CompressedData", "False").lower() == "true" else "raw"
    return Payload(size, math.prod(size) * item * channels, offset, packing)


def _meta_fields(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """Read a MetaImage header; all that ITK would misread without a word, or crash on, is refused.

    Returns:
        The fields, and the place of the first byte after them.
    """
    if not re.match(rb"\s*[A-Za-z]+ *=", head):
        raise InputError(
            found="no MetaImage header",
            expected="a .mha image",
            action="check that the extension tells the true type, or copy it again",
            path=path,
        )
    fields, offset = {}, 0
    for line in head.splitlines(keepends=True):
        offset += len(line)
        text = line.decode("latin-1").strip()
        key, sign, value = (part.strip() for part in text.partition("="))
        if not text:
            continue
        if not sign or not 0 < len(key) < 100 or len(value) > 4000 or key in fields:
            raise _meta_error(path, f"the line '{text[:80]}'", "one line KEY = VALUE for each key")
        fields[key] = value
        if key == "ElementDataFile":
            break
    missing = {"NDims", "DimSize", "ElementType", "ElementDataFile"} - set(fields)
    if missing:
        raise _meta_error(path, f"no {', '.join(sorted(missing))}", "them in the header")
    if fields["NDims"] not in ("2", "3", "4"):
        raise _meta_error(path, f"NDims = {fields['NDims'][:80]}", "2, 3 or 4")
    for key, power in _META_NUMBERS.items():
        count = int(fields["NDims"]) ** power
        if key in fields and not _are_numbers(fields[key], count, whole=key in _META_WHOLE):
            kind = "whole numbers" if key in _META_WHOLE else "numbers"
            raise _meta_error(path, f"{key} = {fields[key][:80]}", f"{count} {kind}")
    return fields, offset


def _meta_error(path: Path, found: str, expected: str) -> InputError:
    shown = found.encode("unicode_escape").decode()
    return InputError(
        found=f"{shown} in the MetaImage header",
        expected=expected,
        action="the header is damaged, copy or export the file again",
        path=path,
    )


def _are_numbers(text: str, count: int, whole: bool) -> bool:
    parts = text.split()
    known = [p.isdecimal() and len(p) < 19 if whole else _NUMBER.fullmatch(p) for p in parts]
    return len(parts) == count and all(known)


def _nrrd_payload(path: Path, head: bytes) -> Payload | None:
    if not head.startswith(b"NRRD000"):
        raise InputError(
            found="no NRRD header",
            expected="a .nrrd image",
            action="check that the extension tells the true type, or copy it again",
            path=path,
        )
    fields, offset = {}, 0
    for line in head.splitlines(keepends=True):
        offset += len(line)
        if not line.strip():
            break
        key, _, value = line.decode("latin-1").partition(":")
        fields[key.strip().lower()] = value.strip().lower()
    encodings = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
    packing = encodings.get(fields.get("encoding", ""))
    elsewhere = {"data file", "datafile", "line skip", "lineskip", "byte skip", "byteskip"}
    if named := elsewhere & set(fields):
        raise InputError(
            found=f"an NRRD header whose voxels lie elsewhere ({', '.join(sorted(named))})",
            expected="them in the file itself",
            action="save the volume as one .nrrd file",
            path=path,
        )
    item = _NRRD_BYTES.get(fields.get("type", ""))
    size = _whole_numbers(fields.get("sizes", ""))
    if packing is None or item is None or not size:
        return None
    return Payload(size, math.prod(size) * item, offset, packing)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _whole_numbers(text: str) -> tuple[int, ...]:
    parts = text.split()
    return tuple(int(p) for p in parts) if parts and all(p.isdecimal() for p in parts) else ()
