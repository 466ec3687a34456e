"""Anatomy of the procedural head: smooth noise, outer surface, cortex, ventricles, deep gray matter.

Everything is a function of points in millimeters, so that a seed means the same head at every
resolution. Points are float32 arrays (3, n) in the order x, y, z of the field of view (LPS axes,
x 0-240, y 0-240, z 0-155); lengths are millimeters; distances are negative inside.
"""

from dataclasses import dataclass

import numpy as np

PERIOD_MM = 256.0  # noise repeats after this length, which is longer than a head
CENTER_MM = (119.5, 129.0, 75.0)

# Ellipsoids (center, half axes) around CENTER_MM; x is the distance from the midline.
_CEREBRUM = (((0, 0, -4), (67, 85, 68)),)
_CEREBRUM_BASE = ((0, 0, -4), (65, 83, 27))
_TEMPORAL = ((41, -12, -25), (24, 47, 20))
_CEREBELLUM = (((24, 45, -40), (29, 28, 23)), ((0, 46, -38), (15, 24, 21)))
_PONS = ((0, 8, -42), (17, 14, 16))
_DEEP_GRAY = (
    ((15, -26, 7), (5, 14, 8)),  # caudate
    ((27, -8, -4), (6, 17, 10)),  # lentiform
    ((11, 11, -1), (9, 14, 9)),  # thalamus
)
_MIDLINE_CSF = (((0, -1, -6), (2.2, 13, 10)), ((0, 33, -41), (7, 5, 8)))  # third, fourth ventricle
# Lateral ventricle: (start, radius, end, radius) from frontal horn to occipital and temporal horn.
_VENTRICLE = (
    ((10, -46, 4), 3.0, (9, -24, 10), 5.5),
    ((9, -24, 10), 5.5, (10, 6, 14), 5.5),
    ((10, 6, 14), 5.5, (19, 28, 9), 6.5),
    ((19, 28, 9), 6.5, (26, 36, 0), 7.0),
    ((26, 36, 0), 7.0, (22, 60, -3), 2.5),
    ((26, 36, 0), 6.0, (33, 8, -20), 2.5),
    ((33, 8, -20), 2.5, (30, -10, -24), 2.0),
)


class Noise:
    """Periodic smooth noise: cubic B-splines with random coefficients, mean 0, deviation 1.

    Args:
        rng: source of the coefficients.
        scale_mm: distance of the coefficients; blobs are about twice as large.
        band: remove the slow part, so that blobs of one size prevail.
        nodes: places per axis at which the splines are tabulated; between them it is linear.
    """

    def __init__(
        self, rng: np.random.Generator, scale_mm: float, band: bool = False, nodes: int = 0
    ):
        knots = max(4, round(PERIOD_MM / scale_mm))
        values = rng.standard_normal((knots,) * 3, dtype=np.float32)
        if band:
            for axis in range(3):
                values = values - (np.roll(values, 1, axis) + np.roll(values, -1, axis)) / 2
        self.nodes = nodes or max(64, knots)
        for axis in range(3):
            values = _refine(values, axis, self.nodes)
        self.values = ((values - values.mean()) / values.std()).astype(np.float32)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the noise at points (3, n) in mm, shape (n,)."""
        return sample_periodic(self.values, points * np.float32(self.nodes / PERIOD_MM))

    def level_distance(self) -> np.ndarray:
        """Return noise over slope: about the signed distance in mm to the level 0, on the nodes."""
        step = PERIOD_MM / self.nodes
        slopes = [
            (np.roll(self.values, -1, axis) - np.roll(self.values, 1, axis)) / (2 * step)
            for axis in range(3)
        ]
        steepness = np.sqrt(sum(slope**2 for slope in slopes))
        return (self.values / (steepness + 0.3 * steepness.mean())).astype(np.float32)


def _refine(values: np.ndarray, axis: int, nodes: int) -> np.ndarray:
    """Evaluate periodic cubic B-splines along one axis at `nodes` evenly spaced places."""
    knots = values.shape[axis]
    place = np.arange(nodes) * (knots / nodes)
    first = np.floor(place).astype(int)
    t = place - first
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    shape = [1, 1, 1]
    shape[axis] = nodes
    return sum(
        np.take(values, (first + k - 1) % knots, axis)
        * (weight / 6).astype(np.float32).reshape(shape)
        for k, weight in enumerate(weights)
    )


def sample_periodic(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Interpolate a periodic (z, y, x) array linearly at places (3, n) given in nodes, x y z."""
    n = values.shape[0]
    flat = values.ravel()
    low = np.floor(places)
    part = places - low
    low = low.astype(np.int32) % n
    high = (low + 1) % n
    total = np.zeros(places.shape[1], np.float32)
    for z, wz in ((low[2], 1 - part[2]), (high[2], part[2])):
        for y, wy in ((low[1], 1 - part[1]), (high[1], part[1])):
            row, weight = (z * n + y) * n, wz * wy
            total += weight * (flat[row + low[0]] * (1 - part[0]) + flat[row + high[0]] * part[0])
    return total


def ellipsoid_mm(points: np.ndarray, center, half_axes) -> np.ndarray:
    """Return about the signed distance to an ellipsoid (value over slope of its equation)."""
    scaled = [(points[i] - np.float32(center[i])) / np.float32(half_axes[i]) for i in range(3)]
    k = np.sqrt(sum(v * v for v in scaled))
    slope = np.sqrt(sum((v / np.float32(a)) ** 2 for v, a in zip(scaled, half_axes, strict=True)))
    return (k * (k - 1) / (slope + np.float32(1e-6))).astype(np.float32)


def _capsule_mm(points: np.ndarray, start, radius, end, end_radius) -> np.ndarray:
    """Return the signed distance to a rod whose radius changes linearly between two points."""
    axis = np.subtract(end, start).astype(np.float32)
    offset = [points[i] - np.float32(start[i]) for i in range(3)]
    t = sum(o * a for o, a in zip(offset, axis, strict=True)) / np.float32(axis @ axis)
    t = np.clip(t, 0, 1)
    squared = sum((o - t * a) ** 2 for o, a in zip(offset, axis, strict=True))
    return np.sqrt(squared) - (radius + t * (end_radius - radius))


def smooth_union(a: np.ndarray, b: np.ndarray, width_mm: float) -> np.ndarray:
    """Return the smaller distance, rounded off where both are within `width_mm`."""
    mix = np.clip(width_mm - np.abs(a - b), 0, None)
    return np.minimum(a, b) - mix * mix / np.float32(4 * width_mm)


def cover(inside_mm: np.ndarray, width_mm: float) -> np.ndarray:
    """Turn a depth below a surface into the share of a voxel that lies inside, 0 to 1."""
    return np.clip(inside_mm / np.float32(width_mm) + np.float32(0.5), 0, 1)


@dataclass(frozen=True)
class Tissue:
    """Healthy tissue at n points: arrays (n,) float32.

    Attributes:
        csf: share of cerebrospinal fluid.
        gray: share of gray matter; the rest is white matter.
        ventricle_mm: distance to the lateral ventricles.
        depth_mm: depth below the surface of the brain.
        midline_mm: distance to the (bent) midline plane.
    """

    csf: np.ndarray
    gray: np.ndarray
    ventricle_mm: np.ndarray
    depth_mm: np.ndarray
    midline_mm: np.ndarray


class Head:
    """One random healthy head.

    Args:
        rng: draws pose, size, surface, folds and ventricles.
    """

    def __init__(self, rng: np.random.Generator):
        self.scale = (rng.uniform(0.95, 1.05) * rng.uniform(0.97, 1.03, 3)).astype(np.float32)
        self.shift = (rng.uniform(-3, 3, 3) * (1, 1, 0.5)).astype(np.float32)
        self.turn = np.radians(rng.uniform(-5, 5, 2))
        self.ventricle_scale = float(np.exp(rng.normal(0, 0.22)))
        self.sulcus_mm = float(rng.uniform(0.1, 0.5))  # half the width of a sulcus
        self.cortex_mm = float(rng.uniform(2.5, 3.2))
        self.bend = [Noise(rng, 20) for _ in range(3)]
        self.surface = Noise(rng, 14)
        self.roughness = Noise(rng, 5)
        self.depth = Noise(rng, 18)
        self.folds = Noise(rng, 9.5, band=True, nodes=128)
        self.fold_mm = self.folds.level_distance()

    def local(self, points: np.ndarray) -> np.ndarray:
        """Return points (3, n) of the field in head axes: centerd, upright, of average size."""
        x, y, z = (
            (points[i] - np.float32(CENTER_MM[i]) - self.shift[i]) / self.scale[i] for i in range(3)
        )
        (c, d), (s, t) = np.cos(self.turn), np.sin(self.turn)
        x, y = c * x + s * y, c * y - s * x
        return np.stack([x, d * y + t * z, d * z - t * y]).astype(np.float32)

    def _lobes(self, local: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the distances to cerebrum, cerebellum and brain stem."""
        half = np.stack([np.abs(local[0]), local[1], local[2]])
        half[0] *= 1 - np.float32(0.10) * half[1] / 84 + np.float32(0.07) * (half[1] / 84) ** 2
        upper = ellipsoid_mm(half, *_CEREBRUM[0])
        base = ellipsoid_mm(half, *_CEREBRUM_BASE)
        cerebrum = np.where(half[2] > _CEREBRUM_BASE[0][2], upper, base)
        cerebrum = smooth_union(cerebrum, ellipsoid_mm(half, *_TEMPORAL), 8)
        cerebellum = smooth_union(*(ellipsoid_mm(half, *part) for part in _CEREBELLUM), 8)
        stem = _capsule_mm(half, (0, 4, -20), 15, (0, 24, -85), 9)
        return cerebrum, cerebellum, smooth_union(stem, ellipsoid_mm(half, *_PONS), 6)

    def outside_mm(self, points: np.ndarray) -> np.ndarray:
        """Return the signed distance (n,) to the surface of the brain, as skull stripping leaves it."""
        cerebrum, cerebellum, stem = self._lobes(self.local(points))
        whole = smooth_union(smooth_union(cerebrum, cerebellum, 8), stem, 8)
        near = np.flatnonzero(np.abs(whole) < 8)
        whole -= 1
        whole[near] += 1.3 * self.surface(points[:, near]) + 0.5 * self.roughness(points[:, near])
        return whole

    def tissue(self, points: np.ndarray, moved: np.ndarray, width_mm: float) -> Tissue:
        """Return the healthy tissue at points inside the brain.

        Args:
            points: (3, n) mm; they decide the outer surface.
            moved: (3, n) mm, where the tissue at these points lay before a mass pushed it.
            width_mm: size of a voxel, over which borders are spread.
        """
        depth = -self.outside_mm(points)
        local = self.local(moved) + 2.5 * np.stack([bend(moved) for bend in self.bend])
        half = np.stack([np.abs(local[0]), local[1], local[2]])
        cerebrum, cerebellum, stem = self._lobes(self.local(points))
        csf, gray = self._cortex(local, half, depth, width_mm)
        _fill(
            csf, gray, cerebellum < np.minimum(cerebrum, stem), self._folia(local, depth, width_mm)
        )
        in_stem = (stem < np.minimum(cerebrum, cerebellum)) & (cerebrum > -4)
        _fill(csf, gray, in_stem, (cover(1.5 - depth, width_mm), np.full_like(depth, 0.35)))
        gap = np.maximum(np.abs(cerebrum - cerebellum) / 2, np.minimum(cerebrum, cerebellum) - 2)
        csf = np.maximum(csf, cover(0.8 - gap, width_mm))
        csf = np.maximum(csf, cover(np.minimum(np.minimum(cerebrum, cerebellum), stem), width_mm))
        for center, axes in _DEEP_GRAY:
            inside = cover(-ellipsoid_mm(half, center, axes), width_mm)
            gray = np.maximum(gray, np.float32(0.75) * inside)
        ventricle = np.full_like(depth, 99)
        for start, radius, end, end_radius in _VENTRICLE:
            r = self.ventricle_scale
            rod = _capsule_mm(half, start, radius * r, end, end_radius * r)
            ventricle = np.minimum(ventricle, rod)
        csf = np.maximum(csf, cover(-ventricle, width_mm))
        for center, axes in _MIDLINE_CSF:
            csf = np.maximum(csf, cover(-ellipsoid_mm(half, center, axes), width_mm))
        return Tissue(csf, np.minimum(gray, 1 - csf), ventricle, depth, half[0])

    def _cortex(self, local, half, depth, width_mm) -> tuple[np.ndarray, np.ndarray]:
        """Return shares of CSF and gray matter of the folded cerebral cortex."""
        fissure = self._fissure_mm(half)
        lateral = self._sylvian_mm(half, local)
        wall = np.minimum(np.minimum(depth, fissure), lateral)
        reach = 18 + 5 * self.depth(local)  # how deep the sulci go
        core = np.sqrt((half[0] / 38) ** 2 + ((half[1] + 1) / 56) ** 2 + ((half[2] + 2) / 30) ** 2)
        beyond = np.maximum(np.maximum(wall - reach, 30 * (1 - core)), 0)
        sheet = np.hypot(self._fold_distance(local), beyond)
        opening = self.sulcus_mm * np.clip(1.3 - wall / reach, 0.15, 1.2)
        shell = depth - np.clip(self.sulcus_mm * (1 + self.depth(local[::-1])), 0.2, 2.5)
        edge = np.minimum(np.minimum(shell, fissure - 0.7), lateral - self.sulcus_mm - 0.3)
        edge = np.minimum(edge, sheet - opening)
        csf = cover(-edge, width_mm)
        return csf, cover(self.cortex_mm - edge, width_mm)

    def _fold_distance(self, local: np.ndarray) -> np.ndarray:
        """Return the distance to the nearest sulcal sheet; sheets stand upright on the surface."""
        offset = local - np.array([[0], [0], [-6]], np.float32)
        k = np.sqrt(sum((offset[i] / a) ** 2 for i, a in enumerate((67, 85, 68)))) + 0.05
        stretch = (k ** np.float32(-0.75)).astype(np.float32)
        nodes = np.float32(self.folds.nodes / PERIOD_MM)
        return np.abs(sample_periodic(self.fold_mm, offset * stretch * nodes)) / stretch

    @staticmethod
    def _fissure_mm(half: np.ndarray) -> np.ndarray:
        """Return the distance to the fissure between the hemispheres, which ends above the callosum."""
        inner = np.sqrt(((half[1] + 1) / 50) ** 2 + ((half[2] + 2) / 27) ** 2)
        return np.hypot(half[0], np.clip((1 - inner) * 27, 0, None))

    @staticmethod
    def _sylvian_mm(half: np.ndarray, local: np.ndarray) -> np.ndarray:
        """Return the distance to the lateral fissure between frontal and temporal lobe."""
        rise = half[2] + 12 - 0.25 * half[1] - 2 * np.sin(half[1] / 9 + np.sign(local[0]))
        inward = np.clip(38 - half[0], 0, None)
        along = np.clip(np.abs(half[1] + 6) - 38, 0, None)
        return np.sqrt(rise**2 + inward**2 + along**2)

    def _folia(self, local, depth, width_mm) -> tuple[np.ndarray, np.ndarray]:
        """Return shares of CSF and gray matter of the cerebellum with its fine leaves."""
        nodes = np.float32(self.folds.nodes / PERIOD_MM)
        squeezed = local * np.array([[1.0], [1.6], [3.0]], np.float32)
        sheet = np.abs(sample_periodic(self.fold_mm, squeezed * nodes)) / 2
        sheet = np.hypot(sheet, np.maximum(depth - 16, 0))
        edge = np.minimum(depth - 0.8, sheet)
        return 0.6 * cover(0.3 - edge, width_mm), cover(1.8 - edge, width_mm)


def _fill(csf, gray, where, shares) -> None:
    """Replace the shares of CSF and gray matter at the points of a mask."""
    csf[where], gray[where] = shares[0][where], shares[1][where]
