"""Lesion-wise scores and HD95 of the BraTS challenges, against a slow program of their rules."""

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics.utils import create_table_neighbour_code_to_surface_area
from scipy import ndimage

from scripted_models import cli
from scripted_models.evaluation.challenge_scores import challenge_metrics, challenge_scores
from scripted_models.evaluation.folder_scores import COLUMNS
from scripted_models.evaluation.metrics import CHALLENGE_METRICS, DEFINITIONS
from scripted_models.evaluation.surfels import surfel_hd95_mm
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels

SHAPE = (16, 24, 30)
ALL_AROUND = np.ones((3, 3, 3))  # 26-connectivity


def grid(spacing=(1.0, 1.0, 1.0)):
    return Grid(SHAPE[::-1], spacing)


def box(z, y, x, *size):
    mask = np.zeros(SHAPE, bool)
    mask[z : z + size[0], y : y + size[1], x : x + size[2]] = True
    return mask


def scored(prediction, truth, spacing=(1.0, 1.0, 1.0)):
    return challenge_scores(prediction, truth, grid(spacing))


LARGE, FAR = box(2, 2, 2, 5, 6, 7), box(8, 14, 20, 5, 6, 7)
NOTHING = np.zeros(SHAPE, bool)


class TestRules:
    @pytest.mark.parametrize(
        ("prediction", "truth", "expected"),
        [
            (NOTHING, NOTHING, (0, 1, 0, 0, 0, 0)),
            (LARGE, NOTHING, (374, 0, 374, 0, 0, 1)),
            (NOTHING, LARGE, (374, 0, 374, 0, 1, 0)),
            (LARGE, LARGE, (0, 1, 0, 1, 0, 0)),
            (LARGE, LARGE | FAR, (None, 0.5, 187, 1, 1, 0)),
            (LARGE | FAR, LARGE, (None, 0.5, 187, 1, 0, 1)),
        ],
    )
    def test_missed_and_false_lesions(self, prediction, truth, expected):
        found = scored(prediction, truth)
        assert tuple(found) == CHALLENGE_METRICS
        for value, wanted in zip(found.values(), expected, strict=True):
            if wanted is not None:
                assert value == pytest.approx(wanted)

    @pytest.mark.parametrize(("gap", "lesions"), [(6, 1), (7, 2)])
    def test_lesions_that_meet_after_three_dilations_are_one(self, gap, lesions):
        truth = LARGE | box(2, 2, 9 + gap, 5, 6, 7)
        found = scored(LARGE, truth)
        assert found["lesions_found"] + found["lesions_missed"] == lesions

    @pytest.mark.parametrize(
        ("voxels", "spacing_z", "counts"), [(50, 1.0, 0), (51, 1.0, 1), (25, 2.0, 0), (26, 2.0, 1)]
    )
    def test_fifty_cubic_mm_are_ignored(self, voxels, spacing_z, counts):
        truth = NOTHING.copy()
        truth[8].flat[300 : 300 + voxels] = True
        found = scored(NOTHING, truth, (1.0, 1.0, spacing_z))
        assert found["lesions_missed"] == counts
        assert found["lesion_dice"] == (0 if counts else 1)

    def test_a_false_lesion_of_one_voxel_counts(self):
        found = scored(LARGE | box(14, 22, 28, 1, 1, 1), LARGE)
        assert (found["lesions_false"], found["lesion_dice"]) == (1, 0.5)

    def test_a_prediction_that_touches_an_ignored_lesion_is_not_false(self):
        small = box(10, 16, 22, 1, 2, 2)
        found = scored(LARGE | small, LARGE | small)
        assert (found["lesions_false"], found["lesion_dice"]) == (0, 1)

    def test_one_prediction_over_two_lesions_counts_for_both_whole(self):
        second = box(2, 2, 18, 5, 6, 7)
        bridge = LARGE | second | box(4, 4, 9, 1, 1, 9)
        found = scored(bridge, LARGE | second)
        dice = 2 * LARGE.sum() / (bridge.sum() + LARGE.sum())
        assert found["lesion_dice"] == pytest.approx(dice)


class TestSurface:
    @pytest.mark.parametrize("shift", [1, 4])
    def test_a_moved_box_is_as_far_away_as_it_moved(self, shift):
        moved = np.roll(FAR, -shift, axis=2)
        assert surfel_hd95_mm(FAR, moved, (1.5, 1.0, 1.0)) == pytest.approx(1.5 * shift)

    def test_areas_decide_the_percentile(self):
        plate = box(4, 4, 4, 2, 16, 20)
        spike = plate | box(6, 10, 10, 8, 1, 1)  # 3.6 % of the surface
        assert surfel_hd95_mm(spike, plate, (1.0, 1.0, 1.0)) < 2
        assert surfel_hd95_mm(spike, plate, (1.0, 1.0, 4.0)) > 4

    def test_an_empty_mask_has_none(self):
        with pytest.raises(ValueError, match="empty"):
            surfel_hd95_mm(LARGE, NOTHING, (1.0, 1.0, 1.0))


def slow_hd95(first, second, spacing_zyx):
    if not first.any() or not second.any():
        return 374.0
    table = create_table_neighbour_code_to_surface_area(spacing_zyx)[0].numpy()
    surfaces = []
    for mask in (first, second):
        corners = np.zeros([n + 1 for n in mask.shape], int)
        padded = np.pad(mask, 1).astype(int)
        weights = iter((128, 64, 32, 16, 8, 4, 2, 1))
        for z in (0, 1):
            for y in (0, 1):
                for x in (0, 1):
                    a, b, c = corners.shape
                    corners += next(weights) * padded[z : z + a, y : y + b, x : x + c]
        surfaces.append(((corners > 0) & (corners < 255), table[corners]))
    far = []
    for (own, area), (other, _) in (surfaces, surfaces[::-1]):
        distance = ndimage.distance_transform_edt(~other, sampling=spacing_zyx)[own]
        pairs = sorted(zip(distance, area[own], strict=True))
        wanted, covered = 0.95 * sum(a for _, a in pairs), 0.0
        for reached, part in pairs:
            covered += part
            if covered >= wanted * (1 - 1e-6):
                far.append(reached)
                break
    return max(far)


def slow_scores(prediction, truth, spacing_zyx):
    near = ndimage.generate_binary_structure(3, 2)
    joined, count = ndimage.label(
        ndimage.binary_dilation(truth, near, iterations=3), structure=ALL_AROUND
    )
    parts, part_count = ndimage.label(prediction, structure=ALL_AROUND)
    dices, distances, hits, touched = [], [], [], set()
    for number in range(1, count + 1):
        lesion = truth & (joined == number)
        around = ndimage.binary_dilation(lesion, near, iterations=3)
        names = set(parts[around].tolist()) - {0}
        touched |= names
        if lesion.sum() * np.prod(spacing_zyx) <= 50:
            continue
        own = np.isin(parts, list(names)) & prediction
        dices.append(2 * (own & lesion).sum() / (own.sum() + lesion.sum()))
        distances.append(slow_hd95(own, lesion, spacing_zyx))
        hits.append(bool(names))
    false = part_count - len(touched)
    number = len(dices) + false
    both_empty = not prediction.any() and not truth.any()
    return (
        0 if both_empty else slow_hd95(prediction, truth, spacing_zyx),
        sum(dices) / number if number else 1,
        (sum(distances) + 374 * false) / number if number else 0,
        sum(hits),
        len(hits) - sum(hits),
        false,
    )


@given(st.integers(0, 2**32 - 1), st.sampled_from((1.0, 1.7, 4.0)), st.floats(0.5, 2.5))
@settings(max_examples=12, deadline=None)
def test_agrees_with_a_slow_program(seed, spacing_z, threshold):
    random = np.random.default_rng(seed)
    smooth = [ndimage.gaussian_filter(random.standard_normal(SHAPE), 1.5) for _ in range(3)]
    truth, prediction = (
        (field / field.std() > threshold) for field in (smooth[0], smooth[0] + 0.5 * smooth[1])
    )
    spacing = (1.0, 0.8, spacing_z)
    found = scored(prediction, truth, spacing)
    assert tuple(found.values()) == pytest.approx(
        slow_scores(prediction, truth, spacing[::-1]), rel=1e-4, abs=1e-4
    )


def test_regions_are_scored_apart():
    labels = np.zeros(SHAPE, np.uint8)
    labels[LARGE], labels[FAR] = 4, 2
    found = challenge_metrics(np.where(FAR, 0, labels).astype(np.uint8), labels, grid())
    assert found["ET"]["lesion_dice"] == found["TC"]["lesion_dice"] == 1
    assert (found["WT"]["lesion_dice"], found["WT"]["lesions_missed"]) == (0.5, 1)


class TestCommand:
    @pytest.fixture
    def arguments(self, tmp_path):
        labels = np.zeros(SHAPE, np.uint8)
        labels[LARGE], labels[FAR] = 4, 2
        (tmp_path / "truth").mkdir()
        (tmp_path / "predictions").mkdir()
        write_labels(tmp_path / "truth" / "a.nii.gz", labels, grid())
        write_labels(tmp_path / "predictions" / "a.nii.gz", np.where(FAR, 0, labels), grid())
        folders = [f"--{name}={tmp_path / name}" for name in ("truth", "predictions", "output")]
        return ["evaluate", *folders, "--coding=internal", "--prediction-coding=internal"]

    @pytest.mark.parametrize("lesion_wise", [False, True])
    def test_columns_come_when_asked_for_and_are_defined(self, tmp_path, arguments, lesion_wise):
        assert cli.main([*arguments, *["--lesion-wise"] * lesion_wise]) == 0
        columns = (*COLUMNS, *CHALLENGE_METRICS) if lesion_wise else COLUMNS
        with (tmp_path / "output" / "metrics.csv").open(newline="", encoding="utf-8") as lines:
            rows = {(row["case"], row["region"]): row for row in csv.DictReader(lines)}
        assert tuple(rows["a", "WT"])[2:] == columns
        report = json.loads((tmp_path / "output" / "metrics.json").read_text(encoding="utf-8"))
        assert report["definitions"] == {column: DEFINITIONS[column] for column in columns}
        text = (tmp_path / "output" / "comparison.md").read_text(encoding="utf-8")
        assert ("lesion-wise Dice 0.500" in text) is lesion_wise
        if lesion_wise:
            assert float(rows["a", "WT"]["lesion_hd95_mm"]) == pytest.approx(187)

    def test_voc_has_no_lesions(self, tmp_path, arguments):
        truth = next(text for text in arguments if text.startswith("--truth"))
        rest = [text for text in arguments if text != truth]
        assert cli.main([*rest, f"--voc={tmp_path}", "--lesion-wise"]) == 2
        assert not (tmp_path / "output").exists()
