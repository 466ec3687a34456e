"""From the axes that a header states to the grid of a volume.

Every format ends here, so that shear, axes of one voxel and missing numbers are judged once.
"""

from itertools import product
from pathlib import Path

import numpy as np

from scripted_models.errors import InputError, Problem
from scripted_models.geometry import Grid
from scripted_models.images.payload import check_spacing

MOST_SHEAR_MM = 0.5  # how far the nearest perpendicular axes may move a corner
MOST_SHEAR = 5e-3  # of a cosine; beyond it the axes are no rounding
SILENT_SHEAR = 1e-4  # what ITK allows
_EXACT = 1e-12

AXES_TAKEN = "the axes are taken as 3D Slicer does: x to the left, y to the back, z up"


def place(
    path: Path, size: tuple[int, ...], columns: np.ndarray, origin: np.ndarray
) -> tuple[Grid, list[Problem]]:
    """Return the grid that the axes of a header span, and what was decided about them.

    Args:
        path: for messages.
        size: voxels along x, y and z.
        columns: (3, 3), the step from voxel to voxel along each axis, LPS mm.
        origin: (3,), center of the first voxel, LPS mm.

    Raises:
        InputError: numbers that are not finite, an axis of length 0, or shear beyond the limit.
    """
    columns = _with_axes_of_one_voxel(size, np.array(columns, float))
    origin = np.array(origin, float)
    if not (np.isfinite(columns).all() and np.isfinite(origin).all()):
        raise InputError(
            found="an orientation or origin that is NaN or infinite",
            expected="numbers",
            action="repair the header or export the volume again",
            path=path,
        )
    spacing = np.linalg.norm(columns, axis=0)
    check_spacing(path, spacing)
    cosines, shear, moved = _nearest_axes(size, columns, spacing)
    doubts = _judge_shear(path, shear, moved)
    x, y, z = size[:3]
    lengths, first = tuple(spacing.tolist()), tuple(origin.tolist())
    grid = Grid((x, y, z), lengths, first, tuple(cosines.ravel().tolist()))
    return grid, doubts


def is_sheared(size: tuple[int, ...], columns: np.ndarray) -> bool:
    """Tell whether `place` would refuse these axes for their shear; arguments as there."""
    columns = _with_axes_of_one_voxel(size, np.array(columns, float))
    spacing = np.linalg.norm(columns, axis=0)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        return False
    _, shear, moved = _nearest_axes(size, columns, spacing)
    return shear > MOST_SHEAR or moved > MOST_SHEAR_MM


def _nearest_axes(
    size: tuple[int, ...], columns: np.ndarray, spacing: np.ndarray
) -> tuple[np.ndarray, float, float]:
    """Return the nearest perpendicular axes (3, 3), the shear, and how far corners move in mm."""
    cosines = columns / spacing
    shear = float(np.abs(cosines.T @ cosines - np.eye(3)).max())  # largest cosine between two axes
    if shear <= _EXACT:
        return cosines, shear, 0.0
    left, _, right = np.linalg.svd(cosines)
    nearest = left @ right
    return nearest, shear, corner_shift_mm(size, columns, nearest * spacing)


def corner_shift_mm(
    size: tuple[int, ...], first: np.ndarray, other: np.ndarray, apart: np.ndarray | None = None
) -> float:
    """Return how far apart two sets of axes put the centers of corner voxels, at most.

    Args:
        size: voxels along x, y and z.
        first: (3, 3) steps in mm.
        other: as `first`.
        apart: (3,) difference of the origins, 0 when absent.
    """
    corners = np.array(list(product(*((0, n - 1) for n in size[:3])))).T
    shift = (first - other) @ corners + (0 if apart is None else apart[:, np.newaxis])
    return float(np.linalg.norm(shift, axis=0).max())


def unstated(what: str) -> Problem:
    """Return the doubt about a header that does not say how the head lies."""
    return Problem(
        found=what,
        expected="a header that says where left and front are",
        action=f"check left and right in the result, {AXES_TAKEN}",
    )


def _with_axes_of_one_voxel(size: tuple[int, ...], columns: np.ndarray) -> np.ndarray:
    """Give an axis of one voxel the missing direction, and 1 mm, where its length is not stated."""
    length = np.linalg.norm(columns, axis=0)
    missing = [k for k in range(3) if size[k] == 1 and not (np.isfinite(length[k]) and length[k])]
    for k in missing:
        if len(missing) == 1:
            a, b = columns[:, (k + 1) % 3], columns[:, (k + 2) % 3]
            normal = np.cross(a, b)
            columns[:, k] = normal / (np.linalg.norm(normal) or np.nan)
        else:
            columns[:, k] = np.eye(3)[:, k]
    return columns


def _judge_shear(path: Path, shear: float, moved_mm: float) -> list[Problem]:
    if shear > MOST_SHEAR or moved_mm > MOST_SHEAR_MM:
        raise InputError(
            found=f"axes that are not perpendicular (sheared orientation, "
            f"corners {moved_mm:.2g} mm off)",
            expected=f"an orthonormal direction to {MOST_SHEAR_MM:g} mm",
            action="resample the volume onto a regular grid first",
            path=path,
        )
    if shear <= SILENT_SHEAR:
        return []
    return [
        Problem(
            found=f"axes that are not quite perpendicular (corners {moved_mm:.2g} mm off)",
            expected="an orthonormal direction",
            action="nothing is to be done, the nearest perpendicular axes are used",
        )
    ]
