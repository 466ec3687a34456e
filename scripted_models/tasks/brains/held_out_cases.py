"""Test cases of a list of experiments: segmented, scored, and made a row of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.errors import InputError
from scripted_models.evaluation.experiment_rows import ExperimentRow
from scripted_models.evaluation.folder_scores import evaluate_folders
from scripted_models.networks import NETWORKS
from scripted_models.runtime.structured_text import read_json
from scripted_models.segmentation.result_folders import REPORT
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.tasks.brains.case_split import Split, split_cases, usable_cases
from scripted_models.tasks.brains.shared_batch import segment_shared
from scripted_models.tasks.list_run import SCORES, TEST, ListRun
from scripted_models.training.experiment_config import Experiment


@dataclass(frozen=True)
class HeldOutCases:
    """The `HeldOut` of brains.

    Attributes:
        split: names of all parts; the test cases are those of every experiment of the list.
        cases: usable cases by name.
    """

    split: Split
    cases: Mapping[str, Case]

    @classmethod
    def of(cls, experiments: Sequence[Experiment], data: Path) -> "HeldOutCases":
        """Find the cases, and the split that the experiments share.

        Raises:
            InputError: unusable data, no test cases, or test cases that differ between experiments.
        """
        found = usable_cases(data)
        return cls(_common_split(experiments, sorted(found)), found)

    @property
    def facts(self) -> dict[str, object]:
        """The names of the cases of each part."""
        return {
            "training cases": list(self.split.train),
            "validation cases": list(self.split.validation),
            "test cases": list(self.split.test),
        }

    def predict(self, model: Model, folder: Path, run: ListRun) -> None:
        """Segment the test cases that this model has not segmented yet."""
        cases = [self.cases[name] for name in self.split.test]
        segment_shared(Segmenter(model, run.device), cases, folder / TEST, run.progress)

    def score(
        self, experiment: Experiment, model: Model, folder: Path, run: ListRun
    ) -> ExperimentRow:
        """Score the test cases and return the row of the experiment."""
        names = self.split.test
        evaluation = evaluate_folders(
            folder / TEST, run.data, folder / SCORES, truth_coding=run.coding, only=names
        )
        reports = [read_json(folder / TEST / name / REPORT) for name in names]
        seconds = [sum(report["seconds"].values()) for report in reports]
        training = model.description.training
        network = NETWORKS[experiment.network.name].describe()
        facts = {
            "network": experiment.network.name,
            "trainable parameters": network["trainable_parameters"],
            "epochs of phases 1 and 2": " + ".join(str(n) for n in training.epochs),
            "training phantoms": training.phantoms,
            "training seconds": training.seconds,
            "seconds per test case": round(sum(seconds) / len(seconds), 1),
            "weights (SHA-256)": model.checksum[:12],
        }
        return ExperimentRow(experiment.name, experiment.paper_row, evaluation, facts)


def _common_split(experiments: Sequence[Experiment], names: list[str]) -> Split:
    splits = {experiment.name: split_cases(experiment.data, names) for experiment in experiments}
    first = next(iter(splits.values()))
    if not first.test:
        raise InputError(
            found="no case for testing in the experiments",
            expected="at least one",
            action="set data.test or data.test_every, for example with --set data.test_every=6",
        )
    for name, split in splits.items():
        if split.test != first.test:
            raise InputError(
                found=f"other test cases in the experiment {name} than in {next(iter(splits))}",
                expected="the same for all rows of a table",
                action="give all the same data.test, test_every and split_seed",
            )
    return first
