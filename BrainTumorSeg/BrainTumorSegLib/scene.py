"""Four volume nodes to four files on one grid in the world."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.modalities import MODALITIES

from .resampling import covering_grid, resample, world_grid

TITLES = {"t1": "T1", "t1c": "T1c", "t2": "T2", "flair": "FLAIR"}


@dataclass(frozen=True)
class ExportedVolumes:
    """What `export_volumes` wrote.

    Attributes:
        files: modality -> .nrrd file.
        grid: their common grid, in the world: where the user sees the reference volume.
        notes: sentences that say what was done to the volumes on the way.
    """

    files: dict[str, Path]
    grid: Grid
    notes: tuple[str, ...]


def check_choice(nodes: Mapping[str, object]) -> None:
    """Check that four different scalar volumes with voxels are chosen; cheap, reads no voxels.

    Raises:
        InputError: one sentence that says which sequence is missing or wrong.
    """
    missing = [TITLES[m] for m in MODALITIES if nodes.get(m) is None]
    if missing:
        raise InputError(f"No volume is chosen for {', '.join(missing)}; choose one.")
    for position, modality in enumerate(MODALITIES):
        node, title = nodes[modality], TITLES[modality]
        for earlier in MODALITIES[:position]:
            if nodes[earlier] is node:
                raise InputError(
                    f"Volume '{node.GetName()}' is chosen for {TITLES[earlier]} and for {title}; "
                    "choose four different volumes."
                )
        _check_volume(node, title)


def export_volumes(
    nodes: Mapping[str, object], folder: Path, reference: str = "t1c"
) -> ExportedVolumes:
    """Write four volume nodes at once; see `export_steps`."""
    *_, exported = export_steps(nodes, folder, reference)
    return exported


def export_steps(
    nodes: Mapping[str, object], folder: Path, reference: str = "t1c"
) -> Iterator[ExportedVolumes]:
    """Write four volume nodes as files on one grid; parent transforms are applied, nodes left alone.

    The grid is that of the reference volume in the world. Where a transform shears or warps the
    reference, it is a proper grid around it. The other volumes are resampled (linear, in physical
    space) unless they already lie on that grid.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode.
        folder: existing folder for the files.
        reference: modality whose grid is used.

    Yields:
        After each volume what is written so far, so that a window can live between them.

    Raises:
        InputError: a volume is missing, given twice, empty or away from the reference.
    """
    check_choice(nodes)
    for modality in MODALITIES:
        _check_voxels(nodes[modality], TITLES[modality])
    grid = world_grid(nodes[reference]) or covering_grid(nodes[reference])
    exported = ExportedVolumes({}, grid, ())
    for modality in MODALITIES:
        array, notes = _array_on(nodes[modality], TITLES[modality], grid, TITLES[reference])
        file = Path(folder) / f"{modality}.nrrd"
        sitk.WriteImage(grid.image_from(array), str(file), False)
        files = {**exported.files, modality: file}
        exported = ExportedVolumes(files, grid, (*exported.notes, *notes))
        yield exported


def _check_volume(node, title: str) -> None:
    if not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError(
            f"{title}: '{node.GetName()}' is not an image volume; choose the {title} image."
        )
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0:
        raise InputError(f"{title}: volume '{node.GetName()}' has no voxels; load it again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError(
            f"{title}: volume '{node.GetName()}' has {image.GetNumberOfScalarComponents()} values "
            "per voxel, expected one; choose a grey-value volume."
        )


def _check_voxels(node, title: str) -> None:
    array = slicer.util.arrayFromVolume(node)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            f"{title}: volume '{node.GetName()}' holds NaN or infinite voxels; repair it first."
        )


def _array_on(node, title: str, grid: Grid, reference_title: str) -> tuple[np.ndarray, list[str]]:
    """Return the node's values on the grid and the sentences that tell what was done."""
    own = world_grid(node)
    label = f"{title} '{node.GetName()}'"
    parent = node.GetParentTransformNode()
    under = f" under transform '{parent.GetName()}'" if parent else ""
    if own is not None and own.matches(grid):
        done = [f"{label}: its place{under} is used, voxels unchanged."] if parent else []
        return slicer.util.arrayFromVolume(node), done
    array = resample(node, grid)
    if array.min() == array.max():
        raise InputError(
            f"{label} does not overlap {reference_title}, or is constant there; "
            "register the volumes or choose another one."
        )
    if own is not None:
        why = f"grids differ: {own.difference(grid)}"
    else:
        why = "its transform bends or shears it" if parent else "its axes are not perpendicular"
    target = "a regular grid" if title == reference_title else f"the grid of {reference_title}"
    return array, [f"{label}{under}: resampled onto {target} ({why})."]
