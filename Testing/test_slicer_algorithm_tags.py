"""What segments say of their origin: automatic as the model gave them, else edited."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from slicer_fixtures import (
    SHAPE,
    add_linear_transform,
    add_volume,
    linear_pattern,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
    rigid_matrix,
    save_and_reload,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
vtk = pytest.importorskip("vtk")

from BrainTumorSegLib import algorithm_tags, resampling, result_import  # noqa: E402
from BrainTumorSegLib.case_data import keep_first_result  # noqa: E402
from BrainTumorSegLib.previous_result import restore_previous  # noqa: E402
from BrainTumorSegLib.segments import REGION_SEGMENTS, SEGMENTS  # noqa: E402

pytestmark = pytest.mark.slicer
AUTOMATIC, EDITED = "AUTOMATIC", "SEMIAUTOMATIC"


def result(scene, seed=4, target=None, regions=False):
    """A segmentation as a run leaves it."""
    matrix = oblique_matrix()
    reference = add_volume(scene, "T1c", linear_pattern(matrix, SHAPE), matrix)
    labels = np.random.default_rng(seed).integers(0, 5, SHAPE).astype(np.uint8)
    grid = resampling.world_grid(reference)
    told = {
        "BrainTumorSeg.Model": "default",
        "BrainTumorSeg.Report": json.dumps({"grid": asdict(grid)}),
    }
    options = result_import.ResultOptions(regions=regions)
    node = result_import.import_segmentation(
        scene, labels, grid, "Tumor", reference, told, target, options=options
    )
    keep_first_result(node, labels)
    algorithm_tags.follow_edits(node)
    return node, reference


def kinds(node):
    """Return what the segments say, in order."""
    segmentation = node.GetSegmentation()
    return [
        tag(segmentation.GetNthSegment(i), algorithm_tags.TYPE_TAG)
        for i in range(segmentation.GetNumberOfSegments())
    ]


def tag(segment, name):
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else None


def paint(node, reference, segment_id, change):
    """Change the voxels of a segment as an editor does."""
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, reference)
    array = change(array.copy())
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segment_id, reference)


def with_one_more(array):
    array[tuple(np.argwhere(array == 0)[0])] = 1
    return array


@pytest.mark.parametrize("regions", [False, True])
def test_a_result_is_automatic_and_names_its_model(slicer_scene, regions):
    node, _reference = result(slicer_scene, regions=regions)
    count = len(SEGMENTS[:4]) + len(REGION_SEGMENTS) * regions
    assert kinds(node) == [AUTOMATIC] * count
    for index in range(count):
        segment = node.GetSegmentation().GetNthSegment(index)
        assert tag(segment, algorithm_tags.NAME_TAG) == "scripted-models default"


def test_the_edited_segment_alone_is_semiautomatic_until_it_is_undone(slicer_scene):
    node, reference = result(slicer_scene, regions=True)
    before = slicer.util.arrayFromSegmentBinaryLabelmap(node, "region-WT", reference).copy()
    paint(node, reference, "region-WT", with_one_more)
    assert kinds(node) == [AUTOMATIC] * 4 + [EDITED, AUTOMATIC, AUTOMATIC]
    paint(node, reference, "region-WT", lambda array: before)
    assert kinds(node) == [AUTOMATIC] * 7


def test_what_another_segment_loses_to_an_edit_counts(slicer_scene):
    node, _reference = result(slicer_scene)
    image = node.GetSegmentation().GetSegment("edema").GetRepresentation("Binary labelmap")
    scalars = vtk.util.numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    scalars[np.argmax(scalars == 2)] = 4  # painted over, in the layer that all share
    image.Modified()
    assert kinds(node) == [AUTOMATIC, EDITED, AUTOMATIC, EDITED]


def test_an_emptied_segment_is_edited_and_colors_are_no_edit(slicer_scene):
    node, reference = result(slicer_scene)
    node.GetSegmentation().GetSegment("edema").SetColor(1, 0, 0)
    node.CreateClosedSurfaceRepresentation()
    assert kinds(node) == [AUTOMATIC] * 4
    paint(node, reference, "necrosis", np.zeros_like)
    assert kinds(node)[0] == EDITED


def test_a_transform_is_no_edit(slicer_scene):
    node, reference = result(slicer_scene)
    moved = add_linear_transform(slicer_scene, rigid_matrix())
    for shown in (node, reference):
        shown.SetAndObserveTransformNodeID(moved.GetID())
    algorithm_tags.state_origin(node)
    assert kinds(node) == [AUTOMATIC] * 4


def test_segments_of_the_user_stay_as_they_are(slicer_scene):
    node, _reference = result(slicer_scene)
    node.GetSegmentation().AddEmptySegment("mine", "mine")
    algorithm_tags.state_origin(node)
    assert kinds(node) == [*[AUTOMATIC] * 4, None]


def test_a_second_run_and_the_previous_result(slicer_scene):
    node, reference = result(slicer_scene)
    paint(node, reference, "edema", with_one_more)
    assert EDITED in kinds(node)
    result(slicer_scene, seed=5, target=node)
    assert kinds(node) == [AUTOMATIC] * 4
    restore_previous(node)
    assert kinds(node).count(EDITED) >= 1
    restore_previous(node)
    assert kinds(node) == [AUTOMATIC] * 4


def test_saved_in_a_scene_the_tags_stay_and_edits_are_followed(slicer_scene, tmp_path):
    node, reference = result(slicer_scene)
    paint(node, reference, "enhancing", with_one_more)
    before = kinds(node)
    algorithm_tags.follow_scenes(slicer_scene)
    save_and_reload(slicer_scene, tmp_path)
    loaded = slicer_scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert kinds(loaded) == before
    volume = slicer_scene.GetFirstNodeByName("T1c")
    paint(loaded, volume, "necrosis", np.zeros_like)
    assert kinds(loaded)[0] == EDITED


def test_saved_as_a_file_the_tags_stay(slicer_scene, tmp_path):
    node, reference = result(slicer_scene)
    paint(node, reference, "enhancing", np.zeros_like)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetScene(slicer_scene)
    storage.SetFileName(str(tmp_path / "case.seg.nrrd"))
    assert storage.WriteData(node)
    again = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "again")
    assert storage.ReadData(again)
    assert kinds(again) == kinds(node)
    names = {tag(again.GetSegmentation().GetNthSegment(i), algorithm_tags.NAME_TAG) for i in (0, 3)}
    assert names == {"scripted-models default"}


def test_a_dropped_python_object_is_watched_once(slicer_scene):
    node, _reference = result(slicer_scene)
    identifier = node.GetID()
    del node
    again = slicer_scene.GetNodeByID(identifier)
    assert getattr(again, algorithm_tags._WATCHED, False)
