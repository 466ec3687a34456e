"""`evaluate` on what other programs leave: nnU-Net, submissions to BraTS, folders of masks."""

import json

import numpy as np
import pytest

from scripted_models.cli import main
from scripted_models.evaluation.folder_scores import evaluate_folders
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels
from scripted_models.labels import CODINGS

GRID = Grid((12, 10, 8), (1.0, 1.0, 2.0))
OTHER = Grid((12, 10, 8), (1.0, 1.0, 2.5))


def labels(first: int = 1) -> np.ndarray:
    """Internal labels: edema of 4, 5 or 6 slices, a core in it, and a cavity."""
    found = np.zeros(GRID.shape_zyx, np.uint8)
    found[first:5, 1:7, 1:7] = 2
    found[3:5, 2:6, 2:6] = 1
    found[3, 3:5, 3:5] = 4
    found[6, 1:4, 1 : 5 - first] = 5
    return found


TRUE, FOUND = labels(1), labels(2)


def volume(path, values, grid=GRID):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_labels(path, values, grid)


def coded(values, *numbers):
    return np.array(numbers, np.uint8)[values]


def in_2024(values):
    return coded(values, 0, 1, 2, 1, 3, 4)


def masks(folder, values, **names):
    for name, meaning in names.items():
        volume(folder / f"{name}.nii.gz", np.isin(values, meaning).astype(np.uint8))


def expected_scores():
    wt = 2 * np.sum((TRUE > 0) & (TRUE < 5) & (FOUND > 0) & (FOUND < 5))
    wt /= np.isin(TRUE, (1, 2, 4)).sum() + np.isin(FOUND, (1, 2, 4)).sum()
    rc = 2 * np.sum((TRUE == 5) & (FOUND == 5)) / (np.sum(TRUE == 5) + np.sum(FOUND == 5))
    return {"WT": wt, "TC": 1.0, "ET": 1.0, "RC": rc}


def scored(tmp_path, **options):
    found = evaluate_folders(tmp_path / "model", tmp_path / "truth", None, **options)
    return {name: {r: row["dice"] for r, row in rows.items()} for name, rows in found.cases.items()}


def refused(capsys, tmp_path, *options):
    command = ["evaluate", "--predictions", str(tmp_path / "model"), "--truth"]
    assert main([*command, str(tmp_path / "truth"), "--output", str(tmp_path / "o"), *options]) == 2
    assert not (tmp_path / "o").exists()
    return capsys.readouterr().err


class TestNnunet:
    def folders(self, tmp_path, stated, numbers):
        volume(tmp_path / "truth" / "BraTS-GLI-00005-100-seg.nii.gz", in_2024(TRUE))
        volume(tmp_path / "model" / "BraTS-GLI-00005-100.nii.gz", coded(FOUND, *numbers))
        files = {"dataset.json": stated, "plans.json": {}, "predict_from_raw_data_args.json": {}}
        for name, content in files.items():
            (tmp_path / "model" / name).write_text(json.dumps(content), "utf-8")

    def test_labels_of_its_dataset(self, tmp_path):
        names = {"background": 0, "edema": 1, "NETC": 2, "RC": 3, "ET": 4}
        self.folders(tmp_path, {"labels": names}, (0, 2, 1, 2, 4, 3))
        assert scored(tmp_path)["BraTS-GLI-00005-100"] == pytest.approx(expected_scores())

    def test_regions_in_the_order_in_which_they_are_written(self, tmp_path):
        names = {"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": [3], "RC": [4]}
        stated = {"labels": names, "regions_class_order": [7, 5, 3, 9]}
        self.folders(tmp_path, stated, (0, 5, 7, 5, 3, 9))
        assert scored(tmp_path)["BraTS-GLI-00005-100"] == pytest.approx(expected_scores())

    def test_a_dataset_without_a_cavity(self, tmp_path):
        self.folders(
            tmp_path, {"labels": {"background": 0, "ED": 1, "NCR": 2, "ET": 3}}, (0, 2, 1, 2, 3, 0)
        )
        found = evaluate_folders(tmp_path / "model", tmp_path / "truth", None)
        assert list(found.cases["BraTS-GLI-00005-100"]) == ["WT", "TC", "ET"]
        assert "There is a resection cavity in the ground truth." in " ".join(found.notes)


class TestSubmissions:
    @pytest.mark.parametrize(
        ("name", "coding", "numbers"),
        [
            ("BraTS20_Training_001", "brats2021", (0, 1, 2, 1, 4, 0)),
            ("BraTS-GLI-00001-000", "brats2023", (0, 1, 2, 1, 3, 0)),
            ("BraTS-GLI-00001-101", "brats2024", (0, 1, 2, 1, 3, 4)),
        ],
    )
    def test_any_year(self, tmp_path, capsys, name, coding, numbers):
        """The name tells what the truth means; of predictions, which may be ours, it is asked."""
        volume(tmp_path / "truth" / f"{name}.nii.gz", coded(TRUE, *numbers))
        volume(tmp_path / "model" / f"{name}.nii.gz", coded(FOUND, *numbers))
        if coding != "brats2021":  # whose numbers mean the same as ours
            said = refused(capsys, tmp_path)
            assert f"'internal' or, as the ground truth, '{coding}'" in said
            assert "choose with --prediction-coding" in said
        rows = scored(tmp_path, prediction_coding=CODINGS[coding])[name]
        regions = ["WT", "TC", "ET", *(["RC"] if coding == "brats2024" else [])]
        assert rows == pytest.approx({r: expected_scores()[r] for r in regions})

    def test_a_cavity_in_a_case_that_by_its_name_has_none(self, tmp_path, capsys):
        volume(tmp_path / "truth" / "BraTS-GLI-00001-000-seg.nii.gz", in_2024(TRUE))
        volume(tmp_path / "model" / "BraTS-GLI-00001-000" / "segmentation.nii.gz", FOUND)
        said = refused(capsys, tmp_path)
        assert "the label(s) 4" in said
        assert "brats2024" in said


LABELS = {"necrosis": 1, "edema": 2, "enhancing_tumor": 4, "resection_cavity": 5}


class TestMasks:
    def folders(self, tmp_path, **names):
        volume(tmp_path / "truth" / "BraTS-GLI-00005-100-seg.nii.gz", in_2024(TRUE))
        folder = tmp_path / "model" / "BraTS-GLI-00005-100"
        masks(folder, FOUND, **(names or LABELS))
        return folder

    def test_a_file_for_each_label(self, tmp_path):
        self.folders(tmp_path)
        assert scored(tmp_path)["BraTS-GLI-00005-100"] == pytest.approx(expected_scores())

    def test_beside_the_image_and_as_ground_truth(self, tmp_path):
        for name, values in (("truth", TRUE), ("model", FOUND)):
            volume(tmp_path / name / "case_1" / "t1c.nii.gz", values)
            masks(tmp_path / name / "case_1" / "segmentations", values, **LABELS)
        assert scored(tmp_path)["case_1"] == pytest.approx(expected_scores())

    def test_regions_that_overlap(self, tmp_path):
        names = {"whole_tumor": (1, 2, 4), "tumor_core": (1, 4), "enhancing_tumor": 4}
        self.folders(tmp_path, **names)
        rows = scored(tmp_path)["BraTS-GLI-00005-100"]
        assert rows == pytest.approx({r: expected_scores()[r] for r in ("WT", "TC", "ET")})

    def test_whole_tumor_alone_tells_nothing_else(self, tmp_path):
        self.folders(tmp_path, tumor=(1, 2, 4))
        rows = scored(tmp_path)["BraTS-GLI-00005-100"]
        assert rows == pytest.approx({"WT": expected_scores()["WT"]})

    def test_what_is_refused(self, tmp_path, capsys):
        folder = self.folders(tmp_path)
        volume(folder / "hippocampus.nii.gz", FOUND)
        assert "found hippocampus.nii.gz beside masks, expected files named by" in refused(
            capsys, tmp_path
        )
        (folder / "hippocampus.nii.gz").unlink()
        volume(folder / "edema.nii.gz", FOUND)
        assert "edema.nii.gz: found the values 0, 1, 2, 4 and 5" in refused(capsys, tmp_path)
        volume(folder / "edema.nii.gz", (FOUND > 0).astype(np.uint8))
        assert "a folder of masks whose segment" in refused(capsys, tmp_path)
        volume(folder / "edema.nii.gz", (FOUND == 2).astype(np.uint8), OTHER)
        assert "another grid than that of edema.nii.gz" in refused(capsys, tmp_path)
