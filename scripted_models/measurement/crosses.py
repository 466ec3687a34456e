"""Two perpendicular lines in a plane: the longest of a region, and the longest across it.

`largest_cross` takes lines within the convex hull of outline points; `inner_crosses` has those
that never leave the region.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np

SAME = 1e-9  # lengths that differ by this share are equally long


@dataclass(frozen=True)
class Cross:
    """Two perpendicular lines in a plane; ends (4, 2) are of the longest, then of the other."""

    longest: float
    perpendicular: float
    ends: np.ndarray

    def exceeds(self, other: "Cross | None") -> bool:
        """Longer, or equally long with a longer perpendicular."""
        if other is None:
            return True
        slack = SAME * other.longest
        if abs(self.longest - other.longest) > slack:
            return self.longest > other.longest
        return self.perpendicular > other.perpendicular + slack


def best_of(crosses: Iterable[Cross]) -> Cross:
    """Return the first of the crosses that no other exceeds."""
    return reduce(lambda best, cross: cross if cross.exceeds(best) else best, crosses)


def hull_cross(points: np.ndarray, step: np.ndarray) -> Cross:
    """Return the largest cross in the convex hull of points.

    Args:
        points: (n, 2) in voxels, sorted, each once.
        step: mm per row and per column.
    """
    hull = convex_hull(points) * step
    lengths = np.linalg.norm(hull[:, None] - hull[None], axis=2)
    longest = np.argwhere(np.triu(lengths >= lengths.max() * (1 - SAME)))
    return best_of(_cross_through(hull, i, j, lengths[i, j]) for i, j in longest)


def convex_hull(points: np.ndarray) -> np.ndarray:
    """Return the corners of the convex hull of sorted points, in order around it (Andrew 1979).

    Each turn is to the same side: `(b - a) x (p - a)` is positive for points p inside, of rows and
    columns.
    """

    def chain(ordered: list[list[float]]) -> list[tuple[float, float]]:
        kept: list[tuple[float, float]] = []
        for y, x in ordered:
            while len(kept) > 1 and _turn(kept[-2], kept[-1], y, x) <= 0:
                kept.pop()
            kept.append((y, x))
        return kept[:-1]

    ordered = points.tolist()
    return np.array(chain(ordered) + chain(ordered[::-1]))


def _turn(a: tuple[float, float], b: tuple[float, float], y: float, x: float) -> float:
    return (b[0] - a[0]) * (x - a[1]) - (b[1] - a[1]) * (y - a[0])


def _cross_through(hull: np.ndarray, i: int, j: int, length: float) -> Cross:
    """Return the diameter between two corners with the longest perpendicular.

    No other corner lies as far along the diameter as its ends: it would be farther away from the
    other end. So both ways around the polygon run strictly from one end to the other; the gap
    between them is widest at a corner.
    """
    along = (hull[j] - hull[i]) / length
    axes = np.array([along, (-along[1], along[0])])
    u, v = axes @ (np.roll(hull, -i, axis=0) - hull[i]).T
    middle = (j - i) % len(hull)
    there = np.interp(u, u[: middle + 1], v[: middle + 1])
    back_u, back_v = (np.append(values[middle:], 0.0)[::-1] for values in (u, v))
    back = np.interp(u, back_u, back_v)
    at = int(np.argmax(np.abs(there - back)))
    chord = np.array([(u[at], there[at]), (u[at], back[at])]) @ axes + hull[i]
    width = float(abs(there[at] - back[at]))
    return Cross(float(length), width, np.array([hull[i], hull[j], *chord]))
