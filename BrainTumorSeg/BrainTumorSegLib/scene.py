"""Four volume nodes to four files on one grid in the world; a label map back to a segmentation node."""

from collections.abc import Mapping
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
from .segmentation_node import fill_node, make_segmentation, place_beside

TITLES = {"t1": "T1", "t1c": "T1c", "t2": "T2", "flair": "FLAIR"}
LABEL_GRID_TOLERANCE_MM = 0.01  # NIfTI keeps a grid in single precision


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
    """Write four volume nodes as files on one grid; parent transforms are applied, nodes left alone.

    The grid is that of the reference volume in the world. Where a transform shears or warps the
    reference, it is a proper grid around it. The other volumes are resampled (linear, in physical
    space) unless they already lie on that grid.

    Args:
        nodes: 't1', 't1c', 't2', 'flair' -> vtkMRMLScalarVolumeNode.
        folder: existing folder for the files.
        reference: modality whose grid is used.

    Raises:
        InputError: a volume is missing, given twice, empty or away from the reference.
    """
    check_choice(nodes)
    for modality in MODALITIES:
        _check_voxels(nodes[modality], TITLES[modality])
    grid = world_grid(nodes[reference]) or covering_grid(nodes[reference])
    files, notes = {}, []
    for modality in MODALITIES:
        array, note = _array_on(nodes[modality], TITLES[modality], grid, TITLES[reference])
        files[modality] = Path(folder) / f"{modality}.nrrd"
        sitk.WriteImage(grid.image_from(array), str(files[modality]), False)
        notes += note
    return ExportedVolumes(files, grid, tuple(notes))


def read_labels(file: Path, grid: Grid) -> np.ndarray:
    """Read a label map that was made for a grid.

    Returns:
        uint8 array (z, y, x) with values 0-4.

    Raises:
        InputError: it lies on another grid or holds other values.
    """
    image = sitk.ReadImage(str(file))
    difference = Grid.of(image).difference(grid, LABEL_GRID_TOLERANCE_MM)
    if difference:
        raise InputError(
            f"The label map does not lie on the grid of the exported volumes: {difference}; "
            "nothing was imported."
        )
    labels = sitk.GetArrayFromImage(image)
    if labels.min() < 0 or labels.max() > 4 or np.any(labels != np.floor(labels)):
        raise InputError(
            f"The label map holds values {labels.min():g} to {labels.max():g}, expected whole "
            "labels 0-4; nothing was imported."
        )
    return labels.astype(np.uint8)


def import_segmentation(
    scene,
    labels: np.ndarray,
    grid: Grid,
    name: str,
    reference_node=None,
    attributes: Mapping[str, str] | None = None,
    target=None,
):
    """Put a label map into the scene as a segmentation node of four segments.

    The node has no parent transform: the grid is in the world, so the segments lie where the
    reference volume was seen, whatever transforms it is under.

    Args:
        scene: vtkMRMLScene.
        labels: uint8 (z, y, x), 0-4.
        grid: grid of the labels in the world.
        name: name of a new node.
        reference_node: volume node whose place in the subject hierarchy the segmentation shares.
        attributes: provenance, stored as node attributes.
        target: segmentation node to fill instead of a new one; its former segments are replaced.

    Returns:
        vtkMRMLSegmentationNode with display node and reference geometry.
    """
    segmentation = make_segmentation(labels, grid)
    node = target or scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    fill_node(node, segmentation, grid, reference_node)
    for key, value in (attributes or {}).items():
        node.SetAttribute(key, value)
    place_beside(scene, node, reference_node)
    return node


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
