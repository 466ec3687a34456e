"""Volume nodes that this module makes."""

import numpy as np
import slicer.util

from scripted_models.geometry import Grid

from .resampling import ras_matrix
from .segmentation_node import place_beside
from .slicer_types import Scene, VolumeNode


def add_volume_node(
    scene: Scene, name: str, values: np.ndarray, grid: Grid, reference_node: VolumeNode = None
) -> VolumeNode:
    """Add a volume node on a grid in the world, in the study of another one."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, values)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(ras_matrix(grid)))
    node.CreateDefaultDisplayNodes()
    place_beside(scene, node, reference_node)
    return node
