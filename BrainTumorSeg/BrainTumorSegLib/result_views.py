"""What Slicer's views show: the result over its volume, one slice, an overlay, four sequences."""

from collections.abc import Mapping, Sequence

import slicer
import slicer.util

from scripted_models.labels import ENHANCING, LABELS
from scripted_models.sequences import TITLES

from .review import inputs_of
from .segmentation_node import has_voxels
from .slicer_types import Scene, SegmentationNode, VolumeNode

COMPARE_LAYOUT = 25_1101  # Slicer's own layouts have numbers below 1000
COMPARED = ("t1c", "flair", "t1", "t2")  # from the upper left to the lower right
_COLORS = {"t1c": "#F34A33", "flair": "#6EB04B", "t1": "#EDD54C", "t2": "#5E8DC9"}


def show_result(segmentation: SegmentationNode) -> None:
    """Show a segmentation where the tumor is, and center the 3D views on it.

    It lies over T1c where something enhances, else over FLAIR, as far as they were among its
    inputs.
    """
    inputs = inputs_of(segmentation)
    enhances = has_voxels(segmentation, LABELS[ENHANCING])
    order = ("t1c", "flair", "t1", "t2") if enhances else ("flair", "t1c", "t2", "t1")
    volume = next((inputs[m] for m in order if m in inputs), None)
    if volume is not None:
        slicer.util.setSliceViewerLayers(background=volume)
    segmentation.GetDisplayNode().SetVisibility(True)
    bounds: list[float] = [0.0] * 6
    segmentation.GetRASBounds(bounds)
    if bounds[0] <= bounds[1]:
        jump_to(
            segmentation.GetScene(),
            [sum(ends) / 2 for ends in zip(bounds[::2], bounds[1::2], strict=True)],
        )
    manager = slicer.app.layoutManager()
    for index in range(manager.threeDViewCount):
        manager.threeDWidget(index).threeDView().resetFocalPoint()


def jump_to(scene: Scene, ras: Sequence[float]) -> None:
    """Move all slice views to a RAS point, and keep it in their middle."""
    for node in scene.GetNodesByClass("vtkMRMLSliceNode"):
        node.JumpSliceByCentering(*ras)


def show_overlay(volume: VolumeNode) -> None:
    """Show a volume half-transparent over the others in all slice views; None: no more."""
    slicer.util.setSliceViewerLayers(foreground=volume, foregroundOpacity=0.5)


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
    if not layout.IsLayoutDescription(COMPARE_LAYOUT):
        layout.AddLayoutDescription(COMPARE_LAYOUT, compare_layout())
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
