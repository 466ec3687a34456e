"""Windows as nnU-Net places and joins them, which MONAI's sliding window has no option for.

Source: Isensee et al. 2021, "nnU-Net", Nature Methods 18, online methods ("Inference"); nnU-Net
2.8, `sliding_window_prediction`.
"""

from collections.abc import Callable, Sequence
from itertools import product
from math import ceil, prod

import numpy as np
import torch
from torch.nn import functional as F

from scripted_models.transforms.volume_networks import SlidingWindow

_PEAK = 10.0  # of the weights, which nnU-Net rounds to float16


def join_even_windows(
    image: torch.Tensor,
    window: SlidingWindow,
    at_once: int,
    predictor: Callable[[torch.Tensor], torch.Tensor],
    device: torch.device,
) -> torch.Tensor:
    """Return the weighted mean of the logits of all windows.

    Args:
        image: float32 (C, ...) on the CPU, in the axes of the network.
        window: how the network goes through the volume.
        at_once: windows that the predictor gets together.
        predictor: maps windows (N, C, ...) on the device to logits (N, outputs, ...).
        device: where it computes.

    Returns:
        float32 (outputs, ...) on the CPU.
    """
    lacking = [max(0, side - n) for n, side in zip(image.shape[1:], window.size, strict=True)]
    pads = [(n // 2, n - n // 2) for n in lacking]
    grown = F.pad(image, [n for pair in reversed(pads) for n in pair])
    shape = grown.shape[1:]
    weights = window_weights(window)
    joined, total = torch.zeros(0), torch.zeros(shape)
    places = list(product(*map(even_starts, shape, window.size, [window.overlap] * 3)))
    for first in range(0, len(places), at_once):
        boxes = [_box(place, window.size) for place in places[first : first + at_once]]
        seen = torch.stack([grown[:, a, b, c] for a, b, c in boxes])
        for (a, b, c), logits in zip(boxes, predictor(seen.to(device)).cpu(), strict=True):
            if not joined.numel():
                joined = torch.zeros((len(logits), *shape))
            joined[:, a, b, c] += logits * weights
            total[a, b, c] += weights
    a, b, c = (slice(low, n - high) for n, (low, high) in zip(shape, pads, strict=True))
    return joined.div_(total)[:, a, b, c]


def even_starts(length: int, side: int, overlap: float) -> list[int]:
    """Return where windows begin along an axis: at equal distances, the last one at the end.

    Args:
        length: of the volume.
        side: of a window.
        overlap: that neighbors have at least, as a share of the side.
    """
    last = max(0, length - side)
    gaps = ceil(last / (side * (1 - overlap)))
    return [round(last * index / max(gaps, 1)) for index in range(gaps + 1)]


def count_even_windows(shape: Sequence[int], window: SlidingWindow) -> int:
    """Return how many windows a volume is seen through, see `inference.windows`."""
    return prod(
        len(even_starts(length, side, window.overlap))
        for length, side in zip(shape, window.size, strict=True)
    )


def window_weights(window: SlidingWindow) -> torch.Tensor:
    """Return the weights of the voxels of a window, float32 of its size.

    The Gaussian has its peak at the voxel half a side from the first one. Weights that float16 has
    no number for become the smallest one.
    """
    if window.weights == "constant":
        return torch.ones(window.size)
    weights = np.ones((), np.float64)
    for side in window.size:
        distance = (np.arange(side) - side // 2) / (window.sigma * side)
        weights = np.multiply.outer(weights, np.exp(-(distance**2) / 2))
    rounded = torch.from_numpy(_PEAK * weights).half()
    rounded[rounded == 0] = rounded[rounded > 0].min()
    return rounded.float()


def _box(place: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(start, start + side) for start, side in zip(place, size, strict=True))
