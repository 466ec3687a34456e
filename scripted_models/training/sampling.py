"""Sampling of training crops and of the pixels that enter the loss.

A dense crop gives the labels of all its output pixels for little more arithmetic than one patch, so a
step takes crops from several cases and evaluates the loss at a sample of their pixels. Phase 1 draws
the five labels equally often, over cases as well as over voxels; phase 2 draws them as they occur in the
brain (Havaei et al. 2017, section 4.2).
"""

from dataclasses import dataclass

import numpy as np
import torch

from scripted_models.labels import NUM_CLASSES

IGNORED = 255  # outside the brain
MERGED_CORE = NUM_CLASSES  # truth says "necrosis or non-enhancing" (BraTS 2017 and later)


@dataclass(frozen=True)
class TrainingCase:
    """One preprocessed case.

    Attributes:
        name: case name.
        image: float32 (C, z, y, x).
        target: uint8 (z, y, x): 0-4, MERGED_CORE, or IGNORED.
    """

    name: str
    image: np.ndarray
    target: np.ndarray


def make_target(labels: np.ndarray, brain: np.ndarray, merged_necrosis: bool) -> np.ndarray:
    """Return the training target of an internal label map (z, y, x)."""
    target = labels.astype(np.uint8).copy()
    if merged_necrosis:
        target[labels == 1] = MERGED_CORE
    target[~brain & (labels == 0)] = IGNORED
    return target


def label_frequencies(cases: list[TrainingCase], healthy_share: float = 0.0) -> torch.Tensor:
    """Return the shares of the five labels inside the brains, float32 (5,).

    Voxels of MERGED_CORE are split like labels 1 and 3 of the cases that tell them apart.
    With a `healthy_share` label 0 has this share and the others keep their ratios.
    """
    counts = sum(np.bincount(c.target.ravel(), minlength=256)[: NUM_CLASSES + 1] for c in cases)
    counts = counts.astype(np.float64)
    merged, counts = counts[MERGED_CORE], counts[:NUM_CLASSES]
    known = counts[1] + counts[3]
    counts[1] += merged * (counts[1] / known if known else 1.0)
    counts[3] += merged * (counts[3] / known if known else 0.0)
    counts = np.maximum(counts, 1.0)
    if healthy_share:
        counts[0] = counts[1:].sum() * healthy_share / (1.0 - healthy_share)
    return torch.tensor(counts / counts.sum(), dtype=torch.float32)


class CropSampler:
    """Draws batches of crops with their targets.

    Args:
        cases: preprocessed training cases.
        output_size: edge of the crop's output in pixels.
        margins: voxels that the network needs before and after the output.
        balance: what a crop of phase 1 gives to the loss besides the label it was drawn for. 'labels':
            nothing, so that labels are equally frequent and spread as in the brain, as with the paper's
            patches. 'crops': all its pixels, so that the shares around a tumour's edge stay as they are.
        healthy_share: share of crops of phase 2 that are drawn around healthy voxels; 0 leaves it to
            the frequencies in the brain.
    """

    def __init__(
        self,
        cases: list[TrainingCase],
        output_size: int,
        margins: tuple[int, int],
        balance: str = "labels",
        healthy_share: float = 0.0,
    ):
        self.cases, self.output_size, self.margins = cases, output_size, margins
        self.balance, self.healthy_share = balance, healthy_share
        self._voxels = [self._index(case) for case in cases]
        self._with_label = {
            label: [i for i, index in enumerate(self._voxels) if index[label].size]
            for label in range(NUM_CLASSES)
        }
        self.labels = [label for label, having in self._with_label.items() if having]

    @staticmethod
    def _index(case: TrainingCase) -> dict[int, np.ndarray]:
        flat = case.target.ravel()
        index = {label: np.flatnonzero(flat == label) for label in (0, 2, 3, 4)}
        index[1] = np.flatnonzero((flat == 1) | (flat == MERGED_CORE))
        return {label: voxels.astype(np.int32) for label, voxels in index.items()}

    def batch(
        self, size: int, balanced: bool, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw crops.

        Args:
            size: crops in the batch.
            balanced: labels equally often (phase 1), or any brain voxel of any case (phase 2).
            rng: source of all randomness.

        Returns:
            Images (N, C, H, W) float32 and targets (N, output_size, output_size) int64.
        """
        crops = [self._crop(*self._draw(balanced, rng), rng) for _ in range(size)]
        images, targets, drawn = zip(*crops, strict=True)
        if balanced and self.balance == "labels":
            targets = [np.where(t == d, t, IGNORED) for t, d in zip(targets, drawn, strict=True)]
        return torch.from_numpy(np.stack(images)), torch.from_numpy(
            np.stack(targets).astype(np.int64)
        )

    def _draw(self, balanced: bool, rng: np.random.Generator) -> tuple[int, int]:
        if balanced:
            label = self.labels[rng.integers(len(self.labels))]
            having = self._with_label[label]
            case = having[rng.integers(len(having))]
            return case, _pick([self._voxels[case][label]], rng)
        case = int(rng.integers(len(self.cases)))
        voxels = list(self._voxels[case].values())
        healthy, tumour = self._voxels[case][0], [v for k, v in self._voxels[case].items() if k]
        if self.healthy_share and healthy.size and any(v.size for v in tumour):
            voxels = [healthy] if rng.random() < self.healthy_share else tumour
        return case, _pick(voxels, rng)

    def _crop(
        self, case: int, voxel: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Cut a crop whose output holds the voxel at a random place; also return the voxel's target."""
        source = self.cases[case]
        z, y, x = np.unravel_index(voxel, source.target.shape)
        top, left = (int(v) - int(rng.integers(self.output_size)) for v in (y, x))
        low, high = self.margins
        end = self.output_size
        image = _window(source.image[:, z], top - low, left - low, end + low + high, 0.0)
        target = _window(source.target[z], top, left, end, IGNORED)
        return image, target, int(source.target[z, y, x])


def _pick(groups: list[np.ndarray], rng: np.random.Generator) -> int:
    """Draw one element of several arrays, all elements being equally likely."""
    ends = np.cumsum([group.size for group in groups])
    index = int(rng.integers(ends[-1]))
    part = int(np.searchsorted(ends, index, side="right"))
    return int(groups[part][index - (ends[part - 1] if part else 0)])


def _window(plane: np.ndarray, top: int, left: int, size: int, fill: float) -> np.ndarray:
    """Cut a square window from (..., H, W); what lies outside the plane is `fill`."""
    out = np.full((*plane.shape[:-2], size, size), fill, plane.dtype)
    height, width = plane.shape[-2:]
    y0, y1, x0, x1 = max(top, 0), min(top + size, height), max(left, 0), min(left + size, width)
    if y0 < y1 and x0 < x1:
        out[..., y0 - top : y1 - top, x0 - left : x1 - left] = plane[..., y0:y1, x0:x1]
    return out


def sample_pixels(
    target: torch.Tensor,
    count: int,
    balanced: bool,
    rng: np.random.Generator,
    healthy_share: float = 0.0,
) -> torch.Tensor:
    """Choose the pixels of a batch that enter the loss.

    Args:
        target: (N, H, W) int64 as `CropSampler.batch` returns it.
        count: pixels wanted; drawn with replacement.
        balanced: an equal number for each label present (phase 1).
        rng: source of all randomness.
        healthy_share: in phase 2, the share of healthy pixels; 0 takes pixels as they occur.

    Returns:
        Flat indices into the batch, int64.
    """
    flat = target.reshape(-1).numpy()
    if balanced:
        merged = np.where(flat == MERGED_CORE, 1, flat)
        groups = [np.flatnonzero(merged == label) for label in range(NUM_CLASSES)]
        shares = [1.0] * NUM_CLASSES
    elif healthy_share:
        groups = [np.flatnonzero(flat == 0), np.flatnonzero((flat != 0) & (flat != IGNORED))]
        shares = [healthy_share, 1.0 - healthy_share]
    else:
        groups, shares = [np.flatnonzero(flat != IGNORED)], [1.0]
    present = [(group, share) for group, share in zip(groups, shares, strict=True) if group.size]
    total = sum(share for _, share in present)
    chosen = [
        group[rng.integers(group.size, size=max(1, round(count * share / total)))]
        for group, share in present
    ]
    return torch.from_numpy(np.concatenate(chosen))
