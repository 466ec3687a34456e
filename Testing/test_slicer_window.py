"""The panel in a real Qt window: slots, findings, run and cancel; see slicer_desktop."""

from types import SimpleNamespace

import numpy as np
import pytest
from slicer_fixtures import (
    SEQUENCES,
    add_volume,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
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


def test_module_tells_slicer_about_itself(module, dialogs, monkeypatch):
    parent = module.BrainTumorSeg(SimpleNamespace()).parent
    assert parent.categories == ["Segmentation"]
    assert "not for clinical use" in parent.helpText
    loaded, registered = [], []
    logic = SimpleNamespace(LoadTerminologyFromFile=loaded.append)
    slicer.modules.terminologies = SimpleNamespace(logic=lambda: logic)
    from BrainTumorSegLib import sample_data

    monkeypatch.setattr(sample_data, "register", lambda: registered.append(True))
    slicer.app.connected["startupCompleted()"]()
    assert loaded == [str(module.TERMINOLOGY_FILE)]
    assert module.TERMINOLOGY_FILE.is_file()
    assert registered


def test_button_says_what_is_missing(window, slicer_scene):
    button = window.ui.segmentButton
    assert not button.enabled
    assert "Found no volume for T1, T1c, T2 and FLAIR" in button.toolTip
    load_patient(slicer_scene)
    window.settle()
    assert button.enabled
    window.parameters.t2 = window.parameters.t1
    window.settle()
    assert not button.enabled
    assert "four different volumes" in button.toolTip
    assert "Stop:" in window.ui.findingsLabel.text
    window.screenshot("stop")


class TestSlots:
    def test_fill_themselves_with_mark_and_reason(self, window, slicer_scene):
        volumes = load_patient(slicer_scene)
        window.settle()
        assert {m: getattr(window.parameters, m) for m in SEQUENCES} == volumes
        assert window.ui.t1cSelector.currentNode() is volumes["t1c"]
        assert window.ui.t1cMark.text == "\u2713"
        assert "T1 Gd" in window.ui.t1cMark.toolTip

    def test_stay_empty_with_a_reason_when_two_volumes_fit(self, window, slicer_scene):
        load_patient(slicer_scene)
        add_volume(slicer_scene, "T2 again", np.ones((4, 5, 6)))
        window.settle()
        assert window.parameters.t2 is None
        assert window.parameters.flair is not None
        assert "T2 again" in window.ui.t2Mark.toolTip

    def test_are_swapped_by_one_click(self, window, slicer_scene):
        volumes = load_patient(slicer_scene)
        window.settle()
        window.click("t1SwapButton")
        window.settle()
        assert window.ui.t1Selector.currentNode() is volumes["t1c"]
        assert window.ui.t1cSelector.currentNode() is volumes["t1"]
        assert window.ui.t1Mark.text == ""

    def test_stay_as_the_user_emptied_them_until_asked(self, window, slicer_scene):
        volumes = load_patient(slicer_scene)
        window.settle()
        window.ui.t2Selector.setCurrentNode(None)
        window.settle()
        add_volume(slicer_scene, "another", np.ones((4, 5, 6)))
        window.settle()
        assert window.parameters.t2 is None
        window.click("detectButton")
        assert window.parameters.t2 is volumes["t2"]

    def test_start_anew_in_a_new_scene(self, window, slicer_scene):
        load_patient(slicer_scene)
        window.settle()
        window.ui.t2Selector.setCurrentNode(None)
        window.settle()
        slicer_scene.Clear(0)
        window.settle()
        assert not window.ui.segmentButton.enabled
        volumes = load_patient(slicer_scene)
        window.settle()
        assert window.parameters.t2 is volumes["t2"]

    def test_follow_volumes_that_leave_and_come(self, window, slicer_scene):
        volumes = load_patient(slicer_scene)
        window.settle()
        slicer_scene.RemoveNode(volumes["flair"])
        window.settle()
        assert window.parameters.flair is None
        assert "Found no FLAIR" in window.ui.findingsLabel.text
        again = add_volume(slicer_scene, "FLAIR", slicer.util.arrayFromVolume(volumes["flair"]))
        window.settle()
        assert window.parameters.flair is again

    def test_findings_follow_the_volumes(self, window, slicer_scene):
        volumes = load_patient(slicer_scene)
        window.settle()
        assert "NaN" not in window.ui.findingsLabel.text
        slicer.util.arrayFromVolume(volumes["t2"])[0, 0, 0] = np.nan
        slicer.util.arrayFromVolumeModified(volumes["t2"])
        window.settle()
        assert "NaN" in window.ui.findingsLabel.text
        assert not window.ui.segmentButton.enabled

    def test_fill_themselves_from_the_study_of_a_chosen_volume(self, window, slicer_scene):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
        patients = []
        for name in ("Ann", "Bob"):
            patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
            study = hierarchy.CreateStudyItem(patient, "MR")
            patients.append(load_patient(slicer_scene))
            for node in patients[-1].values():
                hierarchy.CreateItem(study, node)
        window.settle()
        assert window.parameters.t2 is None
        window.parameters.t1c = patients[1]["t1c"]
        window.settle()
        assert {m: getattr(window.parameters, m) for m in SEQUENCES} == patients[1]
        assert "different" not in window.ui.findingsLabel.text
        window.parameters.t2 = patients[0]["t2"]
        window.settle()
        assert "different patients" in window.ui.findingsLabel.text

    def test_names_are_no_markup(self, window, slicer_scene):
        volumes = load_patient(slicer_scene)
        volumes["t2"].SetName("<h1>T2</h1>")
        volumes["t2"].SetSpacing(0.5, 1, 2)
        window.settle()
        assert "<h1>T2" in window.ui.findingsLabel.text


class TestRun:
    def test_click_gives_a_segmentation_and_its_table(self, window, slicer_scene, dialogs):
        volumes = start(window, slicer_scene, "steps", "write")
        assert window.ui.segmentButton.text == "Cancel"
        window.run_to_end()
        assert dialogs.errors == []
        node = window.parameters.segmentation
        assert node.GetSegmentation().GetNumberOfSegments() == 4
        assert (
            node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volumes["t1c"]
        )
        assert window.ui.segmentButton.text == "Segment"
        assert "Found a small brain" in window.log
        assert window.ui.statusLabel.text == "Done: T1 Gd tumor"
        shown = window.ui.sizesTable
        cells = [shown.item(row, 0).text() for row in range(shown.rowCount)]
        assert cells[:4] == ["Necrosis", "Edema", "Non-enhancing tumor", "Enhancing tumor"]
        assert window.ui.show3DButton.node is window.ui.segmentsTable.node is node
        window.screenshot("done")

    def test_window_stays_alive_and_progress_never_falls(self, window, slicer_scene):
        ticks, shown = [], []
        timer = window.qt.QTimer()
        timer.timeout.connect(lambda: ticks.append(window.ui.progressBar.value))
        timer.timeout.connect(lambda: shown.append(window.ui.progressBar.format))
        timer.start(5)
        start(window, slicer_scene, "slow", "hang")  # the latter says 20 % after the former's 100 %
        window.spin(lambda: "Found a small brain" in window.log)
        before = len(ticks)
        window.spin(seconds=0.5)
        timer.stop()
        assert len(ticks) > before + 10
        assert ticks == sorted(ticks)
        assert ticks[-1] == 100
        assert any(text.startswith("%p% exporting") for text in shown)
        assert any(text.endswith(" s left") for text in shown)

    def test_second_click_cancels(self, window, slicer_scene, dialogs):
        start(window, slicer_scene, "polite")
        window.spin(lambda: window.module.run.job.process is not None)
        window.click("segmentButton")
        assert not window.ui.segmentButton.enabled
        window.run_to_end()
        assert dialogs.errors == []
        assert segmentations(slicer_scene) == 0
        assert window.ui.segmentButton.enabled
        assert window.ui.statusLabel.text == "Cancelled."

    def test_cancelled_before_the_program_has_started(self, window, slicer_scene, dialogs):
        start(window, slicer_scene, "hang")
        window.click("segmentButton")
        window.run_to_end()
        assert dialogs.errors == []
        assert segmentations(slicer_scene) == 0

    def test_failure_shows_one_sentence_and_details(self, window, slicer_scene, dialogs):
        start(window, slicer_scene, "traceback")
        window.run_to_end()
        assert "thing went wrong" in dialogs.errors[0]
        assert "Traceback" in dialogs.details[0]
        assert "thing went wrong" in window.ui.statusLabel.text
        assert segmentations(slicer_scene) == 0
        assert window.ui.segmentButton.enabled

    @pytest.mark.parametrize("end", ["close", "unload"])
    def test_closing_the_scene_or_the_module_ends_the_run(self, window, slicer_scene, end):
        start(window, slicer_scene, "grandchild", "hang")
        window.spin(lambda: window.module.run.job.process is not None)
        process = window.module.run.job.process
        if end == "close":
            slicer_scene.Clear(0)
        else:
            window.module.cleanup()
        assert process.outcome.state == "cancelled"
        assert not process.temporary_folder.exists()
        assert window.module.run.job is None

    def test_leaving_the_module_lets_the_run_go_on(self, window, slicer_scene):
        start(window, slicer_scene, "steps", "write")
        window.module.exit()
        window.run_to_end()
        assert segmentations(slicer_scene) == 1
        window.module.enter()
        assert window.ui.t1Selector.currentNode() is not None
        assert window.parameters.segmentation is not None

    def test_declined_packages_start_nothing_and_are_no_error(
        self, window, slicer_scene, dialogs, monkeypatch
    ):
        from BrainTumorSegLib import slicer_installer

        monkeypatch.setattr(
            slicer_installer.SlicerInstaller,
            "package",
            lambda self, name: slicer_installer.Package(),
        )
        monkeypatch.setattr(
            slicer_installer.SlicerInstaller, "has_pytorch_extension", lambda s: True
        )
        dialogs.answer = False
        start(window, slicer_scene, "hang")
        assert "PyTorch" in dialogs.questions[0]
        assert dialogs.errors == []
        assert "no consent" in window.ui.statusLabel.text
        assert window.module.run.job is None

    def test_a_skull_asks_for_brain_extraction_unless_the_box_is_off(
        self, window, slicer_scene, dialogs, monkeypatch
    ):
        from BrainTumorSegLib import raw_check, slicer_installer

        monkeypatch.setattr(raw_check, "is_installed", lambda: False)
        monkeypatch.setattr(slicer_installer, "is_installed", lambda: False)
        volumes = load_patient(slicer_scene)
        array = slicer.util.arrayFromVolume(volumes["t2"])
        array[array == 0] = np.random.default_rng(1).uniform(1, 30, (array == 0).sum())
        slicer.util.arrayFromVolumeModified(volumes["t2"])
        window.settle()
        assert "T2 'T2': found a skull" in window.ui.findingsLabel.text
        assert "will be stripped" in window.ui.findingsLabel.text
        window.screenshot("raw")
        dialogs.answer = False
        window.acts("hang")
        window.click("segmentButton")
        assert "deepbet 1.0.2" in dialogs.questions[0]
        assert "no consent to install deepbet" in window.ui.statusLabel.text
        assert window.module.run.job is None
        window.ui.prepareCheckBox.checked = False
        window.settle()
        assert "will be stripped" not in window.ui.findingsLabel.text
        assert "check 'Prepare raw volumes'" in window.ui.findingsLabel.text
        window.click("segmentButton")
        window.spin(lambda: window.module.run.job.process is not None)
        assert len(dialogs.questions) == 1
        command = window.module.run.job.process.command
        assert command[command.index("--prepare") + 1] == "never"
        window.click("segmentButton")
        window.run_to_end()

    def test_boxes_of_the_panel_reach_the_program(self, window, slicer_scene):
        window.ui.preparedCheckBox.checked = True
        start(window, slicer_scene, "hang")
        window.spin(lambda: window.module.run.job.process is not None)
        command = window.module.run.job.process.command
        assert command[command.index("--prepare") + 1 :][:3] == ["auto", "--reference", "t1c"]
        assert "--keep-prepared" in command
        window.click("segmentButton")
        window.run_to_end()

    def test_what_keeps_a_run_from_starting_is_shown(
        self, window, slicer_scene, dialogs, monkeypatch
    ):
        from BrainTumorSegLib import slicer_installer

        old = slicer_installer.Package(version="1.9.0")
        monkeypatch.setattr(slicer_installer.SlicerInstaller, "package", lambda self, name: old)
        start(window, slicer_scene, "hang")
        assert "PyTorch 1.9.0, expected 2.2 or newer" in dialogs.errors[0]
        assert window.ui.segmentButton.enabled
        assert "PyTorch 1.9.0" in str(dialogs.uncaught.pop())  # Slicer logs it as well
