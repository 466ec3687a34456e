"""Volume nodes become files on one grid, in a real MRML scene on slicer-core."""

import numpy as np
import pytest
import SimpleITK as sitk
from slicer_fixtures import (
    SHAPE,
    add_linear_transform,
    add_volume,
    export_volumes,
    four_volumes,
    linear_pattern,
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    oblique_matrix,
    pattern_at,
    read_exported,
    rigid_matrix,
    thin_plate_transform,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
vtk = pytest.importorskip("vtk")

from BrainTumorSegLib import resampling  # noqa: E402

from scripted_models.errors import InputError  # noqa: E402

pytestmark = pytest.mark.slicer


def world_points(grid):
    """RAS places of all voxels of a grid, (z, y, x, 3)."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in grid.shape_zyx), indexing="ij")
    matrix = resampling.ras_matrix(grid)
    return np.stack([x, y, z], -1) @ matrix[:3, :3].T + matrix[:3, 3]


def grid_transform(mrml, peak_mm=3.0):
    """A displacement field of 4 mm voxels: a bump along x around the origin of the pattern."""
    axis = np.arange(-40, 41, 4.0)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    field = np.zeros((*x.shape, 3))
    field[..., 0] = peak_mm * np.exp(-((x - 12) ** 2 + (y + 25) ** 2 + (z - 15) ** 2) / 400)
    image = vtk.vtkImageData()
    image.SetDimensions(*(len(axis),) * 3)
    image.SetOrigin(-40, -40, -40)
    image.SetSpacing(4, 4, 4)
    scalars = vtk.util.numpy_support.numpy_to_vtk(field.reshape(-1, 3), deep=True)
    image.GetPointData().SetScalars(scalars)
    bump = slicer.vtkOrientedGridTransform()
    bump.SetDisplacementGridData(image)
    bump.SetInterpolationModeToCubic()
    node = mrml.AddNewNodeByClass("vtkMRMLGridTransformNode", "bump")
    node.SetAndObserveTransformToParent(bump)
    return node


@pytest.mark.parametrize("mirrored", [False, True])
def test_oblique_volumes_on_one_grid_are_written_unchanged(slicer_scene, tmp_path, mirrored):
    matrix = oblique_matrix(mirrored=mirrored)
    nodes = four_volumes(slicer_scene, matrix)
    exported = export_volumes(nodes, tmp_path)
    assert exported.notes == ()
    for sequence, node in nodes.items():
        image = read_exported(exported, sequence)
        assert np.array_equal(sitk.GetArrayFromImage(image), slicer.util.arrayFromVolume(node))
        corner = image.TransformIndexToPhysicalPoint((15, 13, 9))
        expected = matrix @ [15, 13, 9, 1]
        assert np.allclose(np.array(corner) * [-1, -1, 1], expected[:3], atol=1e-9)


def test_integer_voxels_stay_integers(slicer_scene, tmp_path):
    nodes = four_volumes(slicer_scene, np.eye(4))
    array = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    nodes["t2"] = add_volume(slicer_scene, "integers", array)
    image = read_exported(export_volumes(nodes, tmp_path), "t2")
    assert image.GetPixelID() == sitk.sitkInt16
    assert np.array_equal(sitk.GetArrayFromImage(image), array)


def test_other_grids_are_resampled_in_physical_space(slicer_scene, tmp_path):
    other = oblique_matrix(spacing=(0.6, 0.7, 1.1), origin=(8, -35, 2))
    other[:3, :3] = np.diag([0.6, 0.7, 1.1])
    nodes = four_volumes(slicer_scene, oblique_matrix(), flair=(other, (50, 60, 55)))
    exported = export_volumes(nodes, tmp_path)
    array = sitk.GetArrayFromImage(read_exported(exported, "flair"))
    expected = pattern_at(world_points(exported.grid))
    inside = array != 0
    assert inside.mean() > 0.4
    # a linear pattern survives linear interpolation; voxels at the very border are held constant
    core = read_core(inside)
    assert core.sum() > 300
    assert np.abs(array - expected)[core].max() < 0.01
    note = exported.notes[0].sentence
    assert len(exported.notes) == 1
    assert "FLAIR 'patient flair'" in note
    assert "sizes 55x60x50 and 16x14x10" in note


def read_core(mask):
    """Voxels whose neighbors are inside as well."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    core = sitk.BinaryErode(image, (1, 1, 1), boundaryToForeground=False)
    return sitk.GetArrayFromImage(core).astype(bool)


def test_resampling_agrees_with_simpleitk(slicer_scene, tmp_path):
    rng = np.random.default_rng(0)
    moved = oblique_matrix(spacing=(1.2, 0.8, 2.0), origin=(11, -29, 8))
    nodes = four_volumes(slicer_scene, oblique_matrix())
    values = rng.normal(100, 20, (12, 20, 14)).astype(np.float32)
    nodes["t2"] = add_volume(slicer_scene, "noise", values, moved)
    exported = export_volumes(nodes, tmp_path)
    source = resampling.ras_grid(moved, (14, 20, 12)).image_from(values)
    oracle = sitk.GetArrayFromImage(
        sitk.Resample(source, read_exported(exported, "t1c"), sitk.Transform())
    )
    array = sitk.GetArrayFromImage(read_exported(exported, "t2"))
    both = (array != 0) & (oracle != 0)
    assert both.mean() > 0.5
    assert np.abs(array - oracle)[both].max() < 0.01


def test_rigid_transform_of_all_moves_the_grid_and_keeps_the_voxels(slicer_scene, tmp_path):
    nodes = four_volumes(slicer_scene, oblique_matrix())
    transform = add_linear_transform(slicer_scene, rigid_matrix())
    for node in nodes.values():
        node.SetAndObserveTransformNodeID(transform.GetID())
    exported = export_volumes(nodes, tmp_path)
    expected = rigid_matrix() @ oblique_matrix()
    assert np.allclose(resampling.ras_matrix(exported.grid), expected, atol=1e-9)
    for sequence, node in nodes.items():
        stored = sitk.GetArrayFromImage(read_exported(exported, sequence))
        assert np.array_equal(stored, slicer.util.arrayFromVolume(node))
    assert len(exported.notes) == 4
    assert "found the transform 'linear'" in exported.notes[0].sentence


def test_transform_that_registers_one_volume_is_applied(slicer_scene, tmp_path):
    """FLAIR lies elsewhere and its transform brings it onto the others."""
    matrix = oblique_matrix()
    away = np.linalg.inv(rigid_matrix()) @ matrix
    nodes = four_volumes(slicer_scene, matrix)
    reference = slicer.util.arrayFromVolume(nodes["t1c"])
    nodes["flair"] = add_volume(slicer_scene, "flair away", reference + 1, away)
    transform = add_linear_transform(slicer_scene, rigid_matrix())
    nodes["flair"].SetAndObserveTransformNodeID(transform.GetID())
    exported = export_volumes(nodes, tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(read_exported(exported, "flair")), reference + 1)


@pytest.mark.parametrize("make_transform", [thin_plate_transform, grid_transform])
def test_warped_volume_equals_the_hardened_one(slicer_scene, tmp_path, make_transform):
    """Slicer's own hardening of a copy is the judge of the warp."""
    matrix = oblique_matrix()
    nodes = four_volumes(slicer_scene, matrix)
    wide = oblique_matrix(spacing=(1, 1, 1), origin=(0, -42, -3))
    values = linear_pattern(wide, (45, 45, 45))
    values += 30 * np.sin(values / 40)
    nodes["flair"] = add_volume(slicer_scene, "warped", values, wide)
    transform = make_transform(slicer_scene)
    nodes["flair"].SetAndObserveTransformNodeID(transform.GetID())
    exported = export_volumes(nodes, tmp_path)
    copy = add_volume(slicer_scene, "copy", values, wide)
    copy.SetAndObserveTransformNodeID(transform.GetID())
    assert copy.HardenTransform()
    hardened = resampling.resample(copy, exported.grid)
    unwarped = add_volume(slicer_scene, "unwarped", values, wide)
    plain = resampling.resample(unwarped, exported.grid)
    array = sitk.GetArrayFromImage(read_exported(exported, "flair"))
    core = read_core((array != 0) & (hardened != 0))
    assert core.mean() > 0.2
    # the hardened copy is interpolated twice; the pattern's slope is about 4 per mm
    error = np.abs(array - hardened)[core].max()
    assert error < 0.5
    assert np.abs(array - plain)[core].max() > 5 * error
    assert "bends or shears" in exported.notes[-1].sentence


def test_scale_only_transform_changes_the_spacing(slicer_scene, tmp_path):
    nodes = four_volumes(slicer_scene, np.diag([1.0, 1, 2, 1]))
    transform = add_linear_transform(slicer_scene, np.diag([2.0, 1.5, 1, 1]))
    for node in nodes.values():
        node.SetAndObserveTransformNodeID(transform.GetID())
    exported = export_volumes(nodes, tmp_path)
    assert np.allclose(exported.grid.spacing_xyz_mm, (2, 1.5, 2))
    stored = sitk.GetArrayFromImage(read_exported(exported, "t1c"))
    assert np.array_equal(stored, slicer.util.arrayFromVolume(nodes["t1c"]))


@pytest.mark.parametrize("kind", ["shear", "bend"])
def test_sheared_or_bent_reference_gets_a_regular_grid_around_it(slicer_scene, tmp_path, kind):
    matrix = oblique_matrix()
    nodes = four_volumes(slicer_scene, matrix)
    if kind == "shear":
        shear = np.eye(4)
        shear[0, 1] = 0.3
        transform = add_linear_transform(slicer_scene, shear, "shear")
    else:
        transform = thin_plate_transform(slicer_scene)
    for node in nodes.values():
        node.SetAndObserveTransformNodeID(transform.GetID())
    exported = export_volumes(nodes, tmp_path)
    direction = np.array(exported.grid.direction).reshape(3, 3)
    assert np.allclose(direction.T @ direction, np.eye(3), atol=1e-9)
    assert np.allclose(exported.grid.spacing_xyz_mm, (0.9, 1.1, 2.5), rtol=0.12)
    image = read_exported(exported, "t1c")
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(transform, None, to_world)
    for voxel in [(0, 0, 0), (15, 13, 9), (0, 13, 0), (7, 6, 5)]:  # whole volume is covered
        local = (matrix @ [*voxel, 1])[:3]
        place = np.array(to_world.TransformPoint(*local))
        index = image.TransformPhysicalPointToContinuousIndex((place * [-1, -1, 1]).tolist())
        assert all(-0.5 <= i <= n - 0.5 for i, n in zip(index, image.GetSize(), strict=True))
        if voxel == (7, 6, 5):
            value = image.EvaluateAtContinuousIndex(index)
            assert value == pytest.approx(pattern_at(local), abs=1.0)


def test_nodes_and_scene_are_the_same_after_export(slicer_scene, tmp_path):
    matrix = oblique_matrix()
    nodes = four_volumes(slicer_scene, matrix, t2=(oblique_matrix(spacing=(1, 1, 1)), (25, 16, 14)))
    transform = thin_plate_transform(slicer_scene)
    nodes["flair"].SetAndObserveTransformNodeID(transform.GetID())
    arrays = {m: slicer.util.arrayFromVolume(n).copy() for m, n in nodes.items()}
    times = {m: (n.GetMTime(), n.GetImageData().GetMTime()) for m, n in nodes.items()}
    count = slicer_scene.GetNumberOfNodes()
    export_volumes(nodes, tmp_path)
    assert slicer_scene.GetNumberOfNodes() == count
    for sequence, node in nodes.items():
        assert np.array_equal(slicer.util.arrayFromVolume(node), arrays[sequence])
        assert (node.GetMTime(), node.GetImageData().GetMTime()) == times[sequence]
    assert nodes["flair"].GetParentTransformNode() is transform


def break_missing(mrml, nodes):
    nodes["t2"] = None


def break_twice(mrml, nodes):
    nodes["t2"] = nodes["flair"]


def break_empty(mrml, nodes):
    nodes["t2"] = mrml.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")


def break_label_map(mrml, nodes):
    node = mrml.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(node, np.ones(SHAPE, np.uint8))
    nodes["t2"] = node


def break_nan(mrml, nodes):
    slicer.util.arrayFromVolume(nodes["t2"])[3, 3, 3] = np.nan


def break_far_away(mrml, nodes):
    nodes["t2"].SetOrigin(5000, 0, 0)


def break_flat_transform(mrml, nodes):
    flat = add_linear_transform(mrml, np.diag([1.0, 1, 1e-9, 1]))
    nodes["t1c"].SetAndObserveTransformNodeID(flat.GetID())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (break_missing, "Found no volume for T2"),
        (break_twice, "the same volume for T2 and FLAIR"),
        (break_empty, "found no voxels"),
        (break_label_map, "found no image volume"),
        (break_nan, "NaN"),
        (break_far_away, "no overlap with T1c"),
        (break_flat_transform, "check the transform"),
    ],
)
def test_unusable_volumes_are_refused_in_one_sentence(slicer_scene, tmp_path, spoil, words):
    nodes = four_volumes(slicer_scene, oblique_matrix())
    spoil(slicer_scene, nodes)
    with pytest.raises(InputError, match=words):
        export_volumes(nodes, tmp_path)
