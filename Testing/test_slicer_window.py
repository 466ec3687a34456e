"""The panel in a real Qt window over a real scene, with real child processes; see slicer_desktop."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from slicer_fixtures import (
    MODALITIES,
    MODULE,
    add_volume,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
    save_and_reload,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip("PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError)

from slicer_desktop import application, qt_names  # noqa: E402
from slicer_desktop.window import Window, load_module  # noqa: E402
from slicer_desktop.window import application as qt_application  # noqa: E402

pytestmark = pytest.mark.slicer
NAMES = {"t1": "T1", "t1c": "T1 Gd", "t2": "T2", "flair": "FLAIR"}


@pytest.fixture
def dialogs(slicer_scene, monkeypatch, tmp_path_factory):
    """What dialogs showed; exceptions that leave a slot fail the test unless it takes them away."""
    qt_application()
    uncaught = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: uncaught.append(error))
    monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(tmp_path_factory.mktemp("user")))
    dialogs = application.install(monkeypatch, tmp_path_factory.mktemp("Slicer"))
    dialogs.uncaught = uncaught
    yield dialogs
    assert uncaught == []


@pytest.fixture
def module(dialogs, monkeypatch):
    """BrainTumorSeg.py as Slicer imports it."""
    return load_module(MODULE / "BrainTumorSeg.py", monkeypatch)


@pytest.fixture
def window(module, dialogs, child, monkeypatch):
    """An opened panel; `acts` says what its child does."""
    from BrainTumorSegLib import logic

    opened = Window(module, dialogs)
    opened.acts = lambda *words: monkeypatch.setattr(logic, "child_environment", lambda: child(*words))
    yield opened
    opened.close()


def load_patient(mrml, names=NAMES, shape=(40, 56, 60)):
    """Four volumes with a bright block; named, as a user loads them."""
    head = np.zeros(shape, np.float32)
    head[4:-4, 6:-6, 6:-6] = 500
    head[10:18, 12:28, 14:30] = 1000
    noise = np.random.default_rng(7)
    matrix = oblique_matrix(spacing=(1.0, 1.0, 2.0))
    return {
        m: add_volume(mrml, names[m], head + (head > 0) * noise.normal(0, 20, shape), matrix)
        for m in MODALITIES
    }


def segmentations(mrml):
    return mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def test_slots_fill_themselves_and_a_click_segments(window, slicer_scene, dialogs):
    volumes = load_patient(slicer_scene)
    window.settle()
    assert {m: getattr(window.parameters, m) for m in MODALITIES} == volumes
    window.screenshot("filled")
    window.acts("steps", "write")
    window.click("segmentButton")
    assert window.ui.segmentButton.text == "Cancel"
    window.run_to_end()
    assert dialogs.errors == []
    window.screenshot("done")
    print(window.log)
