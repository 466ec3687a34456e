"""Gaussian filtering in many dimensions on the permutohedral lattice, in plain PyTorch.

Source: Adams, Baek & Davis 2010, "Fast high-dimensional filtering using the permutohedral lattice",
Computer Graphics Forum 29, section 3. Vertices of the lattice are found by sorting hashes instead
of a hash table, and every stage is a gather, so it runs on CPUs and GPUs.
"""

import math
from typing import Any

import torch
from torch.nn import functional as F

_CHUNK = 1 << 17  # points whose simplices are found at a time, to bound the memory


class PermutohedralLattice:
    """The lattice of one set of points.

    Attributes:
        size: vertices of the simplices that hold points.

    Args:
        features: float (N, d), coordinates in standard deviations of the Gaussian.
    """

    def __init__(self, features: torch.Tensor):
        with torch.no_grad():
            corners = features.shape[1] + 1
            multipliers = _multipliers(corners - 1, features.device)
            found = [_simplices(part, multipliers) for part in features.split(_CHUNK)]
            barycentric = torch.cat([weights for _, weights in found])
            of_corners = torch.cat([hashes for hashes, _ in found])
            hashes, vertex = torch.unique(of_corners, return_inverse=True)
            self.size = len(hashes)
            self._vertices, self._weights = vertex, barycentric  # of each point, both (N, d + 1)
            order = vertex.flatten().argsort(stable=True)
            self._points = order // corners  # sorted by vertex, (N * (d + 1),)
            self._point_weights = barycentric.flatten()[order]
            numbers = torch.bincount(vertex.flatten(), minlength=self.size)
            self._starts = numbers.cumsum(0) - numbers
            self._neighbors = _neighbors(hashes, multipliers)

    def filter(self, values: torch.Tensor) -> torch.Tensor:
        """Return for every point the sum of all values weighted with exp(-|distance|^2 / 2).

        Differentiable in the values. The result is an approximation, its operator not quite
        symmetric.

        Args:
            values: (N, C), floats.

        Returns:
            (N, C)
        """
        sums: torch.Tensor = _Filter.apply(values, self)
        return sums

    def splat_blur_slice(self, values: torch.Tensor, backwards: bool = False) -> torch.Tensor:
        """As `filter` without gradients; `backwards` is the transposed operator."""
        weights = self._weights.to(values.dtype)
        vertices = F.embedding_bag(
            self._points,
            values,
            self._starts,
            mode="sum",
            per_sample_weights=self._point_weights.to(values.dtype),
        )
        outside = vertices.new_zeros((1, vertices.shape[1]))
        for pair in self._neighbors[::-1] if backwards else self._neighbors:
            padded = torch.cat([vertices, outside])
            vertices = 0.5 * vertices + 0.25 * (padded[pair[0]] + padded[pair[1]])
        result = F.embedding_bag(self._vertices, vertices, mode="sum", per_sample_weights=weights)
        return result * _gain(weights.shape[1] - 1)


class _Filter(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, lattice: PermutohedralLattice) -> torch.Tensor:
        ctx.lattice = lattice
        return lattice.splat_blur_slice(values.contiguous())

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.lattice.splat_blur_slice(gradient.contiguous(), backwards=True), None


def _simplices(
    features: torch.Tensor, multipliers: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the hashes (N, d + 1) of the vertices around points, and barycentric weights."""
    count, dimensions = features.shape
    corners = dimensions + 1
    y = _elevate(features.double())
    # the nearest vertex whose coordinates are multiples of d + 1, and the order of the remainders
    nearest = (y / corners).round()
    surplus = nearest.sum(dim=1, keepdim=True).long()
    rest = y - nearest * corners
    order = rest.argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(corners, device=y.device).expand(count, -1)
    )
    rank += surplus
    low, high = rank < 0, rank > dimensions
    nearest = nearest.long() * corners + corners * low - corners * high
    rank = rank + corners * low - corners * high
    rest = (y - nearest) / corners
    barycentric = y.new_zeros((count, dimensions + 2))
    barycentric.scatter_add_(1, dimensions - rank, rest)
    barycentric.scatter_add_(1, corners - rank, -rest)
    barycentric[:, 0] += 1 + barycentric[:, corners]
    # vertex r lies r above the nearest one, less d + 1 along the axes of the r highest ranks
    above = torch.arange(corners, device=y.device).view(1, -1, 1)
    ranks = rank[:, None, :dimensions]
    keys = nearest[:, None, :dimensions] + above - corners * (ranks > dimensions - above)
    return (keys * multipliers).sum(dim=2), barycentric[:, :corners].float()


def _elevate(features: torch.Tensor) -> torch.Tensor:
    """Map (N, d) onto the plane in d + 1 dimensions whose coordinates sum to 0.

    The scale makes the standard deviation of the blur that of the Gaussian (section 3.1).
    """
    dimensions = features.shape[1]
    axis = torch.arange(1, dimensions + 1, device=features.device, dtype=features.dtype)
    scale = math.sqrt(2 / 3) * (dimensions + 1) / (axis * (axis + 1)).sqrt()
    scaled = features * scale
    after = scaled.flip(1).cumsum(1).flip(1)  # sums of this and the later ones
    first = after[:, :1]
    later = torch.cat([after[:, 1:], torch.zeros_like(first)], dim=1)
    return torch.cat([first, later - axis * scaled], dim=1)


def _multipliers(dimensions: int, device: torch.device) -> torch.Tensor:
    """Return odd numbers by which keys are hashed modulo 2^64, the same ones at every call."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(-(2**62), 2**62, (dimensions,), generator=generator)
    return (drawn * 2 + 1).to(device)


def _neighbors(hashes: torch.Tensor, multipliers: torch.Tensor) -> list[torch.Tensor]:
    """Return for each axis of the lattice both neighbors (2, vertices).

    Those outside are number `size`.

    Hashing is linear, so the hash of a neighbor is that of the vertex plus that of the step.
    """
    size, dimensions = len(hashes), len(multipliers)
    total, pairs = multipliers.sum(), []
    for axis in range(dimensions + 1):
        step = -total
        if axis < dimensions:
            step = step + (dimensions + 1) * multipliers[axis]
        both = torch.stack([hashes + step, hashes - step])
        place = torch.searchsorted(hashes, both).clamp_max(size - 1)
        pairs.append(torch.where(hashes[place] == both, place, size))
    return pairs


def _gain(dimensions: int) -> float:
    """Return the integral of the Gaussian over the volume of a lattice cell, in deviations.

    Splatting, blurring and slicing keep the sum of all values. So the constant makes evenly dense
    points get the sum that the Gaussian gives them.
    """
    return (4 * math.pi / 3) ** (dimensions / 2) * math.sqrt(dimensions + 1)
