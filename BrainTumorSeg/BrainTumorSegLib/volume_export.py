"""Four volume nodes to four files on one grid in the world."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

from scripted_models.bundle.description import ModelDescription
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.checks import Finding
from scripted_models.sequences import SEQUENCES, TITLES

from .findings import label
from .input_check import check_usable
from .place_check import lies_on, placement
from .resampling import covering_grid, resample, world_grid
from .slicer_types import VolumeNode, VolumeNodes
from .translation import _


@dataclass(frozen=True)
class ExportedVolumes:
    """What `export_steps` has written so far.

    Attributes:
        files: sequence -> .nrrd file.
        grid: their common grid, in the world: where the user sees the reference volume.
        notes: what was done to the volumes on the way.
    """

    files: dict[str, Path]
    grid: Grid
    notes: tuple[Finding, ...]


def export_steps(
    nodes: VolumeNodes,
    folder: Path,
    reference: str = "t1c",
    description: ModelDescription | None = None,
) -> Iterator[ExportedVolumes]:
    """Write the chosen volume nodes as files on one grid; the nodes stay as they are.

    The grid is that of the reference volume in the world, all its parent transforms applied. Where
    a transform shears or warps the reference, it is a proper grid around it. The other volumes are
    resampled (linear, in physical space) unless they already lie on that grid.

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
        note = placement(nodes[sequence], sequence, grid, reference)
        array = _array_on(nodes[sequence], sequence, grid, reference)
        file = Path(folder) / f"{sequence}.nrrd"
        sitk.WriteImage(grid.image_from(array), str(file), False)
        files = {**exported.files, sequence: file}
        notes = (*exported.notes, note) if note else exported.notes
        exported = ExportedVolumes(files, grid, notes)
        yield exported


def _array_on(node: VolumeNode, sequence: str, grid: Grid, reference: str) -> np.ndarray:
    """Return the node's values on the grid."""
    if lies_on(node, grid):
        return slicer.util.arrayFromVolume(node)
    array = resample(node, grid)
    if array.min() == array.max():
        found = _("the same value ({value}) everywhere where {sequence} lies")
        raise InputError(
            found=found.format(value=f"{array.min():g}", sequence=TITLES[reference]),
            expected=_("an image of the same head"),
            action=_("register the volumes or choose another one"),
            path=label(node, sequence),
        )
    return array
