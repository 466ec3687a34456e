"""Heads as a scanner delivers them, made from phantoms."""

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.preparation.brain_extraction import brain_of, shown_part


def with_skull(image, thickness_mm=8.0):
    """Return a brain in a bright shell before noise, as a scanner delivers it."""
    brain = brain_of(shown_part(image))
    away = sitk.GetArrayFromImage(
        sitk.SignedMaurerDistanceMap(brain, squaredDistance=False, useImageSpacing=True)
    )
    array = sitk.GetArrayFromImage(sitk.Cast(image, sitk.sitkFloat32))
    level = float(np.percentile(array[array > 0], 90))
    noise = np.random.default_rng(0).uniform(1, level / 50, array.shape)
    array = np.where(array > 0, array, noise)
    array[(away > 4) & (away < 4 + thickness_mm)] = level
    return Grid.of(image).image_from(array.astype(np.float32))
