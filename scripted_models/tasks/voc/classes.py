"""Classes and colors of PASCAL VOC.

Source: Everingham et al., the VOC 2012 development kit, section 3.6: index 0 is background,
255 is void.
"""

import numpy as np

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair"),
    *("cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
VOID = 255


def palette() -> np.ndarray:
    """Return the colors of the indices 0 to 255, uint8 (256, 3) RGB.

    The bits of an index go round to red, green and blue, the lowest ones to the highest bits of the
    colors.
    """
    index = np.arange(256)
    colors = np.zeros((256, 3), np.int64)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= ((index >> (3 * bit + channel)) & 1) << (7 - bit)
    return colors.astype(np.uint8)
