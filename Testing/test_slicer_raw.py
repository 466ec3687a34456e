"""Raw volumes in Slicer: what is announced, what the run does, what it leaves in the scene."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from model_fixtures import described
from slicer_fixtures import (
    SEQUENCES,
    add_linear_transform,
    add_volume,
    export_volumes,
    make_nodes,  # noqa: F401 - the fixture nodes
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    moved,
    read_exported,
    rigid_matrix,
    shifted,
    thin_plate_transform,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib import logic, prepared_import, raw_check  # noqa: E402
from BrainTumorSegLib.candidates import volume_candidates  # noqa: E402
from BrainTumorSegLib.input_check import InputCheck, reference_of  # noqa: E402
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
from scripted_models.errors import Cancelled  # noqa: E402
from scripted_models.geometry import Grid  # noqa: E402
from scripted_models.networks import build_network  # noqa: E402
from scripted_models.preparation.needs import needs_of  # noqa: E402
from scripted_models.preparation.working_grids import moved_onto  # noqa: E402

pytestmark = pytest.mark.slicer

HINT = "check 'Prepare raw volumes'"


def check(nodes, **options):
    return InputCheck().check(nodes, prepare=True, **options)


def voxels(node):
    return slicer.util.arrayFromVolume(node)


def skull(mrml, nodes, *sequences):
    for sequence in sequences:
        array = voxels(nodes[sequence])
        array[array == 0] = np.random.default_rng(0).uniform(1, 30, (array == 0).sum())
        slicer.util.arrayFromVolumeModified(nodes[sequence])


def other_grid(mrml, nodes, sequence):
    moved(mrml, nodes[sequence], rigid_matrix())


class TestDoctor:
    def test_a_skull_will_be_stripped(self, slicer_scene, nodes, monkeypatch):
        skull(slicer_scene, nodes, "t1", "flair")
        monkeypatch.setattr(raw_check, "is_installed", lambda: True)
        stripped, registered = check(nodes)
        assert {f.severity for f in (stripped, registered)} == {"note"}
        assert stripped.slots == ("t1", "flair")
        assert "will be stripped" in stripped.action
        assert registered.slots == ("t1", "t2", "flair")
        assert registered.action == "it will be registered to T1c"

    def test_without_brain_extraction_it_is_said(self, slicer_scene, nodes, monkeypatch):
        skull(slicer_scene, nodes, "t2")
        monkeypatch.setattr(raw_check, "is_installed", lambda: False)
        (told,) = [f for f in check(nodes) if "extraction" in f.found]
        assert told.sentence == (
            "Found no brain extraction in Slicer's Python, expected deepbet 1.0.2; "
            "Segment will ask whether to install it."
        )

    def test_other_grids_will_be_registered_and_resampled(self, slicer_scene, nodes):
        other_grid(slicer_scene, nodes, "t2")
        actions = {f.slots: f.action for f in check(nodes) if "transform" not in f.found}
        assert actions == {
            ("t2",): "it will be registered to T1c and resampled",
            ("t1", "flair"): "it will be registered to T1c",
        }

    def test_volumes_that_need_nothing_are_told_what_they_always_were(self, slicer_scene, nodes):
        assert check(nodes) == []
        for node in nodes.values():
            moved(slicer_scene, node, rigid_matrix())
        findings = check(nodes)
        assert findings == InputCheck().check(nodes)
        assert len(findings) == 4

    @pytest.mark.parametrize("spoil", [skull, other_grid])
    def test_with_the_box_off_the_same_as_ever_and_a_hint(self, slicer_scene, nodes, spoil):
        spoil(slicer_scene, nodes, "t2")
        findings = InputCheck().check(nodes)
        assert [HINT in f.action for f in findings].count(True) == 1
        assert not any("will be" in f.sentence for f in findings)
        assert not any(HINT in f.sentence for f in check(nodes))

    def test_what_stops_still_stops(self, slicer_scene, nodes):
        other_grid(slicer_scene, nodes, "t1")
        voxels(nodes["flair"])[3, 4, 5] = np.nan
        assert [f.slots for f in check(nodes) if f.severity == "stop"] == [("flair",)]

    def test_a_volume_far_away_is_doubted_and_registered(self, slicer_scene, nodes):
        moved(slicer_scene, nodes["flair"], shifted(5000))
        (doubt,) = [f for f in check(nodes) if f.severity == "warning"]
        assert doubt.found == "no overlap with T1c"

    def test_needs_are_those_of_the_files(self, slicer_scene, nodes, tmp_path):
        """The child process looks at the exported files with the same functions."""
        skull(slicer_scene, nodes, "t1")
        other_grid(slicer_scene, nodes, "t2")
        checker = InputCheck()
        checker.check(nodes, prepare=True)
        exported = export_volumes(nodes, tmp_path, prepare=True)
        files = {m: read_exported(exported, m) for m in SEQUENCES}
        assert checker.needs == needs_of(files, "t1c")
        assert checker.needs.with_skull == ("t1",)

    @pytest.mark.parametrize(
        ("gone", "reference"),
        [((), "t1c"), (("t1c",), "t1"), (("t1c", "t1"), "flair"), (SEQUENCES, "t1c")],
    )
    def test_the_reference_is_the_first_of_the_preparation(self, nodes, gone, reference):
        nodes.update(dict.fromkeys(gone))
        assert reference_of(nodes, prepare=True) == reference


class TestStudies:
    def test_two_studies_of_a_patient_are_told(self, slicer_scene, nodes):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Ann")
        for name, chosen in (("May", ("t1", "t1c", "t2")), ("June", ("flair",))):
            study = hierarchy.CreateStudyItem(patient, name)
            for sequence in chosen:
                hierarchy.CreateItem(study, nodes[sequence])
        for findings in (check(nodes), InputCheck().check(nodes)):
            (warning,) = findings
            assert warning.severity == "warning"
            assert warning.found.startswith("volumes of different studies: 'May' (T1 'my t1', ")
            assert warning.found.endswith(" and 'June' (FLAIR 'my flair')")

    def test_frames_do_not_matter_to_volumes_that_will_be_registered(self, slicer_scene, nodes):
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer_scene)
        for number, sequence in enumerate(SEQUENCES):
            item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), nodes[sequence])
            hierarchy.SetItemAttribute(item, "DICOM.FrameOfReferenceUID", f"1.{number}")
        assert any("frames" in f.found for f in check(nodes))  # they stay where they are
        other_grid(slicer_scene, nodes, "t2")
        assert not any("frames" in f.found for f in check(nodes))


class TestExport:
    def test_raw_volumes_keep_voxels_and_place(self, slicer_scene, nodes, tmp_path):
        other_grid(slicer_scene, nodes, "t2")
        integers = voxels(nodes["t1"]).astype(np.int16)
        slicer.util.updateVolumeFromArray(nodes["t1"], integers)
        exported = export_volumes(nodes, tmp_path, prepare=True)
        for sequence, node in nodes.items():
            image = read_exported(exported, sequence)
            assert np.array_equal(sitk.GetArrayFromImage(image), voxels(node))
            assert Grid.of(image).matches(world_grid(node))
        assert read_exported(exported, "t1").GetPixelID() == sitk.sitkInt16
        assert exported.grid == world_grid(nodes["t1c"])
        (note,) = exported.notes
        assert "found the transform 'linear'; its place there is used" in note.sentence
        assert np.allclose(exported.places["t2"], rigid_matrix())

    def test_bent_raw_volumes_get_a_regular_grid(self, slicer_scene, nodes, tmp_path):
        nodes["t2"].SetAndObserveTransformNodeID(thin_plate_transform(slicer_scene).GetID())
        exported = export_volumes(nodes, tmp_path, prepare=True)
        assert not Grid.of(read_exported(exported, "t2")).matches(exported.grid)
        assert "onto a regular grid" in exported.notes[0].sentence
        assert exported.places["t2"] is None

    def test_volumes_that_need_nothing_share_one_grid(self, slicer_scene, nodes, tmp_path):
        matrix = ijk_to_ras(nodes["t2"])
        matrix[:3, 3] += 0.03  # less than what a preparation sees
        nodes["t2"].SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
        exported = export_volumes(nodes, tmp_path, prepare=True)
        assert Grid.of(read_exported(exported, "t2")) == exported.grid


def test_matrix_brings_points_of_a_volume_onto_the_reference():
    turn = sitk.Euler3DTransform()
    turn.SetCenter((10, -20, 30))
    turn.SetRotation(0.1, -0.2, 0.3)
    turn.SetTranslation((4, 5, -6))
    on_reference = np.array([12.0, -34.0, 56.0])
    in_volume = turn.TransformPoint(on_reference.tolist())
    back = prepared_import.back_matrix(turn) @ LPS_RAS @ [*in_volume, 1]
    assert np.allclose((LPS_RAS @ back)[:3], on_reference)


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


def test_without_preparation_grids_are_brought_together_as_ever(slicer_scene, raw, model):
    node = logic.segment(
        raw, model=model, device="cpu", prepare=False, options=ResultOptions(prepared=True)
    )
    report = json.loads(node.GetAttribute("BrainTumorSeg.Report"))
    assert report["prepare"]["when"] == "never"
    assert "preparation" not in report
    assert slicer_scene.GetNumberOfNodesByClass("vtkMRMLLinearTransformNode") == 1


def test_a_cancelled_registration_leaves_the_scene_as_it_was(slicer_scene, raw, model):
    count, seen = slicer_scene.GetNumberOfNodes(), []

    def is_registering():
        return any(event.stage == "register" for event in seen)

    with pytest.raises(Cancelled):
        logic.segment(raw, seen.append, is_registering, model=model)
    assert slicer_scene.GetNumberOfNodes() == count
    assert not any(event.stage == "resample" for event in seen)
