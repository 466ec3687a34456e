"""Layers that more than one network uses."""

import torch
from torch import nn
from torch.nn import functional as F


class Maxout(nn.Module):
    """Maximum over `pieces` groups of channels (Goodfellow et al. 2013).

    Input (N, pieces * C, H, W), output (N, C, H, W); channel c of piece k is input channel k * C + c.
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
    """Maximum of `size` neighbours along `dim`, doubling the reach with each step."""
    reach = 1
    while reach < size:
        step = min(reach, size - reach)
        length = x.shape[dim] - step
        x = torch.maximum(x.narrow(dim, 0, length), x.narrow(dim, step, length))
        reach += step
    return x


class RowConv2d(nn.Conv2d):
    """Valid 2-D convolution evaluated row by row: same weights and result as `nn.Conv2d`.

    A large kernel with few output channels leaves most of a vector register empty. All kernel rows
    together are one 1 x k convolution with k times the output channels, whose results are added with
    a shift of one line each.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, out, H - k + 1, W - k + 1)."""
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
        return total + self.bias.view(1, -1, 1, 1)
