"""What 3D Slicer itself writes of the module's result reads back as what it was."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from slicer_fixtures import (
    SHAPE,
    add_volume,
    linear_pattern,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
pytest.importorskip("vtk")

from BrainTumorSegLib import resampling, result_import  # noqa: E402

from scripted_models.cases.label_maps import read_labels  # noqa: E402

pytestmark = pytest.mark.slicer
KNOWN = [(0, *some) for count in (1, 2, 3, 4) for some in combinations((1, 2, 3, 4), count)]


def make_node(scene, known, regions=False):
    matrix = oblique_matrix()
    reference = add_volume(scene, "T1c", linear_pattern(matrix, SHAPE), matrix)
    labels = np.random.default_rng(0).choice(np.array(known, np.uint8), SHAPE)
    grid, options = resampling.world_grid(reference), result_import.ResultOptions(regions=regions)
    node = result_import.import_segmentation(
        scene, labels, grid, "Tumor", reference, known=known, options=options
    )
    return node, labels, grid


def saved(node, path: Path) -> Path:
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetScene(node.GetScene())
    storage.SetFileName(str(path))
    assert storage.WriteData(node)
    return path


def read(path):
    return read_labels(path, None, lambda: pytest.fail("nothing states the coding"))


@pytest.mark.parametrize("known", KNOWN, ids=str)
@pytest.mark.parametrize("regions", [False, True])
def test_saved_segmentation(slicer_scene, tmp_path, known, regions):
    node, labels, grid = make_node(slicer_scene, known, regions)
    found = read(saved(node, tmp_path / "case.seg.nrrd"))
    assert np.array_equal(found.labels, labels)
    assert found.grid.matches(grid)
    assert found.coding.regions == ("WT", "TC", "ET")


@pytest.mark.parametrize("known", KNOWN, ids=str)
@pytest.mark.parametrize("extension", ["nii.gz", "nrrd"])
def test_exported_label_map_with_its_table(slicer_scene, tmp_path, known, extension):
    node, labels, _ = make_node(slicer_scene, known)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.ExportSegmentsBinaryLabelmapRepresentationToFiles(
        str(tmp_path), node, None, extension, True
    )
    assert np.array_equal(read(tmp_path / f"Tumor.{extension}").labels, labels)


def test_renamed_in_another_language_the_segments_keep_their_meaning(slicer_scene, tmp_path):
    node, labels, _ = make_node(slicer_scene, (0, 1, 2, 4))
    for index, name in enumerate(("A", "B", "C")):
        node.GetSegmentation().GetNthSegment(index).SetName(name)
    found = read(saved(node, tmp_path / "case.seg.nrrd"))
    assert np.array_equal(found.labels, labels)
    assert [note.split("segment ")[1] for note in found.notes] == [
        "'A' is read as necrosis by its terminology.",
        "'B' is read as edema by its terminology.",
        "'C' is read as enhancing by its terminology.",
    ]


def test_renamed_segments_mean_what_their_names_say(slicer_scene, tmp_path):
    node, labels, _ = make_node(slicer_scene, (0, 1, 2, 4))
    for index, name in enumerate(("Oedema", "ET", "NCR")):
        node.GetSegmentation().GetNthSegment(index).SetName(name)
    found = read(saved(node, tmp_path / "case.seg.nrrd"))
    assert np.array_equal(found.labels, np.array([0, 2, 4, 0, 1], np.uint8)[labels])
    assert all("by its name, although its terminology differs" in note for note in found.notes)
    assert len(found.notes) == 3
