"""A volume, slice by slice: who computes what, in which form, and where the results go."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import reduce
from itertools import count, pairwise

import numpy as np
import torch
from torch import nn

from scripted_models.errors import Cancelled, ModelError
from scripted_models.inference.boxes import (
    SliceGroup,
    brain_box,
    group_slices,
    padded_window,
    slab,
)
from scripted_models.inference.devices import GpuMemoryError, without_tf32
from scripted_models.inference.folding import with_folded_norms
from scripted_models.inference.spectral import SpectralNetwork, has_large_convolutions
from scripted_models.networks.probabilities import class_probabilities
from scripted_models.networks.slice_network import PLANES, SliceNetwork, VolumeNetwork

FORMS = ("direct", "spectral", "windows")
MOST_WORKERS = 4  # a slice takes about 150 MB; further threads work inside the layers
# Cost of a box size, in slices: spectra of the weights, and workers that wait for the last slice.
_OVERHEAD = 1.3
_GPU_BATCH = 8  # slices
# Slices of 10 rows across a thin volume make its result worse (mean Dice of ET 0.58 in place of
# 0.73 on three BraTS cases), those of 20 rows better.
LEAST_SIDE = 16

Box = tuple[slice, slice]  # rows and columns
SliceResult = tuple[int, Box, np.ndarray]  # index, box, float32 (classes, rows, columns)


def choose_form(network: nn.Module) -> str:
    """Return how a network is evaluated.

    A network of volumes sees 'windows'. One of slices is 'spectral' if it has large convolutions
    and runs on the CPU, else 'direct'.
    """
    if isinstance(network, VolumeNetwork):
        return "windows"
    spectral = _on_cpu(network) and has_large_convolutions(network)
    return "spectral" if spectral else "direct"


def predict_volume(
    network: SliceNetwork,
    image: np.ndarray,
    brain: np.ndarray,
    on_slice: Callable[[float], None] = lambda fraction: None,
    cancelled: Callable[[], bool] = lambda: False,
    form: str | None = None,
    workers: int = MOST_WORKERS,
    half: bool = False,
) -> np.ndarray:
    """Compute class probabilities of a volume, slice by slice; the mean over the network's planes.

    Of each plane every `slice_step`-th slice is computed, and the last one; the probabilities of
    those between are interpolated. With three planes that costs little accuracy (see
    benchmarks/shipped_models), because a voxel lies in a computed slice of one of them mostly.

    In a thin volume those planes are left out whose slices would have fewer than `LEAST_SIDE` rows
    or columns, and of the others every slice is computed.

    On the CPU as many threads work as `torch.get_num_threads()` says, on up to four slices at a
    time. While they do, the number that PyTorch uses inside one layer is smaller; it is set back
    in the end.

    Args:
        network: in evaluation mode, used on its own device.
        image: preprocessed, float32 (C, z, y, x), 0 outside the brain.
        brain: bool (z, y, x); slices without brain are skipped.
        on_slice: called with the fraction of slices done.
        cancelled: asked between slices.
        form: 'direct' or 'spectral'; by default what `choose_form` says.
        workers: slices at a time on the CPU, at most.
        half: let the layers compute in float16 where PyTorch's autocast does, in the form 'direct'
            only. It takes about half the memory of the maps, and a few labels change.

    Returns:
        float32 (classes, z, y, x); background 1 outside the brain, of which networks learn nothing.

    Raises:
        Cancelled: `cancelled` returned true.
        GpuMemoryError: the GPU ran out of memory, or half precision gives no numbers.
        ModelError: the network gives NaN or infinite values.
    """
    axes = _axes(network.planes, brain.shape)
    form = form or choose_form(network)
    step = network.slice_step if len(axes) == len(network.planes) else 1
    computed = {axis: _computed_slices(np.moveaxis(brain, axis, 0), step) for axis in axes}
    counts = [len(slices) for slices in computed.values()]
    done = count(1)

    def along(axis: int, pool: ThreadPoolExecutor) -> np.ndarray:
        moved = np.ascontiguousarray(np.moveaxis(image, axis + 1, 1))
        predictor = Predictor(network, moved, np.moveaxis(brain, axis, 0), form, half)
        probabilities = np.zeros((network.num_classes, *predictor.brain.shape), np.float32)
        probabilities[0] = 1.0
        for z, (rows, columns), values in predictor.slices(computed[axis], pool, cancelled):
            probabilities[:, z, rows, columns] = values
            on_slice(next(done) / sum(counts))
        _interpolate_between(probabilities, computed[axis])
        return np.moveaxis(probabilities, 1, axis + 1)

    with _workers(_on_cpu(network), min(workers, max(counts))) as pool, without_tf32():
        total = reduce(np.add, (along(axis, pool) for axis in axes))
    mean = total if len(axes) == 1 else total / np.float32(len(axes))
    mean[:, ~brain] = np.eye(len(mean), 1, dtype=np.float32)
    return mean


def predict_slice(
    network: SliceNetwork, image: np.ndarray, brain: np.ndarray, z: int
) -> tuple[slice, slice, np.ndarray]:
    """Compute class probabilities of one axial slice in its brain box, with the network as it is.

    Args:
        network: as for `predict_volume`; set to evaluation mode by the caller.
        image, brain: as for `predict_volume`.
        z: index of a slice that holds brain.

    Returns:
        Row and column slices of the box, and float32 (classes, rows, columns).
    """
    predictor = Predictor(network, image, brain, "direct")
    rows, columns = predictor.box(z)
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    with without_tf32():
        ((_, _, values),) = predictor.predict((z,), shape)
    return rows, columns, values


class Predictor:
    """Computes slices of one volume with one network in one form.

    Args:
        network, form, half: as for `predict_volume`.
        image, brain: as for `predict_volume`; the slices go along the first axis of (z, y, x).
    """

    def __init__(
        self,
        network: SliceNetwork,
        image: np.ndarray,
        brain: np.ndarray,
        form: str,
        half: bool = False,
    ) -> None:
        wrap = SpectralNetwork if form == "spectral" else with_folded_norms
        self.network: nn.Module = wrap(network)
        self.device = next(network.parameters()).device
        self.margins, self.context = network.margins, network.context_slices
        self.whole = network.pads
        self.image, self.brain, self.half = image, brain, half

    def box(self, z: int) -> Box:
        """Return the rows and columns of a slice that are computed."""
        if self.whole:
            rows, columns = self.brain.shape[1:]
            return slice(0, rows), slice(0, columns)
        return brain_box(self.brain[z])

    def groups(self, slices: Sequence[int]) -> list[SliceGroup]:
        """Group slices that hold brain by the size of their box."""
        if not self.whole:
            chosen = np.zeros_like(self.brain)
            chosen[list(slices)] = self.brain[list(slices)]
            return group_slices(chosen, sum(self.margins), _OVERHEAD)
        rows, columns = self.brain.shape[1:]
        return [SliceGroup(tuple(slices), (rows, columns))]

    def slices(
        self, indices: Sequence[int], pool: ThreadPoolExecutor, cancelled: Callable[[], bool]
    ) -> Iterator[SliceResult]:
        """Yield index, box and probabilities of slices that hold brain, in any order.

        Raises:
            Cancelled: `cancelled` returned true.
        """
        size = 1 if self.device.type == "cpu" else _GPU_BATCH
        for group in self.groups(indices):
            self._stop_if(cancelled)
            if isinstance(self.network, SpectralNetwork):
                rows, columns = (n + sum(self.margins) for n in group.shape)
                self.network.prepare(rows, columns, pool)
            batches = (group.slices[i : i + size] for i in range(0, len(group.slices), size))
            jobs = [pool.submit(self.predict, batch, group.shape) for batch in batches]
            for job in as_completed(jobs):
                yield from job.result()
                self._stop_if(cancelled)

    @staticmethod
    def _stop_if(cancelled: Callable[[], bool]) -> None:
        if cancelled():
            raise Cancelled()

    def predict(self, slices: Sequence[int], shape: tuple[int, int]) -> list[SliceResult]:
        """Compute slices whose boxes fit into `shape` together, in parts if memory is short.

        Returns:
            Index, (row slice, column slice) and float32 (classes, rows, columns) of each.
        """
        boxes = [self.box(z) for z in slices]
        windows = [self._window(z, box, shape) for z, box in zip(slices, boxes, strict=True)]
        values = self._probabilities(np.stack(windows))
        if values is None:
            half = len(slices) // 2
            return [*self.predict(slices[:half], shape), *self.predict(slices[half:], shape)]
        return [
            (z, box, value[:, : box[0].stop - box[0].start, : box[1].stop - box[1].start])
            for z, box, value in zip(slices, boxes, values, strict=True)
        ]

    def _window(self, z: int, box: Box, shape: tuple[int, int]) -> np.ndarray:
        """Return the input (C, H, W) for a box that is grown to `shape`."""
        rows, columns = (slice(a.start, a.start + n) for a, n in zip(box, shape, strict=True))
        return padded_window(slab(self.image, z, self.context), rows, columns, self.margins)

    def _probabilities(self, windows: np.ndarray) -> np.ndarray | None:
        """Map (N, C, H, W) to (N, classes, H', W'); None if the GPU has no room for them all."""
        try:
            autocast = torch.autocast(self.device.type, torch.float16, enabled=self.half)
            with torch.inference_mode(), autocast:
                logits = self.network(torch.from_numpy(windows).to(self.device))
                return class_probabilities(logits).float().cpu().numpy()
        except torch.cuda.OutOfMemoryError as error:
            if len(windows) == 1:
                raise GpuMemoryError from error
        except ModelError as error:
            if self.half:  # the numbers are beyond float16, so it is no way out
                raise GpuMemoryError from error
            raise
        return None


def _computed_slices(brain: np.ndarray, step: int) -> list[int]:
    """Return every `step`-th slice that holds brain, and the last one."""
    occupied = [int(z) for z in np.flatnonzero(brain.any(axis=(1, 2)))]
    return sorted({*occupied[::step], *occupied[-1:]})


def _interpolate_between(probabilities: np.ndarray, computed: Sequence[int]) -> None:
    """Fill the slices between computed ones, in place; (classes, z, y, x)."""
    for before, after in pairwise(computed):
        for z in range(before + 1, after):
            share = np.float32((z - before) / (after - before))
            probabilities[:, z] = probabilities[:, before] * (1 - share)
            probabilities[:, z] += probabilities[:, after] * share


def _axes(planes: Sequence[str], shape: tuple[int, ...]) -> list[int]:
    """Return the axes along which a volume is cut; planes with narrow images are left out."""
    narrow = {PLANES.index(p): min(np.delete(shape, PLANES.index(p))) for p in planes}
    least = min(LEAST_SIDE, max(narrow.values()))
    return [axis for axis, side in narrow.items() if side >= least]


def _on_cpu(network: nn.Module) -> bool:
    return next(network.parameters()).device.type == "cpu"


@contextmanager
def _workers(on_cpu: bool, most: int) -> Iterator[ThreadPoolExecutor]:
    """Share the threads that PyTorch may use between workers; nothing of it is left afterwards."""
    threads = torch.get_num_threads()
    workers = min(threads, MOST_WORKERS, max(most, 1)) if on_cpu else 1
    torch.set_num_threads(threads // workers)  # before the workers start, which take it over
    pool = ThreadPoolExecutor(workers, thread_name_prefix="slices")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
