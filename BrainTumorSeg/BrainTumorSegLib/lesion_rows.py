"""The lesions of a segmentation as a table: as they were measured, with lines as they lie now."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import slicer.util
import vtk

from .lesion_lines import Key, ends_of, length_mm, lines_of, moved_lines
from .lesion_record import (
    KINDS,
    LONGEST,
    PERPENDICULAR,
    LesionRecord,
    read_lesions,
    voxels_to_world,
)
from .result_table import SEGMENTATION_ROLE, fill_table
from .segmentation_node import place_beside
from .slicer_types import LineNode, SegmentationNode, TableNode
from .translation import _

TABLE_ATTRIBUTE = "BrainTumorSeg.Lesions"  # of the table node
COLUMNS = (
    _("Lesion"),
    _("Region"),
    _("Volume (mL)"),
    _("Longest (mm)"),
    _("Perpendicular (mm)"),
    _("Product (mm2)"),
    _("Slices"),
    _("Measurable"),
    _("Side"),
    _("Lines"),
)
ODD_ANGLE = 10  # degrees from 90 that are told
_NUMBER, _TEXT = vtk.vtkIntArray, vtk.vtkStringArray
COLUMN_TYPES = (
    *(_NUMBER, _TEXT, vtk.vtkDoubleArray),
    *(_TEXT, _TEXT, _TEXT),
    *(_NUMBER, _TEXT, _TEXT, _TEXT),
)


class LesionRow(NamedTuple):
    """One lesion as the table shows it.

    Attributes:
        number: of the lesion.
        region: 'ET' or 'WT'.
        volume_ml: its volume.
        longest_mm: length of the line, or as measured where none was made; None if it was deleted.
        perpendicular_mm: likewise.
        slices: axial slices that it touches.
        shortcoming: why it is not measurable by these diameters; None where one is missing.
        side: 'left', 'right', 'both' or empty.
        is_edited: a line was moved by hand.
        is_deleted: a line was deleted.
    """

    number: int
    region: str
    volume_ml: float
    longest_mm: float | None
    perpendicular_mm: float | None
    slices: int
    shortcoming: str | None
    side: str
    is_edited: bool
    is_deleted: bool

    @property
    def is_measurable(self) -> bool | None:
        """Whether it is by these diameters; None where one is missing."""
        return None if self.shortcoming is None else not self.shortcoming

    @property
    def product_mm2(self) -> float | None:
        """The bidimensional product."""
        if self.longest_mm is None or self.perpendicular_mm is None:
            return None
        return self.longest_mm * self.perpendicular_mm


def update_lesion_table(node: SegmentationNode, new: bool = True) -> TableNode:
    """Write the lesions of a segmentation into a table node beside it.

    Args:
        node: vtkMRMLSegmentationNode whose lesions were measured.
        new: make a table node where there is none; False: leave it at that.

    Returns:
        vtkMRMLTableNode, or None.
    """
    table, scene = lesion_table_of(node), node.GetScene()
    if table is None and new:
        table = scene.AddNewNodeByClass("vtkMRMLTableNode")
        table.SetName(_("{name} lesions").format(name=node.GetName()))
        table.SetAttribute(TABLE_ATTRIBUTE, "1")
        table.SetNodeReferenceID(SEGMENTATION_ROLE, node.GetID())
        place_beside(scene, table, node)
    if table is not None:
        fill_table(table, COLUMNS, COLUMN_TYPES, map(_cells, lesion_rows(node)))
    return table


def lesion_table_of(node: SegmentationNode) -> TableNode:
    """Return the table node of the lesions of a segmentation (or None), or None."""
    tables = slicer.util.getNodesByClass("vtkMRMLTableNode", node.GetScene()) if node else ()
    owned = (table for table in tables if table.GetNodeReference(SEGMENTATION_ROLE) is node)
    return next((table for table in owned if table.GetAttribute(TABLE_ATTRIBUTE)), None)


def in_mm(length: float | None, decimals: int = 1) -> str:
    """Return a length or product as text; empty where a line is missing."""
    return "" if length is None else f"{length:.{decimals}f}"


def measurable_in_words(row: LesionRow) -> str:
    """Return whether a lesion is measurable, in the user's language; empty where unknown."""
    return {None: "", True: _("yes"), False: _("no")}[row.is_measurable]


def side_in_words(row: LesionRow) -> str:
    """Return the side of a lesion in the user's language."""
    sides = {"left": _("left"), "right": _("right"), "both": _("both")}
    return sides.get(row.side, row.side)


def lines_in_words(row: LesionRow) -> str:
    """Return what the user did to the lines of a lesion; empty where nothing."""
    done = [_("edited")] * row.is_edited + [_("deleted")] * row.is_deleted
    return ", ".join(done)


def _cells(row: LesionRow) -> tuple[int | float | str, ...]:
    return (
        row.number,
        row.region,
        round(row.volume_ml, 3),
        in_mm(row.longest_mm),
        in_mm(row.perpendicular_mm),
        in_mm(row.product_mm2),
        row.slices,
        measurable_in_words(row),
        side_in_words(row),
        lines_in_words(row),
    )


def lesion_rows(node: SegmentationNode) -> list[LesionRow]:
    """Return the lesions of a segmentation (or None) that were measured, with lines as they lie."""
    measured = read_lesions(node)
    if measured is None:
        return []
    lines = lines_of(node)
    moved = moved_lines(node, lines)
    return [_row(lesion, lines, lesion.number in moved) for lesion in measured.lesions.values()]


def place_of_lesion(node: SegmentationNode, number: int) -> tuple[float, float, float]:
    """Return the RAS point in the middle of the longest diameter of a lesion, where it lies now."""
    measured, line = read_lesions(node), lines_of(node).get((number, LONGEST))
    if line is not None:
        ends = ends_of(node, line)
    else:
        ends = measured.lesions[number].diameters[LONGEST].ends if measured is not None else []
    x, y, z = voxels_to_world(node, ends).mean(axis=0)
    return float(x), float(y), float(z)


def line_doubts(node: SegmentationNode) -> list[str]:
    """Return a sentence about each pair of lines that was moved and is no proper pair now."""
    lines, doubts = lines_of(node), []
    axes = voxels_to_world(node, np.eye(3)) - voxels_to_world(node, np.zeros(3))
    across = int(np.argmax(np.abs(axes[:, 2]) / np.linalg.norm(axes, axis=1)))
    for number in sorted(moved_lines(node, lines)):
        pair = [ends_of(node, lines[number, kind]) for kind in KINDS if (number, kind) in lines]
        if np.ptp(np.array(pair)[:, :, across]) > 0.5:
            text = _("Lesion {number}: found lines that leave their slice, expected one slice.")
            doubts.append(text.format(number=number))
        angle = _angle(voxels_to_world(node, pair))
        if angle is not None and angle < 90 - ODD_ANGLE:
            text = _("Lesion {number}: found lines at {angle} degrees, expected 90.")
            doubts.append(text.format(number=number, angle=round(angle)))
    return doubts


def _angle(ends: np.ndarray) -> float | None:
    """Return the angle between two lines in degrees, 0-90; None where there are not two."""
    along = ends[1::2] - ends[::2]
    lengths = np.linalg.norm(along, axis=1)
    if len(along) < 2 or not lengths.all():
        return None
    cosine = abs(along[0] @ along[1]) / lengths.prod()
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def _row(lesion: LesionRecord, lines: Mapping[Key, LineNode], is_edited: bool) -> LesionRow:
    lengths: dict[str, float | None] = {}
    for kind, diameter in lesion.diameters.items():
        line = lines.get((lesion.number, kind))
        if line is not None:
            lengths[kind] = length_mm(line)
        else:
            lengths[kind] = None if diameter.drawn else diameter.length_mm
    known = [length for length in lengths.values() if length is not None]
    return LesionRow(
        lesion.number,
        lesion.region,
        lesion.volume_ml,
        lengths[LONGEST],
        lengths[PERPENDICULAR],
        lesion.slices,
        lesion.shortcoming(known, is_edited) if len(known) == len(lengths) else None,
        lesion.side or "",
        is_edited,
        len(known) < len(lengths),
    )
