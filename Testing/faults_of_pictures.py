"""Faults 66 and 76: label maps and pictures that read as something else, lists of images."""

import numpy as np
from fault_table import INPUT, fault
from PIL import Image

from scripted_models.tasks.voc.classes import palette
from scripted_models.tasks.voc.masks import read_mask, write_mask

MASK = np.zeros((12, 16), np.uint8)
MASK[2:6, 3:9], MASK[7:10, 8:14] = 15, 7
PICTURE = np.random.default_rng(0).integers(0, 256, (*MASK.shape, 3)).astype(np.uint8)
VIEWERS = (
    "viewers show the picture turned or mirrored, and a label map may belong to either, expected "
    "a picture that is stored as it is shown; turn the pixels, for example with 'mogrify "
    "-auto-orient' or 'exiftran -a', and check its label map."
)


def make_folder(root):
    """Write one picture with its label map, and a perfect prediction."""
    folder = root / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / part).mkdir(parents=True)
    Image.fromarray(PICTURE).save(folder / "JPEGImages" / "a.png")
    write_mask(folder / "SegmentationClass" / "a.png", MASK)
    (root / "p").mkdir()
    write_mask(root / "p" / "a.png", MASK)
    return folder


def evaluate(inputs, *options):
    start = ["evaluate", "--voc", str(inputs.root / "VOC2012"), "--output", str(inputs.output)]
    return [*start, "--predictions", str(inputs.root / "p"), *options]


def crf(inputs):
    """Return `crf` of a picture a.png, which is still to be written."""
    np.save(inputs.root / "a.npy", np.full((2, *MASK.shape), 0.5, np.float32))
    names = [str(inputs.root / name) for name in ("a.npy", "a.png")]
    return ["crf", *names, "--output", str(inputs.output / "labels.png")]


def save_palette(path, indices, colors):
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette(np.asarray(colors, np.uint8).tobytes())
    image.save(path)


@fault(66, "a label map whose palette is in another order", 0)
def sorted_palette(inputs):
    make_folder(inputs.root)
    used, places = np.unique(MASK, return_inverse=True)
    path = inputs.root / "p" / "a.png"
    save_palette(path, len(used) - 1 - places.reshape(MASK.shape), palette()[used[::-1]])
    assert np.array_equal(read_mask(path), MASK)
    return evaluate(inputs)


@fault(
    66,
    "a label map with the palette of another data set",
    2,
    "{ROOT}/p/a.png: found colors that are not in the palette of VOC, such as (10, 11, 12), "
    "expected VOC's colors, or gray values that are indices; save the label map with VOC's "
    "palette, or its indices as 8 bits of gray.",
)
def other_palette(inputs):
    make_folder(inputs.root)
    save_palette(inputs.root / "p" / "a.png", MASK, np.arange(768).reshape(256, 3) % 200 + 10)
    return evaluate(inputs)


@fault(
    66,
    "a label map that is a JPEG",
    2,
    "{ROOT}/p/a.png: found a JPEG, which blurs the borders of classes into others, expected a "
    "PNG; export the label map again.",
)
def jpeg_label_map(inputs):
    make_folder(inputs.root)
    Image.fromarray(palette()[MASK]).save(inputs.root / "p" / "a.png", "JPEG")
    return evaluate(inputs)


@fault(
    66,
    "a mask of 0 and 255 as label map",
    2,
    "{ROOT}/p/a.png: found the gray values 0 and 255 alone, as a mask of an object has them, "
    "expected indices of classes; 255 is void, which is not scored and trains nothing; write the "
    "class in the place of 255, or the map in the colors of VOC.",
)
def binary_mask(inputs):
    make_folder(inputs.root)
    Image.fromarray(np.where(MASK > 0, 255, 0).astype(np.uint8)).save(inputs.root / "p" / "a.png")
    return evaluate(inputs)


@fault(
    66,
    "a picture with an orientation in EXIF data",
    2,
    "{ROOT}/a.png: found the orientation 6 in EXIF data: " + VIEWERS,
    INPUT,
)
def turned_picture(inputs):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PICTURE).save(inputs.root / "a.png", exif=exif)
    return crf(inputs)


@fault(
    66,
    "a picture of 16 bits",
    2,
    "{ROOT}/a.png: found a picture of 16 bits, expected 8 bits for each color; save it with 8 "
    "bits.",
    INPUT,
)
def deep_picture(inputs):
    Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 200).save(inputs.root / "a.png")
    return crf(inputs)


@fault(
    66,
    "a picture with transparent pixels",
    2,
    "{ROOT}/a.png: found transparent pixels, expected opaque ones; save it without transparency.",
    INPUT,
)
def transparent_picture(inputs):
    Image.fromarray(np.concatenate([PICTURE, PICTURE[..., :1]], axis=2)).save(inputs.root / "a.png")
    return crf(inputs)


@fault(
    66,
    "an animated picture",
    2,
    "{ROOT}/a.png: found 2 pictures in one file, expected one; save the one you mean.",
    INPUT,
)
def animated_picture(inputs):
    frames = [Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE)]
    frames[0].save(inputs.root / "a.png", save_all=True, append_images=frames[1:])
    return crf(inputs)


def listed(inputs, content):
    (make_folder(inputs.root) / "ImageSets/Segmentation/val.txt").write_bytes(content)
    return evaluate(inputs, "--split", "val")


@fault(76, "a list with a byte order mark, ends of lines of Windows", 0)
def marked_list(inputs):
    return listed(inputs, b"\xef\xbb\xbfa\r\n")


@fault(76, "a list in UTF-16, with files and folders", 0)
def wide_list(inputs):
    return listed(inputs, "/JPEGImages/a.png /SegmentationClass/a.png\r\n".encode("utf-16"))


@fault(
    76,
    "a list in UTF-16 without a mark",
    2,
    "{ROOT}/VOC2012/ImageSets/Segmentation/val.txt: found no readable list of images (bytes of 0, "
    "as UTF-16 without a byte order mark has them), expected text in UTF-8; name another, or save "
    "it as UTF-8.",
)
def unmarked_list(inputs):
    return listed(inputs, "a\r\n".encode("utf-16-le"))


@fault(
    76,
    "a list of a class, with 1 and -1",
    2,
    "{ROOT}/VOC2012/ImageSets/Segmentation/val.txt: found a second column with -1, 1, as VOC's "
    "lists of a class have it: -1 says that a picture does not show the class, expected a list of "
    "the images that are meant; keep the lines that end in 1, or name a list of "
    "ImageSets/Segmentation.",
)
def class_list(inputs):
    return listed(inputs, b"a  1\nb -1\n")
