"""The largest cross whose lines never leave a region: not through holes, not over bays.

The outline joins the midpoints of the voxels' edges by straight lines (marching squares); voxels
that touch by a corner are joined. A line starts and ends in such a midpoint. It stays inside if and
only if, wherever it crosses a row or a column of voxel centers, the nearest voxel of that row or
column belongs to the region: between two crossings the region is convex.
"""

import numpy as np

from scripted_models.measurement.crosses import SAME, Cross, best_of

_FIRST_CHUNK = 2000  # pairs of outline points that are looked at together; doubled each time


def inner_cross(plane: np.ndarray, step: np.ndarray, least_mm: float = 0.0) -> Cross | None:
    """Return the longest line inside a region with the longest perpendicular that crosses it.

    Args:
        plane: bool (rows, columns), one 8-connected part.
        step: mm per row and per column.
        least_mm: shorter ones are of no interest.

    Returns:
        The cross, or None where all lines are shorter than `least_mm`.
    """
    padded = np.pad(plane, 1)
    points, edges = _outline(padded)
    pairs = _longest_pairs(padded, points, step, least_mm)
    outline_mm = (points / 2.0 * step)[edges]
    crosses = [_cross_along(outline_mm, *(points[pair] / 2.0 * step)) for pair in pairs]
    if not crosses:
        return None
    best = best_of(crosses)
    return Cross(best.longest, best.perpendicular, best.ends - step)  # without the padding


def _outline(padded: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return outline points (n, 2) in half voxels, and the edges between them, (m, 2) indices."""
    place = np.full((2 * padded.shape[0], 2 * padded.shape[1]), -1)
    rows, columns = np.nonzero(padded[:, 1:] != padded[:, :-1])
    beside = np.stack([2 * rows, 2 * columns + 1], axis=1)
    rows, columns = np.nonzero(padded[1:] != padded[:-1])
    points = np.concatenate([beside, np.stack([2 * rows + 1, 2 * columns], axis=1)])
    place[tuple(points.T)] = np.arange(len(points))
    north, south = place[:-2:2, 1:-1:2], place[2::2, 1:-1:2]  # of the square of four centers
    west, east = place[1:-1:2, :-2:2], place[1:-1:2, 2::2]
    corner, opposite = padded[:-1, :-1], padded[1:, 1:]
    saddle = (north >= 0) & (south >= 0) & (west >= 0) & (east >= 0)
    falling = saddle & corner & opposite  # the two others are cut off
    rising = saddle & ~corner & ~opposite
    plain = ~saddle
    found = [
        _joined(north, south, plain),
        _joined(west, east, plain),
        _joined(north, east, plain | falling),
        _joined(south, west, plain | falling),
        _joined(north, west, plain | rising),
        _joined(south, east, plain | rising),
    ]
    return points, np.concatenate(found)


def _joined(one: np.ndarray, other: np.ndarray, where: np.ndarray) -> np.ndarray:
    chosen = where & (one >= 0) & (other >= 0)
    return np.stack([one[chosen], other[chosen]], axis=1)


def _longest_pairs(
    padded: np.ndarray, points: np.ndarray, step: np.ndarray, least_mm: float
) -> np.ndarray:
    """Return the pairs of points (k, 2) that see each other and are farthest apart."""
    y, x = (points / 2.0 * step).T
    squared = np.subtract.outer(y, y) ** 2 + np.subtract.outer(x, x) ** 2
    first, second = np.nonzero(np.triu(squared >= (least_mm * (1 - SAME)) ** 2, 1))
    middle = (points[first] + points[second] + 2) // 4  # of the voxel nearest to it, or beside it
    hopeful = _near_region(padded)[middle[:, 0], middle[:, 1]]
    first, second = first[hopeful], second[hopeful]
    length = np.sqrt(squared[first, second])
    order = np.argsort(-length, kind="stable")
    at, size = 0, _FIRST_CHUNK
    while at < len(order):
        chunk = order[at : at + size]
        seen = chunk[_see_each_other(padded, points[first[chunk]], points[second[chunk]])]
        if len(seen):
            limit = length[seen[0]] * (1 - SAME)
            seen = seen[length[seen] >= limit]
            return np.stack([first[seen], second[seen]], axis=1)
        at, size = at + size, 2 * size
    return np.empty((0, 2), int)


def _near_region(padded: np.ndarray) -> np.ndarray:
    """Return the region with a margin of one voxel on all sides."""
    wide = np.pad(padded, 1)
    rows = wide[:-2] | wide[1:-1] | wide[2:]
    return np.asarray(rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:])


def _see_each_other(padded: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Tell which segments (n, 2) to (n, 2), in half voxels, stay inside."""
    clear = _clear_rows(padded, a, b)
    across = _clear_rows(padded.T, a[clear, ::-1], b[clear, ::-1])
    clear[np.flatnonzero(clear)[~across]] = False
    return clear


def _clear_rows(padded: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Tell which segments are inside wherever they cross a row of voxel centers."""
    clear = np.ones(len(a), bool)
    alive = np.flatnonzero(a[:, 0] != b[:, 0])
    swap = a[alive, :1] > b[alive, :1]
    low, high = np.where(swap, b[alive], a[alive]), np.where(swap, a[alive], b[alive])
    start, stop = (low[:, 0] + 1) // 2, high[:, 0] // 2
    rise, run = high[:, 0] - low[:, 0], high[:, 1] - low[:, 1]
    most = int((stop - start).max(initial=-1)) + 1
    for offset in _spread(most):
        row = start + offset
        there = np.flatnonzero(row <= stop)
        twice = low[there, 1] * rise[there] + (2 * row[there] - low[there, 0]) * run[there]
        whole = 2 * rise[there]  # the column is twice / whole
        right = (twice + rise[there]) // whole
        left = -((rise[there] - twice) // whole)
        hit = padded[row[there], left] | padded[row[there], right]
        if not hit.all():
            out = there[~hit]
            clear[alive[out]] = False
            keep = np.ones(len(alive), bool)
            keep[out] = False
            alive, low, start, stop = alive[keep], low[keep], start[keep], stop[keep]
            rise, run = rise[keep], run[keep]
    return clear


def _spread(count: int) -> list[int]:
    """Return 0 ... count - 1, far ones first: a line that leaves is soon found out."""
    bits = max(count - 1, 1).bit_length()
    turned = (int(f"{n:0{bits}b}"[::-1], 2) for n in range(2**bits))
    return [n for n in turned if n < count]


def _cross_along(outline: np.ndarray, a: np.ndarray, b: np.ndarray) -> Cross:
    """Return a line inside with the longest perpendicular that crosses it.

    The width of the region across the line changes evenly between two outline points, and may jump
    at one. So the longest perpendicular is a limit at an outline point, from one of its two sides.

    Args:
        outline: (m, 2, 2) its edges in mm.
        a: (2,) one end of the line in mm.
        b: (2,) the other end.
    """
    length = float(np.linalg.norm(b - a))
    along = (b - a) / length
    axes = np.array([along, (-along[1], along[0])])
    u, v = np.moveaxis((outline - a) @ axes.T, 2, 0)  # (m, 2) each
    ordered = np.argsort(u, axis=1)
    u, v = np.take_along_axis(u, ordered, 1), np.take_along_axis(v, ordered, 1)
    slack = SAME * max(length, float(np.abs(v).max()))
    places = u[(u > -slack) & (u < length + slack)]
    to_right = _chords(u, v, np.unique(places[places < length - slack]), slack)
    to_left = _chords(-u, v, np.unique(-places[places > slack]), slack) * (-1.0, 1.0)
    chords = np.concatenate([to_right, to_left])
    chord = chords[np.argmax(chords[:, 1, 1] - chords[:, 0, 1])]
    return Cross(length, float(chord[1, 1] - chord[0, 1]), np.array([a, b, *(chord @ axes + a)]))


def _chords(u: np.ndarray, v: np.ndarray, places: np.ndarray, slack: float) -> np.ndarray:
    """Return the chords across v = 0 just to the right of places on the u axis, (k, 2, 2).

    Args:
        u: (m, 2) of the outline's edges, v likewise.
        places: (n,).
        slack: values that differ by less are equal.
    """
    low, high = u.min(axis=1), u.max(axis=1)
    beside = places[:, None]
    place, edge = np.nonzero((low <= beside + slack) & (high > beside + slack))
    share = np.clip((places[place] - u[edge, 0]) / (u[edge, 1] - u[edge, 0]), 0, 1)
    height = v[edge, 0] + share * (v[edge, 1] - v[edge, 0])
    order = np.lexsort((height, place))  # in turn a line enters and leaves the region
    owner, ends = place[order].reshape(-1, 2), height[order].reshape(-1, 2)
    across = (ends[:, 0] <= slack) & (ends[:, 1] >= -slack)
    return np.stack([places[owner[across]], ends[across]], axis=2)
