"""Sampling of training patches and of the pixels that enter the loss.

A patch with many output pixels gives all their labels for little more arithmetic than one with a
single label. So a step takes patches from several cases and evaluates the loss at a sample of their
pixels. Phase 1 draws the labels equally often, over cases as well as over voxels; phase 2 draws
them as they occur in the brain (Havaei et al. 2017, "Two-phase training"). With an output of one
pixel a patch is that of the paper.

Every patch has a random generator of its own, made from (seed, phase, epoch, step, place in the
batch). Which process or loader draws it, and how many there are, therefore changes nothing.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from scripted_models.inference import slab
from scripted_models.networks.slice_network import PLANES, SegmentationNetwork, SliceNetwork
from scripted_models.training.augmentation import build_augmentation
from scripted_models.training.experiment_config import TrainingConfig
from scripted_models.training.training_case import IGNORED, TrainingCase

Patch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # image, chosen pixels, their targets


def label_frequencies(cases: list[TrainingCase], healthy_share: float = 0.0) -> torch.Tensor:
    """Return the shares of the labels where there is truth, float32 (classes,).

    Voxels of MERGED_CORE are split like labels 1 and 3 of the cases that tell them apart. A label
    that is nowhere counts as one voxel. With a `healthy_share` label 0 has this share and the
    others keep their ratios.
    """
    total = np.sum([np.asarray(case.counts, np.float64) for case in cases], axis=0)
    merged, counts = total[-1], total[:-1]
    if merged:
        known = counts[1] + counts[3]
        share = counts[1] / known if known else 1.0
        counts[1] += merged * share
        counts[3] += merged * (1.0 - share)
    counts = np.maximum(counts, 1.0)
    if healthy_share:
        counts[0] = counts[1:].sum() * healthy_share / (1.0 - healthy_share)
    return torch.tensor(counts / counts.sum(), dtype=torch.float32)


class PatchSampler:
    """Draws patches with the pixels of them that enter the loss.

    Args:
        cases: training cases.
        settings: see `TrainingConfig`: seed, output_size, pixels_per_patch, balance, balance_cases,
            healthy_share, augmentation.
        network: its margins, context slices and planes decide what a patch is; of a network of
            volumes it is a cube.
    """

    def __init__(
        self, cases: list[TrainingCase], settings: TrainingConfig, network: SegmentationNetwork
    ):
        self.cases, self.settings = cases, settings
        self.margins, self.context, self.axes = network.margins, 0, [0]
        self._cut = self._cut_volume
        if isinstance(network, SliceNetwork):
            self.context, self._cut = network.context_slices, self._cut_slice
            self.axes = [PLANES.index(plane) for plane in network.planes]
        self.sizes = np.array([case.sizes for case in cases], np.int64)  # (cases, labels)
        self.labels: list[int] = np.flatnonzero(self.sizes.any(axis=0)).tolist()
        steps = settings.augmentation
        self._augment = build_augmentation(steps, network.in_channels, network.dimensions)

    def patch(self, *place: int) -> Patch:
        """Draw one patch.

        Args:
            place: phase, epoch, step, and index in the batch of all processes.

        Returns:
            Image float32 (input channels, H, W) with the network's margins, or (channels, D, H, W);
            flat indices of the
            chosen output pixels, int64 (P,); their targets, int64 (P,).
        """
        rng = np.random.default_rng([self.settings.seed, *place])
        balanced = place[0] == 1 and self.settings.balance != "none"
        case, voxel = self._draw(balanced, rng)
        image, target, drawn = self._cut(self.cases[case], voxel, rng)
        image, target = self._augment(image, target, int(rng.integers(2**31)))
        only = drawn if balanced and self.settings.balance == "labels" else None
        share = 0.0 if balanced else self.settings.healthy_share
        chosen = choose_pixels(target, self.settings.pixels_per_patch, rng, only, share)
        widest, (low, high) = max(self.margins), self.margins
        first, last = widest - low, image.shape[-1] - (widest - high)
        inside = (slice(None), *(slice(first, last),) * target.ndim)
        window = np.ascontiguousarray(image[inside], np.float32)
        targets = np.asarray(target).reshape(-1)[chosen].astype(np.int64)
        return torch.from_numpy(window), torch.from_numpy(chosen), torch.from_numpy(targets)

    def _draw(self, balanced: bool, rng: np.random.Generator) -> tuple[int, int]:
        """Draw a case and the flat index of one of its voxels."""
        wanted = self._labels(balanced, rng)
        weights = self.sizes[:, wanted].sum(axis=1)
        if self.settings.balance_cases:
            weights = weights > 0
        case = int(rng.choice(len(self.cases), p=weights / weights.sum()))
        sizes = self.sizes[case, wanted]
        ends = np.cumsum(sizes)
        index = int(rng.integers(ends[-1]))
        part = int(np.searchsorted(ends, index, side="right"))
        voxels = self.cases[case].voxels_of(wanted[part])
        return case, int(voxels[index - (ends[part] - sizes[part])])

    def _labels(self, balanced: bool, rng: np.random.Generator) -> list[int]:
        """Return the labels of which a voxel is drawn."""
        if balanced:
            return [self.labels[rng.integers(len(self.labels))]]
        share, tumor = self.settings.healthy_share, [k for k in self.labels if k]
        if share and 0 in self.labels and tumor:
            return [0] if rng.random() < share else tumor
        return self.labels

    def _cut_slice(
        self, case: TrainingCase, voxel: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Cut a patch whose output holds the voxel at a random place.

        Also return the voxel's target. The image has the wider of the network's margins on all
        sides, so that it may be mirrored.
        """
        size, margin = self.settings.output_size, max(self.margins)
        axis = self.axes[rng.integers(len(self.axes)) if len(self.axes) > 1 else 0]
        place = np.unravel_index(voxel, case.target.shape)
        image, target = np.moveaxis(case.image, axis + 1, 1), np.moveaxis(case.target, axis, 0)
        z, y, x = (int(place[axis]), *(int(v) for i, v in enumerate(place) if i != axis))
        top, left = (
            self._start(*where, rng) for where in zip((y, x), target.shape[1:], strict=True)
        )
        plane = slab(image, z, self.context)
        window = _window(plane, (top - margin, left - margin), size + 2 * margin, 0.0)
        return window, _window(target[z], (top, left), size, IGNORED), int(target[z, y, x])

    def _cut_volume(
        self, case: TrainingCase, voxel: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Cut a cube that holds the voxel at a random place, see `_cut_slice`."""
        size, shape = self.settings.output_size, case.target.shape
        place = tuple(int(v) for v in np.unravel_index(voxel, shape))
        starts = [self._start(*where, rng) for where in zip(place, shape, strict=True)]
        window = _window(case.image, starts, size, 0.0)
        return window, _window(case.target, starts, size, IGNORED), int(case.target[place])

    def _start(self, place: int, length: int, rng: np.random.Generator) -> int:
        """Draw the first pixel of a patch along an axis of a length, so that it holds a place."""
        size = self.settings.output_size
        low, high = place - size + 1, place
        if self.settings.patches == "inside":  # or, of a smaller image, around all of it
            low, high = max(low, min(0, length - size)), min(high, max(0, length - size))
        return high - int(rng.integers(high - low + 1))


def _window(image: np.ndarray, starts: Sequence[int], size: int, fill: float) -> np.ndarray:
    """Cut a square or a cube from the last axes; what lies outside of the image is `fill`."""
    axes = len(starts)
    out = np.full((*image.shape[:-axes], *(size,) * axes), fill, image.dtype)
    seen = [
        (max(start, 0), min(start + size, length))
        for start, length in zip(starts, image.shape[-axes:], strict=True)
    ]
    if all(low < high for low, high in seen):
        place = [slice(a - start, b - start) for (a, b), start in zip(seen, starts, strict=True)]
        into: tuple[Any, ...] = (..., *place)
        taken: tuple[Any, ...] = (..., *(slice(low, high) for low, high in seen))
        out[into] = image[taken]
    return out


def choose_pixels(
    target: np.ndarray,
    count: int,
    rng: np.random.Generator,
    only: int | None = None,
    healthy_share: float = 0.0,
) -> np.ndarray:
    """Choose the pixels of a patch that enter the loss.

    Args:
        target: (h, w) or (d, h, w) with labels, MERGED_CORE or IGNORED.
        count: pixels wanted, drawn with replacement, so that every patch has the same weight; 0:
            all.
        rng: source of all randomness.
        only: the one target to choose, as with the paper's patches; None takes all.
        healthy_share: share of healthy pixels where there are others too; 0 takes pixels as they
            occur.

    Returns:
        Flat indices, int64 (count,); for a count of 0 all in order. Where an augmentation moved all
        wanted pixels out of the patch, they are IGNORED ones, which weigh nothing in the loss.
    """
    flat = np.asarray(target).reshape(-1)
    if not count:
        return np.arange(flat.size)
    wanted = np.flatnonzero(flat == only if only is not None else flat != IGNORED)
    if healthy_share:
        healthy = flat[wanted] == 0
        groups = [wanted[healthy], wanted[~healthy]]
        if all(group.size for group in groups):
            from_healthy = rng.random(count) < healthy_share
            picks = [group[rng.integers(group.size, size=count)] for group in groups]
            return np.where(from_healthy, *picks)
    if not wanted.size:
        wanted = np.flatnonzero(flat == IGNORED)
    return wanted[rng.integers(wanted.size, size=count)]


class EpochPatches(Dataset[Patch]):
    """The patches that one process sees in one epoch, in order.

    Args:
        sampler: where they come from.
        phase, epoch: which epoch.
        steps: steps of the epoch.
        rank, processes: this process and the number of all; process r has the patches r *
            batch_size to (r + 1) * batch_size of each step's batch.
    """

    def __init__(
        self, sampler: PatchSampler, phase: int, epoch: int, steps: int, rank: int, processes: int
    ):
        self.sampler, self.phase, self.epoch, self.steps = sampler, phase, epoch, steps
        self.rank, self.processes = rank, processes

    def __len__(self) -> int:
        return self.steps * self.sampler.settings.batch_size

    def __getitem__(self, index: int) -> Patch:
        """Return patch `index`, see `PatchSampler.patch`."""
        size = self.sampler.settings.batch_size
        step, place = divmod(index, size)
        return self.sampler.patch(self.phase, self.epoch, step, self.rank * size + place)
