"""The result before the last one: kept in a hidden node, exchanged on request."""

import slicer

from scripted_models.errors import InputError

from .lesion_lines import bring_lines_back, put_lines_away
from .lesion_record import write_lesions
from .review import INPUT_ROLES
from .slicer_types import SegmentationNode
from .translation import _
from .uncertainty_volume import UNCERTAINTY_ROLE, name_uncertainties

PREVIOUS_ROLE = "BrainTumorSeg.previous"
ATTRIBUTE_PREFIX = "BrainTumorSeg."


def keep_previous(node: SegmentationNode) -> SegmentationNode:
    """Copy what a segmentation node holds into the hidden node behind it, before it is filled anew.

    Only one former result is kept. The hidden node is saved with the scene.

    Args:
        node: vtkMRMLSegmentationNode in a scene.

    Returns:
        The hidden vtkMRMLSegmentationNode, or None when there is nothing to keep.
    """
    if not node.GetSegmentation().GetNumberOfSegments():
        return None
    kept = node.GetNodeReference(PREVIOUS_ROLE)
    if kept is None:
        kept = slicer.vtkMRMLSegmentationNode()
        kept.SetName(_("{name} (previous)").format(name=node.GetName()))
        kept.SetHideFromEditors(True)
        kept = node.GetScene().AddNode(kept)
        node.SetNodeReferenceID(PREVIOUS_ROLE, kept.GetID())
    put_lines_away(node)
    _copy(node, kept)
    write_lesions(node, None)  # those of the new result are not measured yet
    return kept


def previous_of(node: SegmentationNode) -> SegmentationNode:
    """Return the hidden node with the former result of a segmentation node (or None), or None."""
    return node.GetNodeReference(PREVIOUS_ROLE) if node is not None else None


def has_previous(node: SegmentationNode) -> bool:
    """Tell whether a segmentation node (or None) has a former result."""
    return previous_of(node) is not None


def restore_previous(node: SegmentationNode) -> None:
    """Exchange the present and the former result; a second call takes it back.

    Raises:
        InputError: there is no former result.
    """
    if not has_previous(node):
        raise InputError(
            found=_("no previous result"),
            expected=_("a segmentation that was filled twice"),
            action=_("choose another segmentation"),
        )
    kept = node.GetNodeReference(PREVIOUS_ROLE)
    spare = slicer.vtkMRMLSegmentationNode()
    put_lines_away(node)
    _copy(node, spare)
    _copy(kept, node)
    _copy(spare, kept)
    bring_lines_back(node)
    name_uncertainties(node)


def _copy(source: SegmentationNode, target: SegmentationNode) -> None:
    """Copy segments, place, reference volume and provenance; names and display stay.

    A visible node is told of every segment that comes and goes. A hidden one is not in the subject
    hierarchy, which would complain about each, so it gets another vtkSegmentation.
    """
    if target.GetHideFromEditors() or target.GetScene() is None:
        segmentation = slicer.vtkSegmentation()
        segmentation.DeepCopy(source.GetSegmentation())
        target.SetAndObserveSegmentation(segmentation)
    else:
        target.GetSegmentation().DeepCopy(source.GetSegmentation())
    target.SetAndObserveTransformNodeID(source.GetTransformNodeID())
    role = source.GetReferenceImageGeometryReferenceRole()
    target.SetNodeReferenceID(role, source.GetNodeReferenceID(role))
    for role in (*INPUT_ROLES.values(), UNCERTAINTY_ROLE):
        target.SetNodeReferenceID(role, source.GetNodeReferenceID(role))
    for name in {*source.GetAttributeNames(), *target.GetAttributeNames()}:
        if name.startswith(ATTRIBUTE_PREFIX):
            target.SetAttribute(name, source.GetAttribute(name))
