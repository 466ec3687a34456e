"""Diameters of lesions as lines of the scene: edits, runs, transforms, saved scenes.

The line markups are Slicer's own; how they look and are dragged is in the desktop only.
"""

import numpy as np
import pytest
from lesion_fixtures import (
    LARGE,
    LINES,
    SMALL,
    THIN,
    approximately,
    cells,
    drag,
    ends_lps,
    labels_of,
    lines,
    make_reference,  # noqa: F401 - the fixture reference
    reset,
    row,
    rows_of,
    segmented,
    unit,
)
from slicer_fixtures import (
    add_linear_transform,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
    rigid_matrix,
    save_and_reload,
    thin_plate_transform,
)

slicer = pytest.importorskip("slicer")

from BrainTumorSegLib import lesion_lines, lesion_measurement, lesion_record, lesion_rows  # noqa: E402
from BrainTumorSegLib.previous_result import restore_previous  # noqa: E402

from scripted_models.errors import InputError  # noqa: E402
from scripted_models.measurement.lesions import find_lesions  # noqa: E402

pytestmark = pytest.mark.slicer


class TestEdits:
    def test_row_follows_a_line(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        lesion_rows.update_lesion_table(node)
        before = row(node)
        assert before.is_measurable
        assert not before.is_edited
        drag(lines(node)[1, "perpendicular"], 9.9 / before.perpendicular_mm)
        after = row(node)
        assert after.perpendicular_mm == pytest.approx(9.9)
        assert after.product_mm2 == pytest.approx(9.9 * before.longest_mm)
        assert (after.is_edited, after.is_measurable) == (True, False)
        assert not row(node, 2).is_edited
        lesion_rows.update_lesion_table(node)
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
        before = rows_of(node)
        slicer_scene.RemoveNode(lines(node)[2, "longest"])
        for _turn in range(2):
            assert row(node, 2).longest_mm is None
            assert row(node, 2).product_mm2 is row(node, 2).is_measurable is None
            assert row(node, 2).is_deleted
            assert "not made again (lesion 2)" in lesion_measurement.measure_lesions(node)[0]
            lesion_lines.draw_lines(node)
        drag(lines(node)[1, "longest"], 0.5)
        reset(node)
        assert rows_of(node) == before

    def test_lines_of_the_user_are_never_touched(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE)
        own = slicer_scene.AddNewNodeByClass(LINES, "Lesion 1 longest")
        copy = slicer_scene.AddNewNodeByClass(LINES)
        copy.CopyContent(lines(node)[1, "longest"])
        before = rows_of(node)
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
        assert lesion_rows.line_doubts(node) == []
        first, last = slicer.util.arrayFromMarkupsControlPoints(line, world=True)
        along = slicer.util.arrayFromMarkupsControlPoints(other, world=True)
        turned = last + np.tan(np.radians(20)) * np.linalg.norm(last - first) * unit(along)
        line.SetNthControlPointPositionWorld(1, *turned)
        assert lesion_rows.line_doubts(node) == [
            "Lesion 1: found lines at 70 degrees, expected 90."
        ]
        line.SetNthControlPointPositionWorld(1, *(last + oblique_matrix()[:3, 2]))
        assert "leave their slice" in lesion_rows.line_doubts(node)[0]

    def test_line_that_lost_an_end_counts_as_deleted(self, slicer_scene, reference):
        node = segmented(slicer_scene, reference, LARGE)
        lines(node)[1, "longest"].UnsetNthControlPointPosition(0)
        assert row(node).is_deleted
        assert lesion_rows.line_doubts(node) == []
        reset(node)
        assert not row(node).is_deleted
        assert slicer_scene.GetNumberOfNodesByClass(LINES) == 2


class TestRuns:
    def test_a_new_run_brings_its_own_lines_and_the_former_ones_come_back(
        self, slicer_scene, reference
    ):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        drag(lines(node)[1, "longest"], 0.7)
        slicer_scene.RemoveNode(lines(node)[2, "longest"])
        before = rows_of(node)
        segmented(slicer_scene, reference, SMALL, target=node)
        after = rows_of(node)
        assert (len(after), after[0].is_edited) == (1, False)
        assert slicer_scene.GetNumberOfNodesByClass(LINES) == 2
        for expected in (before, after, before):
            restore_previous(node)
            lesion_measurement.measure_lesions(node)
            lesion_lines.draw_lines(node)
            assert rows_of(node) == approximately(expected)
        assert slicer_scene.GetNumberOfNodesByClass(LINES) == 3

    def test_everything_comes_back_from_a_saved_scene(self, slicer_scene, reference, tmp_path):
        node = segmented(slicer_scene, reference, LARGE, SMALL)
        lesion_rows.update_lesion_table(node)
        drag(lines(node)[1, "longest"], 0.7)
        slicer_scene.RemoveNode(lines(node)[2, "longest"])
        lesion_rows.update_lesion_table(node)
        before, table = rows_of(node), cells(node)
        save_and_reload(slicer_scene, tmp_path)
        node = slicer_scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
        assert rows_of(node) == approximately(before)
        assert cells(node) == table
        lesion_measurement.measure_lesions(node)
        assert rows_of(node) == approximately(before)


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
    assert lesion_rows.place_of_lesion(node, 1) == pytest.approx(middle)
    found = find_lesions(*labels_of(node)).items[1]
    ends = np.mean(found.diameters.longest_ends_lps_mm, axis=0) * (-1, -1, 1)
    assert lesion_rows.place_of_lesion(node, 2) == pytest.approx(ends)
