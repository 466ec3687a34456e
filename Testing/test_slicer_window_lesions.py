"""The lesions of a result in the panel's window: table, lines, edits, saved scenes."""

import csv

import numpy as np
import pytest
from lesion_fixtures import (
    LARGE,
    LINES,
    SHAPE,
    SMALL,
    drag,
    imported,
    lines,
    make_reference,  # noqa: F401 - the fixture reference
)
from slicer_fixtures import (
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    save_and_reload,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from slicer_desktop import qt_names  # noqa: E402
from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
)

pytestmark = pytest.mark.slicer


@pytest.fixture(name="shown")
def show_result(window, slicer_scene, reference):
    """A measured segmentation with two lesions in the panel."""
    node = imported(slicer_scene, reference, LARGE, SMALL)
    window.parameters.segmentation = node
    window.click("measureButton")
    return node


def rows(window):
    table = window.ui.lesionsTable
    shown = [c for c in range(table.columnCount) if not table.isColumnHidden(c)]
    return [[table.item(row, c).text() for c in shown] for row in range(table.rowCount)]


def without_lines(row):
    return row[:3] + row[4:]


def visible(node):
    return {bool(line.GetDisplayNode().GetVisibility()) for line in lines(node).values()}


def test_lines_are_shown_and_the_row_follows_an_edit(window, shown):
    assert len(lines(shown)) == 4
    before = rows(window)
    assert [row[0] for row in before] == ["1", "2"]
    assert {len(row) for row in before} == {7}  # nothing was done to lines
    length = lines(shown)[2, "longest"].GetLineLengthWorld()
    drag(lines(shown)[2, "longest"], 9 / length)
    assert rows(window)[1][2].startswith("9.0 \u00d7 ")
    assert rows(window)[1][3:5] == ["edited", "no"]
    assert without_lines(rows(window)[0]) == before[0]
    window.screenshot("lesions")
    window.click("resetDiametersButton")
    assert rows(window) == before
    assert not window.ui.resetDiametersButton.enabled


def test_table_follows_while_another_module_is_shown(window, shown, slicer_scene):
    window.module.exit()
    drag(lines(shown)[1, "longest"], 0.5)
    slicer_scene.RemoveNode(lines(shown)[2, "longest"])
    window.module.enter()
    assert [row[3] for row in rows(window)] == ["edited", "deleted"]
    assert rows(window)[1][2].startswith("\u2013 \u00d7 ")


def test_box_hides_and_shows_lines_and_is_remembered(window, shown, slicer_scene, tmp_path):
    drag(lines(shown)[1, "longest"], 0.5)
    before = rows(window)
    window.ui.diametersCheckBox.checked = False
    assert visible(shown) == {False}
    assert rows(window) == before
    save_and_reload(slicer_scene, tmp_path)
    window.module.enter()
    node = window.parameters.segmentation
    assert not window.ui.diametersCheckBox.checked
    assert (rows(window), visible(node)) == (before, {False})
    window.ui.diametersCheckBox.checked = True
    assert visible(node) == {True}
    drag(lines(node)[2, "longest"], 0.5)
    assert [row[3] for row in rows(window)] == ["edited", "edited"]


def test_without_the_box_no_lines_are_made(window, slicer_scene, reference):
    window.ui.diametersCheckBox.checked = False
    window.parameters.segmentation = imported(slicer_scene, reference, LARGE)
    window.click("measureButton")
    assert len(rows(window)) == 1
    assert slicer_scene.GetNumberOfNodesByClass(LINES) == 0


def test_lines_of_the_chosen_result_are_shown_alone(window, shown, slicer_scene, reference):
    other = imported(slicer_scene, reference, SMALL)
    window.ui.segmentationSelector.setCurrentNode(other)
    assert (rows(window), visible(shown)) == ([], {False})
    window.click("measureButton")
    assert (len(rows(window)), visible(other)) == (1, {True})
    window.ui.segmentationSelector.setCurrentNode(shown)
    assert (len(rows(window)), visible(shown), visible(other)) == (2, {True}, {False})


def test_click_on_a_row_shows_its_slice(window, shown, slicer_scene, reference):
    from BrainTumorSegLib.lesion_rows import place_of_lesion

    views = [slicer_scene.AddNewNodeByClass("vtkMRMLSliceNode") for _ in range(2)]
    views[0].SetOrientationToAxial()
    views[1].SetOrientationToSagittal()
    window.ui.lesionsTable.cellClicked.emit(1, 0)
    for view in views:
        to_ras = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())
        assert to_ras[:3, 3] == pytest.approx(place_of_lesion(shown, 2))
    axial = slicer.util.arrayFromVTKMatrix(views[0].GetSliceToRAS())[:3, 2]
    for kind in ("longest", "perpendicular"):  # the lines lie in the view
        ends = slicer.util.arrayFromMarkupsControlPoints(lines(shown)[2, kind], world=True)
        assert (ends[1] - ends[0]) @ axial == pytest.approx(0, abs=1e-3)


def test_edited_lines_are_told_when_segments_were_edited(window, shown, reference):
    drag(lines(shown)[2, "longest"], 0.8)
    mask = np.zeros(SHAPE, np.uint8)
    mask[2:8, 4:14, 4:24] = mask[SMALL] = 1
    assert window.ui.lesionsLabel.text == ""
    window.module.exit()  # to the Segment Editor
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, shown, "enhancing", reference)
    window.module.enter()
    assert "Measure again" in window.ui.lesionsLabel.text
    window.click("measureButton")
    told = "Diameters that were edited by hand were kept (lesion 2)."
    assert window.ui.lesionsLabel.text == told
    assert told in window.log
    assert rows(window)[1][3] == "edited"


def test_necrosis_is_measured_on_request(window, shown, slicer_scene, reference):
    from BrainTumorSegLib.lesion_record import read_lesions

    window.ui.necrosisCheckBox.checked = True
    assert read_lesions(shown).across
    window.ui.necrosisCheckBox.checked = False
    assert not read_lesions(shown).across


def test_lesions_are_exported_as_they_are_now(window, shown, tmp_path):
    drag(lines(shown)[1, "longest"], 0.5)
    qt_names.FileDialog.answers = ["", str(tmp_path / "lesions.csv")]
    window.click("exportLesionsButton")  # the first dialog is cancelled
    window.click("exportLesionsButton")
    with open(tmp_path / "lesions.csv", encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["Lesion"] for row in table] == ["1", "2"]
    assert [row["Lines"] for row in table] == ["edited", ""]
    assert table[0]["Longest (mm)"] == rows(window)[0][2].split(" ")[0]


def test_closed_scene_leaves_an_empty_table(window, shown, slicer_scene):
    slicer_scene.Clear(0)
    window.settle()
    assert rows(window) == []
    assert not window.ui.exportLesionsButton.enabled
