"""The inferer for MONAI's workflows: slices of all planes or windows, only where there is brain."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from monai.inferers import Inferer

from scripted_models.brain_mask import brain_mask
from scripted_models.inference.volume import MOST_WORKERS, predict_volume
from scripted_models.inference.windows import predict_windows
from scripted_models.networks.slice_network import SliceNetwork, VolumeNetwork
from scripted_models.runtime.typed_tables import read_value
from scripted_models.transforms.volume_networks import NetworkOutputs, SlidingWindow


class BrainInferer(Inferer):
    """Evaluates a network on whole volumes, as `predict_volume` and `predict_windows` do.

    Args:
        log: return the logarithm of the probabilities, whose softmax gives them back.
        workers: slices at a time on the CPU, at most.
        window: of a network of volumes, the table of a `SlidingWindow`.
        outputs: of a network of volumes, the table of its outputs.

    Raises:
        UnfitError: tables that do not fit.
    """

    def __init__(
        self,
        log: bool = False,
        workers: int = MOST_WORKERS,
        window: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self.log, self.workers = log, workers
        self.tables: tuple[SlidingWindow, NetworkOutputs] | None = None
        if window is not None:
            read = read_value(SlidingWindow, window, "window")
            stated = read_value(NetworkOutputs, outputs, "outputs")
            self.tables = cast(SlidingWindow, read), cast(NetworkOutputs, stated)

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
            network: a `SliceNetwork`, or with a window a `VolumeNetwork`, in evaluation mode, used
                on its own device.
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
        kind = SliceNetwork if self.tables is None else VolumeNetwork
        if not isinstance(network, kind) or args or kwargs:
            raise TypeError(
                f"expected a {kind.__name__} and no arguments for it, not a "
                f"{type(network).__name__} with {args} and {kwargs}"
            )
        brain = _brain(inputs) if brain is None else brain
        if inputs.dim() != 5 or brain.shape != (len(inputs), 1, *inputs.shape[2:]):
            raise ValueError(
                f"expected (N, C, z, y, x) and (N, 1, z, y, x), not {tuple(inputs.shape)} and "
                f"{tuple(brain.shape)}"
            )
        volumes = [
            self._volume(network, _array(image, np.float32), _array(mask, bool))
            for image, mask in zip(inputs, brain[:, 0], strict=True)
        ]
        probabilities = torch.from_numpy(np.stack(volumes)).to(inputs.device)
        if self.log:
            probabilities = probabilities.clamp_min(torch.finfo(torch.float32).tiny).log()
        return probabilities

    def _volume(
        self, network: SliceNetwork | VolumeNetwork, image: np.ndarray, brain: np.ndarray
    ) -> np.ndarray:
        """Return the probabilities of one volume."""
        if isinstance(network, SliceNetwork):
            return predict_volume(network, image, brain, workers=self.workers)
        assert self.tables is not None
        return predict_windows(network, image, brain, *self.tables)


def _brain(inputs: torch.Tensor) -> torch.Tensor:
    """Return the brain masks (N, 1, z, y, x) of a batch."""
    masks = [brain_mask(_array(image, np.float32)) for image in inputs]
    return torch.from_numpy(np.stack(masks)[:, None])


def _array(tensor: torch.Tensor, dtype: type) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), dtype)
