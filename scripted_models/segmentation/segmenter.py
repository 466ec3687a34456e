"""The main job: the volumes of a case in, a label map on their grid out."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from scripted_models.bundle.weights import Model, load_model
from scripted_models.cases.case import Case
from scripted_models.errors import Problem
from scripted_models.inference import (
    GpuMemoryError,
    Rung,
    choose_form,
    leave_gpu,
    place_network,
)
from scripted_models.measurement.volumes import measure
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.quality_estimate import (
    doubtful_slices,
    estimated_dice,
    expected_ml,
    result_problems,
)
from scripted_models.segmentation.raw_cases import (
    AUTOMATIC,
    SHARE,
    PreparationOptions,
    ResultPlace,
    asked_and_lacked,
    read_case,
)
from scripted_models.segmentation.result import MEMORY_WORDS, Segmentation
from scripted_models.segmentation.volume_steps import (
    CaseVolumes,
    NetworkInput,
    check_windows,
    decide,
    look_at_case,
    predict,
    prepare,
    to_input_grid,
)

STAGES = {"read": 0.0, "preprocess": 0.05, "network": 0.12, "postprocess": 0.92, "write": 0.96}


class Segmenter:
    """A loaded model on a device, for any number of cases.

    Args:
        model: its network is moved to the device.
        device: 'auto', 'cpu' or 'cuda'. With 'auto' the CPU takes over, for good, when the GPU
            runs out of memory even in half precision.
        preparation: what is done with raw volumes.

    Attributes:
        model: the model.
        preparation: what is done with raw volumes.
        placement: where its network is now, and why.

    Raises:
        ResourceError: 'cuda' was asked for and is not there.
    """

    def __init__(
        self,
        model: Model,
        device: str = "auto",
        preparation: PreparationOptions = AUTOMATIC,
    ) -> None:
        self.model, self.preparation = model, preparation
        self.placement = place_network(model.network, device)
        self._may_leave_gpu = device == "auto"

    @classmethod
    def load(
        cls,
        name_or_path: str,
        device: str = "auto",
        preparation: PreparationOptions = AUTOMATIC,
    ) -> "Segmenter":
        """Load a model after verifying it.

        Args:
            name_or_path: a shipped name, a name of the user's, or a folder.
            device: as for the class.
            preparation: as for the class.

        Raises:
            ModelError: not found, damaged, or made for other channels, labels or networks.
            ResourceError: 'cuda' was asked for and is not there.
        """
        return cls(load_model(name_or_path), device, preparation)

    def segment(
        self, case: Case, progress: Progress, cancelled: Callable[[], bool] = lambda: False
    ) -> Segmentation:
        """Segment one case; nothing is written.

        Args:
            case: with the images that the model needs.
            progress: told about stages.
            cancelled: asked between slices, or between the layers of a network of volumes.

        Raises:
            InputError: images missing or damaged, or on different grids and not to be registered.
            ResourceError: too little memory, or no way to remove a skull.
            Cancelled: `cancelled` returned true.
        """
        stages = _Stages(progress)
        stages.enter("read")
        one_of = self.model.description.needs_one_of
        part = progress.part(0.0, SHARE)
        read = read_case(case, one_of, self.preparation, part, cancelled)
        volumes = look_at_case(case, read.images, self.model, as_in_files=not read.prepared)
        if read.prepared:
            stages.go_on_after(read.seconds)
        progress = stages.progress
        stages.enter("preprocess")
        seen = prepare(read.images, self.model)
        read = replace(read, images={})  # `volumes` holds the same
        place = read.place() if read.place else ResultPlace.of(volumes)
        stages.enter("network")
        inner, steps = self._predict(seen, progress, cancelled)
        stages.enter("postprocess")
        probabilities = to_input_grid(inner, seen, volumes.grid, self.model)
        before = self._volumes_ml(probabilities, volumes) if read.prepared else {}
        probabilities = place.bring(probabilities)
        decided = decide(probabilities, place.brain, place.grid, self.model)
        labels = decided.labels
        stages.leave()
        certainty = (labels, probabilities, self.model.known_labels)
        promised = estimated_dice(*certainty)
        doubtful = doubtful_slices(*certainty, place.grid.spacing_xyz_mm[2])
        below = self.model.description.check_below.items()
        least = {str(region): dice for region, dice in below}
        enhancing_ml = expected_ml(probabilities, self.model.known_labels, "ET", place.grid)
        told_ml = (enhancing_ml, decided.replaced_necrosis_ml)
        doubts = result_problems(labels, promised, doubtful, least, *told_ml)
        found = (*read.findings, *volumes.findings, *place.look_at(labels))
        problems: list[Problem] = [*found, *doubts]
        return Segmentation(
            labels=labels,
            probabilities=probabilities,
            known_labels=self.model.known_labels,
            grid=place.grid,
            volumes=dict(place.volumes),
            problems=tuple(problems),
            estimated_dice=promised,
            doubtful_slices=tuple(doubtful),
            placement=self.placement,
            form=choose_form(self.model.network),
            memory_steps=steps,
            seconds=stages.seconds,
            asked=asked_and_lacked(self.preparation, read.lacks_extractor),
            prepared=read.prepared,
            working_volumes_ml=before,
            brain=place.brain,
        )

    def _volumes_ml(self, probabilities: np.ndarray, volumes: CaseVolumes) -> dict[str, float]:
        """Return the volumes of labels and regions on the grid that the network saw."""
        labels = decide(probabilities, volumes.brain, volumes.grid, self.model).labels
        sizes = measure(labels, volumes.grid, self.model.known_labels)
        return {size.name: size.volume_ml for size in sizes}

    def _predict(
        self, seen: NetworkInput, progress: Progress, cancelled: Callable[[], bool]
    ) -> tuple[np.ndarray, tuple[Rung, ...]]:
        """Predict a volume, once more with less memory where it runs out.

        Returns:
            Probabilities as of `predict`, and the rungs that were gone down to.
        """
        rung = Rung.top_on(self.placement.device)
        steps: list[Rung] = []
        part = progress.part(STAGES["network"], STAGES["postprocess"])
        while True:
            try:
                return predict(self.model, seen, rung, part.update, cancelled), tuple(steps)
            except (GpuMemoryError, MemoryError, RuntimeError) as error:
                by_slices = isinstance(self.model.network, SliceNetwork)
                lower = rung.below(error, self._may_leave_gpu, by_slices)
                if lower is None:
                    raise
            rung = lower
            steps.append(rung)
            progress.warning(f"The network now runs {MEMORY_WORDS[rung]}.")
            if rung is Rung.CPU:
                self.placement = leave_gpu(self.model.network)
                check_windows(self.model, seen)


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

    def go_on_after(self, seconds: Mapping[str, float]) -> None:
        """Count stages of a preparation; what follows is the rest of the run."""
        self.leave()
        self.seconds["read"] = round(self.seconds["read"] - sum(seconds.values()), 3)
        self.seconds |= seconds
        self.progress = self.progress.part(SHARE, 1.0)

    def leave(self) -> None:
        if self._name:
            self.seconds[self._name] = round(time.monotonic() - self._since, 3)
        self._name = ""
