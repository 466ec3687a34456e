"""A network of volumes on a whole volume: overlapping windows, placed and joined as it was trained.

MONAI's sliding window joins them, or what nnU-Net does in its place (`even_windows`).
"""

from collections.abc import Callable, Sequence
from itertools import accumulate, combinations
from math import ceil, prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

from scripted_models.errors import Cancelled
from scripted_models.images.spacing_change import SpacingChange
from scripted_models.inference.devices import GpuMemoryError, without_tf32
from scripted_models.inference.even_windows import count_even_windows, join_even_windows
from scripted_models.inference.label_probabilities import label_probabilities
from scripted_models.inference.window_cost import Steps, WindowCost, window_cost
from scripted_models.networks.slice_network import VolumeNetwork
from scripted_models.transforms.volume_networks import OUR_AXES, NetworkOutputs, SlidingWindow

_GPU_BATCH = 4  # windows
_costs: WeakKeyDictionary[nn.Module, dict[SlidingWindow, WindowCost]] = WeakKeyDictionary()
_TOLD = 1 / 400  # of the work between two reports


def predict_windows(
    network: VolumeNetwork,
    image: np.ndarray,
    brain: np.ndarray,
    window: SlidingWindow,
    outputs: NetworkOutputs,
    on_step: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    half: bool = False,
    change: SpacingChange | None = None,
) -> np.ndarray:
    """Compute label probabilities of a volume, window by window.

    Where windows overlap, the mean of their logits counts, weighted as the window says. On a GPU
    several windows are computed at a time, fewer where its memory does not suffice.

    Args:
        network: in evaluation mode, used on its own device.
        image: preprocessed, float32 (C, z, y, x).
        brain: bool (z, y, x).
        window: how the network goes through the volume.
        outputs: what its outputs mean.
        on_step: called with the fraction of the work done, also inside of a window.
        cancelled: asked at each layer.
        half: let the layers compute in float16 where PyTorch's autocast does.
        change: of spacing between the brain and the image, undone for the logits.

    Returns:
        float32 (labels, z, y, x), labels ascending; background 1 outside the brain.

    Raises:
        Cancelled: `cancelled` returned true.
        GpuMemoryError: the GPU ran out of memory, or half precision gives no numbers.
        ModelError: the network gives NaN or infinite values.
    """
    order = [OUR_AXES.index(axis) for axis in window.axes]
    moved = np.ascontiguousarray(image.transpose(0, *(1 + axis for axis in order)))
    try:
        predictor = _WindowPredictor(network, window, count_windows(moved.shape[1:], window), half)
        predictor.on_step, predictor.cancelled = on_step, cancelled
        with torch.inference_mode(), without_tf32():
            logits = _joined(torch.from_numpy(moved), window, predictor)
            logits = logits.permute(0, *(1 + int(place) for place in np.argsort(order)))
            logits = change.back(logits, brain.shape) if change else logits
            result = np.ascontiguousarray(label_probabilities(logits, outputs))
    except torch.cuda.OutOfMemoryError as error:
        raise GpuMemoryError from error
    result[:, ~brain] = np.eye(len(result), 1, dtype=np.float32)
    return result


def _joined(
    image: torch.Tensor, window: SlidingWindow, predictor: "_WindowPredictor"
) -> torch.Tensor:
    """Return the logits (outputs, ...) of all windows of an image (C, ...), joined on the CPU."""
    device = predictor.device
    at_once = 1 if device.type == "cpu" else _GPU_BATCH
    if window.placement == "even":
        return join_even_windows(image, window, at_once, predictor, device)
    from monai.inferers import sliding_window_inference  # slow to import

    logits: torch.Tensor = sliding_window_inference(
        image[None],
        window.size,
        at_once,
        predictor,
        window.overlap,
        mode=window.weights,
        sigma_scale=window.sigma,
        sw_device=device,
        device=torch.device("cpu"),
    )[0]
    return logits


def count_windows(shape: Sequence[int], window: SlidingWindow) -> int:
    """Return how many windows a volume is seen through, mirrored ones not counted.

    Args:
        shape: of the volume, along the axes of the network.
        window: how the network goes through it.
    """
    if window.placement == "even":
        return count_even_windows(shape, window)
    return prod(
        1 + max(0, ceil((length - side) / max(int(side * (1 - window.overlap)), 1)))
        for length, side in zip(shape, window.size, strict=True)
    )


def cost_of(network: VolumeNetwork, window: SlidingWindow) -> WindowCost:
    """Return what one window costs; found once for each network."""
    known = _costs.setdefault(network, {})
    if window not in known:
        known[window] = window_cost(network, window.size)
    return known[window]


class _WindowPredictor:
    """What MONAI calls for each batch of windows.

    Args:
        network, window, half: as for `predict_windows`.
        count: windows of the volume.
    """

    on_step: Callable[[float], None]
    cancelled: Callable[[], bool]

    def __init__(self, network: VolumeNetwork, window: SlidingWindow, count: int, half: bool):
        self.network, self.half = network, half
        self.device = next(network.parameters()).device
        places = [2 + window.axes.index(axis) for axis in window.mirror]
        self.mirrors = [m for n in range(len(places) + 1) for m in combinations(places, n)]
        cost = cost_of(network, window)
        self.shares = [0.0, *accumulate(part / cost.total for part in cost.work)]
        self.passes, self.done, self.told = count * len(self.mirrors), 0, 0.0
        self.at_once = _GPU_BATCH

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to logits (N, outputs, ...), the mean over all mirrored forms."""
        total: torch.Tensor | None = None
        for axes in self.mirrors:
            logits = self._logits(windows.flip(axes)).flip(axes) if axes else self._logits(windows)
            total = logits if total is None else total + logits
        assert total is not None
        return total / len(self.mirrors) if len(self.mirrors) > 1 else total

    def _logits(self, windows: torch.Tensor) -> torch.Tensor:
        """Compute windows together, in parts if memory is short."""
        parts = windows.split(self.at_once)
        if len(parts) > 1:
            return torch.cat([self._logits(part) for part in parts])
        try:
            logits = self._pass(windows)
        except torch.cuda.OutOfMemoryError as error:
            if len(windows) == 1:
                raise GpuMemoryError from error
            self.at_once = len(windows) // 2
        else:
            self.done += len(windows)
            self._tell(self.done / self.passes)
            return logits
        return self._logits(windows)

    def _pass(self, windows: torch.Tensor) -> torch.Tensor:
        taken, batch = 0, len(windows)

        def on_step(name: str, args: Sequence[Any], results: Sequence[torch.Tensor]) -> None:
            nonlocal taken
            if self.cancelled():
                raise Cancelled()
            taken = min(taken + 1, len(self.shares) - 1)
            self._tell((self.done + batch * self.shares[taken]) / self.passes, _TOLD)

        autocast = torch.autocast(self.device.type, torch.float16, enabled=self.half)
        with autocast, Steps(on_step):
            logits = self.network(windows)
        if self.half and not torch.isfinite(logits).all():  # beyond float16, so it is no way out
            raise GpuMemoryError
        return logits.float()

    def _tell(self, fraction: float, least: float = 0.0) -> None:
        if fraction >= self.told + least:
            self.told = min(fraction, 1.0)
            self.on_step(self.told)
