"""Which voxels the segments of a segmentation node fill, as arrays in the world."""

from collections.abc import Sequence

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.labels import CAVITY, LABELS

from .resampling import parent_matrix, ras_grid, ras_matrix
from .segmentation_node import BINARY, TERMINOLOGY_TAG
from .segments import REGION_SEGMENTS, SEGMENTS, TumorSegment
from .slicer_types import OrientedImage, Segment, SegmentationNode
from .translation import _

_OWN_IDS = {entry.segment_id for entry in SEGMENTS + REGION_SEGMENTS}
_KIND = slice(1, 4)  # category, type and modifier in a serialized terminology


def segment_masks(node: SegmentationNode) -> tuple[dict[int, np.ndarray], Grid]:
    """Return bool (z, y, x) by label on the common geometry of all segments, and its grid.

    Raises:
        InputError: there is no segment of this module, there are surfaces only, or a transform
            bends the segmentation.
    """
    present = _present_segments(node)
    common = _common_geometry(node, slicer.vtkSegmentation.EXTENT_UNION_OF_SEGMENTS)
    grid = _world_grid(node, common)
    masks = {}
    for label, segment_id in present.items():
        layer = _layer_of(node, segment_id)
        masks[label] = _on_geometry(layer, common).reshape(grid.shape_zyx)
    return masks, grid


def whole_grid(node: SegmentationNode) -> Grid:
    """Return the grid in the world that holds all segments and the reference geometry.

    Raises:
        InputError: as `segment_masks`.
    """
    _present_segments(node)
    extent = slicer.vtkSegmentation.EXTENT_UNION_OF_EFFECTIVE_SEGMENTS_AND_REFERENCE_GEOMETRY
    return _world_grid(node, _common_geometry(node, extent))


def tumor_grid(node: SegmentationNode) -> Grid:
    """Return the grid in the world that holds the voxels of all segments, a part of `whole_grid`.

    Raises:
        InputError: as `segment_masks`.
    """
    _present_segments(node)
    extent = slicer.vtkSegmentation.EXTENT_UNION_OF_EFFECTIVE_SEGMENTS
    return _world_grid(node, _common_geometry(node, extent))


def segments_by_label(node: SegmentationNode) -> dict[int, str]:
    """Return internal label -> identifier of the segment that means it.

    A segment is known by its identifier in this module, or else by its terminology or its name.
    """
    segmentation, found = node.GetSegmentation(), {}
    for entry in SEGMENTS:
        if segmentation.GetSegment(entry.segment_id) is not None:
            found[entry.labels[0]] = entry.segment_id
            continue
        others = (i for i in segmentation.GetSegmentIDs() if i not in _OWN_IDS)
        means = next((i for i in others if _means(segmentation.GetSegment(i), entry)), None)
        if means is not None:
            found[entry.labels[0]] = means
    return found


def labels_on(node: SegmentationNode, grid: Grid) -> np.ndarray:
    """Return the segments of this module as internal labels, uint8 (z, y, x), on a grid.

    Nothing is added to the scene. Of segments that overlap the last one counts.

    Args:
        node: vtkMRMLSegmentationNode.
        grid: in the world.

    Raises:
        InputError: as `segment_masks`.
    """
    place = _empty_on(grid)
    parent, labels = parent_matrix(node), np.zeros(grid.shape_zyx, np.uint8)
    if parent is None:
        raise _bent(node)
    for label, segment_id in _present_segments(node).items():
        layer, own = _layer_of(node, segment_id), vtk.vtkMatrix4x4()
        layer.GetImageToWorldMatrix(own)
        moved = parent @ slicer.util.arrayFromVTKMatrix(own)
        layer.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(moved))
        labels[_on_geometry(layer, place).reshape(grid.shape_zyx)] = label
    return labels


def holds(node: SegmentationNode, entry: TumorSegment, mask: np.ndarray, grid: Grid) -> bool:
    """Tell whether a segment of a node holds exactly these voxels; transforms of the node aside.

    Args:
        node: vtkMRMLSegmentationNode with this segment.
        entry: the segment.
        mask: bool (z, y, x); a box around its voxels suffices.
        grid: of the mask.
    """
    layer = _layer_of(node, entry.segment_id)
    scalars = layer.GetPointData().GetScalars()
    count = 0 if scalars is None else int(np.count_nonzero(vtk_to_numpy(scalars)))
    if count != np.count_nonzero(mask):
        return False
    return not count or bool((_on_geometry(layer, _empty_on(grid)) == mask.ravel()).all())


def has_voxels(node: SegmentationNode, label: int) -> bool:
    """Tell whether the segment of an internal label is there and holds voxels."""
    return voxel_counts(node, (label,)).get(label, 0) > 0


def voxel_counts(node: SegmentationNode, labels: Sequence[int] = tuple(LABELS)) -> dict[int, int]:
    """Return how many voxels the segments of internal labels hold, each on its own grid."""
    counts = {}
    for label, segment_id in segments_by_label(node).items():
        if label in labels:
            scalars = _layer_of(node, segment_id).GetPointData().GetScalars()
            held = 0 if scalars is None else np.count_nonzero(vtk_to_numpy(scalars))
            counts[label] = int(held)
    return counts


def tumor_center_lps(node: SegmentationNode) -> np.ndarray | None:
    """Return the mean place of the tumor's voxels in the world; None where there are none.

    A resection cavity is no tumor.
    """
    masks, grid = segment_masks(node)
    own = [mask for label, mask in masks.items() if label != CAVITY]
    tumor = np.any(own, axis=0) if own else np.zeros(grid.shape_zyx, bool)
    if not tumor.any():
        return None
    steps = np.argwhere(tumor).mean(axis=0)[::-1] * grid.spacing_xyz_mm
    return np.reshape(grid.direction, (3, 3)) @ steps + grid.origin_lps_mm


def _layer_of(node: SegmentationNode, segment_id: str) -> OrientedImage:
    layer = slicer.vtkOrientedImageData()
    node.GetBinaryLabelmapRepresentation(segment_id, layer)
    return layer


def _means(segment: Segment, entry: TumorSegment) -> bool:
    """Tell whether a segment of somebody else is the same as one of this module."""
    told = vtk.reference("")
    if segment.GetTag(TERMINOLOGY_TAG, told) and told.get():
        parts = str(told.get()).split("~")
        own = entry.terminology.split("~")
        if len(parts) > _KIND.stop - 1 and _codes(parts[_KIND]) == _codes(own[_KIND]):
            return True
    return (segment.GetName() or "").strip().lower() in (entry.name.lower(), entry.segment_id)


def _codes(parts: Sequence[str]) -> list[list[str]]:
    """Return scheme and value of serialized codes; meanings are worded in many ways."""
    return [part.split("^")[:2] for part in parts]


def _common_geometry(node: SegmentationNode, extent: int) -> OrientedImage:
    common = slicer.vtkOrientedImageData()
    geometry = node.GetSegmentation().DetermineCommonLabelmapGeometry(extent, None)
    if geometry:  # there is none when every segment is empty
        slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, common, False)
    return common


def _present_segments(node: SegmentationNode) -> dict[int, str]:
    """Return the segments of this module that can be measured; raise if there are none."""
    segmentation, present = node.GetSegmentation(), segments_by_label(node)
    if not present:
        names = ", ".join(entry.segment_id for entry in SEGMENTS)
        raise InputError(
            found=_("no segment with an identifier of this module"),
            expected=_("at least one of {names}").format(names=names),
            action=_("choose a segmentation that this module made"),
            path=_title(node),
        )
    if not segmentation.ContainsRepresentation(BINARY):
        raise InputError(
            found=_("surfaces only"),
            expected=_("binary label maps"),
            action=_("create that representation in the module Segmentations"),
            path=_title(node),
        )
    return present


def _world_grid(node: SegmentationNode, image: OrientedImage) -> Grid:
    """Return the grid of an oriented image under the node's parent transforms."""
    matrix, parent = vtk.vtkMatrix4x4(), parent_matrix(node)
    image.GetImageToWorldMatrix(matrix)
    first, last = np.reshape(image.GetExtent(), (3, 2)).T
    grid = None
    if parent is not None:
        to_ras = parent @ slicer.util.arrayFromVTKMatrix(matrix)
        to_ras[:3, 3] = (to_ras @ [*first, 1])[:3]
        grid = ras_grid(to_ras, tuple(last - first + 1))
    if grid is None:
        raise _bent(node)
    return grid


def _empty_on(grid: Grid) -> OrientedImage:
    """Return an oriented image of a grid, without voxels."""
    place = slicer.vtkOrientedImageData()
    place.SetExtent(*(bound for n in grid.size_xyz for bound in (0, n - 1)))
    place.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(ras_matrix(grid)))
    return place


def _bent(node: SegmentationNode) -> InputError:
    return InputError(
        found=_("a transform that bends or shears it"),
        expected=_("none or one that keeps right angles"),
        action=_("harden or remove the transform to measure it"),
        path=_title(node),
    )


def _title(node: SegmentationNode) -> str:
    return _("Segmentation '{name}'").format(name=node.GetName())


def _on_geometry(layer: OrientedImage, common: OrientedImage) -> np.ndarray:
    """Return which voxels of a geometry a segment fills; its own layer may cover another part."""
    moved = slicer.vtkOrientedImageData()
    slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(
        layer, common, moved, False, False
    )
    scalars = moved.GetPointData().GetScalars()
    return vtk_to_numpy(scalars) > 0
