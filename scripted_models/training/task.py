"""What training asks of a task: which cases there are, and what their channels and labels mean.

The training loop knows arrays, not data sets. A task says where cases come from, what a network
sees of them, how an epoch is scored and what the model folder says of it. The tasks themselves,
brains and PASCAL VOC, lie above training, in `scripted_models.tasks`; who starts a run hands one
down.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from scripted_models.bundle.description import TaskName
from scripted_models.labels import LabelCoding
from scripted_models.networks.slice_network import SegmentationNetwork
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.training_case import TrainingCase


@dataclass(frozen=True)
class CaseSource:
    """What makes one preprocessed case.

    Attributes:
        name: case name.
        key: of the cache, a digest of all that the case depends on (`cache.digest`).
        make: makes the case, called without arguments when the cache lacks it.
        content: what the case is, whatever the program makes of it: digests of its files and how
            they are read. A run is resumed with cases of the same content only.
    """

    name: str
    key: str
    make: Callable[[], TrainingCase]
    content: str = ""


class Task(Protocol):
    """A kind of data set that networks are trained on."""

    @property
    def name(self) -> TaskName:
        """Name of the task in experiments and model folders."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels, in the order of a network's classes."""

    def channels(self, experiment: Experiment) -> tuple[str, ...]:
        """Return the names of the image channels that reach the network."""

    def check(self, experiment: Experiment) -> None:
        """Refuse settings that make no sense for this task.

        Raises:
            InputError: such a setting.
        """

    def sources(
        self, experiment: Experiment, data: Path, coding: LabelCoding | None
    ) -> tuple[list[CaseSource], list[CaseSource]]:
        """Find the training cases and the validation cases of an experiment.

        Args:
            experiment: settings.
            data: folder of the data set.
            coding: overrides the label coding that the naming of the cases implies.

        Raises:
            InputError: unusable data.
        """

    def folds(self, experiment: Experiment, data: Path) -> list[Experiment]:
        """Return one experiment for each of `data.folds`, validated on that fold.

        Raises:
            InputError: unusable data, or fewer patients than folds.
        """

    def warnings(self, experiment: Experiment, data: Path, parted: bool = False) -> Iterable[str]:
        """Give sentences about the data that the user should check, also before a refusal.

        Args:
            experiment: settings.
            data: folder of the data set.
            parted: the cases are split into folds for a cross-validation.

        Raises:
            InputError: unusable data.
        """

    def validate(
        self, network: SegmentationNetwork, cases: list[TrainingCase], experiment: Experiment
    ) -> dict[str, float]:
        """Score a network after an epoch; of several processes each takes its share of the cases.

        Args:
            network: its mode is restored afterwards.
            cases: validation cases, at least one.
            experiment: settings.

        Returns:
            Columns of metrics.csv, among them 'score', by which the best epoch is found.
        """

    def describe(self, experiment: Experiment) -> dict[str, Any]:
        """Return the fields of `ModelDescription` that the task decides.

        These are channels, labels, the training space, and the steps before and after the network.
        """
