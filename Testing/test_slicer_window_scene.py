"""The panel while nodes leave the scene and scenes are closed, saved and loaded."""

import numpy as np
import pytest
from slicer_fixtures import (
    SEQUENCES,
    add_volume,
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
    load_patient,
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
    segmentations,
    start,
)

pytestmark = pytest.mark.slicer


class TestDeletedNodes:
    @pytest.mark.parametrize("sequence", SEQUENCES)
    def test_no_other_volume_takes_the_place_of_a_deleted_one(self, window, slicer_scene, sequence):
        volumes = load_patient(slicer_scene)
        add_volume(slicer_scene, "notes", np.ones((4, 5, 6)))
        window.settle()
        slicer_scene.RemoveNode(volumes.pop(sequence))
        assert getattr(window.parameters, sequence) is None  # at once, not when the panel refreshes
        window.settle()
        chosen = {m: getattr(window.parameters, m) for m in SEQUENCES}
        assert chosen == {**volumes, sequence: None}
        assert "Your choice." not in getattr(window.ui, f"{sequence}Mark").toolTip
        assert "ound no " in window.ui.findingsLabel.text

    def test_a_click_right_after_a_deletion_starts_nothing(self, window, slicer_scene, dialogs):
        volumes = load_patient(slicer_scene)
        window.settle()
        window.acts("hang")
        slicer_scene.RemoveNode(volumes["t1c"])
        slicer_scene.RemoveNode(volumes["flair"])
        window.click("segmentButton")
        assert window.module.run.job is None
        assert not window.ui.segmentButton.enabled
        assert dialogs.errors == []

    def test_no_other_segmentation_is_filled_in_place_of_a_deleted_one(self, window, slicer_scene):
        other = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
        other.GetSegmentation().AddEmptySegment("mine", "mine")
        start(window, slicer_scene, "write")
        window.run_to_end()
        slicer_scene.RemoveNode(window.parameters.segmentation)
        assert window.parameters.segmentation is None
        window.settle()
        window.click("segmentButton")
        window.run_to_end()
        assert window.parameters.segmentation is not other
        assert other.GetSegmentation().GetSegmentIDs() == ("mine",)


class TestSavedScene:
    def test_comes_back_while_the_panel_is_open(self, window, slicer_scene, tmp_path):
        start(window, slicer_scene, "write")
        window.run_to_end()
        window.click("t2SwapButton")  # a choice that no automatic one would make
        window.ui.regionsCheckBox.checked = True
        window.settle()
        save_and_reload(slicer_scene, tmp_path)
        window.settle()
        names = {m: getattr(window.parameters, m).GetName() for m in SEQUENCES}
        assert names == {"t1": "T1", "t1c": "T1 Gd", "t2": "FLAIR", "flair": "T2"}
        assert window.ui.t2Selector.currentNode().GetName() == "FLAIR"
        assert window.ui.segmentationSelector.currentNode().GetName() == "T1 Gd tumor"
        assert window.ui.sizesTable.rowCount > 0
        assert window.ui.regionsCheckBox.checked

    def test_keeps_a_slot_that_the_user_emptied(self, window, slicer_scene, tmp_path):
        load_patient(slicer_scene)
        window.settle()
        window.ui.t2Selector.setCurrentNode(None)
        window.settle()
        save_and_reload(slicer_scene, tmp_path)
        window.settle()
        assert window.parameters.t2 is None
        assert window.parameters.t1.GetName() == "T1"
        window.click("detectButton")
        assert window.parameters.t2.GetName() == "T2"

    def test_works_three_times_in_a_row(self, window, slicer_scene, tmp_path):
        start(window, slicer_scene, "write")
        window.run_to_end()
        for turn in range(3):
            folder = tmp_path / str(turn)
            folder.mkdir()
            save_and_reload(slicer_scene, folder)
            window.settle()
            window.click("segmentButton")
            window.run_to_end()
            assert segmentations(slicer_scene) == 2  # the one that is filled, the one behind it
            assert window.ui.restoreButton.enabled


class TestClosedScene:
    def test_leaves_no_words_about_the_past(self, window, slicer_scene):
        start(window, slicer_scene, "write")
        window.run_to_end()
        assert window.ui.statusLabel.text.startswith("Done")
        slicer_scene.Clear(0)
        window.settle()
        assert window.ui.statusLabel.text == ""

    def test_says_that_a_run_was_ended(self, window, slicer_scene):
        start(window, slicer_scene, "hang")
        slicer_scene.Clear(0)
        window.settle()
        assert "running segmentation was ended" in window.ui.statusLabel.text
        assert "running segmentation was ended" in window.log


def test_failures_are_in_what_is_copied(window, slicer_scene, dialogs, monkeypatch):
    from BrainTumorSegLib import slicer_installer
    from slicer_desktop import qt_names

    old = slicer_installer.Package(version="1.9.0")
    monkeypatch.setattr(slicer_installer.SlicerInstaller, "package", lambda self, name: old)
    start(window, slicer_scene, "hang")
    qt_names.FileDialog.answers = ["/no/such.zip"]
    window.click("importZipButton")
    window.click("copyLogButton")
    copied = slicer.app.clipboard().text()
    assert len(dialogs.errors) == 2
    assert "could not be started" in copied
    assert "PyTorch 1.9.0, expected 2.2 or newer" in copied
    assert "model was not imported" in copied
    dialogs.uncaught.clear()  # Slicer logs them as well


class TestSubjectHierarchy:
    """What Slicer's tree is told; the tree itself is in the desktop only."""

    def test_hears_of_every_segment_of_the_first_run(self, window, slicer_scene):
        empty = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Tumor")
        heard = []
        empty.AddObserver(slicer.vtkSegmentation.SegmentAdded, lambda *_: heard.append(1))
        window.parameters.segmentation = empty
        start(window, slicer_scene, "write")
        window.run_to_end()
        assert len(heard) == 4

    def test_hears_nothing_of_the_hidden_copy(self, window, slicer_scene):
        start(window, slicer_scene, "write")
        window.run_to_end()
        window.click("segmentButton")
        window.run_to_end()
        kept = window.parameters.segmentation.GetNodeReference("BrainTumorSeg.previous")
        heard = []
        for event in (slicer.vtkSegmentation.SegmentAdded, slicer.vtkSegmentation.SegmentRemoved):
            kept.AddObserver(event, lambda *_: heard.append(1))
        for _turn in range(2):
            window.click("segmentButton")
            window.run_to_end()
            window.click("restoreButton")
        assert heard == []
        assert kept.GetSegmentation().GetNumberOfSegments() == 4
