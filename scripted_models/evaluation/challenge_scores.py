"""Scores as the BraTS challenges of 2023 and later give them for gliomas, lesion by lesion.

They follow the published program of the challenge, github.com/rachitsaluja/BraTS-2023-Metrics, for
its task BraTS-GLI:

- Lesions of the truth are 26-connected components. Those whose masks, dilated three times by the 18
  nearest voxels, belong together count as one. Lesions of the prediction are 26-connected.
- A lesion of the truth is compared with all lesions of the prediction that touch its dilated mask,
  whole: Dice, and HD95 between surface elements (`surfels`). Where none does, it is missed: Dice 0,
  HD95 374 mm.
- Lesions of the truth of 50 cubic millimeters or less are ignored.
- A lesion of the prediction that touches no dilated lesion of the truth is false, whatever its
  size: Dice 0, HD95 374 mm.
- The score of a region is the mean over the lesions that count and the false ones; Dice 1 and HD95
  0 where there are none.
- The HD95 of the challenges is that of the whole region: 0 where both masks are empty, 374 mm where
  one is. Earlier challenges have 373.13 mm there.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
import SimpleITK as sitk

from scripted_models.evaluation.metrics import CHALLENGE_METRICS, bounding_box
from scripted_models.evaluation.surfels import surfel_hd95_mm
from scripted_models.geometry import Grid
from scripted_models.labels import REGIONS, region_mask

PENALTY_MM = 374.0
DILATIONS = 3
LARGEST_IGNORED_MM3 = 50.0
_NEAREST = [o for o in product((-1, 0, 1), repeat=3) if 0 < np.count_nonzero(o) < 3]  # 18


@dataclass(frozen=True)
class LesionScore:
    """A lesion of the truth.

    Attributes:
        volume_mm3: of the truth.
        dice: with the lesions of the prediction that touch it.
        hd95_mm: likewise; 374 where it is missed.
        found: some lesion of the prediction touches it.
    """

    volume_mm3: float
    dice: float
    hd95_mm: float
    found: bool


def challenge_metrics(
    prediction: np.ndarray,
    truth: np.ndarray,
    grid: Grid,
    regions: Iterable[str] = tuple(REGIONS),
) -> dict[str, dict[str, float]]:
    """Score the regions of a label map as the challenges do.

    Args:
        prediction: internal labels (0-5), shape (z, y, x).
        truth: internal labels of the same shape.
        grid: grid of both.
        regions: names out of 'WT', 'TC', 'ET'.

    Returns:
        Region -> column (see `metrics.CHALLENGE_METRICS`) -> value.
    """
    masks = {name: (region_mask(prediction, name), region_mask(truth, name)) for name in regions}
    return {name: challenge_scores(*pair, grid) for name, pair in masks.items()}


def challenge_scores(prediction: np.ndarray, truth: np.ndarray, grid: Grid) -> dict[str, float]:
    """Score one bool mask of shape (z, y, x) against another; see the module for definitions."""
    lesions, false = lesion_scores(prediction, truth, grid)
    counted = [lesion for lesion in lesions if lesion.volume_mm3 > LARGEST_IGNORED_MM3]
    number = len(counted) + false
    hd95_mm = sum(lesion.hd95_mm for lesion in counted) + PENALTY_MM * false
    found = sum(lesion.found for lesion in counted)
    values = (
        _hd95_mm(prediction, truth, grid),
        sum(lesion.dice for lesion in counted) / number if number else 1.0,
        hd95_mm / number if number else 0.0,
        found,
        len(counted) - found,
        false,
    )
    return dict(zip(CHALLENGE_METRICS, map(float, values), strict=True))


def lesion_scores(
    prediction: np.ndarray, truth: np.ndarray, grid: Grid
) -> tuple[list[LesionScore], int]:
    """Return the scores of the lesions of the truth, also of ignored ones, and how many are false.

    Args:
        prediction: bool (z, y, x).
        truth: bool (z, y, x).
        grid: of both.
    """
    if not (prediction.any() or truth.any()):
        return [], 0
    box = bounding_box(prediction | truth, DILATIONS)
    prediction, truth = prediction[box], truth[box]
    predicted = _components(prediction)
    true = np.where(truth, _components(_dilated(truth)), 0)
    touched: set[int] = set()
    scores = []
    for number in range(1, int(true.max()) + 1):
        lesion = true == number
        around = bounding_box(lesion, DILATIONS)
        names = np.unique(predicted[around][_dilated(lesion[around])])
        names = names[names > 0]
        touched.update(names.tolist())
        scores.append(_lesion_score(np.isin(predicted, names), lesion, grid))
    return scores, int(predicted.max()) - len(touched)


def _lesion_score(prediction: np.ndarray, truth: np.ndarray, grid: Grid) -> LesionScore:
    predicted, true = np.count_nonzero(prediction), np.count_nonzero(truth)
    dice = 2 * np.count_nonzero(prediction & truth) / (predicted + true)
    volume_mm3 = int(true) * grid.voxel_volume_ml * 1000
    return LesionScore(volume_mm3, float(dice), _hd95_mm(prediction, truth, grid), bool(predicted))


def _hd95_mm(prediction: np.ndarray, truth: np.ndarray, grid: Grid) -> float:
    if not (prediction.any() and truth.any()):
        return PENALTY_MM if prediction.any() or truth.any() else 0.0
    box = bounding_box(prediction | truth)
    return surfel_hd95_mm(prediction[box], truth[box], grid.spacing_xyz_mm)


def _components(mask: np.ndarray) -> np.ndarray:
    """Return the 26-connected components, numbered from 1."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.ConnectedComponent(image, True))


def _dilated(mask: np.ndarray) -> np.ndarray:
    """Return the mask with the 18 nearest voxels of its voxels, `DILATIONS` times."""
    for _ in range(DILATIONS):
        padded = np.pad(mask, 1)
        mask = mask.copy()
        for offset in _NEAREST:
            shifted = (slice(1 + o, n + 1 + o) for o, n in zip(offset, mask.shape, strict=True))
            mask |= padded[tuple(shifted)]
    return mask
