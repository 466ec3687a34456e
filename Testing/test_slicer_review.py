"""Review in the panel: doubtful slices, uncertainty, verdict, report, sequences side by side."""

import json
from pathlib import Path
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


@pytest.fixture
def reviewed(window, slicer_scene):
    """A window after a run, and the segmentation."""
    window.volumes = start(window, slicer_scene, "write")
    window.run_to_end()
    assert window.parameters.segmentation is not None, window.log
    return window, window.parameters.segmentation


def test_result_is_shown_where_the_tumor_is(reviewed, dialogs):
    window, node = reviewed
    assert dialogs.layers[-1]["background"] is window.volumes["t1c"]  # something enhances
    assert slicer.app.layouts.centered == 1
    assert node.GetDisplayNode().GetVisibility()


def test_doubtful_slices_come_one_after_the_other_and_again(reviewed, slicer_scene):
    from BrainTumorSegLib import review
    from BrainTumorSegLib.resampling import world_grid

    window, node = reviewed
    view = slicer_scene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
    grid = world_grid(window.volumes["t1c"])
    shown = []
    for number in (4, 17, 30, 4):
        window.click("nextSliceButton")
        assert window.ui.sliceLabel.text == f"Slice {number}"
        x, y, z = review.place_in_slice(node, number)
        normal = np.reshape(grid.direction, (3, 3))[:, 2]
        depth = (np.array([-x, -y, z]) - grid.origin_lps_mm) @ normal
        assert depth == pytest.approx((number - 1) * grid.spacing_xyz_mm[2])
        matrix = view.GetSliceToRAS()
        assert [matrix.GetElement(row, 3) for row in range(3)] == pytest.approx([x, y, z])
        shown.append((x, y, z))
    assert shown[0] == shown[3]


def test_without_doubts_there_is_nothing_to_jump_to(reviewed):
    window, node = reviewed
    report = json.loads(node.GetAttribute("BrainTumorSeg.Report"))
    node.SetAttribute("BrainTumorSeg.Report", json.dumps({**report, "doubtful_slices": []}))
    window.module.review.startOver()
    assert not window.ui.nextSliceButton.enabled


def test_uncertainty_comes_over_the_volumes_and_goes(reviewed, dialogs, slicer_scene):
    from BrainTumorSegLib.uncertainty_volume import uncertainty_of

    window, node = reviewed
    for _turn in range(2):  # another run has another one
        doubt = uncertainty_of(node)
        assert slicer.util.arrayFromVolume(doubt).max() == 0.5
        assert slicer_scene.GetNodesByName("T1 Gd tumor: uncertainty").GetNumberOfItems() == 1
        window.ui.uncertaintyShownCheckBox.checked = True
        assert dialogs.layers[-1]["foreground"] is doubt
        window.ui.uncertaintyShownCheckBox.checked = False
        assert dialogs.layers[-1]["foreground"] is None
        window.click("segmentButton")
        window.run_to_end()
    window.settle()
    assert window.parameters.flair is window.volumes["flair"]  # no candidate for a slot
    window.click("restoreButton")  # of that result there is none any more
    assert not window.ui.uncertaintyShownCheckBox.enabled


def test_uncertainty_is_left_out_on_request(window, slicer_scene):
    window.ui.uncertaintyCheckBox.checked = False
    start(window, slicer_scene, "write")
    window.run_to_end()
    assert not window.ui.uncertaintyShownCheckBox.enabled
    assert slicer_scene.GetNodesByName("T1 Gd tumor: uncertainty").GetNumberOfItems() == 0


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
    window, node = reviewed
    opened = []
    monkeypatch.setattr(window.qt.QDesktopServices, "openUrl", opened.append)
    window.ui.verdictComboBox.currentIndex = 1
    window.ui.noteEdit.text = "<i>fine</i>"
    window.ui.noteEdit.editingFinished.emit()
    volume = window.volumes["t1c"]
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, "enhancing", volume)
    mask[:] = 0
    mask[5:15, 5:15, 5:15] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "enhancing", volume)
    window.click("reportButton")
    file = Path(unquote(urlparse(opened[0].toString()).path))
    page = file.read_text(encoding="utf-8")
    assert dialogs.errors == []
    assert "accepted on 20" in page
    assert "&lt;i&gt;fine&lt;/i&gt;" in page
    assert "2.0" in page  # mL of the enhancing tumor as it was edited
    assert page.count("data:image/png") == 2
    window.module.cleanup()
    assert not file.exists()  # it shows a patient


def test_report_without_its_volumes_is_one_sentence(reviewed, slicer_scene, dialogs):
    window, _node = reviewed
    for volume in window.volumes.values():
        slicer_scene.RemoveNode(volume)
    window.settle()
    window.click("reportButton")
    assert "found no volumes that it was made from" in dialogs.errors[0]
    dialogs.uncaught.clear()


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
    window.click("compareButton")
    assert layouts.node.GetViewArrangement() == 3
