"""The glioma of a phantom: a lobed core with rim, and edema that follows white matter."""

from dataclasses import fields

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.phantom.anatomy import CENTER_MM, HEAD_BOX_MM, Head, Tissue
from scripted_models.cases.phantom.noise import Noise
from scripted_models.cases.phantom.shapes import mesh_points, smooth_union

_PLAN_MM = 3.0  # spacing of the lattice on which the volumes are set


class Glioma:
    """A random glioma: lobed core with rim, and edema that spreads along white matter.

    Args:
        rng: draws place, volume, shape and composition.
        head: the head that it grows in.
        low_grade: as for `phantom_case.make_phantom`.
    """

    def __init__(self, rng: np.random.Generator, head: Head, low_grade: bool = False):
        self.head = head
        self._draw_sizes(rng)
        if low_grade:
            self._draw_low_grade(rng)
        self.core_ml = self.whole_ml * self.core_share
        self.radius_mm = float((self.core_ml * 750 / np.pi) ** (1 / 3))
        self.center = self._draw_center(rng)
        self._draw_lobes(rng)
        self.push_mm = float(rng.uniform(0.1, 0.3) * self.radius_mm)
        self.shape, self.detail = Noise(rng, 24), Noise(rng, 10, band=True)
        self.rim, self.sector, self.fingers = Noise(rng, 14), Noise(rng, 20), Noise(rng, 7)
        self._plan()

    def _draw_sizes(self, rng: np.random.Generator) -> None:
        """Draw volumes in mL; shares center on those of BRATS 2013 (Havaei et al. 2017, sec. 3)."""
        self.whole_ml = float(3.5 * (150 / 3.5) ** rng.beta(1.8, 1.2))
        self.low_grade = bool(rng.random() < 0.15)
        self.core_share = rng.uniform(0.25, 0.7) if self.low_grade else rng.uniform(0.2, 0.6)
        self.dull_share = rng.uniform(0.05, 0.35)  # of the core: does not enhance where not dead
        self.necrosis_share = rng.uniform(0.03, 0.2) if self.low_grade else rng.uniform(0.08, 0.55)
        self.fade = rng.uniform(0.2, 0.6)  # loss of contrast at the edge of the edema

    def _draw_low_grade(self, rng: np.random.Generator) -> None:
        """Draw anew what differs: a large core, fluid in half, enhancing spots in a third."""
        self.low_grade = bool(rng.random() < 2 / 3)
        self.core_share = rng.uniform(0.35, 0.97)
        self.dull_share = rng.uniform(0.9, 0.995)
        self.necrosis_share = rng.uniform(0.02, 0.5) * (rng.random() < 0.5)

    def _draw_center(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a point of the cerebrum, not too close to the surface nor in a ventricle."""
        reach = np.array((60, 75, 50))
        tries = (rng.uniform(-reach, reach, (600, 3)) + CENTER_MM).T.astype(np.float32)
        tissue = self.head.tissue(tries, tries, 1.0)
        local = self.head.local(tries)
        deep = (tissue.depth_mm > 10) & (tissue.depth_mm < 40) & (tissue.csf < 0.3)
        good = deep & (np.abs(local[0]) > 16) & (local[2] > -12 - 0.3 * np.clip(local[1], 0, None))
        good &= (tissue.ventricle_mm > 3) & ((local[2] > 0) | (local[1] < 40))
        return tries[:, np.flatnonzero(good)[0]]

    def _draw_lobes(self, rng: np.random.Generator) -> None:
        """Draw one to three ellipsoids near the center, as (offset, radii and axes matrix)."""
        count = 1 + int((rng.random(2) < (0.5, 0.25)).sum())
        self.lobes: list[tuple[np.ndarray, np.ndarray, float]] = []
        for number in range(3):
            turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
            stretch = np.exp(rng.normal(0, 0.18, 3))
            size = 1.0 if number == 0 else rng.uniform(0.5, 0.8)
            offset = rng.standard_normal(3) * 0.7 * self.radius_mm * (number > 0)
            if number < count:
                matrix = (turn * stretch / size).astype(np.float32)
                self.lobes.append((offset.astype(np.float32), matrix, size))

    def pushed(self, points: np.ndarray) -> np.ndarray:
        """Return where the tissue at points (3, n) lay before the mass pushed it away."""
        offset = points - self.center[:, None]
        r = np.sqrt((offset**2).sum(0)) + np.float32(1e-3)
        shift = self.push_mm * np.exp(-((r / (2.2 * self.radius_mm)) ** 2)) * r / (r + 5)
        return points - offset * (shift / r).astype(np.float32)

    def _core_field(self, points: np.ndarray, tissue: Tissue) -> np.ndarray:
        """Return about the distance in mm to the core's surface, before its volume is set."""
        offset = points - self.center[:, None]
        distances = []
        for shift, matrix, size in self.lobes:
            moved = (matrix.T @ (offset - shift[:, None])).astype(np.float32)
            distances.append((np.sqrt((moved**2).sum(0)) - self.radius_mm) * np.float32(size))
        field = distances[0]
        for distance in distances[1:]:
            field = smooth_union(field, distance, 0.4 * self.radius_mm)
        zoom = np.float32(24 / max(8.0, 0.9 * self.radius_mm))
        field += 0.20 * self.radius_mm * self.shape(offset * zoom)
        field += min(1.2, 0.08 * self.radius_mm) * self.detail(points)
        field += 2 * np.clip(3 - tissue.depth_mm, 0, None) + 2 * np.clip(
            -tissue.ventricle_mm, 0, None
        )
        return field + self._barrier_mm(points)

    def _barrier_mm(self, points: np.ndarray) -> np.ndarray:
        """Return a penalty behind the falx (but for the callosum) and below the tentorium."""
        local = self.head.local(self.pushed(points))
        side = np.sign(self.head.local(self.center[:, None])[0, 0])
        inner = np.sqrt(((local[1] + 1) / 50) ** 2 + ((local[2] + 2) / 27) ** 2)
        falx = np.clip(2 - side * local[0], 0, None) * np.where(inner < 1.0, 0.7, 4)
        return falx + 4 * np.clip(np.minimum(-19 - local[2], local[1] - 20), 0, None)

    def _plan(self) -> None:
        """Set the thresholds that give the drawn volumes, on a coarse grid around the head."""
        axes = [np.arange(low, high, _PLAN_MM, dtype=np.float32) for low, high in HEAD_BOX_MM]
        mesh = mesh_points(axes)
        inside = self.head.outside_mm(mesh) < -1
        points = mesh[:, inside]
        tissue = self.head.tissue(points, self.pushed(points), _PLAN_MM)
        voxel_ml = _PLAN_MM**3 / 1000
        field = self._core_field(points, tissue)
        self.core_level = _level(field, self.core_ml / voxel_ml)
        core = field < self.core_level
        self.necrosis_level = _level(
            self._necrosis_field(points[:, core], field[core]),
            self.necrosis_share * core.sum(),
        )
        sector = self.sector(points[:, core])
        self.dull_level = np.inf if self.low_grade else float(np.quantile(sector, self.dull_share))
        self.plan_shape = tuple(len(axis) for axis in axes)[::-1]
        self.plan_low = np.array([axis[0] for axis in axes], np.float32)
        self.arrival = self._arrival(inside, points, tissue, core)
        times = self.arrival.ravel()[inside][~core & (tissue.csf < 0.5)]
        self.edema_level = _level(times, (self.whole_ml - self.core_ml) / voxel_ml)

    def _necrosis_field(self, points: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Return a field that is lowest where the core dies first: deep, in irregular patches."""
        zoom = np.float32(14 / max(5.0, 0.7 * self.radius_mm))
        return field + 0.22 * self.radius_mm * self.rim(points * zoom)

    def _arrival(
        self, inside: np.ndarray, points: np.ndarray, tissue: Tissue, core: np.ndarray
    ) -> np.ndarray:
        """Return when fluid from the core arrives, as the way through white matter in mm."""
        white = np.clip(1 - tissue.csf - tissue.gray, 0, 1)
        speed = (white + 0.15 * tissue.gray + 0.02) * np.exp(0.5 * self.fingers(points))
        speed /= 1 + self._barrier_mm(points)
        lattice = np.full(self.plan_shape, 1e-3, np.float32)
        lattice.ravel()[inside] = speed
        seeds = np.zeros(self.plan_shape, bool)
        seeds.ravel()[inside] = core
        march = sitk.FastMarchingImageFilter()
        march.SetTrialPoints([tuple(int(i) for i in p[::-1]) for p in np.argwhere(seeds)])
        march.SetStoppingValue(60.0)
        image = sitk.GetImageFromArray(lattice)
        image.SetSpacing((_PLAN_MM,) * 3)
        return np.minimum(sitk.GetArrayFromImage(march.Execute(image)), 200).astype(np.float32)

    def labels(self, points: np.ndarray, tissue: Tissue) -> tuple[np.ndarray, np.ndarray]:
        """Return labels (n,) uint8 and the strength (n,) with which tumor replaces tissue.

        The shares of CSF and gray matter in `tissue` are not changed.
        """
        labels = np.zeros(points.shape[1], np.uint8)
        strength = np.zeros(points.shape[1], np.float32)
        time = self._sample_arrival(points)
        wet = (time < self.edema_level) & (tissue.csf < 0.5) & (tissue.depth_mm > 1)
        labels[wet] = 2
        fade = np.clip(time[wet] / np.float32(self.edema_level), 0, 1)
        strength[wet] = (1 - self.fade * fade**2) * (1 - 0.6 * tissue.csf[wet])
        near = np.flatnonzero(time < 2 * _PLAN_MM)
        part = Tissue(*(getattr(tissue, f.name)[near] for f in fields(tissue)))
        field = self._core_field(points[:, near], part)
        core = field < self.core_level
        where = near[core]
        labels[where] = np.where(self.sector(points[:, where]) < self.dull_level, 3, 4)
        dead = self._necrosis_field(points[:, where], field[core]) < self.necrosis_level
        labels[where[dead]] = 1
        strength[where] = 1
        return labels, strength

    def _sample_arrival(self, points: np.ndarray) -> np.ndarray:
        """Interpolate the arrival time linearly at points (3, n)."""
        places = (points - self.plan_low[:, None]) / np.float32(_PLAN_MM)
        last = np.array(self.plan_shape[::-1], np.float32)[:, None] - np.float32(1.001)
        places = np.clip(places, 0, last)
        low = places.astype(np.int32)
        part = places - low
        _, ny, nx = self.plan_shape
        flat = self.arrival.ravel()
        total: np.ndarray | float = 0.0
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod([p if c else 1 - p for c, p in zip(corner, part, strict=True)], axis=0)
            x, y, z = (axis + c for axis, c in zip(low, corner, strict=True))
            total = total + weight * flat[(z * ny + y) * nx + x]
        return np.asarray(total)


def _level(field: np.ndarray, count: float) -> float:
    """Return the value below which about `count` elements of the field lie."""
    return float(np.quantile(field, min(1.0, max(count, 1.0) / field.size)))
