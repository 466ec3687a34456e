"""A whole model in TorchScript: volumes in, probabilities of labels out.

It leads its network through a volume as `inference.volume` and `inference.windows` do, with PyTorch
alone; the tests compare both. So a program that knows nothing of planes, neighboring slices or
preprocessing can run it.
"""

from itertools import combinations

import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.bundle.exporters.traced_network import TracedNetwork
from scripted_models.bundle.weights import Model
from scripted_models.errors import ModelError
from scripted_models.labels import REGIONS
from scripted_models.networks.slice_network import PLANES, SliceNetwork
from scripted_models.runtime.typed_tables import as_table
from scripted_models.transforms.torchscript_steps import ScriptSteps, script_steps
from scripted_models.transforms.volume_networks import (
    OUR_AXES,
    NetworkOutputs,
    RegionOutputs,
    SlidingWindow,
)

LEAST_SIDE = 16  # as `inference.volume` has it
WINDOW_SETTINGS = {"size", "overlap", "weights", "sigma", "axes", "mirror"}  # known here


class Slices(nn.Module):
    """A network of slices on a preprocessed volume.

    Args:
        graph: of the network.
        network: what it says about itself.
    """

    def __init__(self, graph: nn.Module, network: SliceNetwork):
        super().__init__()
        self.graph, self.classes = graph, network.num_classes
        self.low, self.high = network.margins
        self.context, self.step = network.context_slices, network.slice_step
        self.axes: list[int] = [PLANES.index(plane) for plane in network.planes]
        self.least = LEAST_SIDE

    def planes(self, brain: torch.Tensor) -> list[int]:
        """Return the axes whose slices are wide enough, or those that are widest."""
        sides = [min(brain.shape[axis - 1], brain.shape[axis - 2]) for axis in self.axes]
        least = min(self.least, max(sides))
        wide: list[int] = []
        for axis, side in zip(self.axes, sides):  # noqa: B905 - TorchScript knows no 'strict'
            if side >= least:
                wide.append(axis)
        return wide

    def one_slice(self, image: torch.Tensor, place: int) -> torch.Tensor:
        """Map (C, slices, H, W) to the probabilities of a slice, (classes, H, W)."""
        around = torch.arange(place - self.context, place + self.context + 1, device=image.device)
        seen = image[:, around.clamp(0, image.shape[1] - 1)].flatten(0, 1)
        padded = F.pad(seen[None], [self.low, self.high, self.low, self.high])
        logits: torch.Tensor = self.graph(padded)
        return logits.softmax(1)[0]

    def along(self, image: torch.Tensor, brain: torch.Tensor, step: int) -> torch.Tensor:
        """Map (C, slices, H, W) to (classes, slices, H, W)."""
        result = torch.zeros_like(image[:1]).repeat(self.classes, 1, 1, 1)
        result[0] = 1.0
        held = brain.flatten(1).any(1).nonzero()[:, 0]
        before = -1
        for index in range(held.shape[0]):
            if index % step == 0 or index == held.shape[0] - 1:
                after = int(held[index])
                result[:, after] = self.one_slice(image, after)
                if before >= 0:
                    for z in range(before + 1, after):
                        share = (z - before) / (after - before)
                        between = result[:, before] * (1.0 - share) + result[:, after] * share
                        result[:, z] = between
                before = after
        return result

    def forward(self, image: torch.Tensor, brain: torch.Tensor) -> torch.Tensor:
        """Map (C, z, y, x) and bool (z, y, x) to probabilities (classes, z, y, x)."""
        axes = self.planes(brain)
        step = self.step if len(axes) == len(self.axes) else 1
        total = torch.zeros_like(image[:1]).repeat(self.classes, 1, 1, 1)
        for axis in axes:
            moved = self.along(image.movedim(axis + 1, 1), brain.movedim(axis, 0), step)
            total = total + moved.movedim(1, axis + 1)
        return total / len(axes)


class Windows(nn.Module):
    """A network of volumes on a preprocessed volume.

    Args:
        graph: of the network.
        window: how it goes through a volume.
        outputs: what its outputs mean.
    """

    mirrors: list[list[int]]  # TorchScript cannot tell what empty lists hold
    regions: list[int]
    weights: torch.Tensor
    matrix: torch.Tensor

    def __init__(self, graph: nn.Module, window: SlidingWindow, outputs: NetworkOutputs):
        from monai.data.utils import compute_importance_map

        super().__init__()
        self.graph, self.outputs = graph, len(outputs.order)
        self.size: list[int] = list(window.size)
        self.overlap = window.overlap
        order = [OUR_AXES.index(axis) for axis in window.axes]
        self.order: list[int] = [0, *(1 + axis for axis in order)]
        self.back: list[int] = [self.order.index(axis) for axis in range(4)]
        weights = compute_importance_map(window.size, window.weights, window.sigma)
        self.register_buffer("weights", weights.float())
        places = [2 + window.axes.index(axis) for axis in window.mirror]
        self.mirrors = [
            list(axes) for n in range(1, len(places) + 1) for axes in combinations(places, n)
        ]
        self.regions = []
        self.core_first = True
        matrix = torch.zeros(len(outputs.labels), len(outputs.order))
        if isinstance(outputs, RegionOutputs):
            self.regions = [outputs.order.index(name) for name in ("WT", "TC", "ET")]
            self.core_first = outputs.core == 1
        else:
            for place, label in enumerate(outputs.order):
                matrix[outputs.labels.index(label), place] = 1.0
        self.register_buffer("matrix", matrix)

    def starts(self, length: int, side: int) -> list[int]:
        """Return where the windows of one axis begin, as MONAI has them."""
        step = max(int(side * (1 - self.overlap)), 1)
        found = [0]
        while found[-1] + side < length:
            found.append(min(found[-1] + step, length - side))
        return found

    def logits(self, window: torch.Tensor) -> torch.Tensor:
        """Map (1, C, ...) to logits, the mean over all mirrored forms."""
        total = self.graph(window)
        for axes in self.mirrors:
            total = total + self.graph(window.flip(axes)).flip(axes)
        return total / (1 + len(self.mirrors))

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Map logits of outputs to probabilities of labels, see `label_probabilities`."""
        if len(self.regions) == 0:
            return torch.einsum("lo,ozyx->lzyx", self.matrix, logits.softmax(0))
        said = logits.sigmoid()
        enhancing = said[self.regions[2]]
        core = torch.maximum(said[self.regions[1]], enhancing)
        tumor = torch.maximum(said[self.regions[0]], core)
        parts = [1 - tumor, tumor - core, core - enhancing, enhancing]
        if self.core_first:
            parts = [1 - tumor, core - enhancing, tumor - core, enhancing]
        return torch.stack(parts)

    def forward(self, image: torch.Tensor, brain: torch.Tensor) -> torch.Tensor:
        """Map (C, z, y, x) and bool (z, y, x) to probabilities (labels, z, y, x)."""
        moved = image.permute(self.order)
        pads: list[int] = []
        for axis in (2, 1, 0):
            missing = max(self.size[axis] - moved.shape[axis + 1], 0)
            pads += [missing // 2, missing - missing // 2]
        padded = F.pad(moved, pads)
        total = torch.zeros_like(padded[:1]).repeat(self.outputs, 1, 1, 1)
        count = torch.zeros_like(padded[0])
        a, b, c = self.size
        for z in self.starts(padded.shape[1], a):
            for y in self.starts(padded.shape[2], b):
                for x in self.starts(padded.shape[3], c):
                    found = self.logits(padded[None, :, z : z + a, y : y + b, x : x + c])[0]
                    total[:, z : z + a, y : y + b, x : x + c] += found * self.weights
                    count[z : z + a, y : y + b, x : x + c] += self.weights
        mean = total / count
        z, y, x = pads[4], pads[2], pads[0]
        inside = mean[:, z : z + moved.shape[1], y : y + moved.shape[2], x : x + moved.shape[3]]
        return self.probabilities(inside.permute(self.back))


class WholeVolume(nn.Module):
    """Volumes in, probabilities out.

    Args:
        steps: preprocessing.
        predictor: `Slices` or `Windows`.
        labels: how many there are.
    """

    def __init__(self, steps: ScriptSteps, predictor: nn.Module, labels: int):
        super().__init__()
        self.steps, self.predictor, self.labels = steps, predictor, labels

    def one(self, volume: torch.Tensor) -> torch.Tensor:
        """Map (C, z, y, x) to (labels, z, y, x)."""
        image, brain, box = self.steps(volume)
        result = torch.zeros_like(volume[:1]).repeat(self.labels, 1, 1, 1)
        result[0] = 1.0
        if bool(brain.any()):
            found = self.predictor(image, brain) * brain
            found[0] = torch.where(brain, found[0], torch.ones_like(found[0]))
            result[:, box[0] : box[1], box[2] : box[3], box[4] : box[5]] = found
        return result

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map (N, sequences, x, y, z), 0 outside of the brain, to (N, labels, x, y, z)."""
        volumes = image.float().permute(0, 1, 4, 3, 2).contiguous()
        found = torch.stack([self.one(volume) for volume in volumes])
        return found.permute(0, 1, 4, 3, 2).contiguous()


def whole_volume(model: Model, network: TracedNetwork) -> torch.jit.ScriptModule:
    """Return a model as one TorchScript module.

    Args:
        model: of brains.
        network: its network, traced.

    Raises:
        ModelError: a step, windows or regions that are not known here.
    """
    description = model.description
    steps = script_steps(description.preprocessing)
    window = description.sliding_window
    predictor: nn.Module
    if window is None:
        predictor = Slices(network.graph, model.slice_network)
    else:
        _require_known(window, description.network_outputs)
        predictor = Windows(network.graph, window, description.network_outputs)
    whole = WholeVolume(steps, predictor, len(description.known_labels)).eval()
    scripted: torch.jit.ScriptModule = torch.jit.script(whole)
    return scripted


def _require_known(window: SlidingWindow, outputs: NetworkOutputs) -> None:
    """Raise ModelError for settings that differ from their defaults and would be passed over."""
    unknown = sorted(set(as_table(window)) - WINDOW_SETTINGS)
    if isinstance(outputs, RegionOutputs):
        unknown += sorted(set(outputs.order) - set(REGIONS))
    if unknown:
        raise ModelError(
            found=f"a network of volumes with {', '.join(map(repr, unknown))}",
            expected="windows and regions that a bundle can have",
            action="export the network itself with --format torchscript or onnx",
        )
