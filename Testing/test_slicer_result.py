"""What a run leaves in the scene besides the segments, and how the former result comes back."""

import json

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

from BrainTumorSegLib import previous_result, resampling, result_import  # noqa: E402
from BrainTumorSegLib.segments import REGION_SEGMENTS, SEGMENTS  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

from scripted_models.errors import InputError, ScriptedModelsError  # noqa: E402
from scripted_models.images.volume_files import write_labels, write_volume  # noqa: E402
from scripted_models.labels import REGIONS, region_mask  # noqa: E402

OF_TUMOR = SEGMENTS[:4]
pytestmark = pytest.mark.slicer


@pytest.fixture
def reference(slicer_scene):
    """The T1c volume of a patient."""
    matrix = oblique_matrix()
    return add_volume(slicer_scene, "T1c", linear_pattern(matrix, SHAPE), matrix)


@pytest.fixture
def labels():
    """All five labels, in a random order of voxels."""
    return np.random.default_rng(4).integers(0, 5, SHAPE).astype(np.uint8)


def fill(mrml, labels, reference, target=None, **more):
    grid = resampling.world_grid(reference)
    return result_import.import_segmentation(
        mrml, labels, grid, "Tumor", reference, target=target, **more
    )


def mask(node, segment_id, reference):
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, reference).astype(bool)


def segment_ids(node):
    return list(node.GetSegmentation().GetSegmentIDs())


def test_only_labels_that_the_model_knows_become_segments(slicer_scene, labels, reference):
    labels[labels == 3] = 0
    node = fill(slicer_scene, labels, reference, known=(0, 1, 2, 4))
    segmentation = node.GetSegmentation()
    assert segment_ids(node) == ["necrosis", "edema", "enhancing"]
    assert segmentation.GetNumberOfLayers() == 1
    assert [segmentation.GetNthSegment(i).GetLabelValue() for i in range(3)] == [1, 2, 3]
    assert np.array_equal(mask(node, "enhancing", reference), labels == 4)


def test_regions_are_further_segments_with_exact_voxels(slicer_scene, labels, reference):
    options = result_import.ResultOptions(regions=True)
    node = fill(slicer_scene, labels, reference, options=options)
    assert segment_ids(node) == [s.segment_id for s in OF_TUMOR + REGION_SEGMENTS]
    assert node.GetSegmentation().GetNumberOfLayers() == 1 + len(REGIONS)
    for name in REGIONS:
        found = mask(node, f"region-{name}", reference)
        assert np.array_equal(found, region_mask(labels, name))
    for entry in OF_TUMOR:
        assert np.array_equal(
            mask(node, entry.segment_id, reference), np.isin(labels, entry.labels)
        )


def test_surface_follows_the_smoothing(slicer_scene, reference):
    ball = np.zeros(SHAPE, np.uint8)
    ball[2:8, 3:11, 3:12] = 4
    points = {}
    for smoothing in (0.0, 0.8):
        options = result_import.ResultOptions(surface_smoothing=smoothing)
        node = fill(slicer_scene, ball, reference, options=options)
        surface = vtk.vtkPolyData()
        node.GetClosedSurfaceRepresentation("enhancing", surface)
        points[smoothing] = vtk_to_numpy(surface.GetPoints().GetData())
        assert len(points[smoothing]) > 20
    extents = [np.ptp(points[s], axis=0).sum() for s in (0.0, 0.8)]
    assert extents[1] < extents[0]


def test_probability_volumes_lie_on_the_grid(slicer_scene, reference):
    grid = resampling.world_grid(reference)
    values = np.random.default_rng(1).random(SHAPE).astype(np.float32)
    (node,) = result_import.import_probabilities(
        slicer_scene, {"edema": values}, grid, "P", reference
    )
    assert np.array_equal(slicer.util.arrayFromVolume(node), values)
    assert resampling.world_grid(node).matches(grid)
    assert node.GetName() == "P: Edema probability"
    assert node.GetAttribute(result_import.PROBABILITY_ATTRIBUTE) == "edema"


class TestPrevious:
    def test_first_result_has_no_previous_one(self, slicer_scene, labels, reference):
        node = fill(slicer_scene, labels, reference)
        assert not previous_result.has_previous(node)
        with pytest.raises(InputError, match="no previous result"):
            previous_result.restore_previous(node)
        assert not previous_result.has_previous(None)

    def test_restored_and_taken_back_with_everything(self, slicer_scene, labels, reference):
        regions = result_import.ResultOptions(regions=True)
        node = fill(slicer_scene, labels, reference, options=regions)
        node.SetAttribute("BrainTumorSeg.Model", "first")
        node.SetAttribute("mine", "stays")
        moved = add_linear_transform(slicer_scene, rigid_matrix())
        node.SetAndObserveTransformNodeID(moved.GetID())
        other = np.where(labels == 2, 4, 0).astype(np.uint8)
        attributes = {"BrainTumorSeg.Model": "second", "BrainTumorSeg.Device": "CPU"}
        fill(slicer_scene, other, reference, node, attributes=attributes)
        self.check_second(node, other, reference)
        previous_result.restore_previous(node)
        assert segment_ids(node) == [s.segment_id for s in OF_TUMOR + REGION_SEGMENTS]
        assert node.GetTransformNodeID() == moved.GetID()
        assert node.GetAttribute("BrainTumorSeg.Model") == "first"
        assert node.GetAttribute("BrainTumorSeg.Device") is None
        assert node.GetSegmentation().GetNumberOfLayers() == 1 + len(REGIONS)
        node.SetAndObserveTransformNodeID(None)
        assert np.array_equal(mask(node, "necrosis", reference), labels == 1)
        previous_result.restore_previous(node)
        self.check_second(node, other, reference)
        assert node.GetAttribute("mine") == "stays"

    def check_second(self, node, labels, reference):
        assert segment_ids(node) == [s.segment_id for s in OF_TUMOR]
        assert node.GetTransformNodeID() is None
        assert node.GetAttribute("BrainTumorSeg.Model") == "second"
        assert np.array_equal(mask(node, "enhancing", reference), labels == 4)

    def test_only_one_former_result_is_kept_and_out_of_sight(self, slicer_scene, labels, reference):
        node = fill(slicer_scene, labels, reference)
        for shift in (1, 2, 3):
            fill(slicer_scene, (labels + shift).astype(np.uint8) % 5, reference, node)
        nodes = slicer_scene.GetNodesByClass("vtkMRMLSegmentationNode")
        assert nodes.GetNumberOfItems() == 2
        kept = node.GetNodeReference(previous_result.PREVIOUS_ROLE)
        assert kept.GetHideFromEditors()
        previous_result.restore_previous(node)
        assert np.array_equal(mask(node, "necrosis", reference), (labels + 2) % 5 == 1)

    def test_edits_of_the_user_come_back_too(self, slicer_scene, labels, reference):
        node = fill(slicer_scene, labels, reference)
        node.GetSegmentation().AddEmptySegment("mine", "my segment")
        fill(slicer_scene, labels, reference, node)
        assert "mine" not in segment_ids(node)
        previous_result.restore_previous(node)
        assert "mine" in segment_ids(node)

    def test_survives_saving_and_reloading_of_the_scene(
        self, slicer_scene, labels, reference, tmp_path
    ):
        node = fill(slicer_scene, labels, reference)
        fill(slicer_scene, np.zeros_like(labels), reference, node)
        name = node.GetName()
        save_and_reload(slicer_scene, tmp_path)
        node = slicer_scene.GetFirstNodeByName(name)
        reference = slicer_scene.GetFirstNodeByName("T1c")
        previous_result.restore_previous(node)
        assert np.array_equal(mask(node, "necrosis", reference), labels == 1)


class TestOutput:
    @pytest.fixture
    def written(self, tmp_path, reference, labels):
        grid = resampling.world_grid(reference)
        write_labels(tmp_path / "segmentation.nii.gz", np.minimum(labels, 2), grid)
        image = grid.image_from(np.full(SHAPE, 0.5, np.float32))
        write_volume(tmp_path / "probability_edema.nii.gz", image)
        (tmp_path / "report.json").write_text(json.dumps({"known_labels": [0, 1, 2]}))
        paths = {"segmentation": "segmentation.nii.gz", "report": "report.json"}
        return grid, {key: str(tmp_path / name) for key, name in paths.items()}, tmp_path

    def test_is_read_whole(self, written, labels):
        grid, paths, _ = written
        output = result_import.read_output(paths, grid)
        assert output.known == (0, 1, 2)
        assert np.array_equal(output.labels, np.minimum(labels, 2))
        assert list(output.probabilities) == ["edema"]

    def test_labels_that_the_model_does_not_know_are_refused(self, written):
        grid, paths, folder = written
        (folder / "report.json").write_text(json.dumps({"known_labels": [0, 1, 4]}))
        with pytest.raises(InputError, match="expected labels of 0, 1, 4"):
            result_import.read_output(paths, grid)

    @pytest.mark.parametrize("content", ["", "[]", '{"known_labels": "x"}', '{"known_labels": 1}'])
    def test_damaged_report_is_one_sentence(self, written, content):
        grid, paths, folder = written
        (folder / "report.json").write_text(content)
        with pytest.raises(ScriptedModelsError, match="cannot be read"):
            result_import.read_output(paths, grid)

    def test_missing_file_is_one_sentence(self, written):
        grid, paths, folder = written
        (folder / "segmentation.nii.gz").unlink()
        with pytest.raises(ScriptedModelsError, match="cannot be read"):
            result_import.read_output(paths, grid)
