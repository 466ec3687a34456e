"""The models to choose from: the shipped ones and the user's, with what the panel says about them.

Needs no Qt; `model_import` adds to them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripted_models.bundle import registry
from scripted_models.bundle.description import ModelDescription, Region, TrainingRecord
from scripted_models.errors import ModelError, Problem
from scripted_models.labels import CAVITY, REGIONS
from scripted_models.sequences import TITLES

from .translation import _
from .words import either, listed


@dataclass(frozen=True)
class ModelEntry:
    """One model as the panel shows it.

    Attributes:
        name: unique; what `segment --model` takes.
        folder: where it lies.
        card: model card, Markdown.
        user: True for the user's own, which can be removed.
        problem: why it cannot be used; None when it can.
        description: what it says about itself; None when it cannot be used.
    """

    name: str
    folder: Path
    card: str = ""
    user: bool = False
    problem: Problem | None = None
    description: ModelDescription | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """What the panel says above the card; what the model does not state is left out."""
        return tuple(_lines(self.description)) if self.description else ()


def list_models() -> list[ModelEntry]:
    """Return the shipped models, the default first, then the user's, sound or not.

    Raises:
        ResourceError: the user has no home folder.
    """
    return [entry_of(model) for model in registry.list_models()]


def remove_model(entry: ModelEntry) -> None:
    """Remove one of the user's models from the disk.

    Raises:
        ModelError: it is not the user's, or gone already.
        ResourceError: it could not be removed.
    """
    if not entry.user:
        raise ModelError(
            found=_("the model '{name}', which comes with the program").format(name=entry.name),
            expected=_("one of your own"),
            action=_("choose another one"),
        )
    registry.remove_model(entry.name)


def entry_of(model: registry.StoredModel) -> ModelEntry:
    """Return what the panel shows of a model."""
    usable = None if model.problem else model.description
    return ModelEntry(model.name, model.folder, model.card, model.user, model.problem, usable)


def _lines(stated: ModelDescription) -> Iterator[str]:
    if summary := stated.summary.strip():
        yield summary
    yield _stage(stated)
    if cases := _trained_on(stated.training):
        yield _("Trained on: {cases}").format(cases=cases)
    yield _("Expects: {volumes}").format(volumes=_expected(stated))
    for score in _scores(stated):
        yield _("Dice: {score}").format(score=score)
    if stated.seconds_per_case:
        yield _("Time: {seconds}").format(seconds=_seconds(stated.seconds_per_case))


def _stage(stated: ModelDescription) -> str:
    """Say whether it is for scans before or after an operation, and whether it tells a cavity."""
    if stated.made_for == "before operation":
        return _("Made for: scans before an operation. A resection cavity is not known to it.")
    if stated.made_for is None:
        made_for = _("Made for: scans before or after an operation, which is not stated.")
    else:
        made_for = _("Made for: scans after an operation.")
    if CAVITY in stated.labels:
        return made_for + " " + _("It tells the resection cavity.")
    return made_for + " " + _("It does not tell the resection cavity.")


def _trained_on(training: TrainingRecord) -> str:
    parts = []
    if training.train:
        parts.append(_("{count} cases").format(count=len(training.train)))
    if training.phantoms:
        parts.append(_("{count} phantoms").format(count=training.phantoms))
    return ": ".join(part for part in (listed(parts), training.statement.strip()) if part)


def _expected(stated: ModelDescription) -> str:
    volumes = _("T1, T1c, T2 and FLAIR of one patient")
    if stated.needs_one_of:
        one_of = either([TITLES[m] for m in stated.needs_one_of])
        volumes = _("{volumes} (at least {sequences})").format(volumes=volumes, sequences=one_of)
    sizes = stated.training_space.spacing_xyz_mm
    spacing = " x ".join(_("any") if mm is None else f"{mm:g}" for mm in sizes)
    text = _(
        "{volumes}. The network sees them skull-stripped on a background of 0, "
        "in {orientation} orientation at {spacing} mm. "
        "Other volumes are brought there, and the result is brought back."
    )
    orientation = stated.training_space.orientation
    return text.format(volumes=volumes, orientation=orientation, spacing=spacing)


def _scores(stated: ModelDescription) -> Iterator[str]:
    """Yield the Dice of the regions for each set of cases; without any, of the validation cases."""
    for cases, regions in stated.scores.items():
        if dice := _regions({name: scores.dice for name, scores in regions.items()}):
            yield f"{dice}; {cases}"
    if not stated.scores and (dice := _regions(stated.training.validation_dice)):
        text = _("{dice}; validation cases of the training, no held-out ones")
        yield text.format(dice=dice)


def _regions(dice: Mapping[Region, float]) -> str:
    known = {str(region): value for region, value in dice.items()}
    return ", ".join(f"{region} {known[region]:.2f}" for region in REGIONS if region in known)


def _seconds(seconds_per_case: Mapping[str, float]) -> str:
    text = _("{seconds} s per case ({device})")
    return ", ".join(
        text.format(seconds=f"{seconds:.0f}", device=device)
        for device, seconds in seconds_per_case.items()
    )
