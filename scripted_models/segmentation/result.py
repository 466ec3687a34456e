"""What the segmentation of a case consists of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from scripted_models.errors import Problem
from scripted_models.geometry import Grid
from scripted_models.inference import CPU_AFTER_GPU, Placement, Rung
from scripted_models.labels import region_mask
from scripted_models.measurement.diameters import Diameters, Necrosis, axial_diameters
from scripted_models.measurement.lesions import Lesions, find_lesions
from scripted_models.measurement.volumes import Measurement, measure
from scripted_models.preparation.image_preparation import Prepared

MEMORY_WORDS = {  # how the network runs on each rung, for people
    Rung.GPU_HALF: "in half precision, because the memory of the GPU did not suffice for single",
    Rung.CPU: f"on the {CPU_AFTER_GPU}",
    Rung.CPU_ONE_SLICE: "on one slice at a time, because the memory did not suffice for more",
}


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Result of one case.

    Attributes:
        labels: uint8 (z, y, x), internal labels, on `grid`.
        probabilities: float32 (classes, z, y, x) on `grid`, classes as `known_labels`.
        known_labels: internal labels that the model can give, ascending.
        grid: of the inputs, or the native one of a sequence where they had several.
        volumes: sequence -> input volume (z, y, x) on `grid`, for pictures.
        problems: what the user should know about inputs and result.
        estimated_dice: region -> Dice that the probabilities promise (see `quality_estimate`).
        doubtful_slices: indices along the first axis where most voxels are expected to be wrong.
        placement: where the network ran in the end.
        form: how the network was evaluated, one of `inference.FORMS`.
        memory_steps: where the network went on after memory had run out; usually none.
        seconds: time per stage.
        asked: what the user wanted of raw volumes, and what was not installed for it.
        prepared: how the volumes were prepared; None where they are as in the files.
        working_volumes_ml: label or region -> mL on the grid that the network saw; of prepared
            volumes only.
        brain: bool (z, y, x) on `grid`; None where it is not known.
        necrosis: whether diameters may cross it (see `axial_diameters`).
    """

    labels: np.ndarray
    probabilities: np.ndarray
    known_labels: tuple[int, ...]
    grid: Grid
    volumes: Mapping[str, np.ndarray]
    problems: tuple[Problem, ...]
    estimated_dice: Mapping[str, float]
    doubtful_slices: tuple[int, ...]
    placement: Placement
    form: str
    memory_steps: tuple[Rung, ...]
    seconds: Mapping[str, float]
    asked: Mapping[str, str] = field(default_factory=dict)
    prepared: Prepared | None = None
    working_volumes_ml: Mapping[str, float] = field(default_factory=dict)
    brain: np.ndarray | None = None
    necrosis: Necrosis = "excluded"

    @cached_property
    def sizes(self) -> tuple[Measurement, ...]:
        """Voxels and mL of every tumor label and region that the model knows."""
        return measure(self.labels, self.grid, self.known_labels)

    @cached_property
    def diameters(self) -> Diameters | None:
        """The two diameters of the enhancing region; None without any."""
        return axial_diameters(region_mask(self.labels, "ET"), self.grid, self.necrosis)

    @cached_property
    def lesions(self) -> Lesions:
        """The connected lesions, with their diameters."""
        return find_lesions(self.labels, self.grid, self.brain, self.necrosis)

    @property
    def volumes_ml(self) -> dict[str, float]:
        """Label or region -> its volume in mL, rounded to 0.1 microliters."""
        return {size.name: round(size.volume_ml, 4) for size in self.sizes}

    @property
    def warnings(self) -> list[str]:
        """The problems as sentences."""
        return [problem.sentence for problem in self.problems]
