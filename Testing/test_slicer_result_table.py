"""The table of a segmentation: numbers against the label map, edits, transforms, CSV."""

import csv

import numpy as np
import pytest
from slicer_fixtures import (
    add_linear_transform,
    add_volume,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
    rigid_matrix,
    save_and_reload,
    thin_plate_transform,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib import resampling, result_table  # noqa: E402
from BrainTumorSegLib.result_import import ResultOptions, import_segmentation  # noqa: E402

from scripted_models.errors import InputError, ResourceError  # noqa: E402
from scripted_models.labels import REGIONS, region_mask  # noqa: E402
from scripted_models.measurement.diameters import axial_diameters  # noqa: E402

pytestmark = pytest.mark.slicer
SHAPE = (12, 20, 24)
REGION_ROWS = {
    "WT": "Whole tumor",
    "TC": "Tumor core",
    "ET": "Enhancing tumor region",
}


@pytest.fixture
def reference(slicer_scene):
    """An oblique, anisotropic T1c volume."""
    return add_volume(slicer_scene, "T1c", np.ones(SHAPE, np.float32), oblique_matrix())


@pytest.fixture
def labels():
    """Nested blocks of all labels."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:10, 3:17, 2:20] = 2
    labels[3:8, 5:14, 5:16] = 3
    labels[4:7, 6:12, 7:14] = 4
    labels[5, 8:10, 9:12] = 1
    return labels


def segmented(mrml, labels, reference, **options):
    grid = resampling.world_grid(reference)
    return import_segmentation(mrml, labels, grid, "Tumor", reference, **options)


def rows_of(table):
    names = [table.GetColumnName(i) for i in range(table.GetNumberOfColumns())]
    rows = range(table.GetNumberOfRows())
    cells = [[table.GetCellText(row, i) for i in range(len(names))] for row in rows]
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells}


def test_rows_hold_voxels_volumes_and_diameters(slicer_scene, labels, reference):
    node = segmented(slicer_scene, labels, reference)
    rows = rows_of(result_table.update_table(slicer_scene, node))
    grid = resampling.world_grid(reference)
    for label, name in enumerate(
        ("Necrosis", "Edema", "Non-enhancing tumor", "Enhancing tumor"), 1
    ):
        count = int((labels == label).sum())
        assert int(rows[name]["Voxels"]) == count
        assert float(rows[name]["Volume (mL)"]) == pytest.approx(
            count * 0.9 * 1.1 * 2.5e-3, abs=1e-3
        )
    for region in REGIONS:
        assert int(rows[REGION_ROWS[region]]["Voxels"]) == region_mask(labels, region).sum()
    expected = axial_diameters(labels == 4, grid)
    for name in ("Enhancing tumor", "Enhancing tumor region"):
        assert float(rows[name]["Length (mm)"]) == pytest.approx(expected.longest_mm, abs=0.06)
        found = float(rows[name]["Width (mm)"])
        assert found == pytest.approx(expected.perpendicular_mm, abs=0.06)
    assert rows["Edema"]["Length (mm)"] == ""


def test_labels_and_regions_that_the_model_does_not_know_have_no_row(
    slicer_scene, labels, reference
):
    labels[labels > 1] = 2
    node = segmented(slicer_scene, labels, reference, known=(0, 1, 2))
    rows = rows_of(result_table.update_table(slicer_scene, node))
    assert "Enhancing tumor" not in rows
    assert "Enhancing tumor region" not in rows


def test_edits_and_deletions_count_and_the_table_is_reused(slicer_scene, labels, reference):
    node = segmented(slicer_scene, labels, reference, options=ResultOptions(regions=True))
    table = result_table.update_table(slicer_scene, node)
    edited = np.zeros(SHAPE, np.uint8)
    edited[6, 4:14, 3] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(edited, node, "enhancing", reference)
    node.GetSegmentation().RemoveSegment("necrosis")
    assert result_table.update_table(slicer_scene, node, table) is table
    rows = rows_of(table)
    assert rows["Enhancing tumor"]["Voxels"] == "10"
    assert rows["Enhancing tumor"]["Length (mm)"] == "11.0"
    assert rows["Enhancing tumor"]["Width (mm)"] == "0.9"
    assert "Necrosis" not in rows
    # the painted voxels overlap the edema, and the union counts them once
    core = (labels == 3) | (edited > 0)
    assert int(rows["Tumor core"]["Voxels"]) == core.sum()


def test_empty_result_is_zeros(slicer_scene, reference):
    node = segmented(slicer_scene, np.zeros(SHAPE, np.uint8), reference)
    rows = rows_of(result_table.update_table(slicer_scene, node))
    assert {row["Voxels"] for row in rows.values()} == {"0"}
    assert {row["Length (mm)"] for row in rows.values()} == {""}


def test_rigid_transform_changes_no_size_and_a_bend_is_refused(slicer_scene, labels, reference):
    node = segmented(slicer_scene, labels, reference)
    before = result_table.measure_segments(node)
    node.SetAndObserveTransformNodeID(add_linear_transform(slicer_scene, rigid_matrix()).GetID())
    assert result_table.measure_segments(node) == before
    doubled = add_linear_transform(slicer_scene, np.diag([2, 2, 2, 1]))
    node.SetAndObserveTransformNodeID(doubled.GetID())
    assert result_table.measure_segments(node)[0][2] == pytest.approx(8 * before[0][2], rel=0.01)
    node.SetAndObserveTransformNodeID(thin_plate_transform(slicer_scene).GetID())
    with pytest.raises(InputError, match="bends or shears"):
        result_table.update_table(slicer_scene, node)


def test_other_segmentations_are_refused_and_leave_no_table(slicer_scene):
    node = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    node.GetSegmentation().AddEmptySegment("liver", "liver")
    with pytest.raises(InputError, match="found no segment"):
        result_table.update_table(slicer_scene, node)
    assert slicer_scene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0


def test_surfaces_alone_are_refused_rather_than_measured_as_nothing(
    slicer_scene, labels, reference
):
    node = segmented(slicer_scene, labels, reference, options=ResultOptions(surface_smoothing=0.5))
    segmentation = node.GetSegmentation()
    segmentation.SetSourceRepresentationName("Closed surface")
    segmentation.RemoveRepresentation("Binary labelmap")
    with pytest.raises(InputError, match="surfaces only"):
        result_table.measure_segments(node)


def test_segments_without_any_voxels_are_zeros(slicer_scene):
    node = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "new")
    node.GetSegmentation().AddEmptySegment("enhancing", "Enhancing tumor")
    rows = result_table.measure_segments(node)
    assert rows == [(name, 0, 0, "", "") for name in ("Enhancing tumor", "Enhancing tumor region")]


def test_segment_edited_on_a_finer_grid_keeps_all_volumes(slicer_scene, labels, reference):
    node = segmented(slicer_scene, labels, reference)
    before = result_table.measure_segments(node)
    matrix = oblique_matrix()
    matrix[:3, 3] -= matrix[:3, :3] @ (0.25, 0.25, 0.25)
    matrix[:3, :3] /= 2
    fine = np.kron(labels == 4, np.ones((2, 2, 2))).astype(np.uint8)
    volume = add_volume(slicer_scene, "fine", fine, matrix)
    slicer.util.updateSegmentBinaryLabelmapFromArray(fine, node, "enhancing", volume)
    after = result_table.measure_segments(node)
    assert [row[2] for row in after] == pytest.approx([row[2] for row in before], abs=2e-3)


def test_table_lies_beside_its_segmentation_and_bears_its_name(slicer_scene, labels, reference):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
    nodes = [segmented(slicer_scene, labels, reference) for _ in range(2)]
    studies = [hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), n) for n in ("one", "two")]
    for node, study, name in zip(nodes, studies, ("first", "second"), strict=True):
        node.SetName(name)
        hierarchy.CreateItem(study, node)
    table = None
    for node, study in zip(nodes, studies, strict=True):
        table = result_table.update_table(slicer_scene, node, table)
        assert table.GetName() == f"{node.GetName()} sizes"
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(table)) == study
    table.SetName("of the user")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(table), studies[0])
    result_table.update_table(slicer_scene, nodes[1], table)
    assert table.GetName() == "of the user"
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(table)) == studies[0]


def test_table_survives_saving_and_knows_its_segmentation(
    slicer_scene, labels, reference, tmp_path
):
    node = segmented(slicer_scene, labels, reference)
    before = rows_of(result_table.update_table(slicer_scene, node))
    save_and_reload(slicer_scene, tmp_path)
    table = slicer_scene.GetFirstNodeByClass("vtkMRMLTableNode")
    assert rows_of(table) == before
    assert table.GetNodeReference(result_table.SEGMENTATION_ROLE).GetName() == "Tumor"
    assert table.GetLocked()


def test_csv_is_whole_or_absent(slicer_scene, labels, reference, tmp_path):
    table = result_table.update_table(slicer_scene, segmented(slicer_scene, labels, reference))
    result_table.write_csv(table, tmp_path / "sizes.csv")
    with open(tmp_path / "sizes.csv", encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert tuple(header) == result_table.COLUMNS
    assert {row[0]: dict(zip(header, row, strict=True)) for row in rows} == rows_of(table)
    with pytest.raises(ResourceError):
        result_table.write_csv(table, tmp_path / "absent" / "sizes.csv")
