"""Faults 65 and 76: label maps whose file states what its values mean, and layers of 3D Slicer."""

import json

import numpy as np
import SimpleITK as sitk
from fault_table import GRID, fault
from segment_fixtures import write_segments

CASE = "case"
EXPORT = (
    "rename the segments in 3D Slicer (necrosis, edema, non-enhancing, enhancing), or export a "
    "label map there (Segmentations > Export to files)."
)


def truth():
    """Return labels 1, 2 and 4 in a small block."""
    labels = np.zeros((14, 40, 40), np.uint8)
    labels[4:10, 10:20, 10:20], labels[5:9, 12:18, 12:18], labels[6:8, 14:16, 14:16] = 2, 4, 1
    return labels


def evaluate(inputs, prediction=None, *options):
    """Write the ground truth and perhaps a flat prediction; return `evaluate`."""
    for labels, path in (
        (truth(), inputs.folder / f"{CASE}_seg.nii.gz"),
        (prediction, inputs.root / "predictions" / f"{CASE}.nii.gz"),
    ):
        path.parent.mkdir(exist_ok=True)
        if labels is not None:
            image = sitk.GetImageFromArray(labels)
            image.CopyInformation(inputs.image("t1"))
            sitk.WriteImage(image, str(path))
    folders = ["--predictions", str(inputs.root / "predictions"), "--truth", str(inputs.folder)]
    coding = [] if "--coding" in options else ["--coding", "brats2021"]
    return ["evaluate", *folders, "--output", str(inputs.output), *coding, *options]


def segments(inputs, layers, named, *options):
    """Write a segmentation of 3D Slicer as prediction; `named` has name, layer and value."""
    command = evaluate(inputs, None, *options)
    fields = [{"Name": n, "Layer": layer, "LabelValue": value} for n, layer, value in named]
    path = inputs.root / "predictions" / f"{CASE}.seg.nrrd"
    write_segments(path, layers, fields, GRID[0], GRID[1])
    return command


OWN = [("enhancing", 0, 1), ("oedema", 0, 2), ("necrosis", 0, 3)]


@fault(65, "a prediction of 3D Slicer (.seg.nrrd) that numbers its segments itself", 0)
def own_numbering(inputs):
    return segments(inputs, [np.array([0, 3, 2, 0, 1], np.uint8)[truth()]], OWN)


@fault(
    65,
    "the same with an option that says otherwise",
    2,
    "{ROOT}/predictions/case.seg.nrrd: found --prediction-coding internal, which calls the value 1 "
    "necrosis instead of enhancing, expected the meaning "
    "stated by its segment names; leave --prediction-coding out, or correct what is stated there.",
)
def own_numbering_contradicted(inputs):
    layers = [np.array([0, 3, 2, 0, 1], np.uint8)[truth()]]
    return segments(inputs, layers, OWN, "--prediction-coding", "internal")


@fault(
    65,
    "a prediction of 3D Slicer with a segment of no known name",
    2,
    "{ROOT}/predictions/case.seg.nrrd: found a Slicer segmentation whose segments 'Segment_1' are "
    f"no label that is known, expected segments that are named by label; {EXPORT}",
)
def unknown_segment(inputs):
    return segments(inputs, [truth() == 4], [("Segment_1", 0, 1)])


@fault(
    65,
    "predictions with 3 and never 4 where the truth has 4",
    2,
    "Found label 3 and never 4 in 1 prediction(s) whose label coding nothing states, where the "
    "ground truth holds 4, expected one meaning of the numbers; enhancing tumor is 4 in some years "
    "of BraTS, and 3 in others, in MSD and often in label maps of 3D Slicer; state the coding with "
    "--prediction-coding, and that of the ground truth with --coding.",
)
def three_for_four(inputs):
    return evaluate(inputs, np.where(truth() == 4, 3, truth()).astype(np.uint8))


@fault(65, "the same with the coding stated", 0)
def three_for_four_stated(inputs):
    prediction = np.where(truth() == 4, 3, truth()).astype(np.uint8)
    return evaluate(inputs, prediction, "--prediction-coding", "brats2023")


def nnunet(inputs, *options):
    command = evaluate(inputs, np.array([0, 2, 3, 0, 1], np.uint8)[truth()], *options)
    labels = {"background": 0, "ET": 1, "NCR": 2, "ED": 3}
    (inputs.root / "predictions" / "dataset.json").write_text(json.dumps({"labels": labels}))
    return command


@fault(65, "predictions of nnU-Net with their dataset.json", 0)
def labels_of_nnunet(inputs):
    return nnunet(inputs)


@fault(
    65,
    "the same with an option that says otherwise",
    2,
    "{ROOT}/predictions/case.nii.gz: found --prediction-coding brats2023, which calls the value 1 "
    "necrosis instead of enhancing, 2 edema instead of necrosis and 3 enhancing instead of edema, "
    "expected the meaning stated by {ROOT}/predictions/dataset.json; leave --prediction-coding "
    "out, or correct what is stated there.",
)
def labels_of_nnunet_contradicted(inputs):
    return nnunet(inputs, "--prediction-coding", "brats2023")


@fault(76, "a prediction of 3D Slicer in layers, with labels and regions", 0)
def layers_of_labels(inputs):
    layers = [truth(), truth() == 4, truth() > 0]
    layers[0] = np.where(layers[0] == 4, 0, layers[0])
    named = [("Necrosis", 0, 1), ("Edema", 0, 2), ("Enhancing", 1, 1), ("Whole tumor", 2, 1)]
    return segments(inputs, layers, named)


@fault(
    76,
    "a prediction of 3D Slicer in layers, with values that no segment has",
    2,
    "{ROOT}/predictions/case.seg.nrrd: found a Slicer segmentation with 2 layers with the value(s) "
    f"2, 4 in layer 0, which no segment has, expected a segment for each value; {EXPORT}",
)
def layers_without_names(inputs):
    layers = [truth(), truth() > 0]
    return segments(inputs, layers, [("Necrosis", 0, 1), ("Complete tumour", 1, 1)])


@fault(
    76,
    "a segmentation in layers as a sequence",
    2,
    "{t2}: found a segmentation of 3D Slicer with 2 layers, expected one number per voxel; export "
    "a label map in 3D Slicer (Segmentations > Export to files).",
)
def layers_as_image(inputs):
    inputs.paths["t2"].unlink()
    inputs.paths["t2"] = inputs.folder / "case_t2.seg.nrrd"
    named = [{"Name": "Edema", "Layer": 0}, {"Name": "Necrosis", "Layer": 1}]
    write_segments(inputs.paths["t2"], [truth() > 0, truth() == 1], named, GRID[0], GRID[1])
