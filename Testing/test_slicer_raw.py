"""Raw volumes in Slicer: what is announced, and what the export then does."""

import numpy as np
import pytest
import SimpleITK as sitk
from head_fixtures import (
    make_small_head,  # noqa: F401 - the fixture phantom
    motion,
)
from head_fixtures import moved as moved_volume
from slicer_fixtures import (
    SEQUENCES,
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

from BrainTumorSegLib import raw_check  # noqa: E402
from BrainTumorSegLib.input_check import InputCheck, reference_of  # noqa: E402
from BrainTumorSegLib.prepared_import import read_prepared  # noqa: E402
from BrainTumorSegLib.resampling import (  # noqa: E402
    ijk_to_ras,
    world_grid,
)

from scripted_models.geometry import Grid  # noqa: E402
from scripted_models.preparation.image_preparation import prepare_images  # noqa: E402
from scripted_models.preparation.needs import needs_of  # noqa: E402
from scripted_models.preparation.prepared_files import write_prepared  # noqa: E402
from scripted_models.runtime.progress import Progress  # noqa: E402

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
        assert registered.slots == ("t1", "flair")
        assert registered.action == "will be registered to T1c"

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
        assert actions == {("t2",): "will be registered to T1c and resampled"}

    def test_a_brain_that_lies_elsewhere_on_the_grid_will_be_registered(self, slicer_scene, nodes):
        array = voxels(nodes["t2"])
        array[:] = np.roll(array, 4, axis=2)
        slicer.util.arrayFromVolumeModified(nodes["t2"])
        (told,) = check(nodes)
        assert (told.slots, told.action) == (("t2",), "will be registered to T1c")
        assert any(HINT in f.action for f in InputCheck().check(nodes))

    def test_another_background_will_be_0(self, slicer_scene, nodes):
        array = voxels(nodes["t2"])
        array[array == 0] = -7
        slicer.util.arrayFromVolumeModified(nodes["t2"])
        (told,) = check(nodes)
        assert (told.severity, told.action) == ("note", "it will be set to 0")
        (told,) = InputCheck().check(nodes)
        assert told.severity == "warning"

    def test_volumes_that_need_nothing_are_told_what_they_always_were(self, slicer_scene, nodes):
        assert check(nodes) == []
        for node in nodes.values():
            moved(slicer_scene, node, rigid_matrix())
        findings = check(nodes)
        assert findings == InputCheck().check(nodes)
        (told,) = findings  # once, not for each volume
        assert told.slots == SEQUENCES

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
        assert any("frames" in f.found for f in check(nodes))  # so do T1 and FLAIR
        for sequence in ("t1", "flair"):
            other_grid(slicer_scene, nodes, sequence)
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
        assert "found the transform 'linear'; the place there is used" in note.sentence
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


def test_volumes_that_were_not_registered_are_read_too(tmp_path, phantom):
    images = {**phantom, "t2": moved_volume(phantom["t2"], motion(phantom["t2"]))}
    prepared = prepare_images(images, needs_of(images), lambda: None, None, Progress())
    write_prepared(tmp_path, prepared, {})
    found = read_prepared(tmp_path)
    assert set(found.moves) == {"t2"}
    assert set(found.volumes) == set(SEQUENCES)
