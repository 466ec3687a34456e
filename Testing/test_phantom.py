"""The procedural phantom: reproducible, inside the brain, with the contrasts of real data."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from scripted_models.cases.phantom.phantom_case import (
    make_phantom,
    phantom_grid,
    write_phantom_case,
)
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.sequences import SEQUENCES

SMALL = (48, 48, 31)


@pytest.fixture(scope="module")
def phantoms():
    return [make_phantom(seed, SMALL) for seed in range(8)]


def _mean(phantom, sequence, where):
    return float(phantom.volumes[sequence][where].mean())


def test_same_seed_gives_the_same_bits():
    first, second = make_phantom(7, SMALL), make_phantom(7, SMALL)
    assert first.labels.tobytes() == second.labels.tobytes()
    for name in SEQUENCES:
        assert first.volumes[name].tobytes() == second.volumes[name].tobytes()


def test_different_seeds_give_different_heads_and_tumors(phantoms):
    for one, other in itertools.pairwise(phantoms):
        assert (one.labels != other.labels).any()
        brain, other_brain = one.volumes["t1"] > 0, other.volumes["t1"] > 0
        assert (brain != other_brain).mean() > 0.005


def test_volumes_are_finite_positive_in_the_brain_and_zero_outside(phantoms):
    for phantom in phantoms:
        brain = phantom.volumes["t1"] > 0
        for name in SEQUENCES:
            values = phantom.volumes[name]
            assert values.dtype == np.float32
            assert values.shape == phantom.grid.shape_zyx == phantom.labels.shape
            assert np.isfinite(values).all()
            assert (values[brain] >= 1).all()
            assert (values[~brain] == 0).all()
            assert values[brain].std() > 0.1 * values[brain].mean()


def test_tumor_lies_in_the_brain_and_has_a_sensible_volume(phantoms):
    for phantom in phantoms:
        assert phantom.labels.dtype == np.uint8
        assert phantom.labels.max() <= 4
        assert not phantom.labels[phantom.volumes["t1"] == 0].any()
        tumor_ml = (phantom.labels > 0).sum() * phantom.grid.voxel_volume_ml
        assert 2 < tumor_ml < 170


def test_brain_has_the_volume_of_a_head_at_every_size():
    for size in (SMALL, (64, 56, 40), (96, 96, 62)):
        phantom = make_phantom(3, size)
        brain_ml = (phantom.volumes["t1"] > 0).sum() * phantom.grid.voxel_volume_ml
        assert 1000 < brain_ml < 1900


def test_a_seed_means_the_same_head_at_every_size():
    coarse, fine = make_phantom(5, (48, 48, 31)), make_phantom(5, (96, 96, 62))
    blocks = (fine.volumes["flair"] > 0).reshape(31, 2, 48, 2, 48, 2).mean((1, 3, 5)) > 0.5
    brain = coarse.volumes["flair"] > 0
    assert 2 * (blocks & brain).sum() / (blocks.sum() + brain.sum()) > 0.97
    tumor = (fine.labels > 0).reshape(31, 2, 48, 2, 48, 2).mean((1, 3, 5)) > 0.5
    shared = 2 * (tumor & (coarse.labels > 0)).sum()
    assert shared / (tumor.sum() + (coarse.labels > 0).sum()) > 0.8


def test_most_seeds_have_all_labels_and_some_do_not_enhance(phantoms):
    present = np.array([[(p.labels == k).any() for k in range(1, 5)] for p in phantoms])
    assert present[:, 1].all()
    assert present.all(1).mean() > 0.6
    assert 0.5 < present[:, 3].mean() < 1


def test_contrasts_follow_the_real_data(phantoms):
    for phantom in phantoms:
        labels, volumes = phantom.labels, phantom.volumes
        healthy = (volumes["t1"] > 0) & (labels == 0)
        fluid = healthy & (volumes["t2"] > np.quantile(volumes["t2"][healthy], 0.97))
        white = healthy & (volumes["t1"] > np.quantile(volumes["t1"][healthy], 0.8))
        assert _mean(phantom, "t1", fluid) < 0.8 * _mean(phantom, "t1", white)
        assert _mean(phantom, "flair", fluid) < 0.8 * _mean(phantom, "flair", white)
        edema = labels == 2
        assert _mean(phantom, "flair", edema) > 1.1 * _mean(phantom, "flair", healthy)
        assert _mean(phantom, "t2", edema) > 1.1 * _mean(phantom, "t2", white)
        assert _mean(phantom, "t1", edema) < _mean(phantom, "t1", white)
        if (labels == 4).sum() > 8:
            rim = labels == 4
            assert _mean(phantom, "t1c", rim) > 1.03 * _mean(phantom, "t1c", white)
            assert _mean(phantom, "t1c", rim) / _mean(phantom, "t1c", white) > (
                1.1 * _mean(phantom, "t1", rim) / _mean(phantom, "t1", white)
            )


def test_low_grade_hardly_enhances_and_has_a_larger_core(phantoms):
    low = [make_phantom(seed, SMALL, low_grade=True) for seed in range(8)]
    core = [np.isin(p.labels, (1, 3, 4)).sum() / (p.labels > 0).sum() for p in low]
    others = [np.isin(p.labels, (1, 3, 4)).sum() / (p.labels > 0).sum() for p in phantoms]
    assert all((p.labels == 4).sum() < 0.12 * (p.labels > 0).sum() for p in low)
    assert 0.5 < np.mean([not (p.labels == 4).any() for p in low]) < 1
    assert np.mean(core) > np.mean(others) + 0.1
    for phantom in low:
        fluid, healthy = phantom.labels == 1, (phantom.volumes["t1"] > 0) & (phantom.labels == 0)
        if fluid.sum() > 30:
            assert _mean(phantom, "t2", fluid) > 1.3 * _mean(phantom, "t2", healthy)
            assert _mean(phantom, "t1", fluid) < _mean(phantom, "t1", healthy)


def _best_flair_dice(phantom):
    flair, tumor = phantom.volumes["flair"], phantom.labels > 0
    found = [flair > level for level in np.quantile(flair[flair > 0], np.linspace(0.5, 0.995, 40))]
    return max(2 * (mask & tumor).sum() / (mask.sum() + tumor.sum()) for mask in found)


def test_a_flair_threshold_helps_but_does_not_solve_the_case(phantoms):
    dice = [_best_flair_dice(phantom) for phantom in phantoms]
    assert 0.4 < np.mean(dice) < 0.9


@pytest.mark.parametrize("size", [(24, 24, 8), (32, 32, 16), (57, 33, 21), (30, 80, 9)])
def test_odd_sizes_work(size):
    phantom = make_phantom(2, size)
    assert phantom.grid.size_xyz == size
    assert (phantom.labels > 0).any()
    assert all(phantom.volumes[name].shape == size[::-1] for name in SEQUENCES)


@pytest.mark.parametrize(
    "size", [(23, 64, 64), (64, 64, 7), (64, 513, 64), (0, 0, 0), (64, 64), (64.0, 64, 64)]
)
def test_bad_sizes_are_refused_with_a_way_out(size):
    with pytest.raises(InputError, match=r"expected whole numbers.*choose a size"):
        make_phantom(1, size)


@pytest.mark.parametrize("seed", [-1, 1.5, "3"])
def test_bad_seeds_are_refused(seed):
    with pytest.raises(InputError, match="expected a whole number"):
        make_phantom(seed, SMALL)


def test_grid_is_that_of_brats_at_full_size():
    expected = Grid((240, 240, 155), (1.0, 1.0, 1.0), (0.0, -239.0, 0.0))
    assert phantom_grid((240, 240, 155)) == expected


def test_smaller_grids_cover_the_same_field():
    small = phantom_grid((60, 80, 31))
    for axis, (low, length) in enumerate(((-0.5, 240), (-239.5, 240), (-0.5, 155))):
        edge = small.origin_lps_mm[axis] - small.spacing_xyz_mm[axis] / 2
        assert edge == pytest.approx(low)
        assert small.spacing_xyz_mm[axis] * small.size_xyz[axis] == pytest.approx(length)


def test_written_case_reads_back(tmp_path):
    case = write_phantom_case(tmp_path, 42, SMALL)
    expected = make_phantom(42, SMALL)
    suffixes = {"t1": "t1", "t1c": "t1ce", "t2": "t2", "flair": "flair"}
    names = {f"Phantom_00042_{suffix}.nii.gz" for suffix in (*suffixes.values(), "seg5")}
    assert case == tmp_path / "Phantom_00042"
    assert {path.name for path in case.iterdir()} == names
    for sequence, suffix in suffixes.items():
        image = sitk.ReadImage(str(case / f"Phantom_00042_{suffix}.nii.gz"))
        assert image.GetPixelID() == sitk.sitkInt16
        assert Grid.of(image).matches(expected.grid)
        values = sitk.GetArrayFromImage(image)
        assert np.abs(values - expected.volumes[sequence]).max() <= 0.5
        assert ((values > 0) == (expected.volumes[sequence] > 0)).all()
    labels = sitk.ReadImage(str(case / "Phantom_00042_seg5.nii.gz"))
    assert Grid.of(labels).matches(expected.grid)
    assert (sitk.GetArrayFromImage(labels) == expected.labels).all()
