"""The files of a BIDS derivative: valid, explained, and the same as in a folder of results."""

import csv
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
    SUFFIXES,
    TUMOR,
    describe,
    files_of,
    made,
    put,
    segmented_set,
    validator_errors,
)
from test_raw_case import raw_case as make_raw_case

from scripted_models.bundle.weights import load_model
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.label_maps import read_labels
from scripted_models.cli import main
from scripted_models.evaluation.pairing import find_predictions
from scripted_models.geometry import Grid
from scripted_models.labels import CODINGS
from scripted_models.measurement.lesion_table import COLUMNS
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.bids_export.derivative_description import PROGRAM
from scripted_models.segmentation.bids_export.derivatives import Derivatives
from scripted_models.segmentation.bids_export.lesion_columns import LESION_COLUMNS
from scripted_models.segmentation.bids_export.names import PICTURES
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.outputs import INTERNAL, OutputOptions
from scripted_models.segmentation.raw_cases import (
    AUTOMATIC,
    PreparationOptions,
    place_of,
    prepare_case,
)


def read_back(path):
    """Read a label map whose coding must be stated beside it."""
    return read_labels(path, None, lambda: pytest.fail(f"no coding is stated of {path}")).labels


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


@pytest.fixture(scope="module")
def segmented(tmp_path_factory):
    return segmented_set(tmp_path_factory.mktemp("bids") / "data")


@pytest.fixture(scope="module")
def model():
    return load_model("fast")


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
    def test_the_validator_would_find_errors(self, segmented, tmp_path, spoil, code):
        output = shutil.copytree(segmented / "derivatives" / PROGRAM, tmp_path / PROGRAM)
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
        assert set(np.unique(own)) >= {0, 2, 4}
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
            done = form.write(output, case, found, model, options, inputs, AUTOMATIC)
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

    def test_a_cavity(self, write):
        labels = np.where(LABEL_MAP == 3, 5, LABEL_MAP)
        path = write(labels, OutputOptions(CODINGS["brats2024"]), known=(0, 1, 2, 4, 5))
        row = rows_of(path.with_name(path.name.replace(".nii.gz", ".tsv")))[-1]
        told = [row[key] for key in ("index", "name", "abbreviation", "mapping")]
        assert told == ["4", "resection cavity", "RC", "n/a"]
        np.testing.assert_array_equal(read_back(path), labels)

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


raw_case = make_raw_case


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, raw_case):
    """A raw case of BIDS, whose T2 has a grid of its own, and what preparing gives."""
    root = describe(tmp_path_factory.mktemp("raw") / "data")
    for sequence, end in (("t1c", "ce-gadolinium_T1w"), ("t2", "acq-thick_T2w")):
        shutil.copy(raw_case[sequence], put(root, f"sub-01/anat/sub-01_{end}"))
    (case,) = find_cases(root)
    return root, case, prepare_case(case, PreparationOptions(), Progress())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "start", "resolution"),
    [
        ("reference", "ce-gadolinium_", ""),
        ("t2", "acq-thick_", ""),
        ("working", "ce-gadolinium_", "_res-1mm"),
    ],
)
def test_a_raw_case_has_the_name_of_its_grid(prepared, model, tmp_path, wanted, start, resolution):
    root, case, ready = prepared
    place, options = place_of(ready, wanted), PreparationOptions(result_grid=wanted)
    labels = place.brain.astype(np.uint8)
    found = replace(made(labels, place.grid), prepared=ready, asked=options.asked)
    form, inputs, output = Derivatives(root), CaseInputs.of(case), tmp_path / PROGRAM
    done = form.write(output, case, found, model, INTERNAL, inputs, AUTOMATIC)
    name = f"sub-01_{start}seg-glioma{resolution}"
    assert done.files["segmentation"].name == f"{name}_dseg.nii.gz"
    assert Grid.of(sitk.ReadImage(str(done.files["segmentation"]))).matches(place.grid)
    sidecar = json.loads(done.files["report"].read_text(encoding="utf-8"))
    assert sidecar["SpatialReference"].endswith("T2w.nii.gz" if wanted == "t2" else "T1w.nii.gz")
    assert ("Resolution" in sidecar) == bool(resolution)
    pictures = sorted(os.listdir(output / PICTURES))
    assert pictures == [f"{name}_overlay.png", f"{name}_preparation.png"]
    assert validator_errors(output) == []
    assert form.is_written(output, case, model, INTERNAL, inputs, options)
    assert not form.is_written(output, case, model, INTERNAL, inputs, PreparationOptions("always"))


def test_evaluate_finds_the_label_maps(segmented):
    found = find_predictions(segmented / "derivatives" / PROGRAM)
    assert list(found) == ["sub-01_ses-a", "sub-01_ses-b"]
    assert all(path.name.endswith("_seg-glioma_dseg.nii.gz") for path in found.values())


@pytest.mark.slow
@pytest.mark.real_data
def test_a_real_case(real_data, tmp_path):
    """Six slices of a patient as BIDS, segmented by the shipped model."""
    case = next(case for case in find_cases(real_data / "brats") if not case.missing and case.truth)
    truth, _grid = case.read_truth()
    middle = int(np.argmax((truth == 4).sum((1, 2))))
    slices = slice(middle - 3, middle + 3)
    root = describe(tmp_path / "data")
    for sequence, end in zip(("t1", "t1c", "t2", "flair"), SUFFIXES.values(), strict=True):
        path = put(root, f"sub-real/anat/sub-real_{end}")
        sitk.WriteImage(case.images[sequence].read()[:, :, slices], str(path))
    assert validator_errors(root) == []
    output = tmp_path / PROGRAM
    options = ("--model", "fast", "--device", "cpu", "--progress", "none", "--prepare", "never")
    assert main(["bids", str(root), str(output), "participant", *options]) == 0
    assert validator_errors(output) == []
    start = output / "sub-real/anat/sub-real_ce-gadolinium_seg-"
    found = read_back(Path(f"{start}glioma_dseg.nii.gz")) > 0
    both = np.count_nonzero(found & (truth[slices] > 0))
    assert 2 * both / (np.count_nonzero(found) + np.count_nonzero(truth[slices])) > 0.8
    assert rows_of(Path(f"{start}lesions_dseg.tsv"))[0]["index"] == "1"
