"""The receptive field of a padded network, measured instead of derived by hand.

Along each axis the network is copied as a network of lines: convolutions become averages of one
channel, poolings become means, and what acts on single pixels does nothing. Nothing is negative and
nothing cancels, so the gradient of a pixel is above 0 exactly where the pixel may depend on the
input. Normalization over a whole image is not counted.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

PROBE = 11520  # 2^8 * 3^2 * 5 pixels: whole pixels at all usual levels
MOST_PIXELS = 1 << 13  # of a line, twice the widest reach
MOST_AT_ONCE = 1 << 15  # pixels of all lines that are computed together
WIDEST_KERNEL = 512
_POINTWISE = (
    "torch.nn.modules.activation",
    "torch.nn.modules.dropout",
    "torch.nn.modules.batchnorm",
    "torch.nn.modules.instancenorm",
    "torch.nn.modules.normalization",
    "monai.networks.blocks.activation",
)
Setting = Callable[[str], Any]  # of a layer along one axis, by name


@dataclass(frozen=True)
class Footprint:
    """What a network needs to see.

    Attributes:
        multiples: of each axis, the pixels of the image that make one pixel of the lowest level.
        receptive_field: pixels along the longest axis that an output may depend on.
    """

    multiples: tuple[int, ...]
    receptive_field: int


def measure(network: nn.Module, dimensions: int) -> Footprint:
    """Measure a network that is made of layers and keeps the size of the image.

    Args:
        network: its weights and their device do not matter.
        dimensions: 2 for slices, 3 for volumes.

    Raises:
        ValueError: another size comes out, or there is a layer that cannot be measured.
    """
    lines = [_as_lines(network, axis) for axis in range(dimensions)]
    multiples = tuple(_lowest_level(line) for line in lines)
    reaches = [_reach(line, multiple) for line, multiple in zip(lines, multiples, strict=True)]
    return Footprint(multiples, 1 + 2 * max(reaches))


class _Line(nn.Module):
    """A convolution of one channel whose weights are all the same, of the mean over the channels.

    Args:
        size, stride, dilation: of the kernel.
        padding: zeros at the low and the high end; a negative number takes pixels away.
        spread: put the pixels so far apart before, with zeros between them.
    """

    def __init__(
        self, size: int, stride: int, dilation: int, padding: tuple[int, int], spread: int = 1
    ):
        super().__init__()
        self.window, self.stride, self.dilation = dilation * (size - 1) + 1, stride, dilation
        self.padding, self.spread = padding, spread
        if not 0 < max(self.window, stride, spread) <= WIDEST_KERNEL:
            raise ValueError(f"a kernel of {self.window} pixels is wider than {WIDEST_KERNEL}")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, L) to (N, 1, L')."""
        line = F.pad(x.mean(dim=1, keepdim=True)[..., None], (0, self.spread - 1)).flatten(2)
        line = F.pad(line[:, :, : line.shape[2] - self.spread + 1], self.padding)
        return line.unfold(2, self.window, self.stride)[..., :: self.dilation].mean(dim=3)


def _as_lines(network: nn.Module, axis: int) -> nn.Module:
    """Return what a network does along one axis, as a network of (N, C, L)."""
    tensors = (*network.parameters(), *network.buffers())
    line = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    for path, layer in list(line.named_modules(remove_duplicate=False)):
        if not list(layer.children()):
            parent, _, name = path.rpartition(".")
            setattr(line.get_submodule(parent), name, _line_layer(layer, axis))
    return line.eval()


def _line_layer(layer: nn.Module, axis: int) -> nn.Module:
    """Return the layer of lines that stands for a layer of images.

    Raises:
        ValueError: a kind of layer that is not known here.
    """
    if type(layer).__module__ in _POINTWISE:
        return nn.Identity()
    for kinds, make in _LAYERS:
        if isinstance(layer, kinds):
            return make(lambda name: _of_axis(getattr(layer, name), axis))
    if next(layer.parameters(), None) is None:
        return layer
    raise ValueError(f"the receptive field of a {type(layer).__name__} cannot be measured")


def _of_axis(value: object, axis: int) -> object:
    return value[axis] if isinstance(value, (tuple, list)) else value


def _convolution(of: Setting) -> nn.Module:
    size, stride, padding, dilation = map(of, ("kernel_size", "stride", "padding", "dilation"))
    if isinstance(padding, str):
        around = dilation * (size - 1) if padding == "same" else 0
        return _Line(size, stride, dilation, (around // 2, around - around // 2))
    return _Line(size, stride, dilation, (padding, padding))


def _transposed(of: Setting) -> nn.Module:
    size, stride, padding, dilation = map(of, ("kernel_size", "stride", "padding", "dilation"))
    around = dilation * (size - 1) - padding
    return _Line(size, 1, dilation, (around, around + of("output_padding")), stride)


def _pooling(of: Setting) -> nn.Module:
    size, stride, padding = map(of, ("kernel_size", "stride", "padding"))
    if of("ceil_mode"):
        raise ValueError("the receptive field of a pooling that rounds up cannot be measured")
    return _Line(size, stride, 1, (padding, padding))


def _upsampling(of: Setting) -> nn.Module:
    mode = "linear" if of("mode") in ("bilinear", "trilinear") else of("mode")
    return nn.Upsample(of("size"), of("scale_factor"), mode, of("align_corners"))


_LAYERS: tuple[tuple[tuple[type[nn.Module], ...], Callable[[Setting], nn.Module]], ...] = (
    ((nn.Conv2d, nn.Conv3d), _convolution),
    ((nn.ConvTranspose2d, nn.ConvTranspose3d), _transposed),
    ((nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool2d, nn.AvgPool3d), _pooling),
    ((nn.Upsample,), _upsampling),
)


def _run(line: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Evaluate a network of lines.

    Raises:
        ValueError: not one line of the same length comes out.
    """
    try:
        result = line(x)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"its layers cannot be measured along one axis ({error})") from error
    if not torch.is_tensor(result) or result.dim() != x.dim() or len(result[0, 0]) != x.shape[2]:
        raise ValueError("it does not return one map of the size of the image")
    return result


def _lowest_level(line: nn.Module) -> int:
    """Return the pixels of a line that make one pixel of the lowest level."""
    sizes: list[int] = []
    leaves = [layer for layer in line.modules() if not list(layer.children())]
    hooks = [
        leaf.register_forward_hook(lambda _, x, result: sizes.append(result.shape[-1]))
        for leaf in leaves
    ]
    with torch.no_grad():
        _run(line, torch.zeros((1, 1, PROBE), device="cpu"))
    for hook in hooks:
        hook.remove()
    if uneven := {size for size in sizes if PROBE % size and size % PROBE}:
        raise ValueError(f"maps of {uneven} pixels are not whole parts of {PROBE}")
    return math.lcm(*(max(PROBE // size, 1) for size in sizes))


def _reach(line: nn.Module, multiple: int) -> int:
    """Return how far from an output pixel the furthest pixel lies that it may depend on."""
    length = 8 * multiple
    while length <= MOST_PIXELS:
        first = length // 2 // multiple * multiple
        places = torch.arange(first, first + multiple, device="cpu")
        seen = [_seen(line, part, length) for part in places.split(MOST_AT_ONCE // length)]
        low, high = torch.cat(seen, dim=1)
        if low.min() > 0 and high.max() < length - 1:
            return int(torch.maximum(places - low, high - places).max())
        length *= 2
    raise ValueError(f"a pixel depends on more than {MOST_PIXELS // 2} others along an axis")


def _seen(line: nn.Module, places: torch.Tensor, length: int) -> torch.Tensor:
    """Return the first and the last pixel of a line that each place depends on, (2, places)."""
    image = torch.ones((len(places), 1, length), dtype=torch.float64, device="cpu")
    image.requires_grad_()
    each = torch.arange(len(places), device="cpu")
    chosen = _run(line, image)[each, :, places].sum()
    (gradient,) = torch.autograd.grad(chosen, image)
    is_seen = (gradient[:, 0] > 0).to(torch.uint8)
    return torch.stack([is_seen.argmax(dim=1), length - 1 - is_seen.flip(1).argmax(dim=1)])
