"""How sure a segmentation is of itself, from its class probabilities.

If the probabilities are right, the voxels that a mask holds belong to the region as often as they
say. Then the Dice against the ground truth can be estimated without one. How well this holds for a
model is a matter of measurement; see its card.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from scripted_models.errors import Problem, listed
from scripted_models.geometry import Grid
from scripted_models.labels import CAVITY, ENHANCING, RC, SCORED, known_regions, region_mask
from scripted_models.transforms.region_thresholds import expected_dice

DOUBTFUL_SLICES = 3  # named in a warning
APART_MM = 8.0  # at least between two of them: neighbors show the same doubt
LEAST_ENHANCING_ML = 0.5  # that is missed where none is shown
LEAST_REPLACED_ML = 0.5  # of necrosis that is worth a sentence


def estimated_dice(
    labels: np.ndarray, probabilities: np.ndarray, known_labels: Sequence[int]
) -> dict[str, float]:
    """Return the Dice that the probabilities promise, see `expected_dice`.

    Args:
        labels: uint8 (z, y, x), the segmentation.
        probabilities: float32 (classes, z, y, x).
        known_labels: internal labels of the classes.

    Returns:
        Region, or 'RC', -> number from 0 to 1, for those that the labels can tell. Where no
        enhancing tumor is shown although some is likely, it is right or wrong as a whole, and left
        out; so is the cavity.
    """
    found = {}
    cavity = (RC,) if CAVITY in known_labels else ()
    for region in (*known_regions(tuple(known_labels)), *cavity):
        mask = region_mask(labels, region)
        p = region_probability(probabilities, known_labels, region)
        if region not in ("ET", RC) or mask.any() or p.sum(dtype=np.float64) < 1:
            found[region] = expected_dice(mask, p)
    return found


def uncertainty(probabilities: np.ndarray) -> np.ndarray:
    """Return the entropy of each voxel's probabilities, float32 from 0 to 1 (the largest possible).

    Args:
        probabilities: float32 (classes, z, y, x).
    """
    total = np.zeros(probabilities.shape[1:], np.float32)
    for p in probabilities:
        total -= p * np.log(np.maximum(p, 1e-12))
    return np.clip(total / np.float32(np.log(len(probabilities))), 0, 1)


def doubtful_slices(
    labels: np.ndarray,
    probabilities: np.ndarray,
    known_labels: Sequence[int],
    distance_mm: float = 1.0,
) -> list[int]:
    """Return the slices along the first axis where most voxels of the whole tumor are likely wrong.

    Args:
        labels, probabilities, known_labels: as for `estimated_dice`.
        distance_mm: between neighboring slices.

    Returns:
        Up to `DOUBTFUL_SLICES` indices, ascending, at least `APART_MM` apart; fewer where less than
        one wrong voxel is expected.
    """
    tumor = region_probability(probabilities, known_labels, "WT")
    wrong = np.abs(tumor - region_mask(labels, "WT"))
    per_slice = wrong.sum(axis=(1, 2))
    found: list[int] = []
    for index in map(int, np.argsort(per_slice)[::-1]):
        if len(found) == DOUBTFUL_SLICES or per_slice[index] < 1:
            break
        if all(abs(index - other) * distance_mm >= APART_MM for other in found):
            found.append(index)
    return sorted(found)


def result_problems(
    labels: np.ndarray,
    dice: Mapping[str, float],
    slices: Sequence[int],
    least: Mapping[str, float],
    enhancing_ml: float = 0.0,
    replaced_necrosis_ml: float = 0.0,
) -> list[Problem]:
    """Say what of a result should be checked.

    Args:
        labels: uint8 (z, y, x), the segmentation.
        dice: what `estimated_dice` returned.
        slices: what `doubtful_slices` returned.
        least: region -> estimated Dice below which the model asks for a check.
        enhancing_ml: volume of enhancing tumor that the probabilities expect.
        replaced_necrosis_ml: volume of necrosis that is called non-enhancing tumor.
    """
    found = [] if region_mask(labels, "WT").any() else [Problem(found="no tumor")]
    if enhancing_ml >= LEAST_ENHANCING_ML and not (labels == ENHANCING).any():
        doubt = Problem(
            found=f"about {enhancing_ml:.1f} mL that may enhance, too uncertain to be called "
            "enhancing tumor",
            action="compare T1c with T1",
        )
        found.append(doubt)
    if replaced_necrosis_ml >= LEAST_REPLACED_ML:
        told = Problem(
            found=f"{replaced_necrosis_ml:.1f} mL of tumor core in lesions that show no "
            "enhancing tumor",
            action="it is called non-enhancing tumor, not necrosis, cysts in it included",
        )
        found.append(told)
    low = [region for region in least if dice.get(region, 1.0) < least[region]]
    if low and slices:
        numbers = listed([str(index + 1) for index in slices])
        check = Problem(
            found=f"an estimated Dice of {listed([f'{dice[r]:.2f} for {r}' for r in low])}",
            expected=f"at least {listed([f'{least[r]:.2f} for {r}' for r in low])}",
            action=f"check the result, first slices {numbers} of {len(labels)}",
        )
        found.append(check)
    return found


def region_probability(
    probabilities: np.ndarray, known_labels: Sequence[int], region: str
) -> np.ndarray:
    """Return the summed probabilities of a region's labels, float32 (z, y, x)."""
    classes = [i for i, label in enumerate(known_labels) if label in SCORED[region]]
    total = probabilities[classes[0]].copy()  # class by class: no copy of them all
    for index in classes[1:]:
        total += probabilities[index]
    return total


def expected_ml(
    probabilities: np.ndarray, known_labels: Sequence[int], region: str, grid: Grid
) -> float:
    """Return the volume of a region that its probabilities expect; 0 where no label tells it."""
    if region not in known_regions(tuple(known_labels)):
        return 0.0
    p = region_probability(probabilities, known_labels, region)
    return float(p.sum(dtype=np.float64)) * grid.voxel_volume_ml
