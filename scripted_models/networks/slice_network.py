"""What every network of this package states about itself."""

from torch import nn

PLANES = ("axial", "coronal", "sagittal")  # slices along the axes of (z, y, x), in this order


class SegmentationNetwork(nn.Module):
    """A network that maps images to class logits of their pixels or voxels.

    One whose `output(features(x))` is its result can be trained in two phases.
    The second phase trains the output alone.

    Attributes:
        in_channels: image channels.
        num_classes: classes including background.
        margins: pixels that the output lacks at the low and the high end of each axis.
        receptive_field: pixels along an axis that an output may depend on.
        output_stride: distance of neighboring scores in pixels; those between are interpolated.
        dimensions: 2 for slices, 3 for volumes.
        one_size: whether its operations depend on the size of the image, so that it is exported for
            one.
    """

    in_channels: int
    num_classes: int
    margins: tuple[int, int] = (0, 0)
    receptive_field: int
    output_stride: int = 1
    dimensions: int = 2
    one_size: bool = False

    @property
    def pads(self) -> bool:
        """Whether the network pads its maps, so that a pixel's result depends on the window."""
        return self.receptive_field > sum(self.margins) + 1

    @property
    def input_channels(self) -> int:
        """Channels of the input."""
        return self.in_channels

    @property
    def has_two_phases(self) -> bool:
        """Whether it has `features` and `output`."""
        return hasattr(self, "features") and hasattr(self, "output")


class SliceNetwork(SegmentationNetwork):
    """A network of slices, or images.

    Input (N, in_channels * (2 * context_slices + 1), H, W): of each image channel first the slices
    before the slice, then itself, then those after it.
    Output (N, num_classes, H - low - high, W - low - high).

    Attributes:
        context_slices: neighbors on either side of a slice that the network sees as well.
        planes: in which a volume is cut into slices; the probabilities of several are averaged.
        slice_step: every how many slices of a plane are computed; those between are interpolated.
    """

    context_slices: int = 0
    planes: tuple[str, ...] = PLANES[:1]
    slice_step: int = 1

    @property
    def input_channels(self) -> int:
        """Channels of the input: image channels times slices."""
        return self.in_channels * (2 * self.context_slices + 1)


class VolumeNetwork(SegmentationNetwork):
    """A network of volumes: (N, in_channels, D, H, W) to (N, num_classes, D, H, W).

    It sees a volume through windows. What its outputs mean, classes or regions, a model says.

    Attributes:
        multiples: voxels along each axis that make one voxel of its lowest level.
    """

    dimensions: int = 3
    multiples: tuple[int, ...] = (1, 1, 1)
