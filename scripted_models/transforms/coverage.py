"""Fields of view that end inside the head: what lies beyond counts as missing."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from scripted_models.brain_mask import lacking, shows

LEAST_SHARE = 0.01  # of the brain
RIM_MM = 3.0  # masks made one by one differ less
# Interpolation of thick slices lets the gray values fade out over one slice; networks take that for
# dark tissue (22 mL of false tumor in a BraTS case, 2 mL with the fading slice left out).
FADING_MM = 6.0
FADED = 0.7  # of the median; brighter tissue near an edge is no trace of it


def clear_uncovered(
    image: np.ndarray, brain: np.ndarray, spacing_zyx_mm: Sequence[float]
) -> np.ndarray:
    """Set what a field of view does not cover, and the edge where it fades out, to 0.

    Not covered is a part of the brain that reaches its surface, is thicker than the rims of brain
    masks, and is shown by most of the other channels. A channel that is 0 everywhere is missing; it
    has no say.

    Args:
        image: (C, z, y, x), 0 outside the brain.
        brain: bool (z, y, x).
        spacing_zyx_mm: of the voxels.

    Returns:
        The image itself where all is covered, else a changed copy.
    """
    shown = {index: shows(channel) for index, channel in enumerate(image) if channel.any()}
    least = LEAST_SHARE * np.count_nonzero(brain)
    for index in shown:
        lacks = lacking(shown, index)
        if np.count_nonzero(lacks) < least:
            continue
        beyond = _beyond(lacks, brain, spacing_zyx_mm)
        if np.count_nonzero(lacks & beyond) >= least:
            image = image.copy()
            size = np.abs(image[index])
            image[index][beyond & (size < FADED * np.median(size[shown[index]]))] = 0
    return image


def _beyond(lacks: np.ndarray, brain: np.ndarray, spacing_zyx_mm: Sequence[float]) -> np.ndarray:
    """Return the thick parts of a mask that touch the surface of the brain, and what is near."""
    core = _distance_mm(~lacks, spacing_zyx_mm) > RIM_MM
    if not core.any():
        return core
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(core.astype(np.uint8)))
    numbers = sitk.GetArrayFromImage(parts)
    inside = np.pad(brain, 1)
    distance = _distance_mm(~inside, spacing_zyx_mm)[1:-1, 1:-1, 1:-1]
    near = np.unique(numbers[core & (distance <= RIM_MM + max(spacing_zyx_mm))])
    outer = np.isin(numbers, near[near > 0])
    return brain & (_distance_mm(outer, spacing_zyx_mm) <= RIM_MM + FADING_MM)


def _distance_mm(mask: np.ndarray, spacing_zyx_mm: Sequence[float]) -> np.ndarray:
    """Return how far each voxel is from the mask; infinite where the mask is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf, np.float32)
    volume = sitk.GetImageFromArray(mask.astype(np.uint8))
    volume.SetSpacing([float(step) for step in reversed(spacing_zyx_mm)])
    distance = sitk.SignedMaurerDistanceMap(
        volume, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    return np.maximum(sitk.GetArrayFromImage(distance), 0)
