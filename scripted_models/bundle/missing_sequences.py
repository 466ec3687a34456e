"""What a model can do without, and what that costs."""

from collections.abc import Collection

from scripted_models.bundle.description import ModelDescription
from scripted_models.errors import phrases
from scripted_models.images.checks import WARNING, Finding
from scripted_models.labels import REGIONS
from scripted_models.sequences import SEQUENCES, TITLES

_ = phrases(__name__)


def needs_one_of(description: ModelDescription | None) -> tuple[str, ...]:
    """Return the sequences of which a model needs one, the others being optional.

    Empty: it needs all; so does a model of which nothing is known.
    """
    return description.needs_one_of if description else ()


def missing_finding(
    description: ModelDescription | None, present: Collection[str]
) -> Finding | None:
    """Say which sequences are missing and what that costs; None when none is missing."""
    used = description.sequences if description else SEQUENCES
    missing = tuple(name for name in used if name not in present)
    if not missing:
        return None
    found = _("no {sequences}").format(sequences=" and no ".join(TITLES[m] for m in missing))
    cost = _cost(description, present)
    return Finding(found=found, action=cost, severity=WARNING, slots=missing)


def _cost(description: ModelDescription | None, present: Collection[str]) -> str:
    without = description.dice_with(present) if description else {}
    complete = description.dice_with(SEQUENCES) if description else {}
    regions = [region for region in REGIONS if region in without and region in complete]
    if not regions:
        return _("the result is less certain, and by how much was not measured")
    less, usual = (" / ".join(f"{dice[r]:.2f}" for r in regions) for dice in (without, complete))
    words = _("in cross-validation the mean Dice of {regions} was {less} instead of {usual}")
    return words.format(regions=" / ".join(regions), less=less, usual=usual)
