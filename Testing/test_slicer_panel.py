"""BrainTumorSeg.py itself, loaded over stand-ins for Qt, driven over a real scene and a real child."""

import importlib.util
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import slicer_stand_ins
from slicer_fixtures import (
    MODALITIES,
    MODULE,
    add_volume,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

pytestmark = pytest.mark.slicer


@pytest.fixture
def errors():
    """What error dialogs would have shown."""
    return []


@pytest.fixture
def module(slicer_scene, monkeypatch, errors):
    """The module, imported as Slicer does it."""
    slicer_stand_ins.install(monkeypatch, errors)
    spec = importlib.util.spec_from_file_location("BrainTumorSeg", MODULE / "BrainTumorSeg.py")
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "BrainTumorSeg", loaded)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def panel(module, child, monkeypatch):
    """An opened panel whose child does given acts."""
    from BrainTumorSegLib import logic

    widget = module.BrainTumorSegWidget(SimpleNamespace(isEntered=True))
    widget.setup()

    def acts(*words):
        monkeypatch.setattr(logic, "child_environment", lambda: child(*words))

    widget.acts = acts
    yield widget
    widget.cleanup()


def choose_volumes(widget, mrml):
    array = np.full((8, 9, 10), 500, np.float32)
    array[2:5, 3:6, 4:7] = 1000
    for index, modality in enumerate(MODALITIES):
        node = add_volume(mrml, modality, array + index, oblique_matrix())
        setattr(widget._parameterNode, modality, node)


def run_to_end(widget):
    until = time.monotonic() + 30
    while widget._timer.active:
        widget._timer.timeout.emit()
        assert time.monotonic() < until
        time.sleep(0.01)


def segmentations(mrml):
    return mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def test_module_tells_slicer_about_itself(module, monkeypatch):
    connected, loaded = {}, []
    app = SimpleNamespace(connect=connected.__setitem__)
    monkeypatch.setattr(slicer, "app", app, raising=False)
    parent = module.BrainTumorSeg(SimpleNamespace()).parent
    assert parent.categories == ["Segmentation"]
    assert "not for clinical use" in parent.helpText
    logic = SimpleNamespace(LoadTerminologyFromFile=loaded.append)
    slicer.modules.terminologies = SimpleNamespace(logic=lambda: logic)
    connected["startupCompleted()"]()
    assert loaded == [str(module.TERMINOLOGY_FILE)]
    assert module.TERMINOLOGY_FILE.is_file()


def test_button_says_what_is_missing(panel, slicer_scene):
    button = panel.ui.segmentButton
    assert not button.enabled
    assert "No volume is chosen for T1, T1c, T2, FLAIR" in button.toolTip
    choose_volumes(panel, slicer_scene)
    assert button.enabled
    panel._parameterNode.t2 = panel._parameterNode.t1
    assert not button.enabled
    assert "four different volumes" in button.toolTip


def test_click_gives_a_segmentation(panel, slicer_scene, errors):
    choose_volumes(panel, slicer_scene)
    panel.acts("steps", "write")
    panel.ui.segmentButton.clicked.emit(False)
    assert panel.ui.segmentButton.text == "Cancel"
    run_to_end(panel)
    assert errors == []
    node = panel._parameterNode.segmentation
    assert node.GetSegmentation().GetNumberOfSegments() == 4
    assert panel.ui.segmentButton.text == "Segment"
    assert "the brain looks small" in panel.ui.logText.lines
    assert panel.ui.logText.lines[-1].startswith("Done:")


def test_progress_shows_stage_percent_and_time_and_never_falls(panel, slicer_scene):
    choose_volumes(panel, slicer_scene)
    panel.acts("steps", "hang")  # the latter says 20 % after the former said 100 %
    panel.ui.segmentButton.clicked.emit(False)
    shown = [(0, "")]
    until = time.monotonic() + 30
    while "the brain looks small" not in panel.ui.logText.lines and time.monotonic() < until:
        panel._timer.timeout.emit()
        shown.append((panel.ui.progressBar.value, panel.ui.progressBar.format))
        time.sleep(0.01)
    values = [value for value, _ in shown]
    assert values == sorted(values)
    assert values[-1] == 100
    assert shown[-1][1].startswith("%p% network")


def test_second_click_cancels(panel, slicer_scene, errors):
    choose_volumes(panel, slicer_scene)
    panel.acts("polite")
    panel.ui.segmentButton.clicked.emit(False)
    panel.ui.segmentButton.clicked.emit(False)
    assert not panel.ui.segmentButton.enabled
    run_to_end(panel)
    assert errors == []
    assert segmentations(slicer_scene) == 0
    assert panel.ui.segmentButton.enabled


def test_failure_shows_one_sentence_and_details(panel, slicer_scene, errors):
    choose_volumes(panel, slicer_scene)
    panel.acts("traceback")
    panel.ui.segmentButton.clicked.emit(False)
    run_to_end(panel)
    ((text, options),) = errors
    assert "thing went wrong" in text
    assert "Traceback" in options["detailedText"]
    assert segmentations(slicer_scene) == 0


def test_volumes_that_cannot_be_used_are_told_at_once(panel, slicer_scene, errors):
    choose_volumes(panel, slicer_scene)
    panel._parameterNode.t2.SetOrigin(9000, 0, 0)
    panel.ui.segmentButton.clicked.emit(False)
    run_to_end(panel)
    assert "does not overlap" in errors[0][0]
    assert not panel._timer.active
    assert panel.ui.segmentButton.text == "Segment"


@pytest.mark.parametrize("end", ["close", "unload"])
def test_closing_the_scene_or_the_module_ends_the_run(panel, slicer_scene, end):
    choose_volumes(panel, slicer_scene)
    panel.acts("grandchild", "hang")
    panel.ui.segmentButton.clicked.emit(False)
    while panel._job.process is None:
        panel._timer.timeout.emit()
    process = panel._job.process
    if end == "close":
        slicer_scene.Clear(0)
    else:
        panel.cleanup()
    assert process.outcome.state == "cancelled"
    assert not process.temporary_folder.exists()
    assert not panel._timer.active


def test_leaving_the_module_lets_the_run_go_on(panel, slicer_scene):
    choose_volumes(panel, slicer_scene)
    panel.acts("steps", "write")
    panel.ui.segmentButton.clicked.emit(False)
    panel.exit()
    run_to_end(panel)
    assert segmentations(slicer_scene) == 1
    panel.enter()
    assert panel._parameterNode is not None


def test_self_test_of_the_module(module, monkeypatch):
    """The part of 'Reload and Test' that needs no network."""

    def add_from_array(array, name):
        return add_volume(slicer.mrmlScene, name, array)

    monkeypatch.setattr(slicer.util, "addVolumeFromArray", add_from_array)
    test = module.BrainTumorSegTest()
    test.setUp()
    test.test_segmentsKeepTheirVoxels()
