"""The uncertainty of a segmentation as a volume that belongs to it."""

import numpy as np

from scripted_models.geometry import Grid

from .slicer_types import SegmentationNode, VolumeNode
from .translation import _
from .volume_nodes import add_volume_node

UNCERTAINTY_ROLE = "BrainTumorSeg.uncertainty"
LEAST_SHOWN = 0.1  # of the largest possible entropy


def uncertainty_of(node: SegmentationNode) -> VolumeNode:
    """Return the volume of a segmentation's uncertainty, or None."""
    return node.GetNodeReference(UNCERTAINTY_ROLE)


def replace_uncertainty(
    node: SegmentationNode, values: np.ndarray | None, grid: Grid, reference_node: VolumeNode
) -> None:
    """Give a segmentation the uncertainty of its new result, or none, and remove the former one.

    Args:
        node: vtkMRMLSegmentationNode in a scene.
        values: float32 (z, y, x), 0-1.
        grid: of the values in the world.
        reference_node: volume node whose study the volume joins.
    """
    former = uncertainty_of(node)
    if former is not None:
        node.GetScene().RemoveNode(former)
    if values is None:
        node.SetNodeReferenceID(UNCERTAINTY_ROLE, None)
        return
    name = _("{name}: uncertainty").format(name=node.GetName())
    volume = add_volume_node(node.GetScene(), name, values, grid, reference_node)
    volume.SetAttribute(UNCERTAINTY_ROLE, "entropy")
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeIron")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0, 1)
    display.SetThreshold(LEAST_SHOWN, 1)
    display.SetApplyThreshold(True)
    node.SetNodeReferenceID(UNCERTAINTY_ROLE, volume.GetID())
