"""Follow-up in the panel: segmentations of a scene as visits, compared by the true program."""

from pathlib import Path

import numpy as np
import pytest
from slicer_children import HOSTILE
from slicer_fixtures import (
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    save_and_reload,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from PySide6 import QtCore  # noqa: E402
from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
)
from slicer_follow_fixtures import (  # noqa: E402
    CLINICAL,
    DATE,
    GRID,
    NAME,
    STEROIDS,
    VISITS,
    add_visit,
    column,
    compare,
    edit,
    open_follow,  # noqa: F401 - the fixture follow
    settle,
    state_of,
    tick,
    ticked,
    write,
)

pytestmark = pytest.mark.slicer
WT, ET, BASELINE, NADIR, PRODUCT, CATEGORY = 1, 3, 4, 5, 6, 7  # columns of the comparison


class TestTrueProgram:
    def test_three_visits_compared_shown_saved_and_edited(
        self, follow, slicer_scene, dialogs, tmp_path
    ):
        ui, before = follow.ui, state_of(slicer_scene)
        assert column(ui.visitsTable, DATE) == ["2024-01-10", "2024-03-10", "2024-06-01"]
        assert not ui.followTable.visible
        write(follow, 1, STEROIDS, "4")
        ui.visitsTable.cellWidget(2, CLINICAL).setCurrentIndex(3)  # worse
        ui.registeredCheckBox.checked = True
        compare(follow)
        assert dialogs.errors == []
        assert {name: state_of(slicer_scene)[name] for name in before} == before
        volumes = [float(text) for text in column(ui.followTable, ET)]
        wanted = [4 / 3 * np.pi * sum(r**3 for r in radii) / 1000 for _day, radii in VISITS]
        assert volumes == pytest.approx(wanted, rel=0.05)
        grown = f"+{round(100 * (volumes[1] / volumes[0] - 1))} %"
        assert column(ui.followTable, BASELINE)[:2] == ["", grown]
        assert column(ui.followTable, CATEGORY)[1:] == ["PD / PD", "PD / PD"]
        assert "calculated by imaging rules" in ui.followTable.item(1, 0).toolTip()
        assert len(column(ui.followLesionsTable, 0)) == 2
        assert "Visit 3: lesion 2 is new." in ui.followLabel.text
        assert "not an assessment" in ui.followLabel.text
        for secret in ("Miller", "2024"):  # the log is copied into bug reports
            assert secret not in follow.log
        follow.screenshot("follow-up")
        _check_scene(slicer_scene, follow.parameters.follow_up, volumes)
        _check_views(follow, slicer_scene)

        save_and_reload(slicer_scene, tmp_path)
        settle(follow)
        assert [float(text) for text in column(ui.followTable, ET)] == volumes
        follow.spin(lambda: len(follow.module.follow._changes._seen) == 3)
        assert "Edited" not in ui.followLabel.text
        assert column(ui.visitsTable, STEROIDS) == ["", "4", ""]
        nodes = follow.module.follow.visits
        edit(nodes[1].node)
        slicer_scene.RemoveNode(nodes[2].node)
        settle(follow)
        assert "Edited or deleted since: Visit 2 and Visit 3." in ui.followLabel.text
        assert column(ui.followTable, 0)[1].startswith("Visit 2*")

    def test_places_in_the_world_count(self, follow, slicer_scene, dialogs):
        """A visit under a transform is registered from where it is seen."""
        from BrainTumorSegLib.follow_record import facts_of
        from BrainTumorSegLib.resampling import LPS_RAS

        motion = np.eye(4)
        motion[:3, 3] = 5.0, -3.0, 4.0
        node = slicer_scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(motion))
        volume = follow.visits[1].GetNodeReference(
            follow.visits[1].GetReferenceImageGeometryReferenceRole()
        )
        for moved in (volume, follow.visits[1]):
            moved.SetAndObserveTransformNodeID(node.GetID())
        tick(follow, 2, False)
        compare(follow)
        assert dialogs.errors == []
        matrix = facts_of(follow.parameters.follow_up)["visits"][1]["reference_to_visit_lps"]
        wanted = LPS_RAS @ motion @ LPS_RAS
        assert np.allclose(matrix, wanted, atol=0.3)


def _check_scene(mrml, table, volumes):
    """The table has numbers, the chart draws them, the registered tumors lie on each other."""
    names = [table.GetColumnName(n) for n in range(table.GetNumberOfColumns())]
    days = [table.GetCellText(row, names.index("Day")) for row in range(3)]
    assert [float(day) for day in days] == [0, 60, 143]
    chart = mrml.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    for number in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(number)
        assert {series.GetXColumnName(), series.GetYColumnName()} <= set(names)
    assert chart.GetNumberOfPlotSeriesNodes() == 3 + 2
    registered = table.GetNodeReference("BrainTumorSeg.registered")
    masks = [
        slicer.util.arrayFromSegmentBinaryLabelmap(registered, f"visit{n}") > 0 for n in (1, 2, 3)
    ]
    ml = [mask.sum() * GRID.voxel_volume_ml for mask in masks]
    assert ml == pytest.approx(volumes, rel=0.1)
    assert "2024" in registered.GetSegmentation().GetSegment("visit1").GetName()


def _check_views(window, mrml):
    """A row shows its visit; the curves come and go with the layout; the page opens."""
    composite = mrml.AddNode(slicer.vtkMRMLSliceCompositeNode())
    window.ui.followTable.cellClicked.emit(1, 0)
    node = window.visits[1]
    volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    assert composite.GetBackgroundVolumeID() == volume.GetID()
    shown = [visit.GetDisplayNode().GetVisibility() for visit in window.visits]
    assert shown == [0, 1, 0]
    layout = slicer.app.layoutManager().GetLayoutNode()
    mrml.AddNode(layout)
    layout.SetViewArrangement(layout.SlicerLayoutFourUpView)
    window.click("curvesButton")
    assert layout.GetViewArrangement() != layout.SlicerLayoutFourUpView
    window.click("curvesButton")
    assert layout.GetViewArrangement() == layout.SlicerLayoutFourUpView
    window.click("followPageButton")
    (page,) = window.opened
    text = Path(page.toLocalFile()).read_text(encoding="utf-8")
    assert "not an assessment" in text
    assert "default-src 'none'" in text.partition("<body")[0]


class TestDates:
    def test_a_visit_without_a_date_cannot_be_chosen_until_it_is_typed(self, follow, slicer_scene):
        node = add_visit(slicer_scene)
        settle(follow)
        assert column(follow.ui.visitsTable, DATE)[3] == ""
        assert ticked(follow) == [True, True, True, False]
        flags = follow.ui.visitsTable.item(3, NAME).flags()
        assert not flags & QtCore.Qt.ItemIsUserCheckable
        assert "No date is known" in follow.ui.visitsTable.item(3, DATE).toolTip()
        assert "not to be chosen: 1" in follow.ui.visitsLabel.text
        write(follow, 3, DATE, "2024-02-31")
        assert "is no date" in follow.ui.statusLabel.text
        assert column(follow.ui.visitsTable, DATE)[3] == ""
        write(follow, 3, DATE, "20240201")
        dates = column(follow.ui.visitsTable, DATE)
        assert dates == ["2024-01-10", "2024-02-01", "2024-03-10", "2024-06-01"]
        assert ticked(follow) == [True] * 4
        write(follow, 1, DATE, "")  # the typed one is taken back
        assert node.GetAttribute("BrainTumorSeg.Visit") is None
        assert column(follow.ui.visitsTable, DATE)[3] == ""

    @pytest.mark.parametrize(
        ("name", "day", "found", "doubt"),
        [
            ("scan 2023-05-06", "", "2023-05-06", ""),
            ("ses-20230506 T1c", "", "2023-05-06", ""),
            ("scan 2023-05-06", "20230508", "2023-05-08", "DICOM is taken"),
            ("scan 2023-05-06", "20230506", "2023-05-06", ""),
            ("2023-05-06 to 2023-07-08", "", "", ""),
            ("scan 12345678", "", "", ""),
        ],
    )
    def test_dates_of_names_and_of_dicom(self, slicer_scene, name, day, found, doubt):
        from BrainTumorSegLib.scene_visits import scene_visits

        add_visit(slicer_scene, day, name=name)
        (visit,) = scene_visits(slicer_scene)
        assert visit.date == found
        assert bool(visit.problem) == (not found)
        assert doubt in visit.when.doubt

    def test_of_one_date_one_is_proposed_and_two_are_refused(self, follow, slicer_scene):
        add_visit(slicer_scene, "20240310", name="again")
        settle(follow)
        assert ticked(follow) == [True, False, True, True]
        tick(follow, 1)  # instead of the other one
        assert ticked(follow) == [True, True, False, True]
        tick(follow, 2)
        assert not follow.ui.followButton.enabled
        assert "of 2024-03-10; choose one" in follow.ui.visitsLabel.text
        tick(follow, 2, False)
        assert follow.ui.followButton.enabled

    def test_visits_of_another_patient_are_not_proposed_and_told(self, follow, slicer_scene):
        add_visit(slicer_scene, "20240501", patient="Smith")
        settle(follow)
        assert ticked(follow) == [True, True, False, True]
        tick(follow, 2)
        assert "several patients" in follow.ui.visitsLabel.text

    def test_names_are_no_markup(self, follow):
        follow.visits[0].SetName(HOSTILE)
        settle(follow)
        assert "\\x1b" in column(follow.ui.visitsTable, NAME)[0]
        assert "<img" not in follow.ui.visitsTable.item(0, NAME).toolTip()
