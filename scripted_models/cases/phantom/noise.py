"""Smooth noise that repeats, as a function of points in millimeters."""

import numpy as np

PERIOD_MM = 256.0  # noise repeats after this length, which is longer than a head


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
        values: np.ndarray = rng.standard_normal((knots,) * 3, dtype=np.float32)
        if band:
            for axis in range(3):
                values = values - (np.roll(values, 1, axis) + np.roll(values, -1, axis)) / 2
        self.nodes = nodes or max(64, knots)
        for axis in range(3):
            values = _refine(values, axis, self.nodes)
        self.values: np.ndarray = ((values - values.mean()) / values.std()).astype(np.float32)

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
