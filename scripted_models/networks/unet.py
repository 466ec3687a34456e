"""A U-Net for slices and their neighbors.

Source: Ronneberger et al., "U-Net: convolutional networks for biomedical image segmentation",
MICCAI 2015, figure 1; here with padded convolutions, batch normalization and fewer maps.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.networks.layers import to_channels_last
from scripted_models.networks.slice_network import PLANES, SliceNetwork


class ConvolutionPair(nn.Sequential):
    """Two padded 3 x 3 convolutions, each with batch normalization and a leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, dropout: float):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.LeakyReLU(0.1, inplace=True),
            *([nn.Dropout2d(dropout)] if dropout else []),
        )


class UNet(SliceNetwork):
    """As many pixels out as in.

    An image of any size is padded with zeros to whole pixels of the lowest level.

    Args:
        in_channels: image channels.
        num_classes: classes including background.
        widths: maps of the levels, from the full resolution down.
        context_slices: neighbors on either side of a slice that are further channels.
        planes: some of `PLANES`, see `SliceNetwork`.
        slice_step: see `SliceNetwork`.
        dropout: of whole maps at the end of each level during training.

    Raises:
        ValueError: no width or plane, an unknown plane, or a step below 1.
    """

    def __init__(
        self,
        in_channels: int = 4,
        num_classes: int = 5,
        widths: Sequence[int] = (16, 32, 64, 128, 256),
        context_slices: int = 1,
        planes: Sequence[str] = PLANES,
        slice_step: int = 1,
        dropout: float = 0.0,
    ):
        super().__init__()
        if not widths or not planes or set(planes) - set(PLANES) or slice_step < 1:
            raise ValueError(f"expected widths, planes of {list(PLANES)}, and a step of slices")
        self.in_channels, self.num_classes = in_channels, num_classes
        self.context_slices, self.planes = context_slices, tuple(dict.fromkeys(planes))
        self.slice_step = slice_step
        self.levels = nn.ModuleList(
            ConvolutionPair(before, after, dropout)
            for before, after in pairwise((self.input_channels, *widths))
        )
        upwards = list(pairwise(widths[::-1]))
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(below, width, 2, stride=2) for below, width in upwards
        )
        self.joined = nn.ModuleList(
            ConvolutionPair(2 * width, width, dropout) for _, width in upwards
        )
        self.output = nn.Conv2d(widths[0], num_classes, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, 0.1, nonlinearity="leaky_relu")
        steps = [2**level for level in range(len(self.levels))]
        self.receptive_field = 1 + 8 * sum(steps) - 4 * steps[-1] + 2 * (steps[-1] - 1)
        to_channels_last(self)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, input channels, H, W) to the last hidden maps (N, widths[0], H, W)."""
        multiple = 2 ** len(self.up)
        height, width = x.shape[2], x.shape[3]
        x = F.pad(x, (0, -width % multiple, 0, -height % multiple))
        x = self.levels[0](x.contiguous(memory_format=torch.channels_last))
        passed = [x]
        for level in self.levels[1:]:
            passed.append(level(F.max_pool2d(passed[-1], 2)))
        x = passed.pop()
        for up, joined in zip(self.up, self.joined, strict=True):
            x = joined(torch.cat([passed.pop(), up(x)], dim=1))
        return x[:, :, :height, :width]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, input channels, H, W) to logits (N, classes, H, W)."""
        return self.output(self.features(x))
