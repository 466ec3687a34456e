"""TwoPathCNN and InputCascadeCNN.

Source: Havaei et al., "Brain tumor segmentation with deep neural networks", Medical Image Analysis 35
(2017), sections 3.1 and 3.2, figures 2 and 3. All convolutions are valid and all pooling has stride 1,
so a network maps (N, 4, H, W) to logits (N, 5, H - margin, W - margin): a 33 x 33 patch gives the label
of its centre voxel, a padded slice gives all its labels.
"""

import math

import torch
from torch import nn

from scripted_models.networks.layers import DensePool, Maxout, RowConv2d

INITIALISATIONS = ("paper", "he")


class LocalPath(nn.Module):
    """Two convolutions with 7 x 7 and 3 x 3 kernels, maxout, pooling 4 x 4 and 2 x 2: shrinks by 12."""

    def __init__(self, in_channels: int, maxout_pieces: int, dropout: float):
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(in_channels, 64 * maxout_pieces, 7),
            Maxout(maxout_pieces),
            DensePool(4),
            nn.Dropout(dropout),
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(64, 64 * maxout_pieces, 3),
            Maxout(maxout_pieces),
            DensePool(2),
            nn.Dropout(dropout),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, 64, H - 12, W - 12)."""
        return self.layer2(self.layer1(x))


class TwoPathCNN(nn.Module):
    """Local and global path side by side, joined by a 21 x 21 output convolution.

    Trainable parameters with the defaults: 809,637. The paper prints 651,488, which counts one
    kernel per feature map and no biases; two maxout pieces are what its figure 1 draws.

    Args:
        in_channels: image channels.
        num_classes: classes including background.
        maxout_pieces: linear pieces per feature map.
        dropout: element-wise dropout of the three hidden outputs during training.
        initialisation: 'paper' (weights uniform in +-0.005, biases 0) or 'he'.
    """

    receptive_field = 33
    margins = (16, 16)  # voxels that the output lacks at the low and the high end of each axis
    output_stride = 1

    def __init__(
        self,
        in_channels: int = 4,
        num_classes: int = 5,
        maxout_pieces: int = 2,
        dropout: float = 0.5,
        initialisation: str = "paper",
    ):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        self.local_path = LocalPath(in_channels, maxout_pieces, dropout)
        self.global_path = nn.Sequential(
            nn.Conv2d(in_channels, 160 * maxout_pieces, 13),
            Maxout(maxout_pieces),
            nn.Dropout(dropout),
        )
        self.output = RowConv2d(64 + 160, num_classes, 21)
        initialise(self, initialisation)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the hidden maps (N, 224, H - 12, W - 12)."""
        return torch.cat([self.local_path(x), self.global_path(x)], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H - 32, W - 32)."""
        return self.output(self.features(x))


class InputCascadeCNN(nn.Module):
    """A TwoPathCNN whose input also holds the class probabilities of a first, frozen TwoPathCNN.

    Section 3.2, "input concatenation". The second network has 1,111,397 trainable parameters. The
    first one is trained before and stays as it is; it is always evaluated without dropout.

    Args: as `TwoPathCNN`; `in_channels` counts the image channels only.
    """

    receptive_field = 65
    margins = (32, 32)
    output_stride = 1

    def __init__(
        self,
        in_channels: int = 4,
        num_classes: int = 5,
        maxout_pieces: int = 2,
        dropout: float = 0.5,
        initialisation: str = "paper",
    ):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        shared = (num_classes, maxout_pieces, dropout, initialisation)
        self.first = TwoPathCNN(in_channels, *shared)
        self.second = TwoPathCNN(in_channels + num_classes, *shared)
        self.first.requires_grad_(False)

    @property
    def output(self) -> nn.Module:
        """The output convolution, the only layer that phase 2 trains."""
        return self.second.output

    def train(self, mode: bool = True) -> "InputCascadeCNN":
        """Set the training mode of the second network; the first one stays in evaluation mode."""
        super().train(mode)
        self.first.eval()
        return self

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the second network's hidden maps (N, 224, H - 44, W - 44)."""
        with torch.no_grad():
            probabilities = self.first(x).softmax(dim=1)
        image = x[:, :, 16:-16, 16:-16]
        return self.second.features(torch.cat([image, probabilities], dim=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H - 64, W - 64)."""
        return self.output(self.features(x))


def initialise(network: nn.Module, how: str) -> None:
    """Set all convolutions of a network.

    Args:
        network: module whose convolutions are set in place.
        how: 'paper', uniform in +-0.005 and biases 0 (section 4); or 'he' (He et al. 2015) with the
            output layer's weights at a hundredth, so that training starts near uniform probabilities.

    Raises:
        ValueError: unknown name.
    """
    if how not in INITIALISATIONS:
        raise ValueError(f"unknown initialisation '{how}', expected one of {INITIALISATIONS}")
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        bound = 0.005
        if how == "he":
            fan_in = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
            bound = math.sqrt(6.0 / fan_in) * (0.01 if name.endswith("output") else 1.0)
        nn.init.uniform_(layer.weight, -bound, bound)
        nn.init.zeros_(layer.bias)


def set_output_bias(network: nn.Module, frequencies: torch.Tensor) -> None:
    """Set the output biases to the logarithm of the label frequencies (section 4)."""
    with torch.no_grad():
        network.output.bias.copy_(frequencies.clamp_min(1e-6).log())
