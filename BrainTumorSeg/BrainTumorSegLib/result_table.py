"""Sizes of segments and regions as a table node, measured on the segmentation as it is now."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import slicer.util
import vtk

from scripted_models.geometry import Grid
from scripted_models.labels import known_regions
from scripted_models.measurement.diameters import Necrosis, axial_diameters
from scripted_models.runtime.atomic_files import write_file
from scripted_models.runtime.csv_text import csv_text

from .segment_masks import segment_masks
from .segmentation_node import place_beside
from .segments import REGION_SEGMENTS, SEGMENTS, TumorSegment
from .slicer_types import Scene, SegmentationNode, TableNode, VtkObject
from .translation import _

COLUMNS = (
    _("Structure"),
    _("Voxels"),
    _("Volume (mL)"),
    _("Length (mm)"),
    _("Width (mm)"),
)
COLUMN_TYPES = (vtk.vtkStringArray, vtk.vtkIntArray, vtk.vtkDoubleArray, *2 * (vtk.vtkStringArray,))
SEGMENTATION_ROLE = "BrainTumorSeg.segmentation"
MEASURED = ("enhancing", "region-ET")  # the rows with length and width


class Row(NamedTuple):
    """One row of the table; length and width are in mm as text, empty where none is measured."""

    name: str
    voxels: int
    volume_ml: float
    length_mm: str
    width_mm: str


def update_table(
    scene: Scene,
    segmentation_node: SegmentationNode,
    table_node: TableNode = None,
    across: bool = False,
) -> TableNode:
    """Fill a table with voxels and mL of the segments and of the regions that they make up.

    The enhancing tumor also has its longest diameter in an axial slice and the longest one
    perpendicular to it (see `scripted_models.measurement.diameters`). Edits of the user count;
    deleted segments are left out.

    Args:
        scene: vtkMRMLScene.
        segmentation_node: vtkMRMLSegmentationNode with segments of this module.
        table_node: vtkMRMLTableNode to fill; by default a new one is made. One that was of another
            segmentation gets the name and the place of this one.
        across: diameters may cross necrosis.

    Returns:
        vtkMRMLTableNode.

    Raises:
        InputError: as `measure_segments`; the scene is as it was.
    """
    rows = measure_segments(segmentation_node, across)
    if table_node is None:
        table_node = scene.AddNewNodeByClass("vtkMRMLTableNode")
    if table_node.GetNodeReferenceID(SEGMENTATION_ROLE) != segmentation_node.GetID():
        table_node.SetName(_("{name} sizes").format(name=segmentation_node.GetName()))
        table_node.SetNodeReferenceID(SEGMENTATION_ROLE, segmentation_node.GetID())
        place_beside(scene, table_node, segmentation_node)
    fill_table(table_node, COLUMNS, COLUMN_TYPES, rows)
    return table_node


def fill_table(
    table_node: TableNode,
    names: Sequence[str],
    kinds: Sequence[Callable[[], VtkObject]],
    rows: Iterable[Sequence[object]],
) -> None:
    """Fill a table node anew, and lock it.

    Args:
        table_node: vtkMRMLTableNode.
        names: of the columns.
        kinds: VTK's array class of each column.
        rows: a cell for each column.
    """
    table_node.SetLocked(True)
    table_node.SetUseColumnTitleAsColumnHeader(True)
    table_node.SetUseFirstColumnAsRowHeader(True)
    columns = [kind() for kind in kinds]
    for cells in rows:
        for column, cell in zip(columns, cells, strict=True):
            column.InsertNextValue(cell)
    with slicer.util.NodeModify(table_node):
        table_node.RemoveAllColumns()
        for column, name in zip(columns, names, strict=True):
            column.SetName(name)
            table_node.AddColumn(column)


def shown_rows(table_node: TableNode) -> list[tuple[str, ...]]:
    """Return structure, volume, length and width of each row as texts of fixed decimals."""
    rows = []
    for row in range(table_node.GetNumberOfRows()):
        name, _voxels, volume, *lengths = (table_node.GetCellText(row, c) for c in range(5))
        rows.append((name, f"{float(volume):.2f}", *lengths))
    return rows


def measure_segments(node: SegmentationNode, across: bool = False) -> list[Row]:
    """Measure the segments of this module in a segmentation node, then the regions.

    Args:
        node: vtkMRMLSegmentationNode.
        across: diameters may cross necrosis.

    Returns:
        A row for each; only the enhancing tumor has length and width.

    Raises:
        InputError: there is no segment of this module, there are surfaces only, or a transform
            bends the segmentation.
    """
    masks, grid = segment_masks(node)
    parts = [(s, masks[s.labels[0]]) for s in SEGMENTS if s.labels[0] in masks]
    told = [f"region-{name}" for name in known_regions((0, *masks))]
    for entry in REGION_SEGMENTS:
        if entry.segment_id in told:
            members = [masks[label] for label in entry.labels if label in masks]
            parts.append((entry, np.any(members, axis=0)))
    necrosis: Necrosis = "included" if across else "excluded"
    return [_row(entry, mask, grid, necrosis) for entry, mask in parts]


def _row(entry: TumorSegment, mask: np.ndarray, grid: Grid, necrosis: Necrosis) -> Row:
    voxels, cells = int(mask.sum()), ("", "")
    diameters = axial_diameters(mask, grid, necrosis) if entry.segment_id in MEASURED else None
    if diameters is not None:
        cells = (f"{diameters.longest_mm:.1f}", f"{diameters.perpendicular_mm:.1f}")
    return Row(entry.name, voxels, round(voxels * grid.voxel_volume_ml, 3), *cells)


def write_csv(table_node: TableNode, path: Path) -> None:
    """Write a table node as comma-separated values with a header, UTF-8.

    Raises:
        ResourceError: the file cannot be written; a former one is as it was.
    """
    columns = range(table_node.GetNumberOfColumns())
    head = [table_node.GetColumnName(column) for column in columns]
    lines = (
        [table_node.GetCellText(row, column) for column in columns]
        for row in range(table_node.GetNumberOfRows())
    )
    write_file(path, csv_text([head, *lines]))
