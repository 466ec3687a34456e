"""What the header of a volume file announces: how many bytes of voxels, where, and how packed.

Hand-written because ITK believes any header; here each is compared with what can be true.
"""

import math
from pathlib import Path
from typing import Literal

import numpy as np

from scripted_models.errors import InputError
from scripted_models.images.meta_image import meta_image_payload
from scripted_models.images.nifti import (
    DATATYPES,
    FIRST_VOXEL,
    HEADER_BYTES,
    NiftiHeader,
    open_nifti,
)
from scripted_models.images.nrrd import nrrd_payload
from scripted_models.images.payload import Payload, check_spacing, damaged_header, wrong_type

_TEXT_HEADER_BYTES = 1 << 16


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
    return meta_image_payload(path, head) if extension == ".mha" else nrrd_payload(path, head)


def _nifti_payload(path: Path, packing: Literal["raw", "file"]) -> Payload:
    with open_nifti(path) as stream:
        content = stream.read(HEADER_BYTES)
    header = NiftiHeader.parse(content)
    if header is None:
        first = "first " if len(content) > 347 else ""
        found = f"no NIfTI header in its {first}{len(content)} bytes"
        raise wrong_type(path, found, "a NIfTI image")
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
        found = f"the NIfTI size {dim.tolist()}"
        raise damaged_header(path, found, "positive numbers of voxels")
    if not FIRST_VOXEL[header.version] <= offset < 2**40:
        found = f"a NIfTI header that puts the first voxel at byte {offset:g}"
        raise damaged_header(path, found, f"{FIRST_VOXEL[header.version]} or more")


def _check_nifti_geometry(path: Path, header: NiftiHeader) -> None:
    fields = header.fields
    along = [i for i, n in enumerate(header.size[:3], 1) if n > 1]
    check_spacing(path, fields["pixdim"][along])
    placed = [("sform_code", "sform"), ("qform_code", "quaternion")]
    if any(fields[code] > 0 and not np.isfinite(fields[name]).all() for code, name in placed):
        raise InputError(
            found="an orientation or origin that is NaN or infinite",
            expected="numbers",
            action="repair the header or export the volume again",
            path=path,
        )
