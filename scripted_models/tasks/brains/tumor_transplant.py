"""Tumors of one patient in the brain of another, as further training cases.

After CarveMix (Zhang et al. 2021) and TumorCP (Yang et al. 2021): tumor and place are real, only
their combination is new. The tumor is cut along its label, scaled with the brain, perhaps mirrored
or made smaller, and its gray values follow the healthy brain around it.
"""

import numpy as np
import SimpleITK as sitk

from scripted_models.brain_mask import brain_mask

VERSION = 1  # raise it when the copies get other values: cached ones are then made again
_SOFT = 1.5  # deviation of the soft edge, voxels
_SMALLEST = 0.4  # of the size along each axis
_DISTANCE = 5  # voxels between a tumor and what counts as healthy
Pair = tuple[np.ndarray, np.ndarray]


def transplant(
    image: np.ndarray,
    labels: np.ndarray,
    donor_image: np.ndarray,
    donor_labels: np.ndarray,
    seed: int,
) -> Pair:
    """Put a donor's tumor into a brain; what tumor the brain has stays beside it.

    Args:
        image: of the recipient, (C, z, y, x), 0 outside of the brain, as voxels of about 1 mm.
        labels: internal labels (z, y, x) of the recipient.
        donor_image: the same of the donor, of another size perhaps, in the same orientation.
        donor_labels: of the donor.
        seed: decides all that is random.

    Returns:
        Image, float32, and labels, uint8; unchanged where the tumor would lie outside of the brain.
    """
    random = np.random.default_rng(seed)
    image = np.array(image, np.float32)
    brain, theirs = brain_mask(image), brain_mask(donor_image)
    if not (brain.any() and theirs.any() and donor_labels.any()):
        return image, labels.astype(np.uint8)
    way = _way(brain, theirs, donor_labels > 0, random)
    there = _moved(donor_labels, way, labels.shape, sitk.sitkNearestNeighbor)
    there[~brain] = 0
    soft = sitk.GetImageFromArray((there > 0).astype(np.float32))
    share = sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(soft, _SOFT))
    share = np.clip(share, 0, 1) * brain
    healthy = brain & ~_dilated(labels > 0)
    their_healthy = theirs & ~_dilated(donor_labels > 0)
    for index, channel in enumerate(donor_image):
        if image[index].any() and channel.any():
            alike = _leveled(channel, their_healthy, image[index], healthy)
            tumor = _moved(alike, way, labels.shape, sitk.sitkLinear)
            covered = share * (image[index] != 0)
            image[index] += covered * (np.maximum(tumor, 1e-3) - image[index])
    return image, np.where(there > 0, there, labels).astype(np.uint8)


def _way(
    brain: np.ndarray, theirs: np.ndarray, tumor: np.ndarray, random: np.random.Generator
) -> sitk.Transform:
    """Return the map from the recipient's voxels to the donor's: brain to brain, then smaller."""
    ours, other = _box(brain), _box(theirs)
    scale = (other[1] - other[0]) / (ours[1] - ours[0])
    offset = other[0] - scale * ours[0]
    if random.random() < 0.5:  # mirrored
        offset[0] += scale[0] * (ours[0] + ours[1])[0]
        scale[0] = -scale[0]
    if random.random() < 0.5:
        smaller = 1 / random.uniform(_SMALLEST, 1)
        center = np.argwhere(tumor).mean(axis=0)[::-1]
        scale, offset = scale * smaller, center + smaller * (offset - center)
    way = sitk.AffineTransform(3)
    way.SetMatrix(np.diag(scale).ravel().tolist())
    way.SetTranslation(offset.tolist())
    return way


def _box(brain: np.ndarray) -> np.ndarray:
    """Return the first and last index of a brain along x, y, z."""
    lines = [np.flatnonzero(brain.any(axis=tuple(i for i in range(3) if i != k))) for k in range(3)]
    return np.array([[line[0], line[-1] + 1] for line in lines[::-1]], float).T


def _leveled(
    donor: np.ndarray, their_healthy: np.ndarray, ours: np.ndarray, healthy: np.ndarray
) -> np.ndarray:
    """Return the donor's values with the level and spread of our healthy brain."""
    low, middle, high = np.percentile(donor[their_healthy & (donor != 0)], (25, 50, 75))
    a, b, c = np.percentile(ours[healthy & (ours != 0)], (25, 50, 75))
    return ((donor - middle) * (c - a) / max(high - low, 1e-6) + b).astype(np.float32)


def _moved(
    volume: np.ndarray, way: sitk.Transform, shape: tuple[int, ...], interpolator: int
) -> np.ndarray:
    target = sitk.Image(shape[::-1], sitk.sitkUInt8)
    moved = sitk.Resample(sitk.GetImageFromArray(volume), target, way, interpolator, 0.0)
    found: np.ndarray = sitk.GetArrayFromImage(moved)
    return found


def _dilated(mask: np.ndarray) -> np.ndarray:
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    dilated: np.ndarray = sitk.GetArrayFromImage(sitk.BinaryDilate(image, [_DISTANCE] * 3)) > 0
    return dilated
