"""What a model says of itself that was trained further on its user's cases."""

from dataclasses import replace

from scripted_models.bundle.description import ModelDescription, RegionScores
from scripted_models.bundle.weights import Model
from scripted_models.evaluation.folder_scores import Evaluation
from scripted_models.experiments.personal_scores import BeforeAfter, mean_dice

_LIMITS = (
    "Made for the scanner and the reader of its user's cases; how it does elsewhere was not "
    "measured. {count} held-out case(s) say little: look at its results before you trust it. "
    "Limits of '{start}': {limits}"
)


def described(
    name: str, start: Model, trained: Model, share: float, scores: BeforeAfter
) -> ModelDescription:
    """Return the description of the new model.

    Args:
        name: of the new model.
        start: the model that it began as.
        trained: as the training run has described it.
        share: of the start model's weights in those of the new one.
        scores: on the held-out cases.
    """
    stated, run = start.description, trained.description.training
    before, after = mean_dice(scores.before), mean_dice(scores.after)
    training = replace(
        run,
        train=tuple(dict.fromkeys((*stated.training.train, *scores.train))),
        statement=stated.training.statement,
        note=_note(start, share, scores),
    )
    by_case = {
        case: {region: round(row["dice"], 4) for region, row in regions.items()}
        for case, regions in scores.after.cases.items()
    }
    return replace(
        stated,
        name=name,
        summary=f"{start.name}, trained further on {len(scores.train)} cases of its user; mean "
        f"Dice {after:.3f} instead of {before:.3f} on {len(scores.held_out)} held-out",
        training=training,
        scores={
            f"This model on the held-out cases {', '.join(scores.held_out)}": _rows(scores.after),
            f"'{start.name}' on the same": _rows(scores.before),
        },
        dice_by_case=by_case,
        dice_by_sequences={},
        failures={},
        limits=_LIMITS.format(
            count=len(scores.held_out), start=start.name, limits=stated.limits or "none are stated."
        ),
    )


def _note(start: Model, share: float, scores: BeforeAfter) -> str:
    """Return what the model was made from, in sentences."""
    note = (
        f"Trained further from '{start.name}' (weights {start.checksum}) on {len(scores.train)} "
        f"cases of its user: {', '.join(scores.train)}. The other training cases come first and "
        f"are those of '{start.name}'; copies, phantoms, seed and epochs are those of this run. "
        f"Those before have a share of {share:g} in the weights. Held out, for the scores and the "
        f"decision to keep the model: {', '.join(scores.held_out)}. "
    )
    return (note + start.description.training.note).strip()


def _rows(evaluation: Evaluation) -> dict[str, RegionScores]:
    return {
        region: RegionScores(
            *(round(row[column], 4) for column in ("dice", "sensitivity", "ppv")),
        )
        for region, row in evaluation.mean.items()
    }
