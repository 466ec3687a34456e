"""Resampling as nnU-Net does it: SciPy's splines and lines at the same places."""

import numpy as np
import pytest
import torch
from nnunet_reference import resized

from scripted_models.geometry import Grid
from scripted_models.images.spacing_change import SpacingChange
from scripted_models.images.training_space import TrainingSpace

SHAPE = (9, 14, 11)
WAYS = {  # spacing before and after, axis of thick slices on the way there and on the way back
    "coarser": ((1.0, 1.0, 1.0), (1.4, 1.5, 1.6), None, None),
    "finer": ((2.0, 1.7, 1.4), (1.0, 1.0, 1.0), None, None),
    "thick before": ((5.5, 0.9, 0.9), (1.0, 1.0, 1.0), 0, 0),
    "thick after": ((1.0, 1.0, 1.0), (1.0, 3.5, 1.0), 1, 1),
    "two thick": ((0.9, 0.9, 5.5), (4.0, 1.0, 1.0), 2, 0),
    "two of one size": ((4.0, 1.0, 4.0), (2.0, 2.0, 2.0), None, None),
}


def by_hand(volume, shape, order, axis):
    """Resample (z, y, x) with SciPy; along an axis the nearest slice counts."""
    if axis is None:
        return resized(volume[None].astype(float), shape, order)[0]
    inner = [n for place, n in enumerate(shape) if place != axis]
    slices = [by_hand(part, inner, order, None) for part in np.moveaxis(volume, axis, 0)]
    count = shape[axis]
    chosen = [min(int((i + 0.5) * len(slices) / count), len(slices) - 1) for i in range(count)]
    return np.moveaxis(np.stack([slices[index] for index in chosen]), 0, axis)


@pytest.mark.parametrize("way", WAYS)
def test_splines_there_and_lines_back(way):
    before, after, there, back = WAYS[way]
    change = SpacingChange(before, after)
    image = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)
    shape = [round(n * old / new) for n, old, new in zip(SHAPE, before, after, strict=True)]
    found = change.forth(image)
    expected = np.stack([by_hand(channel, shape, 3, there) for channel in image])
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    logits = torch.from_numpy(expected.astype(np.float32))
    lines = np.stack([by_hand(channel, SHAPE, 1, back) for channel in expected])
    np.testing.assert_allclose(change.back(logits, SHAPE).numpy(), lines, atol=1e-4)


def test_as_many_voxels_are_the_same_voxels():
    image = np.ones((1, *SHAPE), np.float32)
    change = SpacingChange((1.0, 1.0, 1.0), (1.01, 1.0, 1.0))
    assert change.forth(image) is image
    logits = torch.zeros(2, *SHAPE)
    assert change.back(logits, SHAPE) is logits


def test_the_way_to_a_space_is_that_of_its_axes():
    space = TrainingSpace("LPS", (1.0, 2.0, 3.0), 0.001)
    grid = Grid((4, 5, 6), (1.0, 2.0, 1.5), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    assert space.change(grid) == SpacingChange((1.5, 2.0, 1.0), (3.0, 2.0, 1.0))
    assert TrainingSpace("LPS", (1.0, 2.0, 1.5)).change(grid) is None
