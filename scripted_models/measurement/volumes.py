"""Voxels and volumes of tumor labels and regions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripted_models.geometry import Grid
from scripted_models.labels import LABELS, REGIONS, TUMOR_LABELS, known_regions


@dataclass(frozen=True)
class Measurement:
    """Size of one label or region.

    Attributes:
        name: as in `LABELS` or `REGIONS`.
        voxels: how many.
        volume_ml: their volume.
    """

    name: str
    voxels: int
    volume_ml: float


def measure(
    labels: np.ndarray, grid: Grid, known: Sequence[int] = tuple(TUMOR_LABELS)
) -> tuple[Measurement, ...]:
    """Count every label and region of a tumor, and the cavity where it is known.

    Args:
        labels: uint8 (z, y, x), internal labels.
        grid: their grid.
        known: internal labels that can occur; regions that they cannot tell are left out.

    Returns:
        The labels, then the regions.
    """
    counts = np.bincount(labels.ravel(), minlength=len(LABELS))
    parts: list[tuple[str, tuple[int, ...]]] = [(LABELS[k], (k,)) for k in known if k]
    parts += [(region, REGIONS[region]) for region in known_regions(tuple(known))]
    sizes = ((name, int(counts[list(members)].sum())) for name, members in parts)
    return tuple(Measurement(name, n, n * grid.voxel_volume_ml) for name, n in sizes)
