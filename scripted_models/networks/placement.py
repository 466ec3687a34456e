"""Where the pixels of a map lie in the image, so that maps can be laid on each other.

Pixel i of a map has its center at stride * i + offset in image pixels. Every layer changes both by
its kernel, stride, padding and dilation. Crop offsets and receptive fields of the papers follow.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Placed:
    """A map and its place in the image.

    Attributes:
        values: (N, C, H, W).
        stride: image pixels between neighbors.
        offset: image coordinate of the first pixel's center.
    """

    values: torch.Tensor
    stride: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)

    def through(self, layers: Iterable[nn.Module]) -> "Placed":
        """Return what layers in a row make of the map."""
        placed = self
        for layer in layers:
            placed = Placed(layer(placed.values), *moved(layer, placed.stride, placed.offset))
        return placed

    def cropped_to(self, other: "Placed") -> torch.Tensor:
        """Return the part of the map that lies on another one of the same stride.

        Raises:
            ValueError: the pixels do not coincide, or the other map reaches further.
        """
        mine, _ = _overlap(self, other)
        if mine.offset != other.offset or mine.values.shape[2:] != other.values.shape[2:]:
            raise ValueError(
                f"a map of {tuple(self.values.shape)} does not cover {tuple(other.values.shape)}"
            )
        return mine.values

    def __add__(self, other: "Placed") -> "Placed":
        """Return the sum where both maps are.

        Raises:
            ValueError: the pixels do not coincide.
        """
        mine, others = _overlap(self, other)
        return Placed(mine.values + others.values, mine.stride, mine.offset)


def _overlap(a: Placed, b: Placed) -> tuple[Placed, Placed]:
    """Return the parts of two maps that lie on each other."""
    shift = (b.offset - a.offset) / a.stride
    if a.stride != b.stride or shift.denominator > 1:
        raise ValueError(
            f"maps whose pixels do not coincide: strides {a.stride}, {b.stride}; {shift}"
        )
    starts = max(int(shift), 0), max(-int(shift), 0)
    height, width = (
        smaller(n - starts[0], m - starts[1])
        for n, m in zip(a.values.shape[2:], b.values.shape[2:], strict=True)
    )
    offset = a.offset + starts[0] * a.stride
    of_a, of_b = (
        Placed(placed.values[:, :, i : i + height, i : i + width], a.stride, offset)
        for placed, i in zip((a, b), starts, strict=True)
    )
    return of_a, of_b


def smaller(a: int, b: int) -> int:
    """Return the smaller of two sizes by arithmetic, which a trace does again each time."""
    return (a + b - abs(a - b)) // 2


def moved(layer: nn.Module, stride: Fraction, offset: Fraction) -> tuple[Fraction, Fraction]:
    """Return stride and offset of a layer's output from those of its input."""
    if not hasattr(layer, "kernel_size"):
        return stride, offset
    size, step, pad, dilation = (
        _single(getattr(layer, name, default))
        for name, default in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
    )
    reach = Fraction(dilation * (size - 1), 2) - pad
    if isinstance(layer, nn.ConvTranspose2d):
        return stride / step, offset - stride / step * reach
    return stride * step, offset + stride * reach


def receptive_field(layers: Iterable[nn.Module]) -> int:
    """Return the pixels along an axis that one output of layers in a row depends on."""
    field, stride = Fraction(1), Fraction(1)
    for layer in layers:
        if hasattr(layer, "kernel_size"):
            reach = _single(getattr(layer, "dilation", 1)) * (_single(layer.kernel_size) - 1)
            field += reach * stride
            stride, _ = moved(layer, stride, Fraction(0))
    return int(field)


def _single(value: Any) -> int:
    first: int = value[0] if isinstance(value, tuple) else value
    return first
