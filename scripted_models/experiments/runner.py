"""A list of experiments: each trained, tested on the same data, and set beside the papers' rows.

Every step leaves its result on disk and is not done again: training is resumed from its checkpoint,
a test case or image is not predicted twice by the same weights. A list that was stopped resumes
when it is started again. What the data is, its task knows.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import torch

from scripted_models import __version__
from scripted_models.bundle.description import TaskName
from scripted_models.bundle.weights import load_model
from scripted_models.errors import InputError
from scripted_models.evaluation.experiment_rows import FactRow
from scripted_models.reporting.experiment_table import write_experiment_table
from scripted_models.reporting.voc_table import write_voc_table
from scripted_models.tasks.known_tasks import common_task
from scripted_models.tasks.list_run import ListRun
from scripted_models.training import distributed
from scripted_models.training.assembly import check_tables
from scripted_models.training.checkpoint import FILE_NAME
from scripted_models.training.experiment_config import Experiment, PhaseConfig, load_experiment
from scripted_models.training.task import Task
from scripted_models.training.training_run import (
    CASES,
    MODEL,
    MODEL_PHASE1,
    TrainingRun,
    train_experiment,
)

TABLE = "table"  # folder of the table
TRAINING_SHARE = 0.8  # of the time of an experiment
WRITERS: dict[TaskName, Callable[[Sequence[Any], Mapping[str, object], Path], None]] = {
    "brains": write_experiment_table,
    "voc": write_voc_table,
}


def load_list(paths: Sequence[Path], overrides: Sequence[str] = ()) -> list[Experiment]:
    """Read experiments and put those that others are made from before these.

    Raises:
        InputError: two of one name, or experiments that need each other.
    """
    experiments: dict[str, Experiment] = {}
    folders = {TABLE: "the table", CASES: "the preprocessed cases"}  # in small letters
    for path in paths:
        experiment = load_experiment(path, overrides)
        if taken := folders.get(experiment.name.casefold()):
            raise InputError(
                found=f"the name '{experiment.name}' of {taken}",
                expected="a name for each, also without regard to capitals",
                action="rename one",
                path=path,
            )
        folders[experiment.name.casefold()] = "another experiment of the list"
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
        name="phase1",
        description="",
        paper_row="",
        postprocessing=(),
        decision={},
        crf=None,
        training=training,
    )


def run_list(experiments: Sequence[Experiment], run: ListRun) -> list[FactRow]:
    """Train and test all experiments; the table is written anew after each.

    Returns:
        One row for each experiment; none but in the first process.

    Raises:
        InputError: unusable data, nothing to test on, or tests that differ between experiments.
    """
    task = common_task(experiments)
    for experiment in experiments:
        task.check(experiment)
        check_tables(experiment, task)
    held_out = task.held_out(experiments, run.data)
    rows: list[FactRow] = []
    for index, experiment in enumerate(experiments):
        run.progress.message(f"{experiment.name} ({index + 1} of {len(experiments)})")
        part = run.progress.part(index / len(experiments), (index + 1) / len(experiments))
        training = replace(run, progress=part.part(0.0, TRAINING_SHARE))
        model = load_model(str(_train(experiment, experiments, training, task)), task.name)
        folder = run.output / experiment.name
        held_out.predict(model, folder, replace(run, progress=part.part(TRAINING_SHARE, 1.0)))
        if distributed.rank() == 0:
            rows.append(held_out.score(experiment, model, folder, run))
            facts = run_facts(experiments, rows, run, held_out.facts)
            WRITERS[task.name](rows, facts, run.output / TABLE)
        distributed.wait_for_all()
    return rows


def model_of(experiment: Experiment, experiments: Sequence[Experiment], output: Path) -> Path:
    """Return the model folder of an experiment of a list that ran with this output folder."""
    if whole := _whole_run(experiment, experiments):
        return output / whole.name / MODEL_PHASE1
    return output / experiment.name / MODEL


def _train(
    experiment: Experiment, experiments: Sequence[Experiment], run: ListRun, task: Task
) -> Path:
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
    return train_experiment(resolved, training, task)


def _has_started(output: Path) -> bool:
    return any(output.glob(FILE_NAME)) or any(output.glob(f"fold*/{FILE_NAME}"))


def run_facts(
    experiments: Sequence[Experiment],
    rows: Sequence[FactRow],
    run: ListRun,
    tested: Mapping[str, object],
) -> dict[str, object]:
    """Return what a reader of a table must know of a run.

    That is command, seeds, what was tested on, device, time and versions.
    """
    on_gpu = run.device != "cpu" and torch.cuda.is_available()
    return {
        "command": run.command,
        "seeds": sorted({experiment.training.seed for experiment in experiments}),
        **tested,
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
