"""The two U-Nets of nnU-Net version 2, layer by layer as its weights have them.

Source: Isensee et al. 2021, "nnU-Net", Nature Methods 18; Isensee et al. 2024, "nnU-Net revisited",
MICCAI; the package `dynamic-network-architectures` 0.4. Names, order and shapes of the parameters
are those of the package, of which `Testing/test_nnunet.py` makes sure; layers that stand there
under two names stand here under both. Convolutions of 3 x 3 (x 3) voxels halve, transposed ones
double; instance normalization and leaky rectifiers follow each. Bottleneck blocks, dropout and
other normalizations, which published plans do not have, are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from scripted_models.networks.footprint import Footprint
from scripted_models.networks.nnunet_blocks import (
    CONVOLUTION,
    TRANSPOSED,
    ConvStack,
    ResidualStack,
    Size,
    along_axes,
    initialize,
)
from scripted_models.networks.padded import PaddedSliceNetwork, PaddedVolumeNetwork
from scripted_models.networks.slice_network import PLANES


@dataclass(frozen=True)
class Shape:
    """The form of a U-Net.

    Attributes:
        features: channels of each stage.
        kernels, strides: of each stage, numbers or one number for each axis.
        encoder_counts: convolutions or residual blocks of each stage.
        decoder_counts: convolutions of each stage of the way up, the smallest first.
        residual: which of the two it is.
        bias: whether convolutions have one.
    """

    features: Sequence[int]
    kernels: Sequence[Size]
    strides: Sequence[Size]
    encoder_counts: Sequence[int]
    decoder_counts: Sequence[int]
    residual: bool
    bias: bool = True


class Encoder(nn.Module):
    """The way down: one stage for each resolution, before residual ones a stem."""

    def __init__(self, dimensions: int, in_channels: int, shape: Shape):
        super().__init__()
        before, kind = in_channels, ResidualStack if shape.residual else ConvStack
        if shape.residual:
            before = shape.features[0]
            channels = (in_channels, before)
            self.stem = ConvStack(dimensions, 1, channels, shape.kernels[0], 1, shape.bias)
        stages: list[nn.Module] = []
        settings = (shape.features, shape.kernels, shape.strides, shape.encoder_counts)
        for width, kernel, stride, count in zip(*settings, strict=True):
            stage = kind(dimensions, count, (before, width), kernel, stride, shape.bias)
            stages.append(stage if shape.residual else nn.Sequential(stage))
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

    def __init__(self, dimensions: int, encoder: Encoder, num_classes: int, shape: Shape):
        super().__init__()
        self.encoder = encoder  # its weights are stored under this name, too
        stages, transposed, outputs = [], [], []
        levels = range(len(shape.features) - 2, -1, -1)
        for level, count in zip(levels, shape.decoder_counts, strict=True):
            below, width = shape.features[level + 1], shape.features[level]
            step = along_axes(shape.strides[level + 1], dimensions)
            up = TRANSPOSED[dimensions](below, width, step, step, bias=shape.bias)
            transposed.append(up)
            channels = (2 * width, width)
            stages.append(
                ConvStack(dimensions, count, channels, shape.kernels[level], 1, shape.bias)
            )
            outputs.append(CONVOLUTION[dimensions](width, num_classes, 1))
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
        shape: the rest.
        deep_supervision: return the logits of all stages.

    Raises:
        ValueError: lists that do not fit each other.
    """

    def __init__(
        self,
        dimensions: int,
        in_channels: int,
        num_classes: int,
        shape: Shape,
        deep_supervision: bool = False,
    ):
        super().__init__()
        self.deep_supervision = deep_supervision
        self.encoder = Encoder(dimensions, in_channels, shape)
        self.decoder = Decoder(dimensions, self.encoder, num_classes, shape)
        self.apply(initialize)

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
    shape = Shape(features_per_stage, kernel_sizes, strides, *counts, False, conv_bias)
    return _adapted(dimensions, in_channels, num_classes, shape, context_slices, planes)


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
    shape = Shape(features_per_stage, kernel_sizes, strides, *counts, True, conv_bias)
    return _adapted(dimensions, in_channels, num_classes, shape, context_slices, planes)


def _adapted(
    dimensions: int,
    in_channels: int,
    num_classes: int,
    shape: Shape,
    context_slices: int,
    planes: Sequence[str],
) -> PaddedSliceNetwork | PaddedVolumeNetwork:
    """Put a U-Net into what makes whole pixels of an image of any size."""
    seen = in_channels * (2 * context_slices + 1)
    trunk = NnUNet(dimensions, seen, num_classes, shape)
    for layer in list(trunk.decoder.seg_layers)[:-1]:  # of deep supervision, not used here
        layer.requires_grad_(False)
    need = footprint(dimensions, shape)
    if dimensions == 2:
        return PaddedSliceNetwork(trunk, need, in_channels, num_classes, context_slices, planes)
    if context_slices or tuple(planes) != PLANES[:1]:
        raise ValueError("a network of volumes has neither context_slices nor planes")
    return PaddedVolumeNetwork(trunk, need, in_channels, num_classes)


def footprint(dimensions: int, shape: Shape) -> Footprint:
    """Return what a U-Net needs to see; counted here, because measuring takes seconds.

    Along each axis a convolution reaches half its kernel at its resolution, one with a stride at
    the resolution before. What lies in one pixel of the lowest level is seen together.
    """
    multiples, reaches = [], []
    for axis in range(dimensions):
        halves = [along_axes(kernel, dimensions)[axis] // 2 for kernel in shape.kernels]
        steps = [along_axes(stride, dimensions)[axis] for stride in shape.strides]
        reach, pixels, sizes = halves[0] if shape.residual else 0, 1, []
        for half, step, count in zip(halves, steps, shape.encoder_counts, strict=True):
            convolutions = 2 * count if shape.residual else count
            reach += half * pixels * (1 + (convolutions - 1) * step)
            pixels *= step
            sizes.append(pixels)
        for level, count in enumerate(reversed(shape.decoder_counts)):
            reach += halves[level] * count * sizes[level]
        multiples.append(pixels)
        reaches.append(reach + pixels - 1)
    return Footprint(tuple(multiples), 1 + 2 * max(reaches))
