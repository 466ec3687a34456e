"""Evaluation of folders of label maps through real atomic_files."""

import csv
import json
import statistics
from pathlib import Path

import numpy as np
import pytest

from scripted_models.errors import InputError, ResourceError
from scripted_models.evaluation.folder_scores import (
    COLUMNS,
    comparison_table,
    evaluate_folders,
    write_reports,
)
from scripted_models.evaluation.metrics import METRICS
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels
from scripted_models.labels import CODINGS, encode_labels
from scripted_models.runtime import atomic_files

GRID = Grid((12, 10, 8), (1.0, 1.0, 2.0))
NAMES = ("BraTS20_Training_001", "BraTS20_Training_002")


def tumor(shift: int = 0) -> np.ndarray:
    """Return internal labels: edema 6x6x6 with necrosis and enhancing core in it."""
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[1:7, 1:7, 1 + shift : 7 + shift] = 2
    labels[2:6, 2:6, 2 + shift : 6 + shift] = 1
    labels[3:5, 3:5, 3 + shift : 5 + shift] = 4
    return labels


def write_truth(root: Path, name: str, values: np.ndarray, grid: Grid = GRID) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    write_labels(folder / f"{name}_seg.nii.gz", values, grid)
    for sequence in ("t1", "t1ce", "t2", "flair"):
        write_labels(folder / f"{name}_{sequence}.nii.gz", values, grid)


def write_prediction(root: Path, name: str, labels: np.ndarray, grid: Grid = GRID) -> None:
    (root / name).mkdir(parents=True)
    write_labels(root / name / "segmentation.nii.gz", labels, grid)


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path, Path]:
    """Two cases with truth; the second prediction is shifted by one voxel."""
    truth, predictions = tmp_path / "truth", tmp_path / "model"
    for shift, name in enumerate(NAMES):
        write_truth(truth, name, tumor())
        write_prediction(predictions, name, tumor(shift))
    return predictions, truth, tmp_path / "reports"


def read_rows(output: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (output / "metrics.csv").open(newline="", encoding="utf-8") as file:
        return {(row["case"], row["region"]): row for row in csv.DictReader(file)}


def test_known_scores_reach_the_result_and_the_csv(folders):
    predictions, truth, output = folders
    result = evaluate_folders(predictions, truth, output)
    # A 6x6x6 box shifted by one keeps 5/6; the core of 4x4x4 keeps 3/4; the middle of 2x2x2 half.
    shifted = result.cases[NAMES[1]]
    assert shifted["WT"]["dice"] == pytest.approx(5 / 6)
    assert shifted["TC"]["dice"] == pytest.approx(3 / 4)
    assert shifted["ET"]["dice"] == pytest.approx(1 / 2)
    assert shifted["WT"]["truth_ml"] == pytest.approx(216 * 2 / 1000)
    rows = read_rows(output)
    assert len(rows) == 3 * 3
    assert tuple(rows[NAMES[0], "TC"])[2:] == COLUMNS
    assert float(rows[NAMES[1], "TC"]["dice"]) == pytest.approx(0.75)
    assert float(rows["mean", "TC"]["dice"]) == pytest.approx((1 + 0.75) / 2)


def test_json_holds_cases_means_spread_policy_and_versions(folders):
    predictions, truth, output = folders
    result = evaluate_folders(predictions, truth, output)
    content = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    assert content["cases"] == result.cases
    for metric in METRICS:
        values = [content["cases"][name]["WT"][metric] for name in NAMES]
        assert content["mean"]["WT"][metric] == pytest.approx(statistics.mean(values))
        assert content["std"]["WT"][metric] == pytest.approx(statistics.pstdev(values))
    assert content["counts"]["TC"]["cases"] == 2
    assert "both masks empty" in content["empty_mask_policy"]
    assert {"scripted_models", "numpy", "SimpleITK"} <= set(content["versions"])


def test_only_whole_reports_stay_in_the_output(folders):
    predictions, truth, output = folders
    result = evaluate_folders(predictions, truth, output)
    assert sorted(p.name for p in output.iterdir()) == [
        "comparison.md",
        "metrics.csv",
        "metrics.json",
    ]
    assert (output / "comparison.md").read_text(encoding="utf-8") == comparison_table(result)


def test_progress_is_reported_once_per_case(folders):
    calls = []
    evaluate_folders(*folders[:2], on_case=lambda *call: calls.append(call))
    assert calls == [(1, 2, NAMES[0]), (2, 2, NAMES[1])]


def test_all_missing_predictions_are_named_and_nothing_is_written(folders):
    predictions, truth, output = folders
    for name in ("BraTS20_Training_003", "BraTS20_Training_004"):
        write_truth(truth, name, tumor())
    with pytest.raises(InputError, match=r"2 of 4 .*_003, BraTS20_Training_004"):
        evaluate_folders(predictions, truth, output)
    assert not output.exists()


def test_prediction_without_truth_is_a_warning(folders):
    predictions, truth, output = folders
    write_prediction(predictions, "stranger", tumor())
    result = evaluate_folders(predictions, truth, output)
    assert set(result.cases) == set(NAMES)
    assert len(result.warnings) == 1
    assert "stranger" in result.warnings[0]


def test_only_the_named_cases_are_scored_and_need_a_prediction(folders):
    predictions, truth, output = folders
    write_truth(truth, "BraTS20_Training_003", tumor())  # no prediction
    result = evaluate_folders(predictions, truth, output, only=[NAMES[1]])
    assert result.cases == {
        NAMES[1]: evaluate_folders(predictions, truth, only=NAMES).cases[NAMES[1]]
    }
    assert result.warnings == ()  # the other prediction has a truth
    assert {case for case, _ in read_rows(output)} == {NAMES[1], "mean"}


@pytest.mark.parametrize(
    ("only", "named"), [((NAMES[0], "stranger", "other"), "other, stranger"), ((), "none named")]
)
def test_named_cases_without_truth_are_refused(folders, only, named):
    predictions, truth, output = folders
    with pytest.raises(InputError, match=rf"no ground truth for the cases to score \({named}\)"):
        evaluate_folders(predictions, truth, output, only=only)
    assert not output.exists()


@pytest.mark.parametrize(
    ("grid", "word"),
    [
        (Grid(GRID.size_xyz, (1.0, 1.0, 3.0)), "spacings"),
        (Grid(GRID.size_xyz, GRID.spacing_xyz_mm, (0.0, 5.0, 0.0)), "origins"),
        (Grid((12, 10, 8), (1.0, 1.0, 2.0), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1)), "directions"),
    ],
)
def test_prediction_on_another_grid_is_refused_with_the_difference(folders, grid, word):
    predictions, truth, output = folders
    path = predictions / NAMES[1] / "segmentation.nii.gz"
    write_labels(path, tumor(), grid)
    with pytest.raises(InputError, match=rf"{NAMES[1]} on another grid than.*\({word}"):
        evaluate_folders(predictions, truth, output)
    assert not output.exists()


def test_prediction_of_another_size_is_refused(folders):
    predictions, truth, _ = folders
    other = Grid((12, 10, 9), GRID.spacing_xyz_mm)
    labels = np.zeros(other.shape_zyx, np.uint8)
    write_labels(predictions / NAMES[0] / "segmentation.nii.gz", labels, other)
    with pytest.raises(InputError, match="sizes 12x10x9 and 12x10x8 voxels"):
        evaluate_folders(predictions, truth)


def test_unknown_label_in_a_prediction_names_its_option(folders):
    predictions, truth, output = folders
    write_labels(predictions / NAMES[0] / "segmentation.nii.gz", tumor() * 2, GRID)
    with pytest.raises(InputError, match=r"label\(s\) 8.*--prediction-coding"):
        evaluate_folders(predictions, truth, output)
    assert not output.exists()


def test_unknown_label_in_the_truth_is_refused(folders):
    predictions, truth, _ = folders
    values = tumor()
    values[0, 0, 0] = 3  # no label of BraTS 2017-2021
    write_labels(truth / NAMES[0] / f"{NAMES[0]}_seg.nii.gz", values, GRID)
    with pytest.raises(InputError, match=r"_seg.*label\(s\) 3.*brats2021"):
        evaluate_folders(predictions, truth)


def test_truth_is_mapped_by_the_naming_of_its_data_set(tmp_path):
    name = "BraTS-GLI-00001-000"  # 2023: enhancing is 3
    values = tumor()
    values[values == 4] = 3
    folder = tmp_path / "truth" / name
    folder.mkdir(parents=True)
    write_labels(folder / f"{name}-seg.nii.gz", values, GRID)
    write_labels(folder / f"{name}-t2f.nii.gz", values, GRID)
    write_prediction(tmp_path / "model", name, tumor())
    result = evaluate_folders(tmp_path / "model", tmp_path / "truth")
    assert result.mean["ET"]["dice"] == 1
    assert any("brats2023" in note for note in result.notes)


@pytest.mark.parametrize("extension", [".nii.gz", ".mha", ".nrrd"])
@pytest.mark.parametrize("suffix", ["", "_seg", ".seg", "_seg.seg"])
def test_flat_folders_on_both_sides(tmp_path, extension, suffix):
    (tmp_path / "truth").mkdir()
    (tmp_path / "model").mkdir()
    for name in ("patient1", "patient10"):  # one name starts with the other
        shift = int(name == "patient10")
        write_labels(tmp_path / "truth" / f"{name}{suffix}.nii.gz", tumor(), GRID)
        write_labels(tmp_path / "model" / f"{name}{extension}", tumor(shift), GRID)
    result = evaluate_folders(
        tmp_path / "model", tmp_path / "truth", truth_coding=CODINGS["brats2021"]
    )
    assert result.cases["patient1"]["WT"]["dice"] == 1
    assert result.cases["patient10"]["WT"]["dice"] == pytest.approx(5 / 6)


def test_corrected_segmentations_are_a_truth(folders):
    predictions, _, output = folders
    evaluation = evaluate_folders(predictions, predictions, output)
    assert sorted(evaluation.cases) == sorted(NAMES)
    assert evaluation.mean["TC"]["dice"] == 1


def test_flat_truth_without_a_coding_is_refused(tmp_path):
    (tmp_path / "truth").mkdir()
    write_labels(tmp_path / "truth" / "patient1.nii.gz", tumor(), GRID)
    write_prediction(tmp_path / "model", "patient1", tumor())
    with pytest.raises(InputError, match=r"patient1\.nii\.gz.*--coding"):
        evaluate_folders(tmp_path / "model", tmp_path / "truth")


def test_flat_prediction_that_may_have_the_coding_of_the_truth_must_be_stated(tmp_path):
    msd = tumor()
    msd[tumor() == 1], msd[tumor() == 2], msd[tumor() == 4] = 2, 1, 3
    for side in ("truth", "model"):
        (tmp_path / side).mkdir()
        write_labels(tmp_path / side / "BRATS_001.nii.gz", msd, GRID)
    folders = (tmp_path / "model", tmp_path / "truth")
    with pytest.raises(InputError, match=r"'internal' or.*'msd'.*--prediction-coding"):
        evaluate_folders(*folders, truth_coding=CODINGS["msd"])
    result = evaluate_folders(
        *folders, truth_coding=CODINGS["msd"], prediction_coding=CODINGS["msd"]
    )
    assert all(scores["dice"] == 1 for scores in result.mean.values())
    wrong = evaluate_folders(
        *folders, truth_coding=CODINGS["msd"], prediction_coding=CODINGS["internal"]
    )
    assert wrong.mean["ET"]["dice"] == 0


def test_prediction_is_read_in_the_coding_of_the_report_beside_it(folders):
    predictions, truth, _ = folders
    folder = predictions / NAMES[0]
    write_labels(folder / "segmentation.nii.gz", encode_labels(tumor(), CODINGS["brats2023"]), GRID)
    (folder / "report.json").write_text('{"coding": "brats2023"}', encoding="utf-8")
    result = evaluate_folders(predictions, truth)
    assert result.cases[NAMES[0]]["ET"]["dice"] == 1
    with pytest.raises(InputError, match=r"--prediction-coding internal.*3 non-enh.*report\.json"):
        evaluate_folders(predictions, truth, prediction_coding=CODINGS["internal"])


@pytest.mark.parametrize("text", ["{", "[]", '{"coding": "mine"}', '{"coding": {}}'])
def test_damaged_report_beside_a_prediction_is_refused(folders, text):
    (folders[0] / NAMES[0] / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"report\.json.*--prediction-coding"):
        evaluate_folders(*folders[:2])


def test_two_label_maps_of_one_case_are_refused(folders):
    predictions, truth, _ = folders
    write_labels(predictions / f"{NAMES[0]}.nii.gz", tumor(), GRID)
    with pytest.raises(InputError, match=rf"found two label maps of case {NAMES[0]}"):
        evaluate_folders(predictions, truth)


def test_truth_folder_without_label_maps_is_refused(folders):
    predictions, truth, _ = folders
    for path in truth.rglob("*_seg.nii.gz"):
        path.unlink()
    with pytest.raises(InputError, match="no ground truth in any"):
        evaluate_folders(predictions, truth)


@pytest.mark.parametrize("side", [0, 1])
def test_folder_that_does_not_exist_is_refused(folders, side):
    pair = [*folders[:2]]
    pair[side] = pair[side] / "nowhere"
    with pytest.raises(InputError, match="no such folder"):
        evaluate_folders(*pair)


def test_output_that_is_a_file_is_refused_before_the_work(folders):
    folders[2].write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="expected a folder"):
        evaluate_folders(*folders)
    assert folders[2].read_text(encoding="utf-8") == "mine"


def test_failed_writing_leaves_the_earlier_reports(folders, monkeypatch):
    predictions, truth, output = folders
    result = evaluate_folders(predictions, truth, output)
    before = {p.name: p.read_bytes() for p in output.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic_files.os, "replace", full)
    with pytest.raises(ResourceError, match="No space left"):
        write_reports(result, output)
    assert {p.name: p.read_bytes() for p in output.iterdir()} == before


def test_region_that_the_coding_does_not_define_is_left_out(tmp_path):
    coding = CODINGS["brats2012"]
    values = (tumor() > 0).astype(np.uint8) + (np.isin(tumor(), (1, 4))).astype(np.uint8)
    write_prediction(tmp_path / "model", "BRATS_HG0001", tumor())
    (tmp_path / "truth").mkdir()
    write_labels(tmp_path / "truth" / "BRATS_HG0001_truth.nii.gz", values, GRID)
    result = evaluate_folders(
        tmp_path / "model", tmp_path / "truth", tmp_path / "reports", truth_coding=coding
    )
    assert list(result.mean) == ["WT", "TC"]
    assert result.mean["TC"]["dice"] == 1
    assert any("ET" in note and "left out" in note for note in result.notes)
    assert "1.00 / 1.00 / -" in comparison_table(result)


def test_empty_regions_are_counted_and_noted(folders):
    predictions, truth, output = folders
    without = tumor()
    without[without == 4] = 1
    write_labels(predictions / NAMES[0] / "segmentation.nii.gz", without, GRID)
    result = evaluate_folders(predictions, truth, output)
    assert result.counts["ET"]["only_prediction_empty"] == 1
    assert result.counts["TC"]["only_prediction_empty"] == 0
    diagonal = result.cases[NAMES[0]]["ET"]["hd95_mm"]
    assert diagonal == pytest.approx(GRID.diagonal_mm)
    assert any(note.startswith("Region ET") for note in result.notes)
