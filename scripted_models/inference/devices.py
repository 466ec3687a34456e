"""Where a network runs, and why there."""

from contextlib import AbstractContextManager
from typing import NamedTuple

import torch
from torch import nn

from scripted_models.errors import ResourceError

CPU_AFTER_GPU = "CPU, because the memory of the GPU did not suffice"


class GpuMemoryError(ResourceError):
    """The memory of the GPU does not suffice."""

    def __init__(self) -> None:
        super().__init__(
            found="too little memory on the GPU for a single slice or window",
            action="close other programs that use the GPU, or choose --device cpu",
        )


class Placement(NamedTuple):
    """Where a network runs.

    Attributes:
        device: of its weights.
        reason: for this device, in words.
    """

    device: torch.device
    reason: str


def choose_device(wanted: str) -> Placement:
    """Return the device for 'auto', 'cpu' or 'cuda', and the reason for it in words.

    Raises:
        ResourceError: 'cuda' was asked for and is not there.
    """
    if wanted == "cpu":
        return Placement(torch.device("cpu"), "CPU, as asked")
    if torch.cuda.is_available():
        return Placement(torch.device("cuda"), f"GPU {torch.cuda.get_device_name()}")
    if wanted == "cuda":
        raise ResourceError(
            found="no GPU that PyTorch can use",
            expected="one for --device cuda",
            action="choose --device auto, or install the driver and a CUDA build of PyTorch",
        )
    return Placement(torch.device("cpu"), "CPU, because PyTorch finds no CUDA device")


def place_network(network: nn.Module, wanted: str) -> Placement:
    """Move a network to the device for 'auto', 'cpu' or 'cuda'.

    Returns:
        The device and the reason for it; with 'auto' the CPU when the GPU has no memory left.

    Raises:
        ResourceError: 'cuda' was asked for and is not there.
    """
    chosen = choose_device(wanted)
    try:
        network.to(chosen.device)
    except RuntimeError as error:  # also raised for a context that finds no room
        if wanted != "auto" or "out of memory" not in str(error):
            raise
        return leave_gpu(network)
    return chosen


def leave_gpu(network: nn.Module) -> Placement:
    """Move a network to the CPU, because the memory of the GPU does not suffice."""
    device = torch.device("cpu")
    network.to(device)
    return Placement(device, CPU_AFTER_GPU)


def without_tf32() -> AbstractContextManager[None]:
    """Let a GPU compute in full single precision.

    Half the mantissa is not worth the labels that it changes.
    """
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
