"""Rigid registration of one sequence to another of the same patient, in three stages.

A: the smoothed brain masks, by mean squares. It needs no contrast and finds large motions.
B: the whole heads at 4 mm, by mutual information of all voxels, from A and from the header.
C: the brain at 2.5 mm, by mutual information, from the better of both.

Mattes et al., "PET-CT image registration in the chest using free-form deformations" (2003), for
the mutual information. ITK sums it in the order in which its threads finish, so one thread sums:
the same input gives the same bits. Several sequences are registered beside each other instead.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import Cancelled
from scripted_models.geometry import Grid
from scripted_models.images.training_space import resample

_COARSE_MM, _FINE_MM, _MASK_MM = 4.0, 2.5, 4.0
_BINS = 32
_NEAR_BRAIN_MM = 10.0  # around the brain, what the last stage sees
_SAME_POSITION_MM = 0.5  # a correction below it is none: half of a working voxel
_LEAST_SEEN = 0.3  # of the fixed brain inside the moving volume
_MOST_REFINED_MM = 10.0  # what stage C may move; it runs farther only out of a field of view
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
        is_steady: the last stage stayed near its start; otherwise its start was kept.
    """

    transform: sitk.Euler3DTransform
    start_information: float
    information: float
    start_overlap: float | None
    overlap: float | None
    moved_mm: float
    is_steady: bool = True

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
    pair = _Pair(fixed, moving, cancelled)
    header = pair.at_header()
    starts = [header, pair.by_masks(pair.centered())]
    told(0.25)
    coarse = [pair.by_heads(start) for start in starts]
    coarse += pair.by_heads_turned_over(pair.centered())
    told(0.6)
    fine = pair.fine_view()
    costs = [(pair.cost(fine, start), start) for start in (*starts, *coarse)]
    least, best = min(costs, key=lambda known: known[0])
    found = pair.by_brain(fine, best)
    cost = pair.cost(fine, found)
    is_steady = _mean_distance(found, best, pair.brain_points) <= _MOST_REFINED_MM
    if cost > least or not is_steady:
        cost, found = least, best
    moved, start_cost = _mean_distance(found, sitk.Transform(), pair.brain_points), costs[0][0]
    if moved < _SAME_POSITION_MM or cost >= start_cost:
        cost, found, moved = start_cost, header, 0.0
    told(1.0)
    return Registration(
        transform=found,
        start_information=-start_cost,
        information=-cost,
        start_overlap=pair.overlap(header),
        overlap=pair.overlap(found),
        moved_mm=moved,
        is_steady=is_steady,
    )


def _mean_distance(first: sitk.Transform, second: sitk.Transform, points: np.ndarray) -> float:
    one, other = ([t.TransformPoint(p) for p in points.tolist()] for t in (first, second))
    return float(np.linalg.norm(np.subtract(one, other), axis=1).mean())


@dataclass(frozen=True, eq=False)
class _View:
    """Both volumes at one resolution, and where the metric looks."""

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


class _Pair:
    """Two heads on the way to each other."""

    def __init__(self, fixed: Head, moving: Head, cancelled: Asked) -> None:
        self.cancelled = cancelled
        self.is_stripped = fixed.is_stripped or moving.is_stripped
        self.brains = [h.brain and _at(h.brain, _FINE_MM) for h in (fixed, moving)]
        self.heads = [head.image for head in (fixed, moving)]
        self.centers = [
            _center(_at(head, _COARSE_MM) if brain is None else brain)
            for head, brain in zip(self.heads, self.brains, strict=True)
        ]
        self.brain_points = _points(self.brains[0] or _at(fixed.image, _COARSE_MM))
        self._coarse: _View | None = None

    def at_header(self) -> sitk.Euler3DTransform:
        """Return the position that the headers tell, turning about the fixed brain."""
        return self._shifted(np.zeros(3))

    def centered(self) -> sitk.Euler3DTransform:
        """Return the shift of one center to the other."""
        return self._shifted(np.subtract(self.centers[1], self.centers[0]))

    def by_masks(self, start: sitk.Euler3DTransform) -> sitk.Euler3DTransform:
        """Stage A; the start where a brain is not known."""
        fixed, moving = self.brains
        if fixed is None or moving is None:
            return start
        hills = [
            sitk.SmoothingRecursiveGaussian(_at(m, _MASK_MM), _MASK_MM) for m in (fixed, moving)
        ]
        method = _method()
        method.SetMetricAsMeanSquares()
        return self._optimized(method, hills[0], hills[1], start, step=4.0)

    def by_heads(self, start: sitk.Euler3DTransform) -> sitk.Euler3DTransform:
        """Stage B; of brains alone where one volume has no head any more."""
        view = self._coarse = self._coarse or self._coarse_view()
        return self._optimized(view.method(), view.fixed, view.moving, start, step=2.0)

    def by_heads_turned_over(self, start: sitk.Euler3DTransform) -> list[sitk.Euler3DTransform]:
        """Return what A and B reach from a start turned over, where that fits better at once.

        A header with a wrong orientation can be off by half a turn, which no small steps find.
        """
        view = self._coarse = self._coarse or self._coarse_view()
        turned = []
        for signs in ((1, -1, -1), (-1, 1, -1), (-1, -1, 1)):
            other = sitk.Euler3DTransform(start)
            matrix = np.array(start.GetMatrix()).reshape(3, 3) @ np.diag(signs)
            other.SetMatrix(matrix.ravel().tolist(), 1e-6)
            turned.append((self.cost(view, other), other))
        cost, best = min(turned, key=lambda known: known[0])
        return [self.by_heads(self.by_masks(best))] if cost < self.cost(view, start) else []

    def _coarse_view(self) -> _View:
        images = [_at(image, _COARSE_MM) for image in self.heads]
        if self.is_stripped:
            images = [
                image if brain is None else image * sitk.Resample(brain, image)
                for image, brain in zip(images, self.brains, strict=True)
            ]
        return _View(images[0], images[1], None)

    def fine_view(self) -> _View:
        """Return both volumes as stage C sees them."""
        fixed, moving = (_at(image, _FINE_MM) for image in self.heads)
        brain = self.brains[0]
        if brain is None:
            return _View(fixed, moving, None)
        near = sitk.BinaryThreshold(brain, 0.5, 2.0)
        if not self.is_stripped:
            near = sitk.BinaryDilate(near, [round(_NEAR_BRAIN_MM / _FINE_MM)] * 3)
        return _View(fixed, moving, near)

    def by_brain(self, view: _View, start: sitk.Euler3DTransform) -> sitk.Euler3DTransform:
        """Stage C."""
        return self._optimized(view.method(), view.fixed, view.moving, start, step=2.0)

    def cost(self, view: _View, transform: sitk.Transform) -> float:
        """Return the negative mutual information; 0 where the volumes hardly meet.

        Few voxels would seem to have much in common by chance.
        """
        if self.cancelled():
            raise Cancelled
        size = np.array(view.moving.GetSize())
        points = map(transform.TransformPoint, self.brain_points.tolist())
        indices = np.array([view.moving.TransformPhysicalPointToContinuousIndex(p) for p in points])
        if np.mean(((indices > -0.5) & (indices < size - 0.5)).all(axis=1)) < _LEAST_SEEN:
            return 0.0
        method = view.method()
        method.SetInitialTransform(transform)
        try:
            return float(method.MetricEvaluate(view.fixed, view.moving))
        except RuntimeError:  # no voxel of one inside the other
            return 0.0

    def overlap(self, transform: sitk.Transform) -> float | None:
        """Return the Dice of both brains where both fields of view reach; None without both."""
        fixed, moving = self.brains
        if fixed is None or moving is None:
            return None
        there = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, -1.0)
        reached = sitk.GetArrayViewFromImage(there)
        a = (sitk.GetArrayViewFromImage(fixed) > 0.5) & (reached >= 0)
        b = reached > 0.5
        both = int(a.sum()) + int(b.sum())
        return 2 * int((a & b).sum()) / both if both else 0.0

    def _shifted(self, shift: np.ndarray) -> sitk.Euler3DTransform:
        transform = sitk.Euler3DTransform()
        transform.SetCenter(self.centers[0])
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


def _at(image: sitk.Image, spacing_mm: float) -> sitk.Image:
    """Return a float32 image with cubic voxels over the same extent; smaller ones are averaged."""
    image = sitk.Cast(image, sitk.sitkFloat32)
    image = sitk.BinShrink(
        image,
        [
            max(1, min(size // 4, int(spacing_mm / step + 1e-3)))
            for size, step in zip(image.GetSize(), image.GetSpacing(), strict=True)
        ],
    )
    grid = Grid.of(image)
    extent = np.multiply(grid.size_xyz, grid.spacing_xyz_mm)
    size = np.maximum(4, np.ceil(extent / spacing_mm - 1e-3)).astype(int)
    axes = np.array(grid.direction).reshape(3, 3)
    first = (extent - (size - 1) * spacing_mm) / 2 - np.array(grid.spacing_xyz_mm) / 2
    origin = np.array(grid.origin_lps_mm) + axes @ first
    x, y, z = size.tolist()
    target = Grid((x, y, z), (spacing_mm,) * 3, tuple(origin.tolist()), grid.direction)
    return resample(image, target, sitk.sitkLinear, extend=True)


def _center(weights: sitk.Image) -> list[float]:
    """Return the centroid of a brain or of gray levels, LPS mm."""
    array = sitk.GetArrayFromImage(weights).astype(np.float64)
    array -= array.min()
    if not array.any():
        array += 1.0
    sums = [array.sum(axis=tuple(i for i in range(3) if i != k)) for k in (2, 1, 0)]
    index = [float(np.arange(len(s)) @ s / s.sum()) for s in sums]
    return list(weights.TransformContinuousIndexToPhysicalPoint(index))


def _points(image: sitk.Image) -> np.ndarray:
    """Return points over a brain, (n, 3) LPS mm."""
    array = sitk.GetArrayViewFromImage(image)
    hit = np.argwhere(array > 0.5)
    some = (hit if len(hit) else np.argwhere(array == array))[:: max(1, len(hit) // 500)]
    return np.array([image.TransformIndexToPhysicalPoint(p) for p in some[:, ::-1].tolist()])
