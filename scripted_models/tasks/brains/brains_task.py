"""Brains as a task: four sequences, five labels, cases of the BraTS years and phantoms."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripted_models.errors import InputError
from scripted_models.evaluation.paper_tables import paper_row
from scripted_models.labels import LABELS, LabelCoding
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.case_preparation import case_sources, space_of
from scripted_models.tasks.brains.case_split import split_folds
from scripted_models.tasks.brains.held_out import HeldOutCases
from scripted_models.tasks.brains.validation import validate_slices
from scripted_models.training.augmentation import KEPT
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.task import CaseSource
from scripted_models.training.training_case import TrainingCase
from scripted_models.transforms.preprocessing import kept_sequences


class BrainsTask:
    """The `ListTask` of brains."""

    name = "brains"
    classes = tuple(LABELS.values())

    def channels(self, experiment: Experiment) -> tuple[str, ...]:
        """Return the sequences that the preprocessing keeps."""
        return kept_sequences(experiment.preprocessing) or SEQUENCES

    def check(self, experiment: Experiment) -> None:
        """Refuse settings for pictures, and rows that the paper does not print."""
        if experiment.data.sbd:
            raise InputError(
                found=f"data.sbd in the experiment {experiment.name} on brains",
                expected="no settings for pictures",
                action="take it out",
            )
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

    def validate(
        self, network: SliceNetwork, cases: list[TrainingCase], experiment: Experiment
    ) -> dict[str, float]:
        """Return the Dice of the regions over a few slices of every case."""
        return validate_slices(network, cases, experiment.data.validation_slices)

    def describe(self, experiment: Experiment) -> dict[str, Any]:
        """Return what a model description says of sequences, labels and the space."""
        space = asdict(space_of(experiment.data))
        return {
            "channels": list(SEQUENCES),
            **_optional_sequences(experiment),
            "labels": {str(label): name for label, name in LABELS.items()},
            "training_space": {**space, "spacing_xyz_mm": list(space["spacing_xyz_mm"])},
        }

    def held_out(self, experiments: Sequence[Experiment], data: Path) -> HeldOutCases:
        """Find the test cases, which are the same for all experiments."""
        return HeldOutCases.of(experiments, data)


def _optional_sequences(experiment: Experiment) -> dict[str, list[str]]:
    """Say which sequences are used, and of which one is needed where training left others out."""
    kept = kept_sequences(experiment.preprocessing)
    if len(kept) < len(SEQUENCES):
        return {"sequences": list(kept), **({"needs_one_of": list(kept)} if len(kept) == 1 else {})}
    dropped = [s for s in experiment.training.augmentation if s["step"] == "drop_sequences"]
    return {"needs_one_of": list(dropped[0].get("keep", KEPT))} if dropped else {}
