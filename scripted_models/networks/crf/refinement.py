"""The dense CRF after a network: on the probabilities of a picture or of a brain."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from scripted_models.errors import ModelError
from scripted_models.networks.crf.dense_crf import DenseCRF
from scripted_models.networks.probabilities import class_probabilities

# Of brains, in mm and standard deviations of the intensity. Pictures have the defaults of
# `DenseCRF`.
BRAIN_SETTINGS: dict[str, Any] = {
    "appearance_weight": 3.0,
    "smoothness_weight": 1.0,
    "position_width": 5.0,
    "intensity_width": 0.5,
    "smoothness_width": 1.5,
    "test_iterations": 5,
}
LEAST_TUMOR = 0.01  # probability below which a voxel far from others stays as it is
TINY = 1e-8


def build_crf(num_classes: int, settings: Mapping[str, Any], task: str = "brains") -> DenseCRF:
    """Build the CRF of a model.

    Args:
        num_classes: classes.
        settings: arguments of `DenseCRF` that differ from the defaults.
        task: 'brains' or 'voc', whose defaults differ.

    Raises:
        ModelError: unknown or impossible settings.
    """
    usual = BRAIN_SETTINGS if task == "brains" else {}
    try:
        return DenseCRF(num_classes, **{**usual, **settings}).eval()
    except (TypeError, ValueError) as error:
        raise ModelError(
            found=f"the settings {dict(settings)} of [crf] ({error})",
            expected="those of a dense CRF",
            action="correct them",
        ) from error


def refine(
    crf: DenseCRF, probabilities: np.ndarray, image: np.ndarray, spacing: Sequence[float] = ()
) -> np.ndarray:
    """Run a CRF on probabilities.

    Args:
        crf: in evaluation mode.
        probabilities: float32 (classes, *S).
        image: (F, *S), intensities.
        spacing: of the axes S in mm; none: 1.

    Returns:
        float32 (classes, *S).

    Raises:
        ModelError: the CRF gives NaN or infinite values, or its filter cannot take so many pixels.
    """
    logits = torch.from_numpy(np.log(np.maximum(probabilities, TINY))).float()
    guide = torch.from_numpy(np.ascontiguousarray(image)).float()
    with torch.inference_mode():
        try:
            refined = crf(logits[None], guide[None], tuple(spacing))
        except ValueError as error:
            raise ModelError(
                found=f"a CRF that cannot run here ({error})",
                expected="a filter for images of this size",
                action="choose another 'backend'",
            ) from error
        return class_probabilities(refined, "the CRF")[0].numpy()


def refine_brain(
    crf: DenseCRF, probabilities: np.ndarray, image: np.ndarray, spacing_zyx_mm: Sequence[float]
) -> np.ndarray:
    """Run a CRF on the box around all that may be tumor.

    The other voxels keep their probabilities.

    Args:
        crf: in evaluation mode.
        probabilities: float32 (classes, z, y, x), the first class is no tumor.
        image: float32 (sequences, z, y, x), standardized.
        spacing_zyx_mm: of the voxels.
    """
    maybe = probabilities[0] < 1 - LEAST_TUMOR
    if not maybe.any():
        return probabilities
    box = []
    for axis, step in enumerate(spacing_zyx_mm):
        found = np.flatnonzero(maybe.any(axis=tuple(a for a in range(3) if a != axis)))
        reach = int(np.ceil(2 * crf.position_width / step))
        box.append(slice(max(found[0] - reach, 0), found[-1] + reach + 1))
    inside = (slice(None), *box)
    result = probabilities.copy()
    result[inside] = refine(crf, probabilities[inside], image[inside], spacing_zyx_mm)
    return result
