"""A case as a network sees it, with its ground truth, and the segmentation of single slices."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.training_space import TrainingSpace, resample
from scripted_models.inference import iterate_slices, predict_slice
from scripted_models.labels import LabelCoding, region_mask
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.pictures.panels import tissue_mask
from scripted_models.segmentation.case_images import read_on_one_grid
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.preprocessing import preprocess
from scripted_models.transforms.region_thresholds import decide_labels

OWN_SPACE = TrainingSpace(spacing_xyz_mm=(None, None, None))  # LPS, nothing resampled
_SEARCHED_SLICES = 12  # for the tumor of a case without ground truth


@dataclass(frozen=True)
class Placement:
    """The way of label maps from the grid of a case's images onto that of its shown volumes."""

    original: Grid
    shown: Grid
    space: TrainingSpace

    def bring(self, labels: np.ndarray, grid: Grid, source: object) -> np.ndarray:
        """Return a label map (z, y, x) on the shown grid.

        Args:
            labels: internal labels.
            grid: its own grid, which must be that of the images.
            source: file name for messages.

        Raises:
            InputError: it lies on another grid than the images.
        """
        if difference := grid.difference(self.original, HARMLESS_MM):
            raise InputError(
                path=str(source),
                found=f"a label map on another grid than the images ({difference})",
                expected="the same",
                action="resample it first",
            )
        image = sitk.DICOMOrient(self.original.image_from(labels), self.space.orientation)
        if self.space.resamples(self.original):
            image = resample(image, self.shown, sitk.sitkNearestNeighbor)
        return sitk.GetArrayFromImage(image)


@dataclass(frozen=True)
class ShownCase:
    """A case in a space: that of a model, or its own in LPS orientation.

    Attributes:
        name: case name.
        volumes: sequence -> float32 (z, y, x); x to the patient's left, y to posterior, z to
            superior.
        truth: ground truth, uint8 (z, y, x) internal labels; None when there is none.
        placement: of further label maps.
    """

    name: str
    volumes: dict[str, np.ndarray]
    truth: np.ndarray | None
    placement: Placement

    @property
    def spacing_xyz_mm(self) -> tuple[float, float, float]:
        """Spacing of the shown volumes."""
        return self.placement.shown.spacing_xyz_mm

    @cached_property
    def brain(self) -> np.ndarray:
        """Where there is tissue, bool (z, y, x)."""
        return tissue_mask(self.volumes.values())


def only_case(folder: Path) -> Case:
    """Return the single case of a folder.

    Raises:
        InputError: none or several.
    """
    cases = find_cases(folder)
    if len(cases) > 1:
        names = ", ".join(case.name for case in cases[:3])
        raise InputError(
            path=folder,
            found=f"{len(cases)} cases ({names} ...)",
            expected="one",
            action="name the folder of a case",
        )
    return cases[0]


def read_shown_case(
    case: Case, space: TrainingSpace = OWN_SPACE, coding: LabelCoding | None = None
) -> ShownCase:
    """Read a case and its ground truth, if any, and bring both into a space.

    Args:
        case: with all four images.
        space: of a model.
        coding: of the ground truth, where the naming does not tell it.

    Raises:
        InputError: images missing, damaged or on different grids.
    """
    images = read_on_one_grid(case)
    moved = {sequence: space.to_training(image) for sequence, image in images.items()}
    first = SEQUENCES[0]
    placement = Placement(Grid.of(images[first]), Grid.of(moved[first]), space)
    truth = None
    if case.truth is not None:
        truth = placement.bring(*case.read_truth(coding), case.truth)
    volumes = {sequence: sitk.GetArrayFromImage(image) for sequence, image in moved.items()}
    return ShownCase(case.name, volumes, truth, placement)


class SlicePredictor:
    """Segments single axial slices of a case, as the network sees them.

    Small components are a matter of the whole volume and stay in, and a region that is decided by
    its estimated Dice is decided by that of the slice. Of several planes it is the axial one.

    Args:
        model: says how to preprocess and which labels its classes are.
        case: read in the space of the model.
    """

    def __init__(self, model: Model, case: ShownCase):
        self.known_labels, self.decision = model.known_labels, model.decision
        volumes = np.stack([case.volumes[m] for m in SEQUENCES])
        self.prepared = preprocess(model.preprocessing, volumes)
        self.shape = case.brain.shape

    def labels(self, network: SliceNetwork, z: int) -> np.ndarray:
        """Return the internal labels of slice z, uint8 (y, x); 0 outside the brain."""
        plane = np.zeros(self.shape[1:], np.uint8)
        box, brain = self.prepared["box"], self.prepared["brain"]
        inner = z - box[0].start
        if not 0 <= inner < len(brain) or not brain[inner].any():
            return plane
        rows, columns, values = predict_slice(network, self.prepared["image"], brain, inner)
        found = decide_labels(values, self.known_labels, self.decision)
        found[~brain[inner, rows, columns]] = 0
        plane[box[1:]][rows, columns] = found
        return plane


def tumor_mask(case: ShownCase, predict: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return where the ground truth has tumor; without one where `predict` finds it on some slices.

    Args:
        case: the case.
        predict: slice index -> labels (y, x).

    Returns:
        bool (z, y, x).
    """
    if case.truth is not None:
        return region_mask(case.truth, "WT")
    mask = np.zeros(case.brain.shape, bool)
    for z in iterate_slices(case.brain, _SEARCHED_SLICES):
        mask[z] = region_mask(predict(z), "WT")
    return mask


def chosen_slice(number: int, case: ShownCase) -> int:
    """Return the index of an axial slice that a person counts from 1, from inferior to superior.

    Raises:
        InputError: no such slice.
    """
    if not 1 <= number <= len(case.brain):
        raise InputError(
            found=f"--slice {number}, and {len(case.brain)} axial slices in {case.name}",
            expected=f"a number from 1 to {len(case.brain)}",
            action="choose one of these",
        )
    return number - 1
