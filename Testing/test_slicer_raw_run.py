"""Raw volumes through the true child process: what the run does, what it leaves in the scene."""

import contextlib
import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from model_fixtures import described
from slicer_fixtures import (
    add_linear_transform,
    add_volume,
    make_child_environment,  # noqa: F401 - the fixture child
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    read_exported,
    rigid_matrix,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")
vtk = pytest.importorskip("vtk")

from BrainTumorSegLib import logic, prepared_import, raw_check  # noqa: E402
from BrainTumorSegLib.candidates import volume_candidates  # noqa: E402
from BrainTumorSegLib.resampling import (  # noqa: E402
    LPS_RAS,
    ijk_to_ras,
    parent_matrix,
    ras_matrix,
    world_grid,
)
from BrainTumorSegLib.result_import import ResultOptions  # noqa: E402
from BrainTumorSegLib.result_table import measure_segments  # noqa: E402
from BrainTumorSegLib.words import stage_in_words  # noqa: E402

from scripted_models.bundle.description import NetworkDescription  # noqa: E402
from scripted_models.bundle.weights import write_model  # noqa: E402
from scripted_models.cases.phantom.phantom_case import make_phantom  # noqa: E402
from scripted_models.errors import Cancelled, ScriptedModelsError  # noqa: E402
from scripted_models.geometry import Grid  # noqa: E402
from scripted_models.networks import build_network  # noqa: E402
from scripted_models.preparation.working_grids import moved_onto  # noqa: E402

pytestmark = pytest.mark.slicer


def voxels(node):
    return slicer.util.arrayFromVolume(node)


def test_matrix_brings_points_of_a_volume_onto_the_reference():
    turn = sitk.Euler3DTransform()
    turn.SetCenter((10, -20, 30))
    turn.SetRotation(0.1, -0.2, 0.3)
    turn.SetTranslation((4, 5, -6))
    on_reference = np.array([12.0, -34.0, 56.0])
    in_volume = turn.TransformPoint(on_reference.tolist())
    back = prepared_import.back_matrix(turn) @ LPS_RAS @ [*in_volume, 1]
    assert np.allclose((LPS_RAS @ back)[:3], on_reference)


def test_transform_of_a_bent_volume_belongs_above_its_own(slicer_scene):
    grid = Grid((4, 5, 6))
    brain = np.ones(grid.shape_zyx, np.uint8)
    case = prepared_import.PreparedCase("t1c", grid, brain, {}, {"t2": rigid_matrix()})
    nodes = {m: add_volume(slicer_scene, m, np.ones((2, 3, 4))) for m in ("t1c", "t2")}
    prepared_import.import_prepared(slicer_scene, case, nodes, {"t2": None})
    node = slicer_scene.GetFirstNodeByName("t2 to t1c")
    assert node.GetDescription() == "Put the transform of 't2' under this one."
    found = slicer.util.arrayFromTransformMatrix(node)
    assert np.allclose(found, rigid_matrix())
    segmentation = slicer_scene.GetFirstNodeByName("t1c brain").GetSegmentation()
    terminology = vtk.reference("")
    assert segmentation.GetSegment("brain").GetTag("TerminologyEntry", terminology)
    assert str(terminology).split("~")[2] == "SCT^12738006^Brain"


def test_prepared_files_that_cannot_be_read_are_told(tmp_path):
    (tmp_path / "preparation.json").write_text('{"reference": "t1c", "registrations": {}}')
    with pytest.raises(ScriptedModelsError, match="prepared volumes that cannot be read"):
        prepared_import.read_prepared(tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny untrained network that can do with two sequences."""
    arguments = {"widths": [2, 3], "planes": ["axial"]}
    torch.manual_seed(1)
    network = build_network("UNet", **arguments).eval()
    stated = replace(
        described(needs_one_of=["t1c", "flair"]), network=NetworkDescription("UNet", arguments)
    )
    return str(write_model(tmp_path_factory.mktemp("models") / "m", network, stated))


@pytest.fixture(scope="module")
def heads():
    """T1c and T2 of one head, the latter turned, moved and in thick slices; the true transform."""
    made = make_phantom(5, (60, 60, 40))
    images = {m: made.grid.image_from(made.volumes[m]) for m in ("t1c", "t2")}
    turn = sitk.Euler3DTransform()
    middle = ((np.array(made.grid.size_xyz) - 1) / 2).tolist()
    turn.SetCenter(images["t2"].TransformContinuousIndexToPhysicalPoint(middle))
    turn.SetRotation(0.05, -0.08, 0.12)
    turn.SetTranslation((6, -8, 4))
    thick = Grid((60, 60, 26), (4.0, 4.0, 6.0), made.grid.origin_lps_mm)
    return images["t1c"], moved_onto(images["t2"], thick, turn)[0], turn


@pytest.fixture
def raw(slicer_scene, heads):
    """The two heads in one study; T2 lies under a transform of the user as well."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    nodes = {}
    for sequence, image in zip(("t1c", "t2"), heads[:2], strict=True):
        array, matrix = sitk.GetArrayFromImage(image), ras_matrix(Grid.of(image))
        nodes[sequence] = add_volume(slicer_scene, f"raw {sequence}", array, matrix)
        hierarchy.CreateItem(study, nodes[sequence])
    own = add_linear_transform(slicer_scene, rigid_matrix(0.05, (3, 5, -4)), "user's")
    nodes["t2"].SetAndObserveTransformNodeID(own.GetID())
    return nodes


def errors_mm(node, turn, image):
    """How far a T2 volume lies from where its head truly is, at points of the brain."""
    inside = np.argwhere(sitk.GetArrayFromImage(image) > 0)[::997, ::-1]
    own = ijk_to_ras(node) @ np.c_[inside, np.ones(len(inside))].T
    seen = (LPS_RAS @ parent_matrix(node) @ own)[:3].T
    places = [image.TransformIndexToPhysicalPoint(index.tolist()) for index in inside]
    true = [turn.TransformPoint(place) for place in places]
    return np.linalg.norm(seen - np.array(true), axis=1)


def test_raw_volumes_are_registered_and_the_result_lies_on_the_raw_t1c(
    slicer_scene, raw, heads, model
):
    _head, image, turn = heads
    before = {m: state_of(node) for m, node in raw.items()}
    events = []
    node = logic.segment(
        raw, events.append, model=model, device="cpu", options=ResultOptions(prepared=True)
    )
    report = json.loads(node.GetAttribute("BrainTumorSeg.Report"))
    assert report["preparation"]["reference"] == "t1c"
    lies = Grid(**{name: tuple(values) for name, values in report["grid"].items()})
    assert lies.matches(world_grid(raw["t1c"]), 0.01)
    role = node.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is raw["t1c"]
    assert {m: state_of(node) for m, node in raw.items()} == before
    stages = [event.stage for event in events if event.kind == "stage"]
    assert {"brain", "register", "resample", "network"} <= set(stages)
    assert all(stage_in_words(stage) != stage for stage in stages)
    fractions = [event.fraction for event in events if event.fraction is not None]
    assert fractions == sorted(fractions)
    warned = [e.problem.found for e in events if e.kind == "warning" and e.problem]
    assert "another position than that of t1c" in warned
    what_was_prepared_is_in_the_study(slicer_scene, raw, node)
    transform = slicer_scene.GetFirstNodeByName("raw t2 to raw t1c")
    assert errors_mm(raw["t2"], turn, image).mean() > 8
    raw["t2"].SetAndObserveTransformNodeID(transform.GetID())
    assert errors_mm(raw["t2"], turn, image).mean() < 1.5  # 0.23 at the last look


def state_of(node):
    """What nothing may change of a volume of the user: place, transform, voxels."""
    matrices = ijk_to_ras(node).tolist(), parent_matrix(node).tolist()
    return matrices, node.GetTransformNodeID(), node.GetName(), node.GetImageData().GetMTime()


def what_was_prepared_is_in_the_study(mrml, raw, tumor):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml)
    names = ["raw t2 to raw t1c", "raw t1c brain", "raw t1c prepared", "raw t2 prepared"]
    made = [mrml.GetFirstNodeByName(name) for name in names]
    study = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(raw["t1c"]))
    parents = {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in made}
    assert parents == {study}
    _transform, brain, *prepared = made
    array = slicer.util.arrayFromSegmentBinaryLabelmap(brain, "brain", prepared[0])
    shown = [voxels(node) != 0 for node in prepared]
    assert array.sum() > 0.98 * shown[0].sum()
    assert not shown[1][array == 0].any()
    assert {c.key for c in volume_candidates(mrml)} == {n.GetID() for n in raw.values()}
    assert {row.name for row in measure_segments(tumor)}.isdisjoint({"Brain"})


@pytest.mark.parametrize("prepare", [True, False])
def test_the_program_is_told_what_to_prepare(slicer_scene, raw, model, child, prepare):
    job = logic.SegmentationJob(
        raw,
        model=model,
        prepare=prepare,
        options=ResultOptions(prepared=True),
        environment=child("hang"),
    )
    with contextlib.closing(job):
        job.start()
        while job.process is None:
            job.poll()
        command = job.process.command
        grids = [Grid.of(read_exported(job.exported, m)) for m in ("t1c", "t2")]
    told = command[command.index("--prepare") + 1 :]
    assert told[: 3 if prepare else 1] == (["auto", "--reference", "t1c"] if prepare else ["never"])
    assert ("--keep-prepared" in command) == prepare
    assert grids[0].matches(grids[1]) != prepare


def test_a_cancelled_registration_leaves_the_scene_as_it_was(slicer_scene, raw, model):
    count, seen = slicer_scene.GetNumberOfNodes(), []

    def is_registering():
        return any(event.stage == "register" for event in seen)

    with pytest.raises(Cancelled):
        logic.segment(raw, seen.append, is_registering, model=model)
    assert slicer_scene.GetNumberOfNodes() == count
    assert not any(event.stage == "resample" for event in seen)


@pytest.mark.real_data
@pytest.mark.slow
def test_the_skull_of_a_raw_patient_is_stripped(slicer_scene, real_data, model):
    folder = real_data / "raw" / "TCGA-FG-6692"
    if not folder.is_dir() or not raw_check.is_installed():
        pytest.skip("no raw case at hand, or no brain extraction")
    nodes = {}
    for sequence in ("t1c", "t2"):
        image = sitk.ReadImage(str(folder / f"FG6692_{sequence}.nii.gz"))
        array, matrix = sitk.GetArrayFromImage(image), ras_matrix(Grid.of(image))
        nodes[sequence] = add_volume(slicer_scene, f"raw {sequence}", array, matrix)
    node = logic.segment(nodes, model=model, device="cpu", options=ResultOptions(prepared=True))
    role = node.GetReferenceImageGeometryReferenceRole()
    assert node.GetNodeReference(role) is nodes["t1c"]
    brain = slicer_scene.GetFirstNodeByName("raw t1c brain")
    found = slicer.util.arrayFromSegmentBinaryLabelmap(brain, "brain", nodes["t1c"]) > 0
    known = sitk.ReadImage(str(folder / "FG6692_hdbet_t1c_mask.nii.gz"))
    true = sitk.GetArrayFromImage(known) > 0
    assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.93
