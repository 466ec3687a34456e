"""The held-out cases of a user before and after a model was trained on the others."""

from dataclasses import dataclass

import numpy as np

from scripted_models.errors import NotBetterError
from scripted_models.evaluation.folder_scores import Evaluation
from scripted_models.labels import REGION_NAMES, REGIONS

ENOUGH = 3  # held-out cases that say something about others
CHANCE = 0.02  # a smaller gain says nothing (benchmarks/shipped_models)
DIGITS = 3  # what is shown, and what must differ


@dataclass(frozen=True)
class BeforeAfter:
    """Scores of the same cases by the model before and after.

    Attributes:
        start: name of the start model.
        before: by the start model.
        after: by the one that was trained further.
        train: names of the cases that trained.
        held_out: names of the cases that are scored.
    """

    start: str
    before: Evaluation
    after: Evaluation
    train: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def is_better(self) -> bool:
        """True when the mean over the regions is higher in the digits that are shown."""
        return round(mean_dice(self.after), DIGITS) > round(mean_dice(self.before), DIGITS)

    @property
    def facts(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "better": self.is_better,
            "start": self.start,
            "train": list(self.train),
            "held_out": list(self.held_out),
            "before": dice_of(self.before),
            "after": dice_of(self.after),
        }

    def refusal(self) -> NotBetterError:
        """Return why no model is offered."""
        return NotBetterError(
            found=f"a mean Dice of {mean_dice(self.after):.3f} on the held-out case(s) "
            f"{', '.join(self.held_out)} after training, and {mean_dice(self.before):.3f} before",
            expected="a better one",
            action=f"no model was written, go on with '{self.start}' or correct more cases",
        )

    @property
    def doubts(self) -> list[str]:
        """Sentences that somebody must know who takes the new model."""
        before, after = dice_of(self.before), dice_of(self.after)
        told = [
            f"{REGION_NAMES[region]} ({region}) is worse on the held-out cases: a Dice of "
            f"{after[region]:.3f} instead of {before[region]:.3f}."
            for region in before
            if round(after[region], DIGITS) < round(before[region], DIGITS)
        ]
        gain = mean_dice(self.after) - mean_dice(self.before)
        if gain < CHANCE:
            told.append(f"A gain of {gain:.3f} in the mean Dice may be chance.")
        if len(self.held_out) < ENOUGH:
            told.append(
                f"{len(self.held_out)} held-out case(s) say little about others: look at the "
                "results of both models on the next patients."
            )
        return told

    def table(self) -> str:
        """Return the scores as a Markdown table."""
        regions = list(dice_of(self.before))
        rows = [
            f"| {title} | {' | '.join(f'{dice[r]:.3f}' for r in regions)} | {mean:.3f} |"
            for title, dice, mean in (
                ("before", dice_of(self.before), mean_dice(self.before)),
                ("after", dice_of(self.after), mean_dice(self.after)),
            )
        ]
        head = f"| Dice of {', '.join(self.held_out)} | {' | '.join(regions)} | mean |"
        return "\n".join([head, "|---" * (len(regions) + 2) + "|", *rows]) + "\n"


def dice_of(evaluation: Evaluation) -> dict[str, float]:
    """Return the mean Dice of each region over the cases."""
    mean = evaluation.mean
    return {region: mean[region]["dice"] for region in REGIONS if region in mean}


def mean_dice(evaluation: Evaluation) -> float:
    """Return the mean over the regions."""
    return float(np.mean(list(dice_of(evaluation).values())))
