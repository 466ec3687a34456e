"""The two diameters of lesions as line markups of the scene, which the user may move and delete.

A line knows its segmentation, its lesion and which diameter it is. Other lines are the user's own
and never touched.
"""

import json
from collections.abc import Callable, Mapping

import numpy as np
import slicer
import slicer.util
import vtk

from .lesion_record import (
    KINDS,
    LONGEST,
    PERPENDICULAR,
    Ends,
    LesionRecord,
    read_lesions,
    voxels_of,
    voxels_to_world,
    write_lesions,
)
from .segmentation_node import place_beside
from .segments import REGION_SEGMENTS
from .slicer_types import LineNode, SegmentationNode, VtkObject
from .translation import _

OWNER_ROLE = "BrainTumorSeg.segmentation"
_LESION, _KIND = "BrainTumorSeg.Lesion", "BrainTumorSeg.Diameter"
_MEASURED = "BrainTumorSeg.Measured"  # ends in the line's own RAS, and in voxel coordinates
MOVED_MM = 0.05  # an end that lies farther from where it was measured was moved by hand

Key = tuple[int, str]  # number of the lesion, kind of the diameter


def lines_of(node: SegmentationNode) -> dict[Key, LineNode]:
    """Return the lines of the lesions of a segmentation; without those that lack an end."""
    owned = _owned(node)
    return {key: owned[key] for key in owned if owned[key].GetNumberOfDefinedControlPoints() == 2}


def _owned(node: SegmentationNode) -> dict[Key, LineNode]:
    found: dict[Key, LineNode] = {}
    for line in slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode", node.GetScene()):
        kind, number = line.GetAttribute(_KIND), line.GetAttribute(_LESION) or ""
        if line.GetNodeReference(OWNER_ROLE) is not node or not line.GetAttribute(_MEASURED):
            continue
        if kind in KINDS and number.isdecimal():
            found.setdefault((int(number), kind), line)  # a copy by the user comes later
    return found


def length_mm(line: LineNode) -> float:
    """Return the length of a line in the world."""
    return float(line.GetLineLengthWorld())


def ends_of(node: SegmentationNode, line: LineNode) -> Ends:
    """Return the ends of a line as voxel coordinates of its segmentation."""
    own = slicer.util.arrayFromMarkupsControlPoints(line, world=False)
    return [list(map(float, end)) for end in voxels_of(node, own, line.GetParentTransformNode())]


def is_moved(node: SegmentationNode, line: LineNode) -> bool:
    """Tell whether a line lies elsewhere than it was measured.

    A transform that carries line and segmentation, hardened or not, and another grid of the
    segmentation are no such moves.
    """
    own, voxels = np.array(json.loads(line.GetAttribute(_MEASURED)))
    if _distance(slicer.util.arrayFromMarkupsControlPoints(line, world=False), own) <= MOVED_MM:
        return False
    places = voxels_to_world(node, [*voxels, *ends_of(node, line)])
    return _distance(places[:2], places[2:]) > MOVED_MM


def moved_lines(node: SegmentationNode, lines: Mapping[Key, LineNode]) -> set[int]:
    """Return the numbers of the lesions with a line that was moved by hand."""
    return {number for (number, _kind), line in lines.items() if is_moved(node, line)}


def _distance(ends: np.ndarray, others: np.ndarray) -> float:
    return float(np.linalg.norm(ends - others, axis=1).max())


def is_deleted(lesion: LesionRecord, kind: str, lines: dict[Key, LineNode]) -> bool:
    """Tell whether there was a line of a lesion that is gone."""
    return lesion.diameters[kind].drawn and (lesion.number, kind) not in lines


def draw_lines(node: SegmentationNode) -> None:
    """Make the lines of measurable lesions that were not made yet."""
    measured = read_lesions(node)
    if measured is None:
        return
    for lesion in tuple(measured.lesions.values()):
        for kind, diameter in lesion.diameters.items():
            if lesion.is_measurable and not diameter.drawn:
                _draw(node, lesion, kind)
                changed = measured.lesions[lesion.number].with_diameter(kind, drawn=True)
                measured.lesions[lesion.number] = changed
    write_lesions(node, measured)


def remove_lines(node: SegmentationNode) -> None:
    """Take the lines of a segmentation out of the scene, also those that were moved by hand."""
    for line in _owned(node).values():
        remove_line(line)


def attach_lines(node: SegmentationNode) -> None:
    """Put lines under the transform that their segmentation is under now.

    They went with it, or it went alone: what is nearer to where they were measured is true.
    """
    parent = node.GetParentTransformNode()
    for line in lines_of(node).values():
        if line.GetParentTransformNode() is parent:
            continue
        measured = voxels_to_world(node, json.loads(line.GetAttribute(_MEASURED))[1])
        own = slicer.util.arrayFromMarkupsControlPoints(line, world=False)
        places = [voxels_of(node, own, line.GetParentTransformNode()), voxels_of(node, own, parent)]
        nearest = min(places, key=lambda ends: _distance(voxels_to_world(node, ends), measured))
        _put(node, line, nearest)


def show_lines(node: SegmentationNode, shown: bool) -> None:
    """Show the lines of a segmentation, or hide them, and hide those of all others."""
    for line in slicer.util.getNodesByClass("vtkMRMLMarkupsLineNode", node.GetScene()):
        owner = line.GetNodeReference(OWNER_ROLE)
        if owner is not None and line.GetAttribute(_KIND) and line.GetDisplayNode() is not None:
            line.GetDisplayNode().SetVisibility(shown and owner is node)


def put_lines_away(node: SegmentationNode) -> None:
    """Take the lines of a result out of the scene before it is replaced; keep where they lay."""
    measured, lines = read_lesions(node), lines_of(node)
    if measured is None:
        return
    for number, lesion in tuple(measured.lesions.items()):
        for kind in lesion.diameters:
            line = lines.get((number, kind))
            kept = ends_of(node, line) if line is not None else []
            lesion = lesion.with_diameter(kind, kept=kept)
        measured.lesions[number] = lesion
    write_lesions(node, measured)
    remove_lines(node)


def bring_lines_back(node: SegmentationNode) -> None:
    """Make the lines of a result that is back in its segmentation; deleted ones stay deleted."""
    measured = read_lesions(node)
    if measured is None:
        return
    for number, lesion in tuple(measured.lesions.items()):
        for kind, diameter in lesion.diameters.items():
            if diameter.kept:
                _put(node, _draw(node, lesion, kind), diameter.kept)
            lesion = lesion.with_diameter(kind, kept=[])
        measured.lesions[number] = lesion
    write_lesions(node, measured)


def place_line(node: SegmentationNode, line: LineNode, ends: Ends) -> None:
    """Put a line where its diameter was measured, in voxel coordinates of its segmentation."""
    _put(node, line, ends)
    own = slicer.util.arrayFromMarkupsControlPoints(line, world=False)
    line.SetAttribute(_MEASURED, json.dumps([own.tolist(), np.array(ends).tolist()]))


def _put(node: SegmentationNode, line: LineNode, ends: Ends | np.ndarray) -> None:
    line.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    places = voxels_to_world(node, ends)
    with slicer.util.NodeModify(line):
        for index, place in enumerate(places):
            if index < line.GetNumberOfControlPoints():
                line.SetNthControlPointPositionWorld(index, *place)
            else:
                line.AddControlPointWorld(vtk.vtkVector3d(*place))


def name_line(line: LineNode, number: int, kind: str) -> None:
    """Make a line that of a lesion."""
    names = {
        LONGEST: _("Lesion {number} longest"),
        PERPENDICULAR: _("Lesion {number} perpendicular"),
    }
    line.SetName(names[kind].format(number=number))
    line.SetAttribute(_LESION, str(number))
    line.SetAttribute(_KIND, kind)


def release_line(line: LineNode) -> str:
    """Leave a line to the user; return its new name."""
    name = str(_("{name} (kept)").format(name=line.GetName()))
    line.SetName(name)
    line.SetNodeReferenceID(OWNER_ROLE, None)
    for attribute in (_LESION, _KIND, _MEASURED):
        line.SetAttribute(attribute, None)
    return name


def remove_line(line: LineNode) -> None:
    """Take a line out of the scene, with what belongs to it."""
    scene = line.GetScene()
    for part in (line.GetDisplayNode(), line.GetStorageNode(), line):
        if part is not None:
            scene.RemoveNode(part)


def _draw(node: SegmentationNode, lesion: LesionRecord, kind: str) -> LineNode:
    line = node.GetScene().AddNewNodeByClass("vtkMRMLMarkupsLineNode")
    name_line(line, lesion.number, kind)
    line.CreateDefaultDisplayNodes()
    display, color = line.GetDisplayNode(), _color_of(node, lesion.region)
    display.SetColor(*color)
    display.SetSelectedColor(*color)  # of all ends, as long as the user selects none
    display.SetVisibility3D(False)
    place_line(node, line, lesion.diameters[kind].ends)
    line.SetFixedNumberOfControlPoints(True)
    line.SetNodeReferenceID(OWNER_ROLE, node.GetID())
    place_beside(node.GetScene(), line, node)
    return line


def _color_of(node: SegmentationNode, region: str) -> tuple[float, float, float]:
    """Return the color of the segment of a region, half way to white to be seen over it."""
    entry = next(e for e in REGION_SEGMENTS if e.segment_id == f"region-{region}")
    held = node.GetSegmentation()
    segment = held.GetSegment("enhancing" if region == "ET" else entry.segment_id)
    color = segment.GetColor() if segment is not None else np.divide(entry.color_rgb, 255)
    red, green, blue = ((1 + float(channel)) / 2 for channel in color)
    return red, green, blue


class LineWatch:
    """Tells when lines of a segmentation are moved or deleted, or the segmentation is moved.

    Args:
        on_change: called after each change.
    """

    def __init__(self, on_change: Callable[[], None]):
        self.on_change = on_change
        self._lines: list[LineNode] = []
        self._telling = False
        self._tags: list[tuple[VtkObject, int]] = []

    def follow(self, node: SegmentationNode) -> None:
        """Watch the lines of a segmentation (or None) as they are now, and no others."""
        self.stop()
        if node is None:
            return
        scene, self._lines = node.GetScene(), list(lines_of(node).values())
        for line in self._lines:
            self._observe(line, line.PointModifiedEvent, self._on_moved)
        self._observe(node, node.TransformModifiedEvent, self._on_moved)
        self._observe(scene, scene.NodeRemovedEvent, self._on_removed)

    def stop(self) -> None:
        """Watch nothing."""
        for watched, tag in self._tags:
            watched.RemoveObserver(tag)
        self._lines, self._tags = [], []

    def _observe(self, watched: VtkObject, event: int, reaction: Callable[..., None]) -> None:
        self._tags.append((watched, watched.AddObserver(event, reaction)))

    def _on_moved(self, caller: VtkObject, event: str) -> None:
        if not self._telling:  # what it does itself is no news
            self._telling = True
            try:
                self.on_change()
            finally:
                self._telling = False

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, caller: VtkObject, event: str, removed: VtkObject) -> None:
        if removed in self._lines:
            self._lines.remove(removed)
            self._on_moved(caller, event)
