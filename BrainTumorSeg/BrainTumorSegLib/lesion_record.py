"""What was measured of the lesions of a segmentation; kept with it, so saved and exchanged with it.

Places are voxel coordinates in the grid of the result. They move with the segmentation, whatever
transforms it is put under.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import slicer
import slicer.util
import vtk

from scripted_models.measurement.lesions import MEASURABLE_MM, MEASURABLE_SLICES

from .slicer_types import Node, OrientedImage, SegmentationNode

LESIONS = "BrainTumorSeg.Lesions"
Ends: TypeAlias = list[list[float]]  # two points
LONGEST, PERPENDICULAR = KINDS = ("longest", "perpendicular")


@dataclass(frozen=True)
class Diameter:
    """One of the two diameters of a lesion.

    Attributes:
        ends: as it was measured, voxel coordinates ((i, j, k), (i, j, k)).
        length_mm: as it was measured.
        drawn: it was made a line of the scene; without a line it was deleted since.
        kept: ends of the line of a result that is not in the segmentation now; empty otherwise.
    """

    ends: Ends
    length_mm: float
    drawn: bool = False
    kept: Ends = field(default_factory=list)


@dataclass(frozen=True)
class LesionRecord:
    """One lesion, as `scripted_models.measurement.lesions` found it.

    Attributes:
        number: from 1, the largest first.
        region: 'ET' or 'WT'.
        volume_ml: its volume.
        slices: axial slices that it touches.
        center: mean place of its voxels, voxel coordinates.
        side: 'left', 'right' or 'both'; empty where it is not known.
        diameters: kind -> diameter; empty where none lies inside.
    """

    number: int
    region: str
    volume_ml: float
    slices: int
    center: list[float]
    side: str = ""
    diameters: dict[str, Diameter] = field(default_factory=dict)

    @property
    def is_measurable(self) -> bool:
        """Whether it is by the diameters that were measured."""
        lengths = [diameter.length_mm for diameter in self.diameters.values()]
        return bool(lengths) and reach_measurable(lengths, self.slices)

    def with_diameter(self, kind: str, **changes: Any) -> "LesionRecord":
        """Return it with a changed diameter."""
        changed = replace(self.diameters[kind], **changes)
        return replace(self, diameters={**self.diameters, kind: changed})


def reach_measurable(lengths_mm: Iterable[float], slices: int) -> bool:
    """Tell whether a lesion with these diameters is measurable."""
    return min(lengths_mm) >= MEASURABLE_MM and slices >= MEASURABLE_SLICES


def read_lesions(node: SegmentationNode) -> list[LesionRecord] | None:
    """Return the lesions of a segmentation as they were measured; None when they were not.

    They were not either when the segmentation has got another grid since.
    """
    try:
        kept = json.loads(node.GetAttribute(LESIONS) or "null") if node is not None else None
        if kept is None or kept["extent"] != _extent(node):
            return None
        return [_parsed(**item) for item in kept["lesions"]]
    except (KeyError, TypeError, ValueError, AttributeError):  # of another version, or damaged
        return None


def write_lesions(node: SegmentationNode, lesions: Iterable[LesionRecord] | None) -> None:
    """Keep lesions with a segmentation; None takes them away."""
    text = None
    if lesions is not None:
        items = [asdict(lesion) for lesion in lesions]
        text = json.dumps({"extent": _extent(node), "lesions": items})
    node.SetAttribute(LESIONS, text)


def _parsed(diameters: dict[str, Any], **others: Any) -> LesionRecord:
    return LesionRecord(diameters={k: Diameter(**d) for k, d in diameters.items()}, **others)


def voxels_to_world(node: SegmentationNode, voxels: Any) -> np.ndarray:
    """Return RAS points in the world (n, 3) of voxel coordinates (n, 3) of a segmentation."""
    matrix = _voxels_to_own(node)
    own = np.reshape(voxels, (-1, 3)) @ matrix[:3, :3].T + matrix[:3, 3]
    return _moved(own, node.GetParentTransformNode(), None)


def voxels_of(node: SegmentationNode, ras: Any, frame: Node = None) -> np.ndarray:
    """Return the voxel coordinates (n, 3) in a segmentation of RAS points (n, 3).

    Args:
        node: vtkMRMLSegmentationNode.
        ras: points below a transform node, or in the world.
        frame: that transform node.
    """
    matrix = np.linalg.inv(_voxels_to_own(node))
    own = _moved(np.reshape(ras, (-1, 3)), frame, node.GetParentTransformNode())
    return own @ matrix[:3, :3].T + matrix[:3, 3]


def _voxels_to_own(node: SegmentationNode) -> np.ndarray:
    """Return the 4x4 matrix from the voxels of the result's grid to the node's own RAS."""
    matrix = vtk.vtkMatrix4x4()
    _geometry(node).GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _extent(node: SegmentationNode) -> list[int]:
    return list(_geometry(node).GetExtent())


def _geometry(node: SegmentationNode) -> OrientedImage:
    converter, image = slicer.vtkSegmentationConverter, slicer.vtkOrientedImageData()
    name = converter.GetReferenceImageGeometryParameterName()
    geometry = node.GetSegmentation().GetConversionParameter(name)
    if geometry:
        converter.DeserializeImageGeometry(geometry, image, False)
    return image


def _moved(points: np.ndarray, source: Node, target: Node) -> np.ndarray:
    if source is target:
        return points
    way = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(source, target, way)
    return np.array([way.TransformPoint(*point) for point in points])
