"""The dilated front-end and the context module.

Source: Yu & Koltun, "Multi-scale context aggregation by dilated convolutions", ICLR 2016, sections
3 and 4, table 1.
"""

import torch
from torch import nn

from scripted_models.networks.fcn import BilinearUpsampling
from scripted_models.networks.layers import zero_bias
from scripted_models.networks.placement import receptive_field
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.networks.trunks import VGG16, layers_of

FRONT_STRIDE, FRONT_PADDING = 8, 186  # what the valid convolutions take from each side
DILATIONS = (1, 1, 2, 4, 8, 16, 1)  # of the 3 x 3 convolutions; a 1 x 1 convolution follows
WIDTHS = {"basic": (1,) * 8, "large": (2, 2, 4, 8, 16, 32, 32, 1)}  # in multiples of the classes
SHRINKAGE = 33  # pixels that the context module takes from each side without padding
PADDINGS = ("layers", "input")


class ContextModule(SliceNetwork):
    """Eight convolutions on the classes' scores, which see ever more context.

    At the start it passes the positive part of its input on: output = relu(input) exactly for
    'basic', and for 'large' up to the noise (section 3).

    Args:
        num_classes: maps of input and output.
        kind: 'basic' (28,392 weights for 21 classes) or 'large' (6,803,139).
        padding: 'layers' pads each layer with zeros by its dilation; 'input' pads the input once by
            33 and nothing else, as the published network for VOC. They differ near the border.
        noise: standard deviation of the weights that are 0 in 'large', times the width of their
            layer in multiples of the classes.

    Raises:
        ValueError: an unknown kind or padding.
    """

    margins, receptive_field = (0, 0), 2 * SHRINKAGE + 1

    def __init__(
        self,
        num_classes: int = 21,
        kind: str = "basic",
        padding: str = "layers",
        noise: float = 0.01,
    ):
        super().__init__()
        if kind not in WIDTHS or padding not in PADDINGS:
            raise ValueError(
                f"kind {kind!r} and padding {padding!r}, expected one of {list(WIDTHS)} and of "
                f"{list(PADDINGS)}"
            )
        self.in_channels = self.num_classes = num_classes
        self.padding = padding
        layers: list[nn.Module] = []
        before = num_classes
        for dilation, multiple in zip((*DILATIONS, 0), WIDTHS[kind], strict=True):
            size = 3 if dilation else 1
            inside = dilation if padding == "layers" else 0
            layer = nn.Conv2d(
                before, multiple * num_classes, size, padding=inside, dilation=max(dilation, 1)
            )
            pass_on(layer, num_classes, noise / multiple if kind == "large" else 0.0)
            layers += [layer, *([nn.ReLU(inplace=True)] if dilation else [])]
            before = layer.out_channels
        self.layers = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map scores (N, classes, H, W) to scores of the same shape."""
        if self.padding == "input":
            x = nn.functional.pad(x, (SHRINKAGE,) * 4)
        return self.layers(x)


def pass_on(layer: nn.Conv2d, classes: int, noise: float = 0.0) -> None:
    """Let a convolution hand each class's maps on to the same class (equations 4 and 5)."""
    outputs, inputs = layer.out_channels, layer.in_channels
    of_output = torch.arange(outputs) * classes // outputs
    of_input = torch.arange(inputs) * classes // inputs
    same = of_output[:, None] == of_input
    middle = layer.kernel_size[0] // 2
    with torch.no_grad():
        layer.weight.normal_(0.0, noise) if noise else layer.weight.zero_()
        kept = torch.where(same, classes / outputs, layer.weight[:, :, middle, middle])
        layer.weight[:, :, middle, middle] = kept
    zero_bias(layer)


class DilatedVGG(SliceNetwork):
    """VGG16 with dilation in place of its last two poolings; with a context module if asked.

    All convolutions of the trunk are valid and the image is reflected at its border, so that no map
    has a seam. Scores lie on every eighth pixel, exactly in its middle, and are interpolated
    between.

    Args:
        in_channels: image channels.
        num_classes: classes including background.
        context: '', 'basic' or 'large'.
        context_padding: see `ContextModule`.
        positive_scores: subtract the least score of a pixel before the context module. At its start
            the module gives relu(input), so that negative scores, which the paper passes to it as
            they are, are lost at first: a pixel with none above 0 begins as a tie.
        fixed: train the context module alone (section 4: on the maps of a trained front-end).
        scale: factor of all widths, for small networks.

    Raises:
        ValueError: an unknown context or padding, or nothing to train.
    """

    margins, output_stride = (0, 0), FRONT_STRIDE

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 21,
        context: str = "",
        context_padding: str = "layers",
        positive_scores: bool = False,
        fixed: bool = False,
        scale: float = 1.0,
    ):
        super().__init__()
        if fixed and not context:
            raise ValueError("'fixed' leaves nothing to train without a context module")
        self.in_channels, self.num_classes = in_channels, num_classes
        self.positive_scores = positive_scores
        self.trunk = VGG16(in_channels, scale=scale, dilated=True)
        self.score = nn.Conv2d(self.trunk.width, num_classes, 1)
        nn.init.normal_(self.score.weight, 0.0, 0.001)
        zero_bias(self.score)
        self.context = ContextModule(num_classes, context, context_padding) if context else None
        self.trunk.requires_grad_(not fixed)
        self.score.requires_grad_(not fixed)
        self.upsampling = BilinearUpsampling(num_classes, FRONT_STRIDE)
        around = self.context.receptive_field - 1 if self.context else 0
        # of the scores, before they are interpolated
        self.receptive_field = receptive_field(layers_of(self.trunk)) + FRONT_STRIDE * around

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H, W)."""
        height, width = x.shape[2:]
        x = reflected(x, 2, FRONT_PADDING, FRONT_PADDING + -height % FRONT_STRIDE)
        x = reflected(x, 3, FRONT_PADDING, FRONT_PADDING + -width % FRONT_STRIDE)
        for part in (*self.trunk.stages, self.trunk.classifier):
            x = part(x)
        x = self.score(x)
        if self.context is not None:
            x = self.context(x - x.amin(dim=1, keepdim=True) if self.positive_scores else x)
        edge = FRONT_STRIDE // 2
        return self.upsampling(x)[:, :, edge : edge + height, edge : edge + width]


def reflected(x: torch.Tensor, axis: int, before: int, after: int) -> torch.Tensor:
    """Continue a tensor beyond its ends by reflection, the end pixel not repeated."""
    size = x.shape[axis]
    places = torch.arange(-before, size + after, device=x.device)
    period = max(2 * (size - 1), 1)
    places = places % period
    return x.index_select(axis, torch.minimum(places, period - places).clamp_max(size - 1))
