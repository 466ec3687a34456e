"""Follow-up in the panel: segmentations of a scene as visits, compared by the true program."""

import numpy as np
import pytest
from follow_fixtures import balls, head
from slicer_fixtures import (
    add_volume,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
)

from scripted_models.geometry import Grid

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from BrainTumorSegLib.resampling import ras_matrix  # noqa: E402
from BrainTumorSegLib.result_import import import_segmentation  # noqa: E402
from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
)

pytestmark = pytest.mark.slicer
GRID = Grid((48, 54, 36), (2.0, 2.0, 2.6), (-48.0, -54.0, -46.0))
LEFT, RIGHT = (18.0, -8.0, 4.0), (-20.0, 10.0, -6.0)
NAME, DATE, STEROIDS = range(3)
VISITS = (  # date, radii of two balls
    ("20240110", (7.0, 0.0)),
    ("20240310", (9.0, 0.0)),
    ("20240601", (11.0, 8.0)),
)


def add_visit(mrml, day, radii, motion=None, in_study=True):
    """Add a head with balls of tumor and its segmentation, in a study of DICOM."""
    found = [(c, r) for c, r in zip((LEFT, RIGHT), radii, strict=True) if r]
    labels = balls(GRID, *found, motion=motion)
    volume = add_volume(mrml, "Miller T1c", head(GRID, motion), ras_matrix(GRID))
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml)
    if in_study:
        scene_item = hierarchy.GetSceneItemID()
        patient = hierarchy.GetItemChildWithName(scene_item, "Miller")
        patient = patient or hierarchy.CreateSubjectItem(scene_item, "Miller")
        study = hierarchy.CreateStudyItem(patient, "MR")
        hierarchy.SetItemAttribute(study, "DICOM.StudyDate", day)
        hierarchy.CreateItem(study, volume)
    return import_segmentation(mrml, labels, GRID, "Miller T1c tumor", volume)


@pytest.fixture
def follow(window, slicer_scene, monkeypatch):
    """The window over three visits, with the section open and the true program behind it."""
    logic = slicer.vtkSlicerPlotsLogic()
    logic.SetMRMLScene(slicer_scene)
    plots = type("Plots", (), {"logic": lambda self: logic})()
    monkeypatch.setattr(slicer.modules, "plots", plots, raising=False)
    for day, radii in VISITS:
        add_visit(slicer_scene, day, radii)
    window.ui.followCollapsibleButton.collapsed = False
    settle(window)
    return window


def settle(window):
    window.settle()
    window.spin(lambda: not window.module.follow._refreshTimer.isActive())


def compare(window):
    window.click("followButton")
    window.spin(lambda: window.module.follow.job is None)


def cells(table, column):
    return [table.item(row, column).text() for row in range(table.rowCount)]


def nodes(mrml):
    return list(mrml.GetNodesByClass("vtkMRMLSegmentationNode"))


class TestCompare:
    def test_volumes_lesions_and_categories_of_the_true_program(
        self, follow, slicer_scene, dialogs
    ):
        assert cells(follow.ui.visitsTable, DATE) == ["2024-01-10", "2024-03-10", "2024-06-01"]
        follow.ui.registeredCheckBox.checked = True
        compare(follow)
        assert dialogs.errors == []
        table = follow.ui.followTable
        volumes = [float(text) for text in cells(table, 3)]
        wanted = [4 / 3 * np.pi * sum(r**3 for r in radii) / 1000 for _day, radii in VISITS]
        assert volumes == pytest.approx(wanted, rel=0.05)
        assert cells(table, 7)[-1] == "PD"
        assert "new" in follow.ui.followLabel.text
        assert "not an assessment" in follow.ui.followLabel.text
        assert cells(follow.ui.followLesionsTable, 0)[0].startswith("Lesion")
        follow.screenshot("follow-up")
        for secret in ("Miller", "2024"):
            assert secret not in follow.log
