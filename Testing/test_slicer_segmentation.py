"""A label map becomes a segmentation node in a real MRML scene on slicer-core."""

import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from slicer_fixtures import (
    MODULE,
    ROOT,
    SEQUENCES,
    SHAPE,
    add_linear_transform,
    add_volume,
    export_volumes,
    linear_pattern,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
    read_exported,
    rigid_matrix,
    thin_plate_transform,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
vtk = pytest.importorskip("vtk")

from BrainTumorSegLib import resampling, result_import  # noqa: E402
from BrainTumorSegLib.segments import SEGMENTS  # noqa: E402

from scripted_models.errors import InputError  # noqa: E402
from scripted_models.geometry import Grid  # noqa: E402
from scripted_models.images.volume_files import write_labels  # noqa: E402
from scripted_models.labels import LABELS  # noqa: E402

pytestmark = pytest.mark.slicer


def some_labels(shape=SHAPE):
    labels = np.zeros(shape, np.uint8)
    labels[2:8, 3:11, 2:12] = 2
    labels[3:7, 4:9, 4:10] = 3
    labels[4:6, 5:8, 5:9] = 4
    labels[4:6, 6, 6:8] = 1
    labels[8:9, 3:11, 2:12] = 5
    return labels


def segment_array(node, segment_id, reference):
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, reference)


@pytest.mark.parametrize("absent", [(), (3,), (1, 4), (1, 2, 3, 4)])
def test_five_segments_with_exact_voxels(slicer_scene, absent):
    matrix = oblique_matrix()
    reference = add_volume(slicer_scene, "T1c", linear_pattern(matrix, SHAPE), matrix)
    labels = some_labels()
    labels[np.isin(labels, absent)] = 0
    node = result_import.import_segmentation(
        slicer_scene,
        labels,
        resampling.world_grid(reference),
        "Tumor",
        reference,
        {"a.b": "c"},
        known=tuple(LABELS),
    )
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 5
    assert segmentation.GetNumberOfLayers() == 1
    for position, entry in enumerate(SEGMENTS):
        assert segmentation.GetNthSegmentID(position) == entry.segment_id
        segment = segmentation.GetNthSegment(position)
        assert segment.GetName() == entry.name
        assert (segment.GetLabelValue(),) == entry.labels == (position + 1,)
        assert np.allclose(np.array(segment.GetColor()) * 255, entry.color_rgb)
        assert tag_of(segment) == entry.terminology
        found = segment_array(node, entry.segment_id, reference)
        assert np.array_equal(found.astype(bool), np.isin(labels, entry.labels))
    assert node.GetDisplayNode() is not None
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is reference
    assert node.GetAttribute("a.b") == "c"


def tag_of(segment):
    value = vtk.reference("")
    assert segment.GetTag("TerminologyEntry", value)
    return str(value)


@pytest.mark.parametrize("kind", ["rigid", "scale", "bend"])
def test_segments_lie_where_a_transformed_reference_is_seen(slicer_scene, tmp_path, kind):
    """A bright block in the reference, thresholded in its file, comes back onto the same voxels."""
    matrix = oblique_matrix(spacing=(1, 1, 1))
    block = np.zeros((20, 22, 24), np.float32)
    block[6:14, 7:15, 8:17] = 100
    block[6, 7:15, 8:17] = 90  # two values would be a mask
    nodes = {m: add_volume(slicer_scene, m, block + i, matrix) for i, m in enumerate(SEQUENCES)}
    transform = {
        "rigid": lambda: add_linear_transform(slicer_scene, rigid_matrix()),
        "scale": lambda: add_linear_transform(slicer_scene, np.diag([1.2, 1, 0.9, 1])),
        "bend": lambda: thin_plate_transform(slicer_scene),
    }[kind]()
    for node in nodes.values():
        node.SetAndObserveTransformNodeID(transform.GetID())
    exported = export_volumes(nodes, tmp_path)
    labels = np.where(sitk.GetArrayFromImage(read_exported(exported, "t1c")) > 50, 4, 0).astype(
        np.uint8
    )
    node = result_import.import_segmentation(slicer_scene, labels, exported.grid, "x", nodes["t1c"])
    assert node.GetParentTransformNode() is None
    seen = labels_where_seen(exported.grid, node, transform, matrix, block.shape)
    truth = block > 50
    dice = 2 * (seen & truth).sum() / (seen.sum() + truth.sum())
    assert dice == 1 if kind == "rigid" else dice > 0.85


def labels_where_seen(grid, node, transform, matrix, shape_zyx):
    """The segment under each voxel of a volume, through its transform, as slice views show it."""
    array = segment_array(node, "enhancing", reference_of(grid, node.GetScene()))
    image = grid.image_from(array)
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(transform, None, to_world)
    seen = np.zeros(shape_zyx, bool)
    for z, y, x in np.ndindex(*shape_zyx):
        place = np.array(to_world.TransformPoint(*(matrix @ [x, y, z, 1])[:3])) * [-1, -1, 1]
        index = image.TransformPhysicalPointToIndex(place.tolist())
        if all(0 <= i < n for i, n in zip(index, image.GetSize(), strict=True)):
            seen[z, y, x] = image[index] > 0
    return seen


def reference_of(grid, mrml):
    """A volume node on a grid in the world."""
    return add_volume(mrml, "grid", np.zeros(grid.shape_zyx), resampling.ras_matrix(grid))


def test_save_and_reload_keeps_everything(slicer_scene, tmp_path):
    matrix = oblique_matrix()
    reference = add_volume(slicer_scene, "T1c", linear_pattern(matrix, SHAPE), matrix)
    labels = some_labels()
    labels[labels == 3] = 0
    grid = resampling.world_grid(reference)
    node = result_import.import_segmentation(
        slicer_scene, labels, grid, "Tumor", reference, known=tuple(LABELS)
    )
    file = str(tmp_path / "tumor.seg.nrrd")
    assert storage(slicer_scene, file).WriteData(node)
    again = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "again")
    assert storage(slicer_scene, file).ReadData(again)
    segmentation = again.GetSegmentation()
    assert [segmentation.GetNthSegmentID(i) for i in range(5)] == [s.segment_id for s in SEGMENTS]
    for entry in SEGMENTS:
        segment = segmentation.GetSegment(entry.segment_id)
        assert segment.GetName() == entry.name
        assert tag_of(segment) == entry.terminology
        found = segment_array(again, entry.segment_id, reference)
        assert np.array_equal(found.astype(bool), np.isin(labels, entry.labels))


def storage(mrml, file):
    node = slicer.vtkMRMLSegmentationStorageNode()
    node.SetScene(mrml)
    node.SetFileName(file)
    return node


def test_chosen_segmentation_is_filled_and_former_segments_go(slicer_scene):
    matrix = oblique_matrix()
    reference = add_volume(slicer_scene, "T1c", linear_pattern(matrix, SHAPE), matrix)
    target = slicer_scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    target.GetSegmentation().AddEmptySegment("old", "old")
    moved = add_linear_transform(slicer_scene, rigid_matrix())
    target.SetAndObserveTransformNodeID(moved.GetID())
    grid = resampling.world_grid(reference)
    node = result_import.import_segmentation(
        slicer_scene, some_labels(), grid, "new", reference, target=target
    )
    assert node is target
    assert target.GetName() == "mine"
    assert target.GetSegmentation().GetNumberOfSegments() == 4
    assert target.GetSegmentation().GetNumberOfLayers() == 1
    found = segment_array(target, "necrosis", reference)
    assert found.sum() == (some_labels() == 1).sum()


def test_segmentation_joins_the_study_of_its_reference(slicer_scene):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
    reference = add_volume(slicer_scene, "T1c", linear_pattern(np.eye(4), SHAPE))
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.CreateItem(study, reference)
    grid = resampling.world_grid(reference)
    node = result_import.import_segmentation(slicer_scene, some_labels(), grid, "x", reference)
    assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_label_file_is_checked_before_the_scene_is_touched(slicer_scene, tmp_path):
    grid = resampling.ras_grid(oblique_matrix(), SHAPE[::-1])
    file = tmp_path / "labels.nii.gz"
    labels = some_labels()
    write_labels(file, labels, grid)
    assert np.array_equal(result_import.read_labels(file, grid, tuple(LABELS)), labels)
    with pytest.raises(InputError, match="expected labels of 0, 1, 2, 3, 4"):
        result_import.read_labels(file, grid)  # of a model that knows no cavity
    shifted = Grid(grid.size_xyz, grid.spacing_xyz_mm, (0, 0, 0), grid.direction)
    with pytest.raises(InputError, match="origins"):
        result_import.read_labels(file, shifted)
    sitk.WriteImage(grid.image_from(labels + np.uint8(2)), str(file))
    with pytest.raises(InputError, match="expected labels of 0, 1, 2, 3, 4, 5"):
        result_import.read_labels(file, grid, tuple(LABELS))


def test_import_needs_no_logic_of_the_segmentations_module():
    """slicer-core registers its converters with that logic; a fresh interpreter has none yet."""
    code = (
        f"import sys; sys.path[:0] = [{str(MODULE)!r}, {str(ROOT)!r}]\n"
        "import numpy as np, slicer\n"
        "from BrainTumorSegLib.result_import import import_segmentation\n"
        "from scripted_models.geometry import Grid\n"
        "labels = np.full((3, 4, 5), 2, np.uint8)\n"
        "node = import_segmentation(slicer.vtkMRMLScene(), labels, Grid((5, 4, 3)), 'x')\n"
        "print(node.GetSegmentation().GetNumberOfSegments())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4"]
    assert "ERR|" not in done.stderr
