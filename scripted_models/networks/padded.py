"""Networks that keep the size of an image once it has whole pixels of their lowest level.

What maps images to logits, the trunk, may come from anywhere: MONAI, or a file of this package. Its
receptive field is measured.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.networks.footprint import Footprint, measure
from scripted_models.networks.layers import to_channels_last
from scripted_models.networks.slice_network import PLANES, SliceNetwork, VolumeNetwork

_measured: dict[tuple[str, int, str], Footprint] = {}


class PaddedSliceNetwork(SliceNetwork):
    """A trunk of two dimensions on slices and their neighbors; as many pixels out as in.

    An image of any size is padded with zeros to whole pixels of the lowest level, to two of them
    where instance normalization cannot do with one.

    Args:
        trunk: maps (N, input channels, H, W) to maps of the same size.
        footprint: what it needs to see.
        in_channels: image channels.
        num_classes: classes including background.
        context_slices: neighbors on either side of a slice that are further channels.
        planes: some of `PLANES`, see `SliceNetwork`.

    Raises:
        ValueError: an unknown plane.
    """

    def __init__(
        self,
        trunk: nn.Module,
        footprint: Footprint,
        in_channels: int,
        num_classes: int,
        context_slices: int = 1,
        planes: Sequence[str] = PLANES,
    ):
        super().__init__()
        if not planes or set(planes) - set(PLANES):
            raise ValueError(f"expected planes of {list(PLANES)}")
        self.in_channels, self.num_classes = in_channels, num_classes
        self.context_slices, self.planes = context_slices, tuple(dict.fromkeys(planes))
        self.trunk = trunk
        self.receptive_field, self.multiples = footprint.receptive_field, footprint.multiples
        self.needs_two = _normalizes_instances(trunk)
        to_channels_last(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, input channels, H, W) to logits (N, classes, H, W)."""
        grown = _grown(x, self).contiguous(memory_format=torch.channels_last)
        return self.trunk(grown)[:, :, : x.shape[2], : x.shape[3]]


class PaddedVolumeNetwork(VolumeNetwork):
    """A trunk of three dimensions; as many voxels out as in, padded as `PaddedSliceNetwork`.

    Args:
        trunk: maps (N, C, D, H, W) to maps of the same size.
        footprint, in_channels, num_classes: as for `PaddedSliceNetwork`.
    """

    def __init__(self, trunk: nn.Module, footprint: Footprint, in_channels: int, num_classes: int):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        self.trunk = trunk
        self.receptive_field, self.multiples = footprint.receptive_field, footprint.multiples
        self.needs_two = _normalizes_instances(trunk)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, D, H, W) to logits (N, classes, D, H, W)."""
        maps = self.trunk(_grown(x, self))
        logits = maps if torch.is_tensor(maps) else maps[0]  # of several sizes while it trains
        return logits[:, :, : x.shape[2], : x.shape[3], : x.shape[4]]


def padded(x: torch.Tensor, multiples: Sequence[int]) -> torch.Tensor:
    """Pad (N, C, ...) with zeros at the high ends, to multiples along each of the other axes."""
    missing = [-x.shape[axis] % multiple for axis, multiple in enumerate(multiples, start=2)]
    return F.pad(x, [pixels for high in reversed(missing) for pixels in (0, high)])


def _grown(x: torch.Tensor, network: PaddedSliceNetwork | PaddedVolumeNetwork) -> torch.Tensor:
    """Pad an image to what the trunk of a network takes."""
    grown = padded(x, network.multiples)
    if network.needs_two and grown.shape[2:] == network.multiples:
        grown = F.pad(grown, (0, network.multiples[-1]))
    return grown


def _normalizes_instances(trunk: nn.Module) -> bool:
    """Tell whether there is a normalization that cannot do with a single pixel."""
    kinds = (nn.InstanceNorm2d, nn.InstanceNorm3d)
    return any(isinstance(layer, kinds) for layer in trunk.modules())


def footprint_of(
    network: nn.Module, kind: str, dimensions: int, arguments: Mapping[str, Any]
) -> Footprint:
    """Return what a network needs to see; each configuration is measured once.

    Args:
        network: see `measure`.
        kind: name of its class.
        dimensions: 2 for slices, 3 for volumes.
        arguments: of the class, apart from the numbers of channels.
    """
    key = (kind, dimensions, json.dumps(arguments, sort_keys=True, default=repr))
    if key not in _measured:
        _measured[key] = measure(network, dimensions)
    return _measured[key]
