"""The two diameters of a tumor that radiologists draw.

The diameters follow the bidimensional measurement of Wen et al. 2010 ("Updated response assessment
criteria for high-grade gliomas", J Clin Oncol 28(11)): the largest diameter of the enhancing tumor
in an axial slice and the largest one perpendicular to it. What a program needs beyond that is
decided here:

- The outline runs through the midpoints of the voxels' edges: a row of n voxels measures n voxels.
- Voxels that touch by an edge or a corner in the slice belong together; separate lesions do not.
- The lines stay inside the outline, or may cross holes and bays such as a necrotic center
  (`necrosis`). Wen et al. do not measure a cystic or surgical cavity, and call a lesion around one
  measurable only where it has a nodule of 10 mm. So 'excluded' is the default.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.measurement.crosses import SAME, Cross, hull_cross
from scripted_models.measurement.inner_crosses import inner_cross

Necrosis = Literal["excluded", "included"]
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


def axial_diameters(
    mask: np.ndarray, grid: Grid, necrosis: Necrosis = "excluded"
) -> Diameters | None:
    """Measure the largest axial diameter of a mask and the longest line perpendicular to it.

    Axial are the slices of the grid whose normal is nearest to superior-inferior. Of all
    8-connected parts of all slices the one with the largest diameter counts; of several equally
    large diameters the one with the longest perpendicular.

    Args:
        mask: bool (z, y, x).
        grid: its grid; may be oblique, of any orientation and anisotropic.
        necrosis: 'excluded': both lines stay inside the outline, and cross each other; 'included':
            they lie in the convex hull of the outline.

    Returns:
        The diameters, or None when the mask is empty.

    Source:
        Wen et al. 2010, J Clin Oncol 28(11):1963-1972, and the choices named at the head of this
        file.
    """
    box = bounding_box(mask)
    if box is None:
        return None
    across = axial_axis(grid)
    plane = [axis for axis in (2, 1, 0) if axis != across]
    step = np.array([grid.spacing_xyz_mm[axis] for axis in plane])
    best: Cross | None = None
    place = 0
    for part in _parts(np.moveaxis(mask[box], 2 - across, 0), step):
        if best is not None and part.bound < best.longest * (1 - SAME):
            break
        cross = _cross_of(part, step, necrosis, best.longest if best else 0.0)
        if cross is not None and cross.exceeds(best):
            best, place = cross, part.index
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


def axial_axis(grid: Grid) -> int:
    """Return the axis (0 for x) of a grid that is nearest to superior-inferior."""
    return int(np.argmax(np.abs(np.reshape(grid.direction, (3, 3))[2])))


def _cross_of(part: "_Part", step: np.ndarray, necrosis: Necrosis, least: float) -> Cross | None:
    """Return the largest cross of a part; None where it is shorter than `least` mm."""
    if necrosis == "included":
        return hull_cross(part.outline(), step)
    corner, plane = part.plane()
    cross = inner_cross(plane, step, least)
    return cross and replace(cross, ends=cross.ends + corner * step)


def bounding_box(mask: np.ndarray) -> tuple[slice, ...] | None:
    """Return the smallest box around a mask, a slice an axis; None where it is empty."""
    box = []
    for axis in range(mask.ndim):
        others = tuple(other for other in range(mask.ndim) if other != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        if not len(filled):
            return None
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)


@dataclass(frozen=True, eq=False)
class _Part:
    """An 8-connected part of a slice as runs of voxels.

    Attributes:
        bound: mm that no diameter exceeds.
        index: of the slice.
        row: of each run.
        first: first column of each run.
        last: last column.
    """

    bound: float
    index: int
    row: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def outline(self) -> np.ndarray:
        """Return midpoints of the edges of the runs' end voxels, (n, 2), sorted, each once."""
        row, first, last = self.row, self.first, self.last
        points = [(row, first - 0.5), (row, last + 0.5)]
        points += [(row + half, column) for half in (-0.5, 0.5) for column in (first, last)]
        return np.unique(np.concatenate([np.stack(pair, axis=1) for pair in points]), axis=0)

    def plane(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the first row and column (2,), and the voxels from there, bool."""
        corner = np.array([self.row.min(), self.first.min()])
        row, first, last = self.row - corner[0], self.first - corner[1], self.last - corner[1]
        steps = np.zeros((row.max() + 1, last.max() + 2), np.int8)
        steps[row, first] = 1
        steps[row, last + 1] = -1
        return corner, np.cumsum(steps, axis=1)[:, :-1].astype(bool)


def _parts(slices: np.ndarray, step: np.ndarray) -> Iterator[_Part]:
    """Yield the 8-connected parts of all slices, those that may be largest first.

    Args:
        slices: bool (slice, row, column).
        step: mm per row and per column.
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
        yield _Part(bounds[part], int(index[starts[part]]), row[runs], first[runs], last[runs])


def _points_lps(index_xyz: np.ndarray, grid: Grid) -> list[Point]:
    axes = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    points = index_xyz @ axes.T + grid.origin_lps_mm
    return [(x, y, z) for x, y, z in points.tolist()]
