"""A preprocessed training case, in memory or mapped from disk."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from scripted_models.labels import NUM_CLASSES, REGIONS

IGNORED = 255  # outside the brain
MERGED_LABELS = (1, 3)
MERGED_CORE = 254  # truth says "necrosis or non-enhancing" (BraTS 2017 and later)
REGIONS_OF_TARGETS = {  # region -> the targets that belong to it
    region: (*labels, MERGED_CORE) if set(MERGED_LABELS) <= set(labels) else labels
    for region, labels in REGIONS.items()
}


@dataclass(frozen=True)
class TrainingCase:
    """One preprocessed case.

    Attributes:
        name: case name.
        image: float32 (C, z, y, x).
        target: uint8 (z, y, x): a label, MERGED_CORE, or IGNORED.
        voxels: int32, flat indices of all voxels with a label, those of label 0 first.
        sizes: number of voxels that patches of each label are drawn from; MERGED_CORE counts as 1.
        counts: number of voxels with each label, and last with MERGED_CORE.
    """

    name: str
    image: np.ndarray
    target: np.ndarray
    voxels: np.ndarray
    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(
        cls, name: str, image: np.ndarray, target: np.ndarray, classes: int = NUM_CLASSES
    ) -> "TrainingCase":
        """Make a case from its arrays; its labels are below the number of classes."""
        flat = target.reshape(-1)
        drawn = np.where(flat == MERGED_CORE, 1, flat)
        groups = [np.flatnonzero(drawn == label).astype(np.int32) for label in range(classes)]
        counts = np.bincount(flat, minlength=256)[[*range(classes), MERGED_CORE]]
        sizes = tuple(len(group) for group in groups)
        return cls(name, image, target, np.concatenate(groups), sizes, tuple(counts.tolist()))

    def voxels_of(self, label: int) -> np.ndarray:
        """Return the flat indices of one label's voxels, int32."""
        start = sum(self.sizes[:label])
        return self.voxels[start : start + self.sizes[label]]

    def save(self, folder: Path) -> None:
        """Write the case into an existing folder."""
        for key in _ARRAYS:
            np.save(folder / f"{key}.npy", getattr(self, key))
        facts = {"name": self.name, "sizes": self.sizes, "counts": self.counts}
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> "TrainingCase":
        """Open a saved case; its arrays stay on disk until they are used.

        Raises:
            OSError, ValueError: damaged or missing files.
        """
        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        arrays = {key: np.load(folder / f"{key}.npy", mmap_mode="r") for key in _ARRAYS}
        return cls(
            facts["name"], **arrays, sizes=tuple(facts["sizes"]), counts=tuple(facts["counts"])
        )

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        """Let a worker open files that this process has open, where workers inherit no memory."""
        if isinstance(self.image, np.memmap):
            return TrainingCase.open, (Path(str(self.image.filename)).parent,)
        return super().__reduce_ex__(protocol)


_ARRAYS = ("image", "target", "voxels")
_FACTS = "case.json"


def make_target(labels: np.ndarray, brain: np.ndarray, merged_necrosis: bool) -> np.ndarray:
    """Return the training target of an internal label map (z, y, x).

    Args:
        labels: uint8, internal labels.
        brain: bool; outside of it what has no label is ignored.
        merged_necrosis: necrosis and non-enhancing tumor become one target.
    """
    target = labels.astype(np.uint8).copy()
    if merged_necrosis:
        target[np.isin(labels, MERGED_LABELS)] = MERGED_CORE
    target[~brain & (labels == 0)] = IGNORED
    return target
