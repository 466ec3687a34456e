"""What every network of this package states about itself."""

from torch import nn

PLANES = (
    "axial",
    "coronal",
    "sagittal",
)  # slices along the first, second and third axis of (z, y, x)


class SliceNetwork(nn.Module):
    """A network that maps slices, or images, to class logits of their pixels.

    One whose `output(features(x))` is its result can be trained in two phases, the second of the output alone.

    Input (N, in_channels * (2 * context_slices + 1), H, W): of each image channel first the slices before
    the slice, then itself, then those after it. Output (N, num_classes, H - low - high, W - low - high).

    Attributes:
        in_channels: image channels.
        num_classes: classes including background.
        margins: pixels that the output lacks at the low and the high end of both axes.
        receptive_field: pixels along an axis that an output may depend on. If this is more than the
            margins explain, the network pads its maps, and what it says of a pixel depends on the window.
        output_stride: distance of neighboring scores in pixels; those between are interpolated.
        context_slices: neighbors on either side of a slice that the network sees as well.
        planes: in which a volume is cut into slices; the probabilities of several are averaged.
    """

    in_channels: int
    num_classes: int
    margins: tuple[int, int]
    receptive_field: int
    output_stride = 1
    context_slices = 0
    planes: tuple[str, ...] = PLANES[:1]

    @property
    def pads(self) -> bool:
        """Whether the network pads its maps, so that it has to see whole slices."""
        return self.receptive_field > sum(self.margins) + 1

    @property
    def has_two_phases(self) -> bool:
        """Whether it has `features` and `output`."""
        return hasattr(self, "features") and hasattr(self, "output")

    @property
    def input_channels(self) -> int:
        """Channels of the input: image channels times slices."""
        return self.in_channels * (2 * self.context_slices + 1)
