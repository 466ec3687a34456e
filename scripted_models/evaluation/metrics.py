"""Scores of a label map against the truth, region by region, in three dimensions.

With P the predicted and T the true mask of a region (Havaei et al. 2017, section 5):

- dice = 2|P and T| / (|P| + |T|)
- sensitivity = |P and T| / |T|
- ppv (precision) = |P and T| / |P|; this is what the paper's column "Specificity" holds
- specificity = true negative rate, |not P and not T| / |not T|
- hd95_mm: the larger of the two directed 95th percentiles of the distance from one surface to the
  other, in mm. A surface is made of the mask voxels with a face neighbor (6-neighborhood) outside
  the mask; beyond the volume's border counts as outside.

Empty masks (the whole policy, applied by `_scores_of_empty` alone):

========================  ====  ===========  ===  =====================
case                      dice  sensitivity  ppv  hd95_mm
========================  ====  ===========  ===  =====================
both masks empty          1     1            1    0
exactly one mask empty    0     0            0    diagonal of the volume
========================  ====  ===========  ===  =====================

Specificity needs no exception: it is always the plain rate, and 1 when the truth fills the volume.
"""

from collections.abc import Iterable

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.labels import REGIONS, region_mask

METRICS = ("dice", "sensitivity", "ppv", "specificity", "hd95_mm")
CHALLENGE_METRICS = (  # by `challenge_scores`
    "brats_hd95_mm",
    "lesion_dice",
    "lesion_hd95_mm",
    "lesions_found",
    "lesions_missed",
    "lesions_false",
)
DEFINITIONS = {
    "dice": "2 |P and T| / (|P| + |T|) of the predicted mask P and the true mask T of a region",
    "sensitivity": "|P and T| / |T|",
    "ppv": "|P and T| / |P|",
    "specificity": "|not P and not T| / |not T|",
    "hd95_mm": "larger of the two directed 95th percentiles of the distances between the surface "
    "voxels of P and T; 0 where both are empty, the diagonal of the volume where one is",
    "truth_ml": "volume of T",
    "prediction_ml": "volume of P",
    "brats_hd95_mm": "as the BraTS 2023 challenge computes it: between surface elements at the "
    "corners of voxels, percentiles of their area; 0 where both are empty, 374 where one is",
    "lesion_dice": "BraTS 2023 (gliomas): mean Dice over the lesions of T, with 0 for missed and "
    "for false ones; parts of T that are together after three dilations are one lesion, one of 50 "
    "cubic mm or less is ignored",
    "lesion_hd95_mm": "BraTS 2023 (gliomas): mean HD95 over the same lesions, with 374 for missed "
    "and for false ones",
    "lesions_found": "lesions of T, above 50 cubic mm, that a lesion of P touches within three "
    "dilations",
    "lesions_missed": "lesions of T, above 50 cubic mm, that none touches",
    "lesions_false": "lesions of P that touch no lesion of T",
}
EMPTY_MASK_POLICY = (
    "both masks empty: dice, sensitivity and ppv 1, hd95_mm 0; exactly one empty: dice, "
    "sensitivity and ppv 0, hd95_mm the diagonal of the volume; specificity is always the true "
    "negative rate"
)


def region_metrics(
    prediction: np.ndarray,
    truth: np.ndarray,
    grid: Grid,
    regions: Iterable[str] = tuple(REGIONS),
) -> dict[str, dict[str, float]]:
    """Score the regions of a label map.

    Args:
        prediction: internal labels (0-5), shape (z, y, x).
        truth: internal labels of the same shape.
        grid: grid of both; gives the spacing and the diagonal in mm.
        regions: names out of 'WT', 'TC', 'ET' and 'RC', the cavity.

    Returns:
        Region -> metric (see METRICS) -> value.

    Raises:
        ValueError: an array does not have the grid's shape.
    """
    _check_shapes(prediction, truth, grid)
    return {
        name: mask_metrics(region_mask(prediction, name), region_mask(truth, name), grid)
        for name in regions
    }


def mask_metrics(prediction: np.ndarray, truth: np.ndarray, grid: Grid) -> dict[str, float]:
    """Score one bool mask of shape (z, y, x) against another; see the module for the definitions.

    Raises:
        ValueError: an array does not have the grid's shape.
    """
    _check_shapes(prediction, truth, grid)
    predicted, true = int(np.count_nonzero(prediction)), int(np.count_nonzero(truth))
    common = int(np.count_nonzero(prediction & truth))
    negatives = truth.size - true
    specificity = 1 - (predicted - common) / negatives if negatives else 1.0
    if not predicted or not true:
        return {**_scores_of_empty(predicted == true, grid), "specificity": specificity}
    return {
        "dice": 2 * common / (predicted + true),
        "sensitivity": common / true,
        "ppv": common / predicted,
        "specificity": specificity,
        "hd95_mm": hausdorff95_mm(prediction, truth, grid.spacing_xyz_mm),
    }


def hausdorff95_mm(
    first: np.ndarray, second: np.ndarray, spacing_xyz_mm: tuple[float, float, float]
) -> float:
    """Return the larger directed 95th percentile of surface distances of two masks, in mm.

    Percentiles are interpolated linearly, as NumPy and MONAI do.

    Args:
        first: bool, shape (z, y, x), not empty.
        second: bool, same shape, not empty.
        spacing_xyz_mm: distance of voxel centers.

    Raises:
        ValueError: a mask is empty, so that no surface exists.
    """
    if not first.any() or not second.any():
        raise ValueError("an empty mask has no surface")
    # All surface voxels lie inside the box, so cropping changes no distance between them.
    box = bounding_box(first | second)
    surfaces = [_surface(mask[box]) for mask in (first, second)]
    directed = (
        _distance_map_mm(surfaces[1], spacing_xyz_mm)[surfaces[0]],
        _distance_map_mm(surfaces[0], spacing_xyz_mm)[surfaces[1]],
    )
    return float(max(np.percentile(distances, 95) for distances in directed))


def _scores_of_empty(both: bool, grid: Grid) -> dict[str, float]:
    score = 1.0 if both else 0.0
    hd95_mm = 0.0 if both else grid.diagonal_mm
    return {"dice": score, "sensitivity": score, "ppv": score, "hd95_mm": hd95_mm}


def _check_shapes(prediction: np.ndarray, truth: np.ndarray, grid: Grid) -> None:
    for array in (prediction, truth):
        if array.shape != grid.shape_zyx:
            raise ValueError(f"array {array.shape} does not fit the grid {grid.shape_zyx}")


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, ...]:
    """Return the smallest box around a mask that is not empty, with a margin inside the array."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(a for a in range(mask.ndim) if a != axis)
        used = np.flatnonzero(mask.any(axis=others))
        first, last = max(int(used[0]) - margin, 0), int(used[-1]) + margin
        box.append(slice(first, min(last + 1, mask.shape[axis])))
    return tuple(box)


def _surface(mask: np.ndarray) -> np.ndarray:
    """Return the surface of a mask, with one voxel of margin on every side."""
    padded = np.pad(mask, 1)
    interior = padded.copy()
    for axis in range(mask.ndim):
        # np.roll wraps around, but only margin voxels, which are False, come in.
        interior &= np.roll(padded, 1, axis) & np.roll(padded, -1, axis)
    return padded & ~interior


def _distance_map_mm(surface: np.ndarray, spacing_xyz_mm: tuple[float, float, float]) -> np.ndarray:
    # Every surface voxel has a face neighbor off the surface (that is what made it one), so the
    # contour from which the Maurer map measures is the surface itself and its own distance is 0.
    image = sitk.GetImageFromArray(surface.astype(np.uint8))
    image.SetSpacing(spacing_xyz_mm)
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return np.abs(sitk.GetArrayViewFromImage(distance))
