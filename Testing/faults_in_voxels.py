"""Faults 37 to 53: gray values and sequences."""

import numpy as np
import SimpleITK as sitk
from fault_table import MODEL, NAMES, OTHERS, fault
from faults_in_geometry import regrid


@fault(
    37,
    "the same value everywhere",
    2,
    "{t2}: found the same value (7) in all voxels, expected an MRI sequence; choose another "
    "volume.",
)
def constant(inputs):
    inputs.change("t2", lambda v: np.full_like(v, 7))


@fault(
    38,
    "zero everywhere",
    2,
    "{t2}: found the same value (0) in all voxels, expected an MRI sequence; choose another "
    "volume.",
)
def zeros(inputs):
    inputs.change("t2", np.zeros_like)


@fault(
    38,
    "zero everywhere, all four",
    2,
    "{t1}: found the same value (0) in all voxels, expected an MRI sequence; choose another "
    "volume.",
)
def all_zeros(inputs):
    for name in NAMES:
        inputs.change(name, np.zeros_like)


def spoilt(value, share):
    def change(voxels):
        voxels = voxels.copy()
        voxels.reshape(-1)[: max(1, int(share * voxels.size))] = value
        return voxels

    return change


@fault(
    39,
    "half of the voxels NaN (NIfTI)",
    2,
    "{t2}: found 11200 voxels that are NaN or infinite, expected numbers; repair the volume (for "
    "example by setting them to 0) before segmentation.",
)
def nan(inputs):
    inputs.change("t2", spoilt(np.nan, 0.5))


@fault(
    40,
    "infinite voxels (NIfTI)",
    2,
    "{t2}: found 224 voxels that are NaN or infinite, expected numbers; repair the volume (for "
    "example by setting them to 0) before segmentation.",
)
def infinite(inputs):
    inputs.change("t2", spoilt(np.inf, 0.01))


@fault(
    41,
    "one NaN voxel (.nrrd)",
    2,
    "{t2}: found 1 voxels that are NaN or infinite, expected numbers; repair the volume (for "
    "example by setting them to 0) before segmentation.",
)
def one_nan(inputs):
    inputs.change("t2", spoilt(np.nan, 0), "t2.nrrd")


@fault(
    42,
    "a background of -7",
    0,
    "case: t2: found a background that is not 0; it was set to 0.",
)
def negative_background(inputs):
    inputs.change("t2", lambda v: np.where(v == 0, -7, v).astype(np.float32))


@fault(43, "16-bit, 32-bit and double numbers", 0)
def number_types(inputs):
    for name, kind in (("t1", np.uint16), ("t1c", np.int32), ("t2", np.float64)):
        inputs.change(name, lambda v, kind=kind: v.astype(kind))


@fault(
    43,
    "complex numbers",
    2,
    "{t2}: found vector of 32-bit float pixels, expected one number per voxel; export a gray-value "
    "image.",
)
def complex_numbers(inputs):
    image = inputs.image("t2")
    inputs.write("t2", sitk.RealAndImaginaryToComplex(image, image), "t2.mha")


@fault(44, "saturated: the upper half of the values cut", 0)
def saturated(inputs):
    inputs.change("t2", lambda v: np.minimum(v, np.median(v[v > 0])))


@fault(45, "one voxel of 1e9", 0)
def outlier(inputs):
    def change(voxels):
        voxels = voxels.copy()
        voxels[7, 20, 20] = 1e9
        return voxels

    inputs.change("t2", change)


@fault(
    46,
    "heads that are not skull-stripped, all four",
    0,
    "case: t1, t1c, t2 and flair: found skull or noise (2688 mL differ from the background), "
    "expected a brain of at most 2000 mL; skull-strip first, nothing is removed here (for "
    "example with HD-BET, in 3D Slicer with HD Brain Extraction).",
)
def noise_around(inputs):
    rng = np.random.default_rng(0)
    for name in NAMES:
        inputs.change(name, lambda v: (v + rng.uniform(1, 50, v.shape)).astype(np.float32))
    regrid(inputs, spacing=(2, 2, 30))


@fault(
    47,
    "a label map given as image",
    0,
    "case: t2: found only 3 different values, as in a label map, expected an image; choose the "
    "image, or this is used as it is.",
)
def label_map(inputs):
    inputs.change("t2", lambda v: np.digitize(v, [1, 400, 800]).astype(np.uint8))


@fault(
    48,
    "60 voxels that differ from 0",
    2,
    "{t1}: found 60 voxels other than 0, expected a brain of at least 100; choose another volume.",
)
def few_voxels(inputs):
    def change(voxels):
        few = np.zeros_like(voxels)
        few[6, 20:26, 20:30] = np.arange(60).reshape(6, 10) + 1
        return few

    for name in NAMES:
        inputs.change(name, change)


@fault(
    49,
    "one file for two sequences",
    0,
    "case: t1 and t1c: found the same voxels in both, expected two different sequences; choose "
    "another volume, or the result is unreliable.",
)
def twice(inputs):
    inputs.paths["t1"] = inputs.paths["t1c"]


@fault(
    50,
    "three files for a model that needs four",
    2,
    "Found no --flair, expected all four sequences for this model.",
)
def three_files(inputs):
    del inputs.paths["flair"]


@fault(
    50,
    "a case folder without FLAIR, for a model that needs four",
    2,
    "Case case: found t1 (case_t1.nii.gz), t1c (case_t1c.nii.gz), t2 (case_t2.nii.gz) and no "
    "flair, expected all four sequences; add the files or name them with --t1 --t1c --t2 --flair.",
)
def three_in_a_folder(inputs):
    inputs.paths["flair"].unlink()
    return ["segment", str(inputs.folder), "--output", str(inputs.output), "--model", MODEL]


@fault(50, "three files for a model that accepts it", 0)
def three_suffice(inputs):
    del inputs.paths["t1"]
    inputs.options = ["--model", "fast"]


@fault(
    50,
    "a damaged T1 for a model that can do without",
    2,
    "{t1}: found data that is truncated or damaged (Compressed file ended before the "
    "end-of-stream marker was reached), expected a whole file; download or copy it again, or "
    "leave t1 out (of a case folder with --without t1).",
)
def damaged_t1(inputs):
    inputs.put("t1", inputs.paths["t1"].read_bytes()[:-3])
    return folder_command(inputs)


@fault(
    50,
    "a constant T1 for a model that can do without",
    2,
    "{t1}: found the same value (0) in all voxels, expected an MRI sequence; choose another "
    "volume, or leave t1 out (of a case folder with --without t1).",
)
def constant_t1(inputs):
    inputs.change("t1", lambda voxels: voxels * 0)
    return folder_command(inputs)


@fault(50, "a damaged T1 that is left out of a case folder", 0)
def left_out(inputs):
    return [*damaged_t1(inputs), "--without", "t1"]


@fault(
    50,
    "a sequence left out beside four files",
    2,
    "Found --without beside single files, expected it with a case folder only; leave it out, and "
    "give no file of these sequences.",
)
def left_out_beside_files(inputs):
    inputs.options = ["--without", "t1"]


def folder_command(inputs):
    return ["segment", str(inputs.folder), "--output", str(inputs.output), "--model", "fast"]


@fault(
    50,
    "a folder of cases of which one has no FLAIR",
    2,
    "Found 1 of 3 cases that were skipped (b), expected usable ones; the reasons are above, fix "
    "them and run again with --continue.",
    OTHERS,
)
def one_of_three(inputs):
    for name in ("b", "c"):
        for sequence, path in list(inputs.paths.items()):
            copy = inputs.folder.parent / name / f"{name}_{sequence}.nii.gz"
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (inputs.folder.parent / "b" / "b_flair.nii.gz").unlink()
    return [
        "segment",
        str(inputs.folder.parent),
        "--output",
        str(inputs.output),
        "--model",
        MODEL,
    ]
