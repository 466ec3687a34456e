"""What segments say of their origin when Slicer exports them as DICOM: automatic, or edited.

Slicer writes MANUAL where a segment has no such tags. A segment is AUTOMATIC as long as it holds
the very voxels that the model gave, else SEMIAUTOMATIC: an edit that is undone does not count.
"""

from dataclasses import replace

import numpy as np
import slicer
import slicer.util
import vtk

from scripted_models.geometry import Grid
from scripted_models.segmentation.dicom_export.algorithm import title_of

from .case_data import first_result_of
from .segment_masks import holds
from .segments import REGION_SEGMENTS, SEGMENTS
from .slicer_types import Scene, SegmentationNode, VtkObject

TYPE_TAG, NAME_TAG = "DICOM.SegmentAlgorithmType", "DICOM.SegmentAlgorithmName"
AUTOMATIC, SEMIAUTOMATIC = "AUTOMATIC", "SEMIAUTOMATIC"
_WATCHED = "brainTumorSegIsWatched"  # attribute of the Python object
_MODEL = "BrainTumorSeg.Model"


def state_origin(node: SegmentationNode) -> None:
    """Give the segments of a result their tags, by what they hold now.

    Segments of the user's own, and results of which the first state is not known, stay as they are.
    """
    first = first_result_of(node)
    if first is None:
        return
    labels, grid = _cut_to_tumor(*first)  # this runs after every stroke of a brush
    for entry in SEGMENTS + REGION_SEGMENTS:
        segment = node.GetSegmentation().GetSegment(entry.segment_id)
        if segment is not None:
            mask = np.any([labels == label for label in entry.labels], axis=0)
            same = holds(node, entry, mask, grid)
            _set_tag(segment, TYPE_TAG, AUTOMATIC if same else SEMIAUTOMATIC)
            _set_tag(segment, NAME_TAG, title_of(node.GetAttribute(_MODEL) or ""))


def follow_edits(node: SegmentationNode) -> None:
    """State the origin of the segments now and after every edit, whoever makes it."""
    state_origin(node)
    if not getattr(node, _WATCHED, False):
        node.AddObserver(slicer.vtkSegmentation.SourceRepresentationModified, _on_edit)
        setattr(node, _WATCHED, True)


def follow_scenes(scene: Scene) -> None:
    """Follow the edits of results that a scene file brings, too."""
    scene.AddObserver(slicer.vtkMRMLScene.EndImportEvent, _on_import)


def _cut_to_tumor(labels: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Cut a label map to the box of its labels; one voxel where there are none."""
    sums = (labels.any(axis=tuple({0, 1, 2} - {axis})) for axis in range(3))
    spans = [np.flatnonzero(found) if found.any() else np.array([0]) for found in sums]
    cut = labels[tuple(slice(span[0], span[-1] + 1) for span in spans)]
    first_xyz = np.array([span[0] for span in spans[::-1]])
    moved = np.reshape(grid.direction, (3, 3)) @ (first_xyz * grid.spacing_xyz_mm)
    x, y, z = (moved + grid.origin_lps_mm).tolist()
    size_z, size_y, size_x = cut.shape
    return cut, replace(grid, size_xyz=(size_x, size_y, size_z), origin_lps_mm=(x, y, z))


def _on_edit(node: SegmentationNode, event: VtkObject) -> None:
    state_origin(node)


def _on_import(scene: Scene, event: VtkObject) -> None:
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
        if first_result_of(node) is not None:
            follow_edits(node)


def _set_tag(segment: VtkObject, name: str, value: str) -> None:
    """Set a tag that differs; each change is told to all who watch the segment."""
    found = vtk.reference("")
    if not segment.GetTag(name, found) or str(found) != value:
        segment.SetTag(name, value)
