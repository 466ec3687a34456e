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

from scripted_models.measurement.lesions import MEASURABLE_SLICES

from .slicer_types import Node, OrientedImage, SegmentationNode
from .translation import _

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
        side: 'left', 'right' or 'both'; None where it is not known.
        least_mm: what both diameters must reach.
        is_rim: too thin for a nodule of that size, where lines must not cross necrosis.
        diameters: kind -> diameter.
    """

    number: int
    region: str
    volume_ml: float
    slices: int
    side: str | None
    least_mm: float
    is_rim: bool
    diameters: dict[str, Diameter]

    @property
    def is_measurable(self) -> bool:
        """Whether it is by the diameters that were measured."""
        lengths = [diameter.length_mm for diameter in self.diameters.values()]
        return not self.shortcoming(lengths, is_edited=False)

    def shortcoming(self, lengths_mm: Iterable[float], is_edited: bool) -> str:
        """Say why it is not measurable with these diameters; empty when it is.

        Whoever moved a line by hand knows whether it is a rim.
        """
        if self.slices < MEASURABLE_SLICES:
            return _("On one slice only.")
        if min(lengths_mm) < self.least_mm:
            return _("A diameter is below {least} mm.").format(least=f"{self.least_mm:g}")
        if self.is_rim and not is_edited:
            text = _("A rim that is too thin for a nodule of {least} mm.")
            return text.format(least=f"{self.least_mm:g}")
        return ""

    def with_diameter(self, kind: str, **changes: Any) -> "LesionRecord":
        """Return it with a changed diameter."""
        changed = replace(self.diameters[kind], **changes)
        return replace(self, diameters={**self.diameters, kind: changed})


@dataclass(frozen=True)
class Measured:
    """The lesions of a segmentation as they were measured.

    Attributes:
        lesions: number -> lesion.
        across: lines might cross necrosis.
        left_out: parts that are too small to count.
        left_out_ml: their volume.
        voxels: of each segment, by label.
    """

    lesions: dict[int, LesionRecord] = field(default_factory=dict)
    across: bool = False
    left_out: int = 0
    left_out_ml: float = 0.0
    voxels: dict[int, int] = field(default_factory=dict)


def read_lesions(node: SegmentationNode) -> Measured | None:
    """Return what was measured of a segmentation (or None); None where nothing was.

    A segmentation that has got another grid since counts as not measured.
    """
    try:
        kept = json.loads(node.GetAttribute(LESIONS) or "null") if node is not None else None
        if kept is None or kept["extent"] != _extent(node):
            return None
        lesions = [_parsed(**item) for item in kept["lesions"]]
        numbered = {lesion.number: lesion for lesion in lesions}
        voxels = {int(label): int(count) for label, count in kept["voxels"].items()}
        left_out = int(kept["left_out"]), float(kept["left_out_ml"])
        return Measured(numbered, bool(kept["across"]), *left_out, voxels)
    except (KeyError, TypeError, ValueError, AttributeError):  # of another version, or damaged
        return None


def write_lesions(node: SegmentationNode, measured: Measured | None) -> None:
    """Keep what was measured with a segmentation; None takes it away."""
    text = None
    if measured is not None:
        items = [asdict(lesion) for lesion in measured.lesions.values()]
        text = json.dumps({**asdict(measured), "lesions": items, "extent": _extent(node)})
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
