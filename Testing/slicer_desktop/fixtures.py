"""Fixtures: the module, its dialogs, and its panel in a window, over a scene with a patient."""

import sys

import numpy as np
import pytest
from slicer_fixtures import MODULE, SEQUENCES, add_volume, oblique_matrix

from . import application
from .window import Window, load_module
from .window import application as qt_application

NAMES = {"t1": "T1", "t1c": "T1 Gd", "t2": "T2", "flair": "FLAIR"}


@pytest.fixture(name="dialogs")
def make_dialogs(slicer_scene, monkeypatch, tmp_path_factory):
    """What dialogs showed; exceptions that leave a slot fail the test unless it takes them away."""
    qt_application()
    uncaught = []
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: uncaught.append(error))
    monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(tmp_path_factory.mktemp("user")))
    dialogs = application.install(monkeypatch, tmp_path_factory.mktemp("Slicer"))
    dialogs.uncaught = uncaught
    yield dialogs
    assert uncaught == []


@pytest.fixture(name="module")
def import_module(dialogs, monkeypatch):
    """BrainTumorSeg.py as Slicer imports it."""
    return load_module(MODULE / "BrainTumorSeg.py", monkeypatch)


@pytest.fixture(name="window")
def open_window(module, dialogs, child, monkeypatch):
    """An opened panel; `acts` says what its child does."""
    from BrainTumorSegLib import logic

    opened = Window(module, dialogs)
    opened.qt = sys.modules["qt"]
    opened.acts = lambda *words: monkeypatch.setattr(
        logic, "child_environment", lambda: child(*words)
    )
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
        for m in SEQUENCES
    }


def segmentations(mrml):
    return mrml.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")


def start(window, mrml, *acts):
    """Load a patient and press Segment."""
    volumes = load_patient(mrml)
    window.settle()
    window.acts(*acts)
    window.click("segmentButton")
    return volumes
