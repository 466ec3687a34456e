"""Follow-up in the panel: what counts as a visit, and what happens to visits meanwhile."""

import numpy as np
import pytest
from slicer_fixtures import (
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip(
    "PySide6.QtWidgets", reason="Qt's libraries are incomplete", exc_type=ImportError
)

from PySide6 import QtWidgets  # noqa: E402
from slicer_desktop.fixtures import (  # noqa: E402
    import_module,  # noqa: F401 - the fixture module
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
)
from slicer_follow_fixtures import (  # noqa: E402
    CLINICAL,
    DATE,
    NAME,
    STEROIDS,
    add_visit,
    column,
    compare,
    open_follow,  # noqa: F401 - the fixture follow
    settle,
    wait,
    write,
)

pytestmark = pytest.mark.slicer
WT, ET, BASELINE, NADIR, PRODUCT, CATEGORY = 1, 3, 4, 5, 6, 7  # columns of the comparison


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
