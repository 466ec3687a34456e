"""Fully convolutional networks: FCN-32s, FCN-16s, FCN-8s.

Source: Long, Shelhamer & Darrell, "Fully convolutional networks for semantic segmentation", CVPR
2015, section 4 and tables 1 and 2; padding, crops and initial values as in the authors' published
networks.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.networks.layers import zero_bias
from scripted_models.networks.placement import Placed, receptive_field, smaller
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.networks.trunks import TRUNKS, Trunk, layers_of

IMAGE_PADDING = 100  # pixels that the published networks add around an image in their first layer
LEAST_PIXELS = 64  # smaller images are padded to this size, or poolings would leave nothing
AT_ONCE = {"pool4": 0.01, "pool3": 0.0001}  # factors of the skips when all is trained at once


class BilinearUpsampling(nn.ConvTranspose2d):
    """Transposed convolution of each map with a bilinear kernel.

    Args:
        channels: maps.
        factor: of the resolution.
        size: of the kernel; by default twice the factor.
        learned: let training change the kernels.
    """

    def __init__(self, channels: int, factor: int, size: int = 0, learned: bool = False):
        size = size or 2 * factor
        super().__init__(channels, channels, size, factor, groups=channels, bias=False)
        with torch.no_grad():
            self.weight.copy_(bilinear_kernel(size, factor).expand_as(self.weight))
        self.weight.requires_grad_(learned)


def bilinear_kernel(size: int, factor: int) -> torch.Tensor:
    """Return the kernel (size, size) of a bilinear interpolation by a factor."""
    places = torch.arange(size) - (size - 1) / 2
    triangle = (1 - places.abs() / factor).clamp_min(0)
    return torch.outer(triangle, triangle)


class FCN(SliceNetwork):
    """Scores on a trunk's last map, and on earlier ones, upsampled to the image.

    Args:
        in_channels: image channels.
        num_classes: classes including background.
        trunk: one of `TRUNKS`; skips need 'VGG16'.
        stride: of the finest map that is scored: 32, 16 or 8.
        pad_image: add the 100 pixels of the published networks around the image. Without them the
            first layer keeps the size and fc6 is padded instead: a third of the arithmetic for a
                brain slice, and other values near the edge.
        at_once: scale the skips so that all can be trained together (PAMI version of the paper).
        fixed: train the scores alone (table 2, "FCN-32s-fixed").
        learned_upsampling: train the kernels of all upsamplings but the last (section 4.1).
        scale: factor of all widths, for small networks.
        average_pool: of GoogLeNet.

    Raises:
        ValueError: an unknown trunk or stride, or skips on another trunk than VGG16.
    """

    margins = (0, 0)

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 21,
        trunk: str = "VGG16",
        stride: int = 32,
        pad_image: bool = True,
        at_once: bool = False,
        fixed: bool = False,
        learned_upsampling: bool = False,
        scale: float = 1.0,
        average_pool: bool = False,
    ):
        super().__init__()
        _check(trunk, stride)
        self.in_channels, self.num_classes, self.output_stride = in_channels, num_classes, stride
        inception = trunk in ("GoogLeNet", "GoogLeNetBN")
        own: dict[str, Any] = {"average_pool": average_pool} if inception else {}
        if pad_image and (not inception or average_pool):
            own["first_padding"] = IMAGE_PADDING
        self.trunk = TRUNKS[trunk](in_channels, scale=scale, **own)
        if not pad_image:
            _pad_inside(self.trunk)
        self.score = _zero_scores(self.trunk.width, num_classes)
        self.skips = nn.ModuleDict()
        self.factors: Mapping[str, float] = AT_ONCE if at_once else {}
        for name in ("pool4", "pool3")[: {32: 0, 16: 1, 8: 2}[stride]]:
            channels = self.trunk.tap_channels[name == "pool4"]
            self.skips[name] = _zero_scores(channels, num_classes)
        self.doublings = nn.ModuleList(
            BilinearUpsampling(num_classes, 2, learned=learned_upsampling) for _ in self.skips
        )
        size = 2 * stride if trunk == "VGG16" else 2 * stride - 1
        self.upsampling = BilinearUpsampling(num_classes, stride, size)
        self.trunk.requires_grad_(not fixed)
        self.receptive_field = receptive_field(layers_of(self.trunk))  # of its last layer (table 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H, W)."""
        image = Placed(x)
        below, right = (LEAST_PIXELS - smaller(n, LEAST_PIXELS) for n in x.shape[2:])
        placed, taps = Placed(F.pad(x, (0, right, 0, below))), {}
        for number, stage in enumerate(self.trunk.stages, start=1):
            placed = placed.through(stage.children())
            taps[f"pool{number}"] = placed
        scores = placed.through(self.trunk.classifier).through([self.score])
        for (name, layer), doubling in zip(self.skips.items(), self.doublings, strict=True):
            finer = taps[name]
            scaled = replace(finer, values=finer.values * self.factors.get(name, 1.0))
            scores = scores.through([doubling]) + scaled.through([layer])
        return scores.through([self.upsampling]).cropped_to(image)


def _zero_scores(channels: int, num_classes: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, num_classes, 1)
    nn.init.zeros_(layer.weight)
    zero_bias(layer)
    return layer


def _check(trunk: str, stride: int) -> None:
    if trunk not in TRUNKS:
        raise ValueError(f"'trunk' is {trunk!r}, expected one of {list(TRUNKS)}")
    if stride not in (32, 16, 8):
        raise ValueError(f"'stride' is {stride}, expected 32, 16 or 8")
    if stride < 32 and trunk != "VGG16":
        raise ValueError(f"skips (stride {stride}) need the trunk VGG16, not {trunk}")


def _pad_inside(trunk: Trunk) -> None:
    """Pad the layers that shrink the map beyond their stride.

    They are the first convolution, fc6, and the average.
    """
    for layer in (next(trunk.stages[0].children()), trunk.classifier[0]):
        if isinstance(layer, nn.Conv2d):
            layer.padding = tuple(size // 2 for size in layer.kernel_size)
        elif isinstance(layer, nn.AvgPool2d) and isinstance(layer.kernel_size, int):
            layer.padding, layer.count_include_pad = layer.kernel_size // 2, False
