"""Which volume nodes of a real scene are proposed for T1, T1c, T2 and FLAIR."""

from types import SimpleNamespace

import numpy as np
import pytest
from slicer_fixtures import SEQUENCES, add_volume, make_slicer_scene  # noqa: F401

VOXELS = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
SCANNER = {
    "t1": "5: t1_se_tra",
    "t1c": "12: t1_se_tra_KM",
    "t2": "4: t2_tse_tra_512",
    "flair": "3: t2_tirm_tra_dark-fluid",
}


@pytest.fixture
def scene(slicer_scene):
    return slicer_scene


@pytest.fixture
def hierarchy(scene):
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)


def detect(scene):
    from BrainTumorSegLib.candidates import detect

    return detect(scene)


def names_of(scene):
    from BrainTumorSegLib.candidates import volume_candidates

    return [candidate.name for candidate in volume_candidates(scene)]


def add_study(scene, hierarchy, patient, study, names=SCANNER):
    """Put volumes into the hierarchy as the DICOM module does: patient, study, series."""
    import slicer

    top = hierarchy.GetItemByName(patient) or hierarchy.CreateSubjectItem(
        hierarchy.GetSceneItemID(), patient
    )
    item = hierarchy.CreateStudyItem(top, study)
    uid = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()
    hierarchy.SetItemUID(item, uid, f"1.2.{patient}.{study}")
    nodes = {sequence: add_volume(scene, name, VOXELS) for sequence, name in names.items()}
    for node in nodes.values():
        hierarchy.CreateItem(item, node)
    return nodes


def test_a_scene_without_subject_hierarchy(slicer_scene):
    scene = type(slicer_scene)()
    nodes = {m: add_volume(scene, name, VOXELS) for m, name in SCANNER.items()}
    assert scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode") is None
    told = detect(scene)
    assert {m: told[m].node for m in SEQUENCES} == nodes
    assert {guess.confidence for guess in told.values()} == {"sure"}


def test_an_empty_scene_leaves_all_open(scene):
    assert all(guess.node is None and guess.reason for guess in detect(scene).values())


def test_what_is_no_image_of_a_patient_is_no_candidate(scene, hierarchy):
    import slicer

    kept = add_volume(scene, "ax t2", VOXELS)
    add_volume(scene, "hidden t1", VOXELS).SetHideFromEditors(1)
    add_volume(scene, "own t1", VOXELS).SetAttribute("BrainTumorSeg.model", "default")
    for kind in ("LabelMap", "Vector", "DiffusionWeighted"):
        node = scene.AddNewNodeByClass(f"vtkMRML{kind}VolumeNode", f"{kind} t1")
        node.SetAndObserveImageData(kept.GetImageData())
    scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "t1 without voxels")
    top = hierarchy.GetSceneItemID()
    scan = hierarchy.CreateItem(top, add_volume(scene, "t1 of a CT", VOXELS))
    sequence = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMSeriesModalityAttributeName()
    hierarchy.SetItemAttribute(scan, sequence, "CT")
    hierarchy.SetItemAttribute(hierarchy.CreateItem(top, kept), sequence, "MR")
    assert names_of(scene) == ["ax t2"]


def test_the_study_that_alone_has_all_four_is_taken(scene, hierarchy):
    add_study(scene, hierarchy, "A", "2019", {"t1": "2: t1", "t2": "3: t2"})
    nodes = add_study(scene, hierarchy, "A", "2020")
    add_study(scene, hierarchy, "B", "2020", {"flair": "9: flair"})
    told = detect(scene)
    assert {m: told[m].node for m in SEQUENCES} == nodes


def test_two_patients_with_all_four_leave_all_open(scene, hierarchy):
    for patient in ("A", "B"):
        add_study(scene, hierarchy, patient, "2020")
    told = detect(scene)
    assert {guess.node for guess in told.values()} == {None}
    assert "2 patients or studies, 2 with all four" in told["t1"].reason


def test_a_choice_in_one_study_lets_the_others_be_found_there(scene, hierarchy):
    from BrainTumorSegLib.candidates import detect

    (first, second) = (add_study(scene, hierarchy, patient, "2020") for patient in "AB")
    for nodes in (first, second):
        told = detect(scene, [nodes["t1c"]])
        assert {m: told[m].node for m in SEQUENCES} == nodes
    told = detect(scene, [first["t1c"], second["t2"]])
    assert {guess.node for guess in told.values()} == {None}


def test_studies_are_told_apart_by_the_dicom_database_alone(scene, monkeypatch):
    """Series without an item in the hierarchy, as after loading a saved scene."""
    import slicer

    studies = {"1": "1.2.A", "2": "1.2.B"}
    database = SimpleNamespace(
        instanceValue=lambda uid, tag: studies[uid[0]] if tag == "0020,000d" else "",
        fileForInstance=lambda uid: "",
    )
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    sets = []
    for number in studies:
        nodes = {m: add_volume(scene, name, VOXELS) for m, name in SCANNER.items()}
        for index, node in enumerate(nodes.values()):
            node.SetAttribute("DICOM.instanceUIDs", f"{number}.{index}")
        sets.append(nodes)
    assert "2 patients or studies" in detect(scene)["t1"].reason
    scene.RemoveNode(sets[0]["flair"])
    told = detect(scene)
    assert {m: told[m].node for m in SEQUENCES} == sets[1]


def test_volumes_of_a_patient_without_study_belong_together(scene, hierarchy):
    nodes = {m: add_volume(scene, name, VOXELS) for m, name in SCANNER.items()}
    one, other = (hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name) for name in "AB")
    for node in nodes.values():
        hierarchy.CreateItem(one, node)
    hierarchy.CreateItem(other, add_volume(scene, "t2 of B", VOXELS))
    told = detect(scene)
    assert {m: told[m].node for m in SEQUENCES} == nodes


def test_a_renamed_node_is_looked_up_in_the_dicom_database(scene, monkeypatch):
    """The database needs Qt: stood in for by its two calls."""
    import slicer

    files = {"1.2.3": "/a.dcm"}
    database = SimpleNamespace(
        instanceValue=lambda uid, tag: "",
        fileForInstance=lambda uid: files.get(uid, ""),
        fileValue=lambda file, tag: {("/a.dcm", "0008,103e"): "Ax T1 FSE +C"}[file, tag],
    )
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    node, unknown = (add_volume(scene, name, VOXELS) for name in ("volume", "volume 2"))
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    unknown.SetAttribute("DICOM.instanceUIDs", "9.9")
    told = detect(scene)["t1c"]
    assert (told.node, told.confidence) == (node, "sure")
    assert told.reason == "'volume' (Ax T1 FSE +C) says T1c."
