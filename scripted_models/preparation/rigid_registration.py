"""Rigid registration of one sequence to another of the same patient, in three stages.

A: the smoothed brain masks, by mean squares. It needs no contrast and finds large motions.
B: the whole heads at 4 mm, by mutual information of all voxels, from A and from the header.
C: the brain at 2.5 mm, by mutual information, from the better of both.

Mattes et al., "PET-CT image registration in the chest using free-form deformations" (2003), for
the mutual information. ITK sums it in the order in which its threads finish, so one thread sums:
the same input gives the same bits. Several sequences are registered beside each other instead.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import Cancelled
from scripted_models.geometry import Grid

_COARSE_MM, _FINE_MM, _MASK_MM = 4.0, 2.5, 4.0
_BINS = 32
_NEAR_BRAIN_MM = 10.0  # around the brain, what the last stage sees
_SAME_POSITION_MM = 0.5  # a correction below it is none: half of a working voxel
_STEPS = 150  # of an optimizer, at most
_RELAXATION = 0.8  # of a step that went too far; with 0.5 different starts end apart
Asked = Callable[[], bool]
Told = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Head:
    """A volume and where its brain is.

    Attributes:
        image: float32, with skull or without.
        brain: uint8 on the same grid, 0 or 1; None where it is not known.
        is_stripped: nothing but the brain differs from 0.
    """

    image: sitk.Image
    brain: sitk.Image | None
    is_stripped: bool = False


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a moving volume lies.

    Attributes:
        transform: maps points of the fixed volume to those of the moving one, LPS mm.
        start_information: mutual information in the brain at the headers' positions; larger is
            more.
        information: the same after registration.
        start_overlap: Dice of both brains at the headers' positions; None without both masks.
        overlap: the same after registration.
        moved_mm: mean distance that points of the brain were moved.
    """

    transform: sitk.Euler3DTransform
    start_information: float
    information: float
    start_overlap: float | None
    overlap: float | None
    moved_mm: float

    @property
    def degrees(self) -> float:
        """Angle of the rotation."""
        matrix = np.array(self.transform.GetMatrix()).reshape(3, 3)
        return float(np.degrees(np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))))

    @property
    def stays(self) -> bool:
        """True when the headers' position was kept."""
        return self.moved_mm == 0


def register(
    fixed: Head,
    moving: Head,
    told: Told = lambda share: None,
    cancelled: Asked = lambda: False,
) -> Registration:
    """Find the rigid motion between two volumes of one head.

    Args:
        fixed: the reference.
        moving: the other one; grids and orientations may differ.
        told: called with the share that is done, 0 to 1.
        cancelled: asked in every step.

    Raises:
        Cancelled: `cancelled` returned true.
    """
    pair = _Pair(fixed, moving, told, cancelled)
    header = pair.at_header()
    starts = [header, pair.by_masks(pair.centered())]
    told(0.25)
    coarse = [pair.by_heads(start) for start in starts]
    told(0.6)
    fine = pair.fine_view()
    best = min([*starts, *coarse], key=fine.cost)
    found = pair.by_brain(fine, best)
    start_cost = fine.cost(header)
    if fine.cost(found) > fine.cost(best):
        found = best
    moved = _mean_motion(found, pair.brain_points)
    if moved < _SAME_POSITION_MM or fine.cost(found) >= start_cost:
        found, moved = header, 0.0
    told(1.0)
    return Registration(
        transform=found,
        start_information=-start_cost,
        information=-fine.cost(found),
        start_overlap=overlap(fixed.brain, moving.brain, header),
        overlap=overlap(fixed.brain, moving.brain, found),
        moved_mm=moved,
    )


def overlap(
    fixed: sitk.Image | None, moving: sitk.Image | None, transform: sitk.Transform
) -> float | None:
    """Return the Dice of two masks where both fields of view reach; None without both."""
    if fixed is None or moving is None:
        return None
    seen = sitk.Image(moving.GetSize(), sitk.sitkUInt8) + 1
    seen.CopyInformation(moving)
    there = sitk.Resample(moving, fixed, transform, sitk.sitkNearestNeighbor, 0)
    inside = sitk.Resample(seen, fixed, transform, sitk.sitkNearestNeighbor, 0)
    a = sitk.GetArrayViewFromImage(fixed) * sitk.GetArrayViewFromImage(inside) > 0
    b = sitk.GetArrayViewFromImage(there) > 0
    both = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / both if both else 0.0


def _mean_motion(transform: sitk.Transform, points: np.ndarray) -> float:
    moved = np.array([transform.TransformPoint(point) for point in points.tolist()])
    return float(np.linalg.norm(moved - points, axis=1).mean())


@dataclass(frozen=True, eq=False)
class _View:
    """Both volumes at one resolution, and how well a transform makes them agree."""

    fixed: sitk.Image
    moving: sitk.Image
    mask: sitk.Image | None

    def method(self) -> sitk.ImageRegistrationMethod:
        """Return a method with mutual information of all voxels (in the mask)."""
        method = _method()
        method.SetMetricAsMattesMutualInformation(_BINS)
        if self.mask is not None:
            method.SetMetricFixedMask(self.mask)
        return method

    def cost(self, transform: sitk.Transform) -> float:
        """Return the negative mutual information; 0 where the volumes do not meet."""
        method = self.method()
        method.SetInitialTransform(transform)
        try:
            return float(method.MetricEvaluate(self.fixed, self.moving))
        except RuntimeError:  # no voxel of one inside the other
            return 0.0


class _Pair:
    """Two heads on the way to each other."""

    def __init__(self, fixed: Head, moving: Head, told: Told, cancelled: Asked) -> None:
        self.fixed, self.moving = fixed, moving
        self.told, self.cancelled = told, cancelled
        self.center = _center(fixed)
        self.brain_points = _points(fixed)

    def at_header(self) -> sitk.Euler3DTransform:
        """Return the position that the headers tell, turning about the fixed brain."""
        return self._shifted(np.zeros(3))

    def centered(self) -> sitk.Euler3DTransform:
        """Return the shift of one center to the other."""
        return self._shifted(np.array(_center(self.moving)) - self.center)

    def by_masks(self, start: sitk.Euler3DTransform) -> sitk.Euler3DTransform:
        """Stage A; the start where a brain is not known."""
        if self.fixed.brain is None or self.moving.brain is None:
            return start
        fixed, moving = (_at(_blurred(m), _MASK_MM) for m in (self.fixed.brain, self.moving.brain))
        method = _method()
        method.SetMetricAsMeanSquares()
        return self._optimized(method, fixed, moving, start, step=4.0)

    def by_heads(self, start: sitk.Euler3DTransform) -> sitk.Euler3DTransform:
        """Stage B; of brains alone where one volume has no head any more."""
        images = self._comparable(self.fixed), self._comparable(self.moving)
        view = _View(_at(images[0], _COARSE_MM), _at(images[1], _COARSE_MM), None)
        return self._optimized(view.method(), view.fixed, view.moving, start, step=2.0)

    def fine_view(self) -> _View:
        """Return both volumes as stage C sees them."""
        fixed, moving = _at(self.fixed.image, _FINE_MM), _at(self.moving.image, _FINE_MM)
        mask = self.fixed.brain
        if mask is None:
            return _View(fixed, moving, None)
        near = sitk.BinaryThreshold(_at(sitk.Cast(mask, sitk.sitkFloat32), _FINE_MM), 0.5, 2.0)
        if not (self.fixed.is_stripped or self.moving.is_stripped):
            near = sitk.BinaryDilate(near, [round(_NEAR_BRAIN_MM / _FINE_MM)] * 3)
        return _View(fixed, moving, near)

    def by_brain(self, view: _View, start: sitk.Euler3DTransform) -> sitk.Euler3DTransform:
        """Stage C."""
        return self._optimized(view.method(), view.fixed, view.moving, start, step=2.0)

    def _comparable(self, head: Head) -> sitk.Image:
        if not (self.fixed.is_stripped or self.moving.is_stripped) or head.brain is None:
            return head.image
        return sitk.Mask(head.image, head.brain)

    def _shifted(self, shift: np.ndarray) -> sitk.Euler3DTransform:
        transform = sitk.Euler3DTransform()
        transform.SetCenter(self.center)
        transform.SetTranslation(shift.tolist())
        return transform

    def _optimized(
        self,
        method: sitk.ImageRegistrationMethod,
        fixed: sitk.Image,
        moving: sitk.Image,
        start: sitk.Euler3DTransform,
        step: float,
    ) -> sitk.Euler3DTransform:
        """Return what the optimizer reaches; the start where the volumes do not meet."""
        found = sitk.Euler3DTransform(start)
        method.SetInitialTransform(found, inPlace=True)
        method.SetOptimizerAsRegularStepGradientDescent(
            step, 0.02, _STEPS, _RELAXATION, gradientMagnitudeTolerance=1e-6
        )
        method.SetOptimizerScalesFromPhysicalShift()
        caught: list[BaseException] = []

        def ask() -> None:
            try:  # ITK would swallow an error of a callback, and Ctrl-C with it
                if not caught and self.cancelled():
                    raise Cancelled
            except BaseException as error:
                caught.append(error)
                method.StopRegistration()

        method.AddCommand(sitk.sitkIterationEvent, ask)
        try:
            method.Execute(fixed, moving)
        except RuntimeError:  # hardly any voxel of one inside the other
            found = start
        if caught:
            raise caught[0]
        return found


def _method() -> sitk.ImageRegistrationMethod:
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetNumberOfWorkUnits(1)
    method.SetMetricSamplingStrategy(method.NONE)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _blurred(mask: sitk.Image) -> sitk.Image:
    """Return a mask as a smooth hill; slices beyond the field of view repeat the last one."""
    return _smoothed(sitk.Cast(mask, sitk.sitkFloat32), [_MASK_MM] * 3)


def _at(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Return an image with cubic voxels over the same extent, smoothed where it loses."""
    grid = Grid.of(image)
    sigmas = [spacing_mm / 2 if size < spacing_mm else 0.0 for size in grid.spacing_xyz_mm]
    image = _smoothed(sitk.Cast(image, sitk.sitkFloat32), sigmas)
    extent = np.multiply(grid.size_xyz, grid.spacing_xyz_mm)
    size = np.maximum(4, np.ceil(extent / spacing_mm)).astype(int)
    axes = np.array(grid.direction).reshape(3, 3)
    first = (extent - (size - 1) * spacing_mm) / 2 - np.array(grid.spacing_xyz_mm) / 2
    origin = np.array(grid.origin_lps_mm) + axes @ first
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(size.tolist())
    resampler.SetOutputSpacing([spacing_mm] * 3)
    resampler.SetOutputOrigin(origin.tolist())
    resampler.SetOutputDirection(grid.direction)
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetUseNearestNeighborExtrapolator(True)
    return resampler.Execute(image)


def _smoothed(image: sitk.Image, sigmas_mm: Sequence[float]) -> sitk.Image:
    for axis, sigma in enumerate(sigmas_mm):
        if sigma and image.GetSize()[axis] >= 4:  # what the recursive filter needs
            image = sitk.RecursiveGaussian(image, sigma, direction=axis)
    return image


def _center(head: Head) -> list[float]:
    """Return the centroid of the brain, else that of the gray levels."""
    weights = head.brain if head.brain is not None else sitk.Cast(head.image, sitk.sitkFloat32)
    array = sitk.GetArrayFromImage(weights).astype(np.float64)
    array -= array.min()
    total = array.sum()
    if not total:
        index = (np.array(weights.GetSize()) - 1) / 2
    else:
        sums = [array.sum(axis=tuple(i for i in range(3) if i != k)) for k in (2, 1, 0)]
        index = np.array([np.arange(len(s)) @ s for s in sums]) / total
    return list(weights.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def _points(head: Head) -> np.ndarray:
    """Return points over the brain (or the volume), (n, 3) LPS mm."""
    image = head.brain if head.brain is not None else head.image
    array = sitk.GetArrayViewFromImage(image)
    hit = np.argwhere(array > 0) if head.brain is not None else np.argwhere(np.ones(array.shape))
    if not len(hit):
        hit = np.array([[0, 0, 0]])
    some = hit[:: max(1, len(hit) // 500)][:, ::-1]
    return np.array([image.TransformIndexToPhysicalPoint(p) for p in some.tolist()])
