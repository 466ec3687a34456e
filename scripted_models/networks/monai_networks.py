"""MONAI's own networks, in two dimensions for slices and in three for volumes.

A network of `monai.networks.nets` that is made of layers and keeps the size of the image can be
adopted: it needs an entry in `ADOPTED` and nothing else. What it needs to see is measured, or
stated where attention cannot be measured. MONAI is imported when such a network is built.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from scripted_models.networks.footprint import Footprint
from scripted_models.networks.padded import PaddedSliceNetwork, PaddedVolumeNetwork, footprint_of
from scripted_models.networks.slice_network import PLANES

MOST_BLOCKS = 200  # of attention
_OWN = ("spatial_dims", "in_channels", "out_channels", "deep_supervision", "preprocess")


@dataclass(frozen=True)
class Adopted:
    """One of MONAI's networks.

    Attributes:
        monai: class in `monai.networks.nets`.
        arguments: those that differ from its own defaults.
        source: paper.
        dimensions: that it is offered in.
        needs: package that it computes with, beside MONAI's own.
        one_size: see `SegmentationNetwork`.
    """

    monai: str
    arguments: Mapping[str, Any]
    source: str
    dimensions: tuple[int, ...] = (2, 3)
    needs: str = ""
    one_size: bool = False


_WIDTHS, _HALVINGS = (16, 32, 64, 128, 256), (2, 2, 2, 2)

# Batch normalization wherever there is a choice: a pixel then does not depend on the whole image.
ADOPTED = {
    "SegResNet": Adopted(
        "SegResNet",
        {"init_filters": 16, "norm": "BATCH"},
        "Myronenko 2018, BrainLes, section 2.1 (MONAI)",
    ),
    "SegResNetDS": Adopted(
        "SegResNetDS",
        {"init_filters": 16, "norm": "BATCH"},
        "Myronenko 2018, BrainLes; Auto3DSeg's form (MONAI)",
        dimensions=(3,),
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
    "SwinUNETR": Adopted(
        "SwinUNETR",
        {"feature_size": 24},
        "Hatamizadeh et al. 2022, BrainLes (MONAI), normalizes over the image",
        dimensions=(3,),
        needs="einops",
        one_size=True,  # windows of attention are smaller in small images
    ),
}


class MonaiSliceNetwork(PaddedSliceNetwork):
    """A network of MONAI on slices and their neighbors, see `PaddedSliceNetwork`.

    Args:
        monai: class in `monai.networks.nets`.
        in_channels, num_classes, context_slices, planes: as for `PaddedSliceNetwork`.
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
        channels = in_channels * (2 * context_slices + 1)
        trunk = _build(monai, 2, channels, trunk_channels or num_classes, arguments)
        footprint = _footprint(trunk, monai, 2, arguments)
        super().__init__(trunk, footprint, in_channels, num_classes, context_slices, planes)


class MonaiVolumeNetwork(PaddedVolumeNetwork):
    """A network of MONAI on volumes, see `PaddedVolumeNetwork`.

    Args:
        monai, in_channels, num_classes, arguments: as for `MonaiSliceNetwork`.

    Raises:
        ValueError: arguments that make no network of the image's size.
    """

    def __init__(self, monai: str, in_channels: int = 4, num_classes: int = 5, **arguments: Any):
        trunk = _build(monai, 3, in_channels, num_classes, arguments)
        footprint = _footprint(trunk, monai, 3, arguments)
        super().__init__(trunk, footprint, in_channels, num_classes)
        self.one_size = monai in ADOPTED and ADOPTED[monai].one_size


def _footprint(
    trunk: nn.Module, monai: str, dimensions: int, arguments: Mapping[str, Any]
) -> Footprint:
    if monai == "SwinUNETR":
        return _swin_footprint(**arguments)
    return footprint_of(trunk, monai, dimensions, arguments)


def _swin_footprint(
    patch_size: int = 2,
    depths: Sequence[int] = (2, 2, 2, 2),
    window_size: int | Sequence[int] = 7,
    **_: object,
) -> Footprint:
    """Return what a SwinUNETR needs to see; the field is a bound, for attention is not measured.

    A block of attention reaches one window less a token; windows of every second one are shifted.
    Two convolutions of 3 voxels follow at each level of the way down and of the way up.
    """
    widest = window_size if isinstance(window_size, int) else max(window_size)
    strides = [patch_size * 2**level for level in range(len(depths))]
    attention = sum(
        depth * (widest - 1) * stride for depth, stride in zip(depths, strides, strict=True)
    )
    convolutions = 4 * (1 + sum(strides) + 2 * strides[-1])
    return Footprint((2 * strides[-1],) * 3, 1 + 2 * (attention + convolutions))


class _RatesOnCpu(TorchFunctionMode):
    """Let SwinUNETR read its rates of dropping, also when it is built on the meta device."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        device = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **(kwargs or {}), **device)


def _build(
    monai: str, dimensions: int, in_channels: int, classes: int, arguments: Mapping[str, Any]
) -> nn.Module:
    from monai.networks import nets  # slow to import, rarely needed

    if taken := sorted(set(arguments) & set(_OWN)):
        raise ValueError(f"{', '.join(taken)} cannot be set")
    if sum(arguments.get("depths", ())) > MOST_BLOCKS:
        raise ValueError(f"more than {MOST_BLOCKS} blocks of attention")
    with _RatesOnCpu():
        network: nn.Module = getattr(nets, monai)(
            spatial_dims=dimensions, in_channels=in_channels, out_channels=classes, **arguments
        )
    return network
