"""Faults 54 to 59: label maps."""

import numpy as np
import SimpleITK as sitk
from fault_table import fault
from PIL import Image


def labels(inputs, values, kind=np.uint8, name="case_seg.nii.gz"):
    """Write an expert's label map beside the images, and a prediction of label 1."""
    image = inputs.image("t1")
    array = np.zeros(image.GetSize()[::-1], kind)
    array[6, 10, 10 : 10 + len(values)] = values
    truth = sitk.GetImageFromArray(array)
    truth.CopyInformation(image)
    sitk.WriteImage(truth, str(inputs.folder / name))
    predicted = sitk.GetImageFromArray((array == 1).astype(np.uint8))
    predicted.CopyInformation(image)
    folder = inputs.root / "predictions" / "case"
    folder.mkdir(parents=True)
    sitk.WriteImage(predicted, str(folder / "segmentation.nii.gz"))
    return [
        "evaluate",
        "--predictions",
        str(folder.parent),
        "--truth",
        str(inputs.folder),
        "--output",
        str(inputs.output),
        "--coding",
        "brats2021",
    ]


@fault(
    54,
    "a label that the coding does not have",
    2,
    "{IN}/case_seg.nii.gz: found the label(s) 9, expected only [0, 1, 2, 4] of coding "
    "'brats2021'; choose another coding with --coding (none knows all values) or repair the file.",
)
def unknown_label(inputs):
    return labels(inputs, [1, 2, 4, 9])


@fault(
    55,
    "labels 3 and 4 read as a coding of four labels",
    2,
    "{IN}/case_seg.nii.gz: found the label(s) 3, expected only [0, 1, 2, 4] of coding "
    "'brats2021'; choose another coding with --coding (all values are known to internal, "
    "brats2013, brats2012sim, brats2024, brats2024ped and atropos) or repair the file.",
)
def three_and_four(inputs):
    return labels(inputs, [1, 2, 3, 4])


@fault(55, "labels 3 and 4 read as BraTS 2013", 0)
def labels_of_2013(inputs):
    return [*labels(inputs, [1, 2, 3, 4])[:-1], "brats2013"]


@fault(56, "labels as floats, 0.9999", 0)
def rounded_labels(inputs):
    return labels(inputs, [0.9999, 2.0001, 4], np.float32)


@fault(
    56,
    "labels as floats, 0.7",
    2,
    "{IN}/case_seg.nii.gz: found fractional values from 0 to 4, expected whole label numbers "
    "from 0 to 255; give a label map, not an image or a probability volume.",
)
def fractional_labels(inputs):
    return labels(inputs, [0.7, 2, 4], np.float32)


@fault(
    57,
    "label 300",
    2,
    "{IN}/case_seg.nii.gz: found values from 0 to 300, expected whole label numbers from 0 to 255; "
    "give a label map, not an image or a probability volume.",
)
def large_label(inputs):
    return labels(inputs, [1, 300], np.int16)


@fault(
    57,
    "label -1",
    2,
    "{IN}/case_seg.nii.gz: found values from -1 to 1, expected whole label numbers from 0 to 255; "
    "give a label map, not an image or a probability volume.",
)
def negative_label(inputs):
    return labels(inputs, [1, -1], np.int16)


@fault(58, "an empty ground truth and an empty prediction", 0)
def both_empty(inputs):
    return labels(inputs, [0])


@fault(58, "a ground truth of edema and an empty prediction", 0)
def empty_prediction(inputs):
    return labels(inputs, [2, 2])


@fault(
    58,
    "no ground truth",
    2,
    "{IN}: found cases but no ground truth in any, expected files such as "
    "<case>_seg.nii.gz beside the images; name the folder that holds it.",
)
def no_truth(inputs):
    command = labels(inputs, [1])
    (inputs.folder / "case_seg.nii.gz").unlink()
    return command


def voc(inputs, prediction):
    """Write a VOC folder of one image and its predicted mask; return `evaluate --voc`."""
    root = inputs.folder / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(root / "JPEGImages" / "a.jpg")
    truth = np.zeros((6, 8), np.uint8)
    truth[0], truth[1] = 255, 3
    Image.fromarray(truth).save(root / "SegmentationClass" / "a.png")
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("a\n")
    predictions = inputs.root / "predictions"
    predictions.mkdir()
    prediction.save(predictions / "a.png")
    return [
        "evaluate",
        "--voc",
        str(root),
        "--predictions",
        str(predictions),
        "--split",
        "val",
        "--output",
        str(inputs.output),
    ]


@fault(59, "a prediction of VOC as RGB picture in the colors of VOC", 0)
def rgb_mask(inputs):
    return voc(inputs, Image.new("RGB", (8, 6), (192, 128, 128)))


@fault(
    59,
    "a prediction of VOC as RGB picture in other colors",
    2,
    "{ROOT}/predictions/a.png: found colors that are not in the palette of VOC, such as (1, 2, 3), "
    "expected VOC's colors, or gray values that are indices; save the label map with VOC's "
    "palette, or its indices as 8 bits of gray.",
)
def other_colors(inputs):
    return voc(inputs, Image.new("RGB", (8, 6), (1, 2, 3)))


@fault(
    59,
    "a prediction of VOC with the value 99",
    2,
    "{ROOT}/predictions/a.png: found the indices [99], expected 0 to 20, and 255 for void; give a "
    "label map of VOC.",
)
def unknown_class(inputs):
    return voc(inputs, Image.new("L", (8, 6), 99))


@fault(
    59,
    "a prediction of VOC that calls nothing but void",
    2,
    "{ROOT}/predictions/a.png: found the index 255 in a prediction where the truth counts, "
    "expected 0 to 20; write a class for every pixel.",
)
def void(inputs):
    return voc(inputs, Image.new("L", (8, 6), 255))
