"""The header of a NIfTI or Analyze file: .nii, .nii.gz, and pairs of .hdr and .img.

Hand-written because ITK forgets the third coordinate of a slice, does not know NIfTI-2, and
chooses between contradictory fields without a word. nibabel would be one more package to install
in 3D Slicer. Layouts: nifti.nimh.nih.gov, nifti1.h and nifti2.h.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from scripted_models.errors import InputError, Problem
from scripted_models.images.compression import first_bytes
from scripted_models.images.nifti_forms import nifti_grid
from scripted_models.images.payload import (
    Payload,
    VolumeHeader,
    check_voxel_type,
    companion,
    damaged_header,
    type_words,
    volume_size,
    wrong_type,
)

Order = Literal["<", ">"]

# name: (type and offset in NIfTI-1, type and offset in NIfTI-2)
_FIELDS = {
    "dim": (("8i2", 40), ("8i8", 16)),
    "intent_code": (("i2", 68), ("i4", 504)),
    "datatype": (("i2", 70), ("i2", 12)),
    "pixdim": (("8f4", 76), ("8f8", 104)),
    "vox_offset": (("f4", 108), ("i8", 168)),
    "scl_slope": (("f4", 112), ("f8", 176)),
    "scl_inter": (("f4", 116), ("f8", 184)),
    "xyzt_units": (("u1", 123), ("i4", 500)),
    "qform_code": (("i2", 252), ("i4", 344)),
    "sform_code": (("i2", 254), ("i4", 348)),
    "quaternion": (("6f4", 256), ("6f8", 352)),
    "sform": (("12f4", 280), ("12f8", 400)),
    "magic": (("S4", 344), ("S4", 4)),
}
_SIZES = {1: 348, 2: 540}
_FIRST_VOXEL = {1: 352, 2: 544}  # at least 4 bytes after the header
_HEADER_BYTES = 544
_ORDERS: tuple[Order, ...] = ("<", ">")

# NIfTI datatype -> NumPy type
_TYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
_OTHER_TYPES = {
    1: "1-bit",
    32: "complex of 32-bit float",
    128: "RGB",
    1536: "128-bit float",
    1792: "complex of 64-bit float",
    2048: "complex of 128-bit float",
    2304: "RGBA",
}
_MOST_SCALE = 1e12  # beyond it gray values get lost in 32-bit float
_VECTORS = {1006, 1007, 1008, 1011, 2003, 2004}  # intents: vectors, points, quaternions, colors


@dataclass(frozen=True)
class NiftiFields:
    """The fields of a header that matter for reading.

    Attributes:
        version: 1 or 2.
        order: byte order, "<" or ">".
        fields: record with the names of the standard; "quaternion" holds b, c, d and the offsets,
            "sform" the three rows.
    """

    version: int
    order: Order
    fields: np.void

    @classmethod
    def parse(cls, content: bytes) -> "NiftiFields | None":
        """Return the header at the start of a decompressed file, None when it is no NIfTI file."""
        for version, size in _SIZES.items():
            for order in _ORDERS:
                if content[:4] == struct.pack(order + "i", size) and len(content) >= size:
                    record = np.frombuffer(content, _record(version, order), 1)[0]
                    return cls(version, order, record)
        return None

    @property
    def magic(self) -> str:
        """What the header says it is: n+1 or n+2 in one file, ni1 or ni2 with another, or ''."""
        magic = self.fields["magic"].decode("latin-1")
        return magic if magic in (f"n+{self.version}", f"ni{self.version}") else ""

    @property
    def size(self) -> tuple[int, ...]:
        """Number of voxels along each stated dimension."""
        return tuple(self.fields["dim"][1 : 1 + int(self.fields["dim"][0])].tolist())


def nifti_header(path: Path, extension: str) -> VolumeHeader:
    """Read and judge the header of a NIfTI or Analyze file.

    Args:
        path: the file with the header.
        extension: .nii, .nii.gz or .hdr.

    Raises:
        InputError: no such file, voxels that are not one number each, or a damaged header.
        OSError, EOFError, zlib.error: the file cannot be read or decompressed.
    """
    content = first_bytes(path, _HEADER_BYTES, packed=extension == ".nii.gz")
    header = NiftiFields.parse(content)
    if header is None:
        first = "first " if len(content) > 347 else ""
        found = f"no NIfTI header in its {first}{len(content)} bytes"
        raise wrong_type(path, found, "a NIfTI image")
    pair = extension == ".hdr"
    _check_magic(path, header, pair)
    kind = _voxel_type(path, header)
    size = _size(path, header, kind)
    offset = _first_voxel(path, header, pair)
    data = companion(path, _image_name(path)) if pair else path
    needed = math.prod(size) * kind.itemsize
    payload = Payload(data, offset, "file" if extension == ".nii.gz" else "raw", kind, needed)
    fields = header.fields if header.magic else None
    grid, doubts = nifti_grid(path, size, header.fields, analyze=not header.magic)
    scale, about_scale = _scale(path, fields)
    return VolumeHeader(size, payload, grid, 1, scale, (*doubts, *about_scale))


def _record(version: int, order: Order) -> np.dtype:
    columns = [fields[version - 1] for fields in _FIELDS.values()]
    return np.dtype(
        {
            "names": list(_FIELDS),
            "formats": [kind for kind, _ in columns],
            "offsets": [offset for _, offset in columns],
            "itemsize": _SIZES[version],
        }
    ).newbyteorder(order)


def _check_magic(path: Path, header: NiftiFields, pair: bool) -> None:
    """An Analyze header has none of these marks, and is only known beside its .img file."""
    if pair and header.magic[:2] != "n+":
        return
    if not pair and header.magic[:2] == "n+":
        return
    if header.magic:
        found = "a NIfTI header whose voxels lie in " + ("its own" if pair else "an .img") + " file"
        raise wrong_type(path, found, ".hdr with .img" if pair else "header and voxels together")
    mark = f"n+{header.version}"
    raise wrong_type(path, f"no mark '{mark}' in its header", "a NIfTI image")


def _voxel_type(path: Path, header: NiftiFields) -> np.dtype:
    code = int(header.fields["datatype"])
    if code in _OTHER_TYPES:
        check_voxel_type(path, _OTHER_TYPES[code])
    if code not in _TYPES:
        raise InputError(
            found=f"NIfTI voxel type {_OTHER_TYPES.get(code, code)}",
            expected="whole or floating numbers",
            action="convert the volume, for example to 32-bit float",
            path=path,
        )
    return np.dtype(_TYPES[code]).newbyteorder(header.order)


def _size(path: Path, header: NiftiFields, kind: np.dtype) -> tuple[int, ...]:
    dim = header.fields["dim"]
    if not 1 <= dim[0] <= 7 or min(header.size) < 1:
        found = f"the NIfTI size {dim.tolist()}"
        raise damaged_header(path, found, "positive numbers of voxels")
    size = volume_size(header.size)
    if len(size) == 5 and size[3] == 1 and int(header.fields["intent_code"]) in _VECTORS:
        check_voxel_type(path, type_words(kind), size[4])
    return size


def _first_voxel(path: Path, header: NiftiFields, pair: bool) -> int:
    least, offset = 0 if pair else _FIRST_VOXEL[header.version], float(header.fields["vox_offset"])
    if not least <= offset < 2**40 or offset != int(offset):
        found = f"a NIfTI header that puts the first voxel at byte {offset:g}"
        raise damaged_header(path, found, f"{least} or more")
    return int(offset)


def _image_name(path: Path) -> str:
    """Return the name of the file with the voxels, with the capitals of the header's."""
    ending = path.name[-3:]
    return path.name[:-3] + ("IMG" if ending.isupper() else "img")


def _scale(path: Path, fields: np.void | None) -> tuple[tuple[float, float] | None, list[Problem]]:
    """Return slope and intercept of the gray values; Analyze has none."""
    if fields is None:
        return None, []
    slope, inter = float(fields["scl_slope"]), float(fields["scl_inter"])
    stated = math.isfinite(slope) and math.isfinite(inter) and slope
    if stated and not (1 / _MOST_SCALE < abs(slope) < _MOST_SCALE and abs(inter) < _MOST_SCALE):
        found = f"a gray value scale of {slope:g} and {inter:g} (scl_slope, scl_inter)"
        raise damaged_header(path, found, f"numbers up to {_MOST_SCALE:g}")
    if stated:
        return ((slope, inter) if (slope, inter) != (1, 0) else None), []
    if slope == 0 and inter == 0:
        return None, []
    doubt = Problem(
        found=f"a gray value scale of {slope:g} and {inter:g} (scl_slope, scl_inter)",
        expected="numbers and a slope other than 0",
        action="nothing is to be done, the stored numbers are used, as the NIfTI standard says",
    )
    return None, [doubt]
