"""The space a model was trained in, and the way there and back.

Networks see axial slices of about 1 mm: x to the patient's left, y to posterior, z to superior
(LPS). An input in another orientation is permuted and flipped without loss. One with another
in-plane spacing is resampled, and its probabilities are resampled back onto its own grid. Networks
of nnU-Net see volumes that are resampled later, see `spacing_change`.
"""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.images.spacing_change import SpacingChange
from scripted_models.runtime.table_hints import Pattern, Range

# one letter of each axis, so that 'LLS' is none
AxisCode = Annotated[
    str,
    Pattern(
        "(?=.*[LR])(?=.*[AP])(?=.*[SI])[LRAPSI]{3}", "one letter each of L or R, A or P, S or I"
    ),
]
SpacingMm = Annotated[float, Range(0.1, 20)] | None


@dataclass(frozen=True)
class TrainingSpace:
    """What a network expects of the volumes it sees.

    Attributes:
        orientation: axis code, first letter x.
        spacing_xyz_mm: spacing of each axis; None where any spacing will do.
        tolerance: relative difference of spacing that is left alone.
    """

    orientation: AxisCode = "LPS"
    spacing_xyz_mm: tuple[SpacingMm, SpacingMm, SpacingMm] = (1.0, 1.0, None)
    tolerance: Annotated[float, Range(0, 1)] = 0.1

    def to_training(self, image: sitk.Image) -> sitk.Image:
        """Return the image in this space, as float32."""
        oriented = sitk.DICOMOrient(sitk.Cast(image, sitk.sitkFloat32), self.orientation)
        target = self._target_grid(Grid.of(oriented))
        if target is None:
            return oriented
        return resample(oriented, target, sitk.sitkLinear, extend=True)

    def resamples(self, grid: Grid) -> bool:
        """True when volumes on this grid change their spacing on the way to the network."""
        return self._target_grid(self.oriented(grid)) is not None

    def change(self, grid: Grid) -> SpacingChange | None:
        """Return the way to this spacing of volumes that are turned like this space."""
        target = self._target_grid(grid)
        if target is None:
            return None
        (bx, by, bz), (ax, ay, az) = grid.spacing_xyz_mm, target.spacing_xyz_mm
        return SpacingChange((bz, by, bx), (az, ay, ax))

    def training_voxels(self, grid: Grid) -> int:
        """Return how many voxels a volume on this grid has in this space, about."""
        oriented = self.oriented(grid)
        target = self._target_grid(oriented) or oriented
        share = math.prod(oriented.spacing_xyz_mm) / math.prod(target.spacing_xyz_mm)
        return math.ceil(math.prod(grid.size_xyz) * share)

    def oriented(self, grid: Grid) -> Grid:
        """Return one voxel of a grid, oriented like this space."""
        blank = sitk.Image([1, 1, 1], sitk.sitkUInt8)
        blank.SetSpacing(grid.spacing_xyz_mm)
        blank.SetDirection(grid.direction)
        return Grid.of(sitk.DICOMOrient(blank, self.orientation))

    def to_input(self, probabilities: np.ndarray, training: Grid, original: Grid) -> np.ndarray:
        """Carry class probabilities (C, z, y, x) from the training grid to the input's grid.

        Returns:
            float32 array (C, z, y, x) on `original`; where the training grid does not reach, the
            first class (background) has probability 1.
        """
        code, resamples = orientation_code(original.direction), self.resamples(original)
        if code == self.orientation and not resamples:
            return probabilities
        moved = np.empty((len(probabilities), *original.shape_zyx), np.float32)
        for index, channel in enumerate(probabilities):
            image = training.image_from(channel)
            if resamples:
                image = resample(image, original, sitk.sitkLinear, outside=float(index == 0))
            else:
                image = sitk.DICOMOrient(image, code)
            moved[index] = sitk.GetArrayViewFromImage(image)
        return moved

    def _target_grid(self, grid: Grid) -> Grid | None:
        (wx, wy, wz), (sx, sy, sz) = self.spacing_xyz_mm, grid.spacing_xyz_mm
        wanted = (wx or sx, wy or sy, wz or sz)
        ratios = np.divide(grid.spacing_xyz_mm, wanted)
        if np.all(np.abs(ratios - 1) <= self.tolerance):
            return None
        # as many voxels as cover the whole input, counted from its first edge
        size = np.maximum(1, np.ceil(np.array(grid.size_xyz) * ratios - 1e-3)).astype(int)
        axes = np.array(grid.direction).reshape(3, 3)
        shift = (np.array(wanted) - np.array(grid.spacing_xyz_mm)) / 2
        origin = np.array(grid.origin_lps_mm) + axes @ shift
        return Grid(tuple(size.tolist()), wanted, tuple(origin.tolist()), grid.direction)


def orientation_code(direction: tuple[float, ...]) -> str:
    """Return the axis code closest to a direction, for example 'LPS' for the identity."""
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(direction)


def resample(
    image: sitk.Image, grid: Grid, interpolator: int, outside: float = 0.0, extend: bool = False
) -> sitk.Image:
    """Resample an image in physical space onto a grid.

    Voxels whose center lies beyond the image's edge become `outside`; with `extend` they repeat
    the edge.
    """
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(grid.size_xyz)
    filter_.SetOutputSpacing(grid.spacing_xyz_mm)
    filter_.SetOutputOrigin(grid.origin_lps_mm)
    filter_.SetOutputDirection(grid.direction)
    filter_.SetInterpolator(interpolator)
    filter_.SetDefaultPixelValue(outside)
    filter_.SetUseNearestNeighborExtrapolator(extend)
    return filter_.Execute(image)
