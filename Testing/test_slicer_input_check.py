"""What the input check says about volume nodes, in a real MRML scene on slicer-core."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from slicer_fixtures import (
    MODULE,
    ROOT,
    SEQUENCES,
    export_volumes,
    make_nodes,  # noqa: F401 - the fixture nodes
    make_slicer_scene,  # noqa: F401 - the fixture slicer_scene
    moved,
    shifted,
    thin_plate_transform,
)

slicer = pytest.importorskip("slicer")
pytest.importorskip("slicer.util")

from BrainTumorSegLib.input_check import InputCheck, check_choice  # noqa: E402
from BrainTumorSegLib.resampling import ras_matrix, world_grid  # noqa: E402

from scripted_models.errors import InputError  # noqa: E402

pytestmark = pytest.mark.slicer


def check(nodes, **options):
    return InputCheck().check(nodes, **options)


def voxels(node):
    return slicer.util.arrayFromVolume(node)


def test_four_volumes_as_they_should_be_give_no_finding(nodes):
    assert check(nodes) == []


def empty(mrml, nodes):
    nodes["t2"] = mrml.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "hollow")


def label_map(mrml, nodes):
    nodes["t1"] = mrml.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(nodes["t1"], np.ones((4, 5, 6), np.uint8))


def colors(mrml, nodes):
    nodes["t1"] = mrml.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colors")
    slicer.util.updateVolumeFromArray(nodes["t1"], np.ones((4, 5, 6, 3), np.uint8))


def flat_voxels(mrml, nodes):
    nodes["t2"].SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1, 0, 1])))


def not_finite(mrml, nodes):
    voxels(nodes["flair"])[3, 4, 5] = np.nan


def flat_transform(mrml, nodes):
    moved(mrml, nodes["t1c"], np.diag([1.0, 1, 0, 1]))


def nothing_in_it(mrml, nodes):
    voxels(nodes["t2"])[:] = 0
    voxels(nodes["t2"])[20, 20, 20] = 9


STOPS = [
    (lambda _, n: n.update(t1c=None), ("t1c",), "Found no volume for T1c, expected all four"),
    (lambda _, n: n.update(t1=None, flair=None), ("t1", "flair"), "no volume for T1 and FLAIR,"),
    (lambda _, n: n.update(flair=n["t2"]), ("t2", "flair"), "the same volume for T2 and FLAIR"),
    (empty, ("t2",), "T2 'hollow': found no voxels, expected an image; load it again"),
    (label_map, ("t1",), "T1 'labels': found no image volume, expected the T1 image;"),
    (colors, ("t1",), "T1 'colors': found 3 values per voxel, expected one; choose a gray-value"),
    (flat_voxels, ("t2",), "T2 'my t2': found voxels without extent, expected a size"),
    (not_finite, ("flair",), "FLAIR 'my flair': found NaN or infinite voxels, expected numbers;"),
    (
        lambda _, n: voxels(n["flair"]).fill(7),
        ("flair",),
        "'my flair': found the same value (7) in",
    ),
    (nothing_in_it, ("t2",), "T2 'my t2': found 1 voxels other than 0, expected"),
    (lambda m, n: moved(m, n["flair"], shifted(5000)), ("flair",), "found no overlap with T1c;"),
    (flat_transform, ("t1c",), "'my t1c': found the parent transform 'linear', which takes its"),
]


@pytest.mark.parametrize(("spoil", "slots", "words"), STOPS)
def test_what_stops_is_told_first_and_the_export_refuses_it_in_the_same_words(
    slicer_scene, nodes, tmp_path, spoil, slots, words
):
    spoil(slicer_scene, nodes)
    findings = check(nodes)
    assert findings[0].severity == "stop"
    assert findings[0].slots == slots
    assert words in findings[0].sentence
    assert [f.severity for f in findings].count("stop") == 1
    with pytest.raises(InputError) as refused:
        export_volumes(nodes, tmp_path)
    assert str(refused.value) == findings[0].sentence
    assert list(tmp_path.iterdir()) == []


def skull(mrml, nodes):
    array = voxels(nodes["t1"])
    array[array == 0] = np.random.default_rng(0).uniform(1, 30, (array == 0).sum())


def labels_in_an_image(mrml, nodes):
    voxels(nodes["t2"])[:] = np.digitize(voxels(nodes["t2"]), [1, 200, 400])


def same_voxels(mrml, nodes):
    voxels(nodes["t2"])[:] = voxels(nodes["flair"])


def part_of_the_head(mrml, nodes):
    slicer.util.updateVolumeFromArray(nodes["flair"], voxels(nodes["flair"])[15:25].copy())
    matrix = ras_matrix(world_grid(nodes["t1c"]))
    matrix[:3, 3] += 15 * matrix[:3, 2]
    nodes["flair"].SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))


def head_aside(mrml, nodes):
    voxels(nodes["flair"])[:] = np.roll(voxels(nodes["flair"]), 9, axis=2)


def two_patients(mrml, nodes):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml)
    for name, chosen in (("Ann", ("t1", "t1c", "t2")), ("Bob", ("flair",))):
        patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), name)
        study = hierarchy.CreateStudyItem(patient, "study")
        for sequence in chosen:
            hierarchy.CreateItem(study, nodes[sequence])


def two_frames(mrml, nodes):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(mrml)
    for sequence, frame in (("t1c", "1.2.3"), ("t2", "1.2.3"), ("flair", "1.2.4")):
        item = hierarchy.CreateItem(hierarchy.GetSceneItemID(), nodes[sequence])
        hierarchy.SetItemAttribute(item, "DICOM.FrameOfReferenceUID", frame)


WARNINGS = [
    (skull, ("t1",), ["T1 'my t1': found skull or noise (8", "HD Brain Extraction"]),
    (labels_in_an_image, ("t2",), ["T2 'my t2': found only 4 different values"]),
    (lambda _, n: np.add(a := voxels(n["t2"]), -50, out=a), ("t2",), ["a background of -50,"]),
    (same_voxels, ("t2", "flair"), ["T2 'my t2' and FLAIR 'my flair': found the same voxels"]),
    (part_of_the_head, ("flair",), ["found only", "of what T1c shows", "counts as 0 in the rest"]),
    (head_aside, ("flair",), ["FLAIR 'my flair': found a head at another place than in T1c"]),
    (two_patients, SEQUENCES, ["'Ann' (T1 'my t1', T1c 'my t1c' and T2 'my t2')", "'Bob' ("]),
    (two_frames, SEQUENCES, ["(T1c 'my t1c' and T2 'my t2') and (FLAIR 'my flair')"]),
]


@pytest.mark.parametrize(("spoil", "slots", "words"), WARNINGS)
def test_what_is_doubtful_is_told_and_can_be_run(
    slicer_scene, nodes, tmp_path, spoil, slots, words
):
    spoil(slicer_scene, nodes)
    warnings = [f for f in check(nodes) if f.severity != "note"]
    assert [(f.severity, f.slots) for f in warnings][:1] == [("warning", slots)]
    for word in words:
        assert word in warnings[0].sentence
    export_volumes(nodes, tmp_path)


def test_frames_of_reference_are_looked_up_in_the_dicom_database(nodes, monkeypatch):
    """slicer-core has no DICOM database; this one answers as ctkDICOMDatabase does."""
    frames = {("9.1", "0020,0052"): "1.2", ("9.3", "0020,0052"): "1.3"}
    database = SimpleNamespace(instanceValue=lambda uid, tag: frames.get((uid, tag), ""))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    nodes["t1"].SetAttribute("DICOM.instanceUIDs", "9.1 9.2")
    nodes["t2"].SetAttribute("DICOM.instanceUIDs", "unknown")
    assert check(nodes) == []
    nodes["flair"].SetAttribute("DICOM.instanceUIDs", "9.3 9.4")
    (finding,) = check(nodes)
    assert finding.found.endswith("frames of reference: (T1 'my t1') and (FLAIR 'my flair')")


def test_several_findings_come_by_severity(slicer_scene, nodes):
    skull(slicer_scene, nodes)
    moved(slicer_scene, nodes["t1"], shifted(2))
    nodes["t2"] = None
    severities = [f.severity for f in check(nodes)]
    assert severities == ["stop", "warning", "note", "note"]


def test_without_its_reference_the_rest_is_checked_all_the_same(slicer_scene, nodes):
    skull(slicer_scene, nodes)
    nodes["t1c"] = None
    assert [f.slots for f in check(nodes)] == [("t1c",), ("t1",)]


def test_voxels_are_read_again_only_after_a_change_and_moves_are_seen(slicer_scene, nodes):
    checker = InputCheck()
    assert checker.check(nodes) == []
    voxels(nodes["t2"])[2, 2, 2] = np.nan  # Slicer is not told
    assert checker.check(nodes) == []
    slicer.util.arrayFromVolumeModified(nodes["t2"])
    assert checker.check(nodes)[0].slots == ("t2",)
    slicer.util.updateVolumeFromArray(nodes["t2"], np.zeros((5, 6, 7)))
    assert "the same value (0)" in checker.check(nodes)[0].found
    moved(slicer_scene, nodes["flair"], shifted(5000))
    assert any("no overlap" in finding.found for finding in checker.check(nodes))


def test_the_check_changes_nothing(slicer_scene, nodes):
    nodes["flair"].SetAndObserveTransformNodeID(thin_plate_transform(slicer_scene).GetID())
    before = slicer_scene.GetNumberOfNodes(), [n.GetMTime() for n in nodes.values()]
    check(nodes)
    assert (slicer_scene.GetNumberOfNodes(), [n.GetMTime() for n in nodes.values()]) == before


def test_the_choice_alone_reads_no_voxels(slicer_scene, nodes):
    not_finite(slicer_scene, nodes)
    check_choice(nodes)
    nodes["t1c"] = None
    with pytest.raises(InputError, match="Found no volume for T1c"):
        check_choice(nodes)


def test_slicer_needs_no_torch_for_it():
    code = (
        f"import sys; sys.path[:0] = [{str(MODULE)!r}, {str(ROOT)!r}]\n"
        "import BrainTumorSegLib.input_check\n"
        "print([m for m in ('torch', 'monai', 'qt') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
