"""What one window costs a network: found with the smallest one that it takes, and scaled.

PyTorch's meta device would do without computing, but it imports the compiler for many layers.
"""

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from scripted_models.networks.slice_network import VolumeNetwork

_PER_VALUE = 8.0  # work of a step that is no convolution, in multiplications for each result
# Convolutions on a CPU keep copies of maps in another order. Estimated and measured in MiB, of
# windows of 96 voxels: SegResNet (16 filters) 391, 371, of 128 voxels 927, 783; nnU-Net's plain one
# 1120, 790; BasicUNet 1228, 893; of 64 voxels SwinUNETR 1443, 442.
_COPIES = 1.5


@dataclass(frozen=True)
class WindowCost:
    """What one window costs.

    Attributes:
        bytes: memory of the maps that exist at the same time, at most.
        work: of each step, in its order.
    """

    bytes: int
    work: tuple[float, ...]

    @property
    def total(self) -> float:
        """The work of all steps."""
        return sum(self.work)


class Steps(TorchFunctionMode):
    """Tells of each step of PyTorch that gives a tensor; what it is made of is no step.

    Args:
        on_step: called with the function's name, its arguments and its results.
    """

    def __init__(self, on_step: Callable[[str, Sequence[Any], Sequence[torch.Tensor]], None]):
        super().__init__()
        self.on_step = on_step

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function and tell."""
        result = func(*args, **(kwargs or {}))
        if tensors := list(_tensors(result)):
            self.on_step(getattr(func, "__name__", ""), args, tensors)
        return result


def window_cost(network: VolumeNetwork, size: Sequence[int]) -> WindowCost:
    """Find what one window costs in single precision.

    Args:
        network: in evaluation mode, used on its own device.
        size: voxels of the window.
    """
    alive, most, work = _Alive(), 0, []

    def note(name: str, args: Sequence[Any], results: Sequence[torch.Tensor]) -> None:
        nonlocal most
        alive.add(results)
        most = max(most, alive.bytes)
        work.append(_work(name, args, results))

    sides = [*network.multiples[:-1], 2 * network.multiples[-1]]
    whole = [
        ceil(n / multiple) * multiple for n, multiple in zip(size, network.multiples, strict=True)
    ]
    larger = max(prod(whole) / prod(sides), 1.0)
    like = next(network.parameters())
    window = like.new_zeros((1, network.in_channels, *sides))
    with torch.no_grad(), Steps(note):
        network(window)
    maps = most + window.numel() * window.element_size()
    return WindowCost(int(_COPIES * maps * larger), tuple(part * larger for part in work))


class _Alive:
    """Counts the bytes of tensors that are in use."""

    def __init__(self) -> None:
        self.bytes = 0
        self._known: dict[int, int] = {}

    def add(self, tensors: Sequence[torch.Tensor]) -> None:
        """Count new tensors until they are gone; views of others take no memory."""
        for tensor in tensors:
            if id(tensor) in self._known or tensor._base is not None:
                continue
            self._known[id(tensor)] = tensor.numel() * tensor.element_size()
            self.bytes += self._known[id(tensor)]
            weakref.finalize(tensor, self._forget, id(tensor)).atexit = False

    def _forget(self, key: int) -> None:
        self.bytes -= self._known.pop(key)


def _tensors(result: object) -> Iterator[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        yield result
    elif isinstance(result, (tuple, list)):
        for part in result:
            yield from _tensors(part)


def _work(name: str, args: Sequence[Any], results: Sequence[torch.Tensor]) -> float:
    """Return the multiplications of a step, about."""
    values = float(sum(result.numel() for result in results))
    operands = [value for value in args[:2] if isinstance(value, torch.Tensor)]
    if name.startswith("conv") and len(operands) == 2:
        image, weight = operands
        positions = image if "transpose" in name else results[0]
        # channels out and kernel for each position that is multiplied
        return float(positions[0, 0].numel() * len(image) * weight.numel())
    if name in ("linear", "matmul", "__matmul__", "bmm") and operands:
        return values * operands[0].shape[-1]
    return values * _PER_VALUE
