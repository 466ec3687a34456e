"""What one look at the voxels of a volume tells."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

from scripted_models.images import contrast

SAMPLED_VOXELS = 1 << 16  # in which different values are counted


@dataclass(frozen=True)
class VoxelFacts:
    """What one look at the voxels of a volume tells; see `look_at`.

    Attributes:
        finite: False with NaN or infinite voxels; the other facts are empty then.
        lowest: lowest value.
        highest: highest value.
        background: most frequent value at the six faces.
        border_share: share of the faces that has it.
        foreground: number of voxels that differ from it.
        cut_share: largest section of the foreground at a face, as share of the largest one there is
            along the same axis; 1 where the field of view ends in the middle of a head.
        box: first and last index of the foreground along z, y, x; None without foreground.
        values: different values in a sample of the voxels; up to two are those of all voxels.
        digest: equal for equal voxels, whatever their type.
        look: the volume made small; None unless it is skull-stripped.
    """

    finite: bool
    lowest: float = np.nan
    highest: float = np.nan
    background: float = np.nan
    border_share: float = 0.0
    foreground: int = 0
    cut_share: float = 0.0
    box: tuple[tuple[int, int], ...] | None = None
    values: int = 0
    digest: str = ""
    look: contrast.Look | None = field(default=None, compare=False)


def look_at(array: np.ndarray) -> VoxelFacts:
    """Look once at all voxels; about 0.1 s for 240 x 240 x 155.

    Args:
        array: numbers (z, y, x), any type, at least one voxel.
    """
    lowest, highest = float(array.min()), float(array.max())  # NaN wins in both
    if not np.isfinite([lowest, highest]).all():
        return VoxelFacts(finite=False)
    border = np.concatenate([np.take(array, i, k).ravel() for k in range(3) for i in (0, -1)])
    values, counts = np.unique(border, return_counts=True)
    background, most = values[counts.argmax()], counts.max()
    mask = array != background
    return VoxelFacts(
        finite=True,
        lowest=lowest,
        highest=highest,
        background=float(background),
        border_share=float(most / border.size),
        foreground=int(np.count_nonzero(mask)),
        cut_share=_cut_share(mask),
        box=_box(mask),
        values=_count_values(array),
        digest=_digest(array),
        look=contrast.look_at(array),
    )


def _count_values(array: np.ndarray) -> int:
    step = max(1, array.size // SAMPLED_VOXELS) | 1  # odd, so that it does not follow the rows
    sampled = len(np.unique(array.reshape(-1)[::step]))
    return sampled if sampled > 2 else len(np.unique(array))


def _cut_share(mask: np.ndarray) -> float:
    layers = np.count_nonzero(mask, axis=2)
    lines = layers.sum(axis=1), layers.sum(axis=0), np.count_nonzero(mask, axis=(0, 1))
    return max(max(line[0], line[-1]) / max(1, line.max()) for line in lines)


def _box(mask: np.ndarray) -> tuple[tuple[int, int], ...] | None:
    plane: np.ndarray = np.any(mask, axis=0)
    along = (np.any(mask, axis=(1, 2)), np.any(plane, axis=1), np.any(plane, axis=0))
    found = [np.flatnonzero(line) for line in along]
    return tuple((int(f[0]), int(f[-1])) for f in found) if len(found[0]) else None


def _digest(array: np.ndarray) -> str:
    total = hashlib.blake2b(str(array.shape).encode(), digest_size=16)
    for plane in array:
        total.update(np.ascontiguousarray(plane, np.float32).data)
    return total.hexdigest()
