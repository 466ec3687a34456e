"""Contrast-suppressed copies of cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.tasks.brains.contrast_suppression import remove_enhancement


def make(seed, slope=0.5, offset=40.0, vessels=0.0):
    """T1c as a linear function of T1, but for enhancing tumor and vessels."""
    rng = np.random.default_rng(seed)
    image = np.zeros((4, 24, 26, 28), np.float32)
    inside = (slice(2, -2), slice(3, -3), slice(2, -4))
    image[(slice(None), *inside)] = rng.uniform(50, 150, image[(slice(None), *inside)].shape)
    brain = image[0] > 0
    image[1] = np.where(brain, slope * image[0] + offset, 0)
    labels = np.zeros(brain.shape, np.uint8)
    labels[8:16, 8:16, 8:16] = 2
    labels[9:14, 9:14, 9:14] = 4
    labels[11:13, 11:13, 11:13] = 1
    without = image.copy()
    image[1, labels == 4] += rng.uniform(60, 200, (labels == 4).sum())
    bright = brain & (labels == 0) & (rng.random(brain.shape) < vessels)
    image[1, bright] += 150
    return image, labels, without, bright


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), slope=st.floats(0.2, 2), offset=st.floats(1, 90))
def test_what_is_left_follows_from_t1(seed, slope, offset):
    image, labels, without, _ = make(seed, slope, offset)
    before = image.copy()
    result, changed = remove_enhancement(image, labels)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose(result, without, rtol=1e-3, atol=0.1)
    np.testing.assert_array_equal(changed, np.where(labels == 4, 3, labels))
    assert (result.dtype, changed.dtype) == (np.float32, np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_vessels_stay_bright_and_do_not_mislead(seed):
    image, labels, without, bright = make(seed, vessels=0.05)
    result, _ = remove_enhancement(image, labels)
    tumor = labels == 4
    error = np.abs(result[1] - without[1])[tumor].mean()
    assert error < 5 < np.abs(image[1] - without[1])[tumor].mean() / 10
    far = bright.copy()
    far[3:20, 3:20, 3:20] = False
    np.testing.assert_array_equal(result[1, far], image[1, far])


@pytest.mark.parametrize(
    "labels", [np.zeros((6, 6, 6)), np.full((6, 6, 6), 2), np.full((6, 6, 6), 4)]
)
def test_nothing_changes_where_nothing_enhances_or_nothing_is_healthy(labels):
    image = np.random.default_rng(0).uniform(1, 9, (4, 6, 6, 6)).astype(np.float32)
    result, changed = remove_enhancement(image, labels)
    np.testing.assert_array_equal(result, image)
    np.testing.assert_array_equal(changed, np.where(labels == 4, 3, labels))
