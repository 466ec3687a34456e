"""The two diameters of a tumor that radiologists draw.

The diameters follow the bidimensional measurement of Wen et al. 2010 ("Updated response assessment
criteria for high-grade gliomas", J Clin Oncol 28(11)): the largest diameter of the enhancing tumor
in an axial slice and the largest one perpendicular to it. What a program needs beyond that is
decided here:

- The outline runs through the midpoints of the voxels' edges: a row of n voxels measures n voxels.
- Voxels that touch by an edge or a corner in the slice belong together; separate lesions do not.
- The lines may cross holes and bays, such as a necrotic center.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid

SAME = 1e-9  # lengths that differ by this share are equally long

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Diameters:
    """The two diameters of a mask in one axial slice.

    Attributes:
        longest_mm: the largest diameter.
        perpendicular_mm: the longest line perpendicular to it.
        slice_index: index of the slice along the grid's axis nearest to superior-inferior.
        longest_ends_lps_mm: end points of the largest diameter.
        perpendicular_ends_lps_mm: end points of the other line.
    """

    longest_mm: float
    perpendicular_mm: float
    slice_index: int
    longest_ends_lps_mm: tuple[Point, Point]
    perpendicular_ends_lps_mm: tuple[Point, Point]


@dataclass(frozen=True)
class _Cross:
    """Two perpendicular lines in a plane; ends (4, 2) are of the longest, then of the other."""

    longest: float
    perpendicular: float
    ends: np.ndarray

    def exceeds(self, other: "_Cross | None") -> bool:
        """Longer, or equally long with a longer perpendicular."""
        if other is None:
            return True
        slack = SAME * other.longest
        if abs(self.longest - other.longest) > slack:
            return self.longest > other.longest
        return self.perpendicular > other.perpendicular + slack


def axial_diameters(mask: np.ndarray, grid: Grid) -> Diameters | None:
    """Measure the largest axial diameter of a mask and the longest line perpendicular to it.

    Axial are the slices of the grid whose normal is nearest to superior-inferior. Of all
    8-connected parts of all slices the one with the largest diameter counts; of several equally
    large diameters the one with the longest perpendicular. Both lines lie in the convex hull of
    the part's outline.

    Args:
        mask: bool (z, y, x).
        grid: its grid; may be oblique, of any orientation and anisotropic.

    Returns:
        The diameters, or None when the mask is empty.

    Source:
        Wen et al. 2010, J Clin Oncol 28(11):1963-1972, and the choices named at the head of this
        file.
    """
    box = _bounding_box(mask)
    if box is None:
        return None
    across = int(np.argmax(np.abs(np.reshape(grid.direction, (3, 3))[2])))
    plane = [axis for axis in (2, 1, 0) if axis != across]
    step = np.array([grid.spacing_xyz_mm[axis] for axis in plane])
    best: _Cross | None = None
    place = 0
    for bound, index, points in _components(np.moveaxis(mask[box], 2 - across, 0), step):
        if best is not None and bound < best.longest * (1 - SAME):
            break
        cross = _largest_cross(_convex_hull(points) * step)
        if cross.exceeds(best):
            best, place = cross, index
    if best is None:
        return None
    index_xyz = np.empty((4, 3))
    index_xyz[:, across] = place
    index_xyz[:, plane] = best.ends / step
    index_xyz += [part.start for part in box[::-1]]
    first, last, other_first, other_last = _points_lps(index_xyz, grid)
    return Diameters(
        best.longest,
        best.perpendicular,
        place + box[2 - across].start,
        (first, last),
        (other_first, other_last),
    )


def _bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        if not len(filled):
            return None
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)


def _components(slices: np.ndarray, step: np.ndarray) -> Iterator[tuple[float, int, np.ndarray]]:
    """Yield the 8-connected parts of all slices, those that may be largest first.

    Args:
        slices: bool (slice, row, column).
        step: mm per row and per column.

    Yields:
        A length in mm that no diameter exceeds, index of the slice, outline points (n, 2) in
        voxels.
    """
    apart = np.zeros((2 * len(slices), *slices.shape[1:]), np.uint8)
    apart[::2] = slices  # an empty slice between any two keeps their parts unconnected
    names = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(apart), True))
    edges = np.diff(np.pad(slices.astype(np.int8), ((0, 0), (0, 0), (1, 1))), axis=2)
    index, row, first = np.nonzero(edges == 1)  # every run of voxels in a row: its first voxel
    last = np.nonzero(edges == -1)[2] - 1
    owner = names[2 * index, row, first]
    order = np.argsort(owner, kind="stable")
    index, row, first, last = (values[order] for values in (index, row, first, last))
    starts = np.flatnonzero(np.diff(owner[order], prepend=0))
    height = np.maximum.reduceat(row, starts) - row[starts] + 1
    width = np.maximum.reduceat(last, starts) - np.minimum.reduceat(first, starts) + 1
    bounds = np.hypot(height * step[0], width * step[1])
    stops = np.append(starts[1:], len(row))
    for part in np.argsort(-bounds, kind="stable"):
        runs = slice(starts[part], stops[part])
        yield bounds[part], int(index[starts[part]]), _outline(row[runs], first[runs], last[runs])


def _outline(row: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the midpoints of the edges of the runs' end voxels, (n, 2), sorted, each once."""
    points = [(row, first - 0.5), (row, last + 0.5)]
    points += [(row + half, column) for half in (-0.5, 0.5) for column in (first, last)]
    return np.unique(np.concatenate([np.stack(pair, axis=1) for pair in points]), axis=0)


def _convex_hull(points: np.ndarray) -> np.ndarray:
    """Return the corners of the convex hull of sorted points, in order around it (Andrew 1979)."""

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


def _largest_cross(hull: np.ndarray) -> _Cross:
    """Return the largest diameter of a convex polygon (n, 2) in mm with its perpendicular."""
    lengths = np.linalg.norm(hull[:, None] - hull[None], axis=2)
    longest = np.argwhere(np.triu(lengths >= lengths.max() * (1 - SAME)))
    first, *others = (_cross_through(hull, i, j, lengths[i, j]) for i, j in longest)
    return reduce(lambda best, cross: cross if cross.exceeds(best) else best, others, first)


def _cross_through(hull: np.ndarray, i: int, j: int, length: float) -> _Cross:
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
    return _Cross(float(length), width, np.array([hull[i], hull[j], *chord]))


def _points_lps(index_xyz: np.ndarray, grid: Grid) -> list[Point]:
    axes = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    points = index_xyz @ axes.T + grid.origin_lps_mm
    return [(x, y, z) for x, y, z in points.tolist()]
