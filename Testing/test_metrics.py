"""Region metrics: known figures, properties, MONAI and brute force as oracles, empty masks."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from monai.metrics import DiceMetric, get_confusion_matrix

from scripted_models.evaluation.metrics import METRICS, hausdorff95_mm, mask_metrics, region_metrics
from scripted_models.geometry import Grid
from scripted_models.labels import REGIONS, region_mask

SHAPE = (4, 5, 6)
GRID = Grid(SHAPE[::-1], (1.0, 2.0, 3.0))
label_maps = npst.arrays(np.uint8, SHAPE, elements=st.integers(0, 4))
masks = npst.arrays(np.bool_, SHAPE)
few = settings(max_examples=40, deadline=None)


def box(z: slice, y: slice, x: slice, shape=(10, 10, 10)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[z, y, x] = True
    return mask


def brute_force_hd95(first: np.ndarray, second: np.ndarray, spacing_xyz_mm) -> float:
    """Compare every pair of surface voxels; the surface is found voxel by voxel."""
    spacing_zyx = np.array(spacing_xyz_mm[::-1])
    points = [np.array(surface_voxels(mask)) * spacing_zyx for mask in (first, second)]
    pairs = np.linalg.norm(points[0][:, None] - points[1][None], axis=-1)
    return max(np.percentile(pairs.min(axis=1), 95), np.percentile(pairs.min(axis=0), 95))


def surface_voxels(mask: np.ndarray) -> list[tuple[int, ...]]:
    steps = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
    inside = set(map(tuple, np.argwhere(mask).tolist()))
    return [
        voxel
        for voxel in inside
        if any(
            tuple(a + b for a, b in zip(voxel, step, strict=True)) not in inside for step in steps
        )
    ]


def test_known_figures_of_two_overlapping_boxes():
    # 4x4x4 = 64 voxels each, shifted by two in x: 32 in common; 1000 voxels in all.
    truth = box(slice(2, 6), slice(2, 6), slice(2, 6))
    prediction = box(slice(2, 6), slice(2, 6), slice(4, 8))
    scores = mask_metrics(prediction, truth, Grid((10, 10, 10), (0.5, 1.0, 1.0)))
    assert scores["dice"] == 0.5
    assert scores["sensitivity"] == 0.5
    assert scores["ppv"] == 0.5
    assert scores["specificity"] == pytest.approx((1000 - 64 - 32) / (1000 - 64))
    # The farthest face (16 of 56 surface voxels) is two voxels of 0.5 mm away.
    assert scores["hd95_mm"] == pytest.approx(1.0)


def test_sensitivity_ppv_and_specificity_are_not_mixed_up():
    truth = box(slice(0, 1), slice(0, 1), slice(0, 8))
    prediction = box(slice(0, 1), slice(0, 1), slice(0, 10))
    prediction[0, 0, :4] = False  # 4 hits, 4 misses, 2 false alarms
    scores = mask_metrics(prediction, truth, Grid((10, 10, 10)))
    assert scores["sensitivity"] == pytest.approx(4 / 8)
    assert scores["ppv"] == pytest.approx(4 / 6)
    assert scores["specificity"] == pytest.approx(990 / 992)
    assert scores["dice"] == pytest.approx(8 / 14)


def test_regions_collect_their_labels():
    truth = np.array([0, 1, 2, 3, 4], np.uint8).reshape(1, 1, 5)
    prediction = np.array([0, 1, 2, 0, 3], np.uint8).reshape(1, 1, 5)
    scores = region_metrics(prediction, truth, Grid((5, 1, 1)))
    assert list(scores) == list(REGIONS)
    assert scores["WT"]["dice"] == pytest.approx(2 * 3 / (3 + 4))
    assert scores["TC"]["dice"] == pytest.approx(2 * 2 / (2 + 3))
    assert scores["ET"]["dice"] == 0


def test_only_the_asked_regions_are_scored():
    labels = np.zeros((2, 2, 2), np.uint8)
    assert list(region_metrics(labels, labels, Grid((2, 2, 2)), ("TC",))) == ["TC"]


@pytest.mark.parametrize(
    ("in_prediction", "in_truth", "dice", "sensitivity", "ppv"),
    [(False, False, 1, 1, 1), (True, False, 0, 0, 0), (False, True, 0, 0, 0)],
)
def test_empty_masks_follow_the_written_policy(in_prediction, in_truth, dice, sensitivity, ppv):
    grid = Grid((6, 5, 4), (1.0, 2.0, 3.0))
    one = box(slice(1, 2), slice(1, 2), slice(1, 3), grid.shape_zyx)
    scores = mask_metrics(one & in_prediction, one & in_truth, grid)
    diagonal = math.sqrt(6**2 + 10**2 + 12**2)
    expected_hd = 0 if in_prediction == in_truth else diagonal
    assert (scores["dice"], scores["sensitivity"], scores["ppv"]) == (dice, sensitivity, ppv)
    assert scores["hd95_mm"] == pytest.approx(expected_hd)
    assert scores["specificity"] == pytest.approx(118 / 120 if in_prediction else 1)


def test_specificity_is_one_when_the_truth_fills_the_volume():
    full = np.ones((3, 3, 3), bool)
    assert mask_metrics(full, full, Grid((3, 3, 3)))["specificity"] == 1


def test_distance_without_a_surface_is_refused():
    empty = np.zeros((3, 3, 3), bool)
    with pytest.raises(ValueError, match="empty"):
        hausdorff95_mm(empty, ~empty, (1, 1, 1))


def test_array_off_the_grid_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        region_metrics(np.zeros((3, 4, 5)), np.zeros((3, 4, 5)), Grid((3, 4, 5)))


def test_distance_counts_each_axis_with_its_own_spacing():
    grid = Grid((9, 9, 9), (0.5, 1.5, 4.0))
    for axis, spacing in enumerate(grid.spacing_xyz_mm[::-1]):
        first, second = (np.zeros((9, 9, 9), bool) for _ in range(2))
        first[4, 4, 4] = True
        second[tuple(4 + 3 * (axis == a) for a in range(3))] = True
        assert hausdorff95_mm(first, second, grid.spacing_xyz_mm) == pytest.approx(3 * spacing)


def test_distance_keeps_the_larger_direction_and_ignores_the_worst_twentieth():
    truth = box(slice(5, 6), slice(0, 1), slice(0, 1), (10, 10, 40))
    prediction = box(slice(5, 6), slice(0, 1), slice(0, 21), (10, 10, 40))
    # Distances 0..20 from the prediction, 0 from the truth: the 95th percentile of 0..20 is 19.
    assert hausdorff95_mm(prediction, truth, (1, 1, 1)) == pytest.approx(19)
    assert hausdorff95_mm(truth, prediction, (1, 1, 1)) == pytest.approx(19)


def test_surface_of_a_mask_cut_by_the_border_closes_there():
    # Both masks fill a slab to the border; the inner sides differ by one, the cut sides coincide.
    first, second = np.zeros((2, 7, 7, 7), bool)
    first[:4], second[:5] = True, True
    expected = brute_force_hd95(first, second, (1, 1, 1))
    assert hausdorff95_mm(first, second, (1, 1, 1)) == pytest.approx(expected)


@few
@given(masks, masks, st.sampled_from([(1.0, 1.0, 1.0), (0.9, 0.9, 5.0), (2.0, 0.7, 1.3)]))
def test_distance_agrees_with_brute_force_on_noise(first, second, spacing):
    first[0, 0, 0] = second[-1, -1, -1] = True
    expected = brute_force_hd95(first, second, spacing)
    assert hausdorff95_mm(first, second, spacing) == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_distance_agrees_with_brute_force_on_solid_bodies(seed):
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:16, :22, :24]
    spacing = (0.8, 1.1, 2.5)
    bodies = []
    for _ in range(2):
        center, radii = rng.uniform(6, 12, 3), rng.uniform(3, 9, 3)
        at = ((z, y, x)[i] - center[i] for i in range(3))
        bodies.append(sum((d / r) ** 2 for d, r in zip(at, radii, strict=True)) < 1)
    bodies[0][15, 21, 0] = True  # a stray voxel far off stretches the box
    expected = brute_force_hd95(*bodies, spacing)
    assert hausdorff95_mm(*bodies, spacing) == pytest.approx(expected, rel=1e-5)


def test_cropping_does_not_depend_on_where_the_masks_lie():
    small = np.random.default_rng(0).random((2, 6, 6, 6)) > 0.6
    moved = np.zeros((2, 30, 30, 30), bool)
    moved[:, 20:26, 3:9, 11:17] = small
    spacing = (1.0, 2.0, 0.5)
    assert hausdorff95_mm(*moved, spacing) == pytest.approx(hausdorff95_mm(*small, spacing))


@few
@given(label_maps, label_maps)
def test_dice_agrees_with_monai(prediction, truth):
    ours = region_metrics(prediction, truth, GRID)
    monai = DiceMetric(ignore_empty=False, reduction="none")(
        _one_hot_regions(prediction), _one_hot_regions(truth)
    )[0]
    for region, expected in zip(REGIONS, monai.tolist(), strict=True):
        assert ours[region]["dice"] == pytest.approx(expected, abs=1e-6)


@few
@given(label_maps, label_maps)
def test_ratios_agree_with_monai_counts(prediction, truth):
    ours = region_metrics(prediction, truth, GRID)
    counts = get_confusion_matrix(_one_hot_regions(prediction), _one_hot_regions(truth))[0]
    for region, (hits, alarms, rejections, misses) in zip(REGIONS, counts.tolist(), strict=True):
        if hits + misses and hits + alarms:
            assert ours[region]["sensitivity"] == pytest.approx(hits / (hits + misses))
            assert ours[region]["ppv"] == pytest.approx(hits / (hits + alarms))
        if rejections + alarms:
            expected = rejections / (rejections + alarms)
            assert ours[region]["specificity"] == pytest.approx(expected)


def _one_hot_regions(labels: np.ndarray) -> torch.Tensor:
    stacked = np.stack([region_mask(labels, region) for region in REGIONS])
    return torch.from_numpy(stacked[np.newaxis].astype(np.float32))


@few
@given(label_maps, label_maps)
def test_scores_are_bounded_and_swap_as_they_should(first, second):
    forward, backward = region_metrics(first, second, GRID), region_metrics(second, first, GRID)
    for region in REGIONS:
        one, other = forward[region], backward[region]
        assert set(one) == set(METRICS)
        assert all(0 <= one[m] <= 1 for m in METRICS if m != "hd95_mm")
        assert 0 <= one["hd95_mm"] <= GRID.diagonal_mm
        assert one["dice"] == other["dice"]
        assert one["hd95_mm"] == other["hd95_mm"]
        assert one["sensitivity"] == other["ppv"]


@few
@given(label_maps)
def test_a_perfect_prediction_scores_perfectly(labels):
    for scores in region_metrics(labels, labels, GRID).values():
        assert scores == {"dice": 1, "sensitivity": 1, "ppv": 1, "specificity": 1, "hd95_mm": 0}


@few
@given(label_maps)
def test_regions_are_nested(labels):
    complete, core, enhancing = (region_mask(labels, region) for region in REGIONS)
    assert not (core & ~complete).any()
    assert not (enhancing & ~core).any()
