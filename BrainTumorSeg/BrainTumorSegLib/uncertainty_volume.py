"""The uncertainty of a segmentation as a volume that belongs to it.

A segmentation and the previous result behind it have one each. A new result takes the volume that
the older of them no longer needs, so that nodes do not come and go with every run.
"""

import numpy as np
import slicer
import slicer.util

from scripted_models.geometry import Grid

from .resampling import ras_matrix
from .slicer_types import SegmentationNode, VolumeNode
from .translation import _
from .volume_nodes import add_volume_node

UNCERTAINTY_ROLE = "BrainTumorSeg.uncertainty"
OWNER_ROLE = "BrainTumorSeg.segmentation"
LEAST_SHOWN = 0.1  # of the largest possible entropy


def uncertainty_of(node: SegmentationNode) -> VolumeNode:
    """Return the volume of a segmentation's uncertainty, or None."""
    return node.GetNodeReference(UNCERTAINTY_ROLE)


def is_uncertainty(node: VolumeNode) -> bool:
    """Tell whether a volume is of this kind."""
    return node.GetAttribute(UNCERTAINTY_ROLE) is not None


def replace_uncertainty(
    node: SegmentationNode,
    values: np.ndarray | None,
    grid: Grid,
    reference_node: VolumeNode,
    previous: SegmentationNode = None,
) -> None:
    """Give a segmentation the uncertainty of its new result, or none.

    Args:
        node: vtkMRMLSegmentationNode in a scene.
        values: float32 (z, y, x), 0-1.
        grid: of the values in the world.
        reference_node: volume node whose study the volume joins.
        previous: the hidden node with the result of before, which keeps its volume.
    """
    kept = uncertainty_of(previous) if previous is not None else None
    free = [volume for volume in _owned(node) if volume is not kept]
    node.SetNodeReferenceID(UNCERTAINTY_ROLE, None)
    if values is not None:
        volume = free.pop() if free else _add(node, values, grid, reference_node)
        slicer.util.updateVolumeFromArray(volume, values)
        volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ras_matrix(grid)))
        node.SetNodeReferenceID(UNCERTAINTY_ROLE, volume.GetID())
    for volume in free:
        node.GetScene().RemoveNode(volume.GetDisplayNode())
        node.GetScene().RemoveNode(volume)
    name_uncertainties(node)


def name_uncertainties(node: SegmentationNode) -> None:
    """Name the volumes by whether they are of the present result or of the previous one."""
    for volume in _owned(node):
        now = volume is uncertainty_of(node)
        title = _("{name}: uncertainty") if now else _("{name}: uncertainty (previous)")
        volume.SetName(title.format(name=node.GetName()))


def _owned(node: SegmentationNode) -> list[VolumeNode]:
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", node.GetScene())
    return [volume for volume in volumes if volume.GetNodeReference(OWNER_ROLE) is node]


def _add(
    node: SegmentationNode, values: np.ndarray, grid: Grid, reference_node: VolumeNode
) -> VolumeNode:
    volume = add_volume_node(node.GetScene(), node.GetName(), values, grid, reference_node)
    volume.SetAttribute(UNCERTAINTY_ROLE, "entropy")
    volume.SetNodeReferenceID(OWNER_ROLE, node.GetID())
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeIron")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 1)
    display.SetThreshold(LEAST_SHOWN, 1)
    display.SetApplyThreshold(True)
    return volume
