"""What Slicer's views show of a follow-up: a visit, the curves, the visits in one space."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import slicer.util

from scripted_models.geometry import Grid
from scripted_models.labels import region_mask

from .follow_job import FollowResult
from .follow_record import DAY, size_titles, visits_of
from .result_views import show_result
from .scene_visits import REGISTERED, reference_volume
from .segmentation_node import BINARY, oriented_image
from .segments import segment_name
from .slicer_types import Scene, SegmentationNode, TableNode
from .translation import _

CHART_ROLE = "BrainTumorSeg.chart"
REGISTERED_ROLE = "BrainTumorSeg.registered"
_CURVE = "BrainTumorSeg.curve"  # attribute of the series that are made here
EARLY_RGB, LATE_RGB = np.array([0.27, 0.45, 0.77]), np.array([0.86, 0.24, 0.20])
_COLORS = (  # regions first, then lesions
    *((0.30, 0.69, 0.29), (0.90, 0.49, 0.13), (0.86, 0.24, 0.20)),
    *((0.22, 0.42, 0.69), (0.60, 0.31, 0.64), (0.35, 0.35, 0.35), (0.65, 0.34, 0.16)),
)


def show_visit(table: TableNode, number: int) -> None:
    """Show one visit in the slice views, and hide the segmentations of the others.

    Args:
        table: vtkMRMLTableNode of a follow-up.
        number: of the visit, from 0; nothing happens when it is not in the scene any more.
    """
    nodes = visits_of(table)
    shown = nodes[number]
    if shown is None:
        return
    for node in nodes:
        if node is not None and node.GetDisplayNode() is not None:
            node.GetDisplayNode().SetVisibility(node is shown)
    if shown.GetDisplayNode() is None:
        shown.CreateDefaultDisplayNodes()
    show_result(shown, reference_volume(shown))


def show_curves(table: TableNode) -> int:
    """Show volumes over time in a plot view.

    Returns:
        The number of the layout that was shown before.
    """
    before = slicer.app.layoutManager().layoutLogic().GetLayoutNode().GetViewArrangement()
    slicer.modules.plots.logic().ShowChartInLayout(table.GetNodeReference(CHART_ROLE))
    return int(before)


def update_chart(scene: Scene, table: TableNode, facts: Mapping[str, Any]) -> None:
    """Draw the volumes of regions and lesions of a follow-up as a chart node of the scene."""
    chart = table.GetNodeReference(CHART_ROLE)
    if chart is None:
        chart = scene.AddNewNodeByClass("vtkMRMLPlotChartNode", table.GetName())
        table.SetNodeReferenceID(CHART_ROLE, chart.GetID())
    former = [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    for node in former:
        if node is not None and node.GetAttribute(_CURVE):  # others are the user's
            chart.RemovePlotSeriesNodeID(node.GetID())
            scene.RemoveNode(node)
    chart.SetTitle(_("Volumes since the baseline"))
    chart.SetXAxisTitle(_("Days since the baseline"))
    chart.SetYAxisTitle(_("Volume (mL)"))
    for index, title in enumerate(size_titles(facts)):
        series = scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", title)
        series.SetAttribute(_CURVE, "1")
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetXColumnName(DAY)
        series.SetYColumnName(_("{size} (mL)").format(size=title))
        is_lesion = index >= len(facts["regions"])
        dash = slicer.vtkMRMLPlotSeriesNode.LineStyleDash
        series.SetLineStyle(dash if is_lesion else slicer.vtkMRMLPlotSeriesNode.LineStyleSolid)
        series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
        series.SetColor(*_COLORS[index % len(_COLORS)])
        chart.AddAndObservePlotSeriesNodeID(series.GetID())


def add_registered(scene: Scene, table: TableNode, result: FollowResult) -> SegmentationNode:
    """Put the followed region of every visit into the space of one of them, as one segmentation.

    The former one of the same table is replaced. It is for looking at: what is measured is
    measured on each visit as it lies.

    Returns:
        vtkMRMLSegmentationNode with a segment for each visit, from blue (early) to red (late).
    """
    facts, region = result.facts, str(result.facts["lesion_region"])
    names = [exported.name for exported in result.visits]
    target = result.visits[names.index(facts["reference"])]
    node = table.GetNodeReference(REGISTERED_ROLE)
    if node is None:
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        table.SetNodeReferenceID(REGISTERED_ROLE, node.GetID())
        node.CreateDefaultDisplayNodes()
    node.SetName(_("{name}, registered").format(name=table.GetName()))
    node.SetAttribute(REGISTERED, "true")
    held = slicer.vtkSegmentation()
    held.SetSourceRepresentationName(BINARY)
    for number, (exported, facts_of_visit) in enumerate(
        zip(result.visits, facts["visits"], strict=True)
    ):
        mask = region_mask(exported.labels, region).astype(np.uint8)
        moved = _brought(mask, exported.grid, facts_of_visit["reference_to_visit_lps"], target.grid)
        segment = slicer.vtkSegment()
        title = _("{visit}: {region}")
        name = segment_name(f"region-{region}")
        segment.SetName(title.format(visit=exported.visit.date, region=name))
        segment.SetColor(*_color(number, len(names)))
        segment.AddRepresentation(BINARY, oriented_image(moved, target.grid))
        held.AddSegment(segment, f"visit{number + 1}")
    node.GetSegmentation().DeepCopy(held)
    volume = target.visit.volume
    if volume is not None and scene.IsNodePresent(volume):
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def remove_registered(scene: Scene, table: TableNode) -> None:
    """Remove what a former comparison of a table put into one space; it is out of date."""
    former = table.GetNodeReference(REGISTERED_ROLE)
    if former is not None:
        scene.RemoveNode(former)


def _brought(
    mask: np.ndarray, grid: Grid, reference_to_visit: Sequence[Sequence[float]], target: Grid
) -> np.ndarray:
    """Return a mask of a visit on the grid of the reference, by the nearest voxel."""
    matrix = np.asarray(reference_to_visit, float)
    transform = sitk.AffineTransform(matrix[:3, :3].ravel().tolist(), matrix[:3, 3].tolist())
    blank = sitk.Image(target.size_xyz, sitk.sitkUInt8)
    target.put_on(blank)
    nearest = sitk.sitkNearestNeighbor
    found = sitk.Resample(grid.image_from(mask), blank, transform, nearest, 0)
    return sitk.GetArrayFromImage(found)


def _color(number: int, count: int) -> list[float]:
    share = number / max(count - 1, 1)
    return [float(channel) for channel in EARLY_RGB + share * (LATE_RGB - EARLY_RGB)]
