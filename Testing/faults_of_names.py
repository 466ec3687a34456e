"""Faults 63 and 64: names of other contrasts and derived images, and of label maps."""

import numpy as np
import SimpleITK as sitk
from fault_table import MODEL, fault

NO_FORM = "no known form of name for an expert's label map of the tumor"
TO_FIX = "add the files or name them with --t1 --t1c --t2 --flair."


def of_folder(inputs):
    """Return `segment` of the folder of the case."""
    return ["segment", str(inputs.folder), "--output", str(inputs.output), "--model", MODEL]


def rename(inputs, **names):
    """Rename inputs and return `segment` of their folder."""
    for sequence, name in names.items():
        inputs.paths[sequence] = inputs.paths[sequence].rename(inputs.folder / f"{name}.nii.gz")
    return of_folder(inputs)


@fault(63, "sequences named as registered to T1c (flair_reg_t1c)", 0)
def registered_to_t1c(inputs):
    return rename(inputs, t1="t1_reg_t1c", t1c="t1c", t2="t2_reg_t1c", flair="flair_reg_t1c")


@fault(63, "GE's names: the T1 is a 'T1 FLAIR'", 0)
def names_of_ge(inputs):
    names = {"t1": "Sag T1 FLAIR", "t1c": "Ax T1 FLAIR +C", "t2": "Ax T2 PROPELLER"}
    return rename(inputs, **names, flair="Ax T2 FLAIR")


@fault(63, "ANTs' names, MOVING_FIXED_Warped", 0)
def names_of_ants(inputs):
    names = {m: f"p_{m}_t1c_Warped" for m in ("t1", "t2", "flair")}
    return rename(inputs, t1c="p_t1c", **names)


@fault(
    63,
    "a perfusion series where T2 should be",
    2,
    "Case case: found t1 (case_t1.nii.gz), t1c (case_t1c.nii.gz), flair (case_flair.nii.gz) and "
    "no t2 (case_t2_dsc.nii.gz: 'dsc' in the name says that it is none of the four sequences), "
    f"expected all four sequences; {TO_FIX}",
)
def perfusion_for_t2(inputs):
    return rename(inputs, t2="case_t2_dsc")


@fault(
    63,
    "a subtraction image where T1c should be",
    2,
    "Case case: found t1 (case_t1.nii.gz), t2 (case_t2.nii.gz), flair (case_flair.nii.gz) and "
    "no t1c (case_t1_gd_sub.nii.gz: 'sub' in the name says that it is none of the four "
    f"sequences), expected all four sequences; {TO_FIX}",
)
def subtraction_for_t1c(inputs):
    return rename(inputs, t1c="case_t1_gd_sub")


@fault(
    63,
    "a native T1 after surgery (t1_post_op), and no T1c",
    2,
    "Case case: found t1 (case_t1_post_op.nii.gz), t2 (case_t2.nii.gz), flair (case_flair.nii.gz) "
    f"and no t1c, expected all four sequences; {TO_FIX}",
)
def native_after_surgery(inputs):
    inputs.paths["t1c"].unlink()
    return rename(inputs, t1="case_t1_post_op")


@fault(
    63,
    "a word behind T1 that nobody knows",
    2,
    "Case case: found t1c (case_t1c.nii.gz), t2 (case_t2.nii.gz), flair (case_flair.nii.gz) and "
    "no sure t1 ('case_t1_xyz' hints at T1, but what 'xyz' means is not known), "
    f"expected all four sequences; {TO_FIX}",
)
def unknown_word(inputs):
    return rename(inputs, t1="case_t1_xyz")


@fault(63, "a name that is one word many times", 0)
def one_word_many_times(inputs):
    path = inputs.folder / ("postpre" * 30 + "q.nii.gz")
    sitk.WriteImage(inputs.image("t2"), str(path))
    return of_folder(inputs)


def put_label_map(inputs, name):
    """Write a label map beside the inputs and return its path."""
    path = inputs.folder / f"{name}.nii.gz"
    image = inputs.image("t1")
    labels = sitk.GetImageFromArray((sitk.GetArrayFromImage(image) > 0).astype(np.uint8))
    labels.CopyInformation(image)
    sitk.WriteImage(labels, str(path))
    return path


@fault(64, "a map of the ventricles beside the images", 0, "{label} was ignored: " + NO_FORM + ".")
def ventricles_beside_images(inputs):
    inputs.paths["label"] = put_label_map(inputs, "case_ventricles_seg")
    return of_folder(inputs)


@fault(
    64,
    "a prediction beside the images, to be scored against itself",
    2,
    "{IN}: found cases but no ground truth in any ({label} was ignored: " + NO_FORM + ".), "
    "expected files such as <case>_seg.nii.gz beside the images; name the folder that holds it.",
)
def prediction_against_itself(inputs):
    inputs.paths["label"] = put_label_map(inputs, "case_seg_pred")
    predictions = inputs.root / "predictions"
    predictions.mkdir()
    (predictions / "case.nii.gz").write_bytes(inputs.paths["label"].read_bytes())
    folders = ["--predictions", str(predictions), "--truth", str(inputs.folder)]
    return ["evaluate", *folders, "--output", str(inputs.output)]


@fault(
    64,
    "training on cases whose only label map is one of tissue",
    2,
    "Found 0 cases with four images and a label map, and none is left for training, expected at "
    "least one that neither validates nor tests; add cases, or change data.validation and "
    "data.test.",
)
def training_on_tissue(inputs):
    put_label_map(inputs, "case_tissue_seg")
    folders = ["--data", str(inputs.folder), "--output", str(inputs.output)]
    return ["train", "havaei2017/TwoPathCNN", *folders]
