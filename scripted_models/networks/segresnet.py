"""MONAI's SegResNet on slices, the modern baseline.

Source: Myronenko, "3D MRI brain tumor segmentation using autoencoder regularization", BrainLes
2018, section 2.1, without the autoencoder. Here it is two-dimensional, with batch normalization,
so that the result of a pixel does not depend on the whole slice.
"""

from collections.abc import Sequence

import torch
from torch import nn

from scripted_models.networks.layers import to_channels_last
from scripted_models.networks.monai_networks import MonaiSliceNetwork
from scripted_models.networks.padded import padded
from scripted_models.networks.slice_network import PLANES


class SegResNet(MonaiSliceNetwork):
    """The trunk of MONAI with an output layer of its own, so that it can be trained in two phases.

    Args:
        in_channels, num_classes, context_slices, planes: see `MonaiSliceNetwork`.
        filters: maps of the full resolution; every level below has twice as many.
        blocks_down: residual blocks of each level on the way down, from the full resolution on.
        blocks_up: residual blocks of each level on the way up, one level less.

    Raises:
        ValueError: an unknown plane, or blocks that do not fit each other.
    """

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
        if len(blocks_up) + 1 != len(blocks_down):
            raise ValueError("expected one level less in blocks_up than in blocks_down")
        super().__init__(
            "SegResNet",
            in_channels,
            num_classes,
            context_slices,
            planes,
            trunk_channels=2,  # of a layer that is not used
            init_filters=filters,
            norm="BATCH",
            use_conv_final=False,
            blocks_down=tuple(blocks_down),
            blocks_up=tuple(blocks_up),
        )
        del self.trunk.conv_final  # not used, and its weights would never get a gradient
        self.last = nn.Sequential(nn.BatchNorm2d(filters), nn.ReLU(inplace=True))
        self.output = nn.Conv2d(filters, num_classes, 1)
        to_channels_last(self)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, input channels, H, W) to the last hidden maps (N, filters, H, W)."""
        grown = padded(x, self.multiples).contiguous(memory_format=torch.channels_last)
        return self.last(self.trunk(grown))[:, :, : x.shape[2], : x.shape[3]]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, input channels, H, W) to logits (N, classes, H, W)."""
        return self.output(self.features(x))
