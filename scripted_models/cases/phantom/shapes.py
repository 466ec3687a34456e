"""Distances to simple bodies at points (3, n) in millimeters, negative inside."""

import numpy as np

Point = tuple[float, float, float]  # x, y, z in mm


def ellipsoid_mm(points: np.ndarray, center: Point, half_axes: Point) -> np.ndarray:
    """Return about the signed distance to an ellipsoid (value over slope of its equation)."""
    scaled = [(points[i] - np.float32(center[i])) / np.float32(half_axes[i]) for i in range(3)]
    k = np.sqrt(sum(v * v for v in scaled))
    slope = np.sqrt(sum((v / np.float32(a)) ** 2 for v, a in zip(scaled, half_axes, strict=True)))
    return (k * (k - 1) / (slope + np.float32(1e-6))).astype(np.float32)


def capsule_mm(
    points: np.ndarray, start: Point, radius: float, end: Point, end_radius: float
) -> np.ndarray:
    """Return the signed distance to a rod whose radius changes linearly between two points."""
    axis = np.subtract(end, start).astype(np.float32)
    offset = [points[i] - np.float32(start[i]) for i in range(3)]
    t = sum(o * a for o, a in zip(offset, axis, strict=True)) / np.float32(axis @ axis)
    t = np.clip(t, 0, 1)
    squared = sum((o - t * a) ** 2 for o, a in zip(offset, axis, strict=True))
    return np.sqrt(squared) - (radius + t * (end_radius - radius))


def smooth_union(a: np.ndarray, b: np.ndarray, width_mm: float) -> np.ndarray:
    """Return the smaller distance, rounded off where both are within `width_mm`."""
    mix = np.clip(width_mm - np.abs(a - b), 0, None)
    return np.minimum(a, b) - mix * mix / np.float32(4 * width_mm)


def cover(inside_mm: np.ndarray, width_mm: float) -> np.ndarray:
    """Turn a depth below a surface into the share of a voxel that lies inside, 0 to 1."""
    return np.clip(inside_mm / np.float32(width_mm) + np.float32(0.5), 0, 1)


def mesh_points(axes: list[np.ndarray]) -> np.ndarray:
    """Return all points (3, n) of the grid spanned by coordinates x, y, z; x changes fastest."""
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return np.stack([x.ravel(), y.ravel(), z.ravel()])
