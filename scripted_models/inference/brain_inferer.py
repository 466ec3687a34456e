"""The inferer for MONAI's workflows: slices of all planes, only where there is brain."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from monai.inferers import Inferer

from scripted_models.brain_mask import brain_mask
from scripted_models.inference.volume import MOST_WORKERS, predict_volume
from scripted_models.networks.slice_network import SliceNetwork


class BrainInferer(Inferer):
    """Evaluates a network of slices on whole volumes, as `predict_volume` does.

    Args:
        log: return the logarithm of the probabilities, whose softmax gives them back.
        workers: slices at a time on the CPU, at most.
    """

    def __init__(self, log: bool = False, workers: int = MOST_WORKERS):
        super().__init__()
        self.log, self.workers = log, workers

    def __call__(
        self,
        inputs: torch.Tensor,
        network: Callable[..., Any],
        *args: Any,
        brain: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Return class probabilities.

        Args:
            inputs: preprocessed, float32 (N, C, z, y, x), 0 outside the brain.
            network: a `SliceNetwork` in evaluation mode, used on its own device.
            args: nothing, `network` takes no further arguments.
            brain: bool (N, 1, z, y, x); by default all voxels where a channel differs from 0.
            kwargs: as `args`.

        Returns:
            float32 (N, classes, z, y, x) on the device of `inputs`; background 1 outside the brain.

        Raises:
            TypeError: another network, or `args` or `kwargs` are given.
            ValueError: shapes that do not fit.
            GpuMemoryError: the GPU ran out of memory.
        """
        if not isinstance(network, SliceNetwork) or args or kwargs:
            raise TypeError(
                f"expected a network of slices and no arguments for it, not a "
                f"{type(network).__name__} with {args} and {kwargs}"
            )
        brain = _brain(inputs) if brain is None else brain
        if inputs.dim() != 5 or brain.shape != (len(inputs), 1, *inputs.shape[2:]):
            raise ValueError(
                f"expected (N, C, z, y, x) and (N, 1, z, y, x), not {tuple(inputs.shape)} and "
                f"{tuple(brain.shape)}"
            )
        volumes = [
            predict_volume(
                network, _array(image, np.float32), _array(mask, bool), workers=self.workers
            )
            for image, mask in zip(inputs, brain[:, 0], strict=True)
        ]
        probabilities = torch.from_numpy(np.stack(volumes)).to(inputs.device)
        if self.log:
            probabilities = probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()
        return probabilities


def _brain(inputs: torch.Tensor) -> torch.Tensor:
    """Return the brain masks (N, 1, z, y, x) of a batch."""
    masks = [brain_mask(_array(image, np.float32)) for image in inputs]
    return torch.from_numpy(np.stack(masks)[:, None])


def _array(tensor: torch.Tensor, dtype: type) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype)
