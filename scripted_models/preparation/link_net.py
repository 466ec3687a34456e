"""The network of `deepbet`: LinkNet in three dimensions, with the names of its weights.

Chaurasia and Culurciello, "LinkNet: Exploiting Encoder Representations for Efficient Semantic
Segmentation" (2017); Fisch et al., "deepbet: Fast brain extraction of T1-weighted MRI using
Convolutional Neural Networks", Computers in Biology and Medicine 179 (2024).
"""

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv3d(inside, outside, 3, stride, 1, bias=False),
            nn.InstanceNorm3d(outside),
            nn.ReLU(inplace=True),
            nn.Conv3d(outside, outside, 3, 1, 1, bias=False),
            nn.InstanceNorm3d(outside),
        )
        self.downsample = (
            nn.Identity()
            if stride == 1
            else nn.Sequential(
                nn.Conv3d(inside, outside, 1, stride, bias=False), nn.InstanceNorm3d(outside)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, outside, D, H, W) / stride."""
        return torch.relu(self.double_conv(x) + self.downsample(x))


class Down(nn.Module):
    """Two blocks, the first of which may halve the size."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.block1 = Block(inside, outside, stride)
        self.block2 = Block(outside, outside, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, outside, D, H, W) / stride."""
        out: Tensor = self.block2(self.block1(x))
        return out


class Up(nn.Module):
    """A narrow transposed convolution between two of one voxel."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        narrow = inside // 4
        self.conv1 = _normed(nn.Conv3d(inside, narrow, 1, bias=False))
        turned = nn.ConvTranspose3d(narrow, narrow, 3, stride, 1, stride - 1, bias=False)
        self.tp_conv = _normed(turned)
        self.conv2 = _normed(nn.Conv3d(narrow, outside, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Return features (N, outside, D, H, W) * stride."""
        out: Tensor = self.conv2(self.tp_conv(self.conv1(x)))
        return out


class LinkNet3d(nn.Module):
    """Probabilities of background and brain."""

    def __init__(self) -> None:
        super().__init__()
        self.init = nn.Sequential(
            *_normed(nn.Conv3d(1, 16, 7, 2, 3, bias=False)), nn.MaxPool3d(3, 2, 1)
        )
        self.down0 = Down(16, 16, 1)
        self.down1 = Down(16, 32, 2)
        self.down2 = Down(32, 64, 2)
        self.down3 = Down(64, 128, 2)
        self.up0 = Up(128, 64, 2)
        self.up1 = Up(64, 32, 2)
        self.up2 = Up(32, 16, 2)
        self.up3 = Up(16, 16, 1)
        self.tp_conv1 = _normed(nn.ConvTranspose3d(16, 8, 3, 2, 1, 1))
        self.conv = _normed(nn.Conv3d(8, 8, 3, 1, 1))
        self.tp_conv2 = nn.ConvTranspose3d(8, 2, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return probabilities (N, 2, D, H, W) of a volume (N, 1, D, H, W); sizes divide by 32."""
        start = self.init(x)
        first = self.down0(start)
        second = self.down1(first)
        third = self.down2(second)
        x = self.up0(self.down3(third)) + third
        x = self.up1(x) + second
        x = self.up2(x) + first
        x = self.up3(x) + start
        return torch.softmax(self.tp_conv2(self.conv(self.tp_conv1(x))), 1)


def _normed(convolution: nn.Module) -> nn.Sequential:
    channels = int(convolution.out_channels)  # type: ignore[arg-type]
    return nn.Sequential(convolution, nn.InstanceNorm3d(channels), nn.ReLU(inplace=True))
