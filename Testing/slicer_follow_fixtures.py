"""Visits in a scene: heads with balls of tumor, studies with dates; what a user does with them."""

import pytest
import slicer
from follow_fixtures import balls, head
from slicer_fixtures import add_volume

from scripted_models.geometry import Grid

NAME, DATE, STEROIDS, CLINICAL = range(4)  # columns of the visits
GRID = Grid((44, 50, 34), (2.2, 2.2, 2.8), (-48.0, -54.0, -46.0))
LEFT, RIGHT = (18.0, -8.0, 4.0), (-20.0, 10.0, -6.0)
VISITS = (  # date, radii of two balls
    ("20240110", (9.0, 0.0)),
    ("20240310", (11.0, 0.0)),
    ("20240601", (13.0, 8.0)),
)


def add_visit(mrml, day="", radii=(9.0, 0.0), motion=None, name="Miller T1c", patient="Miller"):
    """Add a head with balls of tumor and its segmentation, in a study of DICOM if it has a day."""
    from BrainTumorSegLib.resampling import ras_matrix
    from BrainTumorSegLib.result_import import import_segmentation

    found = [(c, r) for c, r in zip((LEFT, RIGHT), radii, strict=True) if r]
    labels = balls(GRID, *found, motion=motion)
    volume = add_volume(mrml, name, head(GRID, motion), ras_matrix(GRID))
    if day:
        put_into_study(mrml, volume, day, patient)
    return import_segmentation(mrml, labels, GRID, f"{name} tumor", volume)


def put_into_study(mrml, volume, day, patient):
    """Put a volume into a study of a day, as the DICOM module does."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml)
    root = hierarchy.GetSceneItemID()
    item = hierarchy.GetItemChildWithName(root, patient)
    item = item or hierarchy.CreateSubjectItem(root, patient)
    study = hierarchy.CreateStudyItem(item, "MR")
    hierarchy.SetItemAttribute(study, "DICOM.StudyDate", day)
    hierarchy.CreateItem(study, volume)


def state_of(mrml):
    """What of the user's nodes must stay: voxels, names, places, segments."""
    import slicer.util

    found = {}
    for node in mrml.GetNodesByClass("vtkMRMLScalarVolumeNode"):
        array = slicer.util.arrayFromVolume(node)
        found[node.GetID()] = node.GetName(), node.GetTransformNodeID(), array.tobytes()
    for node in mrml.GetNodesByClass("vtkMRMLSegmentationNode"):
        held = node.GetSegmentation()
        segments = [(i, held.GetSegment(i).GetName()) for i in held.GetSegmentIDs()]
        found[node.GetID()] = node.GetName(), node.GetTransformNodeID(), segments
    return found


@pytest.fixture(name="follow")
def open_follow(window, slicer_scene, child, monkeypatch):
    """The window over three visits with the section open; `acts` says what the child does."""
    from BrainTumorSegLib import follow_job

    logic = slicer.vtkSlicerPlotsLogic()
    logic.SetMRMLScene(slicer_scene)
    plots = type("Plots", (), {"logic": lambda self: logic})()
    monkeypatch.setattr(slicer.modules, "plots", plots, raising=False)
    window.opened = []
    services = window.qt.QDesktopServices
    monkeypatch.setattr(services, "openUrl", lambda url: window.opened.append(url) or True)
    window.visits = [add_visit(slicer_scene, day, radii) for day, radii in VISITS]
    window.ui.followCollapsibleButton.collapsed = False
    window.acts = lambda *words: monkeypatch.setattr(
        follow_job, "child_environment", lambda: child(*words)
    )
    settle(window)
    return window


def settle(window):
    window.settle()
    window.spin(lambda: not window.module.follow._refreshTimer.isActive())


def wait(window):
    window.spin(lambda: window.module.follow.job is None)
    settle(window)


def compare(window):
    window.click("followButton")
    wait(window)


def column(table, number):
    return [table.item(row, number).text() for row in range(table.rowCount)]


def write(window, row, number, text):
    """Type into a cell."""
    window.ui.visitsTable.item(row, number).setText(text)
    settle(window)


def tick(window, row, chosen=True):
    from PySide6 import QtCore

    state = QtCore.Qt.Checked if chosen else QtCore.Qt.Unchecked
    window.ui.visitsTable.item(row, NAME).setCheckState(state)
    settle(window)


def ticked(window):
    from PySide6 import QtCore

    table = window.ui.visitsTable
    rows = range(table.rowCount)
    return [table.item(row, NAME).checkState() == QtCore.Qt.Checked for row in rows]


def edit(node):
    """Draw a block of enhancing tumor."""
    volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, "enhancing", volume)
    mask[2:6, 4:9, 4:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "enhancing", volume)
