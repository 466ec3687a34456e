"""The checkpoint of a run: one file, replaced as a whole after every epoch."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import write_file
from scripted_models.runtime.plain_files import open_file
from scripted_models.runtime.typed_tables import as_table
from scripted_models.training.data_record import Record
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.records import Row
from scripted_models.transforms.steps import read_preprocessing

FILE_NAME = "checkpoint.pt"
# Settings that say where and how fast, or what is scored later, but not what is trained.
_MAY_CHANGE = {"folder", "parts", "workers", "threads", "snapshot_every", "voc_test"}
Weights = dict[str, torch.Tensor]


@dataclass
class TrainingState:
    """All that a resumed run needs to end as if it had never stopped.

    Attributes:
        experiment: resolved experiment, compared on resume.
        phase: 1 or 2; one more than the last one when training is done.
        epoch: finished epochs of this phase.
        network: state dict.
        processes: how many processes train.
        patches_per_step: patches of a step, over all processes, in the last epoch.
        optimizer: state dict, empty between phases.
        scaler: state of the loss scaling of float16, else empty.
        average: state dict of the moving average of the weights, empty between phases and without
            one.
        best_network: state dict of the epoch of this phase that is kept so far.
        best_score: validation score of `best_network`.
        best_epoch: epoch of `best_network`.
        history: one row per finished epoch, for metrics.csv.
        seconds: time spent in the epochs.
        cases: that train and validate, compared on resume; empty in checkpoints of former versions.
    """

    experiment: dict[str, Any]
    phase: int = 1
    epoch: int = 0
    processes: int = 1
    patches_per_step: int = 0
    network: Weights = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scaler: dict[str, Any] = field(default_factory=dict)
    average: Weights = field(default_factory=dict)
    best_network: Weights = field(default_factory=dict)
    best_score: float = -float("inf")
    best_epoch: int = 0
    history: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    cases: Record = field(default_factory=dict)


_FIELDS = tuple(TrainingState.__dataclass_fields__)


def save_state(folder: Path, state: TrainingState) -> None:
    """Write the checkpoint of a run folder."""
    buffer = io.BytesIO()
    torch.save({name: getattr(state, name) for name in _FIELDS}, buffer)
    write_file(Path(folder) / FILE_NAME, buffer.getvalue())


def load_state(folder: Path, experiment: dict[str, Any], processes: int = 1) -> TrainingState:
    """Read the checkpoint of a run folder.

    Args:
        folder: run folder.
        experiment: settings of the resumed run, equal to those of the checkpoint; with another
            number of processes the patches of each (batch_size) may differ too.
        processes: how many processes resume the run.

    Raises:
        InputError: damaged checkpoint, or one of another experiment.
    """
    path = Path(folder) / FILE_NAME
    try:
        with open_file(path) as stream:
            content = torch.load(stream, map_location="cpu", weights_only=True)
        state = TrainingState(**content)
    except Exception as error:  # torch raises many kinds for damaged files
        raise InputError(
            found=f"a checkpoint that cannot be read ({type(error).__name__})",
            expected="the one of this run",
            action="start a new run in another folder",
            path=path,
        ) from error
    stored = _completed(state.experiment, experiment, Experiment().to_dict())
    changed = _differences(stored, experiment)
    if state.processes != processes:
        changed = [key for key in changed if key != "training.batch_size"]
    if changed:
        raise InputError(
            found=f"an experiment with other settings ({', '.join(changed)})",
            expected="the same",
            action="resume with the same file and options, or train into another folder",
            path=path,
        )
    state.experiment, state.processes = experiment, processes
    return state


def _completed(
    stored: dict[str, Any], wanted: dict[str, Any], defaults: dict[str, Any]
) -> dict[str, Any]:
    """Add the defaults of settings that a former version of the program did not have."""
    complete = {key: defaults[key] for key in wanted if key in defaults} | stored
    if stored.get("preprocessing") and "preprocessing" in defaults:  # their options, too
        steps = read_preprocessing(stored["preprocessing"])
        complete["preprocessing"] = as_table(steps, defaults=True)
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(stored.get(key), dict) and key in defaults:
            complete[key] = _completed(stored[key], value, defaults[key])
    return complete


def _differences(old: dict[str, Any], new: dict[str, Any], where: str = "") -> list[str]:
    changed: list[str] = []
    for key in sorted((set(old) | set(new)) - _MAY_CHANGE):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            changed += _differences(a, b, f"{where}{key}.")
        elif a != b:
            changed.append(where + key)
    return changed
