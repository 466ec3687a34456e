"""What weights trained on pictures expect of one: its order of colors and scale of values."""

from dataclasses import dataclass
from typing import Annotated, Literal

from scripted_models.runtime.table_hints import Range

Value = Annotated[float, Range(-1000, 1000)]
Positive = Annotated[float, Range(at_least=1e-6, at_most=1000)]


@dataclass(frozen=True)
class ImageScale:
    """What weights expect of an image: (value * scale - mean) / std for each color.

    Attributes:
        colors: order of the channels.
        scale: factor of values from 0 to 1.
        mean: of each channel, in that order.
        std: of each channel, in that order.
    """

    colors: Literal["RGB", "BGR"]
    scale: Positive
    mean: tuple[Value, Value, Value]
    std: tuple[Positive, Positive, Positive]


CAFFE = ImageScale("BGR", 255.0, (104.007, 116.669, 122.679), (1.0, 1.0, 1.0))
TORCHVISION = ImageScale("RGB", 1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SYMMETRIC = ImageScale("RGB", 1.0, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # torchvision's GoogLeNet

IMAGE_SCALES = {"torchvision": TORCHVISION, "caffe": CAFFE, "symmetric": SYMMETRIC}
