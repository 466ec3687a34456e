"""The grid of a volume: where its voxels lie in physical space."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

# NIfTI keeps geometry to about 1e-7 of its numbers; rounding below one micrometer is no difference.
TOLERANCE_MM = 1e-3
HARMLESS_MM = 0.1  # what headers may differ by at the far corner of a volume, with a warning
HARMLESS_SHARE = 1e-3  # of a voxel size, where an axis is so short that no corner moves
MAX_TURN = 1e-2  # of a direction cosine where no corner moves: an axis of one voxel


@dataclass(frozen=True)
class Grid:
    """Size and placement of a 3-D volume, in SimpleITK's order (x, y, z) and LPS millimeters.

    Attributes:
        size_xyz: number of voxels.
        spacing_xyz_mm: distance of voxel centers.
        origin_lps_mm: center of the first voxel.
        direction: 9 cosines, row-major; columns are the axes.
    """

    size_xyz: tuple[int, int, int]
    spacing_xyz_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin_lps_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @classmethod
    def of(cls, image: sitk.Image) -> "Grid":
        """Return the grid of a 3-D SimpleITK image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Shape of a NumPy array on this grid."""
        return self.size_xyz[::-1]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in milliliters."""
        return float(np.prod(self.spacing_xyz_mm)) / 1000.0

    @property
    def diagonal_mm(self) -> float:
        """Length of the diagonal of the volume."""
        return float(np.linalg.norm(np.multiply(self.size_xyz, self.spacing_xyz_mm)))

    def corners_lps_mm(self) -> np.ndarray:
        """Return the centers of the eight corner voxels, shape (8, 3)."""
        steps = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)])
        steps = steps * (np.array(self.size_xyz) - 1) * np.array(self.spacing_xyz_mm)
        return steps @ np.array(self.direction).reshape(3, 3).T + np.array(self.origin_lps_mm)

    def distance_mm(self, other: "Grid") -> float:
        """Return how far apart two grids of one size put a corner voxel, at most."""
        apart = self.corners_lps_mm() - other.corners_lps_mm()
        return float(np.linalg.norm(apart, axis=1).max())

    def difference(self, other: "Grid", tolerance_mm: float = TOLERANCE_MM) -> str:
        """Say in words how two grids differ; empty when they are the same.

        Size must be equal. Spacing, origin and direction together are compared through the
        positions of the corner voxels: a tiny angle matters as much as what it moves. Cosines are
        compared too, because an axis of one voxel moves no corner.
        """
        if self.size_xyz != other.size_xyz:
            return f"sizes {_by(self.size_xyz)} and {_by(other.size_xyz)} voxels"
        sizes = np.array([self.spacing_xyz_mm, other.spacing_xyz_mm])
        rounding = np.maximum(TOLERANCE_MM, HARMLESS_SHARE * sizes.max(axis=0))
        if (np.abs(sizes[0] - sizes[1]) > np.minimum(tolerance_mm, rounding)).any():
            return f"spacings {_by(self.spacing_xyz_mm)} and {_by(other.spacing_xyz_mm)} mm"
        moved = self.distance_mm(other)
        turned = np.abs(np.subtract(self.direction, other.direction)).max()
        if moved <= tolerance_mm and turned <= MAX_TURN:
            return ""
        if turned <= 1e-4:
            return (
                f"origins {_by(self.origin_lps_mm)} and {_by(other.origin_lps_mm)} mm "
                f"with corners up to {moved:.3g} mm apart"
            )
        return f"directions with corners up to {moved:.3g} mm apart"

    def matches(self, other: "Grid", tolerance_mm: float = TOLERANCE_MM) -> bool:
        """True when both grids place every voxel at the same point within the tolerance."""
        return not self.difference(other, tolerance_mm)

    def image_from(self, array: np.ndarray) -> sitk.Image:
        """Return a SimpleITK image of a (z, y, x) array lying on this grid.

        Raises:
            ValueError: the array's shape is not the grid's.
        """
        if array.shape != self.shape_zyx:
            raise ValueError(f"array {array.shape} does not fit the grid {self.shape_zyx}")
        if array.dtype == bool:
            array = array.astype(np.uint8)
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        self.put_on(image)
        return image

    def put_on(self, image: sitk.Image) -> None:
        """Place an image of this size on this grid, for example where rounding moved it."""
        image.SetSpacing(self.spacing_xyz_mm)
        image.SetOrigin(self.origin_lps_mm)
        image.SetDirection(self.direction)


def _by(values: Iterable[float]) -> str:
    return "x".join(f"{v:g}" for v in values)
