"""Faults 69 and 76: headers that leave something open, and what blamed the wrong thing."""

import gzip
import zlib

import numpy as np
import SimpleITK as sitk
from fault_table import GRID, NAMES, fault
from faults_in_geometry import regrid
from volume_fixtures import write_nifti

PIXDIM = (1, *GRID[0])
SFORM = ((-1, 0, 0, 20), (0, -1, 0, 20), (0, 0, 3, 10))
SLICER_AXES = (
    "expected a header that says where left and front are; check left and right in the result, "
    "the axes are taken as 3D Slicer does: x to the left, y to the back, z up."
)


def rewrite(inputs, names=NAMES, suffix=".nii", **fields):
    """Write inputs with NIfTI headers of our own making."""
    for name in names:
        array = sitk.GetArrayFromImage(inputs.image(name))
        fields = {"pixdim": PIXDIM, "sform": SFORM, **fields}
        inputs.paths[name].unlink()
        inputs.paths[name] = write_nifti(inputs.folder / f"{name}{suffix}", array, **fields)


def as_mha(inputs, name, packed=None, **changes):
    """Write an input as MetaImage; `packed` compresses its voxels."""
    array = sitk.GetArrayFromImage(inputs.image(name))
    path = inputs.write(name, inputs.image(name), f"{name}.mha")
    head = path.read_bytes()[: -array.nbytes].decode()
    for key, value in changes.items():
        lines = [line for line in head.splitlines() if not line.startswith(f"{key} =")]
        head = "\n".join([*lines[:-1], f"{key} = {value}", lines[-1], ""])
    data = array.tobytes()
    inputs.put(name, head.encode() + (packed(data) if packed else data), path.name)


@fault(
    69,
    "s-form of 2 mm and pixdim of 1 mm, all four",
    0,
    "case: t1, t1c, t2 and flair: found an s-form with voxels of 2 x 2 x 6 mm and a pixdim of 1 x "
    "1 x 3 mm, expected one voxel size in the NIfTI header; check the volumes in mL, the s-form "
    "is used, as in FSL and nibabel, 3D Slicer shows the other size.",
)
def two_sizes(inputs):
    rewrite(inputs, sform=((-2, 0, 0, 20), (0, -2, 0, 20), (0, 0, 6, 10)))


@fault(
    69,
    "neither q-form nor s-form, all four",
    0,
    f"case: t1, t1c, t2 and flair: found a NIfTI header with neither q-form nor s-form, "
    f"{SLICER_AXES}",
)
def no_form(inputs):
    rewrite(inputs, codes=(0, 0))


@fault(
    69,
    "q-form and s-form apart, the s-form not that of the scanner, all four",
    0,
    "case: t1, t1c, t2 and flair: found a q-form and an s-form that lie 10 mm apart, expected one "
    "place in the NIfTI header; check the result in your viewer, it is placed by the q-form, as in "
    "3D Slicer, FSL and nibabel take the s-form.",
)
def aligned_form(inputs):
    rewrite(inputs, codes=(1, 2), quaternion=(0, 0, 1, 30, 20, 10))


@fault(
    69,
    "a sheared s-form beside a q-form, all four",
    0,
    "case: t1, t1c, t2 and flair: found an s-form whose axes are not perpendicular beside a "
    "q-form, expected one place in the NIfTI header; check the result in your viewer, it is placed "
    "by the q-form, as in 3D Slicer.",
)
def affine_form(inputs):
    sform = ((-1, 0.2, 0, 20), (0, -1, 0, 20), (0, 0, 3, 10))
    rewrite(inputs, codes=(1, 2), sform=sform, quaternion=(0, 0, 1, 20, 20, 10))


@fault(
    69,
    "a q-form whose quaternion is too long",
    2,
    "{t2}: found a q-form whose quaternion has a length of 1.56, expected at most 1; copy or "
    "export the file again, its header is damaged.",
)
def long_quaternion(inputs):
    rewrite(inputs, ["t2"], codes=(1, 0), quaternion=(0.9, 0.9, 0.9, 0, 0, 0))


@fault(
    69,
    "a header in micrometers, all four",
    0,
    "case: t1, t1c, t2 and flair: found a NIfTI header in micrometers, expected millimeters; check "
    "the size of the head, its numbers are converted to millimeters, as in 3D Slicer.",
)
def micrometers(inputs):
    rewrite(
        inputs,
        units=3,
        pixdim=(1, 1000, 1000, 3000),
        sform=[[1000 * v for v in row] for row in SFORM],
    )


@fault(
    69,
    "a gray value scale that is no number",
    0,
    "case: t2: found a gray value scale of nan and 0 (scl_slope, scl_inter), expected numbers and "
    "a slope other than 0; nothing is to be done, the stored numbers are used, as the NIfTI "
    "standard says.",
)
def no_slope(inputs):
    rewrite(inputs, slope=float("nan"))
    rewrite(inputs, ["t1", "t1c", "flair"], slope=1)


@fault(
    69,
    "an Analyze pair, all four",
    0,
    "case: t1, t1c, t2 and flair: found an Analyze header, which does not say where left is, "
    f"{SLICER_AXES}",
)
def analyze(inputs):
    for name in NAMES:
        array = sitk.GetArrayFromImage(inputs.image(name))
        rewrite(inputs, [name], ".hdr", magic=b"\0\0\0\1", codes=(0, 0), offset=0)
        (inputs.folder / f"{name}.img").write_bytes(array.tobytes())


@fault(
    69,
    "twice the bytes that a MetaImage announces (MET_LONG for numbers of 8 bytes)",
    2,
    "{t2}: found 179200 bytes of voxels, expected the 89600 that its header announces; check the "
    "size and the type of the voxels in its header, or export it again.",
)
def met_long(inputs):
    as_mha(
        inputs,
        "t2",
        lambda data: np.frombuffer(data, "f4").astype("i8").tobytes(),
        ElementType="MET_LONG",
    )


@fault(
    69,
    "more bytes than a NIfTI header announces",
    2,
    "{t2}: found 94080 bytes of voxels, expected the 89600 that its header announces; check the "
    "size and the type of the voxels in its header, or export it again.",
)
def too_long(inputs):
    content = gzip.decompress(inputs.paths["t2"].read_bytes())
    inputs.put("t2", gzip.compress(content + content[-4480:-1] + b"\1"))


@fault(
    69,
    "a compressed MetaImage with a size of 0",
    0,
    "case: t2: found a CompressedDataSize of 0, expected the size of the compressed "
    "voxels; save the volume again for other programs, here all of it is read.",
)
def packed_without_size(inputs):
    as_mha(inputs, "t2", zlib.compress, CompressedData="True", CompressedDataSize="0")


@fault(
    69,
    "a compressed MetaImage of two streams",
    2,
    "{t2}: found 8 bytes after the end of its compressed data, expected none; unpack and pack it "
    "again, or copy it again.",
)
def two_streams(inputs):
    as_mha(
        inputs, "t2", lambda data: zlib.compress(data) + zlib.compress(b""), CompressedData="True"
    )


@fault(
    69,
    "two origins in a MetaImage",
    2,
    "{t2}: found different values of Offset and Position in the MetaImage header, expected one of "
    "them; copy or export the file again, its header is damaged.",
)
def two_origins(inputs):
    as_mha(inputs, "t2", Position="1 2 3")


@fault(
    76,
    "a shear of 2e-4 (s-form of NIfTI), all four",
    0,
    "case: t1, t1c, t2 and flair: found axes that are not quite perpendicular (corners 0.0055 mm "
    "off), expected an orthonormal direction; nothing is to be done, the nearest perpendicular "
    "axes are used.",
)
def slightly_sheared(inputs):
    rewrite(inputs, sform=((-1, 2e-4, 0, 20), (0, -1, 0, 20), (0, 0, 3, 10)))


@fault(
    76,
    "a spacing of 0.46875 mm written as 0.4688 mm",
    0,
    "case: t2: found a grid that lies 0.0028 mm aside, expected that of the others; nothing is to "
    "be done, up to 0.1 mm count as rounding of the header.",
)
def rounded_spacing(inputs):
    regrid(inputs, spacing=(0.46875, 0.46875, 3))
    regrid(inputs, ["t2"], spacing=(0.4688, 0.4688, 3))


@fault(
    76,
    "voxels of 100 mm, all four",
    2,
    "{t1}: found voxels of 100 x 100 x 300 mm, expected at most 20 mm; check the voxel size and "
    "its unit in the header.",
)
def huge_voxels(inputs):
    regrid(inputs, spacing=(100, 100, 300))


@fault(
    76,
    "other bytes after the end of a .nii.gz file",
    2,
    "{t2}: found 5 bytes after the end of its compressed data, expected none; unpack and pack it "
    "again, or copy it again.",
)
def tail(inputs):
    inputs.put("t2", inputs.paths["t2"].read_bytes() + b"<br/>")


@fault(76, "zeros after the end of a .nii.gz file", 0)
def padding(inputs):
    inputs.put("t2", inputs.paths["t2"].read_bytes() + bytes(1000))


@fault(76, "a MetaImage with HeaderSize = -1", 0)
def header_size(inputs):
    as_mha(inputs, "t2", HeaderSize="-1")


@fault(
    76,
    "a compressed MetaImage with HeaderSize = -1",
    2,
    "{t2}: found a MetaImage with HeaderSize = -1, expected 0; save the volume again, for example "
    "with 3D Slicer.",
)
def header_size_of_packed(inputs):
    as_mha(inputs, "t2", zlib.compress, CompressedData="True", HeaderSize="-1")


@fault(
    76,
    "a mask of 16 bits with 65535 for the brain",
    2,
    "{t2}: found only one value (65535) beside 0, as in a mask, expected an MRI sequence; choose "
    "another volume.",
)
def mask(inputs):
    inputs.change("t2", lambda array: (array > 0).astype(np.uint16) * np.uint16(65535))
