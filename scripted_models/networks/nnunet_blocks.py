"""The blocks of nnU-Net's networks, with the names that its weights have, see `nnunet`."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

Size = int | Sequence[int]  # along all axes, or along each
_SLOPE = 1e-2
CONVOLUTION: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM: dict[int, Any] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_POOL: dict[int, Any] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


class ConvNormAct(nn.Module):
    """Convolution, instance normalization and, unless it is the last of a block, a rectifier."""

    def __init__(
        self,
        dimensions: int,
        channels: tuple[int, int],
        kernel: Size,
        stride: Size = 1,
        bias: bool = True,
        rectified: bool = True,
    ):
        super().__init__()
        sizes = along_axes(kernel, dimensions)
        if not all(size % 2 for size in sizes):
            raise ValueError(f"expected odd kernels, which keep the size, not {list(sizes)}")
        padding = tuple((size - 1) // 2 for size in sizes)
        self.conv = CONVOLUTION[dimensions](
            *channels, sizes, along_axes(stride, dimensions), padding, bias=bias
        )
        self.norm = _NORM[dimensions](channels[1], eps=1e-5, affine=True)
        layers = [self.conv, self.norm]
        if rectified:
            self.nonlin = nn.LeakyReLU(_SLOPE, inplace=True)
            layers.append(self.nonlin)
        self.all_modules = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to (N, C', ...)."""
        return self.all_modules(x)


class ConvStack(nn.Module):
    """Convolutions one after the other, of which the first may have a stride."""

    def __init__(
        self,
        dimensions: int,
        count: int,
        channels: tuple[int, int],
        kernel: Size,
        stride: Size = 1,
        bias: bool = True,
    ):
        super().__init__()
        first, last = channels
        layer = partial(ConvNormAct, dimensions, bias=bias)
        rest = [layer((last, last), kernel) for _ in range(count - 1)]
        self.convs = nn.Sequential(layer((first, last), kernel, stride), *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to (N, C', ...)."""
        return self.convs(x)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which is pooled and projected where it has to be."""

    def __init__(
        self, dimensions: int, channels: tuple[int, int], kernel: Size, stride: Size, bias: bool
    ):
        super().__init__()
        first, last = channels
        strides = along_axes(stride, dimensions)
        self.conv1 = ConvNormAct(dimensions, channels, kernel, strides, bias)
        self.conv2 = ConvNormAct(dimensions, (last, last), kernel, 1, bias, rectified=False)
        self.nonlin2 = nn.LeakyReLU(_SLOPE, inplace=True)
        shortcut = [_POOL[dimensions](strides, strides)] if max(strides) > 1 else []
        if first != last:
            shortcut.append(ConvNormAct(dimensions, channels, 1, 1, bias=False, rectified=False))
        if shortcut:
            self.skip = nn.Sequential(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to (N, C', ...)."""
        residual = self.skip(x) if hasattr(self, "skip") else x
        return self.nonlin2(self.conv2(self.conv1(x)) + residual)


class ResidualStack(nn.Module):
    """Residual blocks one after the other, of which the first may have a stride."""

    def __init__(
        self,
        dimensions: int,
        count: int,
        channels: tuple[int, int],
        kernel: Size,
        stride: Size,
        bias: bool,
    ):
        super().__init__()
        first, last = channels
        block = partial(ResidualBlock, dimensions, kernel=kernel, bias=bias)
        rest = [block(channels=(last, last), stride=1) for _ in range(count - 1)]
        self.blocks = nn.Sequential(block(channels=(first, last), stride=stride), *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to (N, C', ...)."""
        return self.blocks(x)


def along_axes(value: Size, dimensions: int) -> tuple[int, ...]:
    """Return a number for each axis."""
    values = (value,) * dimensions if isinstance(value, int) else tuple(value)
    if len(values) != dimensions:
        raise ValueError(f"expected {dimensions} numbers in {list(values)}")
    return values


def initialize(layer: Any) -> None:
    """Give the weights their values at the start, as nnU-Net does."""
    if isinstance(layer, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    if isinstance(layer, ResidualBlock):  # begins as its shortcut
        nn.init.zeros_(layer.conv2.norm.weight)
        nn.init.zeros_(layer.conv2.norm.bias)
