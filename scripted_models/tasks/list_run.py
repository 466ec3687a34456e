"""What a list of experiments asks of a task beyond training: test cases, their scores, a row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripted_models.bundle.weights import Model
from scripted_models.evaluation.experiment_rows import FactRow
from scripted_models.labels import LabelCoding
from scripted_models.runtime.progress import Progress
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.task import Task

TEST, SCORES = "test", "scores"  # folders of a run: what was predicted, and how good it is


@dataclass(frozen=True)
class ListRun:
    """Where and how a list of experiments runs.

    Attributes:
        data: folder of the data set.
        output: receives a run folder for each experiment, the preprocessed cases, and `table`.
        progress: told about everything.
        command: the command line, for the table.
        device: 'auto', 'cpu' or 'cuda'.
        coding: overrides the label coding that the naming of cases implies.
        cache: folder of preprocessed cases; None: `cases` in `output`.
    """

    data: Path
    output: Path
    progress: Progress
    command: str = ""
    device: str = "auto"
    coding: LabelCoding | None = None
    cache: Path | None = None


class HeldOut(Protocol):
    """What all experiments of a list are tested on."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What a reader of the table must know of the split, JSON values."""

    def predict(self, model: Model, folder: Path, run: ListRun) -> None:
        """Predict what this model has not predicted yet, in all processes.

        Args:
            model: loaded.
            folder: of the experiment; its folder `test` receives the label maps.
            run: says where and how.
        """

    def score(self, experiment: Experiment, model: Model, folder: Path, run: ListRun) -> FactRow:
        """Score what `predict` left, in one process; the folder `scores` receives the scores.

        Returns:
            The row of the experiment; its facts tell the 'training seconds'.
        """


class ListTask(Task, Protocol):
    """A task whose experiments can be run as a list."""

    def held_out(self, experiments: Sequence[Experiment], data: Path) -> HeldOut:
        """Find what all experiments are tested on.

        Raises:
            InputError: unusable data, nothing to test on, or other tests for some experiments.
        """
