"""Follow-up in the panel: segmentations of a scene as visits, compared by the true program."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from follow_fixtures import turned
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

from PySide6 import QtCore, QtWidgets  # noqa: E402
from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
)
from slicer_follow_fixtures import GRID, VISITS, add_visit, state_of  # noqa: E402

pytestmark = pytest.mark.slicer
NAME, DATE, STEROIDS, CLINICAL = range(4)  # columns of the visits
WT, ET, BASELINE, NADIR, PRODUCT, CATEGORY = 1, 3, 4, 5, 6, 7  # columns of the comparison


@pytest.fixture
def follow(window, slicer_scene, child, monkeypatch):
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
    state = QtCore.Qt.Checked if chosen else QtCore.Qt.Unchecked
    window.ui.visitsTable.item(row, NAME).setCheckState(state)
    settle(window)


def ticked(window):
    table = window.ui.visitsTable
    rows = range(table.rowCount)
    return [table.item(row, NAME).checkState() == QtCore.Qt.Checked for row in rows]


def edit(node):
    """Draw a block of enhancing tumor."""
    volume = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, "enhancing", volume)
    mask[2:6, 4:9, 4:9] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "enhancing", volume)


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


class TestWhatCounts:
    def test_segments_of_others_are_known_by_name_and_by_terminology(self, slicer_scene):
        from BrainTumorSegLib.scene_visits import scene_visits
        from BrainTumorSegLib.segments import SEGMENTS

        node = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "theirs 2024-01-02")
        held = node.GetSegmentation()
        held.AddEmptySegment("Segment_1", "EDEMA")
        held.AddEmptySegment("Segment_2", "lesion")
        held.GetSegment("Segment_2").SetTag("TerminologyEntry", SEGMENTS[3].terminology)
        other = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "liver 2024-01-02")
        other.GetSegmentation().AddEmptySegment("Segment_1", "liver")
        (visit,) = scene_visits(slicer_scene)
        assert visit.node is node
        assert visit.known == (0, 2, 4)
        assert any("Necrosis and Non-enhancing tumor" in note for note in visit.notes)

    def test_typing_goes_on_while_the_scene_changes(self, follow):
        table = follow.ui.visitsTable
        table.editItem(table.item(0, DATE))
        (editor,) = table.findChildren(QtWidgets.QLineEdit)
        editor.setText("2024-02")
        follow.visits[2].SetName("Another name")
        settle(follow)
        assert "Another name" in column(table, NAME)
        assert editor.text == "2024-02"

    def test_steroids_must_be_a_dose(self, follow):
        write(follow, 0, STEROIDS, "a lot")
        assert "is no dose" in follow.ui.statusLabel.text
        assert column(follow.ui.visitsTable, STEROIDS)[0] == ""

    def test_what_the_user_tells_reaches_the_program(self, follow, slicer_scene, tmp_path):
        from BrainTumorSegLib.visit_export import export_visits

        from scripted_models.follow_up.visit_data import read_visit
        from scripted_models.follow_up.visit_table import read_table

        write(follow, 0, STEROIDS, "2.5")
        follow.ui.visitsTable.cellWidget(1, CLINICAL).setCurrentIndex(1)
        follow.ui.visitsTable.cellWidget(1, CLINICAL + 1).setCurrentIndex(2)
        settle(follow)
        *_, last = export_visits(follow.module.follow.visits, tmp_path, "2023-12-01")
        sources, end = read_table(tmp_path / "visits.tsv")
        assert [source.told.steroids_mg for source in sources] == [2.5, None, None]
        assert (sources[1].told.clinical, sources[1].told.confirmed) == ("better", False)
        assert end.isoformat() == "2023-12-01"
        visit = read_visit(sources[2])
        assert np.array_equal(visit.labels, last.labels)
        assert visit.read_head() is not None
        assert visit.notes == ()

    def test_a_segment_that_is_missing_leaves_its_regions_out(self, follow, tmp_path):
        from BrainTumorSegLib.visit_export import export_visits

        from scripted_models.follow_up.visit_data import read_visit
        from scripted_models.follow_up.visit_table import read_table

        follow.visits[1].GetSegmentation().RemoveSegment("edema")
        settle(follow)
        assert "Without the segment Edema" in follow.ui.visitsTable.item(1, NAME).toolTip()
        list(export_visits(follow.module.follow.visits, tmp_path))
        sources, _end = read_table(tmp_path / "visits.tsv")
        assert [read_visit(source).regions for source in sources[:2]] == [
            ("WT", "TC", "ET"),
            ("TC", "ET"),
        ]

    def test_a_new_result_is_not_the_old_visit(self, follow):
        from BrainTumorSegLib.visit_words import forget_words, keep_words, words_of

        words = words_of(follow.visits[0])
        assert not any(vars(words).values())
        write(follow, 0, DATE, "2020-01-01")
        assert words_of(follow.visits[0]).date == "2020-01-01"
        forget_words(follow.visits[0])
        assert words_of(follow.visits[0]) == words
        keep_words(follow.visits[0], words)

    def test_radiotherapy_and_baseline(self, follow):
        ui = follow.ui
        ui.radiotherapyEdit.text = "soon"
        ui.radiotherapyEdit.editingFinished.emit()
        settle(follow)
        assert "'soon' is no date" in ui.visitsLabel.text
        assert not ui.followButton.enabled
        ui.radiotherapyEdit.text = "2023-12-01"
        ui.radiotherapyEdit.editingFinished.emit()
        ui.baselineComboBox.currentIndex = 3
        settle(follow)
        assert "The last visit is the baseline" in ui.visitsLabel.text
        ui.baselineComboBox.currentIndex = 2
        settle(follow)
        follow.acts("hang")
        follow.click("followButton")
        follow.spin(lambda: follow.module.follow.job.process is not None)
        command = follow.module.follow.job.process.command
        assert command[command.index("--baseline") + 1] == "Visit 2"
        follow.click("followButton")
        wait(follow)


class TestMeanwhile:
    def test_cancel_leaves_nothing(self, follow, slicer_scene, dialogs):
        nodes = slicer_scene.GetNumberOfNodes()
        follow.acts("polite")
        follow.click("followButton")
        follow.spin(lambda: follow.ui.followProgressBar.value > 20)
        assert follow.ui.followButton.text == "Cancel"
        assert not follow.ui.baselineComboBox.enabled
        follow.click("followButton")
        wait(follow)
        assert dialogs.errors == []
        assert slicer_scene.GetNumberOfNodes() == nodes
        assert follow.ui.followButton.text == "Compare"
        assert not follow.ui.followPageButton.enabled

    @pytest.mark.parametrize("end", ["close", "unload"])
    def test_closing_the_scene_or_the_module_ends_it(self, follow, slicer_scene, end):
        follow.acts("grandchild", "hang")
        follow.click("followButton")
        follow.spin(lambda: "grandchild" in follow.log)
        process = follow.module.follow.job.process
        if end == "close":
            slicer_scene.Clear(0)
            settle(follow)
            assert "comparison of visits was ended" in follow.ui.statusLabel.text
            assert follow.ui.visitsTable.rowCount == 0
        else:
            follow.module.cleanup()
        assert process.outcome.state == "cancelled"
        assert not process.temporary_folder.exists()
        assert follow.module.follow.job is None

    def test_a_failure_is_told_in_its_words(self, follow, dialogs):
        follow.acts("error")
        compare(follow)
        assert dialogs.errors == [
            "m/model.pt: found damaged weights, expected whole ones; get it again."
        ]
        assert follow.ui.followButton.enabled

    def test_a_visit_deleted_before_it_was_written_stops_it(self, follow, slicer_scene, dialogs):
        follow.click("followButton")
        slicer_scene.RemoveNode(follow.visits[2])
        wait(follow)
        assert "no segmentation of 2024-06-01 any more" in dialogs.errors[0]
        assert follow.parameters.follow_up is None

    def test_a_collapsed_section_looks_at_nothing(self, follow, slicer_scene, monkeypatch):
        from BrainTumorSegLib.panel import follow_section

        follow.ui.followCollapsibleButton.collapsed = True
        settle(follow)
        monkeypatch.setattr(follow_section, "scene_visits", lambda *_: pytest.fail("looked"))
        add_visit(slicer_scene, "20250101")
        settle(follow)


def test_a_comparison_of_other_visits_leaves_the_former_one(slicer_scene):
    from BrainTumorSegLib.follow_record import store_follow_up, visits_of

    nodes = [slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode") for _ in range(4)]

    def store(chosen, table):
        visits = [{"name": n, "date": "2024-01-10", "days_since_baseline": 0} for n in "12"]
        sizes = {"values_ml": [1, 2], "since_baseline": [None] * 2, "since_nadir": [None] * 2}
        facts = {"visits": visits, "regions": {"ET": sizes}, "lesions": [], "products": None}
        held = tuple(SimpleNamespace(visit=SimpleNamespace(node=node)) for node in chosen)
        result = SimpleNamespace(facts={**facts, "responses": {}}, page="", visits=held)
        return store_follow_up(slicer_scene, result, [], table)

    first = store(nodes[:2], None)
    second = store(nodes[2:], first)
    assert second is not first
    assert visits_of(first) == nodes[:2]
    assert store(nodes[1:3], second) is second


def test_series_of_the_user_stay_in_the_chart(slicer_scene):
    from BrainTumorSegLib.follow_views import update_chart

    facts = {"regions": {"ET": {}, "WT": {}}, "lesions": [{"name": "1"}]}
    table = slicer_scene.AddNewNodeByClass("vtkMRMLTableNode", "Follow-up")
    update_chart(slicer_scene, table, facts)
    chart = slicer_scene.GetFirstNodeByClass("vtkMRMLPlotChartNode")
    own = slicer_scene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", "mine")
    own.SetAndObserveTableNodeID(table.GetID())
    chart.AddAndObservePlotSeriesNodeID(own.GetID())
    update_chart(slicer_scene, table, {**facts, "lesions": []})
    shown = {chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())}
    assert own in shown
    assert len(shown) == slicer_scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 3


@pytest.mark.parametrize("facts", ["", "[]", '{"visits": [1], "regions": {"ET": 3}}', "{"])
def test_a_record_that_cannot_be_read_says_so(follow, slicer_scene, facts):
    table = slicer_scene.AddNewNodeByClass("vtkMRMLTableNode", "theirs")
    table.SetAttribute("BrainTumorSeg.FollowUp", facts)
    follow.parameters.follow_up = table
    settle(follow)
    assert "cannot be read; compare the visits again" in follow.ui.followLabel.text
    assert not follow.ui.followPageButton.enabled
    slicer_scene.RemoveNode(table)
    settle(follow)
    assert follow.ui.followLabel.text == ""


@pytest.mark.parametrize(
    ("percent", "within", "text"),
    [
        (12.6, False, "+13 %"),
        (-3.2, True, "(\N{MINUS SIGN}3 %)"),
        (None, None, ""),
        (4, None, "+4 %"),
        (0.2, False, "0 %"),
    ],
)
def test_changes_within_the_error_stand_in_parentheses(slicer_scene, percent, within, text):
    from BrainTumorSegLib.follow_record import percent_text

    assert percent_text({"percent": percent, "within_error": within}) == text


class TestPrint:
    def test_edits_and_moves_tell_and_a_smaller_box_does_not(self):
        from BrainTumorSegLib.visit_print import is_same, print_of
        from follow_fixtures import balls

        labels = balls(GRID, ((0.0, 0.0, 0.0), 12.0))
        first = print_of(labels, GRID)
        half = GRID.__class__(
            (GRID.size_xyz[0], GRID.size_xyz[1], GRID.size_xyz[2] - 2),
            GRID.spacing_xyz_mm,
            (*GRID.origin_lps_mm[:2], GRID.origin_lps_mm[2] + 2 * GRID.spacing_xyz_mm[2]),
        )
        assert is_same(print_of(labels[2:], half), first)
        assert not is_same(print_of(labels[1:-1], half), first)  # elsewhere
        labels[17, 25, 22] = 1
        assert not is_same(print_of(labels, GRID), first)
        assert not is_same(print_of(labels * 0, GRID), first)


def test_visits_that_moved_come_back_onto_each_other(slicer_scene):
    from BrainTumorSegLib.follow_views import _brought
    from follow_fixtures import balls

    motion = turned()
    moved = balls(GRID, ((18.0, -8.0, 4.0), 12.0), motion=motion) == 4
    still = balls(GRID, ((18.0, -8.0, 4.0), 12.0)) == 4
    inverse = motion.GetInverse()
    start = np.array(inverse.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.array(inverse.TransformPoint(p)) - start for p in np.eye(3).tolist()]
    matrix = np.vstack([np.column_stack([*axes, start]), [0, 0, 0, 1]])
    back = _brought(moved.astype(np.uint8), GRID, matrix, GRID) > 0
    assert 2 * (back & still).sum() / (back.sum() + still.sum()) > 0.9
