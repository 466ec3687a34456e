"""Sums over all pixels, weighted with a Gaussian of position and intensity: the CRF's messages.

Every filter is made for one image and maps (N, C), the values of its pixels in C order, to (N, C).
"""

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from scripted_models.networks.crf.permutohedral import PermutohedralLattice

Filter = Callable[[torch.Tensor], torch.Tensor]

EXACT_LIMIT = 4096  # pixels; the matrix of all pairs takes 8 N^2 bytes in double precision
REACH = 4.0  # standard deviations where the separable Gaussian is cut off


def exact_filter(positions: torch.Tensor, image: torch.Tensor, window: int) -> Filter:
    """Return the filter by the matrix of all pairs of pixels; for small images and for tests.

    Args:
        positions: (d, *S), coordinates in standard deviations.
        image: (F, *S), intensities in standard deviations.
        window: unused.

    Raises:
        ValueError: more than `EXACT_LIMIT` pixels.
    """
    features = torch.cat([positions, image]).flatten(1).T
    if len(features) > EXACT_LIMIT:
        raise ValueError(
            f"{len(features)} pixels, expected at most {EXACT_LIMIT} for the exact filter; "
            "use 'permutohedral'"
        )
    difference = features[:, None] - features[None]
    kernel = torch.exp(-difference.square().sum(dim=2) / 2)
    return lambda values: kernel.to(values.dtype) @ values


def permutohedral_filter(positions: torch.Tensor, image: torch.Tensor, window: int) -> Filter:
    """Return the filter on the permutohedral lattice; arguments as for `exact_filter`."""
    return PermutohedralLattice(torch.cat([positions, image]).flatten(1).T).filter


def window_filter(positions: torch.Tensor, image: torch.Tensor, window: int) -> Filter:
    """Return the filter over a window of neighbors, a kernel that is cut off.

    Source: Teichmann & Cipolla 2019, "Convolutional CRFs for semantic segmentation", BMVC,
    section 4.

    Args:
        positions, image: as for `exact_filter`.
        window: how many pixels it reaches along every axis.
    """
    features, shape = torch.cat([positions, image]), image.shape[1:]
    steps = itertools.product(*(range(-min(window, n - 1), min(window, n - 1) + 1) for n in shape))
    weighted = []
    for step in steps:
        here, there = _overlap(step, shape)
        difference = features[here] - features[there]
        weights = torch.exp(-difference.square().sum(dim=0) / 2)
        weighted.append((here, there, weights))

    def apply(values: torch.Tensor) -> torch.Tensor:
        grid = values.T.reshape(-1, *shape)
        total = torch.zeros_like(grid)
        for here, there, weights in weighted:
            total[here] += weights.to(grid.dtype) * grid[there]
        return total.flatten(1).T

    return apply


FILTERS: dict[str, Callable[[torch.Tensor, torch.Tensor, int], Filter]] = {
    "exact": exact_filter,
    "permutohedral": permutohedral_filter,
    "window": window_filter,
}


def gaussian_filter(
    shape: Sequence[int], deviations: Sequence[float], device: torch.device
) -> Filter:
    """Return the filter of positions alone, one axis after the other.

    It is exact up to `REACH` deviations.

    Args:
        shape: of the image.
        deviations: of the Gaussian along each axis, in pixels.
        device: of the values.
    """
    kernels = []
    for deviation in deviations:
        reach = math.ceil(REACH * deviation)
        distance = torch.arange(-reach, reach + 1, dtype=torch.float64, device=device)
        kernels.append(torch.exp(-(distance / deviation).square() / 2).view(1, 1, -1))

    def apply(values: torch.Tensor) -> torch.Tensor:
        grid = values.T.reshape(-1, *shape)
        for axis, kernel in enumerate(kernels, start=1):
            lines = grid.movedim(axis, -1)
            filtered = F.conv1d(
                lines.reshape(-1, 1, lines.shape[-1]),
                kernel.to(values.dtype),
                padding=kernel.shape[-1] // 2,
            )
            grid = filtered.view(lines.shape).movedim(-1, axis)
        return grid.flatten(1).T

    return apply


NORMALIZATIONS = ("symmetric", "after")


def normalized(plain: Filter, like: torch.Tensor, normalization: str = "symmetric") -> Filter:
    """Return a filter divided by what it makes of ones.

    Source: Krahenbuhl & Koltun 2013, "Parameter learning and convergent inference for dense random
    fields", ICML, section 4.

    Args:
        plain: filter.
        like: (N, C), values as it will filter them.
        normalization: 'symmetric' divides by the square root before and after the filter, 'after'
            once after it, as the release of Zheng et al. does.
    """
    with torch.no_grad():
        ones = plain(like.new_ones((len(like), 1))).clamp_min(1e-12)
        scale = ones.rsqrt() if normalization == "symmetric" else ones.reciprocal()
    if normalization == "after":
        return lambda values: scale * plain(values)
    return lambda values: scale * plain(scale * values)


def _overlap(
    step: Sequence[int], shape: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the pixels that have a neighbor one step away, and those neighbors, of all maps."""
    here = tuple(slice(max(-s, 0), n - max(s, 0)) for s, n in zip(step, shape, strict=True))
    there = tuple(slice(max(s, 0), n - max(-s, 0)) for s, n in zip(step, shape, strict=True))
    return (slice(None), *here), (slice(None), *there)
