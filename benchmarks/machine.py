"""What a machine can do, and the times that follow if nothing else took any."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from scripted_models.inference import brain_box

# Operations for a pixel of the maps and of the output of a TwoPathCNN: direct; and with FFT for the
# kernels of 7 x 7, 13 x 13 and 21 x 21, Winograd for 3 x 3.
_DIRECT = 2 * (128 * (4 * 7**2 + 64 * 3**2) + 320 * 4 * 13**2), 2 * 224 * 5 * 21**2
_FEWEST = 8_500 + 39_700 + 22_300, 21_800


def print_ceilings(brain: np.ndarray, threads: int) -> None:
    """Print rates of this machine and the least times of a TwoPathCNN on a volume's brain boxes."""
    torch.set_num_threads(threads)
    product, convolution, transform, copied = (
        work / _least_seconds(run)
        for work, run in (_matrix_product(), _convolution(), _transform(), _copy())
    )
    print(f"\nmachine, {threads} threads: matrix product {product / 1e9:.0f}, convolution")
    print(
        f"{convolution / 1e9:.0f}, FFT {transform / 1e9:.0f} GFLOP/s; "
        f"{copied / 2**30:.0f} GiB/s copied"
    )
    boxes = [brain_box(mask) for mask in brain if mask.any()]
    sizes = np.array([[axis.stop - axis.start for axis in box] for box in boxes])
    pixels = [(sizes + grown).prod(axis=1).sum() for grown in (20, 0)]  # maps, output
    direct, fewest = (
        float(np.dot(pixels, operations)) / max(product, convolution)
        for operations in (_DIRECT, _FEWEST)
    )
    print("floors of TwoPathCNN on the brain boxes, at the faster of the first two rates:")
    print(f"direct {direct:.1f} s, with the fewest operations (FFT and Winograd) {fewest:.1f} s")


def _matrix_product() -> tuple[float, Callable]:
    square = torch.randn(2048, 2048)
    return 2 * 2048**3, lambda: square @ square


def _convolution() -> tuple[float, Callable]:
    x = torch.randn(1, 64, 258, 258).to(memory_format=torch.channels_last)
    layer = nn.Conv2d(64, 128, 3).to(memory_format=torch.channels_last).requires_grad_(False)
    return 2 * 256**2 * 128 * 64 * 9, lambda: layer(x)


def _transform() -> tuple[float, Callable]:
    planes = torch.randn(64, 200, 180, dtype=torch.complex64)
    return 5 * planes.numel() * np.log2(200 * 180), lambda: torch.fft.fft2(planes)


def _copy() -> tuple[float, Callable]:
    source, target = torch.zeros(2, 2**28, dtype=torch.uint8)
    return source.numel(), lambda: target.copy_(source)


def _least_seconds(work: Callable) -> float:
    work()
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
