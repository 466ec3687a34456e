"""Connected lesions of a segmented tumor, numbered by volume.

A lesion is a 26-connected component of the enhancing tumor; of the whole tumor where nothing
enhances. What makes one measurable follows Wen et al. 2010 ("Updated response assessment criteria
for high-grade gliomas", J Clin Oncol 28(11)): both diameters of an axial slice at least 10 mm, and
the lesion on at least two slices.
"""

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.labels import region_mask
from scripted_models.measurement.diameters import Diameters, Point, axial_diameters

MEASURABLE_MM = 10.0  # both diameters, at least
MEASURABLE_SLICES = 2


@dataclass(frozen=True)
class Lesion:
    """One connected lesion.

    Attributes:
        number: from 1, the largest first.
        region: 'ET', or 'WT' of a tumor without enhancement.
        voxels: how many.
        volume_ml: their volume.
        centroid_lps_mm: mean position of the voxels.
        slices: axial slices that it touches.
        diameters: the two diameters; None where no line lies inside.
    """

    number: int
    region: str
    voxels: int
    volume_ml: float
    centroid_lps_mm: Point
    slices: int
    diameters: Diameters | None

    @property
    def is_measurable(self) -> bool:
        """Whether both diameters reach 10 mm, and the lesion at least two slices."""
        return (
            self.diameters is not None
            and min(self.diameters.longest_mm, self.diameters.perpendicular_mm) >= MEASURABLE_MM
            and self.slices >= MEASURABLE_SLICES
        )


@dataclass(frozen=True, eq=False)
class Lesions:
    """The lesions of a label map.

    Attributes:
        region: of all of them; 'ET' also where there is no tumor at all.
        numbers: uint16 (z, y, x), number of the lesion of each voxel; 0 outside.
        items: the lesions, `items[number - 1]`.
    """

    region: str
    numbers: np.ndarray = field(repr=False)
    items: tuple[Lesion, ...] = ()


def find_lesions(labels: np.ndarray, grid: Grid) -> Lesions:
    """Find the connected lesions of a tumor.

    Args:
        labels: uint8 (z, y, x), internal labels.
        grid: their grid.
    """
    region = "ET" if region_mask(labels, "ET").any() or not labels.any() else "WT"
    mask = sitk.GetImageFromArray(region_mask(labels, region).astype(np.uint8))
    sorted_parts = sitk.RelabelComponent(sitk.ConnectedComponent(mask, True), 0, True)
    numbers = sitk.GetArrayFromImage(sorted_parts).astype(np.uint16)
    items = tuple(_lesion(numbers == n, n, region, grid) for n in range(1, int(numbers.max()) + 1))
    return Lesions(region, numbers, items)


def _lesion(mask: np.ndarray, number: int, region: str, grid: Grid) -> Lesion:
    places = np.argwhere(mask)
    across = 2 - int(np.argmax(np.abs(np.reshape(grid.direction, (3, 3))[2])))
    axes = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    x, y, z = (axes @ places.mean(axis=0)[::-1] + grid.origin_lps_mm).tolist()
    return Lesion(
        number,
        region,
        len(places),
        len(places) * grid.voxel_volume_ml,
        (x, y, z),
        len(np.unique(places[:, across])),
        axial_diameters(mask, grid),
    )
