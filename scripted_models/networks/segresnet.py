"""MONAI's SegResNet on slices, the modern baseline.

Source: Myronenko, "3D MRI brain tumor segmentation using autoencoder regularization", BrainLes 2018, section
2.1, without the autoencoder; here in 2-D, with batch normalization, so that what the network says of a pixel
does not depend on all of the slice.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.networks.slice_network import PLANES, SliceNetwork


class SegResNet(SliceNetwork):
    """As many pixels out as in; any input size, padded with zeros to whole pixels of the lowest level.

    Args:
        in_channels: image channels.
        num_classes: classes including background.
        filters: maps of the full resolution; every level below has twice as many.
        blocks_down: residual blocks of each level on the way down, from the full resolution on.
        blocks_up: residual blocks of each level on the way up, one level less.
        context_slices: neighbors on either side of a slice that are further channels.
        planes: some of `PLANES`, see `SliceNetwork`.

    Raises:
        ValueError: no level or plane, an unknown plane, or blocks that do not fit each other.
    """

    margins = (0, 0)

    def __init__(
        self,
        in_channels: int = 4,
        num_classes: int = 5,
        filters: int = 16,
        blocks_down: Sequence[int] = (1, 2, 2, 4),
        blocks_up: Sequence[int] = (1, 1, 1),
        context_slices: int = 1,
        planes: Sequence[str] = PLANES,
    ):
        super().__init__()
        if len(blocks_up) + 1 != len(blocks_down) or not planes or set(planes) - set(PLANES):
            raise ValueError(
                f"expected one level less in blocks_up than in blocks_down, and planes of {list(PLANES)}"
            )
        from monai.networks.nets import SegResNet as Trunk  # slow to import, rarely needed

        self.in_channels, self.num_classes = in_channels, num_classes
        self.context_slices, self.planes = context_slices, tuple(dict.fromkeys(planes))
        self.blocks_down, self.blocks_up = tuple(blocks_down), tuple(blocks_up)
        self.trunk = Trunk(
            spatial_dims=2,
            init_filters=filters,
            in_channels=self.input_channels,
            norm="BATCH",
            use_conv_final=False,
            blocks_down=self.blocks_down,
            blocks_up=self.blocks_up,
        )
        del self.trunk.conv_final  # not used, and its weights would never get a gradient
        self.last = nn.Sequential(nn.BatchNorm2d(filters), nn.ReLU(inplace=True))
        self.output = nn.Conv2d(filters, num_classes, 1)
        self.to(memory_format=torch.channels_last)

    @property
    def receptive_field(self) -> int:
        """Edge of the window that a pixel may depend on, counted in whole pixels of the lowest level."""
        reach = 1 + sum(2 * count * 2**level for level, count in enumerate(self.blocks_down))
        reach += sum(2**level for level in range(len(self.blocks_up)))  # convolutions of stride 2
        for level, count in zip(reversed(range(len(self.blocks_up))), self.blocks_up, strict=True):
            reach += 2 * count * 2**level + 2 ** (level + 1)  # and the interpolation
        return 1 + 2 * reach

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, input channels, H, W) to the last hidden maps (N, filters, H, W)."""
        multiple = 2 ** len(self.blocks_up)
        height, width = x.shape[2], x.shape[3]
        x = F.pad(x, (0, -width % multiple, 0, -height % multiple))
        x = self.last(self.trunk(x.contiguous(memory_format=torch.channels_last)))
        return x[:, :, :height, :width]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, input channels, H, W) to logits (N, classes, H, W)."""
        return self.output(self.features(x))
