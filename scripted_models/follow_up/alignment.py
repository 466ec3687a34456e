"""Visits brought to one of them: rigid registrations, and a grid around all tumors for matching.

What is resampled serves matching and pictures only. Volumes and diameters are measured on each
visit's own grid.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import Problem
from scripted_models.follow_up.visit_data import Visit
from scripted_models.geometry import Grid
from scripted_models.preparation.doubts import registration_doubts
from scripted_models.preparation.rigid_registration import Head, Registration, register

MATCHING_MM = 1.0
_MARGIN_MM = 6.0  # around all tumors; more than the tolerance of the matching


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a visit lies against the reference.

    Attributes:
        transform: maps points of the reference to those of the visit, LPS mm.
        registration: what was found; None of the reference itself, and where there is no image.
        problems: doubts about it.
    """

    transform: sitk.Transform
    registration: Registration | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def matrix(self) -> list[list[float]]:
        """The transform as a matrix (4, 4) for points (x, y, z, 1), LPS mm."""
        start = np.array(self.transform.TransformPoint((0.0, 0.0, 0.0)))
        steps = [np.array(self.transform.TransformPoint(p)) - start for p in np.eye(3).tolist()]
        whole = np.vstack([np.column_stack([*steps, start]), [0.0, 0.0, 0.0, 1.0]])
        return [[float(value) for value in row] for row in whole]


def align(
    visits: Sequence[Visit],
    reference: int,
    told: Callable[[float], None] = lambda share: None,
) -> list[Alignment]:
    """Register each visit to the reference, one after the other.

    Args:
        visits: all visits.
        reference: index of the one that stays.
        told: called with the share that is done, 0 to 1.
    """
    fixed = visits[reference].read_head()
    found = []
    for index, visit in enumerate(visits):
        if index == reference:
            found.append(Alignment(sitk.Euler3DTransform()))
        else:
            found.append(_aligned(fixed, visit, _share(told, index, len(visits))))
        told((index + 1) / len(visits))
    return found


def _share(told: Callable[[float], None], index: int, count: int) -> Callable[[float], None]:
    return lambda share: told((index + share) / count)


def _aligned(fixed: Head | None, visit: Visit, told: Callable[[float], None]) -> Alignment:
    moving = visit.read_head() if fixed is not None else None
    if fixed is None or moving is None:  # reading the visits has said so
        return Alignment(sitk.Euler3DTransform())
    found = register(fixed, moving, told)
    doubts = tuple(registration_doubts(visit.name, found, of_one_visit=False))
    transform = sitk.Euler3DTransform() if found.stays else found.transform
    return Alignment(transform, found, doubts)


def matching_grid(
    visits: Sequence[Visit], alignments: Sequence[Alignment], reference: Grid
) -> Grid | None:
    """Return a grid of 1 mm around the tumors of all visits, along the axes of the reference.

    Args:
        visits: all visits.
        alignments: theirs.
        reference: grid of the one that stays where it is.

    Returns:
        The grid; None where no visit has a tumor.
    """
    axes = np.array(reference.direction).reshape(3, 3)
    corners = [
        _tumor_corners(visit, alignment)
        for visit, alignment in zip(visits, alignments, strict=True)
        if visit.labels.any()
    ]
    if not corners:
        return None
    along = np.concatenate(corners) @ axes  # coordinates along the axes
    low, high = along.min(axis=0) - _MARGIN_MM, along.max(axis=0) + _MARGIN_MM
    x, y, z = (np.ceil((high - low) / MATCHING_MM).astype(int) + 1).tolist()
    origin = tuple((axes @ low).tolist())
    return Grid((x, y, z), (MATCHING_MM,) * 3, origin, reference.direction)


def _tumor_corners(visit: Visit, alignment: Alignment) -> np.ndarray:
    """Return the corners of the box around a tumor, (8, 3), in the reference's space."""
    places = np.argwhere(visit.labels)[:, ::-1]
    low, high = places.min(axis=0) - 0.5, places.max(axis=0) + 0.5
    axes = np.reshape(visit.grid.direction, (3, 3)) * visit.grid.spacing_xyz_mm
    back = alignment.transform.GetInverse()
    picks = [[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)]
    points = np.where(picks, high, low) @ axes.T + visit.grid.origin_lps_mm
    return np.array([back.TransformPoint(point) for point in points.tolist()])


def brought(values: np.ndarray, grid: Grid, alignment: Alignment, target: Grid) -> np.ndarray:
    """Return labels or numbers of a visit on a grid of the reference, by the nearest voxel.

    Args:
        values: uint8 or uint16 (z, y, x).
        grid: of them.
        alignment: of the visit.
        target: a grid in the reference's space.
    """
    blank = sitk.Image(target.size_xyz, sitk.sitkUInt8)
    target.put_on(blank)
    image = grid.image_from(values)
    found = sitk.Resample(image, blank, alignment.transform, sitk.sitkNearestNeighbor, 0)
    return np.asarray(sitk.GetArrayFromImage(found))
