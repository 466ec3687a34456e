"""From an experiment to a trained model folder."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from scripted_models.bundle.description import ModelDescription
from scripted_models.bundle.weights import write_model
from scripted_models.cases.patients import split_patients
from scripted_models.errors import InputError
from scripted_models.inference import choose_device
from scripted_models.labels import LabelCoding
from scripted_models.runtime.atomic_files import only_writer
from scripted_models.runtime.progress import Progress
from scripted_models.tasks.brains.training_cases import load_cases, split_cases, usable_cases
from scripted_models.training import distributed
from scripted_models.training.assembly import (
    describe,
    join_folds,
    join_parts,
    make_network,
    trains,
)
from scripted_models.training.cache import CaseCache
from scripted_models.training.checkpoint import FILE_NAME, TrainingState, load_state
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.trainer import Trainer

MODEL, MODEL_PHASE1, CASES = "model", "model_phase1", "cases"


@dataclass(frozen=True)
class TrainingRun:
    """Where and how an experiment runs.

    Attributes:
        data: folder of cases with label maps.
        output: run folder; receives checkpoint.pt, metrics.csv, the model folder `model`, and
            `model_phase1` with the weights at the end of phase 1.
        progress: told about cases and epochs.
        resume: go on from the checkpoint in `output`; from the start when there is none yet.
        device: 'auto', 'cpu' or 'cuda'.
        coding: overrides the label coding that the naming implies.
        cache: folder of preprocessed cases; None: `cases` in `output`.
    """

    data: Path
    output: Path
    progress: Progress
    resume: bool = False
    device: str = "auto"
    coding: LabelCoding | None = None
    cache: Path | None = None

    @property
    def cache_folder(self) -> Path:
        """Folder of preprocessed cases."""
        return Path(self.cache) if self.cache else Path(self.output) / CASES


def train_experiment(experiment: Experiment, run: TrainingRun) -> Path:
    """Train a network, or go on training it; a network without own weights is joined from its parts.

    Folds are trained one after the other and vote.

    Returns:
        The model folder.

    Raises:
        InputError: unusable data, or the output holds another run and `resume` is not set.
    """
    if experiment.data.folds:
        with _only_writer(run):
            return _train_folds(experiment, run)
    if not trains(experiment):
        with _only_writer(run):
            return _join_parts(experiment, run)
    plain = experiment.to_dict()
    for later in ("postprocessing", "decision", "crf"):  # matter at inference only
        plain.pop(later)
    state = _first_state(Path(run.output), plain, run)
    torch.manual_seed(experiment.training.seed)
    network, arguments = make_network(experiment)
    network.to(choose_device(run.device)[0])
    run.progress.stage("read", 0.0)
    cases = load_cases(
        experiment, run.data, CaseCache(run.cache_folder), run.coding,
        lambda name: run.progress.message(f"reading {name}"),
    )  # fmt: skip
    names = [[case.name for case in part] for part in cases]

    def write(folder: str) -> Path:
        description = describe(experiment, arguments, names, state)
        return _write(Path(run.output) / folder, network, description, experiment)

    def after_phase(phase: int) -> None:
        if phase < experiment.training.phases:
            write(MODEL_PHASE1)

    with _only_writer(run):
        run.progress.stage("train", 0.0)
        Trainer(experiment, network, cases, run.output, run.progress, after_phase).run(state)
        return write(MODEL)


def _only_writer(run: TrainingRun) -> AbstractContextManager:
    """Keep other runs out of the output folder; the first process does so for all."""
    return only_writer(run.output) if distributed.rank() == 0 else nullcontext()


def _first_state(output: Path, plain: dict, run: TrainingRun) -> TrainingState:
    processes = distributed.processes()
    if not (output / FILE_NAME).exists():
        if run.resume:  # a run that was stopped in its first epoch
            run.progress.message(f"{output}: no checkpoint yet, the run starts from the beginning")
        return TrainingState(plain, processes=processes)
    if not run.resume:
        raise InputError(
            f"{output}: holds a training run already; add --resume to go on or choose another --output."
        )
    state = load_state(output, plain, processes)
    tell_batch(state, plain, run.progress)
    return state


def tell_batch(state: TrainingState, plain: dict, progress: Progress) -> None:
    """Say so when another number of processes changes the number of crops of a step."""
    now = plain["training"]["batch_size"] * state.processes
    if state.crops_per_step and state.crops_per_step != now:
        progress.warning(
            f"The run had {state.crops_per_step} crops in each step and goes on with {now}; to keep the "
            "number, set training.batch_size so that batch_size x processes stays the same."
        )


def _train_folds(experiment: Experiment, run: TrainingRun) -> Path:
    """Train a network for each fold, validated on that fold, and join them into an ensemble that votes."""
    names = sorted(usable_cases(run.data))
    split = split_cases(replace(experiment.data, folds=0), names)
    number = experiment.data.folds
    folds = split_patients([*split.train, *split.validation], number, experiment.data.split_seed)
    models = []
    for index, fold in enumerate(folds):
        train = tuple(sorted(name for other in folds if other is not fold for name in other))
        data = replace(
            experiment.data, folds=0, train=train, validation=tuple(sorted(fold)), test=split.test
        )
        progress = run.progress.part(index / number, (index + 1) / number)
        progress.message(f"fold {index + 1} of {number}")
        output = Path(run.output) / f"fold{index + 1}"
        part = replace(run, output=output, progress=progress, cache=run.cache_folder)
        models.append(train_experiment(replace(experiment, data=data), part))
    return write_ensemble(experiment, models, Path(run.output) / MODEL)


def _join_parts(experiment: Experiment, run: TrainingRun) -> Path:
    if experiment.network.name == "VotedEnsemble":
        raise InputError(
            "The experiment names the network VotedEnsemble, which is not trained itself; name the network of "
            "its members and set data.folds to their number."
        )
    return _write(Path(run.output) / MODEL, *join_parts(experiment), experiment)


def write_ensemble(
    experiment: Experiment,
    models: Sequence[Path],
    folder: Path,
    measured: Mapping[str, Any] = MappingProxyType({}),
) -> Path:
    """Write the model folder of an ensemble of networks that one experiment has on several folds.

    Args:
        experiment: their settings.
        models: their folders.
        folder: of the ensemble.
        measured: fields of its description that say what was measured.
    """
    network, description = join_folds(experiment, models)
    return _write(folder, network, replace(description, **measured), experiment)


def _write(
    folder: Path, network: nn.Module, description: ModelDescription, experiment: Experiment
) -> Path:
    if distributed.rank() == 0:
        write_model(folder, network, description, getattr(torch, experiment.weights))
    distributed.wait_for_all()
    return folder
