"""Training space: any orientation goes there and back exactly; resampling keeps things in place."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_fixtures import axis_directions, rotation

from scripted_models.geometry import Grid
from scripted_models.images.training_space import TrainingSpace, orientation_code, resample

SPACE = TrainingSpace()


def there_and_back(grid: Grid, values: np.ndarray) -> tuple[sitk.Image, np.ndarray]:
    """Carry (z, y, x) values to the training space, and as the only class back."""
    moved = SPACE.to_training(grid.image_from(values))
    return moved, SPACE.to_input(sitk.GetArrayFromImage(moved)[None], Grid.of(moved), grid)[0]


def blob(grid: Grid, center_lps: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return a ball, float32 (z, y, x), that lies at a point of physical space."""
    z, y, x = np.indices(grid.shape_zyx)
    steps = np.stack([x, y, z], -1) * np.array(grid.spacing_xyz_mm)
    points = steps @ np.array(grid.direction).reshape(3, 3).T + np.array(grid.origin_lps_mm)
    distance = np.linalg.norm(points - center_lps, axis=-1)
    return (np.clip((radius_mm - distance) / 2 + 0.5, 0, 1)).astype(np.float32)


def centroid_lps(grid: Grid, values: np.ndarray) -> np.ndarray:
    index = np.array([(values * axis).sum() / values.sum() for axis in np.indices(values.shape)])
    steps = index[::-1] * np.array(grid.spacing_xyz_mm)
    return np.array(grid.direction).reshape(3, 3) @ steps + np.array(grid.origin_lps_mm)


@pytest.mark.parametrize("direction", axis_directions())
def test_all_48_orientations_go_there_and_back_exactly(direction):
    grid = Grid((4, 5, 6), (1.0, 1.0, 1.0), (10, -20, 30), tuple(direction.ravel().tolist()))
    labels = np.random.default_rng(0).integers(0, 5, grid.shape_zyx).astype(np.float32)
    moved, back = there_and_back(grid, labels)
    np.testing.assert_allclose(np.reshape(moved.GetDirection(), (3, 3)), np.eye(3), atol=1e-12)
    np.testing.assert_array_equal(back, labels)


@given(seed=st.integers(0, 2**31), thick=st.booleans())
@settings(max_examples=30, deadline=None)
def test_oblique_probabilities_go_there_and_back_exactly(seed, thick):
    rng = np.random.default_rng(seed)
    spacing = (1.05, 0.95, 1.0)
    grid = Grid(
        (4, 5, 1 if thick else 6), spacing, (1, 2, 3), tuple(rotation(rng).ravel().tolist())
    )
    values = rng.random((5, *grid.shape_zyx)).astype(np.float32)
    moved = [SPACE.to_training(grid.image_from(channel)) for channel in values]
    stack = np.stack([sitk.GetArrayFromImage(image) for image in moved])
    if not SPACE.resamples(grid):
        np.testing.assert_array_equal(SPACE.to_input(stack, Grid.of(moved[0]), grid), values)


def test_every_voxel_keeps_its_place_on_the_way():
    for direction in axis_directions():
        grid = Grid((3, 4, 5), (1.0, 1.0, 1.0), (7, 8, 9), tuple(direction.ravel().tolist()))
        x_of_voxels = np.zeros(grid.shape_zyx, np.float32)
        image = grid.image_from(x_of_voxels)
        for index in np.ndindex(*grid.size_xyz):
            image[index] = image.TransformIndexToPhysicalPoint(index)[1]
        moved = SPACE.to_training(image)
        for index in np.ndindex(*moved.GetSize()):
            assert moved[index] == pytest.approx(moved.TransformIndexToPhysicalPoint(index)[1])


@pytest.mark.parametrize(
    ("size", "spacing"),
    [
        ((40, 40, 40), (1, 1, 1)),
        ((80, 70, 30), (0.5, 0.5, 1.2)),
        ((20, 24, 40), (2.0, 2.0, 1.0)),
        ((45, 41, 8), (0.9, 0.86, 6.0)),
        ((64, 60, 10), (0.47, 0.47, 5.0)),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_resampling_keeps_a_blob_in_place(size, spacing, seed):
    rng = np.random.default_rng(seed)
    direction = axis_directions()[rng.integers(48)] if seed < 2 else rotation(rng)
    grid = Grid(size, spacing, tuple(rng.uniform(-99, 99, 3)), tuple(direction.ravel().tolist()))
    center = grid.corners_lps_mm().mean(axis=0)
    values = blob(grid, center, 9.0)
    moved, back = there_and_back(grid, values)
    half_voxel = max(spacing) / 2
    training = Grid.of(moved)
    inside = sitk.GetArrayFromImage(moved)
    assert np.linalg.norm(centroid_lps(training, inside) - center) < half_voxel
    assert np.linalg.norm(centroid_lps(grid, back) - centroid_lps(grid, values)) < min(spacing) / 2
    overlap = (
        2 * ((back > 0.5) & (values > 0.5)).sum() / ((back > 0.5).sum() + (values > 0.5).sum())
    )
    assert overlap > 0.9


@given(seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_the_training_grid_covers_the_input(seed):
    rng = np.random.default_rng(seed)
    size = tuple(int(n) for n in rng.integers(1, 12, 3))
    direction = axis_directions()[seed % 48]
    grid = Grid(size, tuple(rng.uniform(0.3, 4, 3)), (1, 2, 3), tuple(direction.ravel().tolist()))
    moved, back = there_and_back(grid, np.ones(grid.shape_zyx, np.float32))
    assert back.shape == grid.shape_zyx
    np.testing.assert_allclose(back, 1, atol=1e-5)
    in_plane = [
        s for s, n in zip(moved.GetSpacing()[:2], moved.GetSize()[:2], strict=True) if n > 1
    ]
    assert SPACE.resamples(grid) or all(abs(s - 1) <= 0.1 + 1e-9 for s in in_plane)
    if SPACE.resamples(grid):
        assert moved.GetSpacing()[:2] == (1.0, 1.0)


def test_probabilities_still_sum_to_one_and_outside_is_background():
    grid = Grid((20, 20, 4), (2.0, 2.0, 3.0))
    training = Grid((10, 40, 4), (1.0, 1.0, 3.0), (-0.5, -0.5, 0))  # only a quarter of the width
    classes = np.random.default_rng(0).dirichlet(np.ones(5), training.shape_zyx).astype(np.float32)
    back = SPACE.to_input(np.moveaxis(classes, -1, 0), training, grid)
    np.testing.assert_allclose(back.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_array_equal(back[0, :, :, 6:], 1)
    assert back.dtype == np.float32


def test_integers_become_float_and_the_input_is_not_changed():
    image = Grid((3, 3, 3)).image_from(np.arange(27, dtype=np.int16).reshape(3, 3, 3))
    moved = SPACE.to_training(image)
    assert moved.GetPixelID() == sitk.sitkFloat32
    assert image.GetPixelID() == sitk.sitkInt16


def test_orientation_codes():
    assert orientation_code((1, 0, 0, 0, 1, 0, 0, 0, 1)) == "LPS"
    assert orientation_code((-1, 0, 0, 0, -1, 0, 0, 0, 1)) == "RAS"
    assert len({orientation_code(tuple(d.ravel())) for d in axis_directions()}) == 48


def test_resampling_onto_its_own_grid_changes_nothing():
    grid = Grid((5, 6, 7), (0.7, 1.1, 3.0), (1, 2, 3), (0, 1, 0, -1, 0, 0, 0, 0, 1))
    values = np.random.default_rng(0).random(grid.shape_zyx).astype(np.float32)
    same = resample(grid.image_from(values), grid, sitk.sitkLinear)
    np.testing.assert_allclose(sitk.GetArrayFromImage(same), values, atol=1e-6)
    far = resample(
        grid.image_from(values), Grid((2, 2, 2), origin_lps_mm=(99, 99, 99)), sitk.sitkLinear, 7.0
    )
    np.testing.assert_array_equal(sitk.GetArrayFromImage(far), 7)
