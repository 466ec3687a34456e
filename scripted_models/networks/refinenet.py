"""RefineNet: residual trunks whose maps are refined from coarse to fine.

Source: Lin et al., "RefineNet: multi-path refinement networks for high-resolution semantic
segmentation", CVPR 2017, section 3, figures 2 and 3; the light-weight form: Nekrasov et al.,
"Light-weight RefineNet for real-time semantic segmentation", BMVC 2018.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.networks.layers import zero_bias
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.networks.trunks import scaled

DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
GROUPS = {  # blocks, coarse to fine: which of the trunk's maps (0: finest, at 1/4) each takes
    "single": ((3, 2, 1, 0),),
    "2-cascaded": ((3, 2), (1, 0)),
    "4-cascaded": ((3,), (2,), (1,), (0,)),
}
WIDE, NARROW = 512, 256  # maps of the coarsest path and of all others
EXPANSION = 4  # maps of a bottleneck's last convolution for each of the others
TRUNK_FIELDS = {50: 427, 101: 971, 152: 1451}  # receptive fields of the coarsest maps
TWO_SCALES = ((6, 5), (3, 5))  # of the image, as fractions
NORMS = ("none", "group")


def same_convolution(
    before: int, after: int, size: int, norm: str, bias: bool = False
) -> nn.Module:
    """Return a convolution that keeps the size, with group normalization if asked."""
    layer = nn.Conv2d(before, after, size, padding=size // 2, bias=bias)
    nn.init.normal_(layer.weight, 0.0, 0.01)
    if norm == "none":
        return layer
    return nn.Sequential(layer, group_norm(after))


def group_norm(channels: int) -> nn.GroupNorm:
    """Return a group normalization with up to 32 groups of at least 4 channels."""
    fitting = (number for number in (32, 16, 8, 4, 2) if channels % (4 * number) == 0)
    return nn.GroupNorm(next(fitting, 1), channels)


class ResidualConvUnit(nn.Module):
    """ReLU, convolution, ReLU, convolution, and the input added (figure 2b)."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        self.first = same_convolution(channels, channels, 3, norm, bias=True)
        self.second = same_convolution(channels, channels, 3, norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a map of the same shape."""
        return x + self.second(F.relu(self.first(F.relu(x))))


class ChainedResidualPooling(nn.Module):
    """A chain of poolings with convolutions: every link reads the one before and joins the sum.

    Args:
        channels: of input and output.
        links: of the chain; the published networks have 4, the paper's figure 2d draws 2.
        pool_first: pooling before the convolution, as in the figure; False: after it, as in the
            improved published networks.
        size: of the convolutions.
        norm: see `NORMS`.
    """

    def __init__(self, channels: int, links: int, pool_first: bool, size: int, norm: str):
        super().__init__()
        self.pool_first = pool_first
        self.links = nn.ModuleList(
            same_convolution(channels, channels, size, norm) for _ in range(links)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return a map of the same shape."""
        total = link = F.relu(x)
        for convolve in self.links:
            pooled = F.max_pool2d(link, 5, 1, 2) if self.pool_first else link
            link = convolve(pooled)
            link = link if self.pool_first else F.max_pool2d(link, 5, 1, 2)
            total = total + link
        return total


class RefineBlock(nn.Module):
    """One block: each path adapted, all fused at the finest resolution, pooled in a chain, refined.

    Args:
        channels: of the trunk's maps that enter, the first at the coarsest resolution.
        widths: of the paths that these become.
        previous: maps of the block before, 0 for none.
        light: convolutions of 1 x 1 and no residual units.
        links, pool_first: see `ChainedResidualPooling`.
        norm: see `NORMS`.
        finest: which of the trunk's maps that enter has the finest resolution.
        align_corners: see `RefineNet`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        widths: Sequence[int],
        previous: int,
        light: bool,
        links: int,
        pool_first: bool,
        norm: str,
        finest: int,
        align_corners: bool = False,
    ):
        super().__init__()
        self.align_corners = align_corners
        size = 1 if light else 3
        units = partial(_residual_units, light=light, norm=norm)
        self.adapt = nn.ModuleList(
            nn.Sequential(same_convolution(c, w, size, norm), *units(w, 2))
            for c, w in zip(channels, widths, strict=True)
        )
        paths = [*widths, *([previous] if previous else [])]
        self.out_channels, self.finest = min(paths), finest
        self.fuse: nn.ModuleList | None = None
        if len(paths) > 1:
            self.fuse = nn.ModuleList(
                same_convolution(width, self.out_channels, size, norm) for width in paths
            )
        self.pool = ChainedResidualPooling(self.out_channels, links, pool_first, size, norm)
        self.refine = nn.Sequential(*units(self.out_channels, 3))

    def forward(self, maps: Sequence[torch.Tensor], previous: torch.Tensor | None) -> torch.Tensor:
        """Map those of the trunk, and of the block before, to one at their finest resolution."""
        paths = [adapt(x) for adapt, x in zip(self.adapt, maps, strict=True)]
        paths += [] if previous is None else [previous]
        if self.fuse is None:
            (x,) = paths
        else:
            fused = [fuse(path) for fuse, path in zip(self.fuse, paths, strict=True)]
            finest = fused[self.finest]
            for index, path in enumerate(fused):
                if index != self.finest:
                    fused[index] = resized(path, finest.shape[2:], self.align_corners)
            x = sum(fused[1:], start=fused[0])
        return self.refine(self.pool(x))


def _residual_units(channels: int, count: int, light: bool, norm: str) -> list[nn.Module]:
    return [] if light else [ResidualConvUnit(channels, norm) for _ in range(count)]


def resized(x: torch.Tensor, size: Sequence[int], align_corners: bool = False) -> torch.Tensor:
    """Interpolate a map bilinearly to a height and a width.

    Args:
        x: map.
        size: height and width.
        align_corners: keep the centers of the corner pixels in place, not the edges of the map.
    """
    return F.interpolate(x, size, mode="bilinear", align_corners=align_corners)


def rescaled(x: torch.Tensor, over: int, under: int) -> torch.Tensor:
    """Interpolate an image to `over / under` times its size, rounded in whole numbers."""
    if over == under:
        return x
    size = [(2 * over * n + under) // (2 * under) for n in (x.shape[2], x.shape[3])]
    return resized(x, size)


class RefineNet(SliceNetwork):
    """Residual trunk, RefineNet blocks, scores on every fourth pixel, interpolated.

    Args:
        in_channels: image channels.
        num_classes: classes including background.
        depth: of the residual trunk, 50, 101 or 152.
        blocks: 'single', '2-cascaded' or '4-cascaded' (figure 4 and table of variants).
        two_scales: two trunks of their own, on the image enlarged 1.2 and shrunk 0.6 times.
        links, pool_first: see `ChainedResidualPooling`.
        light: light-weight form.
        norm: 'none' as published, with a pretrained trunk whose batch normalization stays as it is;
            'group' for training from random weights, in blocks and trunk.
        scale: factor of all widths, for small networks.
        align_corners: enlarge maps with the centers of their corners kept in place, as some
            published weights need; they then lie off their pixels by up to half a stride.

    Raises:
        ValueError: arguments outside of what is stated here.
    """

    margins, output_stride = (0, 0), 4

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 21,
        depth: int = 50,
        blocks: str = "4-cascaded",
        two_scales: bool = False,
        links: int = 4,
        pool_first: bool = True,
        light: bool = False,
        norm: str = "none",
        scale: float = 1.0,
        align_corners: bool = False,
    ):
        super().__init__()
        self.align_corners = align_corners
        if depth not in DEPTHS or blocks not in GROUPS or norm not in NORMS:
            raise ValueError(
                f"depth {depth}, blocks {blocks!r}, norm {norm!r}; expected one of {list(DEPTHS)}, "
                f"{list(GROUPS)} and {list(NORMS)}"
            )
        self.in_channels, self.num_classes = in_channels, num_classes
        self.image_scales = TWO_SCALES if two_scales else ((1, 1),)
        self.trunks = nn.ModuleList(
            ResidualTrunk(in_channels, depth, norm, scale) for _ in self.image_scales
        )
        self.groups = GROUPS[blocks]
        channels = trunk_channels(scale)
        wide, narrow = scaled(WIDE, scale), scaled(NARROW, scale)
        repeat, previous = len(self.image_scales), 0
        self.blocks = nn.ModuleList()
        for group in self.groups:
            entering = [channels[level] for level in group for _ in range(repeat)]
            widths = [wide if level == 3 else narrow for level in group for _ in range(repeat)]
            finest = len(entering) - repeat  # the last level, of the larger image
            block = RefineBlock(
                entering, widths, previous, light, links, pool_first, norm, finest, align_corners
            )
            self.blocks.append(block)
            previous = block.out_channels
        self.dropout = nn.Dropout(0.5)
        self.score = nn.Conv2d(previous, num_classes, 3, padding=1)
        nn.init.normal_(self.score.weight, 0.0, 0.01)
        zero_bias(self.score)
        shrink = 0 if light else 2  # of each convolution at the coarsest resolution, in its pixels
        reach = shrink * (1 + 2 * 2 + links + 2 * 3) + 4 * links
        self.receptive_field = TRUNK_FIELDS[depth] + 32 * reach

    def refined(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to the last block's maps, at about a quarter of the resolution."""
        images = [rescaled(x, *scale) for scale in self.image_scales]
        maps = [trunk(image) for trunk, image in zip(self.trunks, images, strict=True)]
        entering = [
            [
                self.dropout(of_scale[level]) if level >= 2 else of_scale[level]
                for level in group
                for of_scale in maps
            ]
            for group in self.groups
        ]
        coarsest, *finer = zip(self.blocks, entering, strict=True)
        refined: torch.Tensor = coarsest[0](coarsest[1], None)
        for block, of_trunks in finer:
            refined = block(of_trunks, refined)
        return refined

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H, W)."""
        scores = self.score(self.dropout(self.refined(x)))
        return resized(scores, x.shape[2:], self.align_corners)


def trunk_channels(scale: float) -> list[int]:
    """Return the maps of the four stages of a residual trunk."""
    return [EXPANSION * scaled(width, scale) for width in (64, 128, 256, 512)]


class ResidualTrunk(nn.Module):
    """MONAI's residual network in two dimensions, with the layers of the published weights.

    Source: He et al. 2016, "Deep residual learning", table 1; the stride in the 3 x 3 convolutions.

    Args:
        in_channels: image channels.
        depth: 50, 101 or 152.
        norm: 'none' keeps batch normalization as it was trained, also in training; 'group' replaces
            it.
        scale: factor of all widths.
    """

    def __init__(self, in_channels: int, depth: int, norm: str, scale: float):
        from monai.networks.nets import ResNet

        super().__init__()
        self.body = ResNet(
            "bottleneck",
            list(DEPTHS[depth]),
            [channels // EXPANSION for channels in trunk_channels(scale)],
            spatial_dims=2,
            n_input_channels=in_channels,
            conv1_t_size=7,
            conv1_t_stride=2,
            bias_downsample=False,
            feed_forward=False,
        )
        self.frozen = norm == "none"
        if norm == "group":
            _exchange_norms(self.body)

    def train(self, mode: bool = True) -> "ResidualTrunk":
        """Set the training mode; statistics of batch normalization stay as they are."""
        super().train(mode)
        for layer in self.modules():
            if self.frozen and isinstance(layer, nn.BatchNorm2d):
                layer.eval()
        return self

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Map (N, C, H, W) to the maps of four stages, at 1/4, 1/8, 1/16 and 1/32."""
        body = self.body
        x = body.maxpool(body.act(body.bn1(body.conv1(x))))
        maps = []
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = stage(x)
            maps.append(x)
        return maps


def _exchange_norms(parent: nn.Module) -> None:
    for name, child in parent.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(parent, name, group_norm(child.num_features))
        else:
            _exchange_norms(child)
