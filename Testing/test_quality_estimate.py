"""What the probabilities promise, and whether it comes true when the probabilities are right."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from training_fixtures import write_small_case

from scripted_models.bundle.weights import load_model
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.evaluation.metrics import region_metrics
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import read_volume
from scripted_models.labels import REGIONS
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.quality_estimate import (
    doubtful_slices,
    estimated_dice,
    expected_ml,
    result_problems,
    uncertainty,
)
from scripted_models.segmentation.segmenter import Segmenter

KNOWN = (0, 1, 2, 3, 4)


def random_probabilities(seed, shape=(8, 30, 31), sharpness=3.0):
    """Probabilities that differ from voxel to voxel, with regions that hang together."""
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.standard_normal((5, *shape)).astype(np.float32)
    logits[0] += np.linspace(-4, 6, shape[0])[:, None, None]
    p = np.exp(logits - logits.max(axis=0))
    return p / p.sum(axis=0)


@pytest.mark.parametrize("sharpness", [0.7, 2.0, 6.0])
def test_truths_drawn_from_the_probabilities_have_the_expected_dice(sharpness):
    probabilities = random_probabilities(1, sharpness=sharpness)
    labels = probabilities.argmax(axis=0).astype(np.uint8)
    promised = estimated_dice(labels, probabilities, KNOWN)
    rng = np.random.default_rng(2)
    cumulated = probabilities.cumsum(axis=0)
    grid = Grid((31, 30, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    dice = {region: [] for region in REGIONS}
    for _ in range(8):
        truth = (rng.random(labels.shape) > cumulated).sum(axis=0).clip(max=4).astype(np.uint8)
        for region, row in region_metrics(labels, truth, grid, list(REGIONS)).items():
            dice[region].append(row["dice"])
    for region in REGIONS:
        assert promised[region] == pytest.approx(np.mean(dice[region]), abs=0.02)


def test_certain_probabilities_promise_everything_and_doubt_nothing():
    labels = random_probabilities(3).argmax(axis=0).astype(np.uint8)
    certain = np.eye(5, dtype=np.float32)[:, labels]
    assert estimated_dice(labels, certain, KNOWN) == dict.fromkeys(REGIONS, 1.0)
    assert not uncertainty(certain).any()
    assert doubtful_slices(labels, certain, KNOWN) == []


def test_an_empty_mask_where_nothing_is_expected_is_right():
    nothing = np.zeros((5, 2, 3, 4), np.float32)
    nothing[0] = 1
    labels = np.zeros((2, 3, 4), np.uint8)
    assert set(estimated_dice(labels, nothing, KNOWN).values()) == {1.0}
    half = np.full((5, 2, 3, 4), 0.2, np.float32)
    assert estimated_dice(labels, half, KNOWN) == {"WT": 0.0, "TC": 0.0}
    np.testing.assert_allclose(uncertainty(half), 1, rtol=1e-6)


def test_enhancing_tumor_that_is_likely_but_not_shown_is_told():
    labels = np.full((2, 3, 4), 3, np.uint8)
    asked = (labels, {}, [], {})
    assert result_problems(*asked, enhancing_ml=0.4) == []
    (problem,) = result_problems(*asked, enhancing_ml=2.71)
    assert "about 2.7 mL that may enhance" in problem.sentence
    labels[0, 0, 0] = 4
    assert result_problems(*asked, enhancing_ml=2.71) == []


def test_necrosis_that_is_called_non_enhancing_is_told():
    asked = (np.full((2, 3, 4), 3, np.uint8), {}, [], {})
    assert result_problems(*asked, replaced_necrosis_ml=0.4) == []
    (problem,) = result_problems(*asked, replaced_necrosis_ml=59.42)
    assert "Found 59.4 mL of tumor core in lesions that show no enhancing" in problem.sentence
    assert "called non-enhancing tumor, not necrosis" in problem.sentence


def test_the_expected_volume_is_the_sum_of_probabilities():
    grid = Grid((4, 3, 2), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), tuple(np.eye(3).ravel()))
    p = np.full((5, 2, 3, 4), 0.2, np.float32)
    assert expected_ml(p, KNOWN, "ET", grid) == pytest.approx(0.2 * 24 * 6 / 1000)
    assert expected_ml(p[:3], (0, 1, 2), "ET", grid) == 0


def test_a_model_of_fewer_labels_tells_its_regions():
    probabilities = random_probabilities(5)[:3]
    probabilities /= probabilities.sum(axis=0)
    labels = np.array((0, 2, 4), np.uint8)[probabilities.argmax(axis=0)]
    assert set(estimated_dice(labels, probabilities, (0, 2, 4))) == {"ET"}


def test_doubt_is_found_where_it_was_put():
    labels = np.zeros((9, 10, 11), np.uint8)
    labels[2:7, 2:7, 2:7] = 4
    probabilities = np.moveaxis(np.eye(5, dtype=np.float32)[labels], -1, 0).copy()
    probabilities[:, 5] = 0.2
    assert doubtful_slices(labels, probabilities, KNOWN) == [5]


@given(st.floats(0.3, 7.0), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_doubtful_slices_are_apart(distance_mm, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(5), (40, 6, 7)).transpose(3, 0, 1, 2).astype(np.float32)
    labels = np.zeros((40, 6, 7), np.uint8)
    found = doubtful_slices(labels, probabilities, KNOWN, distance_mm)
    gaps_mm = np.diff(found) * distance_mm
    assert 1 <= len(found) <= 3
    assert (gaps_mm >= 8.0).all()
    most = int(probabilities[1:].sum(axis=(0, 2, 3)).argmax())
    assert most in found


class TestReport:
    @pytest.fixture
    def case(self, tmp_path):
        write_small_case(tmp_path / "data", "Brats18_A_1_1", 1)
        return tmp_path / "data"

    def test_the_report_has_it_and_the_volume_comes_on_request(self, case, tmp_path):
        options = ["--output", str(tmp_path / "out"), "--progress", "none"]
        assert main(["segment", str(case), "--probabilities", *options]) == 0
        folder = tmp_path / "out" / "Brats18_A_1_1"
        report = json.loads((folder / "report.json").read_text())
        shown = report["volumes_ml"]["enhancing"] > 0
        assert set(report["estimated_dice"]) >= (set(REGIONS) if shown else {"WT", "TC"})
        assert all(0 <= value <= 1 for value in report["estimated_dice"].values())
        assert all(1 <= number <= 6 for number in report["doubtful_slices"])
        doubt = read_volume(folder / "uncertainty.nii.gz")
        assert doubt.GetSize() == read_volume(folder / "segmentation.nii.gz").GetSize()
        assert main(["segment", str(case), *options]) == 0
        assert not (folder / "uncertainty.nii.gz").exists()
        assert main(["segment", str(case), "--uncertainty", *options]) == 0
        alone = read_volume(folder / "uncertainty.nii.gz")
        assert np.array_equal(sitk.GetArrayViewFromImage(alone), sitk.GetArrayViewFromImage(doubt))
        assert not list(folder.glob("probability_*"))

    @pytest.mark.parametrize(("least", "asked"), [(1.0, True), (0.0, False)])
    def test_low_expectations_ask_for_a_check(self, case, least, asked):
        model = load_model("TwoPathCNN")
        description = dataclasses.replace(model.description, check_below={"WT": least})
        (found,) = find_cases(case)
        changed = dataclasses.replace(model, description=description)
        result = Segmenter(changed, "cpu").segment(found, Progress())
        said = [text for text in result.warnings if "estimated Dice" in text]
        assert bool(said) == asked
        if asked:
            assert (
                f"{result.estimated_dice['WT']:.2f} for WT, expected at least 1.00 for WT"
                in said[0]
            )
            assert f"{result.doubtful_slices[0] + 1}" in said[0]


class TestShipped:
    """What networks of the recipe of `default` promised of cases of other sites, and their Dice."""

    @pytest.fixture
    def table(self):
        path = REPOSITORY / "benchmarks" / "shipped_models" / "default.csv"
        with path.open(encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    def test_expected_and_measured_dice_of_the_core_correlate(self, table):
        pairs = np.array(
            [[float(row[f"{key} TC"]) for key in ("estimated", "dice")] for row in table]
        )
        assert len(pairs) > 30
        assert np.corrcoef(pairs.T)[0, 1] > 0.5

    def test_the_cases_that_are_doubted_are_worse(self, table):
        least = load_model("default").description.check_below
        doubted, trusted = [], []
        for row in table:
            low = any(float(row[f"estimated {region}"]) < dice for region, dice in least.items())
            (doubted if low else trusted).append(float(row["dice TC"]))
        assert 0 < len(doubted) < len(table) / 5
        assert np.mean(doubted) < np.mean(trusted) - 0.1
