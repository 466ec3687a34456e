"""Several patients in one scene, segmented one after the other from the panel."""

import numpy as np
import pytest
from slicer_fixtures import (
    SEQUENCES,
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
STATE = 1  # column


def add_patient(mrml, name):
    """Load a patient and put the volumes into a study, as the DICOM module does."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
    study = hierarchy.CreateStudyItem(patient, "MR")
    volumes = load_patient(mrml)
    for node in volumes.values():
        hierarchy.CreateItem(study, node)
    return study, volumes


@pytest.fixture
def patients(window, slicer_scene):
    """The window over Ann and Bob, with the section open: name -> (study item, volumes)."""
    loaded = {name: add_patient(slicer_scene, name) for name in ("Ann", "Bob")}
    window.ui.batchCollapsibleButton.collapsed = False
    settle(window)
    return loaded


def settle(window):
    window.settle()
    window.spin(lambda: not window.module.batch._refreshTimer.isActive())


def column(window, number=STATE):
    table = window.ui.studiesTable
    return [table.item(row, number).text() for row in range(table.rowCount)]


def tip(window, row):
    return window.ui.studiesTable.item(row, STATE).toolTip()


def wait(window):
    window.spin(lambda: window.module.batch.batch is None)


def act_in_turn(child, monkeypatch, *acts):
    """Let each run have another child."""
    from BrainTumorSegLib import logic

    left = list(acts)
    monkeypatch.setattr(logic, "child_environment", lambda: child(*left.pop(0).split()))


def results(mrml):
    """Segmentations by the item of their study."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml)
    nodes = mrml.GetNodesByClass("vtkMRMLSegmentationNode")
    return {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)): node for node in nodes}


class TestTwoPatients:
    def test_each_gets_a_segmentation_of_its_own_volumes(
        self, window, patients, slicer_scene, dialogs
    ):
        from BrainTumorSegLib.review import inputs_of

        assert column(window, 0) == ["Ann, MR", "Bob, MR"]
        assert column(window) == ["Ready", "Ready"]
        assert "T1 Gd" in tip(window, 0)
        window.acts("slow", "write")
        window.click("segmentAllButton")
        assert column(window) == ["Waiting", "Waiting"]
        window.spin(lambda: "Running" in column(window)[1])
        assert window.ui.segmentAllButton.text == "Cancel"
        window.screenshot("several")
        wait(window)
        assert dialogs.errors == []
        made = results(slicer_scene)
        assert set(made) == {study for study, _volumes in patients.values()}
        for study, volumes in patients.values():
            assert inputs_of(made[study]) == volumes
            assert made[study].GetSegmentation().GetNumberOfSegments() == 4
        assert len({node.GetName() for node in made.values()}) == 2
        assert column(window) == ["Done, with warnings"] * 2
        assert "Found a small brain" in tip(window, 0)
        assert window.ui.statusLabel.text == "Studies done: 2, failed: 0, cancelled: 0."
        assert "Study 2: model default on CPU" in window.log
        assert "Ann" not in window.log  # it is copied into bug reports

    def test_settings_of_the_panel_hold_for_all_until_the_end(
        self, window, patients, child, monkeypatch
    ):
        window.ui.uncertaintyCheckBox.checked = False
        window.parameters.device = "cpu"
        act_in_turn(child, monkeypatch, "write", "hang")
        window.click("segmentAllButton")
        window.spin(lambda: "Done" in column(window))
        window.parameters.device = "cuda"  # for the next time
        window.module.exit()  # it goes on in the background
        window.spin(lambda: getattr(window.module.batch.batch.job, "process", None) is not None)
        command = window.module.batch.batch.job.process.command
        assert command[command.index("--device") + 1] == "cpu"
        assert "--uncertainty" not in command
        window.module.enter()
        window.click("segmentAllButton")
        wait(window)

    def test_one_that_fails_does_not_stop_the_other(
        self, window, patients, slicer_scene, dialogs, child, monkeypatch
    ):
        act_in_turn(child, monkeypatch, "traceback", "write", "write")
        window.click("segmentAllButton")
        wait(window)
        assert column(window) == ["Failed", "Done"]
        assert "thing went wrong" in tip(window, 0)
        assert "Study 1: ValueError: thing went wrong" in window.log
        assert dialogs.errors == []  # a dialog would hold up the others
        assert window.ui.statusLabel.text == "Studies done: 1, failed: 1, cancelled: 0."
        assert segmentations(slicer_scene) == 1
        window.click("segmentAllButton")  # only what failed
        wait(window)
        assert column(window) == ["Done", "Done"]
        assert segmentations(slicer_scene) == 2
        assert not window.ui.segmentAllButton.enabled
        window.parameters.model = "fast"
        settle(window)
        assert column(window) == ["Ready", "Ready"]

    def test_cancel_keeps_what_is_done(
        self, window, patients, slicer_scene, dialogs, child, monkeypatch
    ):
        add_patient(slicer_scene, "Cem")
        settle(window)
        act_in_turn(child, monkeypatch, "write", "polite")
        window.click("segmentAllButton")
        window.spin(lambda: column(window)[1] == "Running, 23 %")
        window.click("segmentAllButton")
        assert not window.ui.segmentAllButton.enabled
        wait(window)
        assert column(window) == ["Done", "Cancelled", "Cancelled"]
        assert segmentations(slicer_scene) == 1
        assert dialogs.errors == []
        assert window.ui.segmentAllButton.enabled

    def test_a_former_segmentation_stays_as_it_is(self, window, patients, slicer_scene):
        window.module.batch.onShow(0)
        window.settle()
        window.acts("write")
        window.click("segmentButton")
        window.run_to_end()
        former = window.parameters.segmentation
        volume = patients["Ann"][1]["t1c"]
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(former, "enhancing", volume)
        mask[:] = np.random.default_rng(1).random(mask.shape) > 0.5
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, former, "enhancing", volume)
        window.click("segmentAllButton")
        wait(window)
        assert segmentations(slicer_scene) == 3
        now = slicer.util.arrayFromSegmentBinaryLabelmap(former, "enhancing", volume)
        assert np.array_equal(now, mask)
        assert former.GetNodeReference("BrainTumorSeg.previous") is None
        assert window.parameters.segmentation is former

    def test_double_click_shows_a_study_and_its_result(self, window, patients, slicer_scene):
        window.acts("write")
        window.click("segmentAllButton")
        wait(window)
        for row, (study, volumes) in enumerate(patients.values()):
            window.ui.studiesTable.cellDoubleClicked.emit(row, 0)
            window.settle()
            assert {m: getattr(window.parameters, m) for m in SEQUENCES} == volumes
            assert window.parameters.segmentation is results(slicer_scene)[study]

    def test_what_is_chosen_above_holds_for_its_study(self, window, patients, child, monkeypatch):
        window.module.batch.onShow(0)
        window.settle()
        window.click("t1SwapButton")
        settle(window)
        assert "T1: T1 Gd, as it is chosen above." in tip(window, 0)
        act_in_turn(child, monkeypatch, "hang")
        window.click("segmentAllButton")
        window.spin(lambda: window.module.batch.batch.job is not None)
        assert window.module.batch.batch.job.nodes["t1"] is patients["Ann"][1]["t1c"]
        window.click("segmentAllButton")
        wait(window)


class TestWhatIsNotReady:
    def test_says_why_and_is_left_out(self, window, patients, slicer_scene):
        slicer_scene.RemoveNode(patients["Ann"][1]["flair"])
        settle(window)
        assert column(window) == ["Ready, please check", "Ready"]  # the model can do without
        assert "Found no FLAIR" in tip(window, 0)
        for sequence in ("t1c", "t2"):
            slicer_scene.RemoveNode(patients["Ann"][1][sequence])
        settle(window)
        assert column(window) == ["Not ready", "Ready"]
        assert "Found no volume for T1c, T2 and FLAIR" in tip(window, 0)
        window.acts("write")
        window.click("segmentAllButton")
        wait(window)
        assert set(results(slicer_scene)) == {patients["Bob"][0]}

    def test_voxels_that_stop_are_told_before_the_first_run(
        self, window, patients, slicer_scene, child, monkeypatch
    ):
        array = slicer.util.arrayFromVolume(patients["Bob"][1]["t2"])
        array[0, 0, 0] = np.nan
        slicer.util.arrayFromVolumeModified(patients["Bob"][1]["t2"])
        act_in_turn(child, monkeypatch, "hang")
        window.click("segmentAllButton")
        window.spin(lambda: "Running" in column(window)[0])
        assert column(window)[1] == "Failed"
        assert "NaN" in tip(window, 1)
        window.click("segmentAllButton")
        wait(window)

    def test_names_are_no_markup(self, window, patients, slicer_scene):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
        patient = hierarchy.GetItemParent(patients["Ann"][0])
        hierarchy.SetItemName(patient, "<b>Ann</b>\x1b")
        patients["Ann"][1]["t1"].SetName('T1 <img src="x">')
        slicer_scene.RemoveNode(patients["Ann"][1]["flair"])
        settle(window)
        assert column(window, 0)[0] == "<b>Ann</b>\\x1b, MR"
        assert "&lt;img" in tip(window, 0)
        assert "<img" not in tip(window, 0)

    def test_volumes_without_a_study_are_told(self, window, slicer_scene):
        window.ui.batchCollapsibleButton.collapsed = False
        load_patient(slicer_scene)
        settle(window)
        assert column(window) == []
        assert "without patient and study: 4" in window.ui.studiesLabel.text
        assert not window.ui.segmentAllButton.enabled

    def test_declined_packages_start_nothing(self, window, patients, dialogs, monkeypatch):
        from BrainTumorSegLib import raw_check, slicer_installer

        monkeypatch.setattr(raw_check, "is_installed", lambda: False)
        monkeypatch.setattr(slicer_installer, "is_installed", lambda: False)
        array = slicer.util.arrayFromVolume(patients["Bob"][1]["t2"])
        array[array == 0] = np.random.default_rng(1).uniform(1, 30, (array == 0).sum())
        slicer.util.arrayFromVolumeModified(patients["Bob"][1]["t2"])
        dialogs.answer = False
        window.acts("hang")
        window.click("segmentAllButton")
        wait(window)
        assert len(dialogs.questions) == 1
        assert "deepbet" in dialogs.questions[0]
        assert column(window) == ["Cancelled", "Cancelled"]
        assert "no consent" in tip(window, 0)


class TestMeanwhile:
    def test_one_run_at_a_time(self, window, patients, slicer_scene, child, monkeypatch):
        window.module.batch.onShow(0)
        window.settle()
        act_in_turn(child, monkeypatch, "polite", "polite")
        window.click("segmentAllButton")
        assert not window.ui.segmentButton.enabled
        assert "Several patients are being segmented" in window.ui.segmentButton.toolTip
        window.module.run.onSegmentButton()
        assert window.module.run.job is None
        window.click("segmentAllButton")
        wait(window)
        assert window.ui.segmentButton.enabled
        window.click("segmentButton")
        assert not window.ui.segmentAllButton.enabled
        assert "A segmentation is running" in window.ui.segmentAllButton.toolTip
        window.click("segmentButton")
        window.run_to_end()
        assert window.ui.segmentAllButton.enabled

    @pytest.mark.parametrize("row", [0, 1])  # the running one, the waiting one
    def test_a_deleted_volume_ends_its_study_alone(
        self, window, patients, slicer_scene, child, monkeypatch, row
    ):
        act_in_turn(child, monkeypatch, "slow write", "write")
        window.click("segmentAllButton")
        window.spin(lambda: "Running" in column(window)[0])
        name = ("Ann", "Bob")[row]
        slicer_scene.RemoveNode(patients[name][1]["t1"])
        wait(window)
        assert set(results(slicer_scene)) == {patients[("Bob", "Ann")[row]][0]}
        assert f"Study {row + 1}: Found no volume T1 'T1' any more" in window.log
        assert "done: 1, failed: 1" in window.ui.statusLabel.text
        settle(window)
        assert column(window)[row] == "Ready, please check"  # the model can do without T1
        assert "The last run failed: Found no volume T1" in tip(window, row)

    @pytest.mark.parametrize("end", ["close", "unload"])
    def test_closing_the_scene_or_the_module_ends_it(
        self, window, patients, slicer_scene, child, monkeypatch, end
    ):
        act_in_turn(child, monkeypatch, "write", "grandchild hang")
        window.click("segmentAllButton")
        batch = window.module.batch.batch
        window.spin(lambda: getattr(batch.job, "process", None) and "grandchild" in window.log)
        process = batch.job.process
        if end == "close":
            slicer_scene.Clear(0)
            assert "of 2 studies 1 had been segmented" in window.ui.statusLabel.text
            assert column(window) == []
        else:
            window.module.cleanup()
        assert process.outcome.state == "cancelled"
        assert not process.temporary_folder.exists()
        assert window.module.batch.batch is None

    def test_a_study_that_comes_is_listed(self, window, patients, slicer_scene):
        _study, volumes = add_patient(slicer_scene, "Cem")
        settle(window)
        assert column(window, 0) == ["Ann, MR", "Bob, MR", "Cem, MR"]
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
        for node in volumes.values():
            hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), hierarchy.GetSceneItemID())
        settle(window)
        assert len(column(window)) == 2
        assert "study: 4" in window.ui.studiesLabel.text


def test_a_collapsed_section_looks_at_nothing(window, slicer_scene, monkeypatch):
    monkeypatch.setattr(window.module.batch._finder, "studies", lambda *_: pytest.fail("looked"))
    start(window, slicer_scene, "write")
    window.run_to_end()
