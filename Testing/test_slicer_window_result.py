"""The panel in a real Qt window: result, models, log, the true program; see slicer_desktop."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from foreign_models import changed, monai_bundle, write_zip
from model_fixtures import restate
from slicer_fixtures import (
    add_volume,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    save_and_reload,
)

from scripted_models.bundle.model_folders import SHIPPED

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
    start,
)

pytestmark = pytest.mark.slicer


class TestResult:
    def test_previous_one_comes_back_with_a_click_and_goes_again(self, window, slicer_scene):
        start(window, slicer_scene, "write")
        window.run_to_end()
        node = window.parameters.segmentation
        assert not window.ui.restoreButton.enabled
        node.GetSegmentation().AddEmptySegment("mine", "mine")
        window.click("segmentButton")
        window.run_to_end()
        assert window.parameters.segmentation is node
        assert node.GetSegmentation().GetNumberOfSegments() == 4
        window.click("restoreButton")
        assert node.GetSegmentation().GetNumberOfSegments() == 5
        window.click("restoreButton")
        assert node.GetSegmentation().GetNumberOfSegments() == 4

    def test_options_of_the_panel_reach_the_scene(self, window, slicer_scene):
        window.ui.regionsCheckBox.checked = True
        window.ui.surfaceCheckBox.checked = True
        window.ui.smoothingSlider.value = 0.25
        start(window, slicer_scene, "write")
        window.run_to_end()
        segmentation = window.parameters.segmentation.GetSegmentation()
        assert segmentation.GetNumberOfSegments() == 7
        assert segmentation.ContainsRepresentation("Closed surface")
        assert segmentation.GetConversionParameter("Smoothing factor") == "0.25"

    def test_table_is_exported(self, window, slicer_scene, tmp_path):
        start(window, slicer_scene, "write")
        window.run_to_end()
        qt_names.FileDialog.answers = ["", str(tmp_path / "table.csv")]
        window.click("exportTableButton")  # the first dialog is cancelled
        assert not (tmp_path / "table.csv").exists()
        window.click("exportTableButton")
        header, *rows = (tmp_path / "table.csv").read_text(encoding="utf-8").splitlines()
        assert "Volume (mL)" in header
        assert rows[3].startswith("Enhancing tumor")

    def test_table_belongs_to_the_chosen_segmentation(self, window, slicer_scene):
        start(window, slicer_scene, "write")
        window.run_to_end()
        measured = window.parameters.segmentation
        other = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "other")
        window.ui.segmentationSelector.setCurrentNode(other)
        assert window.ui.sizesTable.rowCount == 0
        assert not window.ui.exportTableButton.enabled
        window.ui.segmentationSelector.setCurrentNode(measured)
        assert window.ui.sizesTable.rowCount == window.parameters.table.GetNumberOfRows()

    def test_edit_opens_the_segment_editor_over_the_reference(
        self, window, slicer_scene, monkeypatch
    ):
        volumes = start(window, slicer_scene, "write")
        window.run_to_end()
        calls = {}
        editor = SimpleNamespace(
            setSegmentationNode=lambda node: calls.update(segmentation=node),
            setSourceVolumeNode=lambda node: calls.update(volume=node),
        )
        widget = SimpleNamespace(self=lambda: SimpleNamespace(editor=editor))
        slicer.modules.segmenteditor = SimpleNamespace(widgetRepresentation=lambda: widget)
        monkeypatch.setattr(slicer.util, "selectModule", lambda name: calls.update(module=name))
        window.click("editButton")
        node = window.parameters.segmentation
        assert calls == {"module": "SegmentEditor", "segmentation": node, "volume": volumes["t1c"]}


def test_parameters_are_saved_with_the_scene(window, slicer_scene, tmp_path):
    start(window, slicer_scene, "write")
    window.run_to_end()
    window.ui.regionsCheckBox.checked = True
    window.ui.deviceComboBox.currentIndex = 1
    save_and_reload(slicer_scene, tmp_path)
    window.module.enter()
    assert window.ui.t1cSelector.currentNode().GetName() == "T1 Gd"
    assert window.ui.segmentationSelector.currentNode().GetName() == "T1 Gd tumor"
    assert window.ui.sizesTable.rowCount > 0
    assert window.ui.regionsCheckBox.checked
    assert window.ui.deviceComboBox.currentText == "cpu"
    assert window.ui.segmentButton.enabled


OPTIONS = ("--channels", "--channels", "--labels")  # that questions name


class TestModels:
    def test_import_makes_it_the_chosen_one_and_removal_takes_it_away(
        self, window, dialogs, tmp_path, monkeypatch
    ):
        from BrainTumorSegLib import model_import

        monkeypatch.setattr(
            model_import, "child_environment", lambda: dict(os.environ), raising=False
        )
        qt_names.FileDialog.answers = [renamed_model(tmp_path)]
        window.click("importZipButton")
        assert dialogs.errors == []
        assert window.ui.modelComboBox.currentText == "mine"
        assert window.parameters.model == "mine"
        window.click("removeModelButton")
        assert "mine" in dialogs.questions[0]
        assert window.ui.modelComboBox.currentText == "default"
        assert not window.ui.removeModelButton.enabled

    def test_what_a_foreign_file_does_not_say_is_asked(
        self, window, dialogs, tmp_path, monkeypatch
    ):
        from BrainTumorSegLib import model_import

        monkeypatch.setattr(
            model_import, "child_environment", lambda: dict(os.environ), raising=False
        )
        files = monai_bundle()
        metadata = "configs/metadata.json"
        files[metadata] = changed(files[metadata], "network_data_format", {})
        path = str(write_zip(files, tmp_path / "zoo.zip"))
        qt_names.FileDialog.answers = [path, path]
        qt_names.InputDialog.questions = questions = []
        qt_names.InputDialog.answers = [""]
        window.click("importZipButton")
        assert "--channels" in questions.pop()
        assert window.ui.modelComboBox.count == 4
        assert window.ui.statusLabel.text == "The model was not imported."
        qt_names.InputDialog.answers = ["t1c t1 t2", "t1c t1 t2 flair", "TC WT ET"]
        window.click("importZipButton")
        assert [word in asked for word, asked in zip(OPTIONS, questions, strict=True)] == [True] * 3
        assert dialogs.errors == []
        assert window.ui.modelComboBox.count == 5
        assert window.parameters.model == window.ui.modelComboBox.currentText != "default"

    def test_refused_import_is_one_sentence(self, window, dialogs, tmp_path):
        file = tmp_path / "broken.zip"
        file.write_bytes(b"no zip")
        qt_names.FileDialog.answers = [str(file)]
        window.click("importZipButton")
        assert "broken.zip" in dialogs.errors[0]
        assert window.ui.modelComboBox.count == 4
        assert "broken.zip" in str(dialogs.uncaught.pop())

    def test_card_is_shown(self, window):
        assert "BraTS" in window.ui.modelSummaryLabel.text
        assert "default" in window.ui.cardText.plainText


def renamed_model(folder):
    """A zip of the shipped model under another name, with its own checksums."""
    restate(Path(shutil.copytree(SHIPPED / "TwoPathCNN", folder / "mine")), name="mine")
    return shutil.make_archive(str(folder / "mine"), "zip", folder / "mine")


def test_log_is_copied_with_versions_and_without_the_user(window, slicer_scene):
    start(window, slicer_scene, "steps", "write")
    window.run_to_end()
    window.click("copyLogButton")
    text = slicer.app.clipboard().text()
    assert "Found a small brain" in text
    assert "torch" in text
    assert "Slicer" in text


def test_the_true_program_segments_the_sample_patient(window, slicer_scene, dialogs):
    """From Sample Data to the table, by one click; the network runs in Slicer's Python."""
    from BrainTumorSegLib.sample_data import add_phantom
    from BrainTumorSegLib.segments import SEGMENTS

    if "SCREENSHOT_FOLDER" in os.environ:
        add_phantom(slicer_scene)
    else:
        for node in add_phantom(slicer_scene, size_xyz=(32, 32, 16)):
            node.SetSpacing(1, 1, 1)  # a doll's head, nothing to resample
    window.settle()
    window.ui.probabilitiesCheckBox.checked = True
    window.click("segmentButton")
    window.spin(lambda: window.ui.progressBar.value >= 40)
    window.screenshot("running")
    window.run_to_end()
    assert dialogs.errors == []
    node = window.parameters.segmentation
    assert node.GetSegmentation().GetNumberOfSegments() == 4
    assert "CPU" in node.GetAttribute("BrainTumorSeg.Device")
    assert "on CPU" in window.log
    window.screenshot("panel")
    total = 0
    for entry in SEGMENTS[:4]:
        name = entry.segment_id
        volume = slicer_scene.GetFirstNodeByName(f"Phantom T1c tumor: {entry.name} probability")
        probability = slicer.util.arrayFromVolume(volume)
        segment = slicer.util.arrayFromSegmentBinaryLabelmap(node, name, volume) > 0
        if segment.any():
            assert probability[segment].mean() > probability[~segment].mean()
        total = total + probability
    assert 0 < total.max() <= 1.001
    window.settle()
    assert window.ui.t1Selector.currentNode().GetName() == "Phantom T1"  # no new candidate


def test_self_test_of_the_module(module, slicer_scene, monkeypatch):
    """The part of 'Reload and Test' that needs no network."""

    def add_from_array(array, name):
        return add_volume(slicer.mrmlScene, name, array)

    monkeypatch.setattr(slicer.util, "addVolumeFromArray", add_from_array)
    test = module.BrainTumorSegTest()
    test.setUp()
    test.test_segmentsKeepTheirVoxels()
