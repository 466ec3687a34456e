"""Four volume nodes to four files in the world, on one grid or each on its own."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
from .resampling import covering_grid, parent_matrix, resample, world_grid
from .slicer_types import VolumeNode, VolumeNodes
from .translation import _


@dataclass(frozen=True)
class ExportedVolumes:
    """What `export_steps` has written so far.

    Attributes:
        files: sequence -> .nrrd file.
        grid: of the reference in the world, where the user sees it; where the result will lie.
        notes: what was done to the volumes on the way.
        places: sequence -> 4x4 matrix from the node's own RAS to the world as it was exported; None
            where a transform bends it.
    """

    files: dict[str, Path]
    grid: Grid
    notes: tuple[Finding, ...] = ()
    places: dict[str, np.ndarray | None] = field(default_factory=dict)


def export_steps(
    nodes: VolumeNodes,
    folder: Path,
    reference: str = "t1c",
    description: ModelDescription | None = None,
    prepare: bool = False,
) -> Iterator[ExportedVolumes]:
    """Write the chosen volume nodes as files; the nodes stay as they are.

    All get onto the grid of the reference volume in the world, all its parent transforms applied.
    Where a transform shears or warps the reference, it is a proper grid around it. The other
    volumes are resampled (linear, in physical space) unless they already lie on that grid.

    Raw volumes that will be prepared stay on their own grids in the world, with their own voxels.
    Only what a transform shears or warps is resampled, onto a proper grid around it.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode.
        folder: existing folder for the files.
        reference: sequence whose grid is used.
        description: of the model, which tells what may be missing; None: nothing may.
        prepare: the child process prepares the volumes if one of them needs it.

    Yields:
        After each volume what is written so far, so that a window can live between them.

    Raises:
        InputError: what `InputCheck` stops at, or a volume that is constant on the grid.
    """
    are_raw = check_usable(nodes, reference, description, prepare)
    exported = ExportedVolumes({}, _proper_grid(nodes[reference]))
    for sequence in (m for m in SEQUENCES if nodes.get(m) is not None):
        node = nodes[sequence]
        base = sequence if are_raw else reference
        grid = _proper_grid(node) if are_raw else exported.grid
        note = placement(node, sequence, grid, base)
        array = _array_on(node, sequence, grid, base)
        file = Path(folder) / f"{sequence}.nrrd"
        sitk.WriteImage(grid.image_from(array), str(file), False)
        exported = replace(
            exported,
            files={**exported.files, sequence: file},
            notes=(*exported.notes, note) if note else exported.notes,
            places={**exported.places, sequence: parent_matrix(node)},
        )
        yield exported


def _proper_grid(node: VolumeNode) -> Grid:
    return world_grid(node) or covering_grid(node)


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
