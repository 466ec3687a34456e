"""Follow-up in the scene: its records, charts and placed tumors."""

from types import SimpleNamespace

import numpy as np
import pytest
from follow_fixtures import turned
from slicer_fixtures import (
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
    make_dialogs,  # noqa: F401 - the fixture dialogs
    open_window,  # noqa: F401 - the fixture window
)
from slicer_follow_fixtures import (  # noqa: E402
    GRID,
    open_follow,  # noqa: F401 - the fixture follow
    settle,
)

pytestmark = pytest.mark.slicer
WT, ET, BASELINE, NADIR, PRODUCT, CATEGORY = 1, 3, 4, 5, 6, 7  # columns of the comparison


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
