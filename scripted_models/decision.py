"""From class probabilities to labels."""

from collections.abc import Mapping, Sequence

import numpy as np

OEDEMA, ENHANCING = 2, 4
CORE_WITHOUT_ENHANCING = (1, 3)


def decide_labels(
    probabilities: np.ndarray, known_labels: Sequence[int], least: Mapping[str, float] | None = None
) -> np.ndarray:
    """Give each voxel a label.

    Without `least` it is the likeliest one. With it the regions are decided one inside the other: tumour
    where the probabilities of all its labels together reach the least one of 'complete', core in there by that
    of 'core', enhancing tumour in the core by that of 'enhancing'. The likeliest label is too careful where
    several labels share the probability of a region, and its Dice suffers.

    Args:
        probabilities: float32 (classes, ...).
        known_labels: internal labels of the classes, ascending.
        least: region -> probability from 0 to 1; needs the labels 0, 2, 4, and 1 or 3.

    Returns:
        uint8 (...), internal labels.
    """
    known = np.asarray(known_labels, np.uint8)
    if not least:
        return known[probabilities.argmax(axis=0)]
    inner = [index for index, label in enumerate(known) if label in CORE_WITHOUT_ENHANCING]
    enhancing = probabilities[list(known).index(ENHANCING)]
    core = enhancing + probabilities[inner].sum(axis=0)
    tumour = 1.0 - probabilities[0]
    labels = np.where(tumour >= least["complete"], OEDEMA, 0).astype(np.uint8)
    in_core = (labels > 0) & (core >= least["core"])
    labels[in_core] = known[inner][probabilities[inner][:, in_core].argmax(axis=0)]
    labels[in_core & (enhancing >= least["enhancing"])] = ENHANCING
    return labels
