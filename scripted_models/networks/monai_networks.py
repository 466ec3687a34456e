"""MONAI's own networks, in two dimensions for slices and in three for whole patches.

A network of `monai.networks.nets` that is made of layers and keeps the size of the image can be
adopted: it needs an entry in `ADOPTED` and nothing else. What it needs to see is measured.
MONAI is imported when such a network is built.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.networks.footprint import Footprint, measure
from scripted_models.networks.layers import to_channels_last
from scripted_models.networks.slice_network import PLANES, SliceNetwork, VolumeNetwork

_OWN = ("spatial_dims", "in_channels", "out_channels", "deep_supervision")  # set by the adapter
_measured: dict[tuple[str, int, str], Footprint] = {}


@dataclass(frozen=True)
class Adopted:
    """One of MONAI's networks.

    Attributes:
        monai: class in `monai.networks.nets`.
        arguments: those that differ from its own defaults.
        source: paper.
    """

    monai: str
    arguments: Mapping[str, Any]
    source: str


_WIDTHS, _HALVINGS = (16, 32, 64, 128, 256), (2, 2, 2, 2)

# Batch normalization wherever there is a choice: a pixel then does not depend on the whole image.
ADOPTED = {
    "SegResNet": Adopted(
        "SegResNet",
        {"init_filters": 16, "norm": "BATCH"},
        "Myronenko 2018, BrainLes, section 2.1 (MONAI)",
    ),
    "MonaiUNet": Adopted(
        "UNet",
        {"channels": _WIDTHS, "strides": _HALVINGS, "num_res_units": 2, "norm": "BATCH"},
        "Kerfoot et al. 2018, STACOM (MONAI)",
    ),
    "BasicUNet": Adopted(
        "BasicUNet", {"norm": "BATCH"}, "Falk et al. 2019, Nature Methods 16 (MONAI)"
    ),
    "DynUNet": Adopted(
        "DynUNet",
        {
            "kernel_size": (3, 3, 3, 3, 3),
            "strides": (1, *_HALVINGS),
            "upsample_kernel_size": _HALVINGS,
            "filters": _WIDTHS,
            "norm_name": "BATCH",
        },
        "Isensee et al. 2021, Nature Methods 18 (MONAI)",
    ),
    "AttentionUnet": Adopted(
        "AttentionUnet",
        {"channels": _WIDTHS, "strides": _HALVINGS},
        "Oktay et al. 2018, MIDL (MONAI), normalizes over the image",
    ),
}


class MonaiSliceNetwork(SliceNetwork):
    """A network of MONAI on slices and their neighbors; as many pixels out as in.

    An image of any size is padded with zeros to whole pixels of the lowest level.

    Args:
        monai: class in `monai.networks.nets`.
        in_channels: image channels.
        num_classes: classes including background.
        context_slices: neighbors on either side of a slice that are further channels.
        planes: some of `PLANES`, see `SliceNetwork`.
        trunk_channels: maps that the class is built to return; by default the classes.
        arguments: of the class.

    Raises:
        ValueError: an unknown plane, or arguments that make no network of the image's size.
    """

    def __init__(
        self,
        monai: str,
        in_channels: int = 4,
        num_classes: int = 5,
        context_slices: int = 1,
        planes: Sequence[str] = PLANES,
        trunk_channels: int = 0,
        **arguments: Any,
    ):
        super().__init__()
        if not planes or set(planes) - set(PLANES):
            raise ValueError(f"expected planes of {list(PLANES)}")
        self.in_channels, self.num_classes = in_channels, num_classes
        self.context_slices, self.planes = context_slices, tuple(dict.fromkeys(planes))
        self.trunk = _build(monai, 2, self.input_channels, trunk_channels or num_classes, arguments)
        footprint = _footprint(self.trunk, monai, 2, arguments)
        self.receptive_field, self.multiples = footprint.receptive_field, footprint.multiples
        to_channels_last(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, input channels, H, W) to logits (N, classes, H, W)."""
        grown = padded(x, self.multiples).contiguous(memory_format=torch.channels_last)
        return self.trunk(grown)[:, :, : x.shape[2], : x.shape[3]]


class MonaiVolumeNetwork(VolumeNetwork):
    """A network of MONAI on volumes; as many voxels out as in, padded as `MonaiSliceNetwork`.

    Args:
        monai, in_channels, num_classes, arguments: as for `MonaiSliceNetwork`.

    Raises:
        ValueError: arguments that make no network of the image's size.
    """

    def __init__(self, monai: str, in_channels: int = 4, num_classes: int = 5, **arguments: Any):
        super().__init__()
        self.in_channels, self.num_classes = in_channels, num_classes
        self.trunk = _build(monai, 3, in_channels, num_classes, arguments)
        footprint = _footprint(self.trunk, monai, 3, arguments)
        self.receptive_field, self.multiples = footprint.receptive_field, footprint.multiples

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, D, H, W) to logits (N, classes, D, H, W)."""
        grown = padded(x, self.multiples)
        return self.trunk(grown)[:, :, : x.shape[2], : x.shape[3], : x.shape[4]]


def padded(x: torch.Tensor, multiples: Sequence[int]) -> torch.Tensor:
    """Pad (N, C, ...) with zeros at the high ends, to multiples along each of the other axes."""
    missing = [-x.shape[axis] % multiple for axis, multiple in enumerate(multiples, start=2)]
    return F.pad(x, [pixels for high in reversed(missing) for pixels in (0, high)])


def _footprint(
    network: nn.Module, monai: str, dimensions: int, arguments: Mapping[str, Any]
) -> Footprint:
    """Return what a network needs to see; each configuration is measured once."""
    key = (monai, dimensions, json.dumps(arguments, sort_keys=True, default=repr))
    if key not in _measured:
        _measured[key] = measure(network, dimensions)
    return _measured[key]


def _build(
    monai: str, dimensions: int, in_channels: int, classes: int, arguments: Mapping[str, Any]
) -> nn.Module:
    from monai.networks import nets  # slow to import, rarely needed

    if taken := sorted(set(arguments) & set(_OWN)):
        raise ValueError(f"{', '.join(taken)} cannot be set")
    network: nn.Module = getattr(nets, monai)(
        spatial_dims=dimensions, in_channels=in_channels, out_channels=classes, **arguments
    )
    return network
