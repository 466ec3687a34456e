"""Layers that more than one network uses."""

import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.networks.fourier import FourierConvolution


def to_channels_last(network: nn.Module) -> None:
    """Lay the weights of a network out with the channels last, which is faster on CPUs."""
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub


def zero_bias(layer: nn.Conv2d) -> None:
    """Set the bias of a convolution to 0, where it has one."""
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


class Maxout(nn.Module):
    """Maximum over `pieces` groups of channels (Goodfellow et al. 2013).

    Input (N, pieces * C, H, W), output (N, C, H, W). Channel c of piece k is input channel k * C +
    c.
    """

    def __init__(self, pieces: int):
        super().__init__()
        self.pieces = pieces

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the element-wise maximum of the pieces."""
        first, *others = x.chunk(self.pieces, dim=1)
        for other in others:
            first = torch.maximum(first, other)
        return first


class DensePool(nn.Module):
    """Max-pooling with stride 1, evaluated as a maximum over rows and then over columns."""

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, C, H - size + 1, W - size + 1)."""
        return _running_max(_running_max(x, self.size, 2), self.size, 3)


def _running_max(x: torch.Tensor, size: int, dim: int) -> torch.Tensor:
    """Maximum of `size` neighbors along `dim`, doubling the reach with each step."""
    reach = 1
    while reach < size:
        step = min(reach, size - reach)
        length = x.shape[dim] - step
        x = torch.maximum(x.narrow(dim, 0, length), x.narrow(dim, step, length))
        reach += step
    return x


class LargeConv2d(nn.Conv2d):
    """Valid 2-D convolution with a large kernel and few outputs.

    Weights and results are those of `nn.Conv2d`. Such a kernel leaves most of a vector register
    empty. All kernel rows together are one 1 x k convolution with k times the output channels. Its
    results are added with a shift of one line each. The gradients of that are slow on CPUs; where
    they will be asked for, the convolution is evaluated by FFT.
    """

    bias: nn.Parameter

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, out, H - k + 1, W - k + 1)."""
        by_fourier = self._needs_gradients(x) and self._suits_fourier(x)
        result: torch.Tensor = (
            FourierConvolution.apply(x, self.weight) if by_fourier else self._by_rows(x)
        )
        return result + self.bias.view(1, -1, 1, 1)

    def _needs_gradients(self, x: torch.Tensor) -> bool:
        return torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad)

    def _suits_fourier(self, x: torch.Tensor) -> bool:
        large = min(x.shape[2:]) >= 2 * self.kernel_size[0]
        exact = x.dtype == self.weight.dtype and x.dtype in (torch.float32, torch.float64)
        return large and exact and x.device.type == "cpu"

    def _by_rows(self, x: torch.Tensor) -> torch.Tensor:
        rows, out_channels = self.kernel_size[0], self.out_channels
        weight = self.weight.permute(2, 0, 1, 3).reshape(
            rows * out_channels, self.in_channels, 1, -1
        )
        lines = F.conv2d(x, weight)
        height = x.shape[2] - rows + 1
        total = lines[:, :out_channels, :height]
        for row in range(1, rows):
            channel = row * out_channels
            total = total + lines[:, channel : channel + out_channels, row : row + height]
        return total
