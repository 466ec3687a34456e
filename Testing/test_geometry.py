"""Grids: equality with tolerance over size, spacing, origin and direction; arrays on grids."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_fixtures import grid_from_seed, grids, rotation

from scripted_models.geometry import Grid

HEAD = Grid((240, 240, 155), (1.0, 1.0, 1.0), (0.0, -239.0, 0.0))


def turned(grid: Grid, radians: float) -> Grid:
    """Return the grid turned about its third axis through the first voxel."""
    cos, sin = np.cos(radians), np.sin(radians)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    matrix = turn @ np.array(grid.direction).reshape(3, 3)
    return replace(grid, direction=tuple(matrix.ravel().tolist()))


@given(grid=grids)
@settings(max_examples=30, deadline=None)
def test_a_grid_is_the_grid_of_its_image(grid):
    image = grid.image_from(np.zeros(grid.shape_zyx, np.float32))
    assert Grid.of(image).difference(grid, 1e-9) == ""
    np.testing.assert_allclose(
        grid.corners_lps_mm()[0], image.TransformIndexToPhysicalPoint((0, 0, 0))
    )
    last = [n - 1 for n in grid.size_xyz]
    np.testing.assert_allclose(
        grid.corners_lps_mm()[-1], image.TransformIndexToPhysicalPoint(last), atol=1e-9
    )


@given(grid=grids, noise=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_rounding_is_no_difference(grid, noise):
    rng = np.random.default_rng(noise)
    near = Grid(
        grid.size_xyz,
        tuple(np.add(grid.spacing_xyz_mm, rng.uniform(-1e-5, 1e-5, 3)).tolist()),
        tuple(np.add(grid.origin_lps_mm, rng.uniform(-3e-4, 3e-4, 3)).tolist()),
        tuple(np.add(grid.direction, rng.uniform(-1e-6, 1e-6, 9)).tolist()),
    )
    assert grid.matches(near)
    assert near.matches(grid)


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (replace(HEAD, size_xyz=(240, 240, 154)), "sizes 240x240x155 and 240x240x154"),
        (replace(HEAD, spacing_xyz_mm=(1, 1, 1.01)), "spacings 1x1x1 and 1x1x1.01 mm"),
        (replace(HEAD, spacing_xyz_mm=(1, 1, 1.00002)), "corners"),
        (replace(HEAD, origin_lps_mm=(0.5, -239, 0)), "origins 0x-239x0 and 0.5x-239x0 mm"),
        (replace(HEAD, origin_lps_mm=(0, -239.002, 0)), "origins"),
        (replace(HEAD, direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1)), "directions"),
        (turned(HEAD, 1e-2), "directions"),
        (turned(HEAD, 1e-5), "corners up to 0.00338 mm"),
        (replace(HEAD, origin_lps_mm=(float("nan"), -239, 0)), "origins"),
    ],
)
def test_real_differences_are_told_in_words(other, word):
    assert word in HEAD.difference(other)
    assert not HEAD.matches(other)
    assert not other.matches(HEAD)


def test_an_angle_too_small_to_move_a_voxel_is_no_difference():
    assert HEAD.matches(turned(HEAD, 1e-6))
    small = replace(HEAD, size_xyz=(3, 3, 3))
    assert small.matches(turned(small, 1e-4))
    assert not HEAD.matches(turned(HEAD, 1e-4))


def test_a_wider_tolerance_can_be_asked_for():
    half = replace(HEAD, origin_lps_mm=(0.5, -239, 0))
    assert not HEAD.matches(half)
    assert not HEAD.matches(half, 0.499)
    assert HEAD.matches(half, 0.5)


def test_the_spacing_of_one_slice_is_compared_in_millimeters():
    """No corner moves with it, and a share of a large spacing would pass for the same."""
    slice_ = Grid((4, 5, 1), (1, 1, 300))
    assert "spacings" in slice_.difference(replace(slice_, spacing_xyz_mm=(1, 1, 300.002)))


def test_the_corners_are_the_ends_of_all_axes():
    corners = Grid((3, 4, 5), (1, 2, 3), (10, 20, 30)).corners_lps_mm()
    ends = ((10, 12), (20, 26), (30, 42))
    assert sorted(map(tuple, corners.tolist())) == sorted(product(*ends))


def test_the_mirrored_normal_of_one_slice_is_a_difference():
    slice_ = Grid((4, 5, 1))
    assert not slice_.matches(replace(slice_, direction=(1, 0, 0, 0, 1, 0, 0, 0, -1)))


def test_same_box_in_other_axes_is_another_grid():
    cube = Grid((4, 4, 4))
    permuted = replace(cube, direction=(0, 1, 0, 1, 0, 0, 0, 0, 1))
    assert "directions" in cube.difference(permuted)


def test_arrays_on_a_grid():
    grid = grid_from_seed(7)
    with pytest.raises(ValueError, match="does not fit"):
        grid.image_from(np.zeros((*grid.shape_zyx[:2], 99)))
    mask = np.zeros(grid.shape_zyx, bool)
    mask[0, 0, 0] = True
    image = grid.image_from(mask)
    assert image.GetPixelID() == sitk.sitkUInt8
    assert sitk.GetArrayFromImage(image).sum() == 1
    strided = np.zeros((*grid.shape_zyx, 2))[..., 1]
    assert grid.image_from(strided).GetSize() == grid.size_xyz


def test_sizes_in_millimeters_and_milliliters():
    grid = Grid(
        (10, 20, 30), (1, 2, 3), direction=tuple(rotation(np.random.default_rng(0)).ravel())
    )
    assert grid.voxel_volume_ml == pytest.approx(0.006)
    assert grid.diagonal_mm == pytest.approx((10**2 + 40**2 + 90**2) ** 0.5)
    assert grid.shape_zyx == (30, 20, 10)
