"""The main job: the volumes of a case in, a label map on their grid out."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from scripted_models.brain_mask import brain_mask
from scripted_models.bundle.weights import Model, load_model
from scripted_models.cases.case import Case
from scripted_models.errors import Problem
from scripted_models.geometry import Grid
from scripted_models.inference import (
    MOST_WORKERS,
    GpuMemoryError,
    Rung,
    choose_form,
    leave_gpu,
    place_network,
    predict_volume,
)
from scripted_models.networks.crf.refinement import refine_brain
from scripted_models.runtime.memory import check_memory
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.case_images import findings_of, read_on_one_grid
from scripted_models.segmentation.quality_estimate import (
    doubtful_slices,
    estimated_dice,
    result_problems,
)
from scripted_models.segmentation.result import MEMORY_WORDS, Segmentation
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.preprocessing import preprocess
from scripted_models.transforms.region_thresholds import decide_labels

STAGES = {"read": 0.0, "preprocess": 0.05, "network": 0.12, "postprocess": 0.92, "write": 0.96}


class Segmenter:
    """A loaded model on a device, for any number of cases.

    Args:
        model: its network is moved to the device.
        device: 'auto', 'cpu' or 'cuda'. With 'auto' the CPU takes over, for good, when the GPU
            runs out of memory even in half precision.

    Attributes:
        model: the model.
        placement: where its network is now, and why.

    Raises:
        ResourceError: 'cuda' was asked for and is not there.
    """

    def __init__(self, model: Model, device: str = "auto") -> None:
        self.model = model
        self.placement = place_network(model.network, device)
        self._may_leave_gpu = device == "auto"

    @classmethod
    def load(cls, name_or_path: str, device: str = "auto") -> "Segmenter":
        """Load a model after verifying it.

        Args:
            name_or_path: a shipped name, a name of the user's, or a folder.
            device: as for the class.

        Raises:
            ModelError: not found, damaged, or made for other channels, labels or networks.
            ResourceError: 'cuda' was asked for and is not there.
        """
        return cls(load_model(name_or_path), device)

    def segment(
        self, case: Case, progress: Progress, cancelled: Callable[[], bool] = lambda: False
    ) -> Segmentation:
        """Segment one case; nothing is written.

        Args:
            case: with the images that the model needs, on one grid.
            progress: told about stages.
            cancelled: asked between slices.

        Raises:
            InputError: images missing, damaged or on different grids.
            ResourceError: too little memory.
            Cancelled: `cancelled` returned true.
        """
        stages = _Stages(progress)
        stages.enter("read")
        images = read_on_one_grid(case, self.model.description.needs_one_of)
        grid = Grid.of(next(iter(images.values())))
        volumes = {m: sitk.GetArrayFromImage(image) for m, image in images.items()}
        findings = findings_of(case, volumes, grid, self.model)
        check_memory(math.prod(grid.size_xyz), self.model.space.training_voxels(grid))
        stages.enter("preprocess")
        inputs = self._prepare(images)
        del images  # `volumes` holds the same
        stages.enter("network")
        inner, steps = self._predict(inputs, progress, cancelled)
        stages.enter("postprocess")
        probabilities = self._on_input_grid(inner, inputs, grid)
        labels = self.decide(probabilities, brain_mask(volumes.values()), grid)
        stages.leave()
        certainty = (labels, probabilities, self.model.known_labels)
        promised, doubtful = estimated_dice(*certainty), doubtful_slices(*certainty)
        below = self.model.description.check_below.items()
        least = {str(region): dice for region, dice in below}
        problems: list[Problem] = [*findings, *result_problems(labels, promised, doubtful, least)]
        return Segmentation(
            labels=labels,
            probabilities=probabilities,
            known_labels=self.model.known_labels,
            grid=grid,
            volumes=volumes,
            problems=tuple(problems),
            estimated_dice=promised,
            doubtful_slices=tuple(doubtful),
            placement=self.placement,
            form=choose_form(self.model.network),
            memory_steps=steps,
            seconds=stages.seconds,
        )

    def decide(self, probabilities: np.ndarray, brain: np.ndarray, grid: Grid) -> np.ndarray:
        """Return the labels that the model makes of probabilities.

        Args:
            probabilities: float32 (classes, z, y, x).
            brain: bool (z, y, x).
            grid: of both.

        Returns:
            uint8 (z, y, x), internal labels.
        """
        model = self.model
        least = {str(region): share for region, share in model.decision.items()}
        data = {
            "labels": decide_labels(probabilities, model.known_labels, least),
            "brain": brain,
            "voxel_volume_ml": grid.voxel_volume_ml,
            "spacing_zyx_mm": grid.spacing_xyz_mm[::-1],
        }
        return model.postprocessing(data)["labels"]

    def _prepare(self, images: Mapping[str, sitk.Image]) -> "_Inputs":
        """Bring images into the training space and preprocess them."""
        moved = {m: self.model.space.to_training(image) for m, image in images.items()}
        grid = Grid.of(next(iter(moved.values())))
        stack = np.zeros((len(SEQUENCES), *grid.shape_zyx), np.float32)
        for sequence, image in moved.items():
            stack[SEQUENCES.index(sequence)] = sitk.GetArrayViewFromImage(image)
        missing = [m for m in SEQUENCES if m not in images]
        done = preprocess(self.model.preprocessing, stack, missing=missing)
        return _Inputs(done["image"], done["brain"], done["box"], grid)

    def _predict(
        self, inputs: "_Inputs", progress: Progress, cancelled: Callable[[], bool]
    ) -> tuple[np.ndarray, tuple[Rung, ...]]:
        """Predict a volume, once more with less memory where it runs out.

        Returns:
            Probabilities as of `predict_volume`, and the rungs that were gone down to.
        """
        rung = Rung.top_on(self.placement.device)
        steps: list[Rung] = []
        part = progress.part(STAGES["network"], STAGES["postprocess"])
        while True:
            try:
                found = predict_volume(
                    self.model.network,
                    inputs.image,
                    inputs.brain,
                    part.update,
                    cancelled,
                    workers=1 if rung is Rung.CPU_ONE_SLICE else MOST_WORKERS,
                    half=rung is Rung.GPU_HALF,
                )
                return found, tuple(steps)
            except (GpuMemoryError, MemoryError, RuntimeError) as error:
                lower = rung.below(error, self._may_leave_gpu)
                if lower is None:
                    raise
            rung = lower
            steps.append(rung)
            progress.warning(f"The network now runs {MEMORY_WORDS[rung]}.")
            if rung is Rung.CPU:
                self.placement = leave_gpu(self.model.network)

    def _on_input_grid(self, inner: np.ndarray, inputs: "_Inputs", grid: Grid) -> np.ndarray:
        """Refine the probabilities of the box and bring them onto the grid of the inputs."""
        if self.model.crf is not None:
            spacing = inputs.grid.spacing_xyz_mm[::-1]
            inner = refine_brain(self.model.crf, inner, inputs.image, spacing)
        whole = np.zeros((len(inner), *inputs.grid.shape_zyx), np.float32)
        whole[0] = 1.0
        inside = (slice(None), *inputs.box)
        whole[inside] = inner
        return self.model.space.to_input(whole, inputs.grid, grid)


@dataclass(frozen=True, eq=False)
class _Inputs:
    """What the network sees of a case.

    Attributes:
        image: float32 (C, z, y, x), preprocessed, the box of the brain.
        brain: bool (z, y, x) in the box.
        box: where that lies in the training grid.
        grid: the training grid.
    """

    image: np.ndarray
    brain: np.ndarray
    box: tuple[slice, ...]
    grid: Grid


class _Stages:
    """Tells the progress where one case stands and keeps the time of each stage."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self._name, self._since = "", 0.0

    def enter(self, name: str) -> None:
        self.leave()
        self._name, self._since = name, time.monotonic()
        self.progress.stage(name, STAGES[name])

    def leave(self) -> None:
        if self._name:
            self.seconds[self._name] = round(time.monotonic() - self._since, 3)
        self._name = ""
