"""A label map and probabilities of the child process become nodes of the scene."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError, ScriptedModelsError
from scripted_models.geometry import Grid
from scripted_models.labels import LABELS, TUMOR_LABELS, name_in_files

from .previous_result import keep_previous
from .segmentation_node import fill_node, place_beside, show_surface, tumor_layers
from .segments import segment_name
from .slicer_types import Scene, SegmentationNode, VolumeNode
from .translation import _
from .volume_nodes import add_volume_node

GRID_TOLERANCE_MM = 0.01  # NIfTI keeps a grid in single precision
PROBABILITY_ATTRIBUTE = "BrainTumorSeg.probability"


@dataclass(frozen=True)
class ResultOptions:
    """What a run leaves in the scene besides the segments of the labels.

    Attributes:
        regions: whole tumor, tumor core and enhancing tumor region as further segments.
        probabilities: a volume of the probability of every tumor label.
        uncertainty: a volume of the uncertainty, which belongs to the segmentation.
        surface_smoothing: 0-1, of a closed surface for the 3D view; None for no surface.
        prepared: what a preparation of raw volumes made (see `prepared_import`).
    """

    regions: bool = False
    probabilities: bool = False
    surface_smoothing: float | None = None
    prepared: bool = False
    uncertainty: bool = False


SEGMENTS_ONLY = ResultOptions()


@dataclass(frozen=True)
class Output:
    """What the child process wrote, as arrays.

    Attributes:
        labels: uint8 (z, y, x), internal labels.
        report: content of report.json.
        known: internal labels that the model knows.
        probabilities: name of a tumor label -> float32 (z, y, x), as far as they were written.
        uncertainty: float32 (z, y, x), 0-1, if it was written.
    """

    labels: np.ndarray
    report: dict[str, Any]
    known: tuple[int, ...]
    probabilities: dict[str, np.ndarray]
    uncertainty: np.ndarray | None


def read_output(result: Mapping[str, Any], grid: Grid) -> Output:
    """Read everything that the child wrote, before the scene is touched.

    Args:
        result: fields of the 'result' event: paths of segmentation and report.
        grid: the grid of the exported volumes.

    Raises:
        ScriptedModelsError: a file is missing or cannot be read.
        InputError: a file lies on another grid or holds other labels.
    """
    try:
        report = json.loads(Path(result["report"]).read_text(encoding="utf-8"))
        known = tuple(int(label) for label in report.get("known_labels", TUMOR_LABELS))
        file = Path(result["segmentation"])
        labels = read_labels(file, grid, known)
        probabilities = {
            LABELS[label]: file.parent / f"probability_{name_in_files(label)}.nii.gz"
            for label in known
            if label
        }
        found = {name: path for name, path in probabilities.items() if path.is_file()}
        doubt = file.parent / "uncertainty.nii.gz"
        return Output(
            labels,
            report,
            known,
            {n: read_on(f, grid) for n, f in found.items()},
            read_on(doubt, grid) if doubt.is_file() else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
        raise ScriptedModelsError(
            found=_("a result that cannot be read ({reason})").format(reason=error),
            action=_("nothing was imported, segment again"),
        ) from error


def read_labels(file: Path, grid: Grid, known: Sequence[int] = tuple(TUMOR_LABELS)) -> np.ndarray:
    """Read a label map that was made for a grid.

    Args:
        file: the label map.
        grid: the grid of the exported volumes.
        known: internal labels that may occur.

    Returns:
        uint8 array (z, y, x) with internal labels.

    Raises:
        InputError: it lies on another grid or holds other values.
    """
    labels = read_on(file, grid)
    found = np.unique(labels)
    if not np.isin(found, known).all():
        values = ", ".join(f"{value:g}" for value in found[:9])
        raise InputError(
            found=_("the values {values}").format(values=values),
            expected=_("labels of {labels}").format(labels=", ".join(map(str, known))),
            action=_("nothing was imported, choose another model"),
            path=file.name,
        )
    return labels.astype(np.uint8)


def import_segmentation(
    scene: Scene,
    labels: np.ndarray,
    grid: Grid,
    name: str,
    reference_node: VolumeNode = None,
    attributes: Mapping[str, str] | None = None,
    target: SegmentationNode = None,
    known: Sequence[int] = tuple(TUMOR_LABELS),
    options: ResultOptions = SEGMENTS_ONLY,
) -> SegmentationNode:
    """Put a label map into the scene as a segmentation node.

    The node has no parent transform: the grid is in the world, so the segments lie where the
    reference volume was seen, whatever transforms it is under.

    Args:
        scene: vtkMRMLScene.
        labels: uint8 (z, y, x), internal labels.
        grid: grid of the labels in the world.
        name: name of a new node.
        reference_node: volume node whose place in the subject hierarchy the segmentation shares.
        attributes: provenance, stored as node attributes.
        target: segmentation node to fill instead of a new one; what it held is kept behind it
            (see `previous_result`).
        known: internal labels that become segments.
        options: regions and surface.

    Returns:
        vtkMRMLSegmentationNode with display node and reference geometry.
    """
    layers = tumor_layers(labels, grid, known, options.regions)
    if target is not None:
        keep_previous(target)
    node = target or scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    fill_node(node, layers, grid, reference_node)
    for key, value in (attributes or {}).items():
        node.SetAttribute(key, value)
    place_beside(scene, node, reference_node)
    if options.surface_smoothing is not None:
        show_surface(node, options.surface_smoothing)
    return node


def import_probabilities(
    scene: Scene,
    probabilities: Mapping[str, np.ndarray],
    grid: Grid,
    name: str,
    reference_node: VolumeNode = None,
) -> list[VolumeNode]:
    """Add a volume node for the probability of each label.

    Args:
        scene: vtkMRMLScene.
        probabilities: label name -> float32 (z, y, x), 0-1.
        grid: their grid in the world.
        name: first part of the nodes' names.
        reference_node: volume node whose study they join.

    Returns:
        vtkMRMLScalarVolumeNodes, marked with the attribute ``PROBABILITY_ATTRIBUTE``.
    """
    nodes = []
    for label, values in probabilities.items():
        title = _("{name}: {segment} probability").format(name=name, segment=segment_name(label))
        node = add_volume_node(scene, title, values, grid, reference_node)
        node.SetAttribute(PROBABILITY_ATTRIBUTE, label)
        nodes.append(node)
    return nodes


def read_on(file: Path, grid: Grid) -> np.ndarray:
    """Read a volume that was made for a grid, as an array (z, y, x).

    Raises:
        InputError: it lies on another grid.
        RuntimeError: it cannot be read.
    """
    image = sitk.ReadImage(str(file))
    difference = Grid.of(image).difference(grid, GRID_TOLERANCE_MM)
    if difference:
        raise InputError(
            found=_("another grid ({difference})").format(difference=difference),
            expected=_("that of the exported volumes"),
            action=_("nothing was imported, segment again"),
            path=file.name,
        )
    return sitk.GetArrayFromImage(image)
