"""A list of experiments: each trained, tested on the same cases, and set beside the paper's rows.

Every step leaves its result on disk and is not done again: training goes on from its checkpoint, a test
case is not segmented twice by the same weights. A list that was stopped goes on when it is started again.
"""

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import torch

from scripted_models import __version__
from scripted_models.bundle.weights import Model, load_model
from scripted_models.cases.case import Case
from scripted_models.errors import InputError
from scripted_models.evaluation.experiment_rows import ExperimentRow
from scripted_models.evaluation.folders import evaluate_folders
from scripted_models.inference import place_network
from scripted_models.labels import CODINGS, LabelCoding
from scripted_models.networks import NETWORKS
from scripted_models.reporting.experiment_table import write_experiment_table
from scripted_models.runtime.atomic_files import make_folder
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.outputs import REPORT, write_outputs
from scripted_models.segmentation.segmenter import segment_case
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
_DECIDES_NOTHING = {"snapshot_every": 0, "threads": 0, "workers": 0}


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
        span: share of the whole progress that this run takes.
    """

    data: Path
    output: Path
    progress: Progress
    command: str = ""
    device: str = "auto"
    coding: LabelCoding | None = None
    cache: Path | None = None
    span: tuple[float, float] = (0.0, 1.0)


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
                f"{path}: has the name '{experiment.name}' of another experiment of the list, expected one for "
                "each; rename one."
            )
        experiments[experiment.name] = experiment
    needs = {name: _needs(e, experiments) for name, e in experiments.items()}
    try:
        return [experiments[name] for name in TopologicalSorter(needs).static_order()]
    except CycleError as error:
        raise InputError(
            f"The experiments {error.args[1]} need each other, expected parts that come first; fix their "
            "network.parts."
        ) from error


def _needs(experiment: Experiment, experiments: dict[str, Experiment]) -> list[str]:
    named = (*experiment.network.parts.values(), experiment.network.start)
    needed = [name for name in named if name in experiments and name != experiment.name]
    whole = _whole_run(experiment, experiments.values())
    return [*needed, *([whole.name] if whole else [])]


def _whole_run(experiment: Experiment, others) -> Experiment | None:
    """Return the experiment whose phase 1 is all of this one, if there is one."""
    if experiment.training.phases == 2:
        return None
    both = (other for other in others if other.training.phases == 2)
    return next((other for other in both if _phase1(other) == _phase1(experiment)), None)


def _phase1(experiment: Experiment) -> Experiment:
    """Return what decides the first phase of an experiment."""
    training = replace(experiment.training, phases=1, phase2=PhaseConfig(), **_DECIDES_NOTHING)
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
    start, length = run.span[0], (run.span[1] - run.span[0]) / len(experiments)
    for index, experiment in enumerate(experiments):
        low, high = start + index * length, start + (index + 1) * length
        run.progress.message(f"{experiment.name} ({index + 1} of {len(experiments)})")
        run.progress.span(low, low + 0.8 * (high - low))
        model = load_model(str(_train(experiment, experiments, run)))
        run.progress.span(low + 0.8 * (high - low), high)
        folder = run.output / experiment.name / TEST
        segment_cases(model, [found[name] for name in split.test], folder, run)
        distributed.wait_for_all()
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
            "The experiments hold out no case for testing, expected at least one; set data.test or "
            "data.test_every, for example with --set data.test_every=6."
        )
    for name, split in splits.items():
        if split.test != first.test:
            raise InputError(
                f"The experiment {name} tests on other cases than {next(iter(splits))}, expected the same for "
                "all rows of a table; give all the same data.test, test_every and split_seed."
            )
    return first


def model_of(experiment: Experiment, experiments: Sequence[Experiment], output: Path) -> Path:
    """Return the model folder of an experiment of a list that ran with this output folder."""
    if whole := _whole_run(experiment, experiments):
        return output / whole.name / MODEL_PHASE1
    return output / experiment.name / MODEL


def _train(experiment: Experiment, experiments: Sequence[Experiment], run: ListRun) -> Path:
    """Train an experiment, or take the weights from the one that it shares its first phase with."""
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
    return train_experiment(
        resolved,
        TrainingRun(
            run.data, output, run.progress, _has_started(output), run.device, run.coding,
            run.cache or run.output / CASES,
        ),
    )  # fmt: skip


def _has_started(output: Path) -> bool:
    return any(output.glob(FILE_NAME)) or any(output.glob(f"fold*/{FILE_NAME}"))


def segment_cases(model: Model, cases: Sequence[Case], output: Path, run: ListRun) -> None:
    """Segment the cases that this model has not segmented yet; processes share them."""
    output = make_folder(output)
    own = (model.checksum, model.method_checksum)
    open_cases = [case for case in cases if _model_of(output / case.name) != own]
    mine = distributed.share(open_cases)
    _, reason = place_network(model.network, run.device)
    for index, case in enumerate(mine):
        span = (index / len(mine), (index + 1) / len(mine))
        run.progress.message(f"{model.name}: segmenting {case.name}")
        result = segment_case(case, model, run.progress, span=span, cpu_fallback=True)
        write_outputs(output, case, result, model, reason, CODINGS["internal"])


def _model_of(folder: Path) -> tuple[str, str]:
    """Return the checksums of the model that wrote a result folder, empty ones when there is none."""
    try:
        stated = json.loads((folder / REPORT).read_text(encoding="utf-8"))["model"]
        return stated["weights_sha256"], stated["method_sha256"]
    except (OSError, ValueError, KeyError):
        return "", ""


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
) -> dict:
    """Return what a reader of a table must know of the run: command, seeds, `cases`, device, time, versions."""
    on_gpu = run.device != "cpu" and torch.cuda.is_available()
    return {
        "command": run.command,
        "seeds": sorted({experiment.training.seed for experiment in experiments}),
        **cases,
        "device": torch.cuda.get_device_name() if on_gpu else f"CPU, {os.cpu_count()} cores",
        "processes": distributed.processes(),
        "training seconds": round(sum(row.facts["training seconds"] for row in rows), 1),
        "date": time.strftime("%Y-%m-%d"),
        "versions": {
            "scripted_models": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }
