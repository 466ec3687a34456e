"""The lesions of a segmentation as it is now: measured, with the lines that the user moved."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import slicer.util
import vtk

from scripted_models.geometry import Grid
from scripted_models.measurement.diameters import Point
from scripted_models.measurement.lesions import Lesion, Lesions, find_lesions

from .lesion_lines import (
    Key,
    attach_lines,
    ends_of,
    is_deleted,
    length_mm,
    lines_of,
    moved_lines,
    name_line,
    place_line,
    release_line,
    remove_line,
)
from .lesion_record import (
    KINDS,
    LONGEST,
    PERPENDICULAR,
    Diameter,
    LesionRecord,
    reach_measurable,
    read_lesions,
    voxels_of,
    voxels_to_world,
    write_lesions,
)
from .resampling import LPS_RAS
from .result_table import SEGMENTATION_ROLE, fill_table
from .segment_masks import segment_masks
from .segmentation_node import place_beside
from .slicer_types import LineNode, SegmentationNode, TableNode
from .translation import _
from .words import listed

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
_NUMBER, _TEXT = vtk.vtkIntArray, vtk.vtkStringArray
COLUMN_TYPES = (
    *(_NUMBER, _TEXT, vtk.vtkDoubleArray),
    *(_TEXT, _TEXT, _TEXT),
    *(_NUMBER, _TEXT, _TEXT, _TEXT),
)
SAMPLES = 21  # points along a line that tell in which lesion it lies


class LesionRow(NamedTuple):
    """One lesion as the table shows it.

    Attributes:
        number: of the lesion.
        region: 'ET' or 'WT'.
        volume_ml: its volume.
        longest_mm: length of the line, or as measured where none was made; None if it was deleted.
        perpendicular_mm: likewise.
        slices: axial slices that it touches.
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
    side: str
    is_edited: bool
    is_deleted: bool

    @property
    def product_mm2(self) -> float | None:
        """The bidimensional product."""
        if self.longest_mm is None or self.perpendicular_mm is None:
            return None
        return self.longest_mm * self.perpendicular_mm

    @property
    def is_measurable(self) -> bool | None:
        """Whether it is by these diameters; None where one is missing."""
        if self.longest_mm is None or self.perpendicular_mm is None:
            return None
        return reach_measurable((self.longest_mm, self.perpendicular_mm), self.slices)


def measure_lesions(node: SegmentationNode) -> list[str]:
    """Find the lesions of a segmentation as it is now, and fill the table of those.

    Lines that nobody moved follow to where the diameters are now. A pair of which the user moved a
    line stays, and a line that was deleted stays away, for the lesion at its place.

    Args:
        node: vtkMRMLSegmentationNode with segments of this module.

    Returns:
        Sentences about lines that were moved by hand.

    Raises:
        InputError: as `segment_masks`; the scene is as it was.
    """
    masks, grid = segment_masks(node)
    labels = np.zeros(grid.shape_zyx, np.uint8)
    for label, mask in sorted(masks.items()):
        labels[mask] = label
    found = find_lesions(labels, grid)
    fresh = {lesion.number: _record(node, lesion) for lesion in found.items}
    attach_lines(node)
    lines = lines_of(node)
    told = _keep_by_hand(node, fresh, lines, found, grid)
    for (number, kind), line in lines.items():
        lesion = fresh.get(number)
        if lesion is None or not lesion.is_measurable or lesion.diameters[kind].drawn:
            remove_line(line)
        else:
            place_line(node, line, lesion.diameters[kind].ends)
            fresh[number] = lesion.with_diameter(kind, drawn=True)
    write_lesions(node, fresh.values())
    return told


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
    lesions = read_lesions(node) or []
    lines = lines_of(node) if lesions else {}
    moved = moved_lines(node, lines)
    return [_row(lesion, lines, lesion.number in moved) for lesion in lesions]


def place_of_lesion(node: SegmentationNode, number: int) -> tuple[float, float, float]:
    """Return the RAS point to look at: the middle of the longest diameter, else of the lesion."""
    lesion = next(lesion for lesion in read_lesions(node) or [] if lesion.number == number)
    line = lines_of(node).get((number, LONGEST))
    ends = [lesion.center]
    if line is not None:
        ends = ends_of(node, line)
    elif lesion.diameters:
        ends = lesion.diameters[LONGEST].ends
    x, y, z = voxels_to_world(node, ends).mean(axis=0)
    return float(x), float(y), float(z)


def _row(lesion: LesionRecord, lines: Mapping[Key, LineNode], is_edited: bool) -> LesionRow:
    lengths: dict[str, float | None] = {LONGEST: None, PERPENDICULAR: None}
    gone = False
    for kind, diameter in lesion.diameters.items():
        line = lines.get((lesion.number, kind))
        if line is not None:
            lengths[kind] = length_mm(line)
        elif diameter.drawn:
            gone = True
        else:
            lengths[kind] = diameter.length_mm
    return LesionRow(
        lesion.number,
        lesion.region,
        lesion.volume_ml,
        lengths[LONGEST],
        lengths[PERPENDICULAR],
        lesion.slices,
        lesion.side,
        is_edited,
        gone,
    )


def _record(node: SegmentationNode, lesion: Lesion) -> LesionRecord:
    found, diameters = lesion.diameters, {}
    if found is not None:
        diameters = {
            LONGEST: Diameter(_voxels(node, found.longest_ends_lps_mm), found.longest_mm),
            PERPENDICULAR: Diameter(
                _voxels(node, found.perpendicular_ends_lps_mm), found.perpendicular_mm
            ),
        }
    return LesionRecord(
        number=lesion.number,
        region=lesion.region,
        volume_ml=lesion.volume_ml,
        slices=lesion.slices,
        center=_voxels(node, [lesion.centroid_lps_mm])[0],
        side=getattr(lesion, "side", ""),
        diameters=diameters,
    )


def _voxels(node: SegmentationNode, points_lps: Iterable[Point]) -> list[list[float]]:
    ras = np.array(list(points_lps)) @ LPS_RAS[:3, :3]
    return [list(map(float, point)) for point in voxels_of(node, ras)]


def _keep_by_hand(
    node: SegmentationNode,
    fresh: dict[int, LesionRecord],
    lines: dict[Key, LineNode],
    found: Lesions,
    grid: Grid,
) -> list[str]:
    """Take pairs with moved lines out of `lines` and give them to the lesions where they lie."""
    kept, missing, lost = [], [], []
    taken: set[int] = set()
    before = {lesion.number: lesion for lesion in read_lesions(node) or []}
    edited = moved_lines(node, lines)
    for old in sorted(edited | set(before)):
        diameters = before[old].diameters if old in before else {}
        gone = [kind for kind in diameters if is_deleted(before[old], kind, lines)]
        pair = {kind: lines.pop((old, kind)) for kind in KINDS if (old, kind) in lines} if old in edited else {}
        if not pair and not gone:
            continue
        ends = [ends_of(node, line) for line in pair.values()]
        ends = ends or [diameter.ends for diameter in diameters.values()]
        number = _lesion_at(voxels_to_world(node, ends), found, grid)
        if number in taken or number not in fresh or not fresh[number].diameters:
            lost += map(release_line, pair.values())
            continue
        taken.add(number)
        for kind in (*pair, *gone):
            fresh[number] = fresh[number].with_diameter(kind, drawn=True)
        for kind, line in pair.items():
            name_line(line, number, kind)
        (kept if pair else missing).append(str(number))
    return _told(kept, missing, lost)


def _lesion_at(ras: np.ndarray, found: Lesions, grid: Grid) -> int:
    """Return the number of the lesion in which lines lie with most of their length, or 0.

    Args:
        ras: ends of the lines in the world (2 n, 3).
        found: the lesions.
        grid: of their numbers.
    """
    first, last = np.moveaxis(ras.reshape(-1, 2, 3), 1, 0)
    share = np.linspace(0, 1, SAMPLES)[:, None, None]
    lps = (first + share * (last - first)).reshape(-1, 3) @ LPS_RAS[:3, :3]
    axes = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    places = np.rint((lps - grid.origin_lps_mm) @ np.linalg.inv(axes).T).astype(int)
    inside = ((places >= 0) & (places < grid.size_xyz)).all(axis=1)
    x, y, z = places[inside].T
    hits = np.bincount(found.numbers[z, y, x], minlength=1)
    hits[0] = 0
    return int(hits.argmax())


def _told(kept: list[str], missing: list[str], lost: list[str]) -> list[str]:
    told = []
    if kept:
        text = _("Diameters that were edited by hand were kept (lesion {numbers}).")
        told.append(text.format(numbers=listed(kept)))
    if missing:
        text = _("Deleted diameters were not made again (lesion {numbers}).")
        told.append(text.format(numbers=listed(missing)))
    if lost:
        text = _("Lines that were edited by hand lie in no lesion now and stay: {names}.")
        told.append(text.format(names=listed(lost)))
    return told
