"""The resection cavity: which output counts where, how it is scored, and what follows visits."""

import json

import numpy as np
import pytest
import torch
from follow_fixtures import GRID as FOLLOW_GRID
from follow_fixtures import balls, write_result
from model_fixtures import described

from scripted_models.bundle.card import card_text
from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.foreign_words import outputs_of
from scripted_models.bundle.importers.stage import stage_of
from scripted_models.cases.case import Case
from scripted_models.cli import main
from scripted_models.errors import ModelError
from scripted_models.evaluation.folder_scores import evaluate_folders
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels
from scripted_models.inference.label_probabilities import label_probabilities
from scripted_models.labels import CODINGS
from scripted_models.measurement.lesions import find_lesions
from scripted_models.networks import build_network
from scripted_models.segmentation.quality_estimate import estimated_dice, result_problems
from scripted_models.tasks.brains.case_split import _cavity_notes
from scripted_models.transforms.region_thresholds import decide_labels
from scripted_models.transforms.volume_networks import RegionOutputs

ORDERS = [("RC", "WT", "TC", "ET"), ("WT", "RC", "TC", "ET"), ("WT", "TC", "RC", "ET")]
ORDERS += [("WT", "TC", "ET", "RC")]
WRITTEN = {"WT": 2, "TC": 1, "ET": 4, "RC": 5}
GRID = Grid((12, 10, 8), (1.0, 1.0, 2.0))


class TestRegions:
    @pytest.mark.parametrize("order", ORDERS)
    def test_labels_are_those_of_one_region_written_over_the_other(self, order):
        """As nnU-Net writes them, where what a network says of the tumor lies inside each other."""
        random = np.random.default_rng(0)
        said = dict(zip(("ET", "TC", "WT"), np.sort(random.random((3, 4000)), axis=0), strict=True))
        said["RC"] = random.random(4000)
        logits = torch.logit(torch.tensor(np.stack([said[name] for name in order])))
        outputs = RegionOutputs(order=order)
        probabilities = label_probabilities(logits, outputs)
        assert np.allclose(probabilities.sum(axis=0), 1, atol=1e-6)
        assert probabilities.min() >= -1e-6
        drawn = np.zeros(4000, int)
        for name in order:
            drawn[said[name] > 0.5] = WRITTEN[name]
        found = decide_labels(probabilities, outputs.labels, dict.fromkeys(order, 0.5))
        assert set(np.unique(drawn)) == {0, 1, 2, 4, 5}
        assert np.array_equal(found, drawn)

    def test_a_cavity_is_decided_like_a_region(self):
        probabilities = np.array([[0.5, 0.2], [0.0, 0.0], [0.1, 0.5], [0.0, 0.0], [0.4, 0.3]])
        least = {"WT": 0.5, "TC": 0.5, "ET": 0.5, "RC": 0.25}
        known = (0, 1, 2, 4, 5)
        assert decide_labels(probabilities, known, least).tolist() == [5, 2]
        assert decide_labels(probabilities, known, least | {"RC": "estimated_dice"})[0] == 5


class TestResult:
    def test_a_cavity_is_no_lesion_and_no_tumor(self):
        labels = np.zeros((8, 10, 12), np.uint8)
        labels[2:6, 2:8, 2:9] = 5
        assert not find_lesions(labels, GRID).items
        assert [p.found for p in result_problems(labels, {}, (), {})] == ["no tumor"]
        labels[5:7, 2:8, 2:9] = 4
        (lesion,) = find_lesions(labels, GRID).items
        assert lesion.voxels == np.sum(labels == 4)

    def test_its_estimated_dice(self):
        labels = np.array([[[0, 5], [5, 2]]], np.uint8)
        certain = np.stack([(labels == k).astype(np.float32) for k in (0, 1, 2, 4, 5)])
        assert estimated_dice(labels, certain, (0, 1, 2, 4, 5))["RC"] == 1.0
        assert "RC" not in estimated_dice(labels, certain[:4], (0, 1, 2, 4))


def tumor(cavity: int) -> np.ndarray:
    """Internal labels; the cavity is as long as the number says."""
    labels = np.zeros(GRID.shape_zyx, np.uint8)
    labels[1:5, 1:5, 1:5] = 2
    labels[2:4, 2:4, 2:4] = 4
    labels[5:7, 5:7, 1 : 1 + cavity] = 5
    return labels


IN_2024 = np.array([0, 1, 2, 1, 3, 4], np.uint8)
NAME = "BraTS-GLI-00005-100"


class TestScores:
    def folders(self, tmp_path, name=NAME, values=IN_2024, predicted=8, true=6):
        for folder, labels in (("truth", tumor(true)), ("model", tumor(predicted))):
            (tmp_path / folder / name).mkdir(parents=True)
            written = values[labels] if folder == "truth" else labels
            file = f"{name}-seg.nii.gz" if folder == "truth" else "segmentation.nii.gz"
            write_labels(tmp_path / folder / name / file, written, GRID)
            if folder == "truth":
                write_labels(tmp_path / folder / name / f"{name}-t1c.nii.gz", written, GRID)
        return evaluate_folders(tmp_path / "model", tmp_path / "truth", tmp_path / "out")

    def test_a_row_of_its_own(self, tmp_path):
        found = self.folders(tmp_path)
        rows = found.cases[NAME]
        assert list(rows) == ["WT", "TC", "ET", "RC"]
        assert rows["RC"]["dice"] == pytest.approx(2 * 6 / (6 + 8))
        assert rows["WT"]["dice"] == rows["TC"]["dice"] == rows["ET"]["dice"] == 1
        assert rows["WT"]["truth_ml"] == pytest.approx(64 * 2 / 1000)
        assert "RC is the resection cavity, scored by itself" in " ".join(found.notes)
        assert "RC: Dice 0.857" in (tmp_path / "out" / "comparison.md").read_text("utf-8")
        assert "RC" in (tmp_path / "out" / "metrics.csv").read_text("utf-8")
        iu = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))["voxels"]["iu"]
        assert iu["resection cavity"] == pytest.approx(6 / 8)

    def test_a_missed_one_counts_and_none_is_no_row(self, tmp_path):
        assert self.folders(tmp_path / "a", predicted=0).cases[NAME]["RC"]["dice"] == 0
        assert list(self.folders(tmp_path / "b", predicted=0, true=0).cases[NAME]) == [
            "WT",
            "TC",
            "ET",
        ]

    def test_a_truth_that_has_no_number_for_it(self, tmp_path):
        in_2023 = np.array([0, 1, 2, 1, 3, 0], np.uint8)
        name = "BraTS-GLI-00005-000"
        found = self.folders(tmp_path, name, in_2023)
        assert list(found.cases[name]) == ["WT", "TC", "ET"]
        assert "no number for it, so it counts as background" in " ".join(found.notes)
        assert found.voxels.summary["pixel_accuracy"] == 1

    def test_training_says_that_it_does_not_learn_it(self, tmp_path):
        cases = [
            Case("a", {}, tmp_path / "a-seg.nii.gz", CODINGS["brats2024"]),
            Case("b", {}, None, None),
        ]
        (note,) = _cavity_notes(cases)
        assert note.startswith("The ground truth of 1 cases may hold a resection cavity. It trains")


def test_visits_tell_the_cavity_beside_the_volumes(tmp_path):
    labels = balls(FOLLOW_GRID, ((0, 0, 0), 9))
    before = write_result(tmp_path / "a", labels)
    after = labels.copy()
    after[:3] = 5
    later = write_result(tmp_path / "b", after, known_labels=[0, 1, 2, 4, 5])
    command = ["follow", str(before), str(later), "--days", "0", "60", "--progress", "none"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    facts = json.loads((tmp_path / "out" / "follow.json").read_text("utf-8"))
    ml = np.sum(after == 5) * FOLLOW_GRID.voxel_volume_ml
    assert [v["resection_cavity_ml"] for v in facts["visits"]] == [
        None,
        pytest.approx(ml, abs=1e-3),
    ]
    assert len(set(facts["regions"]["WT"]["values_ml"])) == 1
    assert "Resection cavity (mL)" in (tmp_path / "out" / "follow.html").read_text("utf-8")


class TestImport:
    @pytest.mark.parametrize(
        "names", [("WT", "TC", "ET", "RC"), ("resection cavity", "TC", "WT", "ET")]
    )
    def test_outputs_of_regions(self, names):
        found = outputs_of(names, 4, True, Answers(), Understood())
        assert found.labels == (0, 1, 2, 4, 5)
        assert len(found.over_cavity) == (0 if names[-1] == "RC" else 3)

    def test_outputs_of_labels(self):
        names = ("background", "NETC", "SNFH", "ET", "RC")
        assert outputs_of(names, 5, False, Answers(), Understood()).order == (0, 1, 2, 4, 5)

    @pytest.mark.parametrize("names", [("WT",), ("WT", "TC"), ("WT", "ET", "RC")])
    def test_regions_of_which_no_label_follows(self, names):
        with pytest.raises(ModelError, match="no label would be true; choose a model with all"):
            outputs_of(names, len(names), True, Answers(), Understood())

    @pytest.mark.parametrize(
        ("facts", "stage"),
        [
            ("tumor subregions based on BraTS 2018 data", "before operation"),
            ("Dataset137_BraTS2021", "before operation"),
            ("Dataset501_BraTS2024_GLI", "after operation"),
            ("a post-treatment cohort", "after operation"),
            ("Dataset501_BraTS2024_SSA", None),
            ("BraTS 2023 and BraTS 2024", None),
            ("BraTS2023-MET", None),
            ("Task01_BrainTumour, BRATS 2016 and 2017", None),
            ("", None),
        ],
    )
    def test_when_the_scans_were_made_follows_from_words_alone(self, facts, stage):
        outputs = RegionOutputs(order=("WT", "TC", "ET"))
        assert stage_of(outputs, facts, Understood()) == stage
        with_cavity = RegionOutputs(order=("WT", "TC", "ET", "RC"))
        assert stage_of(with_cavity, facts, Understood()) == "after operation"

    def test_the_card_says_it(self):
        said = card_text(described(made_for=None), build_network("ThresholdBaseline"))
        assert "before or after an operation is not stated; it does not tell a resection" in said
