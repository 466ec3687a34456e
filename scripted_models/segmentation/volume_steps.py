"""The steps from the volumes of a case to its labels.

`Segmenter` and the transforms of MONAI's bundles (`bundle_transforms`) take the same ones.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from scripted_models.brain_mask import brain_mask
from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.geometry import Grid
from scripted_models.images.checks import Finding
from scripted_models.images.spacing_change import SpacingChange
from scripted_models.inference import MOST_WORKERS, Rung, cost_of, predict_volume, predict_windows
from scripted_models.labels import ENHANCING
from scripted_models.networks.crf.refinement import refine_brain
from scripted_models.networks.slice_network import SliceNetwork, VolumeNetwork
from scripted_models.runtime.memory import check_memory
from scripted_models.segmentation.case_images import findings_of
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.preprocessing import preprocess
from scripted_models.transforms.region_thresholds import decide_labels


@dataclass(frozen=True, eq=False)
class CaseVolumes:
    """The volumes of a case, looked at.

    Attributes:
        arrays: sequence -> (z, y, x).
        grid: of them all.
        findings: what a user should know of them.
    """

    arrays: Mapping[str, np.ndarray]
    grid: Grid
    findings: tuple[Finding, ...]

    @property
    def brain(self) -> np.ndarray:
        """Bool (z, y, x)."""
        return brain_mask(self.arrays.values())


@dataclass(frozen=True, eq=False)
class NetworkInput:
    """What the network sees of a case.

    Attributes:
        image: float32 (C, z, y, x), preprocessed, the box of the brain; after `change` of other
            sides.
        brain: bool (z, y, x) in the box.
        corner: where the box begins in the training grid, (z, y, x).
        grid: the training grid.
        change: of spacing between the training grid and the image.
    """

    image: np.ndarray
    brain: np.ndarray
    corner: tuple[int, int, int]
    grid: Grid
    change: SpacingChange | None = None


@dataclass(frozen=True, eq=False)
class Decided:
    """What a model makes of probabilities.

    Attributes:
        labels: uint8 (z, y, x), internal labels.
        replaced_necrosis_ml: volume that is called non-enhancing tumor because nothing enhances in
            its lesion.
    """

    labels: np.ndarray
    replaced_necrosis_ml: float = 0.0


def look_at_case(
    case: Case, images: Mapping[str, sitk.Image], model: Model, as_in_files: bool = True
) -> CaseVolumes:
    """Look at the images of a case before a model sees them.

    Args:
        case: where they come from.
        images: sequence -> image, on one grid.
        model: that will segment them.
        as_in_files: False where the images were prepared, so that their grids are others.

    Raises:
        InputError: a volume that the model uses is of no use.
        ResourceError: too little memory.
    """
    grid = Grid.of(next(iter(images.values())))
    arrays = {m: sitk.GetArrayFromImage(image) for m, image in images.items()}
    findings = findings_of(case, arrays, grid, model, as_in_files)
    inner = max(space.training_voxels(grid) for space in (model.space, model.space_of_steps))
    check_memory(math.prod(grid.size_xyz), inner, _network_bytes(model, inner))
    return CaseVolumes(arrays, grid, tuple(findings))


def check_windows(model: Model, seen: NetworkInput) -> None:
    """Refuse a network of volumes that the memory does not suffice for where it runs now.

    Raises:
        ResourceError: so it is.
    """
    voxels = max(seen.brain.size, seen.image[0].size)
    if more := _network_bytes(model, voxels):
        check_memory(voxels, voxels, more)


def _network_bytes(model: Model, voxels: int) -> int:
    """Return what a network of volumes takes beyond one of slices, before it runs."""
    network, window = model.network, model.description.sliding_window
    if window is None or not isinstance(network, VolumeNetwork):
        return 0
    weights = list(network.parameters())
    on_cpu = weights[0].device.type == "cpu"
    maps = cost_of(network, window).bytes if on_cpu else 0
    joined = network.in_channels + 3 * network.num_classes + 1  # float32, of each voxel
    padded = 4 * joined * max(voxels, math.prod(window.size))
    return maps + padded + sum(w.numel() * w.element_size() for w in weights)


def prepare(images: Mapping[str, sitk.Image], model: Model) -> NetworkInput:
    """Bring images into the training space of a model and preprocess them."""
    moved = {m: model.space_of_steps.to_training(image) for m, image in images.items()}
    grid = Grid.of(next(iter(moved.values())))
    stack = np.zeros((len(SEQUENCES), *grid.shape_zyx), np.float32)
    for sequence, image in moved.items():
        stack[SEQUENCES.index(sequence)] = sitk.GetArrayViewFromImage(image)
    missing = [m for m in SEQUENCES if m not in images]
    done = preprocess(
        model.preprocessing, stack, missing=missing, spacing_zyx_mm=grid.spacing_xyz_mm[::-1]
    )
    z, y, x = (axis.start for axis in done["box"])
    change = model.space.change(grid) if model.space_of_steps != model.space else None
    found = change.forth(done["image"]) if change else done["image"]
    return NetworkInput(found, done["brain"], (z, y, x), grid, change)


def predict(
    model: Model,
    seen: NetworkInput,
    rung: Rung,
    on_step: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> np.ndarray:
    """Return the probabilities of the labels in the box, float32 (labels, z, y, x).

    Args:
        model: its network, slices or windows, is used on its own device.
        seen: what it sees.
        rung: how much memory it may take.
        on_step: called with the fraction of the work done.
        cancelled: asked while it runs.

    Raises:
        Cancelled: `cancelled` returned true.
        GpuMemoryError: the GPU ran out of memory, or half precision gives no numbers.
        ModelError: the network gives NaN or infinite values.
    """
    network, description = model.network, model.description
    told = (on_step, cancelled)
    half = rung is Rung.GPU_HALF
    if isinstance(network, SliceNetwork):
        workers = 1 if rung is Rung.CPU_ONE_SLICE else MOST_WORKERS
        return predict_volume(network, seen.image, seen.brain, *told, workers=workers, half=half)
    window = description.sliding_window
    assert isinstance(network, VolumeNetwork)  # as `load_model` makes sure
    assert window is not None
    outputs = description.network_outputs
    return predict_windows(
        network, seen.image, seen.brain, window, outputs, *told, half=half, change=seen.change
    )


def to_input_grid(
    probabilities: np.ndarray, seen: NetworkInput, grid: Grid, model: Model
) -> np.ndarray:
    """Refine the probabilities of the box and bring them onto the grid of the volumes.

    Args:
        probabilities: float32 (classes, z, y, x), those of the box.
        seen: what the network saw.
        grid: of the volumes.
        model: whose network it was.

    Returns:
        float32 (classes, z, y, x), background 1 outside the box.
    """
    if model.crf is not None:
        spacing = seen.grid.spacing_xyz_mm[::-1]
        probabilities = refine_brain(model.crf, probabilities, seen.image, spacing)
    whole = np.zeros((len(probabilities), *seen.grid.shape_zyx), np.float32)
    whole[0] = 1.0
    z, y, x = (
        slice(start, start + length)
        for start, length in zip(seen.corner, seen.brain.shape, strict=True)
    )
    whole[:, z, y, x] = probabilities
    return model.space_of_steps.to_input(whole, seen.grid, grid)


def decide(probabilities: np.ndarray, brain: np.ndarray, grid: Grid, model: Model) -> Decided:
    """Return the labels that a model makes of probabilities.

    Args:
        probabilities: float32 (classes, z, y, x).
        brain: bool (z, y, x).
        grid: of both.
        model: its decision and postprocessing.
    """
    least = {str(region): share for region, share in model.decision.items()}
    data = {
        "labels": decide_labels(probabilities, model.known_labels, least),
        "brain": brain,
        "enhancing": _enhancing(probabilities, model.known_labels),
        "voxel_volume_ml": grid.voxel_volume_ml,
        "spacing_zyx_mm": grid.spacing_xyz_mm[::-1],
    }
    done = model.postprocessing(data)
    return Decided(done["labels"], done.get("replaced_necrosis_ml", 0.0))


def _enhancing(probabilities: np.ndarray, known_labels: Sequence[int]) -> np.ndarray:
    """Return the probability of enhancing tumor, 0 where a model does not know it."""
    if ENHANCING not in known_labels:
        return np.zeros_like(probabilities[0])
    found: np.ndarray = probabilities[known_labels.index(ENHANCING)]
    return found
