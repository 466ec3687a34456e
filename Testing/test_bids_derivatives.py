"""A BIDS derivative over several runs: what is done, what is replaced, what is never touched."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from bids_fixtures import (
    LESIONS,
    MODEL,
    TUMOR,
    describe,
    files_of,
    made,
    put,
    segment,
    segmented_set,
    validator_errors,
    write_session,
)

from scripted_models.bundle.weights import load_model
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.labels import CODINGS
from scripted_models.segmentation.bids_export.derivative_description import PROGRAM
from scripted_models.segmentation.bids_export.derivatives import Derivatives
from scripted_models.segmentation.bids_export.names import own_files
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.outputs import INTERNAL, OutputOptions
from scripted_models.segmentation.raw_cases import AUTOMATIC


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    return segmented_set(tmp_path_factory.mktemp("bids") / "data")


@pytest.fixture(scope="module")
def model():
    return load_model("fast")


@pytest.fixture
def data(segmented, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(segmented, tmp_path / "data")


@pytest.fixture
def output(data):
    return data / "derivatives" / PROGRAM


class TestDone:
    """What is done is not done again, and only what is whole is done."""

    def test_what_is_there_stays_as_it_is(self, data, output):
        (output / "sub-01/ses-a/anat/mine.txt").write_text("by hand")
        before = {p: p.stat().st_mtime_ns for p in output.rglob("*.*") if p.is_file()}
        assert segment(data, "--continue", "--probabilities") == 0
        after = {p: p.stat().st_mtime_ns for p in output.rglob("*.*") if p.is_file()}
        assert before.items() <= after.items()
        assert (output / "sub-02/anat/sub-02_ce-gadolinium_seg-glioma_dseg.nii.gz").is_file()
        assert validator_errors(output) == ["NOT_INCLUDED /sub-01/ses-a/anat/mine.txt"]

    @pytest.mark.parametrize(
        "file",
        [f"{TUMOR}_{e}" for e in ("dseg.nii.gz", "dseg.tsv", "dseg.json", "probseg.nii.gz")]
        + [f"{LESIONS}_{end}" for end in ("dseg.nii.gz", "dseg.tsv")],
    )
    def test_a_lost_file_is_not_done(self, data, output, model, file):
        case = find_cases(data)[0]
        is_written, rest = Derivatives(data).is_written, (CaseInputs.of(case), AUTOMATIC)
        wanted = OutputOptions(probabilities=True)
        assert is_written(output, case, model, wanted, *rest)
        other = replace(model, checksum="0" * 64)
        assert not is_written(output, case, other, wanted, *rest)
        (output / "sub-01/ses-a/anat" / file).unlink()
        assert not is_written(output, case, model, wanted, *rest)

    def test_a_second_run_replaces_all_of_the_first(self, data, output, model):
        """Another grid gives other names; probabilities that are not wanted any more go."""
        (data / "sub-01/ses-a/anat/sub-01_ses-a_ce-gadolinium_T1w.nii.gz").unlink()
        put(data, "sub-01/ses-a/anat/sub-01_ses-a_T2w", (40, 40, 6))
        anat = output / "sub-01/ses-a/anat"
        (anat / "mine.txt").write_text("by hand")
        before = files_of(output / "sub-01/ses-b")
        case = find_cases(data)[0]
        found = made(np.zeros((6, 40, 40), np.uint8), Grid((40, 40, 6)))
        form = Derivatives(data)
        form.check(output, case, CaseInputs.of(case))
        form.write(output, case, found, model, INTERNAL, CaseInputs.of(case), AUTOMATIC)
        starts = {name.split("_seg-")[0] for name in os.listdir(anat)}
        assert starts == {"sub-01_ses-a", "mine.txt"}
        assert not any("probseg" in name for name in os.listdir(anat))
        assert len(own_files(output / "docs/pictures", case)) == 1
        assert len(os.listdir(output / "docs/pictures")) == 2
        assert files_of(output / "sub-01/ses-b") == before

    @pytest.mark.parametrize("moves", [0, 1, 3, 5])
    def test_a_run_that_stops_leaves_no_label_map_beside_another_report(
        self, data, output, model, monkeypatch, moves
    ):
        case = find_cases(data)[0]
        form, inputs = Derivatives(data), CaseInputs.of(case)
        found = made(np.full((6, 40, 40), 4, np.uint8), Grid((40, 40, 6)))
        wanted = OutputOptions(CODINGS["brats2023"])
        move, left = Path.replace, iter(range(moves))

        def stop_after_some(path, to):
            if Path(to).parent.name == "anat" and next(left, None) is None:
                raise KeyboardInterrupt
            return move(path, to)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", stop_after_some)
            with pytest.raises(KeyboardInterrupt):
                form.write(output, case, found, model, wanted, inputs, AUTOMATIC)
        anat = output / "sub-01/ses-a/anat"
        assert not (anat / f"{TUMOR}_dseg.nii.gz").exists()
        assert not form.is_written(output, case, model, wanted, inputs, AUTOMATIC)
        form.check(output, case, inputs)
        form.write(output, case, found, model, wanted, inputs, AUTOMATIC)
        assert form.is_written(output, case, model, wanted, inputs, AUTOMATIC)

    def test_results_of_a_subject_and_of_its_sessions_are_told_apart(self, tmp_path):
        for name in ("sub-1_seg-glioma_dseg.json", "sub-1_ses-a_ce-x_seg-glioma_dseg.json"):
            (tmp_path / name).touch()
        whole, session, other = (Case(name, {}) for name in ("sub-1", "sub-1_ses-a", "sub-11"))
        assert [path.name for path in own_files(tmp_path, whole)] == ["sub-1_seg-glioma_dseg.json"]
        assert len(own_files(tmp_path, session)) == 1
        assert own_files(tmp_path, other) == []


class TestOthers:
    """Nothing of another program, of other data or of the user is replaced."""

    def refuses(self, capsys, says, *arguments):
        assert main([*map(str, arguments), *MODEL]) == 2
        assert says in capsys.readouterr().err

    @pytest.mark.parametrize(
        "maker",
        [{"GeneratedBy": [{"Name": "fmriprep"}]}, {}, {"GeneratedBy": "x"}, {"GeneratedBy": [[]]}],
    )
    def test_the_data_set_of_another_program(self, data, tmp_path, capsys, maker):
        other = describe(tmp_path / f"{PROGRAM}-2", **maker)
        before = files_of(other)
        says = "found a data set that this program did not make"
        self.refuses(capsys, says, "bids", data, other, "participant")
        assert files_of(other) == before

    def test_the_raw_data_set_itself(self, data, capsys):
        before = files_of(data)
        labels = ("--participant-label", "01")
        says = "found a data set that this program did not make (named 'made')"
        self.refuses(capsys, says, "bids", data, data, "participant", *labels)
        assert files_of(data) == before

    def test_a_folder_of_other_files(self, data, tmp_path, capsys):
        (tmp_path / "out").mkdir()
        (tmp_path / "out/thesis.txt").write_text("mine")
        says = "found files and no dataset_description.json that can be read"
        self.refuses(capsys, says, "bids", data, tmp_path / "out", "participant")
        assert os.listdir(tmp_path / "out") == ["thesis.txt"]

    def test_a_name_that_bids_does_not_allow(self, data, capsys):
        says = "expected 'braintumorseg' in its name"
        self.refuses(capsys, says, "bids", data, data / "derivatives/out", "participant")
        assert not (data / "derivatives/out").exists()

    def test_the_derivative_of_another_data_set(self, data, output, tmp_path, capsys):
        other = describe(tmp_path / "other")
        write_session(other, "01", "a", 9)
        before = files_of(output)
        says = f"found the derivative of another data set ({data})"
        self.refuses(capsys, says, "bids", other, output, "participant")
        assert files_of(output) == before

    def test_results_of_another_subject_with_the_same_name(self, data, output, tmp_path, capsys):
        """As where two data sets are mounted at one place."""
        moved = shutil.move(data, tmp_path / "moved") / "derivatives" / PROGRAM
        describe(data)
        write_session(data, "01", "a", 9)
        shutil.copytree(moved, output)
        for path in (output / "sub-01/ses-a/anat").glob("*glioma_dseg.json"):
            content = json.loads(path.read_text())
            content["Report"]["inputs"] = {"t1": "bids:raw:elsewhere.nii.gz"}
            path.write_text(json.dumps(content))
        before = files_of(output)
        self.refuses(capsys, "found results of another input", "bids", data, output, "participant")
        assert files_of(output) == before

    def test_a_changed_image_of_the_same_subject_is_segmented_again(self, data, output):
        path = data / "sub-01/ses-b/anat/sub-01_ses-b_T2w.nii.gz"
        sitk.WriteImage(sitk.ReadImage(str(path)) + 1, str(path))
        report = output / f"sub-01/ses-b/anat/{TUMOR.replace('ses-a', 'ses-b')}_dseg.json"
        before = json.loads(report.read_text())["Report"]["inputs_sha256"]
        assert segment(data, "--continue", "--session-label", "b") == 0
        after = json.loads(report.read_text())["Report"]["inputs_sha256"]
        assert {m for m in after if after[m] != before[m]} == {"t2"}

    def test_what_a_user_adds_to_the_description_stays(self, data, output):
        path = output / "dataset_description.json"
        content = {**json.loads(path.read_text()), "Authors": ["A"], "License": "CC0"}
        content["GeneratedBy"][0]["Version"] = "0.0.1"
        path.write_text(json.dumps(content))
        assert segment(data, "--participant-label", "02") == 0
        after = json.loads(path.read_text())
        assert (after["Authors"], after["License"]) == (["A"], "CC0")
        assert after["GeneratedBy"][0]["Version"] != "0.0.1"

    def test_a_file_in_the_place_of_a_folder(self, data, output, capsys):
        (output / "sub-02").write_text("mine")
        says = "a place that cannot hold the result"
        labels = ("--participant-label", "02")
        self.refuses(capsys, says, "bids", data, output, "participant", *labels)
        assert (output / "sub-02").read_text() == "mine"

    @pytest.mark.parametrize("option", ["--uncertainty", "--keep-prepared", "--dicom-seg"])
    def test_what_bids_has_no_name_for(self, data, tmp_path, capsys, option):
        self.refuses(
            capsys, f"{option} with --bids", "bids", data, tmp_path / "out", "participant", option
        )
        assert not (tmp_path / "out").exists()

    def test_a_folder_that_is_no_data_set(self, data, tmp_path, capsys):
        (data / "dataset_description.json").unlink()
        says = "found no dataset_description.json with 'BIDSVersion'"
        self.refuses(capsys, says, "bids", data, tmp_path / "out", "participant")

    def test_files_beside_the_form_of_the_data_set(self, tmp_path):
        root = describe(tmp_path / "data")
        put(root, "patient7/patient7_t1")
        put(root, "patient7/patient7_flair")
        (case,) = find_cases(root)
        with pytest.raises(InputError, match="no subject and session of the data set"):
            Derivatives(root).check(tmp_path / "out", case, CaseInputs.of(case))
