"""Review in the panel: doubtful slices, uncertainty, verdict, report, sequences side by side."""

import json
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
from slicer_fixtures import (
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    save_and_reload,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
vtk = pytest.importorskip("vtk")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
    start,
)

pytestmark = pytest.mark.slicer
PREVIOUS = "BrainTumorSeg.previous"


@pytest.fixture
def views(slicer_scene):
    """A slice view and what it shows."""
    slice_node = slicer_scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    shown = slicer_scene.AddNewNodeByClass("vtkMRMLSliceCompositeNode", "Red")
    slice_node.SetLayoutName("Red")
    shown.SetLayoutName("Red")
    return SimpleNamespace(slice=slice_node, shown=shown)


@pytest.fixture
def reviewed(window, slicer_scene, views):
    """A window after a run, and the segmentation."""
    window.volumes = start(window, slicer_scene, "write")
    window.run_to_end()
    assert window.parameters.segmentation is not None, window.log
    return window, window.parameters.segmentation


def place_of(view):
    matrix = view.slice.GetSliceToRAS()
    return [matrix.GetElement(row, 3) for row in range(3)]


def middle_of_tumor(window, node):
    """The RAS point by hand: the mean voxel of the segments on T1c, whose matrix places it."""
    volume = window.volumes["t1c"]
    masks = [
        slicer.util.arrayFromSegmentBinaryLabelmap(node, name, volume) > 0
        for name in ("edema", "enhancing")
    ]
    z, y, x = np.argwhere(masks[0] | masks[1]).mean(axis=0)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return np.array(matrix.MultiplyPoint((x, y, z, 1))[:3])


def test_result_is_shown_where_the_tumor_is(reviewed, views):
    window, node = reviewed
    assert views.shown.GetBackgroundVolumeID() == window.volumes["t1c"].GetID()  # it enhances
    assert slicer.app.layouts.centered == 1
    assert node.GetDisplayNode().GetVisibility()
    assert place_of(views) == pytest.approx(middle_of_tumor(window, node))


def test_doubtful_slices_come_one_after_the_other_and_again(reviewed, views):
    from BrainTumorSegLib.resampling import world_grid

    window, node = reviewed
    grid, middle = world_grid(window.volumes["t1c"]), middle_of_tumor(window, node)
    axes = np.reshape(grid.direction, (3, 3)) * np.array([[-1], [-1], [1]])  # RAS
    shown = []
    for number in (4, 17, 30, 4):
        window.click("nextSliceButton")
        assert window.ui.sliceLabel.text == f"Slice {number}"
        shown.append(place_of(views))
        x, y, z = shown[-1]
        depth = (np.array([-x, -y, z]) - grid.origin_lps_mm) @ np.reshape(grid.direction, (3, 3))
        assert depth[2] == pytest.approx((number - 1) * grid.spacing_xyz_mm[2])
        assert (shown[-1] - middle) @ axes[:, :2] == pytest.approx([0, 0], abs=1e-6)
    assert shown[0] == shown[3]


def test_without_doubts_there_is_nothing_to_jump_to(reviewed):
    window, node = reviewed
    report = json.loads(node.GetAttribute("BrainTumorSeg.Report"))
    node.SetAttribute("BrainTumorSeg.Report", json.dumps({**report, "doubtful_slices": []}))
    window.module.review.startOver()
    assert not window.ui.nextSliceButton.enabled


def test_uncertainty_comes_over_the_volumes_and_goes(reviewed, views):
    from BrainTumorSegLib.uncertainty_volume import uncertainty_of

    window, node = reviewed
    views.shown.SetForegroundVolumeID(window.volumes["t2"].GetID())  # the user's own
    views.shown.SetForegroundOpacity(0.25)
    doubt = uncertainty_of(node)
    assert slicer.util.arrayFromVolume(doubt).max() == 0.5
    window.ui.uncertaintyShownCheckBox.checked = True
    assert views.shown.GetForegroundVolumeID() == doubt.GetID()
    window.module.exit()  # as to the Segment Editor and back
    window.module.enter()
    assert views.shown.GetForegroundVolumeID() == doubt.GetID()
    assert window.ui.uncertaintyShownCheckBox.checked
    window.ui.uncertaintyShownCheckBox.checked = False
    assert views.shown.GetForegroundVolumeID() == window.volumes["t2"].GetID()
    assert views.shown.GetForegroundOpacity() == 0.25
    window.settle()
    assert window.parameters.flair is window.volumes["flair"]  # no candidate for a slot


def test_two_results_keep_their_uncertainty_and_nodes_do_not_pile_up(reviewed, slicer_scene):
    from BrainTumorSegLib.uncertainty_volume import uncertainty_of

    window, node = reviewed
    window.click("segmentButton")
    window.run_to_end()
    first, count = uncertainty_of(node), slicer_scene.GetNumberOfNodes()
    window.click("restoreButton")
    second = uncertainty_of(node)
    assert second is not first
    assert second.GetName() == "T1 Gd tumor: uncertainty"
    assert first.GetName() == "T1 Gd tumor: uncertainty (previous)"
    assert window.ui.uncertaintyShownCheckBox.enabled
    for _turn in range(3):
        window.click("segmentButton")
        window.run_to_end()
        window.click("nextSliceButton")
        assert {uncertainty_of(node), uncertainty_of(node.GetNodeReference(PREVIOUS))} == {
            first,
            second,
        }
    assert slicer_scene.GetNumberOfNodes() == count


def test_uncertainty_is_left_out_on_request(window, slicer_scene):
    window.ui.uncertaintyCheckBox.checked = False
    start(window, slicer_scene, "write")
    window.run_to_end()
    assert not window.ui.uncertaintyShownCheckBox.enabled
    assert slicer_scene.GetFirstNodeByName("T1 Gd tumor: uncertainty") is None


def test_verdict_and_note_stay_with_the_segmentation(reviewed, slicer_scene, tmp_path):
    window, _node = reviewed
    window.ui.verdictComboBox.currentIndex = 2
    window.ui.noteEdit.text = "cyst at the <b>left</b> is no tumor"
    window.ui.noteEdit.editingFinished.emit()
    save_and_reload(slicer_scene, tmp_path)
    window.settle()
    assert window.ui.verdictComboBox.currentText == "Rejected"
    assert window.ui.noteEdit.text == "cyst at the <b>left</b> is no tumor"
    other = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    window.ui.segmentationSelector.setCurrentNode(other)
    assert window.ui.verdictComboBox.currentText == "Not reviewed"
    assert window.ui.noteEdit.text == ""


def test_another_run_takes_the_verdict_away_and_restoring_brings_it_back(reviewed):
    window, _node = reviewed
    window.ui.verdictComboBox.currentIndex = 1
    window.click("segmentButton")
    window.run_to_end()
    assert window.ui.verdictComboBox.currentText == "Not reviewed"
    window.click("restoreButton")
    window.settle()
    assert window.ui.verdictComboBox.currentText == "Accepted"


def test_report_has_edits_and_the_review(reviewed, monkeypatch, dialogs):
    from BrainTumorSegLib.lesion_lines import lines_of

    window, node = reviewed
    opened = []
    monkeypatch.setattr(window.qt.QDesktopServices, "openUrl", lambda u: opened.append(u) or True)
    window.ui.verdictComboBox.currentIndex = 1
    window.ui.noteEdit.text = "<i>fine</i>"
    window.ui.noteEdit.editingFinished.emit()
    volume = window.volumes["t1c"]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, "enhancing", volume)
    mask[:] = 0
    mask[5:15, 5:15, 5:15] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "enhancing", volume)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    window.click("reportButton")
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    file = Path(unquote(urlparse(opened[0].toString()).path))
    page = file.read_text(encoding="utf-8")
    assert dialogs.errors == []
    assert "accepted on 20" in page
    assert "&lt;i&gt;fine&lt;/i&gt;" in page
    assert "2.0" in page  # mL of the enhancing tumor as it was edited
    assert page.count("data:image/png") == 2
    assert "edited since they were measured" in page
    assert "<caption>Lesions</caption>" not in page
    window.click("measureButton")
    line = next(iter(lines_of(node).values()))
    line.SetNthControlPointPositionWorld(0, *line.GetNthControlPointPositionWorld(1))
    window.click("reportButton")
    page = file.read_text(encoding="utf-8")
    assert "<caption>Lesions</caption>" in page
    assert "no: A diameter is below" in page
    assert "edited by hand" in page
    window.module.cleanup()
    assert not file.exists()  # it shows a patient


def test_report_without_a_browser_says_where_it_is(reviewed, monkeypatch):
    window, _node = reviewed
    monkeypatch.setattr(window.qt.QDesktopServices, "openUrl", lambda url: False)
    window.click("reportButton")
    assert "No browser could be opened" in window.ui.statusLabel.text


def test_without_its_volumes_there_is_no_report(reviewed, slicer_scene):
    window, _node = reviewed
    for volume in window.volumes.values():
        slicer_scene.RemoveNode(volume)
    window.settle()
    assert not window.ui.reportButton.enabled
    assert not window.ui.addCaseButton.enabled


def test_a_note_being_written_does_not_land_on_another_result(reviewed, slicer_scene):
    window, _node = reviewed
    window.ui.verdictComboBox.currentIndex = 1
    window.parent.activateWindow()
    window.ui.noteEdit.setFocus()
    window.ui.noteEdit.text = "half a sen"
    other = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
    window.ui.segmentationSelector.setCurrentNode(other)
    window.spin(seconds=0.05)
    assert other.GetAttribute("BrainTumorSeg.ReviewNote") is None
    assert other.GetAttribute("BrainTumorSeg.Review") is None


def test_four_sequences_side_by_side_and_back(reviewed):
    window, _node = reviewed
    layouts = slicer.app.layouts
    layouts.setLayout(3)
    window.click("compareButton")
    assert {n: c.GetBackgroundVolumeID() for n, c in layouts.shown.items()} == {
        f"BrainTumorSeg{title}": window.volumes[sequence].GetID()
        for sequence, title in (("t1c", "T1c"), ("flair", "FLAIR"), ("t1", "T1"), ("t2", "T2"))
    }
    assert all(composite.GetLinkedControl() for composite in layouts.shown.values())
    window.click("segmentButton")
    window.run_to_end()
    assert len({c.GetBackgroundVolumeID() for c in layouts.shown.values()}) == 4
    window.click("compareButton")
    assert layouts.node.GetViewArrangement() == 3


def test_a_scene_saved_side_by_side_comes_back_so(reviewed):
    from BrainTumorSegLib.result_views import COMPARE_LAYOUT

    window, _node = reviewed
    layouts = slicer.app.layouts
    layouts.setLayout(COMPARE_LAYOUT)  # as the scene says
    window.module.onSceneStartImport(None, None)
    window.module.onSceneEndChange(None, None)
    window.click("compareButton")
    window.click("compareButton")
    assert layouts.node.GetViewArrangement() == layouts.node.SlicerLayoutFourUpView
