"""The header of a NIfTI file, and a copy of files that ITK misplaces or cannot read.

ITK forgets the third coordinate of a 2-D NIfTI slice and does not know NIfTI-2. Both are offered
to it as NIfTI-1 volumes. Hand-written because nibabel would be one more package to install in
3D Slicer for these two. Layouts: nifti.nimh.nih.gov, nifti1.h and nifti2.h.
"""

import gzip
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import SimpleITK as sitk

Order = Literal["<", ">"]

# name: (type and offset in NIfTI-1, type and offset in NIfTI-2)
_FIELDS = {
    "dim": (("8i2", 40), ("8i8", 16)),
    "datatype": (("i2", 70), ("i2", 12)),
    "bitpix": (("i2", 72), ("i2", 14)),
    "pixdim": (("8f4", 76), ("8f8", 104)),
    "vox_offset": (("f4", 108), ("i8", 168)),
    "scl_slope": (("f4", 112), ("f8", 176)),
    "scl_inter": (("f4", 116), ("f8", 184)),
    "xyzt_units": (("u1", 123), ("i4", 500)),
    "qform_code": (("i2", 252), ("i4", 344)),
    "sform_code": (("i2", 254), ("i4", 348)),
    "quaternion": (("6f4", 256), ("6f8", 352)),
    "sform": (("12f4", 280), ("12f8", 400)),
}
_SIZES = {1: 348, 2: 540}
FIRST_VOXEL = {1: 352, 2: 544}  # at least 4 bytes after the header
HEADER_BYTES = 544
_ORDERS: tuple[Order, ...] = ("<", ">")

# NIfTI datatype -> (bytes, NumPy type of its parts)
DATATYPES = {
    2: (1, "u1"),
    4: (2, "i2"),
    8: (4, "i4"),
    16: (4, "f4"),
    32: (8, "f4"),
    64: (8, "f8"),
    128: (3, "u1"),
    256: (1, "i1"),
    512: (2, "u2"),
    768: (4, "u4"),
    1024: (8, "i8"),
    1280: (8, "u8"),
    1792: (16, "f8"),
    2304: (4, "u1"),
}


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


@dataclass(frozen=True)
class NiftiHeader:
    """The fields that matter for reading.

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
    def parse(cls, content: bytes) -> "NiftiHeader | None":
        """Return the header at the start of a decompressed file, None when it is no NIfTI file."""
        for version, size in _SIZES.items():
            for order in _ORDERS:
                if content[:4] == struct.pack(order + "i", size) and len(content) >= size:
                    record = np.frombuffer(content, _record(version, order), 1)[0]
                    return cls(version, order, record)
        return None

    @property
    def size(self) -> tuple[int, ...]:
        """Number of voxels along each stated dimension."""
        return tuple(self.fields["dim"][1 : 1 + int(self.fields["dim"][0])].tolist())

    @property
    def forms_apart_mm(self) -> float:
        """How far apart q-form and s-form put a corner; 0 where only one is stated."""
        fields = self.fields
        if not (fields["qform_code"] > 0 and fields["sform_code"] > 0):
            return 0.0
        offset = fields["quaternion"][3:].astype(float)
        versor = fields["quaternion"][:3].astype(float)
        versor /= max(1.0, float(np.linalg.norm(versor)))
        rotation = sitk.VersorTransform([*versor, np.sqrt(max(0.0, 1.0 - versor @ versor))])
        spacing = fields["pixdim"][1:4] * (1, 1, -1 if fields["pixdim"][0] < 0 else 1)
        qform = np.reshape(rotation.GetMatrix(), (3, 3)) * spacing
        sform = fields["sform"].astype(float).reshape(3, 4)
        last = [n - 1 for n in (*self.size, 1, 1)[:3]]
        corners = np.array(list(product(*((0, end) for end in last)))).T
        apart = (qform - sform[:, :3]) @ corners + (offset - sform[:, 3])[:, np.newaxis]
        return float(np.linalg.norm(apart, axis=0).max())

    @property
    def needs_copy(self) -> bool:
        """True for files that ITK reads wrongly or not at all: 2-D slices and NIfTI-2."""
        return self.version == 2 or len(self.size) == 2

    def as_nifti1_volume(self) -> bytes:
        """Return 352 bytes of a NIfTI-1 header for the same voxels, at least three dimensions."""
        record = np.zeros(1, _record(1, self.order))
        for name in _FIELDS:
            record[name] = self.fields[name]
        if len(self.size) == 2:
            record["dim"][0, [0, 3]] = 3, 1
            if not record["pixdim"][0, 3] > 0:
                record["pixdim"][0, 3] = 1.0
        record["vox_offset"] = FIRST_VOXEL[1]
        content = bytearray(record.tobytes() + bytes(4))
        content[:4] = struct.pack(self.order + "i", _SIZES[1])
        content[344:348] = b"n+1\0"
        return bytes(content)


def open_nifti(path: Path) -> BufferedIOBase:
    """Open a .nii or .nii.gz file for reading its decompressed bytes."""
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")


def forms_apart_mm(path: Path) -> float:
    """Return `NiftiHeader.forms_apart_mm` of a file, 0 for files of other kinds."""
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return 0.0
    with open_nifti(path) as source:
        header = NiftiHeader.parse(source.read(HEADER_BYTES))
    return header.forms_apart_mm if header else 0.0


@contextmanager
def readable_by_itk(path: Path) -> Iterator[Path]:
    """Give the path of a file that ITK reads rightly: the file itself, or a copy for a moment."""
    with open_nifti(path) as source:
        header = NiftiHeader.parse(source.read(HEADER_BYTES))
        if header is None or not header.needs_copy:
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="scripted-models-") as folder:
            copy = Path(folder) / "volume.nii"
            with copy.open("wb") as target:
                target.write(header.as_nifti1_volume())
                source.seek(int(header.fields["vox_offset"]))
                shutil.copyfileobj(source, target)
            yield copy
