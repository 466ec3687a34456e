"""Networks that join the outputs of separately trained networks and are not trained themselves.

The output of those of slices is the logarithm of joined probabilities, so that the softmax, which
turns the logits of other networks into probabilities, gives these back.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from scripted_models.networks.havaei import GlobalPathCNN, LocalPathCNN
from scripted_models.networks.slice_network import SliceNetwork, VolumeNetwork

_TINY = 1e-30  # the logarithm stays finite in float32


class AverageCNN(SliceNetwork):
    """Mean of the class probabilities of a LocalPathCNN and a GlobalPathCNN.

    Source: Havaei et al. 2017, table 1 ("averaging the outputs").

    Args: those of the two networks, see `OneStageCNN`.
        local_path, global_path: arguments of one network that differ from these.
    """

    receptive_field, margins = 33, (16, 16)

    def __init__(
        self,
        in_channels: int = 4,
        num_classes: int = 5,
        local_path: Mapping[str, Any] | None = None,
        global_path: Mapping[str, Any] | None = None,
        **arguments: Any,
    ):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        shared: dict[str, Any] = {"in_channels": in_channels, "num_classes": num_classes}
        self.local_path = LocalPathCNN(**{**arguments, **(local_path or {}), **shared})
        self.global_path = GlobalPathCNN(**{**arguments, **(global_path or {}), **shared})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to log-probabilities (N, classes, H - 32, W - 32)."""
        both = self.local_path(x).softmax(dim=1) + self.global_path(x).softmax(dim=1)
        return (both / 2).clamp_min(_TINY).log()


class VotedEnsemble(SliceNetwork):
    """Vote of networks of one kind, trained on different folds.

    In a hard vote each member votes for its most probable label; the mean probability decides
    between labels with equally many votes. In a soft vote the mean probability alone decides.
    Source: Havaei et al. 2017, experiments on BRATS 2015 (seven folds, "voted average").

    Args:
        members: networks with the same channels, classes and margins.
        voting: 'hard' or 'soft'.

    Raises:
        ValueError: another voting.
    """

    def __init__(self, members: Sequence[SliceNetwork], voting: str = "hard"):
        super().__init__()
        if voting not in ("hard", "soft"):
            raise ValueError(f"'voting' is {voting!r}, expected 'hard' or 'soft'")
        self.voting = voting
        self.members, kind = nn.ModuleList(members), members[0]
        self.in_channels, self.num_classes = kind.in_channels, kind.num_classes
        self.receptive_field, self.margins = kind.receptive_field, kind.margins
        self.output_stride, self.context_slices = kind.output_stride, kind.context_slices
        self.planes, self.slice_step = kind.planes, kind.slice_step

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the logarithm of shares of votes, (N, classes, H', W')."""
        count = len(self.members)
        said = [member(x).softmax(dim=1) for member in self.members]
        mean = _total([probabilities / count for probabilities in said])
        if self.voting == "soft":
            return mean.clamp_min(_TINY).log()
        votes = _total([_vote(probabilities) for probabilities in said])
        return ((votes + mean) / (count + 1)).clamp_min(_TINY).log()


class AveragedEnsemble(VolumeNetwork):
    """Mean of the logits of networks of volumes of one kind, trained on different folds.

    Source: Isensee et al. 2021, "nnU-Net", Nature Methods 18; nnU-Net 2.8,
    `predict_logits_from_preprocessed_data`. Means of windows are joined there fold by fold, which
    is the same. The weights of all members are in memory, the maps of one at a time.

    Args:
        members: networks with the same channels, outputs and levels.
    """

    def __init__(self, members: Sequence[VolumeNetwork]):
        super().__init__()
        self.members, kind = nn.ModuleList(members), members[0]
        self.in_channels, self.num_classes = kind.in_channels, kind.num_classes
        self.receptive_field, self.multiples = kind.receptive_field, kind.multiples

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, D, H, W) to logits (N, outputs, D, H, W)."""
        total: torch.Tensor = self.members[0](x)
        for member in self.members[1:]:
            total = total + member(x)
        return total / len(self.members)


def _total(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    return sum(parts[1:], start=parts[0])


def _vote(probabilities: torch.Tensor) -> torch.Tensor:
    """Return 1 for the most probable class and 0 for the others."""
    winner = probabilities.argmax(dim=1, keepdim=True)
    return torch.zeros_like(probabilities).scatter_(1, winner, 1.0)
