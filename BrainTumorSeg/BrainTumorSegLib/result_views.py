"""What Slicer's views show: the result over its volume, one slice, an overlay, four sequences."""

from collections.abc import Mapping, Sequence

import numpy as np
import slicer
import slicer.util

from scripted_models.labels import ENHANCING
from scripted_models.sequences import TITLES

from .resampling import LPS_RAS, world_grid
from .review import inputs_of
from .segment_masks import has_voxels, tumor_center_lps
from .slicer_types import CompositeNode, SegmentationNode, VolumeNode
from .uncertainty_volume import is_uncertainty

COMPARE_LAYOUT = 251101  # Slicer's own layouts have numbers below 1000
COMPARED = ("t1c", "flair", "t1", "t2")  # from the upper left to the lower right
OVERLAY_OPACITY = 0.5
NOT_OBLIQUE = 0.9999  # cosine of an angle below which slices count as those of the world
_COLORS = {"t1c": "#F34A33", "flair": "#6EB04B", "t1": "#EDD54C", "t2": "#5E8DC9"}


def register_layout() -> None:
    """Make the layout that compares sequences known; scenes may have been saved in it."""
    manager = slicer.app.layoutManager()
    if manager is None:  # Slicer without a main window
        return
    layout = manager.layoutLogic().GetLayoutNode()
    if not layout.IsLayoutDescription(COMPARE_LAYOUT):
        layout.AddLayoutDescription(COMPARE_LAYOUT, compare_layout())


def show_result(segmentation: SegmentationNode, otherwise: VolumeNode = None) -> None:
    """Show a segmentation where the tumor is, and center the 3D views on it.

    It lies over T1c where something enhances, else over FLAIR, as far as they were among its
    inputs, and over another volume where it has none. Views that compare sequences keep theirs.
    """
    inputs = inputs_of(segmentation)
    enhances = has_voxels(segmentation, ENHANCING)
    order = ("t1c", "flair", "t1", "t2") if enhances else ("flair", "t1c", "t2", "t1")
    volume = next((inputs[m] for m in order if m in inputs), otherwise)
    if volume is not None:
        for composite in _composites():
            composite.SetBackgroundVolumeID(volume.GetID())
    segmentation.GetDisplayNode().SetVisibility(True)
    jump_to_tumor(segmentation)
    manager = slicer.app.layoutManager()
    for index in range(manager.threeDViewCount):
        manager.threeDWidget(index).threeDView().resetFocalPoint()


def jump_to_tumor(segmentation: SegmentationNode) -> None:
    """Move all slice views to the middle of the tumor, if there is any."""
    center = tumor_center_lps(segmentation)
    if center is not None:
        jump_to((LPS_RAS[:3, :3] @ center).tolist())


def jump_to(ras: Sequence[float]) -> None:
    """Move all slice views to a RAS point, and keep it in their middle."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        node.JumpSliceByCentering(*ras)


def show_place(segmentation: SegmentationNode, ras: Sequence[float]) -> None:
    """Move all slice views to a RAS point; along the slices of the result where they are oblique.

    A line in a slice of the volume is seen whole in such a view only.
    """
    volume = segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole())
    grid = world_grid(volume) if volume is not None else None
    if grid is not None and np.abs(grid.direction).reshape(3, 3).max(axis=0).min() < NOT_OBLIQUE:
        for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            node.RotateToVolumePlane(volume)
    jump_to(ras)


class Overlay:
    """A volume half-transparent over the others; what lay there before comes back."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[str | None, float]] = {}

    def show(self, volume: VolumeNode) -> None:
        """Show it in all slice views but those that compare sequences."""
        self.hide()
        for composite in _composites():
            former = composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()
            self._before[composite.GetID()] = former
            composite.SetForegroundVolumeID(volume.GetID())
            composite.SetForegroundOpacity(OVERLAY_OPACITY)

    def hide(self) -> None:
        """Take it away where it is still shown."""
        for composite in _composites():
            shown = composite.GetForegroundVolumeID()
            node = slicer.mrmlScene.GetNodeByID(shown) if shown else None
            if composite.GetID() in self._before and (node is None or is_uncertainty(node)):
                volume_id, opacity = self._before[composite.GetID()]
                composite.SetForegroundVolumeID(volume_id)
                composite.SetForegroundOpacity(opacity)
        self._before = {}


def _composites() -> list[CompositeNode]:
    """Return what the slice views show, but those that compare sequences."""
    found = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    compared = {view_name(sequence) for sequence in COMPARED}
    return [node for node in found if node.GetLayoutName() not in compared]


def compare_layout() -> str:
    """Return the XML of the layout: four axial slice views, two by two."""
    rows = "".join(
        f'<item><layout type="horizontal">{"".join(map(_view, pair))}</layout></item>'
        for pair in (COMPARED[:2], COMPARED[2:])
    )
    return f'<layout type="vertical">{rows}</layout>'


def show_compared(volumes: Mapping[str, VolumeNode]) -> int:
    """Show sequences side by side in linked views.

    Args:
        volumes: sequence -> volume node, as many as there are.

    Returns:
        The number of the layout that was shown before.
    """
    manager = slicer.app.layoutManager()
    layout = manager.layoutLogic().GetLayoutNode()
    before = layout.GetViewArrangement()
    if before == COMPARE_LAYOUT:  # a scene was saved in it
        before = layout.SlicerLayoutFourUpView
    register_layout()
    manager.setLayout(COMPARE_LAYOUT)
    for sequence in COMPARED:
        logic = manager.sliceWidget(view_name(sequence)).sliceLogic()
        composite, volume = logic.GetSliceCompositeNode(), volumes.get(sequence)
        composite.SetBackgroundVolumeID(volume.GetID() if volume is not None else None)
        composite.SetForegroundVolumeID(None)
        logic.FitSliceToAll()
    for sequence in COMPARED:  # last: a linked view hands its volumes on
        logic = manager.sliceWidget(view_name(sequence)).sliceLogic()
        logic.GetSliceCompositeNode().SetLinkedControl(True)
    return int(before)


def show_layout(number: int) -> None:
    """Show a layout of Slicer by its number."""
    slicer.app.layoutManager().setLayout(number)


def view_name(sequence: str) -> str:
    """Return the name of the slice view of a sequence in the layout that compares them."""
    return f"BrainTumorSeg{TITLES[sequence]}"


def _view(sequence: str) -> str:
    return (
        f'<item><view class="vtkMRMLSliceNode" singletontag="{view_name(sequence)}">'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{TITLES[sequence]}</property>'
        f'<property name="viewcolor" action="default">{_COLORS[sequence]}</property>'
        "</view></item>"
    )
