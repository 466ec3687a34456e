"""The largest ball inside a region: how thick a nodule, a rim or a shell is."""

from itertools import product

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid


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
