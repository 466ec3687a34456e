"""From an experiment to a trained model folder."""

import itertools
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from scripted_models.bundle.description import ModelDescription
from scripted_models.bundle.weights import write_model
from scripted_models.errors import InputError
from scripted_models.inference import choose_device
from scripted_models.labels import LabelCoding
from scripted_models.networks import ENSEMBLES
from scripted_models.networks.slice_network import SegmentationNetwork
from scripted_models.runtime.atomic_files import BEGUN, only_writer
from scripted_models.runtime.progress import Progress
from scripted_models.training import distributed
from scripted_models.training.assembly import (
    check_tables,
    describe,
    join_folds,
    join_parts,
    make_network,
    trains,
)
from scripted_models.training.cache import CaseCache, open_cases
from scripted_models.training.checkpoint import FILE_NAME, TrainingState, load_state
from scripted_models.training.data_record import record_of, refuse_other_cases
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.first_checks import (
    check_cases,
    check_model,
    check_settings,
    check_sources,
    refuse_broken_weights,
)
from scripted_models.training.records import METRICS
from scripted_models.training.task import CaseSource, Task
from scripted_models.training.trainer import Cases, Trainer

MODEL, MODEL_PHASE1, CASES = "model", "model_phase1", "cases"
MODEL_PARTS = ("configs", "models", "docs", "LICENSE")  # of a model folder
_WRITTEN = (MODEL, MODEL_PHASE1, METRICS)  # not before the first checkpoint


@dataclass(frozen=True)
class TrainingRun:
    """Where and how an experiment runs.

    Attributes:
        data: folder of the data set.
        output: run folder; receives checkpoint.pt, metrics.csv, the model folder `model`, and
            `model_phase1` with the weights at the end of phase 1.
        progress: told about cases and epochs.
        resume: continue from the checkpoint in `output`; from the start when there is none yet.
        device: 'auto', 'cpu' or 'cuda'.
        coding: overrides the label coding that the naming implies.
        cache: folder of preprocessed cases; None: `cases` in `output`.
        reading: share of the progress that preprocessing the cases takes.
    """

    data: Path
    output: Path
    progress: Progress
    resume: bool = False
    device: str = "auto"
    coding: LabelCoding | None = None
    cache: Path | None = None
    reading: float = 0.0

    @property
    def cache_folder(self) -> Path:
        """Folder of preprocessed cases."""
        return Path(self.cache) if self.cache else Path(self.output) / CASES


def train_experiment(experiment: Experiment, run: TrainingRun, task: Task) -> Path:
    """Train a network, or resume its training; one without own weights is joined from its parts.

    Networks of folds are trained one after the other and become an ensemble.

    Args:
        experiment: settings.
        run: where and how.
        task: what the data set is.

    Returns:
        The model folder.

    Raises:
        InputError: unusable data or settings, or the output holds another run and `resume` is not
            set.
    """
    task.check(experiment)
    check_tables(experiment, task)
    if experiment.data.folds:
        with _only_writer(run):
            return _train_folds(experiment, run, task)
    if not trains(experiment):
        with _only_writer(run):
            return _join_parts(experiment, run, task)
    return _train(experiment, run, task)


def _train(experiment: Experiment, run: TrainingRun, task: Task) -> Path:
    plain = experiment.to_dict()
    for later in ("postprocessing", "decision", "crf"):  # matter at inference only
        plain.pop(later)
    output = Path(run.output)
    state = _first_state(output, plain, run)
    torch.manual_seed(experiment.training.seed)
    network, arguments = make_network(experiment, task)
    network.to(choose_device(run.device)[0])
    check_settings(experiment, network)
    sources = _find_cases(experiment, run, task, state)
    names = [[source.name for source in part] for part in sources]

    def write(folder: str) -> Path:
        description = describe(experiment, task, arguments, names, state)
        return _write(output / folder, network, description, experiment)

    def after_phase(phase: int) -> None:
        if phase < experiment.training.phases:
            write(MODEL_PHASE1)

    with _only_writer(run):
        if distributed.rank() == 0:
            described = describe(experiment, task, arguments, names, state)
            check_model(experiment, network, described)
        cases = _read_cases(sources, run)
        progress = run.progress.part(run.reading, 1.0)
        progress.stage("train", 0.0)
        Trainer(experiment, network, cases, task, output, progress, after_phase).run(state)
        return write(MODEL)


def _find_cases(
    experiment: Experiment, run: TrainingRun, task: Task, state: TrainingState
) -> tuple[list[CaseSource], list[CaseSource]]:
    """Find the training and the validation cases, those of the checkpoint if there is one."""
    run.progress.stage("read", 0.0)
    train, validation = task.sources(experiment, run.data, run.coding)
    check_sources(experiment, train, validation)
    record = record_of(train, validation)
    if state.cases:
        refuse_other_cases(state.cases, record)
    elif state.history:
        run.progress.warning(
            f"{run.output}: the checkpoint is of a former version, which did not note its cases. "
            f"The run goes on with {len(train)} that train and {len(validation)} that validate."
        )
    state.cases = record
    return train, validation


def _read_cases(sources: tuple[list[CaseSource], list[CaseSource]], run: TrainingRun) -> Cases:
    """Open the training and the validation cases, preprocessed."""
    train, validation = sources
    number = itertools.count()

    def on_case(name: str) -> None:
        run.progress.message(f"reading {name}")
        if run.reading:
            done = next(number) / (len(train) + len(validation))
            run.progress.update(done * run.reading)

    cases = open_cases([*train, *validation], CaseCache(run.cache_folder), on_case)
    check_cases(cases[: len(train)], cases[len(train) :])
    return cases[: len(train)], cases[len(train) :]


def _only_writer(run: TrainingRun) -> AbstractContextManager[object]:
    """Keep other runs out of the output folder; the first process does so for all."""
    return only_writer(run.output) if distributed.rank() == 0 else nullcontext()


def _first_state(output: Path, plain: dict[str, Any], run: TrainingRun) -> TrainingState:
    processes = distributed.processes()
    if not (output / FILE_NAME).exists():
        _refuse_files_of_others(run)
        if run.resume:  # a run that was stopped in its first epoch
            run.progress.message(f"{output}: no checkpoint yet, the run starts from the beginning")
        return TrainingState(plain, processes=processes)
    if not run.resume:
        raise InputError(
            found="a training run",
            expected="an empty folder",
            action="add --resume to continue it or choose another --output",
            path=output,
        )
    state = load_state(output, plain, processes)
    tell_batch(state, plain, run.progress)
    return state


def _refuse_files_of_others(run: TrainingRun) -> None:
    """Refuse a new run where it would replace files: its own ones come after a checkpoint."""
    output = Path(run.output)
    if os.path.realpath(output) == os.path.realpath(run.data):
        raise InputError(
            found="the run folder in the place of the data",
            expected="a folder of its own",
            action="choose another --output",
            path=output,
        )
    if there := [name for name in _WRITTEN if (output / name).exists()]:
        raise InputError(
            found=f"{', '.join(there)} without the checkpoint of a run",
            expected="an empty folder",
            action="choose another --output, or move them away",
            path=output,
        )


def _refuse_other_folder(folder: Path) -> None:
    """Refuse a folder that holds more than a model, or a part of one from a run that was killed."""
    there = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    others = sorted(n for n in there - {*MODEL_PARTS} if not n.startswith(BEGUN))
    if others:
        raise InputError(
            found=f"other files than those of a model ({', '.join(others[:3])})",
            expected="an empty folder, or a model to replace",
            action="choose another --output",
            path=folder,
        )


def tell_batch(state: TrainingState, plain: dict[str, Any], progress: Progress) -> None:
    """Say so when another number of processes changes the number of patches of a step."""
    now = plain["training"]["batch_size"] * state.processes
    if state.patches_per_step and state.patches_per_step != now:
        progress.warning(
            f"The run had {state.patches_per_step} patches in each step and is resumed with "
            f"{now}. To keep the number, set training.batch_size so that batch_size x processes "
            "stays the same."
        )


def _train_folds(experiment: Experiment, run: TrainingRun, task: Task) -> Path:
    """Train a network for each fold, validated on that fold, and join them into an ensemble."""
    folds = task.folds(experiment, run.data)
    models = []
    for index, fold in enumerate(folds):
        progress = run.progress.part(index / len(folds), (index + 1) / len(folds))
        progress.message(f"fold {index + 1} of {len(folds)}")
        output = Path(run.output) / f"fold{index + 1}"
        part = replace(run, output=output, progress=progress, cache=run.cache_folder)
        models.append(train_experiment(fold, part, task))
    return write_ensemble(experiment, task, models, Path(run.output) / MODEL)


def _join_parts(experiment: Experiment, run: TrainingRun, task: Task) -> Path:
    if experiment.network.name in ENSEMBLES.values():
        raise InputError(
            found=f"the network {experiment.network.name}, which is not trained itself",
            expected="the network of its members",
            action="name it and set data.folds to their number",
        )
    network, description = join_parts(experiment, task)
    return _write(Path(run.output) / MODEL, network, description, experiment)


def write_ensemble(
    experiment: Experiment,
    task: Task,
    models: Sequence[Path],
    folder: Path,
    measured: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write the model folder of an ensemble of networks that one experiment has on several folds.

    Args:
        experiment: their settings.
        task: what they are for.
        models: their folders.
        folder: of the ensemble.
        measured: fields of its description that say what was measured.
    """
    network, description = join_folds(experiment, task, models)
    return _write(folder, network, replace(description, **measured), experiment)


def _write(
    folder: Path,
    network: SegmentationNetwork,
    description: ModelDescription,
    experiment: Experiment,
) -> Path:
    if distributed.rank() == 0:
        kernels = getattr(torch, experiment.weights)
        refuse_broken_weights(network, kernels)
        _refuse_other_folder(folder)
        write_model(folder, network, description, kernels)
    distributed.wait_for_all()
    return folder
