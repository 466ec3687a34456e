"""Lesions are measured on a segmentation as it is now; lines that the user moved are kept."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from scripted_models.geometry import Grid
from scripted_models.measurement.diameters import Point
from scripted_models.measurement.lesions import (
    SMALLEST_ML,
    Lesion,
    Lesions,
    find_lesions,
    side_of,
)

from .case_data import head_middle_lps_mm
from .lesion_lines import (
    Key,
    attach_lines,
    ends_of,
    is_deleted,
    lines_of,
    moved_lines,
    name_line,
    place_line,
    release_line,
    remove_line,
    remove_lines,
)
from .lesion_record import (
    KINDS,
    LONGEST,
    PERPENDICULAR,
    Diameter,
    Ends,
    LesionRecord,
    Measured,
    read_lesions,
    voxels_of,
    voxels_to_world,
    write_lesions,
)
from .resampling import LPS_RAS
from .segment_masks import segment_masks, voxel_counts
from .slicer_types import LineNode, SegmentationNode
from .translation import _
from .words import listed

SAMPLES = 21  # points along a line that tell in which lesion it lies


def measure_lesions(node: SegmentationNode, across: bool = False, anew: bool = False) -> list[str]:
    """Find the lesions of a segmentation as it is now, and keep them with it.

    Lines that nobody moved follow to where the diameters are now. A pair of which the user moved a
    line stays, and a line that was deleted stays away, for the lesion at its place.

    Args:
        node: vtkMRMLSegmentationNode with segments of this module.
        across: diameters may cross necrosis.
        anew: forget what the user did to lines.

    Returns:
        Sentences about lines that were moved or deleted by hand.

    Raises:
        InputError: as `segment_masks`; the scene is as it was.
    """
    masks, grid = segment_masks(node)
    labels = np.zeros(grid.shape_zyx, np.uint8)
    for label, mask in sorted(masks.items()):
        labels[mask] = label
    found = find_lesions(labels, grid, necrosis="included" if across else "excluded")
    sides = _sides(found, grid, head_middle_lps_mm(node))
    if anew:
        remove_lines(node)
        write_lesions(node, None)
    attach_lines(node)
    fresh = {n: _record(node, found.items[n - 1], side) for n, side in sides.items()}
    lines = lines_of(node)
    told = _keep_by_hand(node, fresh, lines, found, grid)
    for (number, kind), line in lines.items():
        lesion = fresh.get(number)
        if lesion is None or not lesion.is_measurable or lesion.diameters[kind].drawn:
            remove_line(line)
        else:
            place_line(node, line, lesion.diameters[kind].ends)
            fresh[number] = lesion.with_diameter(kind, drawn=True)
    left_out = found.left_out, found.left_out_ml
    write_lesions(node, Measured(fresh, across, *left_out, voxel_counts(node)))
    return told


def is_outdated(node: SegmentationNode) -> bool:
    """Tell whether segments of a segmentation (or None) were edited since it was measured."""
    measured = read_lesions(node)
    return measured is not None and measured.voxels != voxel_counts(node)


def left_out_in_words(node: SegmentationNode) -> str:
    """Return a sentence about parts that are too small to count; empty where there are none."""
    measured = read_lesions(node)
    if measured is None or not measured.left_out:
        return ""
    text = _("Parts below {size} mL that are not counted: {count}.")
    return text.format(size=SMALLEST_ML, count=measured.left_out)


def _sides(found: Lesions, grid: Grid, middle: float | None) -> dict[int, str | None]:
    """Return the side of each lesion; the grid of its voxels need not cover the head."""
    if middle is None:
        return {lesion.number: lesion.side for lesion in found.items}
    places = np.argwhere(found.numbers)
    owner = found.numbers[tuple(places.T)]
    toward_x = np.array(grid.direction[:3]) * grid.spacing_xyz_mm
    x = places[:, ::-1] @ toward_x + grid.origin_lps_mm[0]
    return {lesion.number: side_of(x[owner == lesion.number], middle) for lesion in found.items}


def _record(node: SegmentationNode, lesion: Lesion, side: str | None) -> LesionRecord:
    found = lesion.diameters
    return LesionRecord(
        number=lesion.number,
        region=lesion.region,
        volume_ml=lesion.volume_ml,
        slices=lesion.slices,
        side=side,
        least_mm=lesion.least_mm,
        is_rim=lesion.necrosis == "excluded" and not lesion.has_nodule,
        diameters={
            LONGEST: Diameter(_voxels(node, found.longest_ends_lps_mm), found.longest_mm),
            PERPENDICULAR: Diameter(
                _voxels(node, found.perpendicular_ends_lps_mm), found.perpendicular_mm
            ),
        },
    )


def _voxels(node: SegmentationNode, points_lps: tuple[Point, Point]) -> Ends:
    ras = np.array(points_lps) @ LPS_RAS[:3, :3]
    return [list(map(float, point)) for point in voxels_of(node, ras)]


class ByHand(NamedTuple):
    """What the user did to the diameters of a lesion: a pair with a moved line, deleted kinds."""

    number: int
    pair: dict[str, LineNode]
    gone: list[str]
    ends: list[Ends]  # where they lie or lay, voxel coordinates


def _keep_by_hand(
    node: SegmentationNode,
    fresh: dict[int, LesionRecord],
    lines: dict[Key, LineNode],
    found: Lesions,
    grid: Grid,
) -> list[str]:
    """Take pairs with moved lines out of `lines` and give them to the lesions where they lie."""
    kept: list[str] = []
    missing: list[str] = []
    lost: list[str] = []
    taken: set[int] = set()
    for done in _done_by_hand(node, lines):
        number = _lesion_at(voxels_to_world(node, done.ends), found, grid)
        if number in taken or number not in fresh:
            lost += map(release_line, done.pair.values())
            continue
        taken.add(number)
        for kind in (*done.pair, *done.gone):
            fresh[number] = fresh[number].with_diameter(kind, drawn=True)
        for kind, line in done.pair.items() if number != done.number else ():
            name_line(line, number, kind)
        (kept if done.pair else missing).append(str(number))
    return _told(kept, missing, lost)


def _done_by_hand(node: SegmentationNode, lines: dict[Key, LineNode]) -> Iterator[ByHand]:
    """Yield what the user did, the largest lesion first; takes the pairs out of `lines`."""
    measured = read_lesions(node)
    before = measured.lesions if measured is not None else {}
    edited = moved_lines(node, lines)
    deleted = {
        number: [kind for kind in lesion.diameters if is_deleted(lesion, kind, lines)]
        for number, lesion in before.items()
    }
    for number in sorted(edited | set(before)):
        gone = deleted.get(number, [])
        kinds = [kind for kind in KINDS if number in edited and (number, kind) in lines]
        pair = {kind: lines.pop((number, kind)) for kind in kinds}
        if pair:
            yield ByHand(number, pair, gone, [ends_of(node, line) for line in pair.values()])
        elif gone:
            ends = [diameter.ends for diameter in before[number].diameters.values()]
            yield ByHand(number, pair, gone, ends)


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
