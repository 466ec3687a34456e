"""The grid on which prepared volumes lie, and the one resampling that leads there and back."""

import math

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.images.training_space import resample

WORKING_MM = 1.0
_NEARLY = 0.1  # relative difference from it that is left alone, as for networks


def working_grid(reference: Grid) -> Grid:
    """Return a grid of 1 mm along the axes of the reference, over the same extent.

    An axis whose spacing is within 10 % of 1 mm keeps it. So a reference that fits is its own
    working grid.
    """
    spacing = np.array(reference.spacing_xyz_mm)
    wanted = np.where(np.abs(spacing - WORKING_MM) <= _NEARLY + 1e-6, spacing, WORKING_MM)
    if (wanted == spacing).all():
        return reference
    extent = spacing * reference.size_xyz
    size = np.array([max(1, math.ceil(e / w - 1e-3)) for e, w in zip(extent, wanted, strict=True)])
    size = np.where(wanted == spacing, reference.size_xyz, size)
    first = (extent - (size - 1) * wanted - spacing) / 2  # centered, so that no side loses
    axes = np.array(reference.direction).reshape(3, 3)
    origin = np.array(reference.origin_lps_mm) + axes @ first
    x, y, z = size.tolist()
    return Grid((x, y, z), tuple(wanted.tolist()), tuple(origin.tolist()), reference.direction)


def moved_onto(
    image: sitk.Image, grid: Grid, transform: sitk.Transform | None = None
) -> tuple[sitk.Image, np.ndarray]:
    """Resample a volume once, linearly, from its native voxels.

    The outer halves of edge voxels are kept: a thick slice reaches beyond its center.

    Args:
        image: a volume, or a probability.
        grid: where it goes.
        transform: from points of the grid to points of the volume, LPS mm; None: the same points.

    Returns:
        float32 image on the grid, 0 where the volume does not reach, and bool (z, y, x) where it
        reaches.
    """
    image = sitk.Cast(image, sitk.sitkFloat32)
    inside = sitk.Image(image.GetSize(), sitk.sitkUInt8) + 1
    inside.CopyInformation(image)
    if transform is None and Grid.of(image) == grid:
        return image, np.ones(grid.shape_zyx, bool)
    padded = sitk.ZeroFluxNeumannPad(image, [1] * 3, [1] * 3)
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(_blank(grid))
    resampler.SetTransform(transform or sitk.Transform())
    resampler.SetInterpolator(sitk.sitkNearestNeighbor)
    seen = resampler.Execute(inside)
    resampler.SetInterpolator(sitk.sitkLinear)
    return sitk.Mask(resampler.Execute(padded), seen), sitk.GetArrayFromImage(seen) > 0


def probabilities_on(
    probabilities: np.ndarray,
    working: Grid,
    native: Grid,
    transform: sitk.Transform | None = None,
) -> np.ndarray:
    """Bring probabilities from the working grid onto a native one; labels are decided there.

    Args:
        probabilities: float32 (classes, z, y, x), on the working grid, the first is background.
        working: grid of them.
        native: grid of the result.
        transform: from points of the native grid to points of the working one; None: the same.

    Returns:
        float32 (classes, z, y, x); background has 1 where the working grid does not reach.
    """
    if transform is None and native.matches(working):
        return probabilities
    found = np.empty((len(probabilities), *native.shape_zyx), np.float32)
    for index, values in enumerate(probabilities):
        image = working.image_from(values)
        if transform is None:
            there = resample(image, native, sitk.sitkLinear, outside=float(index == 0))
        else:
            there = sitk.Resample(
                image, _blank(native), transform, sitk.sitkLinear, float(index == 0)
            )
        found[index] = sitk.GetArrayViewFromImage(there)
    return found


def _blank(grid: Grid) -> sitk.Image:
    image = sitk.Image(grid.size_xyz, sitk.sitkUInt8)
    grid.put_on(image)
    return image
