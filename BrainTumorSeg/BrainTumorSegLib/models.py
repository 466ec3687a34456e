"""The models to choose from: the shipped ones and the user's, with what the panel says about them.

Listing and removing happen here; an import runs as a child process, because it loads the weights with
PyTorch. Needs no Qt.
"""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripted_models.bundle import registry
from scripted_models.bundle.description import ModelDescription, TrainingRecord
from scripted_models.errors import (
    Cancelled,
    InputError,
    ModelError,
    ResourceError,
    ScriptedModelsError,
)
from scripted_models.images.training_space import TrainingSpace
from scripted_models.labels import REGIONS
from scripted_models.sequences import TITLES

from .process_tree import ask_tree_to_end, exit_reason, kill_tree, start_process
from .python_child import child_environment, find_python

POLL_S = 0.05
GRACE_S = 3.0
_ERRORS = {e.exit_code: e for e in (InputError, ModelError, ResourceError, Cancelled)}


@dataclass(frozen=True)
class ModelEntry:
    """One model as the panel shows it.

    Attributes:
        name: unique; what `segment --model` takes.
        folder: where it lies.
        summary: one line, or ''.
        card: model card, Markdown.
        user: True for the user's own, which can be removed.
        problem: one sentence saying why it cannot be used, or ''; then what follows says nothing.
        labels: internal labels that it knows, ascending.
        training_space: space of its training.
        trained_on: cases and source of the training data, or ''.
        inputs: what the four volumes must be like, or ''.
        scores: mean Dice of the regions and of which cases, one line each.
        time: seconds per case by device, or ''.
        description: what it says about itself; None when that is unusable.
    """

    name: str
    folder: Path
    summary: str = ""
    card: str = ""
    user: bool = False
    problem: str = ""
    labels: tuple[int, ...] = ()
    training_space: TrainingSpace = field(default_factory=TrainingSpace)
    trained_on: str = ""
    inputs: str = ""
    scores: tuple[str, ...] = ()
    time: str = ""
    description: ModelDescription | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """What the panel says above the card; what the model does not state is left out."""
        lines = (
            self.summary,
            self.trained_on and f"Trained on: {self.trained_on}",
            self.inputs and f"Expects: {self.inputs}",
            *(f"Dice: {score}" for score in self.scores),
            self.time and f"Time: {self.time}",
        )
        return tuple(line for line in lines if line)


def list_models() -> list[ModelEntry]:
    """Return the shipped models, the default first, then the user's, sound or not.

    Raises:
        ResourceError: the user has no home folder.
    """
    return [_entry(model) for model in registry.list_models()]


def remove_model(entry: ModelEntry) -> None:
    """Remove one of the user's models from the disk.

    Raises:
        ModelError: it is not the user's, or gone already.
        ResourceError: it could not be removed.
    """
    if not entry.user:
        raise ModelError(
            f"The model '{entry.name}' comes with the program, expected one of your own; choose another."
        )
    registry.remove_model(entry.name)


def import_model(
    source: Path,
    name: str | None = None,
    python: str | None = None,
    environment: Mapping[str, str] | None = None,
    on_wait: Callable[[], None] | None = None,
    timeout_s: float = 120.0,
) -> ModelEntry:
    """Check a model folder or zip file in a child process and copy it to the user's models.

    Args:
        source: model folder or zip file.
        name: name in the list; by default the one in its description.
        python: executable of the child.
        environment: variables of the child.
        on_wait: called about every 50 ms; what it raises ends the child, and nothing is imported.
        timeout_s: the child is ended after this time.

    Raises:
        ModelError: `source` is not a sound model.
        InputError: the name is taken or cannot be a name.
        ResourceError: the child could not be started, took too long, or could not write.
    """
    command = [
        *(python or find_python(), "-m", "scripted_models", "models", "--import", str(source)),
        *(() if name is None else ("--name", name)),
        "--json",
    ]
    environment = child_environment() if environment is None else environment
    exit_code, output, complaints = _run(command, environment, on_wait, timeout_s)
    if exit_code:
        error = _ERRORS.get(exit_code, ScriptedModelsError)
        raise error(_sentence(exit_code, complaints))
    record = json.loads(output)
    return _entry(registry.stored_model(Path(record["path"])))


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    on_wait: Callable[[], None] | None,
    timeout_s: float,
) -> tuple[int, str, str]:
    """Run a child to its end; return its exit code, standard output and standard error."""
    try:
        process = start_process(command, environment)
    except (OSError, ValueError) as error:
        raise ResourceError(f"The program {command[0]} could not be started: {error}.") from error
    deadline = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, complaints = process.communicate(timeout=POLL_S)
                return process.returncode, output, complaints
            if on_wait:
                on_wait()
        raise ResourceError(
            f"The import took longer than {timeout_s:g} s and was ended; nothing was imported, try again."
        )
    finally:
        _end(process)


def _end(process: subprocess.Popen) -> None:
    """End a child that still runs, giving it time to remove what it has begun."""
    if process.poll() is None:
        ask_tree_to_end(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    kill_tree(process)
    process.wait()
    for stream in (process.stdout, process.stderr):
        stream.close()


def _sentence(exit_code: int, complaints: str) -> str:
    lines = [line for line in complaints.splitlines() if line.strip()]
    stated = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    if stated:
        return stated[-1]
    last = f"; it said last: {lines[-1][:300]}" if lines else ""
    return f"The import {exit_reason(exit_code)}{last}."


def _entry(model: registry.StoredModel) -> ModelEntry:
    stated = model.description
    entry = ModelEntry(
        name=model.name,
        folder=model.folder,
        card=model.card,
        user=model.user,
        problem=model.problem,
    )
    if stated is None:
        return entry
    entry = replace(
        entry,
        summary=stated.summary.strip(),
        trained_on=_trained_on(stated.training),
        scores=tuple(_scores(stated)),
        time=", ".join(
            f"{seconds:.0f} s per case ({device})"
            for device, seconds in stated.seconds_per_case.items()
        ),
    )
    return entry if model.problem else replace(entry, **_abilities(stated))


def _abilities(stated: ModelDescription) -> dict:
    space, one_of = stated.training_space, stated.needs_one_of
    optional = f" ({' or '.join(TITLES[m] for m in one_of)} at least)" if one_of else ""
    spacing = " x ".join("any" if mm is None else f"{mm:g}" for mm in space.spacing_xyz_mm)
    return {
        "labels": stated.known_labels,
        "training_space": space,
        "description": stated,
        "inputs": f"T1, T1c, T2 and FLAIR of one patient{optional}, skull-stripped, background 0; "
        f"{space.orientation} orientation, {spacing} mm (other volumes are brought there and the result back)",
    }


def _trained_on(training: TrainingRecord) -> str:
    parts = []
    if training.train:
        parts.append(f"{len(training.train)} cases")
    if training.phantoms:
        parts.append(f"{training.phantoms} phantoms")
    return ": ".join(part for part in (" and ".join(parts), training.statement.strip()) if part)


def _scores(stated: ModelDescription) -> Iterator[str]:
    """Yield the Dice of the regions for each set of cases; without any, that of the validation cases."""
    for cases, regions in stated.scores.items():
        if text := _regions({name: scores.dice for name, scores in regions.items()}):
            yield f"{text}; {cases}"
    if not stated.scores and (text := _regions(stated.training.validation_dice)):
        yield f"{text}; validation cases of the training, no held-out ones"


def _regions(dice: Mapping[str, float]) -> str:
    return ", ".join(f"{region} {dice[region]:.2f}" for region in REGIONS if region in dice)
