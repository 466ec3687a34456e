"""Corrected cases that are stored: read as they were given, without a word of whose they are."""

import gzip
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from personal_fixtures import GRID, store_cases, volumes_of

from scripted_models.cases import case_writer
from scripted_models.cases.case_writer import PROVENANCE, Origin, store_case, stored_by
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.patient_table import patients_of
from scripted_models.cli import main
from scripted_models.errors import InputError, ResourceError
from scripted_models.geometry import Grid
from scripted_models.images.nifti import NiftiFields
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.training.cache import CaseCache, open_cases
from scripted_models.training.experiment_config import DataConfig, Experiment
from scripted_models.training.training_case import IGNORED
from scripted_models.transforms.steps import read_preprocessing

PATIENT = "Mustermann"


def contents_of(folder):
    """Return every file below a folder with its bytes, those of .gz unpacked."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        p.relative_to(folder).as_posix(): gzip.decompress(p.read_bytes())
        if p.suffix == ".gz"
        else p.read_bytes()
        for p in paths
    }


class TestRoundTrip:
    @settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(values=st.sets(st.integers(0, 4), min_size=1), seed=st.integers(0, 99))
    def test_any_labels_come_back_whatever_values_occur(self, tmp_path, values, seed):
        folder = tmp_path / f"{seed}_{len(list(tmp_path.iterdir()))}"
        volumes, labels = volumes_of(seed)
        labels = np.where(np.isin(labels, list(values)), labels, 0).astype(np.uint8)
        store_case(folder, volumes, (labels, GRID))
        (case,) = find_cases(folder)
        read, grid = case.read_truth()
        np.testing.assert_array_equal(read, labels)
        assert grid.matches(GRID)
        for sequence in SEQUENCES:
            stored = sitk.GetArrayFromImage(case.images[sequence].read())
            np.testing.assert_array_equal(stored, volumes[sequence][0])

    def test_training_sees_the_same_labels(self, tmp_path):
        (name,) = store_cases(tmp_path / "cases", [7])
        steps = read_preprocessing([{"step": "mark_brain"}, {"step": "zscore"}])
        data = DataConfig(validation_every=0)
        experiment = Experiment(preprocessing=steps, data=data)
        train, _ = BrainsTask().sources(experiment, tmp_path / "cases", None)
        (case,) = open_cases(train, CaseCache(tmp_path / "cache"))
        _, labels = volumes_of(7)
        inside = case.target != IGNORED
        assert case.name == name
        np.testing.assert_array_equal(case.target[inside], labels[inside])
        assert not labels[~inside].any()

    def test_nothing_of_a_stored_folder_is_in_doubt(self, tmp_path, capsys):
        store_cases(tmp_path, range(3))
        assert list(BrainsTask().warnings(Experiment(), tmp_path)) == []
        assert main(["cases", str(tmp_path)]) == 0
        assert "3 cases, 3 complete, 3 with ground truth" in capsys.readouterr().out

    def test_the_first_results_can_be_scored(self, tmp_path):
        names = store_cases(tmp_path / "cases", range(2))
        folders = ["--predictions", tmp_path / "cases", "--truth", tmp_path / "cases"]
        assert main(["evaluate", *map(str, folders), "--output", str(tmp_path / "scores")]) == 0
        scores = json.loads((tmp_path / "scores" / "metrics.json").read_text("utf-8"))["cases"]
        assert sorted(scores) == names
        assert all(case["WT"]["dice"] == 1 and case["ET"]["dice"] == 0 for case in scores.values())

    def test_what_a_file_states_about_its_labels_counts(self, tmp_path):
        volumes, labels = volumes_of(1)
        order = np.array([0, 2, 1, 4, 3], np.uint8)  # edema is 1, enhancing 3
        sitk.WriteImage(GRID.image_from(order[labels]), str(tmp_path / "my_seg.nii.gz"))
        names = ["background", "edema", "necrosis", "enhancing", "non-enhancing"]
        lines = (f"{value} {name} 0 0 0 255\n" for value, name in enumerate(names))
        (tmp_path / "my_seg.ctbl").write_text("".join(lines))
        stored = store_case(tmp_path / "cases", volumes, tmp_path / "my_seg.nii.gz")
        (case,) = find_cases(stored.folder)
        np.testing.assert_array_equal(case.read_truth()[0], labels)

    def test_labels_on_the_native_grid_come_onto_that_of_the_volumes(self, tmp_path):
        volumes, labels = volumes_of(2)
        native = Grid((28, 28, 12), (1.0, 1.0, 0.5), (0.0, 0.0, -0.25))
        twice = np.repeat(labels, 2, axis=0)
        stored = store_case(tmp_path, volumes, (twice, native), (twice * 0, native))
        (case,) = find_cases(tmp_path)
        np.testing.assert_array_equal(case.read_truth()[0], labels)
        assert json.loads((stored.folder / PROVENANCE).read_text("utf-8"))["labels_resampled"]


class TestProvenance:
    def test_it_says_what_made_it_and_whether_it_was_corrected(self, tmp_path):
        corrected, same = (
            store_cases(tmp_path, [seed], corrected)[0]
            for seed, corrected in ((0, True), (1, False))
        )
        stated = json.loads((tmp_path / corrected / PROVENANCE).read_text("utf-8"))
        assert stated["sequences"] == list(SEQUENCES)
        assert stated["model"] == {"name": "start", "weights_sha256": "00"}
        assert stated["changed_by_reader"] is True
        assert stated["changed_voxels"] == np.count_nonzero(volumes_of(0)[1] == 4)
        assert stored_by(tmp_path / corrected) is None
        assert stored_by(tmp_path / same) == Origin("start", "00")

    def test_only_the_sequences_that_exist_and_a_word_about_it(self, tmp_path):
        volumes, labels = volumes_of(0)
        two = {m: volumes[m] for m in ("flair", "t1c")}
        stored = store_case(tmp_path, two, (labels, GRID))
        names = {path.name for path in stored.folder.iterdir()}
        assert names == {
            *("case001_t1c.nii.gz", "case001_flair.nii.gz", "case001_seg5.nii.gz", PROVENANCE)
        }
        assert stored.notes == ("case001 lacks t1, t2: training needs all four sequences.",)
        assert find_cases(tmp_path)[0].missing == ("t1", "t2")

    def test_no_tumor_and_no_correction_are_told(self, tmp_path):
        volumes, labels = volumes_of(0)
        stored = store_case(tmp_path, volumes, (labels * 0, GRID), (labels * 0, GRID))
        assert "has no tumor" in stored.notes[0]
        assert "nothing was corrected" in stored.notes[1]


def test_nothing_tells_whose_case_it_is(tmp_path):
    """Free text of NIfTI and NRRD headers, file names and their folders stay behind."""
    given_folder = tmp_path / PATIENT
    given_folder.mkdir()
    arrays, labels = volumes_of(3)
    volumes = {}
    for sequence, suffix in zip(SEQUENCES, (".nii.gz", ".nii.gz", ".nrrd", ".mha"), strict=True):
        image = GRID.image_from(arrays[sequence][0])
        for key in ("ITK_FileNotes", "descrip", "aux_file", "intent_name", "PatientName"):
            image.SetMetaData(key, PATIENT)
        volumes[sequence] = given_folder / f"{PATIENT}_{sequence}{suffix}"
        sitk.WriteImage(image, str(volumes[sequence]))
    content = bytearray(gzip.decompress(volumes["t1"].read_bytes()))
    for place in (14, 148, 228, 328):  # db_name, descrip, aux_file, intent_name
        content[place : place + len(PATIENT)] = PATIENT.encode()
    volumes["t1"].write_bytes(gzip.compress(bytes(content)))
    stored = store_case(tmp_path / "cases", volumes, (labels, GRID), (labels, GRID))
    contents = contents_of(tmp_path / "cases")
    assert not [name for name, content in contents.items() if PATIENT.encode() in content]
    assert PATIENT not in "".join(contents)
    for path in stored.folder.glob("*.nii.gz"):
        header = gzip.decompress(path.read_bytes())[:348]
        assert NiftiFields.parse(header) is not None
        for first, length in ((14, 18), (148, 80), (228, 24), (328, 16)):
            assert not header[first : first + length].strip(b"\0"), (path.name, first)
        assert path.read_bytes()[3] & 0b11000 == 0  # gzip: no name, no comment


class TestNames:
    def test_the_next_free_number_also_behind_a_gap(self, tmp_path):
        store_cases(tmp_path, [0, 1])
        shutil.rmtree(tmp_path / "case001")
        assert store_cases(tmp_path, [2]) == ["case003"]

    def test_visits_of_one_patient_are_never_divided(self, tmp_path):
        store_cases(tmp_path, [0, 1])
        volumes, labels = volumes_of(2)
        again = store_case(tmp_path, volumes, (labels, GRID), same_patient_as="case001")
        volumes, labels = volumes_of(3)
        third = store_case(tmp_path, volumes, (labels, GRID), same_patient_as=again.name)
        assert [again.name, third.name] == ["case001_visit2", "case001_visit3"]
        patients = patients_in(tmp_path)
        assert patients["case001"] == patients["case001_visit2"] == patients["case001_visit3"]
        assert patients["case002"] != patients["case001"]

    def test_a_case_is_stored_once(self, tmp_path):
        store_cases(tmp_path, [0, 1])
        before = contents_of(tmp_path)
        with pytest.raises(InputError, match=r"the same volumes in case001.*remove case001 first"):
            store_cases(tmp_path, [0])
        assert contents_of(tmp_path) == before


def patients_in(folder):
    return patients_of([case.name for case in find_cases(folder)])


def _head(volumes):
    shape, grid = (60, 200, 200), Grid((200, 200, 60))
    head = np.random.default_rng(0).integers(1, 9, shape).astype(np.int16)
    return {m: (head, grid) for m in volumes}


REFUSED = {
    "a head": (_head, "more than a brain"),
    "background": (
        lambda v: {m: (array - 1024, grid) for m, (array, grid) in v.items()},
        "whose background is 0",
    ),
    "other grid": (
        lambda v: {**v, "t2": (v["t2"][0], Grid(GRID.size_xyz, (1, 1, 2)))},
        "t2 on another grid",
    ),
    "other name": (lambda v: {**v, "dwi": v["t2"]}, "the volumes dwi"),
    "none": (lambda v: {}, "no volume"),
    "turned": (lambda v: {"t1": (v["t1"][0].T, GRID)}, "order z, y, x"),
    "constant": (lambda v: {"t1": (v["t1"][0] * 0, GRID)}, "the same value"),
}


@pytest.mark.parametrize("change", REFUSED)
def test_other_volumes_are_refused(change, tmp_path):
    spoil, words = REFUSED[change]
    volumes, labels = volumes_of(0)
    with pytest.raises(InputError, match=words):
        store_case(tmp_path / "cases", spoil(volumes), (labels, GRID))
    assert not (tmp_path / "cases").exists()


@pytest.mark.parametrize(
    ("labels", "grid", "words"),
    [
        (np.full(GRID.shape_zyx, 6), GRID, "values from 6 to 6"),
        (np.full(GRID.shape_zyx, 5), GRID, "a resection cavity in the corrected labels, expected"),
        (np.full(GRID.shape_zyx, 1.5), GRID, "the labels 0 to 5"),
        (np.full(GRID.shape_zyx, -1), GRID, "the labels 0 to 5"),
        (np.ones(GRID.shape_zyx, np.uint8), Grid(GRID.size_xyz, origin_lps_mm=(99, 0, 0)), "mL of"),
    ],
)
def test_other_labels_are_refused(labels, grid, words, tmp_path):
    with pytest.raises(InputError, match=words):
        store_case(tmp_path / "cases", volumes_of(0)[0], (labels, grid))
    assert not (tmp_path / "cases").exists()


@pytest.mark.parametrize("function", ["write_volume", "write_labels"])
def test_a_fault_while_writing_leaves_nothing(function, tmp_path, monkeypatch):
    store_cases(tmp_path, [0])
    before = contents_of(tmp_path)

    def fail(path, *_):
        path.write_bytes(b"half")
        raise ResourceError(found="a full disk", path=path)

    monkeypatch.setattr(case_writer, function, fail)
    with pytest.raises(ResourceError, match=r"case002: found a full disk"):
        store_cases(tmp_path, [1])
    assert contents_of(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["case001"]
    monkeypatch.undo()
    assert store_cases(tmp_path, [1]) == ["case002"]
