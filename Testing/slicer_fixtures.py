"""A real MRML scene on slicer-core, volumes in it, and the module's library on the path."""

import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE = ROOT / "BrainTumorSeg"
if str(MODULE) not in sys.path:
    sys.path.insert(0, str(MODULE))

SEQUENCES = ("t1", "t1c", "t2", "flair")
SHAPE = (10, 14, 16)
PHANTOM_SIZE = (48, 48, 40)  # of 5 x 5 x 3.9 mm
OBLIQUE_SPACING = (0.9, 1.1, 2.5)


@pytest.fixture(name="slicer_scene")
def make_slicer_scene():
    """A new scene, with the logic modules that slicer.util and markups ask for."""
    slicer = pytest.importorskip("slicer")
    pytest.importorskip("slicer.util")
    scene = slicer.vtkMRMLScene()
    selection = slicer.vtkMRMLSelectionNode()
    selection.SetSingletonTag("Singleton")
    scene.AddNode(selection)
    logics = {
        "markups": slicer.vtkSlicerMarkupsLogic(),
        "segmentations": slicer.vtkSlicerSegmentationsModuleLogic(),
        "volumes": slicer.vtkSlicerVolumesLogic(),
    }
    for logic in logics.values():
        logic.SetMRMLScene(scene)
    before = {name: getattr(slicer, name, None) for name in ("mrmlScene", "modules")}
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace(
        **{name: SimpleNamespace(logic=lambda logic=logic: logic) for name, logic in logics.items()}
    )
    yield scene
    for name, value in before.items():
        delattr(slicer, name) if value is None else setattr(slicer, name, value)
    scene.Clear(1)


@cache
def head():
    """The phantom of the fixture `nodes`, made once."""
    from scripted_models.cases.phantom.phantom_case import make_phantom

    return make_phantom(1, PHANTOM_SIZE)


@pytest.fixture(name="nodes")
def make_nodes(slicer_scene):
    """The four volumes of a skull-stripped phantom."""
    from BrainTumorSegLib.resampling import ras_matrix

    phantom = head()
    matrix = ras_matrix(phantom.grid)
    return {m: add_volume(slicer_scene, f"my {m}", phantom.volumes[m], matrix) for m in SEQUENCES}


@pytest.fixture(name="child")
def make_child_environment(tmp_path, monkeypatch):
    """An environment in which ``python -m scripted_models`` is the script slicer_children.py."""
    package = tmp_path / "stand_in" / "scripted_models"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    script = (ROOT / "Testing" / "slicer_children.py").read_text(encoding="utf-8")
    (package / "__main__.py").write_text(script, encoding="utf-8")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.chdir(tmp_path)

    def environment(*acts):
        return {
            **os.environ,
            "PYTHONPATH": str(package.parent),
            "PYTHONSAFEPATH": "1",
            "CHILD_ACTS": " ".join(acts),
        }

    yield environment
    assert list(temporary.iterdir()) == [], "temporary files are left"


def oblique_matrix(spacing=OBLIQUE_SPACING, origin=(12.0, -30.0, 7.0), mirrored=False):
    """Return a 4x4 voxel-to-RAS matrix turned about two axes."""
    a, b = 0.3, -0.2
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    axes = about_z @ about_x @ np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
    matrix = np.eye(4)
    matrix[:3, :3] = axes * np.array(spacing)
    matrix[:3, 3] = origin
    return matrix


def add_volume(scene, name, array, matrix=None):
    """Add a scalar volume node with a (z, y, x) array and a voxel-to-RAS matrix."""
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    slicer.util.updateVolumeFromArray(node, np.ascontiguousarray(array))
    matrix = np.eye(4) if matrix is None else matrix
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    return node


def add_linear_transform(scene, matrix, name="linear"):
    """Add a linear transform node."""
    import slicer.util

    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.asarray(matrix, float)))
    return node


def moved(mrml, node, matrix):
    """Put a volume under a linear transform."""
    node.SetAndObserveTransformNodeID(add_linear_transform(mrml, matrix).GetID())


def shifted(mm):
    """Return a 4x4 shift along the first axis."""
    return np.array([[1, 0, 0, mm], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


def rigid_matrix(angle=0.25, shift=(10.0, -6.0, 4.0)):
    """Return a 4x4 turn about z with a shift."""
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix[:3, 3] = shift
    return matrix


def linear_pattern(matrix, shape_zyx):
    """Values that are a linear function of the RAS place; linear interpolation keeps them."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in shape_zyx), indexing="ij")
    ras = np.stack([x, y, z], -1) @ matrix[:3, :3].T + matrix[:3, 3]
    return pattern_at(ras).astype(np.float32)


def pattern_at(ras):
    """The linear function of `linear_pattern` at RAS points (..., 3)."""
    return 500 + ras @ np.array([2.0, -1.5, 3.0])


def four_volumes(mrml, matrix, shape=SHAPE, **other):
    """Four volumes of the linear pattern; `other` gives a sequence another (matrix, shape)."""
    nodes = {}
    for sequence in SEQUENCES:
        own_matrix, own_shape = other.get(sequence, (matrix, shape))
        nodes[sequence] = add_volume(
            mrml, f"patient {sequence}", linear_pattern(own_matrix, own_shape), own_matrix
        )
    return nodes


def export_volumes(nodes, folder, **options):
    """Export four volume nodes at once."""
    from BrainTumorSegLib.volume_export import export_steps

    *_, exported = export_steps(nodes, folder, **options)
    return exported


def read_exported(exported, sequence):
    """Read the file of a sequence."""
    import SimpleITK as sitk

    return sitk.ReadImage(str(exported.files[sequence]))


def thin_plate_transform(mrml, shift=3.0):
    """A smooth bend of some millimeters."""
    import vtk

    rng = np.random.default_rng(3)
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        place = np.array(corner) * 50.0 - 40
        source.InsertNextPoint(*place)
        target.InsertNextPoint(*(place + rng.normal(0, shift, 3)))
    bend = vtk.vtkThinPlateSplineTransform()
    bend.SetBasisToR()
    bend.SetSourceLandmarks(source)
    bend.SetTargetLandmarks(target)
    node = mrml.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
    node.SetAndObserveTransformToParent(bend)
    return node


def save_and_reload(mrml, folder):
    """Write the scene with the files of its storable nodes, clear it, and read all of it back."""
    for node in list(mrml.GetNodesByClass("vtkMRMLStorableNode")):
        if not node.GetSaveWithScene() or not node.AddDefaultStorageNode():
            continue
        storage = node.GetStorageNode()
        extension = storage.GetDefaultWriteFileExtension() or "txt"
        storage.SetFileName(str(folder / f"{node.GetID()}.{extension}"))
        assert storage.WriteData(node), node.GetID()
    mrml.SetRootDirectory(str(folder))
    mrml.SetURL(str(folder / "scene.mrml"))
    assert mrml.Commit()
    mrml.Clear(1)
    mrml.SetURL(str(folder / "scene.mrml"))
    assert mrml.Connect()
