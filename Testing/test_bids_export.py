"""Results as a BIDS derivative: valid, whole, of these data only, and the same as elsewhere."""

import csv
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from bids_fixtures import describe, put, validator_errors, write_session

from scripted_models.bids_export.derivative_description import PROGRAM
from scripted_models.bids_export.derivatives import Derivatives
from scripted_models.bids_export.lesion_columns import LESION_COLUMNS
from scripted_models.bids_export.names import own_files
from scripted_models.bundle.weights import load_model
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.label_maps import read_labels
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.inference import choose_device
from scripted_models.labels import CODINGS, LABELS
from scripted_models.measurement.lesion_table import COLUMNS
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.outputs import INTERNAL, OutputOptions
from scripted_models.segmentation.raw_cases import AUTOMATIC
from scripted_models.segmentation.result import Segmentation

MODEL = ("--model", "TwoPathCNN", "--device", "cpu", "--progress", "none")
START = "sub-01_ses-a_ce-gadolinium_seg"
TUMOR, LESIONS = f"{START}-glioma", f"{START}-lesions"


def segment(root, *options):
    output = root / "derivatives" / PROGRAM
    return main(["segment", str(root), "--bids", "--output", str(output), *MODEL, *options])


def files_of(folder):
    """Return content by path of all files below a folder, but of running times."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: _timeless(path) for name, path in found.items()}


def _timeless(path):
    if path.suffix != ".json":
        return path.read_bytes()
    content = json.loads(path.read_text(encoding="utf-8"))
    content.get("Report", {}).pop("seconds", None)
    return content


def read_back(path):
    """Read a label map whose coding must be stated beside it."""
    return read_labels(path, None, lambda: pytest.fail(f"no coding is stated of {path}")).labels


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    """A data set of two sessions and a second subject, with the derivative of the first two."""
    root = describe(tmp_path_factory.mktemp("bids") / "data")
    for seed, (subject, session) in enumerate((("01", "a"), ("01", "b"), ("02", ""))):
        write_session(root, subject, session, seed)
    (root / "sub-01/sub-01_sessions.tsv").write_text(
        "session_id\tacq_time\nses-a\t2020-01-02T03:04:05\nses-b\tn/a\n"
    )
    assert segment(root, "--participant-label", "01", "--probabilities") == 0
    return root


@pytest.fixture(scope="module")
def model():
    return load_model("TwoPathCNN")


@pytest.fixture
def data(segmented, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(segmented, tmp_path / "data")


@pytest.fixture
def output(data):
    return data / "derivatives" / PROGRAM


class TestFiles:
    def test_the_validator_finds_no_error(self, segmented):
        assert validator_errors(segmented, "--recursive") == []
        assert validator_errors(segmented / "derivatives" / PROGRAM) == []

    @pytest.mark.parametrize(
        ("spoil", "code"),
        [
            (lambda out, anat: (out / "dataset_description.json").write_text("{}"), "JSON_KEY"),
            (lambda out, anat: (anat / f"{TUMOR}_dseg.tsv").write_text("value\n1\n"), "TSV_"),
            (
                lambda out, anat: (anat / f"{TUMOR}_dseg.nii.gz").rename(anat / "sub-01_x.nii.gz"),
                "NOT_INCLUDED",
            ),
        ],
        ids=["no description", "no lookup table", "a name of no form"],
    )
    def test_the_validator_would_find_errors(self, output, spoil, code):
        spoil(output, output / "sub-01/ses-a/anat")
        assert any(error.startswith(code) for error in validator_errors(output))

    def test_a_session_has_these_files(self, segmented):
        output = segmented / "derivatives" / PROGRAM
        anat = {path.name for path in (output / "sub-01/ses-a/anat").iterdir()}
        ends = {"dseg.nii.gz", "dseg.tsv", "dseg.json"}
        assert anat == {
            *(f"{TUMOR}_{end}" for end in (*ends, "probseg.nii.gz", "probseg.json")),
            *(f"{LESIONS}_{end}" for end in ends),
        }
        assert sorted(os.listdir(output)) == [
            *("README.md", "dataset_description.json", "docs", "sub-01")
        ]
        pictures = sorted(os.listdir(output / "docs/pictures"))
        assert pictures == [f"{TUMOR.replace('ses-a', s)}_overlay.png" for s in ("ses-a", "ses-b")]

    def test_the_sidecar_names_sources_model_and_date(self, segmented):
        anat = segmented / "derivatives" / PROGRAM / "sub-01/ses-a/anat"
        sidecar = json.loads((anat / f"{TUMOR}_dseg.json").read_text(encoding="utf-8"))
        places = [uri.removeprefix("bids:raw:") for uri in sidecar["Sources"]]
        assert all((segmented / place).is_file() for place in places)
        assert len(places) == 4
        assert sidecar["SpatialReference"].endswith("_ses-a_ce-gadolinium_T1w.nii.gz")
        report = sidecar["Report"]
        assert list(report["inputs"].values()) == sidecar["Sources"]
        assert report["date"] == "2020-01-02"
        assert report["model"]["weights_sha256"] in sidecar["Description"]
        description = json.loads((anat.parents[2] / "dataset_description.json").read_text())
        link = description["DatasetLinks"]["raw"]
        assert (anat.parents[2] / link).resolve() == segmented.resolve()
        assert str(segmented) not in json.dumps([sidecar, description])

    def test_labels_are_those_of_a_result_folder(self, segmented, tmp_path):
        options = ("--participant-label", "sub-01", "--session-label", "a", "--coding", "brats2023")
        assert main(["segment", str(segmented), "--output", str(tmp_path), *MODEL, *options]) == 0
        (folder,) = tmp_path.iterdir()
        elsewhere = read_back(folder / "segmentation.nii.gz")
        anat = segmented / "derivatives" / PROGRAM / "sub-01/ses-a/anat"
        own = read_back(anat / f"{TUMOR}_dseg.nii.gz")
        np.testing.assert_array_equal(np.where(own == 3, 1, own), elsewhere)
        probabilities = sitk.ReadImage(str(anat / f"{TUMOR}_probseg.nii.gz"))
        names = json.loads((anat / f"{TUMOR}_probseg.json").read_text())["LabelMap"]
        assert probabilities.GetSize()[3] == len(names)
        np.testing.assert_allclose(sitk.GetArrayFromImage(probabilities).sum(0), 1, atol=1e-5)

    def test_the_call_of_a_bids_app_gives_the_same(self, segmented, tmp_path):
        output = tmp_path / "out"
        options = ("--participant_label", "01", "--probabilities")
        assert main(["bids", str(segmented), str(output), "participant", *MODEL, *options]) == 0
        expected = files_of(segmented / "derivatives" / PROGRAM)
        made = files_of(output)
        link = os.path.relpath(segmented, output)
        assert made["dataset_description.json"]["DatasetLinks"] == {"raw": link}
        for files in (made, expected):
            files.pop("dataset_description.json")
        assert made == expected


LABEL_MAP = np.zeros((6, 20, 24), np.uint8)
LABEL_MAP[1:5, 2:10, 2:12] = 2
LABEL_MAP[2:4, 3:9, 3:9] = 4
LABEL_MAP[2, 5, 5] = 1
LABEL_MAP[2:5, 14:18, 14:20] = 4
LABEL_MAP[5, 19, 23] = 3


def made(labels, grid, known=tuple(LABELS)):
    """A segmentation with these labels."""
    return Segmentation(
        labels=labels,
        probabilities=np.eye(5, dtype=np.float32)[labels].transpose(3, 0, 1, 2)[list(known)],
        known_labels=known,
        grid=grid,
        volumes={"t1c": np.ones(labels.shape, np.float32)},
        problems=(),
        estimated_dice={},
        doubtful_slices=(),
        placement=choose_device("cpu"),
        form="direct",
        memory_steps=(),
        seconds={},
        asked=AUTOMATIC.asked,
    )


class TestTables:
    grid = Grid((24, 20, 6), (1.0, 1.0, 2.0), (5.0, -3.0, 7.0), (-1, 0, 0, 0, -1, 0, 0, 0, 1))

    @pytest.fixture
    def write(self, tmp_path, model):
        root = describe(tmp_path / "data")
        for suffix in ("ce-gadolinium_T1w", "FLAIR"):
            put(root, f"sub-01/anat/sub-01_{suffix}")
        (case,) = find_cases(root)

        def write(labels=LABEL_MAP, options=INTERNAL, **others):
            found = made(labels, self.grid, **others)
            inputs, form, output = CaseInputs.of(case), Derivatives(root), tmp_path / PROGRAM
            done = form.write(output, case, found, model, options, inputs)
            assert form.is_written(output, case, model, options, inputs, AUTOMATIC)
            return done.files["segmentation"]

        return write

    @pytest.mark.parametrize("name", ["internal", "brats2021", "brats2023", "msd"])
    def test_values_names_and_volumes(self, write, name):
        path = write(options=OutputOptions(CODINGS[name]))
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        rows = rows_of(path.with_name(path.name.replace(".nii.gz", ".tsv")))
        assert [int(row["index"]) for row in rows] == np.unique(values).tolist()
        for row in rows[1:]:
            voxels = np.count_nonzero(values == int(row["index"]))
            assert float(row["volume_ml"]) == pytest.approx(voxels * 2e-3)
            assert row["mapping"] == "7"
        expected = LABEL_MAP if name == "internal" else np.where(LABEL_MAP == 3, 1, LABEL_MAP)
        if name != "msd":  # which joins other labels
            np.testing.assert_array_equal(read_back(path), expected)

    def test_a_model_with_fewer_labels(self, write):
        path = write(np.where(LABEL_MAP == 3, 2, LABEL_MAP), known=(0, 1, 2, 4))
        rows = rows_of(path.with_name(path.name.replace(".nii.gz", ".tsv")))
        assert [row["abbreviation"] for row in rows] == ["BG", "NCR", "ED", "ET"]

    def test_lesions_are_numbered_in_map_and_table(self, write):
        path = write()
        path = path.with_name(path.name.replace("glioma", "lesions"))
        image = sitk.ReadImage(str(path))
        rows = rows_of(path.with_name(path.name.replace(".nii.gz", ".tsv")))
        numbers = sitk.GetArrayFromImage(image)
        assert [int(row["index"]) for row in rows] == [1, 2]
        for row in rows:
            voxels = np.argwhere(numbers == int(row["index"]))
            assert set(LABEL_MAP[tuple(voxels.T)]) == {4}
            assert float(row["volume_ml"]) == pytest.approx(len(voxels) * 2e-3)
            center = [float(row[f"centroid_{axis}_lps_mm"]) for axis in "xyz"]
            index = voxels.mean(0)[::-1].tolist()
            assert center == pytest.approx(
                image.TransformContinuousIndexToPhysicalPoint(index), abs=1e-3
            )
        assert numbers.max() == 2

    def test_every_column_is_explained(self, write):
        assert [*LESION_COLUMNS] == ["index", "name", *(c for c in COLUMNS if c != "number")]
        for path in (write(), write().with_name("sub-01_ce-gadolinium_seg-lesions_dseg.nii.gz")):
            stem = path.name.removesuffix(".nii.gz")
            sidecar = json.loads(path.with_name(f"{stem}.json").read_text(encoding="utf-8"))
            for row in rows_of(path.with_name(f"{stem}.tsv")):
                assert all("Description" in sidecar[column] for column in row)
                assert "" not in row.values()
        assert validator_errors(path.parents[2]) == []

    def test_no_tumor_is_an_empty_table(self, write):
        path = write(np.zeros_like(LABEL_MAP))
        path = path.with_name(path.name.replace("glioma", "lesions"))
        assert rows_of(path.with_name(path.name.replace(".nii.gz", ".tsv"))) == []
        assert validator_errors(path.parents[2]) == []


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
        put(data, "sub-01/ses-a/anat/sub-01_ses-a_T2w", (28, 28, 6))
        anat = output / "sub-01/ses-a/anat"
        (anat / "mine.txt").write_text("by hand")
        before = files_of(output / "sub-01/ses-b")
        case = find_cases(data)[0]
        found = made(np.zeros((6, 28, 28), np.uint8), Grid((28, 28, 6)))
        form = Derivatives(data)
        form.check(output, case, CaseInputs.of(case))
        form.write(output, case, found, model, INTERNAL, CaseInputs.of(case))
        starts = {name.split("_seg-")[0] for name in os.listdir(anat)}
        assert starts == {"sub-01_ses-a", "mine.txt"}
        assert not any("probseg" in name for name in os.listdir(anat))
        assert len(own_files(output / "docs/pictures", case)) == 1
        assert len(os.listdir(output / "docs/pictures")) == 2
        assert files_of(output / "sub-01/ses-b") == before

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

    @pytest.mark.parametrize("option", ["--uncertainty", "--keep-prepared"])
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
