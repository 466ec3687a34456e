"""The models to choose from: the shipped ones and the user's, with what the panel says about them.

Needs no Qt; `model_import` adds to them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

from scripted_models.bundle import registry
from scripted_models.bundle.description import known_labels, needs_one_of, training_space
from scripted_models.errors import ModelError
from scripted_models.images.training_space import TrainingSpace
from scripted_models.labels import REGIONS
from scripted_models.sequences import TITLES

from .translation import _


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
        description: content of its model.json.
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
    description: Mapping = field(default_factory=dict)

    @property
    def lines(self) -> tuple[str, ...]:
        """What the panel says above the card; what the model does not state is left out."""
        lines = (
            self.summary,
            self.trained_on and _("Trained on: {cases}").format(cases=self.trained_on),
            self.inputs and _("Expects: {volumes}").format(volumes=self.inputs),
            *(_("Dice: {score}").format(score=score) for score in self.scores),
            self.time and _("Time: {seconds}").format(seconds=self.time),
        )
        return tuple(line for line in lines if line)


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
    stated = model.description
    usable = {} if model.problem else _abilities(stated)
    return ModelEntry(
        name=model.name,
        folder=model.folder,
        summary=_text(stated.get("summary")),
        card=model.card,
        user=model.user,
        problem=model.problem,
        trained_on=_trained_on(_mapping(stated.get("training"))),
        scores=tuple(_scores(stated)),
        time=", ".join(
            f"{seconds:.0f} s per case ({device})"
            for device, seconds in _mapping(stated.get("seconds_per_case")).items()
            if isinstance(seconds, Real)
        ),
        **usable,
    )


def _abilities(stated: Mapping) -> dict:
    space, one_of = training_space(stated), needs_one_of(stated)
    optional = f" ({' or '.join(TITLES[m] for m in one_of)} at least)" if one_of else ""
    spacing = " x ".join("any" if mm is None else f"{mm:g}" for mm in space.spacing_xyz_mm)
    return {
        "labels": known_labels(stated),
        "training_space": space,
        "description": stated,
        "inputs": f"T1, T1c, T2 and FLAIR of one patient{optional}, skull-stripped, background 0; "
        f"{space.orientation} orientation, {spacing} mm (other volumes are brought there and the result back)",
    }


def _trained_on(training: Mapping) -> str:
    cases, phantoms = training.get("train"), training.get("phantoms")
    parts = []
    if isinstance(cases, list) and cases:
        parts.append(f"{len(cases)} cases")
    if isinstance(phantoms, int) and phantoms:
        parts.append(f"{phantoms} phantoms")
    return ": ".join(
        part for part in (" and ".join(parts), _text(training.get("statement"))) if part
    )


def _scores(stated: Mapping) -> Iterator[str]:
    """Yield the Dice of the regions for each set of cases; without any, that of the validation cases."""
    for cases, regions in _mapping(stated.get("scores")).items():
        dice = {name: _mapping(metrics).get("dice") for name, metrics in _mapping(regions).items()}
        if text := _regions(dice):
            yield f"{text}; {cases}"
    if not stated.get("scores"):
        training = _mapping(stated.get("training"))
        if text := _regions(_mapping(training.get("validation_dice"))):
            yield f"{text}; validation cases of the training, no held-out ones"


def _regions(dice: Mapping) -> str:
    known = {region: dice.get(region) for region in REGIONS}
    return ", ".join(f"{k} {v:.2f}" for k, v in known.items() if isinstance(v, Real))


def _mapping(value: object) -> Mapping:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
