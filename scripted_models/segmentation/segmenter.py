"""The main job: four volumes in, a label map on their grid out."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk

from scripted_models.bundle.missing_sequences import missing_finding
from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.errors import InputError, listed
from scripted_models.geometry import Grid
from scripted_models.images.checks import (
    STOP,
    WARNING,
    Examined,
    Finding,
    grid_findings,
    voxel_findings,
)
from scripted_models.images.nifti import forms_apart_mm
from scripted_models.images.voxel_facts import look_at
from scripted_models.inference import (
    CPU_AFTER_GPU,
    MOST_WORKERS,
    GpuMemoryError,
    choose_form,
    predict_volume,
)
from scripted_models.labels import LABELS, known_regions, region_mask
from scripted_models.networks.crf.refinement import refine_brain
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.memory import check_memory, is_shortage
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.quality_estimate import doubtful_slices, estimated_dice
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.preprocessing import preprocess
from scripted_models.transforms.region_thresholds import decide_labels

MOST_APART_MM = 1.0  # of a volume's q-form and s-form
HALF = "in half precision, because the memory of the GPU did not suffice for single"
ONE_SLICE = "on one slice at a time, because the memory did not suffice for more"
_STAGES = {"read": 0.0, "preprocess": 0.05, "network": 0.12, "postprocess": 0.92, "write": 0.96}


@dataclass
class Segmented:
    """Result of one case.

    Attributes:
        labels: uint8 (z, y, x), internal labels, on the input's grid.
        probabilities: float32 (classes, z, y, x) on the input's grid, classes as `known_labels`.
        grid: grid of the inputs.
        volumes: the input volumes as arrays, for pictures.
        seconds: time per stage.
        warnings: sentences for the user.
        known_labels: internal labels that the model can give, ascending.
        form: how the network was evaluated, one of `inference.FORMS`.
        estimated_dice: region -> Dice that the probabilities promise (see `confidence`).
        memory_steps: how the network went on after memory had run out; usually none.
        doubtful_slices: indices along the first axis where most voxels are expected to be wrong.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    grid: Grid
    volumes: dict[str, np.ndarray]
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    known_labels: tuple[int, ...] = tuple(LABELS)
    form: str = ""
    estimated_dice: dict[str, float] = field(default_factory=dict)
    memory_steps: list[str] = field(default_factory=list)
    doubtful_slices: list[int] = field(default_factory=list)

    def volumes_ml(self) -> dict[str, float]:
        """Return the volume in mL of every tumor label and region that the model knows."""
        ml = self.grid.voxel_volume_ml
        known, regions = self.known_labels, known_regions(self.known_labels)
        by_label = {LABELS[k]: float((self.labels == k).sum() * ml) for k in known if k}
        by_region = {name: float(region_mask(self.labels, name).sum() * ml) for name in regions}
        return {k: round(v, 4) for k, v in {**by_label, **by_region}.items()}


class _Stages:
    """Tells the progress where one case stands and keeps the time of each stage."""

    def __init__(self, progress: Progress, span: tuple[float, float]):
        self.progress, self.span, self.seconds = progress, span, {}
        self._name, self._since = "", 0.0

    def enter(self, name: str) -> None:
        self.leave()
        self._name, self._since = name, time.monotonic()
        self.progress.stage(name, self._of_run(_STAGES[name]))

    def leave(self) -> None:
        if self._name:
            self.seconds[self._name] = round(time.monotonic() - self._since, 3)
        self._name = ""

    def network(self, fraction: float) -> None:
        low, high = _STAGES["network"], _STAGES["postprocess"]
        self.progress.update(self._of_run(low + fraction * (high - low)))

    def _of_run(self, fraction: float) -> float:
        return self.span[0] + fraction * (self.span[1] - self.span[0])


def segment_case(
    case: Case,
    model: Model,
    progress: Progress,
    cancelled: Callable[[], bool] = lambda: False,
    span: tuple[float, float] = (0.0, 1.0),
    cpu_fallback: bool = False,
) -> Segmented:
    """Segment one case; nothing is written.

    Args:
        case: with the images that the model needs, on one grid.
        model: loaded model, its network on the device to use.
        progress: told about stages.
        cancelled: asked between slices.
        span: share of the whole run that this case takes.
        cpu_fallback: move the network to the CPU, for good, when the GPU runs out of memory even in half
            precision.

    Raises:
        InputError: images missing, damaged or on different grids.
        GpuMemoryError: the GPU ran out of memory, and the CPU may not take over.
        Cancelled: `cancelled` returned true.
    """
    stages = _Stages(progress, span)
    stages.enter("read")
    images = read_on_one_grid(case, model.description.needs_one_of)
    grid = Grid.of(next(iter(images.values())))
    volumes = {m: sitk.GetArrayFromImage(image) for m, image in images.items()}
    findings = _findings(case, volumes, grid, model)
    check_memory(volumes[next(iter(volumes))].size, model.space.training_voxels(grid))
    stages.enter("preprocess")
    done, training_grid = _preprocessed(images, model)
    del images  # `volumes` holds the same
    stages.enter("network")
    volume = (done["image"], done["brain"])
    steps: list[str] = []
    inner = _predict(model.network, volume, (stages.network, cancelled), cpu_fallback, steps)
    for step in steps:
        progress.warning(f"The network now runs {step}.")
    stages.enter("postprocess")
    if model.crf is not None:
        spacing = training_grid.spacing_xyz_mm[::-1]
        inner = refine_brain(model.crf, inner, done["image"], spacing)
    probabilities = np.zeros((len(inner), *training_grid.shape_zyx), np.float32)
    probabilities[0] = 1.0
    probabilities[(slice(None), *done["box"])] = inner
    probabilities = model.space.to_input(probabilities, training_grid, grid)
    brain = np.any([volume != 0 for volume in volumes.values()], axis=0)
    labels = _finish_labels(model, probabilities, brain, grid)
    stages.leave()
    result = Segmented(labels, probabilities, grid, volumes, stages.seconds)
    result.known_labels, result.memory_steps = model.known_labels, steps
    result.form = choose_form(model.network)
    certainty = (labels, probabilities, model.known_labels)
    result.estimated_dice = estimated_dice(*certainty)
    result.doubtful_slices = doubtful_slices(*certainty)
    result.warnings = [finding.sentence for finding in findings] + _doubts(result, model)
    return result


def _preprocessed(images: dict[str, sitk.Image], model: Model) -> tuple[dict, Grid]:
    """Return what `preprocess` returns for the images in the training space, and their grid there."""
    moved = {m: model.space.to_training(image) for m, image in images.items()}
    grid = Grid.of(next(iter(moved.values())))
    stack = np.zeros((len(SEQUENCES), *grid.shape_zyx), np.float32)
    for sequence, image in moved.items():
        stack[SEQUENCES.index(sequence)] = sitk.GetArrayViewFromImage(image)
    missing = [m for m in SEQUENCES if m not in images]
    return preprocess(model.preprocessing, stack, missing=missing), grid


def _predict(
    network: SliceNetwork, volume: tuple, told: tuple, cpu_fallback: bool, steps: list[str]
) -> np.ndarray:
    """Predict a volume; where memory runs out once more with less of it, which `steps` tells.

    A GPU has taken fewer slices at a time before it gives up, and then computes in half precision.
    """
    try:
        workers = 1 if ONE_SLICE in steps else MOST_WORKERS
        return predict_volume(network, *volume, *told, workers=workers, half=steps == [HALF])
    except GpuMemoryError:
        if not steps:
            steps.append(HALF)
        elif cpu_fallback:
            network.to("cpu")
            steps.append(f"on the {CPU_AFTER_GPU}")
        else:
            raise
    except (MemoryError, RuntimeError) as error:
        if ONE_SLICE in steps or not is_shortage(error):
            raise
        steps.append(ONE_SLICE)
    return _predict(network, volume, told, cpu_fallback, steps)


def read_on_one_grid(case: Case, one_of: Sequence[str] = ()) -> dict[str, sitk.Image]:
    """Read the images of a case and make sure that they lie on one grid.

    Args:
        case: with the sequences that `Case.require_images` asks for.
        one_of: as for `Case.require_images`.

    Raises:
        InputError: as `Case.require_images`, or grids that differ.
    """
    case.require_images(one_of)
    images = {m: _read(case, m, one_of) for m in SEQUENCES if m in case.images}
    first = next(iter(images))
    reference = Grid.of(images[first])
    for sequence, image in images.items():
        if difference := Grid.of(image).difference(reference):
            raise InputError(
                f"Case {case.name}: {sequence} ({case.images[sequence].path.name}) and {first} "
                f"({case.images[first].path.name}) lie on different grids: {difference}; expected "
                "co-registered volumes, resample them onto one grid first."
            )
    return images


def _read(case: Case, sequence: str, one_of: Sequence[str]) -> sitk.Image:
    try:
        return case.images[sequence].read()
    except InputError as error:
        action = error.action + _way_out(case, sequence, one_of)
        raise InputError.of(replace(error.problem, action=action)) from error


def _way_out(case: Case, sequence: str, one_of: Sequence[str]) -> str:
    """Say that a sequence of no use can be left out, where the model can do without it."""
    rest = set(case.images) - {sequence}
    if not rest & set(one_of):
        return ""
    return f", or leave {sequence} out (of a case folder with --without {sequence})"


def _finish_labels(
    model: Model, probabilities: np.ndarray, brain: np.ndarray, grid: Grid
) -> np.ndarray:
    data = {
        "labels": decide_labels(probabilities, model.known_labels, model.decision),
        "brain": brain,
        "voxel_volume_ml": grid.voxel_volume_ml,
        "spacing_zyx_mm": grid.spacing_xyz_mm[::-1],
    }
    return model.postprocessing(data)["labels"]


def _findings(
    case: Case, volumes: Mapping[str, np.ndarray], grid: Grid, model: Model
) -> list[Finding]:
    """Look at the volumes before anything is computed.

    Raises:
        InputError: a volume that the model uses is of no use.
    """
    examined = {m: Examined(m, look_at(v), grid) for m, v in volumes.items()}
    used = model.description.sequences
    found = voxel_findings(examined) + grid_findings(examined, model.space, next(iter(examined)))
    for finding in found:
        if finding.severity == STOP and finding.slots[0] in used:
            slot = finding.slots[0]
            way_out = _way_out(case, slot, model.description.needs_one_of)
            stop = replace(finding, action=finding.action + way_out)
            raise InputError.of(stop, case.images[slot].path)
    found += _two_forms(case)
    cost = missing_finding(model.description, examined)
    return [*found, cost] if cost else found


def _two_forms(case: Case) -> list[Finding]:
    """Say which files are put into two places by their headers; ITK and 3D Slicer choose one without a word."""
    apart = {m: forms_apart_mm(source.path) for m, source in case.images.items()}
    slots = tuple(m for m, millimeters in apart.items() if millimeters > MOST_APART_MM)
    if not slots:
        return []
    two = Finding(
        found=f"a q-form and an s-form that lie {max(apart.values()):.3g} mm apart",
        expected="one place in the NIfTI header",
        action="check the result in your viewer, it is placed as 3D Slicer does",
        severity=WARNING,
        slots=slots,
        volumes=slots,
    )
    return [two]


def _doubts(result: Segmented, model: Model) -> list[str]:
    """Ask for a check where less Dice is expected than the model says to be usual."""
    nothing = [] if result.labels.any() else ["No tumor was found."]
    low = {
        region: result.estimated_dice[region]
        for region, least in model.description.check_below.items()
        if result.estimated_dice.get(region, 1.0) < least
    }
    if not low or not result.doubtful_slices:
        return nothing
    promised = listed([f"{value:.2f} for the region {region}" for region, value in low.items()])
    slices = listed([str(index + 1) for index in result.doubtful_slices])
    return [
        *nothing,
        f"The network is in doubt, it expects a Dice of {promised}; check the result, first slices {slices} of "
        f"{len(result.labels)}.",
    ]
