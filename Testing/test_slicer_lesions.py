"""Lesions of a segmentation in the scene: measured, measured again after edits of segments."""

import numpy as np
import pytest
from lesion_fixtures import (
    LARGE,
    SHAPE,
    SMALL,
    SPECK,
    THIN,
    blocks,
    drag,
    ends_lps,
    head,
    labels_of,
    lines,
    make_reference,  # noqa: F401 - the fixture reference
    paint,
    row,
    rows_of,
    segmented,
)
from slicer_fixtures import (
    add_volume,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
)

slicer = pytest.importorskip("slicer")

from BrainTumorSegLib import lesion_lines, lesion_measurement, lesion_record, resampling  # noqa: E402
from BrainTumorSegLib.result_import import import_segmentation  # noqa: E402

from scripted_models.measurement.lesions import find_lesions  # noqa: E402

pytestmark = pytest.mark.slicer


def test_rows_and_lines_are_those_of_the_package(slicer_scene, reference):
    node = segmented(slicer_scene, reference, LARGE, SMALL, THIN, SPECK)
    grid = resampling.world_grid(reference)
    found = find_lesions(blocks(LARGE, SMALL, THIN, SPECK), grid, head() > 0).items
    rows = rows_of(node)
    assert [row.number for row in rows] == [1, 2, 3]
    for shown, lesion in zip(rows, found, strict=True):
        assert shown.volume_ml == pytest.approx(lesion.volume_ml)
        assert (shown.slices, shown.side) == (lesion.slices, lesion.side)
        assert shown.longest_mm == pytest.approx(lesion.diameters.longest_mm)
        assert shown.perpendicular_mm == pytest.approx(lesion.diameters.perpendicular_mm)
        assert shown.is_measurable == lesion.is_measurable
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
    assert rows_of(other) == []


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
        assert len(rows_of(node)) == 1


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
        assert row(node).is_measurable is across
        assert bool(row(node).shortcoming) is not across
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
    before = rows_of(node)
    fine = add_volume(slicer_scene, "fine", np.zeros((24, 80, 96)), oblique_matrix((0.4, 0.5, 1)))
    node.SetReferenceImageGeometryParameterFromVolumeNode(fine)
    assert rows_of(node) == []
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
    assert len(rows_of(node)) == 1
