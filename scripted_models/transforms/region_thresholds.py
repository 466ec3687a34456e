"""From class probabilities to labels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scripted_models.labels import EDEMA, ENHANCING

CORE_WITHOUT_ENHANCING = (1, 3)
ESTIMATED_DICE = "estimated_dice"
LEAST_SHARE = 0.01  # voxels below are not counted among those that a region may have


def decide_labels(
    probabilities: np.ndarray,
    known_labels: Sequence[int],
    least: Mapping[Any, float | str] | None = None,
) -> np.ndarray:
    """Give each voxel a label.

    Without `least` it is the most probable one. With it the regions are decided one inside the
    other: tumor where the probabilities of all its labels together reach the least one of 'WT',
        core in there by that
    of 'TC', enhancing tumor in the core by that of 'ET'. The most probable label is too careful
    where several labels share the probability of a region, and its Dice suffers. The word
    ESTIMATED_DICE in the place of a number stands for `best_share` of the region in this image.

    Args:
        probabilities: float32 (classes, ...).
        known_labels: internal labels of the classes, ascending.
        least: region -> probability from 0 to 1, or ESTIMATED_DICE; needs the labels 0, 2, 4, and 1
            or 3.

    Returns:
        uint8 (...), internal labels.
    """
    known = np.asarray(known_labels, np.uint8)
    if not least:
        return known[probabilities.argmax(axis=0)]
    inner = [index for index, label in enumerate(known) if label in CORE_WITHOUT_ENHANCING]
    enhancing = probabilities[list(known).index(ENHANCING)]
    core = enhancing.copy()
    for index in inner:
        core += probabilities[index]
    tumor = 1.0 - probabilities[0]
    share = {
        region: best_share(p) if least[region] == ESTIMATED_DICE else least[region]
        for region, p in (("WT", tumor), ("TC", core), ("ET", enhancing))
    }
    labels = np.where(tumor >= share["WT"], EDEMA, 0).astype(np.uint8)
    in_core = (labels > 0) & (core >= share["TC"])
    labels[in_core] = known[inner][probabilities[inner][:, in_core].argmax(axis=0)]
    labels[in_core & (enhancing >= share["ET"])] = ENHANCING
    return labels


def decision_expression(known_labels: Sequence[int], least: Mapping[str, float]) -> str:
    """Return what `decide_labels` does as an expression of PyTorch, for programs that take one.

    Args:
        known_labels: internal labels of the classes, ascending.
        least: region -> probability; empty: the most probable label.

    Returns:
        Expression of `p`, (classes, ...), and `torch`; its value is (1, ...).
    """
    known = list(known_labels)
    if not least:
        return f"torch.tensor({known}, device=p.device)[p.argmax(0, keepdim=True)]"
    part = {label: f"p[{place}:{place + 1}]" for place, label in enumerate(known)}
    inner = [label for label in CORE_WITHOUT_ENHANCING if label in known]
    core = " + ".join(part[label] for label in (ENHANCING, *inner))
    likelier = f"torch.where({part[inner[0]]} >= {part[inner[-1]]}, {inner[0]}, {inner[-1]})"
    enhancing = f"torch.where({part[ENHANCING]} >= {least['ET']}, {ENHANCING}, {likelier})"
    in_core = f"torch.where({core} >= {least['TC']}, {enhancing}, {EDEMA})"
    return f"torch.where(1 - {part[0]} >= {least['WT']}, {in_core}, 0)"


def best_share(probability: np.ndarray) -> float:
    """Return the least probability of a region's voxels for the greatest estimated Dice.

    Of all masks that maximize `expected_dice` one is a threshold at half of that maximum (Lipton et
    al. 2014, "Optimal thresholding of classifiers to maximize F1 measure", ECML, theorem 1). So the
    less certain a region is, the more of it is given.

    Args:
        probability: of the region, any shape.

    Returns:
        From just above 0 to 0.5 where the probabilities are certain; 1 where nothing is likely.
    """
    ordered = np.sort(probability[probability >= LEAST_SHARE])[::-1].astype(np.float64)
    if not ordered.size:
        return 1.0
    expected = (
        2 * ordered.cumsum() / (np.arange(1, ordered.size + 1) + probability.sum(dtype=np.float64))
    )
    return float(ordered[expected.argmax()])


def expected_dice(mask: np.ndarray, probability: np.ndarray) -> float:
    """Return the Dice of a region that its probabilities promise.

    For a mask M and probabilities p it is 2 sum(p in M) / (|M| + sum(p)), the ratio of the expected
    numerator and denominator; 1 where the mask is empty and less than one voxel is expected.

    Args:
        mask: bool, any shape.
        probability: of the region, the same shape.
    """
    voxels, expected = int(mask.sum()), float(probability.sum(dtype=np.float64))
    if not voxels and expected < 1:
        return 1.0
    return float(2 * probability[mask].sum(dtype=np.float64) / (voxels + expected))
