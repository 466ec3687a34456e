"""The largest ball inside a region: how thick a nodule, a rim or a shell is.

`without_pinholes` and `filled_slices` prepare a region for it.
"""

from itertools import product

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.measurement.crosses import convex_hull


def largest_ball_mm(mask: np.ndarray, grid: Grid) -> float:
    """Return the diameter of the largest ball that lies inside a mask.

    Centers and border are looked for at half the distance of voxels: at their centers, corners, and
    the middles of edges and faces. So a cube of n voxels holds a ball of n voxels.

    Args:
        mask: bool (z, y, x).
        grid: its grid.
    """
    doubled = np.pad(mask, 1)
    for axis in range(3):
        doubled = np.repeat(doubled, 2, axis=axis)
    inside = np.ones([n - 1 for n in doubled.shape], bool)
    for z, y, x in product((slice(None, -1), slice(1, None)), repeat=3):
        inside &= doubled[z, y, x]
    image = sitk.GetImageFromArray((~inside).astype(np.uint8))
    image.SetSpacing([mm / 2 for mm in grid.spacing_xyz_mm])
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return 2 * max(float(sitk.GetArrayViewFromImage(distance).max()), 0.0)


def without_pinholes(mask: np.ndarray, largest: int) -> np.ndarray:
    """Return a mask whose inner holes of up to `largest` voxels are filled.

    Args:
        mask: bool (z, y, x).
        largest: in voxels, connected by faces.
    """
    outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    found = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(outside)))
    is_small = np.bincount(found.ravel()) <= largest
    is_small[[0, found[0, 0, 0]]] = False  # the mask itself, and what is outside
    return np.asarray(mask | is_small[found[1:-1, 1:-1, 1:-1]])


def filled_slices(mask: np.ndarray, axis: int) -> np.ndarray:
    """Return a mask with all voxels whose centers lie in the convex hull of their slice.

    Args:
        mask: bool (z, y, x).
        axis: of the array, along the normal of the slices.
    """
    slices = np.moveaxis(mask, axis, 0)
    filled = [_filled(plane) if plane.any() else plane for plane in slices]
    return np.moveaxis(np.array(filled), 0, axis)


def _filled(plane: np.ndarray) -> np.ndarray:
    centers = np.argwhere(plane)
    ends = [centers + half for half in ((-0.5, 0), (0.5, 0), (0, -0.5), (0, 0.5))]
    corners = convex_hull(np.unique(np.concatenate(ends), axis=0))
    row, column = np.indices(plane.shape)
    inside = np.ones(plane.shape, bool)
    for (y, x), (to_y, to_x) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        inside &= (to_y - y) * (column - x) - (row - y) * (to_x - x) >= -1e-9
    return inside
