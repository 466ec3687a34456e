"""Changed copies of real cases that train beside them: which ones, and what they are made from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scripted_models.tasks.brains import contrast_suppression, degradation, tumor_transplant
from scripted_models.training.experiment_config import DataConfig

Kind = Literal["contrast_suppressed", "degraded", "transplanted"]
VERSIONS: dict[Kind, dict[str, int]] = {
    "contrast_suppressed": {"contrast_suppression": contrast_suppression.VERSION},
    "degraded": {"degradation": degradation.VERSION},
    "transplanted": {
        "tumor_transplant": tumor_transplant.VERSION,
        "contrast_suppression": contrast_suppression.VERSION,
    },
}
_SUPPRESSED = 3  # of so many tumors that are transplanted one does not enhance


@dataclass(frozen=True)
class Copy:
    """How a copy differs from its case.

    Attributes:
        kind: what is done.
        seed: decides all that is random in it.
        donor: case whose tumor is transplanted; empty in other kinds.
    """

    kind: Kind
    seed: int = 0
    donor: str = ""


def draw_copies(names: Sequence[str], data: DataConfig) -> Iterator[tuple[str, Copy]]:
    """Yield the case and the change of each copy that an experiment asks for.

    Args:
        names: of the training cases.
        data: says how many copies of each kind.
    """
    drawn = [
        sorted(names)[i] for i in np.random.default_rng(data.split_seed).permutation(len(names))
    ]
    for name in drawn[: data.contrast_suppressed]:
        yield name, Copy("contrast_suppressed")
    if drawn:
        for seed in range(data.degraded):
            yield drawn[seed % len(drawn)], Copy("degraded", seed)
    if len(drawn) > 1:
        for seed in range(data.transplanted):
            place = seed % len(drawn)
            away = 1 + np.random.default_rng(seed).integers(len(drawn) - 1)
            yield drawn[place], Copy("transplanted", seed, drawn[(place + away) % len(drawn)])


def changed(
    copy: Copy,
    image: np.ndarray,
    labels: np.ndarray,
    donor: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return image and labels of a copy.

    Args:
        copy: what is done.
        image: (4, z, y, x) of the case in the training space.
        labels: its internal labels (z, y, x).
        donor: image and labels of the donor.
    """
    if copy.kind == "contrast_suppressed":
        return contrast_suppression.remove_enhancement(image, labels)
    if copy.kind == "degraded":
        return degradation.degrade(image, labels, copy.seed)
    assert donor is not None
    if copy.seed % _SUPPRESSED == 0:
        donor = contrast_suppression.remove_enhancement(*donor)
    return tumor_transplant.transplant(image, labels, *donor, copy.seed)
