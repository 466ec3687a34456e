"""The preprocessing steps of a model in TorchScript, for whole volumes (C, z, y, x).

They do what `transforms.preprocessing` does with NumPy and MONAI, step by step; the tests compare
both. Not here: N4, and the look at fields of view that end inside the head.
"""

from collections.abc import Sequence

import torch
from torch import nn

from scripted_models.errors import ModelError
from scripted_models.runtime.typed_tables import as_table
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.preprocessing import LEAST_DEVIATION
from scripted_models.transforms.steps import (
    ClipPercentiles,
    CropToBrain,
    KeepSequences,
    MarkBrain,
    PreprocessingStep,
    Standardize,
)

SETTINGS = {"step", "lower", "upper", "region", "offset", "voxels", "names", "order"}


class Clip(nn.Module):
    """See `ClipPercentilesd`.

    Args:
        lower, upper: percentiles.
        of_brain: of the voxels that are not 0, else of all.
    """

    def __init__(self, lower: float, upper: float, of_brain: bool):
        super().__init__()
        self.lower, self.upper, self.of_brain = lower / 100.0, upper / 100.0, of_brain

    def percentile(self, ordered: torch.Tensor, share: float) -> float:
        """Return a percentile of ascending values, interpolated linearly."""
        place = share * (ordered.numel() - 1)
        below = int(place)
        above = min(below + 1, ordered.numel() - 1)
        low, high = float(ordered[below]), float(ordered[above])
        return low + (high - low) * (place - below)

    def forward(self, image: torch.Tensor, brain: torch.Tensor) -> torch.Tensor:
        """Map (C, z, y, x)."""
        clipped = image.clone()
        for index in range(image.shape[0]):
            channel = image[index]
            inside = channel != 0
            if bool(inside.any()):
                counted = channel[inside] if self.of_brain else channel.flatten()
                ordered = counted.sort()[0]
                low = self.percentile(ordered, self.lower)
                high = self.percentile(ordered, self.upper)
                clipped[index] = torch.where(inside, channel.clamp(low, high), channel)
        return clipped


class Standard(nn.Module):
    """See `standardize`.

    Args:
        voxels: 'nonzero' or 'all'.
        offset: becomes the mean of the brain.
    """

    def __init__(self, voxels: str, offset: float):
        super().__init__()
        self.voxels, self.offset, self.least = voxels, offset, LEAST_DEVIATION

    def forward(self, image: torch.Tensor, brain: torch.Tensor) -> torch.Tensor:
        """Map (C, z, y, x)."""
        result = torch.zeros_like(image)
        for index in range(image.shape[0]):
            channel = image[index]
            inside = torch.ones_like(brain)
            if self.voxels == "nonzero":
                inside = channel != 0
            if bool(channel[inside].any()):
                counted = channel[inside].double()
                deviation = max(float(counted.std(unbiased=False)), self.least)
                values = (channel.double() - counted.mean()) / deviation
                result[index] = torch.where(inside, values, torch.zeros_like(values)).float()
        return result + self.offset * brain.float()


class Keep(nn.Module):
    """See `KeepSequencesd`.

    Args:
        indices: of the channels that stay, in their order.
    """

    def __init__(self, indices: Sequence[int]):
        super().__init__()
        self.indices: list[int] = list(indices)

    def forward(self, image: torch.Tensor, brain: torch.Tensor) -> torch.Tensor:
        """Map (C, z, y, x) to (kept, z, y, x)."""
        return image[self.indices]


class ScriptSteps(nn.Module):
    """All steps; the volume is cut to the brain where the model does so.

    Args:
        before: steps before the cut.
        after: steps after it.
        margin: voxels around the brain; -1: nothing is cut.
    """

    def __init__(self, before: Sequence[nn.Module], after: Sequence[nn.Module], margin: int):
        super().__init__()
        self.before, self.after = nn.ModuleList(before), nn.ModuleList(after)
        self.margin = margin

    def box(self, brain: torch.Tensor) -> list[int]:
        """Return first and last + 1 of each axis of what is left, six numbers."""
        found: list[int] = []
        for axis in range(3):
            length = brain.shape[axis]
            if self.margin < 0 or not bool(brain.any()):
                found += [0, length]
            else:
                rows = brain.transpose(0, axis).flatten(1).any(1).nonzero()[:, 0]
                first, last = int(rows[0]), int(rows[-1])
                found += [max(first - self.margin, 0), min(last + self.margin + 1, length)]
        return found

    def forward(self, volume: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Map (C, z, y, x) to the image, the brain in it, and the box that it is of the volume."""
        brain = (volume != 0).any(0)
        image = volume
        for step in self.before:
            image = step(image, brain)
        box = self.box(brain)
        brain = brain[box[0] : box[1], box[2] : box[3], box[4] : box[5]]
        image = image[:, box[0] : box[1], box[2] : box[3], box[4] : box[5]]
        for step in self.after:
            image = step(image, brain)
        return image, brain, box


def script_steps(stated: Sequence[PreprocessingStep]) -> ScriptSteps:
    """Return the steps of a description.

    Raises:
        ModelError: a step or a setting that is not known here.
    """
    before: list[nn.Module] = []
    after: list[nn.Module] = []
    margin, current = -1, before
    for step in stated:
        if isinstance(step, CropToBrain):
            margin, current = step.margin, after
        elif not isinstance(step, MarkBrain):
            current.append(_module_of(step))
    return ScriptSteps(before, after, margin)


def _module_of(step: PreprocessingStep) -> nn.Module:
    """Return a step; what is not known here must have its default."""
    known = set(as_table(step)) <= SETTINGS
    if known and isinstance(step, ClipPercentiles):
        return Clip(step.lower, step.upper, step.region == "brain")
    if known and isinstance(step, Standardize) and step.voxels != "brain":  # its holes are filled
        return Standard(step.voxels, step.offset)
    if known and isinstance(step, KeepSequences):
        indices = [SEQUENCES.index(name) for name in step.names]
        return Keep(indices if step.order == "stated" else sorted(indices))
    raise ModelError(
        found=f"the preprocessing step '{step.step}'",
        expected="steps that PyTorch alone can take",
        action="export the network itself with --format torchscript or onnx",
    )
