"""Visits with known growth: balls of tumor in a made head, written as `segment` leaves results."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels, write_volume

GRID = Grid((64, 72, 48), (1.5, 1.5, 2.0), (-48.0, -54.0, -48.0))


@cache
def points_of(grid):
    """Return the points of all voxels, (z, y, x, 3) LPS mm."""
    places = np.stack(np.meshgrid(*map(np.arange, grid.shape_zyx), indexing="ij"), axis=-1)
    axes = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    return places[..., ::-1] @ axes.T + grid.origin_lps_mm


def _moved(points, motion):
    turn = np.reshape(motion.GetMatrix(), (3, 3))
    return points @ turn.T + motion.TransformPoint((0.0, 0.0, 0.0))


def balls(grid, *found, motion=None):
    """Return labels with balls of enhancing tumor in a rim of edema.

    Args:
        grid: where.
        found: center (LPS mm) and radius in mm of each.
        motion: maps points of the grid to points where the balls are; None: the same.
    """
    points = points_of(grid)
    if motion is not None:
        points = _moved(points, motion)
    labels = np.zeros(grid.shape_zyx, np.uint8)
    for center, radius in found:
        labels[np.linalg.norm(points - center, axis=-1) <= radius + 3] = 2
    for center, radius in found:
        labels[np.linalg.norm(points - center, axis=-1) <= radius] = 4
    return labels


def head(grid, motion=None, seed=0):
    """Return a stripped head of blobs, float32 (z, y, x); the same head whatever the grid."""
    points = points_of(grid)
    if motion is not None:
        points = _moved(points, motion)
    random = np.random.default_rng(seed)
    values = np.full(grid.shape_zyx, 300.0)
    for _ in range(60):
        center, size = random.uniform(-34, 34, 3), random.uniform(4, 11)
        away = np.linalg.norm(points - center, axis=-1)
        values += random.uniform(-120, 160) * np.exp(-((away / size) ** 2))
    inside = np.linalg.norm(points / [40, 46, 38], axis=-1) <= 1
    return np.where(inside, np.maximum(values, 20), 0).astype(np.float32)


def write_result(folder, labels, grid=GRID, image=None, coding="internal", **facts) -> Path:
    """Write a folder as `segment` does: label map and report, and a T1c beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(folder / "segmentation.nii.gz", labels, grid)
    inputs = {}
    if image is not None:
        path = folder / "scan_t1c.nii.gz"
        write_volume(path, grid.image_from(image))
        inputs = {"t1c": str(path)}
    report = {"case": folder.name, "coding": coding, "inputs": inputs, **facts}
    report.setdefault("known_labels", [0, 1, 2, 3, 4])
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return folder


def turned(degrees=(3.0, -4.0, 5.0), shift=(4.0, -5.0, 3.0)):
    """Return a rigid motion about the origin."""
    motion = sitk.Euler3DTransform()
    motion.SetRotation(*np.radians(degrees).tolist())
    motion.SetTranslation(shift)
    return motion
