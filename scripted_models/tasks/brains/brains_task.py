"""Brains as a task: four sequences, five labels, cases of the BraTS years and phantoms."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scripted_models.bundle.description import TaskName
from scripted_models.errors import InputError
from scripted_models.evaluation.havaei_rows import paper_row
from scripted_models.labels import LABELS, LabelCoding
from scripted_models.networks.slice_network import SegmentationNetwork, SliceNetwork
from scripted_models.runtime.typed_tables import refusing
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.case_preparation import case_sources, space_of
from scripted_models.tasks.brains.case_split import split_folds, split_warnings
from scripted_models.tasks.brains.held_out_cases import HeldOutCases
from scripted_models.tasks.brains.validation import validate_slices, validate_volumes
from scripted_models.training.assembly import window_of
from scripted_models.training.augmentation import KEPT
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.task import CaseSource
from scripted_models.training.training_case import TrainingCase
from scripted_models.transforms.steps import check_order, check_postprocessing, kept_sequences


class BrainsTask:
    """The `ListTask` of brains."""

    name: TaskName = "brains"
    classes = tuple(LABELS.values())

    def channels(self, experiment: Experiment) -> tuple[str, ...]:
        """Return the sequences that the preprocessing keeps."""
        return kept_sequences(experiment.preprocessing)

    def check(self, experiment: Experiment) -> None:
        """Refuse settings for pictures, steps in a wrong order, and rows that are not printed."""
        if experiment.data.sbd:
            raise InputError(
                found=f"data.sbd in the experiment {experiment.name} on brains",
                expected="no settings for pictures",
                action="take it out",
            )
        with refusing(InputError):
            check_order(experiment.preprocessing)
            check_postprocessing(experiment.postprocessing)
        _refuse_dropped_in_other_order(experiment)
        if experiment.paper_row:
            paper_row(experiment.paper_row)

    def sources(
        self, experiment: Experiment, data: Path, coding: LabelCoding | None
    ) -> tuple[list[CaseSource], list[CaseSource]]:
        """Find the training cases, phantoms included, and the validation cases."""
        return case_sources(experiment, data, coding)

    def folds(self, experiment: Experiment, data: Path) -> list[Experiment]:
        """Return the experiment of each fold, split by patient."""
        return split_folds(experiment, data)

    def warnings(self, experiment: Experiment, data: Path, parted: bool = False) -> Iterable[str]:
        """Return sentences about cases that are left out, or whose patient is in doubt."""
        return split_warnings(experiment.data, data, parted)

    def validate(
        self, network: SegmentationNetwork, cases: list[TrainingCase], experiment: Experiment
    ) -> dict[str, float]:
        """Return the Dice of the regions over a few slices of every case, or over all of it."""
        if isinstance(network, SliceNetwork):
            return validate_slices(network, cases, experiment.data.validation_slices)
        return validate_volumes(network, cases, window_of(experiment))

    def describe(self, experiment: Experiment) -> dict[str, Any]:
        """Return what a model description says of sequences, labels, space and steps."""
        return {
            "channels": SEQUENCES,
            "needs_one_of": _needs_one_of(experiment),
            "labels": LABELS,
            "training_space": space_of(experiment.data),
            "preprocessing": experiment.preprocessing,
            "postprocessing": experiment.postprocessing,
            "decision": experiment.decision,
        }

    def held_out(self, experiments: Sequence[Experiment], data: Path) -> HeldOutCases:
        """Find the test cases, which are the same for all experiments."""
        return HeldOutCases.of(experiments, data)


def _needs_one_of(experiment: Experiment) -> tuple[str, ...]:
    """Say of which sequences one is needed where training left others out."""
    kept = kept_sequences(experiment.preprocessing)
    if len(kept) < len(SEQUENCES):
        return kept if len(kept) == 1 else ()
    dropped = [s for s in experiment.training.augmentation if s["step"] == "drop_sequences"]
    return tuple(dropped[0].get("keep", KEPT)) if dropped else ()


def _refuse_dropped_in_other_order(experiment: Experiment) -> None:
    """Refuse to drop sequences, which are known by their places, where they have others."""
    drops = [step["step"] == "drop_sequences" for step in experiment.training.augmentation]
    if any(drops) and kept_sequences(experiment.preprocessing) != SEQUENCES:
        raise InputError(
            found="the augmentation step 'drop_sequences' for channels in another order",
            expected=f"{', '.join(SEQUENCES)}",
            action="take the step out, or 'keep_sequences'",
        )
