"""The networks of one stage: LocalPathCNN, GlobalPathCNN and TwoPathCNN.

Source: Havaei et al., "Brain tumor segmentation with deep neural networks", Medical Image Analysis
35 (2017), figure 2. All convolutions are valid and all pooling has stride 1, so a network maps (N,
4, H, W) to logits (N, 5, H - 32, W - 32). A 33 x 33 patch gives the label of its center voxel, and
a padded slice gives all its labels.
"""

import math

import torch
from torch import nn

from scripted_models.networks.layers import DensePool, LargeConv2d, Maxout, zero_bias
from scripted_models.networks.slice_network import SliceNetwork

INITIALIZATIONS = ("paper", "he")
LOCAL_MAPS, GLOBAL_MAPS = 64, 160  # feature maps of the two paths (figure 2)


class LocalPath(nn.Module):
    """Two convolutions, 7 x 7 and 3 x 3, maxout, pooling 4 x 4 and 2 x 2: shrinks by 12.

    Args:
        in_channels: image channels.
        maxout_pieces: linear pieces per feature map.
        dropout: element-wise dropout of both hidden outputs.
        joined: channels that a cascade joins to the first hidden layer.
    """

    def __init__(self, in_channels: int, maxout_pieces: int, dropout: float, joined: int = 0):
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(in_channels, LOCAL_MAPS * maxout_pieces, 7),
            Maxout(maxout_pieces),
            DensePool(4),
            nn.Dropout(dropout),
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(LOCAL_MAPS + joined, LOCAL_MAPS * maxout_pieces, 3),
            Maxout(maxout_pieces),
            DensePool(2),
            nn.Dropout(dropout),
        )

    def forward(self, x: torch.Tensor, joined: torch.Tensor | None = None) -> torch.Tensor:
        """Map (N, C, H, W), and (N, joined, H - 9, W - 9) if any, to (N, 64, H - 12, W - 12)."""
        hidden = self.layer1(x)
        return self.layer2(hidden if joined is None else torch.cat([hidden, joined], dim=1))


class GlobalPath(nn.Sequential):
    """One convolution with 13 x 13 kernels and maxout: (N, C, H, W) to (N, 160, H - 12, W - 12)."""

    def __init__(self, in_channels: int, maxout_pieces: int, dropout: float):
        super().__init__(
            nn.Conv2d(in_channels, GLOBAL_MAPS * maxout_pieces, 13),
            Maxout(maxout_pieces),
            nn.Dropout(dropout),
        )


class OneStageCNN(SliceNetwork):
    """What the networks of one stage share: hidden maps, then a 21 x 21 output convolution.

    Args:
        in_channels: image channels.
        num_classes: classes including background.
        maxout_pieces: linear pieces per feature map; the paper gives no number, its figure 1 draws
            2.
        dropout: element-wise dropout of the hidden outputs during training; the paper's
            example is 0.5.
        input_dropout: the same for the image.
        initialization: 'paper' (weights uniform in +-0.005, biases 0) or 'he'.
    """

    receptive_field, margins = 33, (16, 16)

    def __init__(
        self,
        in_channels: int = 4,
        num_classes: int = 5,
        maxout_pieces: int = 2,
        dropout: float = 0.5,
        input_dropout: float = 0.0,
        initialization: str = "paper",
    ):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        self.input_dropout = nn.Dropout(input_dropout)
        self.output = LargeConv2d(self._make_paths(maxout_pieces, dropout), num_classes, 21)
        initialize(self, initialization)

    def _make_paths(self, maxout_pieces: int, dropout: float) -> int:
        """Make the hidden layers and return the number of maps that the output layer reads."""
        raise NotImplementedError

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the hidden maps (N, maps, H - 12, W - 12)."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H - 32, W - 32)."""
        return self.output(self.features(x))


class LocalPathCNN(OneStageCNN):
    """The local path with an output layer of its own: 240,197 trainable parameters."""

    def _make_paths(self, maxout_pieces: int, dropout: float) -> int:
        self.local_path = LocalPath(self.in_channels, maxout_pieces, dropout)
        return LOCAL_MAPS

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the hidden maps (N, 64, H - 12, W - 12)."""
        return self.local_path(self.input_dropout(x))


class GlobalPathCNN(OneStageCNN):
    """The global path with an output layer of its own: 569,445 trainable parameters."""

    def _make_paths(self, maxout_pieces: int, dropout: float) -> int:
        self.global_path = GlobalPath(self.in_channels, maxout_pieces, dropout)
        return GLOBAL_MAPS

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the hidden maps (N, 160, H - 12, W - 12)."""
        return self.global_path(self.input_dropout(x))


class TwoPathCNN(OneStageCNN):
    """Local and global path side by side: 809,637 trainable parameters.

    The paper prints 651,488, which counts one kernel per feature map and no biases.
    """

    def _make_paths(self, maxout_pieces: int, dropout: float) -> int:
        self.local_path = LocalPath(self.in_channels, maxout_pieces, dropout)
        self.global_path = GlobalPath(self.in_channels, maxout_pieces, dropout)
        return LOCAL_MAPS + GLOBAL_MAPS

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the hidden maps (N, 224, H - 12, W - 12)."""
        x = self.input_dropout(x)
        return torch.cat([self.local_path(x), self.global_path(x)], dim=1)


def initialize(network: nn.Module, how: str) -> None:
    """Set all convolutions of a network.

    Args:
        network: module whose convolutions are set in place.
        how: 'paper', uniform in +-0.005 and biases 0; or 'he' (He et al. 2015) with the
            output layer's weights at a hundredth, so that training starts near uniform
            probabilities.

    Raises:
        ValueError: unknown name.
    """
    if how not in INITIALIZATIONS:
        raise ValueError(f"unknown initialization '{how}', expected one of {INITIALIZATIONS}")
    for name, layer in network.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        bound = 0.005
        if how == "he":
            fan_in = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]
            bound = math.sqrt(6.0 / fan_in) * (0.01 if name.endswith("output") else 1.0)
        nn.init.uniform_(layer.weight, -bound, bound)
        zero_bias(layer)


def set_output_bias(network: nn.Module, frequencies: torch.Tensor) -> None:
    """Set the output biases to the logarithm of label frequencies ("Implementation details")."""
    bias = network.get_submodule("output").get_parameter("bias")
    with torch.no_grad():
        bias.copy_(frequencies.clamp_min(1e-6).log())
