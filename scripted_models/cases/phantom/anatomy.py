"""Anatomy of the phantom: outer surface, cortex, ventricles, deep gray matter.

Everything is a function of points in millimeters, so that a seed means the same head at every
resolution. Points are float32 arrays (3, n) in the order x, y, z of the field of view. Its axes are
LPS, x and y 0-240, z 0-155. Lengths are millimeters; distances are negative inside.
"""

from dataclasses import dataclass

import numpy as np

from scripted_models.cases.phantom.noise import PERIOD_MM, Noise, sample_periodic
from scripted_models.cases.phantom.shapes import (
    Point,
    capsule_mm,
    cover,
    ellipsoid_mm,
    smooth_union,
)

Ellipsoid = tuple[Point, Point]  # center, half axes
CENTER_MM = (119.5, 129.0, 75.0)
HEAD_BOX_MM = ((38, 202), (28, 228), (0, 154))  # where a head can be; x, y, z

# Ellipsoids around CENTER_MM; x is the distance from the midline.
_CEREBRUM: Ellipsoid = ((0, 0, -4), (67, 85, 68))
_CEREBRUM_BASE: Ellipsoid = ((0, 0, -4), (65, 83, 27))
_TEMPORAL: Ellipsoid = ((41, -12, -25), (24, 47, 20))
_CEREBELLUM: tuple[Ellipsoid, Ellipsoid] = (
    ((24, 45, -40), (29, 28, 23)),
    ((0, 46, -38), (15, 24, 21)),
)
_PONS: Ellipsoid = ((0, 8, -42), (17, 14, 16))
_DEEP_GRAY: tuple[Ellipsoid, ...] = (
    ((15, -26, 7), (5, 14, 8)),  # caudate
    ((27, -8, -4), (6, 17, 10)),  # lentiform
    ((11, 11, -1), (9, 14, 9)),  # thalamus
)
_MIDLINE_CSF: tuple[Ellipsoid, ...] = (
    ((0, -1, -6), (2.2, 13, 10)),  # third ventricle
    ((0, 33, -41), (7, 5, 8)),  # fourth ventricle
)
# Lateral ventricle: (start, radius, end, radius) from frontal horn to occipital and temporal horn.
_VENTRICLE: tuple[tuple[Point, float, Point, float], ...] = (
    ((10, -46, 4), 3.0, (9, -24, 10), 5.5),
    ((9, -24, 10), 5.5, (10, 6, 14), 5.5),
    ((10, 6, 14), 5.5, (19, 28, 9), 6.5),
    ((19, 28, 9), 6.5, (26, 36, 0), 7.0),
    ((26, 36, 0), 7.0, (22, 60, -3), 2.5),
    ((26, 36, 0), 6.0, (33, 8, -20), 2.5),
    ((33, 8, -20), 2.5, (30, -10, -24), 2.0),
)


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
        """Return points (3, n) of the field in head axes: centered, upright, of average size."""
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
        upper = ellipsoid_mm(half, *_CEREBRUM)
        base = ellipsoid_mm(half, *_CEREBRUM_BASE)
        cerebrum = np.where(half[2] > _CEREBRUM_BASE[0][2], upper, base)
        cerebrum = smooth_union(cerebrum, ellipsoid_mm(half, *_TEMPORAL), 8)
        hemisphere, vermis = (ellipsoid_mm(half, *part) for part in _CEREBELLUM)
        cerebellum = smooth_union(hemisphere, vermis, 8)
        stem = capsule_mm(half, (0, 4, -20), 15, (0, 24, -85), 9)
        return cerebrum, cerebellum, smooth_union(stem, ellipsoid_mm(half, *_PONS), 6)

    def outside_mm(self, points: np.ndarray) -> np.ndarray:
        """Return the signed distance (n,) to the surface of the skull-stripped brain."""
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
        csf, gray = self._cortex(local, half, depth, width_mm)
        csf = self._add_lower_brain(
            csf, gray, self._lobes(self.local(points)), local, depth, width_mm
        )
        for center, axes in _DEEP_GRAY:
            inside = cover(-ellipsoid_mm(half, center, axes), width_mm)
            gray = np.maximum(gray, np.float32(0.75) * inside)
        ventricle = self._ventricle_mm(half)
        csf = np.maximum(csf, cover(-ventricle, width_mm))
        for center, axes in _MIDLINE_CSF:
            csf = np.maximum(csf, cover(-ellipsoid_mm(half, center, axes), width_mm))
        return Tissue(csf, np.minimum(gray, 1 - csf), ventricle, depth, half[0])

    def _add_lower_brain(
        self,
        csf: np.ndarray,
        gray: np.ndarray,
        lobes: tuple[np.ndarray, np.ndarray, np.ndarray],
        local: np.ndarray,
        depth: np.ndarray,
        width_mm: float,
    ) -> np.ndarray:
        """Fill cerebellum and brain stem in place; return the CSF with that between the lobes."""
        cerebrum, cerebellum, stem = lobes
        folia = self._folia(local, depth, width_mm)
        _fill(csf, gray, cerebellum < np.minimum(cerebrum, stem), folia)
        in_stem = (stem < np.minimum(cerebrum, cerebellum)) & (cerebrum > -4)
        _fill(csf, gray, in_stem, (cover(1.5 - depth, width_mm), np.full_like(depth, 0.35)))
        gap = np.maximum(np.abs(cerebrum - cerebellum) / 2, np.minimum(cerebrum, cerebellum) - 2)
        csf = np.maximum(csf, cover(0.8 - gap, width_mm))
        outer = np.minimum(np.minimum(cerebrum, cerebellum), stem)
        return np.maximum(csf, cover(outer, width_mm))

    def _ventricle_mm(self, half: np.ndarray) -> np.ndarray:
        """Return the distance (n,) to the lateral ventricles."""
        nearest = np.full_like(half[0], 99)
        for start, radius, end, end_radius in _VENTRICLE:
            r = self.ventricle_scale
            nearest = np.minimum(nearest, capsule_mm(half, start, radius * r, end, end_radius * r))
        return nearest

    def _cortex(
        self, local: np.ndarray, half: np.ndarray, depth: np.ndarray, width_mm: float
    ) -> tuple[np.ndarray, np.ndarray]:
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
        """Return the distance to the fissure between the hemispheres, down to the callosum."""
        inner = np.sqrt(((half[1] + 1) / 50) ** 2 + ((half[2] + 2) / 27) ** 2)
        return np.hypot(half[0], np.clip((1 - inner) * 27, 0, None))

    @staticmethod
    def _sylvian_mm(half: np.ndarray, local: np.ndarray) -> np.ndarray:
        """Return the distance to the lateral fissure between frontal and temporal lobe."""
        rise = half[2] + 12 - 0.25 * half[1] - 2 * np.sin(half[1] / 9 + np.sign(local[0]))
        inward = np.clip(38 - half[0], 0, None)
        along = np.clip(np.abs(half[1] + 6) - 38, 0, None)
        return np.sqrt(rise**2 + inward**2 + along**2)

    def _folia(
        self, local: np.ndarray, depth: np.ndarray, width_mm: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return shares of CSF and gray matter of the cerebellum with its fine leaves."""
        nodes = np.float32(self.folds.nodes / PERIOD_MM)
        squeezed = local * np.array([[1.0], [1.6], [3.0]], np.float32)
        sheet = np.abs(sample_periodic(self.fold_mm, squeezed * nodes)) / 2
        sheet = np.hypot(sheet, np.maximum(depth - 16, 0))
        edge = np.minimum(depth - 0.8, sheet)
        return 0.6 * cover(0.3 - edge, width_mm), cover(1.8 - edge, width_mm)


def _fill(
    csf: np.ndarray, gray: np.ndarray, where: np.ndarray, shares: tuple[np.ndarray, np.ndarray]
) -> None:
    """Replace the shares of CSF and gray matter at the points of a mask."""
    csf[where], gray[where] = shares[0][where], shares[1][where]
