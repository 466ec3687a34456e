"""Four volume nodes to four files on one grid in the world."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

from scripted_models.bundle.description import ModelDescription
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.sequences import SEQUENCES, TITLES

from .input_check import check_usable, label, lies_on, placement
from .resampling import covering_grid, resample, world_grid


@dataclass(frozen=True)
class ExportedVolumes:
    """What `export_steps` has written so far.

    Attributes:
        files: sequence -> .nrrd file.
        grid: their common grid, in the world: where the user sees the reference volume.
        notes: sentences that say what was done to the volumes on the way.
    """

    files: dict[str, Path]
    grid: Grid
    notes: tuple[str, ...]


def export_steps(
    nodes: Mapping[str, object],
    folder: Path,
    reference: str = "t1c",
    description: ModelDescription | None = None,
) -> Iterator[ExportedVolumes]:
    """Write the chosen volume nodes as files on one grid; parent transforms are applied, nodes left alone.

    The grid is that of the reference volume in the world. Where a transform shears or warps the
    reference, it is a proper grid around it. The other volumes are resampled (linear, in physical
    space) unless they already lie on that grid.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode.
        folder: existing folder for the files.
        reference: sequence whose grid is used.
        description: of the model, which tells what may be missing; None: nothing may.

    Yields:
        After each volume what is written so far, so that a window can live between them.

    Raises:
        InputError: what `InputCheck` stops at, or a volume that is constant on the grid.
    """
    check_usable(nodes, reference, description)
    grid = world_grid(nodes[reference]) or covering_grid(nodes[reference])
    exported = ExportedVolumes({}, grid, ())
    for sequence in (m for m in SEQUENCES if nodes.get(m) is not None):
        array, notes = _array_on(nodes[sequence], sequence, grid, reference)
        file = Path(folder) / f"{sequence}.nrrd"
        sitk.WriteImage(grid.image_from(array), str(file), False)
        files = {**exported.files, sequence: file}
        exported = ExportedVolumes(files, grid, (*exported.notes, *notes))
        yield exported


def _array_on(node, sequence: str, grid: Grid, reference: str) -> tuple[np.ndarray, list[str]]:
    """Return the node's values on the grid and the sentences that tell what was done."""
    finding = placement(node, sequence, grid, reference)
    notes = [finding.sentence] if finding else []
    if lies_on(node, grid):
        return slicer.util.arrayFromVolume(node), notes
    array = resample(node, grid)
    if array.min() == array.max():
        raise InputError(
            f"{label(node, sequence)} is constant ({array.min():g}) where {TITLES[reference]} lies; "
            "register the volumes or choose another one."
        )
    return array, notes
