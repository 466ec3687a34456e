"""Probabilities and images in files into label maps."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import read_volume, write_labels
from scripted_models.labels import LABELS
from scripted_models.networks.crf.refinement import build_crf, refine, refine_brain
from scripted_models.tasks.voc.classes import CLASSES
from scripted_models.tasks.voc.masks import read_image, write_mask
from scripted_models.transforms.preprocessing import preprocess, standardizing


def refine_picture(
    probabilities: Path, images: Sequence[Path], output: Path, settings: Mapping
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
            f"Found {len(images)} images and the output {output.name}, expected one picture and a .png for "
            f"{probabilities.name}; of a case give the folder of its probabilities."
        )
    classes, picture = _read_array(probabilities), read_image(images[0])
    if classes.shape[1:] != picture.shape[:2]:
        raise InputError(
            f"{probabilities.name} has {classes.shape[1]} x {classes.shape[2]} pixels and {images[0].name} "
            f"{picture.shape[0]} x {picture.shape[1]}, expected the same; give the picture that was predicted."
        )
    crf = build_crf(len(classes), settings, "voc")
    refined = refine(crf, classes, picture.transpose(2, 0, 1))
    write_mask(output, refined.argmax(axis=0))


def refine_case(folder: Path, images: Sequence[Path], output: Path, settings: Mapping) -> None:
    """Write the label map of a case on the grid of its volumes, internal labels.

    Args:
        folder: with probability_NAME.nii.gz of the background and of each label that the model knows.
        images: volumes of the case's sequences, skull-stripped.
        output: volume to write.
        settings: arguments of `DenseCRF`; widths in mm and in standard deviations of the brain's intensity.

    Raises:
        InputError: unreadable or missing files, or grids that differ.
        ModelError: impossible settings.
    """
    names = {f"probability_{name}.nii.gz": label for label, name in LABELS.items()}
    found = {label: folder / name for name, label in names.items() if (folder / name).is_file()}
    if 0 not in found or len(found) < 2:
        raise InputError(
            f"{folder}: found {len(found)} files of probabilities, expected {next(iter(names))} and others; "
            "write them with `segment --probabilities`."
        )
    grid, classes = _on_one_grid(list(found.values()))
    own, volumes = _on_one_grid(images)
    if difference := own.difference(grid):
        raise InputError(
            f"{images[0].name} and the probabilities lie on different grids: {difference}; give the images "
            "that were segmented."
        )
    pipeline = standardizing([path.name for path in images])
    image = preprocess(pipeline, volumes)["image"]
    crf = build_crf(len(classes), settings)
    refined = refine_brain(crf, classes, image, grid.spacing_xyz_mm[::-1])
    labels = np.asarray(list(found), np.uint8)[refined.argmax(axis=0)]
    write_labels(output, labels, grid)


def _read_array(path: Path) -> np.ndarray:
    """Read probabilities of a picture, float32 (classes, H, W)."""
    try:
        array = np.load(path, allow_pickle=False)
        usable = array.ndim == 3 and array.dtype.kind == "f" and np.isfinite(array).all()
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{path}: not a readable array ({error}), expected a .npy file; write it again."
        ) from error
    if not usable or not 2 <= len(array) <= len(CLASSES) or array.min() < 0 or array.max() > 1.001:
        raise InputError(
            f"{path}: found {array.dtype} {array.shape}, expected floats from 0 to 1 with the shape (2 to "
            f"{len(CLASSES)} classes, rows, columns); write probabilities, not scores."
        )
    return array.astype(np.float32)


def _on_one_grid(paths: Sequence[Path]) -> tuple[Grid, np.ndarray]:
    """Read volumes, float32 (files, z, y, x)."""
    images = [read_volume(path) for path in paths]
    grid = Grid.of(images[0])
    for path, image in zip(paths, images, strict=True):
        if difference := Grid.of(image).difference(grid):
            raise InputError(
                f"{path.name} and {paths[0].name} lie on different grids: {difference}; resample them first."
            )
    return grid, np.stack([sitk.GetArrayFromImage(image).astype(np.float32) for image in images])
