"""Lesions of a segmentation in the scene: table, lines, edits, runs, transforms, saved scenes.

The line markups are Slicer's own; how they look and are dragged is in the desktop only.
"""

import numpy as np
import pytest
from slicer_fixtures import (
    add_linear_transform,
    add_volume,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
    rigid_matrix,
    save_and_reload,
    thin_plate_transform,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib import (  # noqa: E402
    lesion_lines,
    lesion_measurement,
    lesion_record,
    lesion_table,
    resampling,
)
from BrainTumorSegLib.previous_result import restore_previous  # noqa: E402
from BrainTumorSegLib.result_import import import_segmentation  # noqa: E402

from scripted_models.errors import InputError  # noqa: E402
from scripted_models.measurement.lesions import find_lesions  # noqa: E402

pytestmark = pytest.mark.slicer
SHAPE = (12, 40, 48)
LINES = "vtkMRMLMarkupsLineNode"


@pytest.fixture
def reference(slicer_scene):
    """An oblique, anisotropic T1c volume of a head."""
    return add_volume(slicer_scene, "T1c", head(), oblique_matrix())


def head():
    values = np.zeros(SHAPE, np.float32)
    values[:, 2:-2, 2:-2] = 100
    return values


def blocks(*boxes):
    """Enhancing blocks as (z, y, x) slices in edema."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 2
    for box in boxes:
        labels[box] = 4
    return labels


LARGE = np.s_[2:8, 4:22, 4:24]
SMALL = np.s_[3:6, 26:38, 28:44]
THIN = np.s_[9, 26:38, 28:44]  # one slice
SPECK = np.s_[9, 2:5, 40:44]  # 0.03 mL


def segmented(mrml, reference, *boxes, target=None):
    grid = resampling.world_grid(reference)
    node = import_segmentation(mrml, blocks(*boxes), grid, "Tumor", reference, target=target)
    lesion_measurement.measure_lesions(node)
    lesion_lines.draw_lines(node)
    return node


def paint(node, reference, *boxes):
    """Edit the enhancing tumor as the Segment Editor does."""
    mask = (blocks(*boxes) == 4).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "enhancing", reference)


def reset(node):
    """Press Reset diameters."""
    lesion_measurement.measure_lesions(node, anew=True)
    lesion_lines.draw_lines(node)


def lines(node):
    return lesion_lines.lines_of(node)


def ends_lps(line):
    return slicer.util.arrayFromMarkupsControlPoints(line, world=True) * (-1, -1, 1)


def drag(line, share):
    """Move the second end of a line along it, to a share of its length."""
    first, last = (np.array(line.GetNthControlPointPositionWorld(end)) for end in range(2))
    line.SetNthControlPointPositionWorld(1, *(first + share * (last - first)))


def unit(ends):
    return (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])


def row(node, number=1):
    return lesion_table.lesion_rows(node)[number - 1]


def cells(node):
    table = lesion_table.lesion_table_of(node)
    columns = range(table.GetNumberOfColumns())
    return [
        {table.GetColumnName(c): table.GetCellText(at, c) for c in columns}
        for at in range(table.GetNumberOfRows())
    ]


def test_rows_and_lines_are_those_of_the_package(slicer_scene, reference):
    node = segmented(slicer_scene, reference, LARGE, SMALL, THIN, SPECK)
    grid = resampling.world_grid(reference)
    found = find_lesions(blocks(LARGE, SMALL, THIN, SPECK), grid, head() > 0).items
    rows = lesion_table.lesion_rows(node)
    assert [row.number for row in rows] == [1, 2, 3]
    for row, lesion in zip(rows, found, strict=True):
        assert row.volume_ml == pytest.approx(lesion.volume_ml)
        assert (row.slices, row.side) == (lesion.slices, lesion.side)
        assert row.longest_mm == pytest.approx(lesion.diameters.longest_mm)
        assert row.perpendicular_mm == pytest.approx(lesion.diameters.perpendicular_mm)
        assert row.is_measurable == lesion.is_measurable
    assert set(lines(node)) == {(n, kind) for n in (1, 2) for kind in lesion_record.KINDS}
    for (number, kind), line in lines(node).items():
        ends = getattr(found[number - 1].diameters, f"{kind}_ends_lps_mm")
        np.testing.assert_allclose(ends_lps(line), ends, atol=1e-6)
        assert not line.GetLocked()
    assert lines(node)[1, "longest"].GetName() == "Lesion 1 longest"
    assert [row.side for row in rows] == ["both", "right", "right"]
    told = lesion_measurement.left_out_in_words(node)
    assert told == "Parts below 0.05 mL that are not counted: 1."


def test_lines_have_the_color_and_the_place_of_the_segment(slicer_scene, reference):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "study")
    hierarchy.CreateItem(study, reference)
    node = segmented(slicer_scene, reference, LARGE)
    red, green, blue = node.GetSegmentation().GetSegment("enhancing").GetColor()
    for line in lines(node).values():
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(line)) == study
        mixed = [(1 + channel) / 2 for channel in (red, green, blue)]
        assert line.GetDisplayNode().GetSelectedColor() == pytest.approx(mixed)


def test_whole_tumor_counts_where_nothing_enhances(slicer_scene, reference):
    node = segmented(slicer_scene, reference)
    assert (row(node).region, len(lines(node))) == ("WT", 2)
    empty = np.zeros(SHAPE, np.uint8)
    other = import_segmentation(slicer_scene, empty, resampling.world_grid(reference), "none")
    assert lesion_measurement.measure_lesions(other) == []
    assert lesion_table.lesion_rows(other) == []


class TestEdits:
    def test_row_follows_a_line(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        lesion_table.update_lesion_table(node)
        before = row(node)
        assert before.is_measurable
        assert not before.is_edited
        drag(lines(node)[1, "perpendicular"], 9.9 / before.perpendicular_mm)
        after = row(node)
        assert after.perpendicular_mm == pytest.approx(9.9)
        assert after.product_mm2 == pytest.approx(9.9 * before.longest_mm)
        assert (after.is_edited, after.is_measurable) == (True, False)
        assert not row(node, 2).is_edited
        lesion_table.update_lesion_table(node)
        assert cells(node)[0]["Perpendicular (mm)"] == "9.9"
        assert (cells(node)[0]["Measurable"], cells(node)[0]["Lines"]) == ("no", "edited")

    def test_watch_tells_of_moves_and_deletions_until_it_stops(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE)
        told = []
        watch = lesion_lines.LineWatch(lambda: told.append(len(lines(node))))
        watch.follow(node)
        line = lines(node)[1, "longest"]
        drag(line, 0.5)
        slicer_scene.AddNewNodeByClass(LINES, "mine")
        assert told == [2]
        slicer_scene.RemoveNode(line)
        assert told == [2, 1]
        watch.stop()
        drag(lines(node)[1, "perpendicular"], 0.5)
        assert told == [2, 1]

    def test_deleted_line_stays_away_until_a_reset(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        before = lesion_table.lesion_rows(node)
        slicer_scene.RemoveNode(lines(node)[2, "longest"])
        for _turn in range(2):
            assert row(node, 2).longest_mm is None
            assert row(node, 2).product_mm2 is row(node, 2).is_measurable is None
            assert row(node, 2).is_deleted
            assert "not made again (lesion 2)" in lesion_measurement.measure_lesions(node)[0]
            lesion_lines.draw_lines(node)
        drag(lines(node)[1, "longest"], 0.5)
        reset(node)
        assert lesion_table.lesion_rows(node) == before

    def test_lines_of_the_user_are_never_touched(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE)
        own = slicer_scene.AddNewNodeByClass(LINES, "Lesion 1 longest")
        copy = slicer_scene.AddNewNodeByClass(LINES)
        copy.CopyContent(lines(node)[1, "longest"])
        before = lesion_table.lesion_rows(node)
        for line in (own, copy):
            slicer.util.updateMarkupsControlPointsFromArray(line, np.diag((1.0, 2, 3))[:2])
        lesion_measurement.measure_lesions(node)
        reset(node)
        segmented(slicer_scene, reference, SMALL, target=node)
        assert slicer_scene.IsNodePresent(own)
        assert slicer_scene.IsNodePresent(copy)
        assert own.GetLineLengthWorld() == copy.GetLineLengthWorld() == pytest.approx(5**0.5)
        assert before[0].longest_mm > row(node).longest_mm

    def test_pairs_that_are_none_any_more_are_told(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        line, other = (lines(node)[1, kind] for kind in lesion_record.KINDS)
        drag(line, 0.8)
        assert lesion_table.line_doubts(node) == []
        first, last = slicer.util.arrayFromMarkupsControlPoints(line, world=True)
        along = slicer.util.arrayFromMarkupsControlPoints(other, world=True)
        turned = last + np.tan(np.radians(20)) * np.linalg.norm(last - first) * unit(along)
        line.SetNthControlPointPositionWorld(1, *turned)
        assert lesion_table.line_doubts(node) == [
            "Lesion 1: found lines at 70 degrees, expected 90."
        ]
        line.SetNthControlPointPositionWorld(1, *(last + oblique_matrix()[:3, 2]))
        assert "leave their slice" in lesion_table.line_doubts(node)[0]

    def test_line_that_lost_an_end_counts_as_deleted(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE)
        lines(node)[1, "longest"].UnsetNthControlPointPosition(0)
        assert row(node).is_deleted
        assert lesion_table.line_doubts(node) == []
        reset(node)
        assert not row(node).is_deleted
        assert slicer_scene.GetNumberOfNodesByClass(LINES) == 2


class TestSegmentEdits:
    def test_lines_follow_the_segment_unless_they_were_edited(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        drag(lines(node)[2, "longest"], 0.8)
        edited, nodes = row(node, 2), lines(node)
        paint(node, reference, np.s_[2:8, 4:14, 4:24], SMALL)
        told = lesion_measurement.measure_lesions(node)
        assert told == ["Diameters that were edited by hand were kept (lesion 2)."]
        assert lines(node) == nodes
        assert row(node, 2).longest_mm == pytest.approx(edited.longest_mm)
        found = find_lesions(*labels_of(node))
        assert row(node).longest_mm == pytest.approx(found.items[0].diameters.longest_mm)
        assert not row(node).is_edited

    def test_edited_lines_go_with_their_lesion_when_numbers_change(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        line = lines(node)[2, "longest"]
        drag(line, 0.8)
        length = line.GetLineLengthWorld()
        paint(node, reference, np.s_[4:6, 4:8, 4:8], SMALL)  # the large one is the smaller now
        assert "(lesion 1)" in lesion_measurement.measure_lesions(node)[0]
        lesion_lines.draw_lines(node)
        assert lines(node)[1, "longest"] is line
        assert line.GetName() == "Lesion 1 longest"
        assert row(node).longest_mm == pytest.approx(length)
        assert set(lines(node)) == {(1, kind) for kind in lesion_record.KINDS}

    def test_edited_lines_without_a_lesion_are_left_to_the_user(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        line = lines(node)[2, "longest"]
        drag(line, 0.8)
        paint(node, reference, LARGE)
        told = lesion_measurement.measure_lesions(node)
        assert "Lesion 2 longest (kept)" in told[0]
        assert "Lesion 2 perpendicular (kept)" in told[0]
        assert slicer_scene.IsNodePresent(line)
        assert len(lines(node)) == 2
        assert len(lesion_table.lesion_rows(node)) == 1


class TestRuns:
    def test_a_new_run_brings_its_own_lines_and_the_former_ones_come_back(
        self, slicer_scene, reference
    ):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        drag(lines(node)[1, "longest"], 0.7)
        slicer_scene.RemoveNode(lines(node)[2, "longest"])
        before = lesion_table.lesion_rows(node)
        segmented(slicer_scene, reference, SMALL, target=node)
        after = lesion_table.lesion_rows(node)
        assert (len(after), after[0].is_edited) == (1, False)
        assert slicer_scene.GetNumberOfNodesByClass(LINES) == 2
        for expected in (before, after, before):
            restore_previous(node)
            lesion_measurement.measure_lesions(node)
            lesion_lines.draw_lines(node)
            assert lesion_table.lesion_rows(node) == approximately(expected)
        assert slicer_scene.GetNumberOfNodesByClass(LINES) == 3

    def test_everything_comes_back_from_a_saved_scene(self, slicer_scene, reference, tmp_path):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        lesion_table.update_lesion_table(node)
        drag(lines(node)[1, "longest"], 0.7)
        slicer_scene.RemoveNode(lines(node)[2, "longest"])
        lesion_table.update_lesion_table(node)
        before, table = lesion_table.lesion_rows(node), cells(node)
        save_and_reload(slicer_scene, tmp_path)
        node = slicer_scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        assert lesion_table.lesion_rows(node) == approximately(before)
        assert cells(node) == table
        lesion_measurement.measure_lesions(node)
        assert lesion_table.lesion_rows(node) == approximately(before)


class TestTransforms:
    def test_lines_lie_in_a_transformed_segmentation_and_go_with_it(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE)
        before, at = row(node), ends_lps(lines(node)[1, "longest"])
        transform = add_linear_transform(slicer_scene, rigid_matrix())
        node.SetAndObserveTransformNodeID(transform.GetID())
        lesion_measurement.measure_lesions(node)
        turned = at * (-1, -1, 1) @ rigid_matrix()[:3, :3].T + rigid_matrix()[:3, 3]
        found = ends_lps(lines(node)[1, "longest"]) * (-1, -1, 1)
        np.testing.assert_allclose(found, turned, atol=1e-6)
        assert [row(node)] == approximately([before])
        transform.SetMatrixTransformToParent(
            slicer.util.vtkMatrixFromArray(np.diag([2.0, 2, 2, 1]) @ rigid_matrix())
        )
        assert row(node).longest_mm == pytest.approx(2 * before.longest_mm)
        assert not row(node).is_edited

    def test_hardening_is_no_edit(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE)
        transform = add_linear_transform(slicer_scene, rigid_matrix())
        for moved in (node, *lines(node).values()):
            moved.SetAndObserveTransformNodeID(transform.GetID())
            moved.HardenTransform()
        before = row(node)
        assert not before.is_edited
        lesion_measurement.measure_lesions(node)
        assert [row(node)] == approximately([before])

    def test_a_bend_is_refused_and_leaves_everything(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE)
        bend = thin_plate_transform(slicer_scene)
        for moved in (node, *lines(node).values()):
            moved.SetAndObserveTransformNodeID(bend.GetID())
        with pytest.raises(InputError, match="bends or shears"):
            lesion_measurement.measure_lesions(node)
        assert len(lines(node)) == 2
        assert not row(node).is_edited


def test_lines_of_other_segmentations_are_hidden(slicer_scene, reference):
    one = segmented(slicer_scene, reference, LARGE)
    other = segmented(slicer_scene, reference, SMALL)
    for shown, hidden in ((one, other), (other, one)):
        lesion_lines.show_lines(shown, True)
        assert all(line.GetDisplayNode().GetVisibility() for line in lines(shown).values())
        assert not any(line.GetDisplayNode().GetVisibility() for line in lines(hidden).values())


def test_place_of_a_lesion_is_the_middle_of_its_line(slicer_scene, reference):
    node = segmented(slicer_scene, reference, LARGE, THIN)
    drag(lines(node)[1, "longest"], 0.5)
    middle = slicer.util.arrayFromMarkupsControlPoints(lines(node)[1, "longest"], True).mean(axis=0)
    assert lesion_table.place_of_lesion(node, 1) == pytest.approx(middle)
    found = find_lesions(*labels_of(node)).items[1]
    ends = np.mean(found.diameters.longest_ends_lps_mm, axis=0) * (-1, -1, 1)
    assert lesion_table.place_of_lesion(node, 2) == pytest.approx(ends)


def test_diameters_cross_necrosis_on_request(slicer_scene, reference):
    labels = blocks(LARGE)
    labels[2:8, 6:20, 6:22] = 1
    grid = resampling.world_grid(reference)
    node = import_segmentation(slicer_scene, labels, grid, "rim", reference)
    lengths = {}
    for across in (False, True):
        lesion_measurement.measure_lesions(node, across)
        assert lesion_record.read_lesions(node).across is across
        lengths[across] = row(node).perpendicular_mm
        necrosis = "included" if across else "excluded"
        expected = find_lesions(labels, grid, None, necrosis).items[0].diameters
        assert lengths[across] == pytest.approx(expected.perpendicular_mm)
    assert lengths[True] > lengths[False]


@pytest.mark.parametrize("background", [0, 20], ids=["stripped", "noise"])
def test_side_is_told_by_the_head(slicer_scene, background):
    """The head lies in one part of the field of view; its middle counts."""
    values = np.full(SHAPE, background, np.float32)
    values[:, 2:-2, 20:-2] = 100
    volume = add_volume(slicer_scene, "T1c", values, np.diag([1.0, 1, 2, 1]))
    node = segmented(slicer_scene, volume, np.s_[2:8, 4:22, 21:31], np.s_[2:8, 25:38, 36:45])
    assert [row(node, number).side for number in (1, 2)] == ["left", "right"]
    slicer_scene.RemoveNode(volume)
    lesion_measurement.measure_lesions(node)
    assert row(node).side == ""


def test_another_grid_of_the_segmentation_needs_another_measurement(slicer_scene, reference):
    node = segmented(slicer_scene, reference, LARGE, SMALL)
    drag(lines(node)[2, "longest"], 0.8)
    before = lesion_table.lesion_rows(node)
    fine = add_volume(slicer_scene, "fine", np.zeros((24, 80, 96)), oblique_matrix((0.4, 0.5, 1)))
    node.SetReferenceImageGeometryParameterFromVolumeNode(fine)
    assert lesion_table.lesion_rows(node) == []
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), reference.GetID())
    assert lesion_measurement.measure_lesions(node) == [
        "Diameters that were edited by hand were kept (lesion 2)."
    ]
    lesion_lines.draw_lines(node)
    assert row(node, 2).longest_mm == pytest.approx(before[1].longest_mm)
    assert [row(node, number).is_edited for number in (1, 2)] == [False, True]


def test_damaged_record_is_no_record(slicer_scene, reference):
    node = segmented(slicer_scene, reference, LARGE)
    for text in ("{", "[{}]", '[{"diameters": 3}]', "[1]", "3"):
        node.SetAttribute(lesion_record.LESIONS, text)
        assert lesion_record.read_lesions(node) is None
    lesion_measurement.measure_lesions(node)
    assert len(lesion_table.lesion_rows(node)) == 1


def labels_of(node):
    """Return the enhancing tumor as a label map, and its grid in the world."""
    masks, grid = lesion_measurement.segment_masks(node)
    return (masks[4] * 4).astype(np.uint8), grid


def approximately(rows):
    """Return rows that compare equal within what a file keeps."""
    return [
        lesion_table.LesionRow(
            *(pytest.approx(cell) if isinstance(cell, float) else cell for cell in found)
        )
        for found in rows
    ]
