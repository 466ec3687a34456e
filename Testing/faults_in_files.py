"""Faults 1 to 10: files that are no whole image."""

import gzip
import os
import struct
import zlib

from fault_table import fault


@fault(
    1, "a path where nothing is", 2, "{t2}: found no such file, expected an image; check the path."
)
def missing(inputs):
    inputs.paths["t2"].unlink()


@fault(
    1,
    "a folder of cases where nothing is",
    2,
    "{ROOT}/none: found no such folder, expected one with BraTS cases; check the path.",
)
def missing_folder(inputs):
    return ["segment", str(inputs.root / "none"), "--output", str(inputs.output)]


@fault(
    2,
    "a folder instead of a file",
    2,
    "{t2}: found a folder without DICOM files, expected a volume file, or a folder with one DICOM "
    "series; name the file.",
)
def directory(inputs):
    inputs.paths["t2"] = inputs.folder


@fault(
    2,
    "a pipe instead of a file",
    2,
    "{t2}: found a device or pipe, expected an image file; name a plain file.",
)
def pipe(inputs):
    inputs.paths["t2"] = inputs.folder / "pipe.nii.gz"
    os.mkfifo(inputs.paths["t2"])


@fault(
    3, "an empty file", 2, "{t2}: found an empty file, expected an image; copy or export it again."
)
def empty(inputs):
    inputs.put("t2", b"")


@fault(
    4,
    ".nii.gz cut to half",
    2,
    "{t2}: found data that is truncated or damaged (Compressed file ended before the end-of-stream "
    "marker was reached), expected a whole file; download or copy it again.",
)
def truncated_nifti(inputs):
    content = inputs.paths["t2"].read_bytes()
    inputs.put("t2", content[: len(content) // 2])


@fault(
    4,
    ".nii.gz without its last 3 bytes",
    2,
    "{t2}: found data that is truncated or damaged (Compressed file ended before the end-of-stream "
    "marker was reached), expected a whole file; download or copy it again.",
)
def nearly_whole_nifti(inputs):
    inputs.put("t2", inputs.paths["t2"].read_bytes()[:-3])


@fault(
    4,
    ".nii cut by one voxel",
    2,
    "{t2}: found 89596 bytes of voxels, expected the 89600 that its header announces; copy the "
    "file again, it is truncated or damaged.",
)
def truncated_plain_nifti(inputs):
    inputs.put("t2", gzip.decompress(inputs.paths["t2"].read_bytes())[:-4], "t2.nii")


@fault(
    5,
    ".mha cut to half",
    2,
    "{t2}: found 44227 bytes of voxels, expected the 89600 that its header announces; copy the "
    "file again, it is truncated or damaged.",
)
def truncated_mha(inputs):
    path = inputs.write("t2", inputs.image("t2"), "t2.mha")
    inputs.put("t2", path.read_bytes()[: path.stat().st_size // 2], "t2.mha")


@fault(
    6,
    "one flipped byte in .nii.gz",
    2,
    "{t2}: found data that is truncated or damaged (CRC check failed), expected a whole file; "
    "download or copy it again.",
)
def flipped_byte(inputs):
    stored = gzip.compress(gzip.decompress(inputs.paths["t2"].read_bytes()), compresslevel=0)
    content = bytearray(stored)
    content[len(content) // 2] ^= 1
    inputs.put("t2", bytes(content))


@fault(
    6,
    "one flipped byte in compressed .mha",
    2,
    "{t2}: found data that is truncated or damaged (CRC check failed), expected a whole file; "
    "download or copy it again.",
)
def flipped_byte_mha(inputs):
    path = inputs.write("t2", inputs.image("t2"), "t2.mha")
    head, mark, voxels = path.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    stored = zlib.compress(voxels, level=0)
    size = b"CompressedData = True\nCompressedDataSize = %d" % len(stored)
    content = bytearray(head.replace(b"CompressedData = False", size) + mark + stored)
    content[-len(stored) // 2] ^= 1
    inputs.put("t2", bytes(content), "t2.mha")


@fault(
    7,
    ".mha named .nii.gz",
    2,
    "{t2}: found no gzip data, expected a .nii.gz file; check that the extension tells the true "
    "type, or copy it again.",
)
def mha_named_nifti(inputs):
    path = inputs.write("t2", inputs.image("t2"), "t2.mha")
    inputs.put("t2", path.read_bytes(), "t2.nii.gz")


@fault(
    7,
    ".nii.gz named .nii",
    2,
    "{t2}: found no NIfTI header in its first 544 bytes, expected a NIfTI image; check that the "
    "extension tells the true type, or copy it again.",
)
def gzip_named_nii(inputs):
    inputs.put("t2", inputs.paths["t2"].read_bytes(), "t2.nii")


@fault(
    7,
    "no extension",
    2,
    "{t2}: found an unknown file type, expected .nii, .nii.gz, .mha or .nrrd; convert it.",
)
def no_extension(inputs):
    inputs.put("t2", inputs.paths["t2"].read_bytes(), "t2")


@fault(
    8,
    "a header with more rows than the file",
    2,
    "{t2}: found 89600 bytes of voxels, expected the 896000 that its header announces; copy the "
    "file again, it is truncated or damaged.",
)
def larger_header(inputs):
    content = bytearray(gzip.decompress(inputs.paths["t2"].read_bytes()))
    struct.pack_into("<h", content, 44, 400)
    inputs.put("t2", bytes(content), "t2.nii")


@fault(
    9,
    "a header that announces 32000 x 32000 x 32000 voxels",
    2,
    "{t2}: found a header that announces 32000x32000x32000 voxels, expected a head volume of at "
    "most 536870912 voxels; copy or export the file again, its header is damaged.",
)
def huge_header(inputs):
    content = bytearray(gzip.decompress(inputs.paths["t2"].read_bytes()))
    struct.pack_into("<3h", content, 42, 32000, 32000, 32000)
    inputs.put("t2", gzip.compress(bytes(content)))


@fault(
    10,
    ".mhd without its .raw",
    2,
    "{t2}: found no file t2.raw beside it, which has the voxels, expected both files; copy them "
    "together.",
)
def detached_without_voxels(inputs):
    inputs.write("t2", inputs.image("t2"), "t2.mhd")
    (inputs.folder / "t2.raw").unlink()


@fault(
    10,
    ".mha that names a file beside it, which is missing",
    2,
    "{t2}: found no file t2.raw beside it, which has the voxels, expected both files; copy them "
    "together.",
)
def detached_mha(inputs):
    header = ("ObjectType = Image", "NDims = 3", "DimSize = 40 40 14", "ElementType = MET_FLOAT")
    text = "\n".join((*header, "ElementDataFile = t2.raw\n"))
    inputs.put("t2", text.encode(), "t2.mha")


@fault(
    10,
    ".nrrd that names a file beside it, which is missing",
    2,
    "{t2}: found no file t2.raw beside it, which has the voxels, expected both files; copy them "
    "together.",
)
def detached_nrrd(inputs):
    header = ("NRRD0004", "type: float", "dimension: 3", "sizes: 40 40 14", "encoding: raw")
    rest = ("endian: little", "data file: t2.raw\n\n")
    inputs.put("t2", "\n".join((*header, *rest)).encode(), "t2.nrrd")


@fault(
    6,
    "a spoilt number in the header of a .mha",
    2,
    "{t2}: found NDims = 99999999999999999999 3 in the MetaImage header, expected 2, 3 or 4; "
    "copy or export the file again, its header is damaged.",
)
def spoilt_number(inputs):
    path = inputs.write("t2", inputs.image("t2"), "t2.mha")
    content = path.read_bytes().replace(b"NDims = 3", b"NDims = 99999999999999999999 3")
    inputs.put("t2", content, "t2.mha")
