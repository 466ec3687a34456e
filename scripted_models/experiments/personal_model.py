"""A model trained further on a user's own cases, and kept only if it is better on held-out ones.

Everything that the run needs to be resumed lies in a hidden folder beside the model, which goes
when the run ends. The model appears as a whole, or not at all.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from scripted_models.bundle.description import ModelDescription
from scripted_models.bundle.model_folders import shipped_models
from scripted_models.bundle.weights import Model, load_model, write_model
from scripted_models.errors import Cancelled, InputError, ResourceError
from scripted_models.evaluation.folder_scores import Evaluation, evaluate_folders
from scripted_models.experiments.personal_card import described
from scripted_models.experiments.personal_cases import PersonalCases, split_personal
from scripted_models.experiments.personal_experiment import personal_experiment
from scripted_models.experiments.personal_scores import BeforeAfter
from scripted_models.labels import LabelCoding
from scripted_models.runtime.atomic_files import LOCK, make_folder, only_writer, write_file
from scripted_models.runtime.progress import Progress
from scripted_models.runtime.structured_text import read_json
from scripted_models.segmentation.raw_cases import PreparationOptions
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.tasks.brains.shared_batch import segment_shared
from scripted_models.training.checkpoint import FILE_NAME
from scripted_models.training.experiment_config import FOLDER_NAME, Experiment, is_folder_name
from scripted_models.training.training_run import TrainingRun, train_experiment

BEFORE, AFTER, RUN, FACTS, MODEL = "before", "after", "run", "personal.json", "model"
_TRAINING = (0.02, 0.98)  # of the whole run
_READING = 0.15  # of the training
AS_PREPARED = PreparationOptions("never")


@dataclass(frozen=True)
class PersonalRun:
    """What is trained on what, and where it goes.

    Attributes:
        cases: folder of the user's cases.
        model: name or folder of the model to begin with.
        output: folder of the new model, which must not exist.
        progress: told about everything.
        seed: of the held-out cases and of all random numbers of the training.
        device: 'auto', 'cpu' or 'cuda'.
        overrides: settings, as `personal_experiment` takes them.
        patients: table of patients; empty: names tell them.
        coding: overrides the label coding that the names of the cases imply.
        cache: folder of preprocessed cases; None: one that goes at the end.
        resume: go on with a run that was stopped.
        always: write the model even if it is not better, which only measurements want.
    """

    cases: Path
    model: str
    output: Path
    progress: Progress
    seed: int = 0
    device: str = "auto"
    overrides: Sequence[str] = ()
    patients: str = ""
    coding: LabelCoding | None = None
    cache: Path | None = None
    resume: bool = False
    always: bool = False

    @property
    def work(self) -> Path:
        """Hidden folder of what a resumed run needs; programs that list models pass it over."""
        output = Path(os.path.abspath(self.output))
        return output.with_name(f".{output.name}.personalise")


def personalise(run: PersonalRun) -> BeforeAfter:
    """Train a model further and write it, if it is better on cases that did not train it.

    Returns:
        The scores before and after; when they are not better, no model was written.

    Raises:
        InputError: unusable cases, an unfit model, an output that exists, or a stopped run without
            `resume`.
        Cancelled: stopped; what `resume` needs is left.
    """
    _refuse_places(run)
    start = load_model(run.model)
    split = split_personal(run.cases, run.seed, start.description.training.train, run.patients)
    for sentence in split.warnings:
        run.progress.warning(sentence)
    run.progress.message(
        f"held out: {', '.join(split.held_out)}; {len(split.train)} other cases train"
    )
    overrides = [f"training.seed={run.seed}", *run.overrides]
    experiment = personal_experiment(start, split.train, split.held_out, run.device, overrides)
    with _workplace(run):
        _note_or_compare(run, start, split)
        low, high = _TRAINING
        before = _score(run, start, split, BEFORE, run.progress.part(0.0, low))
        trained = _train(run, experiment, run.progress.part(low, high))
        after = _score(run, trained, split, AFTER, run.progress.part(high, 1.0))
        scores = BeforeAfter(start.name, before, after, split.train, split.held_out)
        if scores.is_better or run.always:
            share = experiment.training.start_share
            description = described(run.output.name, start, trained, share, scores)
            _put(run, description, trained, experiment.weights)
    shutil.rmtree(run.work, ignore_errors=True)
    return scores


def _refuse_places(run: PersonalRun) -> None:
    """Refuse to replace anything, and to begin again what was stopped."""
    output, work, name = run.output, run.work, Path(os.path.abspath(run.output)).name
    shipped = {folder.name.lower() for folder in shipped_models()}
    inside = Path(os.path.realpath(run.cases)) in Path(os.path.realpath(output)).parents
    refusals = (
        (os.path.lexists(output), "something of that name", "a new folder for the model"),
        (not is_folder_name(name), f"the name {name[:80]!r}", FOLDER_NAME),
        (name.lower() in shipped, "the name of a shipped model", "a name of its own"),
        (inside, "a model among the cases", "a folder elsewhere"),
    )
    for is_so, found, expected in refusals:
        if is_so:
            action = "choose another --output"
            raise InputError(found=found, expected=expected, action=action, path=output)
    begun = work.is_dir() and any(path.name != LOCK for path in work.iterdir())
    if begun and not run.resume:
        raise InputError(
            found=f"a run that was stopped ({work.name} beside it)",
            expected="a new name, or that run",
            action="add --resume to continue it, or delete that folder",
            path=output,
        )
    if run.resume and not begun:
        run.progress.message(f"{output}: no run to continue, it starts from the beginning")


@contextmanager
def _workplace(run: PersonalRun) -> Iterator[None]:
    """Keep other runs out; leave after a fault or a cancellation only what can be resumed."""
    is_own = False
    try:
        with only_writer(run.work):
            is_own = True
            yield
    except BaseException as error:
        if not is_own:
            with suppress(OSError):  # it is another run's, or a lock is in it
                run.work.rmdir()
        elif not _can_resume(run):
            shutil.rmtree(run.work, ignore_errors=True)
        elif isinstance(error, KeyboardInterrupt):
            raise Cancelled(
                action=f"continue it with --resume, or delete {run.work.name} beside the output",
                path=run.output,
            ) from error
        raise


def _can_resume(run: PersonalRun) -> bool:
    return (run.work / RUN / FILE_NAME).exists()


def _note_or_compare(run: PersonalRun, start: Model, split: PersonalCases) -> None:
    """Note what a run begins with, or refuse to go on with something else."""
    facts = {
        "start model": [start.name, start.checksum],
        "cases that train": list(split.train),
        "held-out cases": list(split.held_out),
    }
    path = run.work / FACTS
    if not path.exists():
        write_file(path, json.dumps(facts, indent=2) + "\n")
        return
    noted = read_json(path)
    if other := [title for title in facts if noted.get(title) != facts[title]]:
        raise InputError(
            found=f"other facts than the run began with: {', '.join(other)}",
            expected="the same start model, cases and --seed",
            action=f"resume with those, or delete {run.work.name} beside the output",
            path=run.output,
        )


def _score(
    run: PersonalRun, model: Model, split: PersonalCases, folder: str, progress: Progress
) -> Evaluation:
    """Segment the held-out cases, unless that is done, and score them."""
    cases = [split.cases[name] for name in split.held_out]
    segmenter = Segmenter(model, run.device, AS_PREPARED)
    segment_shared(segmenter, cases, make_folder(run.work / folder), progress)
    return evaluate_folders(
        run.work / folder, run.cases, truth_coding=run.coding, only=split.held_out
    )


def _train(run: PersonalRun, experiment: Experiment, progress: Progress) -> Model:
    """Train, from the checkpoint on if there is one."""
    training = TrainingRun(
        run.cases,
        run.work / RUN,
        progress,
        resume=_can_resume(run),
        device=run.device,
        coding=run.coding,
        cache=run.cache,
        reading=_READING,
    )
    return load_model(str(train_experiment(experiment, training, BrainsTask())))


def _put(run: PersonalRun, description: ModelDescription, trained: Model, kernels: str) -> None:
    """Write the model into the hidden folder, load it once and move it to its place."""
    whole = run.work / MODEL
    shutil.rmtree(whole, ignore_errors=True)
    write_model(whole, trained.network.cpu(), description, getattr(torch, kernels))
    load_model(str(whole))
    try:
        make_folder(run.output.absolute().parent)
        whole.rename(run.output)
    except OSError as error:
        raise ResourceError(
            found=f"no way to put the model there ({error.strerror})",
            action="make room for it, then continue with --resume",
            path=run.output,
        ) from error
