"""Dense inference: whole slices, only where there is brain."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn

from scripted_models.errors import Cancelled, ResourceError

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


def predict_volume(
    network: nn.Module,
    image: np.ndarray,
    brain: np.ndarray,
    on_slice: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> np.ndarray:
    """Compute class probabilities of a volume, axial slice by axial slice.

    Args:
        network: maps (N, C, H, W) to logits smaller by `network.margins`; used on its own device.
        image: preprocessed, float32 (C, z, y, x), 0 outside the brain.
        brain: bool (z, y, x); slices without brain are skipped.
        on_slice: called with the fraction of slices done.
        cancelled: asked before each slice.

    Returns:
        float32 (classes, z, y, x); background 1 where nothing was computed.

    Raises:
        Cancelled: `cancelled` returned true.
        GpuMemoryError: the GPU ran out of memory.
    """
    probabilities = np.zeros((network.num_classes, *brain.shape), np.float32)
    probabilities[0] = 1.0
    occupied = np.flatnonzero(brain.any(axis=(1, 2)))
    for done, z in enumerate(occupied):
        if cancelled():
            raise Cancelled("The run was cancelled; nothing was written.")
        rows, columns, values = predict_slice(network, image[:, z], brain[z])
        probabilities[:, z, rows, columns] = values
        on_slice((done + 1) / len(occupied))
    return probabilities


def predict_slice(
    network: nn.Module, plane: np.ndarray, brain: np.ndarray
) -> tuple[slice, slice, np.ndarray]:
    """Compute class probabilities in the brain box of one slice.

    Args:
        network: as for `predict_volume`; set to evaluation mode by the caller.
        plane: float32 (C, y, x).
        brain: bool (y, x), not empty.

    Returns:
        Row and column slices of the box, and float32 (classes, rows, columns).
    """
    rows, columns = brain_box(brain)
    window = padded_window(plane, rows, columns, network.margins)
    device = next(network.parameters()).device
    with torch.inference_mode(), _exact():
        try:
            logits = network(torch.from_numpy(window)[None].to(device))
        except torch.cuda.OutOfMemoryError as error:
            raise GpuMemoryError from error
        return rows, columns, logits.softmax(dim=1)[0].float().cpu().numpy()


def brain_box(brain: np.ndarray) -> tuple[slice, slice]:
    """Return the row and column slices that enclose a bool mask (y, x)."""
    rows, columns = np.flatnonzero(brain.any(axis=1)), np.flatnonzero(brain.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def padded_window(
    plane: np.ndarray, rows: slice, columns: slice, margins: tuple[int, int]
) -> np.ndarray:
    """Cut a box with margins from (C, y, x); zeros where it leaves the plane."""
    low, high = margins
    cuts, pads = [], [(0, 0)]
    for box, size in zip((rows, columns), plane.shape[1:], strict=True):
        start, stop = box.start - low, box.stop + high
        cuts.append(slice(max(start, 0), min(stop, size)))
        pads.append((max(-start, 0), max(stop - size, 0)))
    return np.pad(plane[:, cuts[0], cuts[1]], pads)


class _exact:  # noqa: N801 - a context, read like one
    """Switch TF32 off while inside: half the mantissa is not worth the labels it changes."""

    def __enter__(self):
        self._before = torch.backends.cudnn.allow_tf32
        torch.backends.cudnn.allow_tf32 = False

    def __exit__(self, *_):
        torch.backends.cudnn.allow_tf32 = self._before


def iterate_slices(brain: np.ndarray, count: int) -> Iterator[int]:
    """Yield up to `count` slice indices spread evenly over the slices that hold brain."""
    occupied = np.flatnonzero(brain.any(axis=(1, 2)))
    picks = np.linspace(0, len(occupied) - 1, min(count, len(occupied)) + 2)[1:-1]
    yield from (int(occupied[round(p)]) for p in picks)
