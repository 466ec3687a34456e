"""The terms of the shipped networks: shown once, kept, and asked of nobody who cannot answer."""

from types import SimpleNamespace

import pytest
from slicer_fixtures import (
    MODULE,
    ROOT,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from BrainTumorSegLib.first_use import EDITION, SETTING, require_acceptance  # noqa: E402
from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
    segmentations,
    start,
)

pytestmark = pytest.mark.slicer
TERMS = ("BraTS", "research only", "CC BY-NC-SA 3.0")


@pytest.fixture
def new_user(dialogs):
    slicer.app.settings.clear()
    return dialogs


def test_who_declines_segments_nothing_and_is_asked_again(window, slicer_scene, new_user):
    new_user.answer = False
    start(window, slicer_scene, "steps", "write")
    (question,) = new_user.questions
    assert all(word.lower() in question.lower() for word in TERMS)
    assert window.module.run.job is None
    assert segmentations(slicer_scene) == 0
    assert "not accepted" in window.ui.statusLabel.text
    assert SETTING not in slicer.app.settings
    window.click("segmentButton")
    assert len(new_user.questions) == 2


def test_who_accepts_is_never_asked_again(window, slicer_scene, new_user):
    start(window, slicer_scene, "steps", "write")
    window.run_to_end()
    assert segmentations(slicer_scene) == 1
    window.acts("hang")
    window.click("segmentButton")
    assert len(new_user.questions) == 1
    assert slicer.app.settings == {SETTING: EDITION}


def test_a_settings_file_may_turn_texts_into_numbers(dialogs):
    slicer.app.settings[SETTING] = int(EDITION)
    require_acceptance(SimpleNamespace(may_install=lambda: True))  # asking would fail


def test_nobody_is_asked_in_tests_or_without_the_application(new_user):
    require_acceptance(SimpleNamespace(may_install=lambda: False))
    assert new_user.questions == []
    assert SETTING not in slicer.app.settings


@pytest.mark.parametrize(
    "place",
    [
        ROOT / "CMakeLists.txt",  # the catalog's description
        MODULE / "BrainTumorSeg.py",  # the help text
        MODULE / "BrainTumorSegLib" / "first_use.py",
        ROOT / "LICENSE-WEIGHTS.md",
        ROOT / "scripted_models" / "README.md",  # the page of the package
    ],
    ids=lambda place: place.name,
)
def test_terms_stand_wherever_somebody_meets_the_networks(place):
    text = place.read_text(encoding="utf-8").lower()
    assert all(word.lower() in text for word in TERMS)
