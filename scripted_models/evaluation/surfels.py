"""HD95 as the BraTS challenges compute it: between surface elements, weighted by their area.

The surface runs between voxels: at each corner where eight voxels meet lies an element where they
differ, with the area that marching cubes gives it. A percentile is one of area, not of count. The
program of the challenges takes this from Google DeepMind's surface-distance; the table of areas
here is MONAI's.
"""

import numpy as np
import SimpleITK as sitk
import torch
from monai.metrics.utils import get_mask_edges

SHARE = 0.95  # of the surface


def surfel_hd95_mm(
    first: np.ndarray, second: np.ndarray, spacing_xyz_mm: tuple[float, float, float]
) -> float:
    """Return the larger directed 95th percentile of the distances of two surfaces, in mm.

    Args:
        first: bool, shape (z, y, x), not empty.
        second: bool, same shape, not empty.
        spacing_xyz_mm: distance of voxel centers.

    Raises:
        ValueError: a mask is empty, so that no surface exists.
    """
    if not first.any() or not second.any():
        raise ValueError("an empty mask has no surface")
    masks = [torch.from_numpy(np.pad(mask, 1)) for mask in (first, second)]
    found = get_mask_edges(*masks, crop=False, spacing=spacing_xyz_mm[::-1])
    edges, areas = ([np.asarray(part) for part in parts] for parts in (found[:2], found[2:]))
    distances = [_distance_map_mm(edge, spacing_xyz_mm) for edge in edges]
    pairs = ((0, 1), (1, 0))
    return max(_percentile(distances[b][edges[a]], areas[a][edges[a]]) for a, b in pairs)


def _percentile(distances: np.ndarray, areas: np.ndarray) -> float:
    """Return the least distance within which `SHARE` of the area lies."""
    order = np.argsort(distances)
    covered = np.cumsum(areas[order], dtype=np.float64)
    at = int(np.searchsorted(covered / covered[-1], SHARE))
    return float(distances[order[min(at, len(order) - 1)]])


def _distance_map_mm(edges: np.ndarray, spacing_xyz_mm: tuple[float, float, float]) -> np.ndarray:
    image = sitk.GetImageFromArray(edges.astype(np.uint8))
    image.SetSpacing(spacing_xyz_mm)
    distance = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayFromImage(distance), 0)  # negative inside of thick edges
