"""The classification networks that dense prediction is built on, without their classifiers.

`weight_files` reads published weights into them. All poolings round up, as they were trained.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from scripted_models.networks.layers import zero_bias

DROPOUT = 0.5


class Trunk(nn.Module):
    """What all trunks have.

    Attributes:
        stages: layers in their order, each stage but the last of a dilated trunk with its pooling.
        classifier: the layers after them.
        width: maps of the last layer.
        tap_channels: maps of the third and the fourth stage, where they can be tapped.
    """

    stages: nn.ModuleList
    classifier: nn.Sequential
    width: int
    tap_channels: tuple[int, ...] = ()


def pool(size: int, stride: int) -> nn.MaxPool2d:
    """Return a max-pooling that keeps incomplete windows at the end."""
    return nn.MaxPool2d(size, stride, ceil_mode=True)


def convolution(
    in_channels: int, out_channels: int, size: int, **options: Any
) -> Iterator[nn.Module]:
    """Yield a convolution and its ReLU."""
    yield nn.Conv2d(in_channels, out_channels, size, **options)
    yield nn.ReLU(inplace=True)


def dense_classifier(in_channels: int, size: int, width: int, dilation: int = 1) -> nn.Sequential:
    """Return the layers fc6 and fc7 as convolutions.

    Source: Long et al. 2015, section 3.1; dilation: Yu & Koltun 2016, section 4.
    """
    return nn.Sequential(
        *convolution(in_channels, width, size, dilation=dilation),
        nn.Dropout(DROPOUT),
        *convolution(width, width, 1),
        nn.Dropout(DROPOUT),
    )


class VGG16(Trunk):
    """Thirteen convolutions in five stages, then fc6 and fc7.

    Source: Simonyan & Zisserman 2015, "Very deep convolutional networks", table 1, column D.

    Args:
        in_channels: image channels.
        first_padding: of the first convolution; all others keep the size.
        scale: factor of all widths, for small networks.
        dilated: drop the last two poolings and dilate what follows, without any padding (Yu &
            Koltun 2016).
    """

    def __init__(
        self,
        in_channels: int = 3,
        first_padding: int = 1,
        scale: float = 1.0,
        dilated: bool = False,
    ):
        super().__init__()
        widths = [scaled(width, scale) for width in (64, 128, 256, 512, 512)]
        depths, before = (2, 2, 3, 3, 3), in_channels
        self.stages = nn.ModuleList()
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            layers: list[nn.Module] = []
            for index in range(depth):
                padding = first_padding if not stage and not index else 1
                dilation = 2 if dilated and stage == 4 else 1
                layers += convolution(
                    before, width, 3, padding=0 if dilated else padding, dilation=dilation
                )
                before = width
            if not dilated or stage < 3:
                layers.append(pool(2, 2))
            self.stages.append(nn.Sequential(*layers))
        self.width = scaled(4096, scale)
        self.classifier = dense_classifier(before, 7, self.width, dilation=4 if dilated else 1)
        self.tap_channels = (widths[2], widths[3])
        initialize(self)


class CaffeNet(Trunk):
    """Five convolutions, two of them in two groups, then fc6 and fc7: AlexNet as Caffe has it.

    Source: Krizhevsky et al. 2012, "ImageNet classification", with pooling before normalization.

    Args:
        in_channels, first_padding, scale: as for `VGG16`.
    """

    def __init__(self, in_channels: int = 3, first_padding: int = 0, scale: float = 1.0):
        super().__init__()
        a, b, c = (scaled(width, scale, 2) for width in (96, 256, 384))
        norm = lambda: nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)  # noqa: E731
        stages = (
            (*convolution(in_channels, a, 11, stride=4, padding=first_padding), pool(3, 2), norm()),
            (*convolution(a, b, 5, padding=2, groups=2), pool(3, 2), norm()),
            (
                *convolution(b, c, 3, padding=1),
                *convolution(c, c, 3, padding=1, groups=2),
                *convolution(c, b, 3, padding=1, groups=2),
                pool(3, 2),
            ),
        )
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in stages)
        self.width = scaled(4096, scale)
        self.classifier = dense_classifier(b, 6, self.width)
        initialize(self)


class AlexNet(Trunk):
    """Five convolutions without groups and normalization, then fc6 and fc7, as torchvision has it.

    Source: Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks".

    Args:
        in_channels, first_padding, scale: as for `VGG16`.
    """

    def __init__(self, in_channels: int = 3, first_padding: int = 2, scale: float = 1.0):
        super().__init__()
        a, b, c, d = (scaled(width, scale) for width in (64, 192, 384, 256))
        stages = (
            (*convolution(in_channels, a, 11, stride=4, padding=first_padding), pool(3, 2)),
            (*convolution(a, b, 5, padding=2), pool(3, 2)),
            (
                *convolution(b, c, 3, padding=1),
                *convolution(c, d, 3, padding=1),
                *convolution(d, d, 3, padding=1),
                pool(3, 2),
            ),
        )
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in stages)
        self.width = scaled(4096, scale)
        self.classifier = dense_classifier(d, 6, self.width)
        initialize(self)


class Inception(nn.Module):
    """Four branches side by side (Szegedy et al. 2015, figure 2b); as many pixels out as in.

    Args:
        in_channels: of the input.
        widths: 1 x 1; 3 x 3 reduction, 3 x 3; 5 x 5 reduction, 5 x 5; projection after pooling.
        largest: edge of the kernels that are 5 x 5 in the paper.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...], largest: int = 5):
        super().__init__()
        one, reduce3, three, reduce5, five, projection = widths
        self.branch1 = nn.Sequential(*convolution(in_channels, one, 1))
        self.branch2 = nn.Sequential(
            *convolution(in_channels, reduce3, 1), *convolution(reduce3, three, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            *convolution(in_channels, reduce5, 1),
            *convolution(reduce5, five, largest, padding=largest // 2),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, 1), *convolution(in_channels, projection, 1)
        )
        self.out_channels = one + three + five + projection
        # The widest branch, for the place and the receptive field of its output.
        self.kernel_size, self.stride, self.dilation = largest, 1, 1
        self.padding = largest // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to (N, out_channels, H, W)."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(x) for branch in branches], dim=1)


_INCEPTIONS = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


class GoogLeNet(Trunk):
    """Nine inception modules, without the auxiliary classifiers.

    Source: Szegedy et al. 2015, "Going deeper with convolutions", table 1.

    Args:
        in_channels, first_padding, scale: as for `VGG16`.
        average_pool: keep the 7 x 7 average before the classifier, at stride 1. Long et al. 2015
            say that they discard it; the receptive field of 907 that they print needs it.
    """

    normalized = True  # by local responses
    largest, last_pool = 5, 3  # edges of the largest kernels of a module, and of the last pooling

    def __init__(
        self,
        in_channels: int = 3,
        first_padding: int = 3,
        scale: float = 1.0,
        average_pool: bool = False,
    ):
        super().__init__()
        a, b = scaled(64, scale), scaled(192, scale)
        norm = [nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)] if self.normalized else []
        stages: list[list[nn.Module]] = [
            [*convolution(in_channels, a, 7, stride=2, padding=first_padding), pool(3, 2), *norm],
            [*convolution(a, a, 1), *convolution(a, b, 3, padding=1), *norm, pool(3, 2)],
        ]
        before = b
        for index, modules in enumerate(_INCEPTIONS):
            layers: list[nn.Module] = []
            for widths in modules:
                own = tuple(scaled(width, scale) for width in widths)
                module = Inception(before, own, self.largest)
                layers.append(module)
                before = module.out_channels
            if index < 2:
                layers.append(pool(3 if index == 0 else self.last_pool, 2))
            stages.append(layers)
        self.stages = nn.ModuleList(nn.Sequential(*layers) for layers in stages)
        self.width = before
        average = [nn.AvgPool2d(7, 1)] if average_pool else []
        self.classifier = nn.Sequential(*average, nn.Dropout(0.4))
        initialize(self)


class GoogLeNetBN(GoogLeNet):
    """GoogLeNet as torchvision has it: 3 x 3 for 5 x 5, normalization, a smaller last pooling.

    The batch normalization is part of the convolutions here, as it is at prediction. Arguments as
    for `GoogLeNet`.
    """

    normalized = False
    largest, last_pool = 3, 2


TRUNKS: dict[str, type[VGG16 | CaffeNet | AlexNet | GoogLeNet]] = {
    "VGG16": VGG16,
    "AlexNet": CaffeNet,
    "AlexNet2014": AlexNet,
    "GoogLeNet": GoogLeNet,
    "GoogLeNetBN": GoogLeNetBN,
}


def initialize(trunk: nn.Module) -> None:
    """Draw kernels whose maps keep their scale through ReLUs.

    Deep trunks learn nothing from smaller ones.
    Source: He et al. 2015, "Delving deep into rectifiers", equation 10.
    """
    for layer in trunk.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            zero_bias(layer)


def scaled(width: int, scale: float, multiple: int = 1) -> int:
    """Return a width times a factor, at least 1 and a multiple of a number."""
    return max(1, round(width * scale / multiple)) * multiple


def layers_of(trunk: Trunk) -> Iterator[nn.Module]:
    """Yield the layers of a trunk in their order; inception modules count as one."""
    for part in (*trunk.stages, trunk.classifier):
        yield from part.children()
