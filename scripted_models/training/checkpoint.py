"""The checkpoint of a run: one file, replaced as a whole after every epoch."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import torch

from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import write_file
from scripted_models.training.experiment_config import Experiment

FILE_NAME = "checkpoint.pt"
_MAY_CHANGE = {
    "folder",
    "parts",
    "workers",
    "threads",
    "snapshot_every",
}  # where and how fast, not what


@dataclass
class TrainingState:
    """All that a run needs to go on as if it had never stopped.

    Attributes:
        experiment: resolved experiment, compared on resume.
        phase: 1 or 2; one more than the last one when training is done.
        epoch: finished epochs of this phase.
        network: state dict.
        processes: how many processes train.
        crops_per_step: crops of a step, over all processes, in the last epoch.
        optimizer: state dict, empty between phases.
        scaler: state of the loss scaling of float16, else empty.
        average: state dict of the moving average of the weights, empty between phases and without one.
        best_network: state dict of the epoch of this phase that is kept so far.
        best_score: validation score of `best_network`.
        best_epoch: epoch of `best_network`.
        history: one row per finished epoch, for metrics.csv.
        seconds: time spent in the epochs.
    """

    experiment: dict
    phase: int = 1
    epoch: int = 0
    processes: int = 1
    crops_per_step: int = 0
    network: dict = field(default_factory=dict)
    optimizer: dict = field(default_factory=dict)
    scaler: dict = field(default_factory=dict)
    average: dict = field(default_factory=dict)
    best_network: dict = field(default_factory=dict)
    best_score: float = -float("inf")
    best_epoch: int = 0
    history: list = field(default_factory=list)
    seconds: float = 0.0


_FIELDS = tuple(TrainingState.__dataclass_fields__)


def save_state(folder: Path, state: TrainingState) -> None:
    """Write the checkpoint of a run folder."""
    buffer = io.BytesIO()
    torch.save({name: getattr(state, name) for name in _FIELDS}, buffer)
    write_file(Path(folder) / FILE_NAME, buffer.getvalue())


def load_state(folder: Path, experiment: dict, processes: int = 1) -> TrainingState:
    """Read the checkpoint of a run folder.

    Args:
        folder: run folder.
        experiment: settings to go on with, equal to those of the checkpoint; with another number of
            processes the crops of each (batch_size) may differ too.
        processes: how many processes will go on.

    Raises:
        InputError: damaged checkpoint, or one of another experiment.
    """
    path = Path(folder) / FILE_NAME
    try:
        state = TrainingState(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many kinds for damaged files
        raise InputError(
            f"{path}: not a readable checkpoint ({type(error).__name__}), expected the one of this run; start "
            "a new run in another folder."
        ) from error
    stored = _completed(state.experiment, experiment, Experiment().to_dict())
    changed = _differences(stored, experiment)
    if state.processes != processes:
        changed = [key for key in changed if key != "training.batch_size"]
    if changed:
        raise InputError(
            f"{path}: belongs to an experiment with other settings ({', '.join(changed)}); resume with "
            "the same file and options, or train into another folder."
        )
    state.experiment, state.processes = experiment, processes
    return state


def _completed(stored: dict, wanted: dict, defaults: dict) -> dict:
    """Add the defaults of settings that a former version of the program did not have."""
    complete = {key: defaults[key] for key in wanted if key in defaults} | stored
    for key, value in wanted.items():
        if isinstance(value, dict) and isinstance(stored.get(key), dict) and key in defaults:
            complete[key] = _completed(stored[key], value, defaults[key])
    return complete


def _differences(old: dict, new: dict, where: str = "") -> list[str]:
    changed = []
    for key in sorted((set(old) | set(new)) - _MAY_CHANGE):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            changed += _differences(a, b, f"{where}{key}.")
        elif a != b:
            changed.append(where + key)
    return changed
