"""Where the brain is: the one definition for networks, postprocessing, training and figures."""

from collections.abc import Iterable
from functools import reduce

import numpy as np


def brain_mask(sequences: Iterable[np.ndarray]) -> np.ndarray:
    """Return where any sequence differs from 0.

    Skull-stripped volumes are 0 outside of the brain. A missing sequence is left out, or 0
    everywhere.

    Args:
        sequences: one array or more of one shape; also the first axis of a stack.

    Returns:
        bool, of the shape of one sequence.
    """
    return reduce(np.logical_or, (volume != 0 for volume in sequences))
