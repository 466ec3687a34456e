"""Faults 19 to 35: geometry."""

import struct

import numpy as np
import SimpleITK as sitk
from fault_table import GRID, NAMES, fault
from volume_fixtures import write_nifti


def regrid(inputs, names=NAMES, **fields):
    """Set spacing, origin or direction of inputs, in .nrrd files, which keep them exactly."""
    for name in names:
        image = inputs.image(name)
        for key, value in fields.items():
            getattr(image, f"Set{key.capitalize()}")(value)
        inputs.write(name, image, f"{name}.nrrd")


@fault(
    19,
    "axes that are not perpendicular (.mha)",
    2,
    "{t2}: found axes that are not perpendicular (sheared orientation, corners 15 mm off), "
    "expected an orthonormal direction to 0.5 mm; resample the volume onto a regular grid first.",
)
def sheared(inputs):
    path = inputs.write("t2", inputs.image("t2"), "t2.mha")
    content = path.read_bytes().replace(b"1 0 0 0 1 0 0 0 1", b"1 0 0 0.6 0.8 0 0 0 1")
    inputs.put("t2", content, "t2.mha")


@fault(
    19,
    "axes that are not perpendicular (s-form of NIfTI)",
    2,
    "{t2}: found axes that are not perpendicular (sheared orientation, corners 7.6 mm off), "
    "expected an orthonormal direction to 0.5 mm; resample the volume onto a regular grid first.",
)
def sheared_nifti(inputs):
    array = sitk.GetArrayFromImage(inputs.image("t2"))
    sform = ((1, 0.3, 0, 0), (0, 1, 0, 0), (0, 0, 3, 0))
    write_nifti(inputs.paths["t2"], array, pixdim=(1, 1, 1, 3), sform=sform)


@fault(20, "mirrored axes (determinant -1), all four", 0)
def mirrored(inputs):
    regrid(inputs, direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1))


@fault(21, "oblique slices, all four", 0)
def oblique(inputs):
    c, s = np.cos(0.4), np.sin(0.4)
    regrid(inputs, direction=(1, 0, 0, 0, c, -s, 0, s, c))


@fault(22, "sagittal slices, all four", 0)
def permuted(inputs):
    for name in NAMES:
        inputs.write(name, sitk.DICOMOrient(inputs.image(name), "PIR"), f"{name}.nrrd")


@fault(23, "grids that differ by rounding (0.0005 mm)", 0)
def rounded(inputs):
    regrid(inputs, ["t2"], origin=[v + 5e-4 for v in GRID[1]])


@fault(
    24,
    "a grid that lies half a voxel aside",
    2,
    "{t2}: found another grid than in case_t1.nii.gz: origins -19.5x-19.5x10.5 and -20x-20x10 mm "
    "with corners up to 0.866 mm apart, expected co-registered volumes; "
    "resample them onto one grid first.",
)
def half_voxel(inputs):
    inputs.options += ["--prepare", "never"]
    regrid(inputs, ["t2"], origin=[v + 0.5 for v in GRID[1]])


@fault(
    25,
    "twice as many voxels in the same box",
    2,
    "{t2}: found another grid than in case_t1.nii.gz: sizes 80x80x14 and 40x40x14 voxels, expected "
    "co-registered volumes; resample them onto one grid first.",
)
def finer(inputs):
    inputs.options += ["--prepare", "never"]
    image = sitk.Expand(inputs.image("t2"), [2, 2, 1])
    inputs.write("t2", image, "t2.nrrd")


@fault(
    26,
    "a volume 1 m aside",
    2,
    "{t2}: found another grid than in case_t1.nii.gz: origins 1000x0x0 and -20x-20x10 mm "
    "with corners up to 1.02e+03 mm apart, expected co-registered volumes; "
    "resample them onto one grid first.",
)
def far_away(inputs):
    inputs.options += ["--prepare", "never"]
    regrid(inputs, ["t2"], origin=(1000, 0, 0))


@fault(
    27,
    "spacing 0 in NIfTI",
    2,
    "{t2}: found voxel spacing 1 x 0 x 3 mm, expected positive numbers; repair the header or "
    "export the volume again.",
)
def zero_spacing(inputs):
    array = sitk.GetArrayFromImage(inputs.image("t2"))
    write_nifti(inputs.paths["t2"], array, pixdim=(1, 1, 0, 3))


@fault(
    27,
    "negative spacing in .mha",
    2,
    "{t2}: found voxel spacing 1 x -1 x 3 mm, expected positive numbers; repair the header or "
    "export the volume again.",
)
def negative_spacing(inputs):
    path = inputs.write("t2", inputs.image("t2"), "t2.mha")
    inputs.put("t2", path.read_bytes().replace(b"Spacing = 1 1 3", b"Spacing = 1 -1 3"), "t2.mha")


@fault(
    27,
    "spacing NaN in NIfTI",
    2,
    "{t2}: found voxel spacing 1 x nan x 3 mm, expected positive numbers; repair the header or "
    "export the volume again.",
)
def nan_spacing(inputs):
    array = sitk.GetArrayFromImage(inputs.image("t2"))
    write_nifti(inputs.paths["t2"], array, pixdim=(1, 1, float("nan"), 3))


@fault(
    28,
    "centimeters for millimeters, all four",
    2,
    "{t1}: found an extent of 4 x 4 x 4.2 mm, expected a head of more than 100 mm; check whether "
    "the header gives centimeters or meters.",
)
def centimeters(inputs):
    regrid(inputs, spacing=(0.1, 0.1, 0.3))


@fault(
    28,
    "voxels of 2 x 2 x 12 mm, all four",
    0,
    "case: t1, t1c, t2 and flair: found voxels of 2 x 2 x 12 mm (LPS), expected at most 1.5 x "
    "1.5 x 3 mm; choose thin slices, or the result is coarse.",
)
def coarse(inputs):
    regrid(inputs, spacing=(2, 2, 12))


@fault(
    29,
    "q-form and s-form that disagree",
    2,
    "{t2}: found another grid than in case_t1.nii.gz: origins -90x-0x0 and -20x-20x10 mm "
    "with corners up to 73.5 mm apart, t2.nii has a q-form and an s-form that lie 119 mm apart, "
    "expected co-registered volumes; resample them onto one grid first.",
)
def two_forms(inputs):
    inputs.options += ["--prepare", "never"]
    array = sitk.GetArrayFromImage(inputs.image("t2"))
    path = write_nifti(
        inputs.folder / "t2.nii",
        array,
        pixdim=(1, 1, 1, 3),
        sform=((-1, 0, 0, 90), (0, -1, 0, 0), (0, 0, 3, 0)),
    )
    content = bytearray(path.read_bytes())
    content[252] = 1  # a q-form of the identity
    inputs.put("t2", bytes(content), "t2.nii")


@fault(
    29,
    "q-form and s-form that disagree in all four",
    0,
    "case: t1, t1c, t2 and flair: found a q-form and an s-form that lie 10 mm apart, expected "
    "one place in the NIfTI header; check the result in your viewer, it is placed by the s-form, "
    "as in 3D Slicer.",
)
def two_forms_in_all(inputs):
    for name in NAMES:
        array = sitk.GetArrayFromImage(inputs.image(name))
        top = 3 * len(array) - 3
        sform = ((-1, 0, 0, 90), (0, -1, 0, 0), (0, 0, -3, top))
        path = write_nifti(inputs.folder / f"{name}.nii", array, pixdim=(-1, 1, 1, 3), sform=sform)
        content = bytearray(path.read_bytes())
        content[252] = 1  # a q-form turned about z by half a turn, whose third axis points down
        struct.pack_into("<6f", content, 256, 0, 0, 1, 90, 10, top)
        inputs.put(name, bytes(content), f"{name}.nii")


@fault(
    30,
    "one slice, all four",
    0,
    "case: t1, t1c, t2 and flair: found a thickness of 3 mm, expected a brain of more than 100 mm; "
    "choose whole volumes, or only this part is segmented.",
)
def one_slice(inputs):
    for name in NAMES:
        inputs.write(name, inputs.image(name)[:, :, 6:7])


@fault(
    31,
    "2-D images, all four",
    0,
    "case: t1, t1c, t2 and flair: found a thickness of 1 mm, expected a brain of more than 100 mm; "
    "choose whole volumes, or only this part is segmented.",
)
def two_dimensions(inputs):
    for name in NAMES:
        inputs.write(name, inputs.image(name)[:, :, 6])


@fault(32, "4-D with one volume", 0)
def four_dimensions_one(inputs):
    inputs.write("t2", sitk.JoinSeries([inputs.image("t2")]))


@fault(
    32,
    "4-D with two volumes",
    2,
    "{t2}: found a 4-D image of 2 volumes, expected one 3-D volume; split it into one file per "
    "sequence, or name the whole MSD folder.",
)
def four_dimensions_two(inputs):
    inputs.write("t2", sitk.JoinSeries([inputs.image("t2")] * 2))


@fault(
    32,
    "4-D with four volumes",
    2,
    "{t2}: found a 4-D image of 4 volumes, expected one 3-D volume; split it into one file per "
    "sequence, or name the whole MSD folder.",
)
def four_dimensions_four(inputs):
    inputs.write("t2", sitk.JoinSeries([inputs.image(name) for name in NAMES]))


@fault(
    33,
    "three numbers per voxel (RGB)",
    2,
    "{t2}: found vector of 32-bit float pixels, expected one number per voxel; export a gray-value "
    "image.",
)
def vector(inputs):
    inputs.write("t2", sitk.Compose([inputs.image("t2")] * 3))


@fault(
    34,
    "volumes smaller than the receptive field, all four",
    0,
    "case: t1, t1c, t2 and flair: found a thickness of 15 mm, expected a brain of more than 100 "
    "mm; choose whole volumes, or only this part is segmented.",
)
def small(inputs):
    for name in NAMES:
        inputs.write(name, inputs.image(name)[6:36, 6:37, 4:9])


@fault(
    35,
    "slices of 6 mm, all four",
    0,
    "case: t1, t1c, t2 and flair: found voxels of 1 x 1 x 6 mm (LPS), expected at most 1.5 x 1.5 "
    "x 3 mm; choose thin slices, or the result is coarse.",
)
def thick_slices(inputs):
    regrid(inputs, spacing=(1, 1, 6))
