"""Copies of labeled cases as a scanner would have given them: turned, moved, on grids of their own.

The space of a copy is that of its T1c, in which the head is turned and moved. Every other sequence
has a grid with axes of its own. With wrong headers the head has also moved between the sequences.
All copies are made by one resampling (cubic B-splines) of the original; thick slices are the mean
of layers of 1 mm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.brain_mask import brain_mask
from scripted_models.cases.case import Case, ImageSource
from scripted_models.geometry import Grid
from scripted_models.segmentation.case_images import read_on_one_grid

REFERENCE = "t1c"
TURN, SHIFT_MM = 15.0, 20.0  # at most, of the head in the reference, and of the axes of the others
MOTION, MOTION_MM = 5.0, 8.0  # at most, of the head between two sequences
OFF_CENTER_MM = 5.0  # of a field of view, along each axis
FIELD_XY_MM, FIELD_Z_MM = 230.0, 190.0
REFERENCE_MM, IN_PLANE_MM = 0.95, (0.8, 1.2)  # voxels of the reference, and those of the others


@dataclass(frozen=True, eq=False)
class MovedCase:
    """A copy of a case, and where its head is.

    Attributes:
        case: the files of the copy.
        head: maps points of the copy to those of the original, LPS mm.
        motions: sequence -> map from points of the reference to those of the sequence.
        slices_mm: of all sequences.
        labels: ground truth of the original, internal labels on its grid.
    """

    case: Case
    head: sitk.Transform
    motions: Mapping[str, sitk.Transform]
    slices_mm: int
    labels: sitk.Image

    def truth_on(self, grid: Grid) -> np.ndarray:
        """Return the ground truth on a grid of the copy, uint8 (z, y, x): what fills most."""
        layers = max(1, round(grid.spacing_xyz_mm[2]))
        known = np.unique(sitk.GetArrayViewFromImage(self.labels)).tolist()
        shares = [_shown(self.labels == label, grid, self.head, layers) for label in known]
        return np.array(known, np.uint8)[np.argmax(shares, axis=0)]


def moved_case(
    case: Case, folder: Path, random: np.random.Generator, slices_mm: int, headers_right: bool
) -> MovedCase:
    """Write a copy of a skull-stripped case with four sequences and a label map.

    Args:
        case: on one grid.
        folder: for the volumes, an empty one.
        random: decides all motions.
        slices_mm: thickness of the slices, whole mm.
        headers_right: whether headers know where the head is in the other sequences.
    """
    images = read_on_one_grid(case)
    arrays = {m: sitk.GetArrayViewFromImage(image) for m, image in images.items()}
    grid = Grid.of(images[REFERENCE])
    brain = grid.image_from(brain_mask(arrays.values()))
    center = center_of(brain)
    head = random_motion(random, center, TURN, SHIFT_MM)
    center = np.array(head.GetInverse().TransformPoint(center.tolist()))
    motions, sources = {}, {}
    for sequence, image in images.items():
        is_reference = sequence == REFERENCE
        motion, way = sitk.Euler3DTransform(), head
        if not (is_reference or headers_right):
            motion = random_motion(random, center, MOTION, MOTION_MM)
            way = sitk.CompositeTransform([head, motion.GetInverse()])
        step = REFERENCE_MM if is_reference else float(random.uniform(*IN_PLANE_MM))
        turned = random_motion(random, center, 0.0 if is_reference else TURN, 0.0)
        middle = center + random.uniform(-OFF_CENTER_MM, OFF_CENTER_MM, 3)
        own = _field(middle, turned.GetMatrix(), step, slices_mm)
        path = folder / f"{sequence}.nii"
        sitk.WriteImage(acquired(image, brain, own, way, slices_mm), str(path))
        motions[sequence], sources[sequence] = motion, ImageSource(path)
    labels, label_grid = case.read_truth()
    copy = Case(case.name, sources)
    return MovedCase(copy, head, motions, slices_mm, label_grid.image_from(labels))


def random_motion(
    random: np.random.Generator, center: np.ndarray, degrees: float, shift_mm: float
) -> sitk.Euler3DTransform:
    """Return a rotation about a center up to an angle, and a shift up to a distance."""
    axis, shift = random.normal(size=3), random.normal(size=3)
    angle = np.radians(random.uniform(0, degrees))
    shift *= random.uniform(0, shift_mm) / np.linalg.norm(shift)
    turn = sitk.VersorRigid3DTransform()
    turn.SetRotation((axis / np.linalg.norm(axis)).tolist(), float(angle))
    motion = sitk.Euler3DTransform()
    motion.SetCenter(center.tolist())
    motion.SetMatrix(turn.GetMatrix())
    motion.SetTranslation(shift.tolist())
    return motion


def _field(middle: np.ndarray, axes: tuple[float, ...], step: float, slices_mm: int) -> Grid:
    """Return a field of view about a point."""
    across, layers = round(FIELD_XY_MM / step), round(FIELD_Z_MM / slices_mm)
    size, spacing = (across, across, layers), (step, step, float(slices_mm))
    first = -(np.array(size) - 1) / 2 * spacing
    origin = middle + np.array(axes).reshape(3, 3) @ first
    return Grid(size, spacing, tuple(origin.tolist()), axes)


def acquired(
    image: sitk.Image, brain: sitk.Image, grid: Grid, way: sitk.Transform, layers: int
) -> sitk.Image:
    """Return a volume on a grid, float32, 0 outside of the brain."""
    values = sitk.GetArrayViewFromImage(image)
    least = float(values[values > 0].min())
    found = np.maximum(_sampled(image, grid, way, layers, sitk.sitkBSpline), least)
    inside = _shown(brain, grid, way, layers) > 0.5
    return grid.image_from(np.where(inside, found, 0).astype(np.float32))


def _shown(mask: sitk.Image, grid: Grid, way: sitk.Transform, layers: int) -> np.ndarray:
    """Return which share of each voxel a mask fills, about."""
    return _sampled(mask, grid, way, layers, sitk.sitkLinear)


def _sampled(
    image: sitk.Image, grid: Grid, way: sitk.Transform, layers: int, interpolator: int
) -> np.ndarray:
    """Return an image (z, y, x) on a grid, each slice being the mean of some layers."""
    (x, y, z), (dx, dy, dz) = grid.size_xyz, grid.spacing_xyz_mm
    thin = dz / layers
    down = np.array(grid.direction).reshape(3, 3)[:, 2] * (dz - thin) / 2
    origin = np.array(grid.origin_lps_mm) - down
    fine = Grid((x, y, z * layers), (dx, dy, thin), tuple(origin.tolist()), grid.direction)
    blank = sitk.Image(fine.size_xyz, sitk.sitkUInt8)
    fine.put_on(blank)
    found = sitk.Resample(sitk.Cast(image, sitk.sitkFloat32), blank, way, interpolator, 0.0)
    array = sitk.GetArrayViewFromImage(found)
    return np.asarray(array.reshape(z, layers, y, x).mean(axis=1))


def center_of(mask: sitk.Image) -> np.ndarray:
    """Return the centroid of a mask, LPS mm."""
    middle = np.argwhere(sitk.GetArrayViewFromImage(mask) > 0).mean(axis=0)[::-1]
    return np.array(mask.TransformContinuousIndexToPhysicalPoint(middle.tolist()))
