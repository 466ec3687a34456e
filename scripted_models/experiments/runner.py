"""A list of experiments: each trained, tested on the same cases, and set beside the paper's rows.

Every step leaves its result on disk and is not done again: training goes on from its checkpoint, a
test case is not segmented twice by the same weights. A list that was stopped resumes when it is
started again.
"""

import json
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import torch

from scripted_models import __version__
from scripted_models.bundle.weights import Model, load_model
from scripted_models.errors import InputError
from scripted_models.evaluation.experiment_rows import ExperimentRow
from scripted_models.evaluation.folders import evaluate_folders
from scripted_models.experiments.shared_batch import segment_shared
from scripted_models.labels import LabelCoding
from scripted_models.networks import NETWORKS
from scripted_models.reporting.experiment_table import write_experiment_table
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.outputs import REPORT
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.tasks.brains.training_cases import Split, split_cases, usable_cases
from scripted_models.training import distributed
from scripted_models.training.checkpoint import FILE_NAME
from scripted_models.training.experiment_config import Experiment, PhaseConfig, load_experiment
from scripted_models.training.training_run import (
    CASES,
    MODEL,
    MODEL_PHASE1,
    TrainingRun,
    train_experiment,
)

TEST, SCORES, TABLE = "test", "scores", "table"
TRAINING_SHARE = 0.8  # of the time of an experiment


@dataclass(frozen=True)
class ListRun:
    """Where and how a list of experiments runs.

    Attributes:
        data: folder of cases with label maps.
        output: receives a run folder for each experiment, the preprocessed cases, and `table`.
        progress: told about everything.
        command: the command line, for the table.
        device: 'auto', 'cpu' or 'cuda'.
        coding: overrides the label coding that the naming implies.
        cache: folder of preprocessed cases; None: `cases` in `output`.
    """

    data: Path
    output: Path
    progress: Progress
    command: str = ""
    device: str = "auto"
    coding: LabelCoding | None = None
    cache: Path | None = None


def load_list(paths: Sequence[Path], overrides: Sequence[str] = ()) -> list[Experiment]:
    """Read experiments and put those that others are made from before these.

    Raises:
        InputError: two of one name, or experiments that need each other.
    """
    experiments = {}
    for path in paths:
        experiment = load_experiment(path, overrides)
        if experiment.name in experiments:
            raise InputError(
                path=path,
                found=f"the name '{experiment.name}' of another experiment of the list",
                expected="a name for each",
                action="rename one",
            )
        experiments[experiment.name] = experiment
    needs = {name: _needs(e, experiments) for name, e in experiments.items()}
    try:
        return [experiments[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        raise InputError(
            found=f"the experiments {error.args[1]}, which need each other",
            expected="parts that come first",
            action="fix their network.parts",
        ) from error


def _needs(experiment: Experiment, experiments: dict[str, Experiment]) -> list[str]:
    named = (*experiment.network.parts.values(), experiment.network.start)
    needed = [name for name in named if name in experiments and name != experiment.name]
    whole = _whole_run(experiment, experiments.values())
    return [*needed, *([whole.name] if whole else [])]


def _whole_run(experiment: Experiment, others: Iterable[Experiment]) -> Experiment | None:
    """Return the experiment whose phase 1 is this one, if there is one."""
    if experiment.training.phases == 2:
        return None
    both = (other for other in others if other.training.phases == 2)
    return next((other for other in both if _phase1(other) == _phase1(experiment)), None)


def _phase1(experiment: Experiment) -> Experiment:
    """Return what decides the first phase of an experiment."""
    training = replace(
        experiment.training,
        phases=1,
        phase2=PhaseConfig(),
        snapshot_every=0,  # this one and the next two change no weights
        threads=0,
        workers=0,
    )
    return replace(
        experiment,
        name="",
        description="",
        paper_row="",
        postprocessing=(),
        decision={},
        crf=None,
        training=training,
    )


def run_list(experiments: Sequence[Experiment], run: ListRun) -> list[ExperimentRow]:
    """Train and test all experiments; the table is written anew after each.

    Returns:
        One row for each experiment; none but in the first process.

    Raises:
        InputError: unusable data, no test cases, or test cases that differ between experiments.
    """
    found = usable_cases(run.data)
    split = _common_split(experiments, sorted(found))
    rows: list[ExperimentRow] = []
    for index, experiment in enumerate(experiments):
        run.progress.message(f"{experiment.name} ({index + 1} of {len(experiments)})")
        part = run.progress.part(index / len(experiments), (index + 1) / len(experiments))
        training = replace(run, progress=part.part(0.0, TRAINING_SHARE))
        model = load_model(str(_train(experiment, experiments, training)))
        segmenter = Segmenter(model, run.device)
        cases, folder = [found[name] for name in split.test], run.output / experiment.name / TEST
        segment_shared(segmenter, cases, folder, part.part(TRAINING_SHARE, 1.0))
        if distributed.rank() == 0:
            rows.append(_evaluate(experiment, model, split, run))
            facts = run_facts(experiments, rows, run, _cases_of(split))
            write_experiment_table(rows, facts, run.output / TABLE)
        distributed.wait_for_all()
    return rows


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


def model_of(experiment: Experiment, experiments: Sequence[Experiment], output: Path) -> Path:
    """Return the model folder of an experiment of a list that ran with this output folder."""
    if whole := _whole_run(experiment, experiments):
        return output / whole.name / MODEL_PHASE1
    return output / experiment.name / MODEL


def _train(experiment: Experiment, experiments: Sequence[Experiment], run: ListRun) -> Path:
    """Train an experiment, or take the weights from the one whose first phase it is."""
    if _whole_run(experiment, experiments):
        return model_of(experiment, experiments, run.output)
    names = {e.name for e in experiments} - {experiment.name}  # which may be a shipped model's
    parts = {
        key: str(run.output / part / MODEL) if part in names else part
        for key, part in experiment.network.parts.items()
    }
    start = experiment.network.start
    start = str(run.output / start / MODEL) if start in names else start
    resolved = replace(experiment, network=replace(experiment.network, parts=parts, start=start))
    output = run.output / experiment.name
    training = TrainingRun(
        run.data,
        output,
        run.progress,
        resume=_has_started(output),
        device=run.device,
        coding=run.coding,
        cache=run.cache or run.output / CASES,
    )
    return train_experiment(resolved, training)


def _has_started(output: Path) -> bool:
    return any(output.glob(FILE_NAME)) or any(output.glob(f"fold*/{FILE_NAME}"))


def _evaluate(experiment: Experiment, model: Model, split: Split, run: ListRun) -> ExperimentRow:
    folder = run.output / experiment.name
    evaluation = evaluate_folders(
        folder / TEST, run.data, folder / SCORES, truth_coding=run.coding, only=split.test
    )
    seconds = [
        sum(json.loads((folder / TEST / name / REPORT).read_text("utf-8"))["seconds"].values())
        for name in split.test
    ]
    training = model.description.training
    facts = {
        "network": experiment.network.name,
        "trainable parameters": NETWORKS[experiment.network.name].describe()[
            "trainable_parameters"
        ],
        "epochs of phases 1 and 2": " + ".join(str(n) for n in training.epochs),
        "training phantoms": training.phantoms,
        "training seconds": training.seconds,
        "seconds per test case": round(sum(seconds) / len(seconds), 1),
        "weights (SHA-256)": model.checksum[:12],
    }
    return ExperimentRow(experiment.name, experiment.paper_row, evaluation, facts)


def _cases_of(split: Split) -> dict[str, list[str]]:
    return {
        "training cases": list(split.train),
        "validation cases": list(split.validation),
        "test cases": list(split.test),
    }


def run_facts(
    experiments: Sequence[Experiment],
    rows: Sequence[ExperimentRow],
    run: ListRun,
    cases: Mapping[str, object],
) -> dict[str, object]:
    """Return what a reader of a table must know of a run.

    That is command, seeds, `cases`, device, time and versions.
    """
    on_gpu = run.device != "cpu" and torch.cuda.is_available()
    return {
        "command": run.command,
        "seeds": sorted({experiment.training.seed for experiment in experiments}),
        **cases,
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {os.cpu_count()} cores",
        "processes": distributed.processes(),
        "training seconds": round(sum(float(row.facts["training seconds"]) for row in rows), 1),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {
            "scripted_models": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }
