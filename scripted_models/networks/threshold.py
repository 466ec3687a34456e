"""What every network must beat: a threshold."""

import torch
from torch import nn

from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.sequences import SEQUENCES

EDEMA, ENHANCING = 2, 4
FAR = -20.0  # logit of the labels that are not given


class ThresholdBaseline(SliceNetwork):
    """Edema where FLAIR is bright, enhancing tumor where T1c is bright as well; nothing is trained.

    Args:
        in_channels: image channels, in the order of `SEQUENCES`.
        num_classes: classes; the labels 2 and 4 are given as far as there are so many.
        flair, t1c: thresholds, in standard deviations above the mean of the brain.
    """

    receptive_field, margins = 1, (0, 0)

    def __init__(
        self, in_channels: int = 4, num_classes: int = 5, flair: float = 1.5, t1c: float = 2.0
    ):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        thresholds = torch.tensor([flair, t1c])
        self.thresholds = nn.Parameter(thresholds, requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H, W)."""
        bright = {
            name: x[:, min(SEQUENCES.index(name), self.in_channels - 1)] > threshold
            for name, threshold in zip(("flair", "t1c"), self.thresholds, strict=True)
        }
        logits = x.new_full((x.shape[0], self.num_classes, *x.shape[2:]), FAR)
        logits[:, 0] = torch.where(bright["flair"], FAR, 0.0)
        if self.num_classes > EDEMA:
            logits[:, EDEMA] = torch.where(bright["flair"] & ~bright["t1c"], 0.0, FAR)
        if self.num_classes > ENHANCING:
            logits[:, ENHANCING] = torch.where(bright["flair"] & bright["t1c"], 0.0, FAR)
        return logits
