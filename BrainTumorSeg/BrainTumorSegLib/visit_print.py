"""Whether the tumor of a segmentation is still what a comparison of visits has seen."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from scripted_models.errors import ScriptedModelsError
from scripted_models.geometry import Grid

from .follow_record import facts_of, prints_of, visits_of
from .segment_masks import labels_on, tumor_grid
from .slicer_types import SegmentationNode, TableNode, VtkObject

PLACE_TOLERANCE_MM = 0.01  # a saved segmentation comes back with rounded numbers

Print = Mapping[str, Any]  # "voxels": checksum of labels in their box; "place": of the box


def print_of(labels: np.ndarray, grid: Grid) -> Print:
    """Return what tells a tumor from others, as values for JSON.

    Only its own box counts: a saved segmentation may come back on a smaller grid.

    Args:
        labels: uint8 (z, y, x), internal labels.
        grid: of the labels in the world.
    """
    if not labels.any():
        return {"voxels": "", "place": []}
    places = np.nonzero(labels)
    box = tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in places)
    inside = np.ascontiguousarray(labels[box], np.uint8)
    found = hashlib.sha256(str(inside.shape).encode())
    found.update(inside.tobytes())
    steps = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    corner = grid.origin_lps_mm + steps @ [axis.start for axis in reversed(box)]
    return {"voxels": found.hexdigest(), "place": [*corner.tolist(), *steps.ravel().tolist()]}


def is_same(first: Print, second: Print) -> bool:
    """Tell whether two prints are of the same tumor in the same place."""
    if first["voxels"] != second["voxels"] or len(first["place"]) != len(second["place"]):
        return False
    return bool(np.allclose(first["place"], second["place"], rtol=0, atol=PLACE_TOLERANCE_MM))


class VisitWatch:
    """Tells which visits of a follow-up are not what was compared; looks at one after the other."""

    def __init__(self) -> None:
        self._seen: list[tuple[SegmentationNode, Print | None]] = []

    def forget(self, source: VtkObject = None) -> None:
        """Look again at the visit of a segmentation node or its vtkSegmentation; None: at all."""
        self._seen = [
            (node, found)
            for node, found in self._seen
            if source is not None and node is not source and node.GetSegmentation() is not source
        ]

    def step(self, table: TableNode) -> bool:
        """Look at one visit that was not looked at; tell whether others are left."""
        left = [n for n in visits_of(table) if n is not None and not self._knows(n)]
        if left:
            self._seen.append((left[0], _print_now(left[0])))
        return len(left) > 1

    def changed(self, table: TableNode) -> list[str]:
        """Return the names of visits that are gone, or not as they were, as far as is known."""
        names = [str(visit["name"]) for visit in facts_of(table).get("visits", ())]
        were, nodes = prints_of(table), visits_of(table)
        if len(were) != len(names):
            return names
        return [
            name
            for name, node, was in zip(names, nodes, were, strict=True)
            if node is None or (self._knows(node) and not self._is_as_it_was(node, was))
        ]

    def _knows(self, node: SegmentationNode) -> bool:
        return any(seen is node for seen, _found in self._seen)

    def _is_as_it_was(self, node: SegmentationNode, was: Print) -> bool:
        now = next(found for seen, found in self._seen if seen is node)
        try:
            return now is not None and is_same(now, was)
        except (KeyError, TypeError, ValueError):
            return False


def _print_now(node: SegmentationNode) -> Print | None:
    """Return the print of a segmentation as it is; None where it has no segments any more."""
    try:
        grid = tumor_grid(node)
        return print_of(labels_on(node, grid), grid)
    except ScriptedModelsError:
        return None
