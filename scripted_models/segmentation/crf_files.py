"""Probabilities of a case in files into its label map, by a dense CRF."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.volume_files import read_volume, write_labels
from scripted_models.labels import LABELS, name_in_files
from scripted_models.networks.crf.refinement import build_crf, refine_brain
from scripted_models.transforms.preprocessing import preprocess, standardizing


def refine_case(
    folder: Path, images: Sequence[Path], output: Path, settings: Mapping[str, Any]
) -> None:
    """Write the label map of a case on the grid of its volumes, internal labels.

    Args:
        folder: with probability_NAME.nii.gz of the background and of each label that the model
            knows.
        images: volumes of the case's sequences, skull-stripped.
        output: volume to write.
        settings: arguments of `DenseCRF`; widths in mm and in standard deviations of the brain's
            intensity.

    Raises:
        InputError: unreadable or missing files, or grids that differ.
        ModelError: impossible settings.
    """
    files = {k: folder / f"probability_{name_in_files(k)}.nii.gz" for k in LABELS}
    found = {label: path for label, path in files.items() if path.is_file()}
    if 0 not in found or len(found) < 2:
        raise InputError(
            found=f"{len(found)} files of probabilities",
            expected=f"{files[0].name} and others",
            action="write them with `segment --probabilities`",
            path=folder,
        )
    grid, classes = _on_one_grid(list(found.values()))
    own, volumes = _on_one_grid(images)
    if difference := own.difference(grid, HARMLESS_MM):
        raise InputError(
            found=f"another grid than that of the probabilities ({difference})",
            expected="the same",
            action="give the images that were segmented",
            path=images[0],
        )
    names = [path.name for path in images]
    pipeline = standardizing(names)
    image = preprocess(pipeline, volumes)["image"]
    crf = build_crf(len(classes), settings)
    refined = refine_brain(crf, classes, image, grid.spacing_xyz_mm[::-1])
    labels = np.asarray(list(found), np.uint8)[refined.argmax(axis=0)]
    write_labels(output, labels, grid)


def _on_one_grid(paths: Sequence[Path]) -> tuple[Grid, np.ndarray]:
    """Read volumes, float32 (files, z, y, x)."""
    images = [read_volume(path) for path in paths]
    grid = Grid.of(images[0])
    for path, image in zip(paths, images, strict=True):
        if difference := Grid.of(image).difference(grid, HARMLESS_MM):
            raise InputError(
                found=f"another grid than that of {paths[0].name} ({difference})",
                expected="the same",
                action="resample them first",
                path=path,
            )
    return grid, np.stack([sitk.GetArrayFromImage(image).astype(np.float32) for image in images])
