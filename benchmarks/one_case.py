"""One preprocessed case for the measurements: a phantom, or a real case with its truth."""

import argparse
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.phantom.phantom_case import FULL_SIZE_XYZ, make_phantom
from scripted_models.errors import InputError
from scripted_models.segmentation.case_images import read_on_one_grid
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.case_split import usable_cases
from scripted_models.training.experiment_config import DEFAULT_PREPROCESSING
from scripted_models.training.training_case import IGNORED, TrainingCase, make_target
from scripted_models.transforms.preprocessing import build_preprocessing, preprocess


def add_case_options(parser: argparse.ArgumentParser) -> None:
    """Let the command line choose the case."""
    parser.add_argument("--case", type=Path, help="folder of one BraTS case; default: a phantom")
    parser.add_argument(
        "--phantom-size", type=int, nargs=3, default=FULL_SIZE_XYZ, metavar=("X", "Y", "Z")
    )


def read_case(options: argparse.Namespace) -> TrainingCase:
    """Read or make the case that the command line names, in its own orientation."""
    if options.case is None:
        return phantom_case(options.phantom_size)
    found = list(usable_cases(options.case).values())
    if len(found) != 1:
        raise InputError(
            path=options.case,
            found=f"{len(found)} cases with four images and a label map",
            expected="one",
            action="name the folder of a single case",
        )
    images = read_on_one_grid(found[0])
    image = np.stack([sitk.GetArrayFromImage(images[m]).astype(np.float32) for m in SEQUENCES])
    labels, _ = found[0].read_truth()
    coding = found[0].coding
    merged = coding is not None and coding.merged_necrosis
    return _preprocessed(found[0].name, image, labels, merged)


def phantom_case(size_xyz: tuple[int, int, int]) -> TrainingCase:
    """Make a phantom of a size and preprocess it."""
    x, y, z = size_xyz
    phantom = make_phantom(1, (x, y, z))
    image = np.stack([phantom.volumes[m] for m in SEQUENCES])
    name = f"phantom of {' x '.join(map(str, size_xyz))} voxels"
    return _preprocessed(name, image, phantom.labels, merged=False)


def tumor_slices(case: TrainingCase, count: int) -> list[int]:
    """Return the slices with the most tumor, the largest first."""
    tumor = (case.target > 0) & (case.target != IGNORED)
    return np.argsort(-tumor.sum(axis=(1, 2)), kind="stable")[:count].tolist()


def _preprocessed(name: str, image: np.ndarray, labels: np.ndarray, merged: bool) -> TrainingCase:
    done = preprocess(build_preprocessing(DEFAULT_PREPROCESSING), image, labels)
    target = make_target(done["labels"], done["brain"], merged)
    return TrainingCase.of(name, done["image"], target)
