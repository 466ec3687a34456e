"""Where a network runs."""

import torch
from torch import nn

from scripted_models.errors import ResourceError

CPU_AFTER_GPU = "CPU, because the memory of the GPU did not suffice"


class GpuMemoryError(ResourceError):
    """The memory of the GPU does not suffice."""

    def __init__(self):
        super().__init__(
            "The GPU ran out of memory on a single slice; close other programs that use it or choose "
            "--device cpu."
        )


def choose_device(wanted: str) -> tuple[torch.device, str]:
    """Return the device for 'auto', 'cpu' or 'cuda', and the reason for it in words.

    Raises:
        ResourceError: 'cuda' was asked for and is not there.
    """
    if wanted == "cpu":
        return torch.device("cpu"), "CPU, as asked"
    if torch.cuda.is_available():
        return torch.device("cuda"), f"GPU {torch.cuda.get_device_name()}"
    if wanted == "cuda":
        raise ResourceError(
            "No CUDA device is available to PyTorch, but --device cuda asks for one; use --device auto "
            "or install a CUDA build of PyTorch and the driver."
        )
    return torch.device("cpu"), "CPU, because PyTorch finds no CUDA device"


def place_network(network: nn.Module, wanted: str) -> tuple[torch.device, str]:
    """Move a network to the device for 'auto', 'cpu' or 'cuda'.

    Returns:
        The device and the reason for it; with 'auto' the CPU when the GPU has no memory left.

    Raises:
        ResourceError: 'cuda' was asked for and is not there.
    """
    device, reason = choose_device(wanted)
    try:
        network.to(device)
    except RuntimeError as error:  # also raised for a context that finds no room
        if wanted != "auto" or "out of memory" not in str(error):
            raise
        device, reason = torch.device("cpu"), CPU_AFTER_GPU
        network.to(device)
    return device, reason
