"""The two U-Nets of nnU-Net version 2, layer by layer as its weights have them.

Source: Isensee et al. 2021, "nnU-Net", Nature Methods 18; Isensee et al. 2024, "nnU-Net revisited",
MICCAI; the package `dynamic-network-architectures` 0.4. Names, order and shapes of the parameters
are those of the package, of which `Testing/test_nnunet.py` makes sure; layers that stand there
under two names stand here under both. Convolutions of 3 x 3 (x 3) voxels halve, transposed ones
double; instance normalization and leaky rectifiers follow each. Bottleneck blocks, dropout and
other normalizations, which published plans do not have, are left out.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from scripted_models.networks.footprint import Footprint
from scripted_models.networks.padded import PaddedSliceNetwork, PaddedVolumeNetwork
from scripted_models.networks.slice_network import PLANES

Size = int | Sequence[int]  # along all axes, or along each
_SLOPE = 1e-2
_CONVOLUTION: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM: dict[int, type[nn.Module]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_POOL: dict[int, type[nn.Module]] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


class ConvNormAct(nn.Module):
    """Convolution, instance normalization and, unless it is the last of a block, a rectifier."""

    def __init__(
        self,
        dimensions: int,
        channels: tuple[int, int],
        kernel: Size,
        stride: Size = 1,
        bias: bool = True,
        rectified: bool = True,
    ):
        super().__init__()
        sizes = _along_axes(kernel, dimensions)
        if not all(size % 2 for size in sizes):
            raise ValueError(f"expected odd kernels, which keep the size, not {list(sizes)}")
        padding = tuple((size - 1) // 2 for size in sizes)
        self.conv = _CONVOLUTION[dimensions](
            *channels, sizes, _along_axes(stride, dimensions), padding, bias=bias
        )
        self.norm = _NORM[dimensions](channels[1], eps=1e-5, affine=True)
        layers = [self.conv, self.norm]
        if rectified:
            self.nonlin = nn.LeakyReLU(_SLOPE, inplace=True)
            layers.append(self.nonlin)
        self.all_modules = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to (N, C', ...)."""
        return self.all_modules(x)


class ConvStack(nn.Module):
    """Convolutions one after the other, of which the first may have a stride."""

    def __init__(
        self,
        dimensions: int,
        count: int,
        channels: tuple[int, int],
        kernel: Size,
        stride: Size = 1,
        bias: bool = True,
    ):
        super().__init__()
        first, last = channels
        layer = partial(ConvNormAct, dimensions, bias=bias)
        rest = [layer((last, last), kernel) for _ in range(count - 1)]
        self.convs = nn.Sequential(layer((first, last), kernel, stride), *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to (N, C', ...)."""
        return self.convs(x)


class ResidualBlock(nn.Module):
    """Two convolutions beside a shortcut, which is pooled and projected where it has to be."""

    def __init__(
        self, dimensions: int, channels: tuple[int, int], kernel: Size, stride: Size, bias: bool
    ):
        super().__init__()
        first, last = channels
        strides = _along_axes(stride, dimensions)
        self.conv1 = ConvNormAct(dimensions, channels, kernel, strides, bias)
        self.conv2 = ConvNormAct(dimensions, (last, last), kernel, 1, bias, rectified=False)
        self.nonlin2 = nn.LeakyReLU(_SLOPE, inplace=True)
        shortcut = [_POOL[dimensions](strides, strides)] if max(strides) > 1 else []
        if first != last:
            shortcut.append(ConvNormAct(dimensions, channels, 1, 1, bias=False, rectified=False))
        if shortcut:
            self.skip = nn.Sequential(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to (N, C', ...)."""
        residual = self.skip(x) if hasattr(self, "skip") else x
        return self.nonlin2(self.conv2(self.conv1(x)) + residual)


class ResidualStack(nn.Module):
    """Residual blocks one after the other, of which the first may have a stride."""

    def __init__(
        self,
        dimensions: int,
        count: int,
        channels: tuple[int, int],
        kernel: Size,
        stride: Size,
        bias: bool,
    ):
        super().__init__()
        first, last = channels
        block = partial(ResidualBlock, dimensions, kernel=kernel, bias=bias)
        rest = [block(channels=(last, last), stride=1) for _ in range(count - 1)]
        self.blocks = nn.Sequential(block(channels=(first, last), stride=stride), *rest)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, ...) to (N, C', ...)."""
        return self.blocks(x)


class Encoder(nn.Module):
    """The way down: one stage for each resolution.

    Args:
        dimensions: 2 or 3.
        in_channels: of the input.
        features: channels of each stage.
        kernels, strides: of each stage.
        counts: convolutions or residual blocks of each stage.
        residual: whether stages are of residual blocks, after a stem.
        bias: whether convolutions have one.
    """

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        features: Sequence[int],
        kernels: Sequence[Size],
        strides: Sequence[Size],
        counts: Sequence[int],
        residual: bool,
        bias: bool,
    ):
        super().__init__()
        before = in_channels
        if residual:
            self.stem = ConvStack(dimensions, 1, (in_channels, features[0]), kernels[0], bias=bias)
            before = features[0]
        stages: list[nn.Module] = []
        for width, kernel, stride, count in zip(features, kernels, strides, counts, strict=True):
            kind = ResidualStack if residual else ConvStack
            stage = kind(dimensions, count, (before, width), kernel, stride, bias)
            stages.append(stage if residual else nn.Sequential(stage))
            before = width
        self.stages = nn.Sequential(*stages)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map (N, C, ...) to the maps of all stages, the largest first."""
        maps = [self.stem(x) if hasattr(self, "stem") else x]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[1:]


class Decoder(nn.Module):
    """The way up, with an output layer at each stage, of which the last one counts."""

    def __init__(
        self,
        dimensions: int,
        encoder: Encoder,
        num_classes: int,
        features: Sequence[int],
        kernels: Sequence[Size],
        strides: Sequence[Size],
        counts: Sequence[int],
        bias: bool,
    ):
        super().__init__()
        self.encoder = encoder  # its weights are stored under this name, too
        stages, transposed, outputs = [], [], []
        for level, count in zip(range(len(features) - 2, -1, -1), counts, strict=True):
            below, width = features[level + 1], features[level]
            step = _along_axes(strides[level + 1], dimensions)
            transposed.append(_TRANSPOSED[dimensions](below, width, step, step, bias=bias))
            stages.append(ConvStack(dimensions, count, (2 * width, width), kernels[level], 1, bias))
            outputs.append(_CONVOLUTION[dimensions](width, num_classes, 1))
        self.stages, self.transpconvs = nn.ModuleList(stages), nn.ModuleList(transposed)
        self.seg_layers = nn.ModuleList(outputs)

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Map the encoder's maps to the features of all stages, the largest last."""
        features = [maps[-1]]
        levels = zip(self.stages, self.transpconvs, reversed(maps[:-1]), strict=True)
        for stage, transposed, beside in levels:
            features.append(stage(torch.cat((transposed(features[-1]), beside), 1)))
        return features[1:]


class NnUNet(nn.Module):
    """PlainConvUNet or ResidualEncoderUNet.

    Args:
        dimensions: 2 or 3.
        in_channels, num_classes: of the first and the last layer.
        features: channels of each stage.
        kernels, strides: of each stage, numbers or one number for each axis.
        encoder_counts: convolutions or residual blocks of each stage.
        decoder_counts: convolutions of each stage of the way up, the smallest first.
        residual: which of the two it is.
        bias: whether convolutions have one.
        deep_supervision: return the logits of all stages.

    Raises:
        ValueError: lists that do not fit each other.
    """

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        num_classes: int,
        features: Sequence[int],
        kernels: Sequence[Size],
        strides: Sequence[Size],
        encoder_counts: Sequence[int],
        decoder_counts: Sequence[int],
        residual: bool,
        bias: bool = True,
        deep_supervision: bool = False,
    ):
        super().__init__()
        self.deep_supervision = deep_supervision
        self.encoder = Encoder(
            dimensions, in_channels, features, kernels, strides, encoder_counts, residual, bias
        )
        self.decoder = Decoder(
            *(dimensions, self.encoder, num_classes, features, kernels, strides),
            *(decoder_counts, bias),
        )
        self.apply(_initialize)

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Map (N, C, ...) to logits of the same size, or to those of all stages, largest first."""
        features = self.decoder(self.encoder(x))
        layers = list(self.decoder.seg_layers)
        if not self.deep_supervision:
            logits: torch.Tensor = layers[-1](features[-1])
            return logits
        return [layer(maps) for layer, maps in zip(layers, features, strict=True)][::-1]


def plain_conv_unet(
    dimensions: int,
    in_channels: int = 4,
    num_classes: int = 5,
    features_per_stage: Sequence[int] = (32, 64, 128, 256, 320, 320),
    kernel_sizes: Sequence[int | Sequence[int]] = (3, 3, 3, 3, 3, 3),
    strides: Sequence[int | Sequence[int]] = (1, 2, 2, 2, 2, 2),
    n_conv_per_stage: Sequence[int] = (2, 2, 2, 2, 2, 2),
    n_conv_per_stage_decoder: Sequence[int] = (2, 2, 2, 2, 2),
    conv_bias: bool = True,
    context_slices: int = 0,
    planes: Sequence[str] = PLANES[:1],
) -> PaddedSliceNetwork | PaddedVolumeNetwork:
    """Build nnU-Net's PlainConvUNet; arguments have the names of its plans.

    Raises:
        ValueError: lists that do not fit each other, or more slices and planes than one in 3-D.
    """
    counts = (n_conv_per_stage, n_conv_per_stage_decoder)
    shape = (features_per_stage, kernel_sizes, strides, *counts)
    return _adapted(
        dimensions, (in_channels, num_classes), shape, False, conv_bias, context_slices, planes
    )


def residual_encoder_unet(
    dimensions: int,
    in_channels: int = 4,
    num_classes: int = 5,
    features_per_stage: Sequence[int] = (32, 64, 128, 256, 320, 320),
    kernel_sizes: Sequence[int | Sequence[int]] = (3, 3, 3, 3, 3, 3),
    strides: Sequence[int | Sequence[int]] = (1, 2, 2, 2, 2, 2),
    n_blocks_per_stage: Sequence[int] = (1, 3, 4, 6, 6, 6),
    n_conv_per_stage_decoder: Sequence[int] = (1, 1, 1, 1, 1),
    conv_bias: bool = True,
    context_slices: int = 0,
    planes: Sequence[str] = PLANES[:1],
) -> PaddedSliceNetwork | PaddedVolumeNetwork:
    """Build nnU-Net's ResidualEncoderUNet; arguments have the names of its plans.

    Raises:
        ValueError: as `plain_conv_unet`.
    """
    counts = (n_blocks_per_stage, n_conv_per_stage_decoder)
    shape = (features_per_stage, kernel_sizes, strides, *counts)
    return _adapted(
        dimensions, (in_channels, num_classes), shape, True, conv_bias, context_slices, planes
    )


def _adapted(
    dimensions: int,
    channels: tuple[int, int],
    shape: tuple[Sequence[Any], ...],
    residual: bool,
    bias: bool,
    context_slices: int,
    planes: Sequence[str],
) -> PaddedSliceNetwork | PaddedVolumeNetwork:
    """Put a U-Net into what makes whole pixels of an image of any size."""
    in_channels, classes = channels
    seen = in_channels * (2 * context_slices + 1)
    trunk = NnUNet(dimensions, seen, classes, *shape, residual=residual, bias=bias)
    for layer in list(trunk.decoder.seg_layers)[:-1]:  # of deep supervision, not used here
        layer.requires_grad_(False)
    footprint = _footprint(dimensions, shape, residual)
    if dimensions == 2:
        return PaddedSliceNetwork(trunk, footprint, in_channels, classes, context_slices, planes)
    if context_slices or tuple(planes) != PLANES[:1]:
        raise ValueError("a network of volumes has neither context_slices nor planes")
    return PaddedVolumeNetwork(trunk, footprint, in_channels, classes)


def _footprint(dimensions: int, shape: tuple[Sequence[Any], ...], residual: bool) -> Footprint:
    """Return what a U-Net needs to see; counted here, because measuring takes seconds.

    Along each axis a convolution reaches half its kernel at its resolution, one with a stride at
    the resolution before. What lies in one pixel of the lowest level is seen together.
    """
    _, kernels, strides, counts, counts_up = shape
    multiples, reaches = [], []
    for axis in range(dimensions):
        halves = [_along_axes(kernel, dimensions)[axis] // 2 for kernel in kernels]
        steps = [_along_axes(stride, dimensions)[axis] for stride in strides]
        reach, pixels, sizes = halves[0] if residual else 0, 1, []
        for half, step, count in zip(halves, steps, counts, strict=True):
            convolutions = 2 * count if residual else count
            reach += half * (pixels + (convolutions - 1) * pixels * step)
            pixels *= step
            sizes.append(pixels)
        for level, count in enumerate(reversed(counts_up)):
            reach += halves[level] * count * sizes[level]
        multiples.append(pixels)
        reaches.append(reach + pixels - 1)
    return Footprint(tuple(multiples), 1 + 2 * max(reaches))


def _along_axes(value: Size, dimensions: int) -> tuple[int, ...]:
    """Return a number for each axis."""
    values = (value,) * dimensions if isinstance(value, int) else tuple(value)
    if len(values) != dimensions:
        raise ValueError(f"expected {dimensions} numbers in {list(values)}")
    return values


def _initialize(layer: nn.Module) -> None:
    """Give the weights their values at the start, as nnU-Net does."""
    if isinstance(layer, (*_CONVOLUTION.values(), *_TRANSPOSED.values())):
        nn.init.kaiming_normal_(layer.weight, a=_SLOPE)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    if isinstance(layer, ResidualBlock):  # begins as its shortcut
        nn.init.zeros_(layer.conv2.norm.weight)
        nn.init.zeros_(layer.conv2.norm.bias)
