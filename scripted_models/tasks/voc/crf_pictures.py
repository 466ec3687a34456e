"""Probabilities of a picture in a file into its label map, by a dense CRF."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scripted_models.errors import InputError
from scripted_models.networks.crf.refinement import build_crf, refine
from scripted_models.runtime.plain_files import open_file
from scripted_models.tasks.voc.classes import CLASSES
from scripted_models.tasks.voc.masks import write_mask
from scripted_models.tasks.voc.picture_files import read_image


def refine_picture(
    probabilities: Path, images: Sequence[Path], output: Path, settings: Mapping[str, Any]
) -> None:
    """Write the label map of a picture as a PNG with VOC's palette.

    Args:
        probabilities: .npy file of floats (classes, H, W).
        images: the picture alone, RGB.
        output: PNG to write.
        settings: arguments of `DenseCRF`; widths of intensity on the scale 0 to 255.

    Raises:
        InputError: unreadable files, or sizes that differ.
        ModelError: impossible settings.
    """
    if len(images) != 1 or output.suffix.lower() != ".png":
        raise InputError(
            found=f"{len(images)} images and the output {output.name}",
            expected=f"one picture and a .png for {probabilities.name}",
            action="of a case give the folder of its probabilities",
        )
    classes, picture = _read_array(probabilities), read_image(images[0])
    if classes.shape[1:] != picture.shape[:2]:
        raise InputError(
            found=f"{classes.shape[1]} x {classes.shape[2]} pixels, and {picture.shape[0]} x "
            f"{picture.shape[1]} in {images[0].name}",
            expected="the same",
            action="give the picture that was predicted",
            path=probabilities,
        )
    crf = build_crf(len(classes), settings, "voc")
    refined = refine(crf, classes, picture.transpose(2, 0, 1))
    write_mask(output, refined.argmax(axis=0))


def _read_array(path: Path) -> np.ndarray:
    """Read probabilities of a picture, float32 (classes, H, W)."""
    try:
        with open_file(path) as stream:
            array = np.load(stream, allow_pickle=False)
        usable = array.ndim == 3 and array.dtype.kind == "f" and np.isfinite(array).all()
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            found=f"an array that cannot be read ({type(error).__name__})",
            expected="a .npy file",
            action="write it again",
            path=path,
        ) from error
    if not usable or not 2 <= len(array) <= len(CLASSES) or array.min() < 0 or array.max() > 1.001:
        raise InputError(
            found=f"{array.dtype} {array.shape}",
            expected="floats from 0 to 1 with the shape "
            f"(2 to {len(CLASSES)} classes, rows, columns)",
            action="write probabilities, not scores",
            path=path,
        )
    return array.astype(np.float32)
