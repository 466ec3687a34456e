"""Where the brain is: the one definition for networks, postprocessing, training and figures."""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np

FAINTEST = 0.01  # of the median; interpolation leaves such values beyond a field of view


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


def shows(volume: np.ndarray) -> np.ndarray:
    """Return where a sequence shows something: neither 0 nor what interpolation leaves of it.

    Args:
        volume: (z, y, x), 0 outside of the brain.
    """
    size = np.abs(volume)
    inside = size[size > 0]
    return size > (FAINTEST * np.median(inside) if inside.size else 0)


def lacking(shown: Mapping[Any, np.ndarray], key: object) -> np.ndarray:
    """Return where most of the other sequences show something and one does not.

    Args:
        shown: for each sequence what `shows` returned, of one shape.
        key: the one.
    """
    others = [mask for other, mask in shown.items() if other != key]
    if not others:
        return np.zeros_like(shown[key])
    most = np.sum(others, axis=0, dtype=np.uint8) * 2 > len(others)
    return np.asarray(most & ~shown[key], bool)
