"""Contrast-suppressed copies: real cases whose enhancing tumor no longer enhances.

Contrast agent changes T1c alone. Away from the tumor T1c is nearly a linear function of T1, so the
same function of T1 shows what the tumor would look like had it taken up nothing.
"""

import numpy as np
import SimpleITK as sitk

from scripted_models.labels import ENHANCING
from scripted_models.sequences import SEQUENCES

VERSION = 1  # raise it when the copies get other values: cached ones are then made again
_REACH = 2  # voxels around the enhancing label that are partly enhancing
_DISTANCE = 5  # voxels between the tumor and what the function is fitted to
_ROUNDS = 3  # of the fit, each without what the last one explained badly: vessels, meninges


def remove_enhancement(image: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the enhancement out of a case.

    Args:
        image: (4, z, y, x) in the order of `SEQUENCES`, 0 outside of the brain.
        labels: internal labels (z, y, x).

    Returns:
        The image, float32, darker in T1c in and near enhancing tumor and nowhere else changed; the
        labels, uint8, with non-enhancing instead of enhancing tumor.
    """
    image = np.array(image, np.float32)
    t1, t1c = image[SEQUENCES.index("t1")], image[SEQUENCES.index("t1c")]
    enhancing = labels == ENHANCING
    healthy = (image != 0).all(axis=0) & ~_dilated(labels > 0, _DISTANCE)
    if enhancing.any() and healthy.any():
        expected = np.maximum(_linear(t1, t1c, healthy), 1)
        near = sitk.GetImageFromArray(_dilated(enhancing, _REACH).astype(np.float32))
        share = sitk.GetArrayFromImage(sitk.DiscreteGaussian(near, [1.0] * 3))
        share = np.maximum(share, enhancing) * (t1c != 0)
        t1c += share * (np.minimum(expected, t1c) - t1c)
    return image, np.where(enhancing, 3, labels).astype(np.uint8)


def _linear(t1: np.ndarray, t1c: np.ndarray, healthy: np.ndarray) -> np.ndarray:
    """Return T1c as it follows from T1, fitted to the healthy voxels."""
    x, y = t1[healthy].astype(np.float64), t1c[healthy].astype(np.float64)
    for _ in range(_ROUNDS):
        slope, offset = np.polyfit(x, y, 1)
        left = np.abs(y - slope * x - offset)
        kept = left <= 2.5 * np.sqrt(np.mean(left**2))
        x, y = x[kept], y[kept]
    return (slope * t1 + offset).astype(np.float32)


def _dilated(mask: np.ndarray, voxels: int) -> np.ndarray:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    dilated: np.ndarray = sitk.GetArrayFromImage(sitk.BinaryDilate(image, [voxels] * 3)) > 0
    return dilated
