"""PASCAL VOC as a task: pictures of three colors, twenty classes and background."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scripted_models.bundle.description import TaskName
from scripted_models.bundle.image_scales import IMAGE_SCALES
from scripted_models.errors import InputError
from scripted_models.images.training_space import TrainingSpace
from scripted_models.labels import LabelCoding
from scripted_models.networks.slice_network import SegmentationNetwork, SliceNetwork
from scripted_models.tasks.voc.classes import CLASSES
from scripted_models.tasks.voc.held_out_pictures import HeldOutPictures
from scripted_models.tasks.voc.paper_rows import paper_rows
from scripted_models.tasks.voc.picture_cases import picture_sources, validate_pictures
from scripted_models.training.experiment_config import DataConfig, Experiment
from scripted_models.training.task import CaseSource
from scripted_models.training.training_case import TrainingCase

# Settings of [data] that are about cases; a picture has none of it.
_OF_CASES = (
    *("train", "validation", "test", "test_every", "patients", "folds", "slice_spacing_mm"),
    "upper_share",
    *("phantoms", "low_grade_phantoms", "phantoms_merged", "contrast_suppressed", "real"),
    *("degraded", "transplanted"),
)
_STEPS = ("preprocessing", "postprocessing", "decision")


class VocTask:
    """The `ListTask` of PASCAL VOC."""

    name: TaskName = "voc"
    classes = CLASSES

    def channels(self, experiment: Experiment) -> tuple[str, ...]:
        """Return the colors in the order that the weights expect."""
        return tuple(IMAGE_SCALES[experiment.data.image_scale].colors)

    def check(self, experiment: Experiment) -> None:
        """Refuse settings for brains, and rows that no paper prints."""
        usual = DataConfig()
        wrong = [key for key in _STEPS if getattr(experiment, key)]
        wrong += ["training.dice"] if experiment.training.dice else []
        wrong += [
            f"data.{key}"
            for key in _OF_CASES
            if getattr(experiment.data, key) != getattr(usual, key)
        ]
        if wrong:
            raise InputError(
                found=f"{', '.join(wrong)} in the experiment {experiment.name} on VOC",
                expected="no settings for brains: pictures have no regions, steps, cases or folds",
                action="set lists of steps to [] and take the others out",
            )
        if experiment.paper_row:
            paper_rows(experiment.paper_row)

    def sources(
        self, experiment: Experiment, data: Path, coding: LabelCoding | None
    ) -> tuple[list[CaseSource], list[CaseSource]]:
        """Find the images of the training and the validation list."""
        if coding is not None:
            raise InputError(
                found=f"the label coding {coding.name} for PASCAL VOC",
                expected="none: its indices mean the same everywhere",
                action="leave --coding out",
            )
        return picture_sources(experiment, data)

    def folds(self, experiment: Experiment, data: Path) -> list[Experiment]:
        """Refuse folds, which `check` does before."""
        raise InputError(
            found="folds for PASCAL VOC", expected="its own lists", action="set data.folds = 0"
        )

    def warnings(self, experiment: Experiment, data: Path, parted: bool = False) -> Iterable[str]:
        """Return nothing: the lists of VOC say what trains and what is tested."""
        return ()

    def validate(
        self, network: SegmentationNetwork, cases: list[TrainingCase], experiment: Experiment
    ) -> dict[str, float]:
        """Return the four metrics over all validation images."""
        assert isinstance(network, SliceNetwork)  # as `window_of` makes sure
        return validate_pictures(network, cases)

    def describe(self, experiment: Experiment) -> dict[str, Any]:
        """Return what a model description says of colors, classes and the (unused) space."""
        scale = IMAGE_SCALES[experiment.data.image_scale]
        return {
            "channels": tuple(scale.colors),
            "image_scale": scale,
            "labels": dict(enumerate(CLASSES)),
            "training_space": TrainingSpace(),
            "preprocessing": (),
            "postprocessing": (),
        }

    def held_out(self, experiments: Sequence[Experiment], data: Path) -> HeldOutPictures:
        """Find the images of the test list, which is the same for all experiments."""
        return HeldOutPictures.of(experiments, data)
