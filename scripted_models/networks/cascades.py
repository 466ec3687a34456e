"""The cascades: a TwoPathCNN that also reads the class probabilities of a first, frozen TwoPathCNN.

Source: Havaei et al. 2017, figure 3. The three cascades differ in the place where the
probabilities join the second network: its input, its first hidden layer, or its output layer.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from scripted_models.networks.havaei import (
    GLOBAL_MAPS,
    LOCAL_MAPS,
    GlobalPath,
    LocalPath,
    TwoPathCNN,
)
from scripted_models.networks.slice_network import SliceNetwork


class JoinedCNN(TwoPathCNN):
    """A TwoPathCNN that reads probabilities as well."""

    @abstractmethod
    def joined(self, x: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        """Map an image and probabilities to the last hidden maps."""


class JoinedAtInput(JoinedCNN):
    """Both paths see the probabilities beside the image."""

    def _make_paths(self, maxout_pieces: int, dropout: float) -> int:
        channels = self.in_channels + self.num_classes
        self.local_path = LocalPath(channels, maxout_pieces, dropout)
        self.global_path = GlobalPath(channels, maxout_pieces, dropout)
        return LOCAL_MAPS + GLOBAL_MAPS

    def joined(self, x: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) and (N, classes, H, W) to (N, 224, H - 12, W - 12)."""
        return self.features(torch.cat([x, probabilities], dim=1))


class JoinedAtLocalPath(JoinedCNN):
    """The first hidden layer of the local path has the probabilities beside its maps."""

    def _make_paths(self, maxout_pieces: int, dropout: float) -> int:
        maps = super()._make_paths(maxout_pieces, dropout)
        self.local_path = LocalPath(self.in_channels, maxout_pieces, dropout, self.num_classes)
        return maps

    def joined(self, x: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) and (N, classes, H - 9, W - 9) to (N, 224, H - 12, W - 12)."""
        x = self.input_dropout(x)
        return torch.cat([self.local_path(x, probabilities), self.global_path(x)], dim=1)


class JoinedAtOutput(JoinedCNN):
    """The output layer reads the probabilities beside the hidden maps."""

    def _make_paths(self, maxout_pieces: int, dropout: float) -> int:
        return super()._make_paths(maxout_pieces, dropout) + self.num_classes

    def joined(self, x: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) and (N, K, H - 12, W - 12) to (N, 224 + K, H - 12, W - 12)."""
        return torch.cat([self.features(x), probabilities], dim=1)


class CascadeCNN(SliceNetwork):
    """Two networks in a row; the first one is trained before and stays as it is.

    The first network never trains here and is always evaluated without dropout. What it gives the
    second one are probabilities, not logits ("output probabilities").

    Args:
        in_channels, num_classes, arguments: of both networks, as `OneStageCNN` takes them;
            `in_channels` counts the image channels only.
        first: arguments of the first network that differ from these.
    """

    second_kind: type[JoinedCNN]  # the margins are its own and those of the first network

    def __init__(
        self,
        in_channels: int = 4,
        num_classes: int = 5,
        first: Mapping[str, Any] | None = None,
        **arguments: Any,
    ):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        shared: dict[str, Any] = {"in_channels": in_channels, "num_classes": num_classes}
        self.first = TwoPathCNN(**{**arguments, **(first or {}), **shared})
        self.second = self.second_kind(**arguments, **shared)
        self.first.requires_grad_(False)

    @property
    def output(self) -> nn.Module:
        """The output convolution, the only layer that phase 2 trains."""
        return self.second.output

    def train(self, mode: bool = True) -> "CascadeCNN":
        """Set the training mode of the second network; the first one stays in evaluation mode."""
        super().train(mode)
        self.first.eval()
        return self

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the second network's hidden maps."""
        with torch.no_grad():
            probabilities = self.first(x).softmax(dim=1)
        low, high = (
            total - own for total, own in zip(self.margins, self.second.margins, strict=True)
        )
        return self.second.joined(x[:, :, low:-high, low:-high], probabilities)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H - margins, W - margins)."""
        return self.output(self.features(x))


class InputCascadeCNN(CascadeCNN):
    """Input concatenation: 65 x 65 patches; 1,111,397 trainable parameters."""

    second_kind = JoinedAtInput
    receptive_field, margins = 65, (32, 32)


class LocalCascadeCNN(CascadeCNN):
    """Local pathway concatenation: 56 x 56 patches; 815,397 trainable parameters.

    The first hidden layer has an even receptive field (7 x 7 convolution, 4 x 4 pooling). So its
    units lie half-way between pixels, and an exact alignment does not exist. The rule here: map i
    of the probabilities joins hidden unit i, whose center lies half a pixel after it. The patch
    then reaches 28 pixels before and 27 after its voxel.
    """

    second_kind = JoinedAtLocalPath
    receptive_field, margins = 56, (28, 27)


class MFCascadeCNN(CascadeCNN):
    """Pre-output concatenation: 53 x 53 patches; 820,662 trainable parameters."""

    second_kind = JoinedAtOutput
    receptive_field, margins = 53, (26, 26)
