"""Heads as a scanner delivers them, made from phantoms."""

import numpy as np
import pytest
import SimpleITK as sitk

from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.geometry import Grid
from scripted_models.preparation.brain_extraction import brain_of, shown_part
from scripted_models.preparation.working_grids import moved_onto


@pytest.fixture(scope="module", name="phantom")
def make_small_head():
    """Sequence -> image of a small head, which has few voxels where registration samples it."""
    made = make_phantom(5, (72, 72, 54))
    x, y, z = (0.7 * step for step in made.grid.spacing_xyz_mm)
    grid = Grid(made.grid.size_xyz, (x, y, z), made.grid.origin_lps_mm)
    return {m: grid.image_from(volume) for m, volume in made.volumes.items()}


def motion(image, degrees=(6.0, -9.0, 12.0), shift=(8.0, -12.0, 15.0)):
    """Return a rigid motion about the middle of an image."""
    transform = sitk.Euler3DTransform()
    middle = (np.array(image.GetSize()) - 1) / 2
    transform.SetCenter(image.TransformContinuousIndexToPhysicalPoint(middle.tolist()))
    transform.SetRotation(*np.radians(degrees).tolist())
    transform.SetTranslation(shift)
    return transform


def moved(image, transform):
    return moved_onto(image, Grid.of(image), transform)[0]


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
