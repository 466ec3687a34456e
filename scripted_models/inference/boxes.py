"""Which part of each slice is computed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


def brain_box(brain: np.ndarray) -> tuple[slice, slice]:
    """Return the row and column slices that enclose a bool mask (y, x)."""
    rows, columns = np.flatnonzero(brain.any(axis=1)), np.flatnonzero(brain.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def slab(image: np.ndarray, z: int, context: int) -> np.ndarray:
    """Return a slice of (C, z, y, x) with its neighbors as channels, (C * (2 * context + 1), y, x).

    Beyond the ends the last slice is repeated: zeros there would say that the head ends.
    """
    if not context:
        return image[:, z]
    neighbors = np.clip(np.arange(z - context, z + context + 1), 0, image.shape[1] - 1)
    return image[:, neighbors].reshape(-1, *image.shape[2:])


def padded_window(
    plane: np.ndarray, rows: slice, columns: slice, margins: tuple[int, int]
) -> np.ndarray:
    """Cut a box with margins from (C, y, x); zeros where it leaves the plane."""
    low, high = margins
    cuts, pads = [], [(0, 0)]
    for box, size in zip((rows, columns), plane.shape[1:], strict=True):
        start, stop = box.start - low, box.stop + high
        cuts.append(slice(max(start, 0), min(stop, size)))
        pads.append((max(-start, 0), max(stop - size, 0)))
    return np.pad(plane[:, cuts[0], cuts[1]], pads)


def iterate_slices(brain: np.ndarray, count: int) -> Iterator[int]:
    """Yield up to `count` slice indices spread evenly over the slices that hold brain."""
    occupied = np.flatnonzero(brain.any(axis=(1, 2)))
    picks = np.linspace(0, len(occupied) - 1, min(count, len(occupied)) + 2)[1:-1]
    yield from (int(occupied[round(p)]) for p in picks)


@dataclass(frozen=True)
class SliceGroup:
    """Slices that are computed with one box size.

    Attributes:
        slices: indices.
        shape: rows and columns of the box that holds the brain of each.
    """

    slices: tuple[int, ...]
    shape: tuple[int, int]


def group_slices(brain: np.ndarray, margin: int, overhead: float) -> list[SliceGroup]:
    """Group the slices that hold brain by the size of their brain box, so that the work is least.

    A box size of its own for every slice computes no superfluous pixel; a single one pays the
    preparation of a size only once. Slices in the order of their area are cut into runs by dynamic
    programming.

    Args:
        brain: bool (z, y, x).
        margin: pixels that a window is larger than its box, along each axis.
        overhead: cost of preparing a size, in slices of that size.

    Returns:
        The groups, the largest box first.
    """
    boxes = {int(z): brain_box(brain[z]) for z in np.flatnonzero(brain.any(axis=(1, 2)))}
    shapes = {z: tuple(axis.stop - axis.start for axis in box) for z, box in boxes.items()}
    order = sorted(shapes, key=lambda z: (shapes[z][0] * shapes[z][1], shapes[z], z), reverse=True)
    cost, first = [0.0], [0]  # least cost of the first n slices, and where their last run begins
    for stop in range(1, len(order) + 1):
        best = (np.inf, 0)
        rows = columns = 0
        for start in range(stop - 1, -1, -1):
            rows = max(rows, shapes[order[start]][0])
            columns = max(columns, shapes[order[start]][1])
            pixels = (rows + margin) * (columns + margin)
            best = min(best, (cost[start] + (stop - start + overhead) * pixels, start))
        cost.append(best[0])
        first.append(best[1])
    groups, stop = [], len(order)
    while stop:
        run = order[first[stop] : stop]
        shape = (max(shapes[z][0] for z in run), max(shapes[z][1] for z in run))
        groups.append(SliceGroup(tuple(sorted(run)), shape))
        stop = first[stop]
    return groups[::-1]
