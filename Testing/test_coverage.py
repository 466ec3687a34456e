"""Fields of view that end inside the head: what lies beyond counts as missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.brain_mask import brain_mask
from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.coverage import FADING_MM, clear_uncovered
from scripted_models.transforms.preprocessing import build_preprocessing, preprocess

SIZE, SPACING_ZYX_MM = (80, 80, 52), (3.0, 3.0, 3.0)
STANDARD = [{"step": "mark_brain"}, {"step": "zscore"}]


@pytest.fixture(scope="module")
def head():
    volumes = make_phantom(3, SIZE).volumes
    return np.stack([volumes[m] for m in SEQUENCES]).astype(np.float32)


def beyond(brain, axis, upper, share):
    """The brain voxels beyond a field of view that lacks a share of the brain's extent."""
    places = np.indices(brain.shape)[axis]
    found = np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis})))
    if upper:
        return brain & (places > found[-1] - share * len(found))
    return brain & (places < found[0] + share * len(found))


def leave(image, channel, hidden, rest):
    """Hide a part of a channel; interpolation leaves nothing, noise, or lets it fade out."""
    image = image.copy()
    volume = image[channel]
    if rest == "fading":  # over two voxels, 6 mm
        near = hidden
        for factor in (0.25, 0.6):
            grown = near.copy()
            for axis in range(3):
                for step in (-1, 1):
                    grown |= np.roll(near, step, axis)
            volume[grown & ~near & (volume != 0)] *= factor
            near = grown
    noise = np.random.default_rng(0).uniform(-0.005, 0.005, volume.shape) * np.median(volume)
    volume[hidden] = noise[hidden] if rest == "noise" else 0
    return image


@settings(max_examples=25, deadline=None)
@given(
    channel=st.integers(0, 3),
    axis=st.integers(0, 2),
    upper=st.booleans(),
    share=st.floats(0.25, 0.5),
    rest=st.sampled_from(["zeros", "noise", "fading"]),
)
def test_what_lies_beyond_is_as_if_missing(head, channel, axis, upper, share, rest):
    brain = brain_mask(head)
    hidden = beyond(brain, axis, upper, share)
    cut = leave(head, channel, hidden, rest)
    cleared = clear_uncovered(cut, brain, SPACING_ZYX_MM)
    assert (cleared[channel][hidden] == 0).mean() > 0.98
    if rest == "fading":
        changed = brain & (cut[channel] != head[channel])
        assert (cleared[channel][changed] == 0).mean() > 0.8  # but for thin ends
    others = [c for c in range(4) if c != channel]
    np.testing.assert_array_equal(cleared[others], head[others])
    lost = brain & (cleared[channel] == 0)
    assert lost.sum() < hidden.sum() + brain.sum() * 3 * FADING_MM / 150  # a slab, no more


@pytest.mark.parametrize("offset", [0.0, 4.0])
def test_the_network_sees_the_same_as_of_a_missing_sequence(head, offset):
    steps = build_preprocessing([STANDARD[0], {"step": "zscore", "offset": offset}])
    hidden = beyond(brain_mask(head), 0, True, 0.4)
    without = head.copy()
    without[0] = 0
    missing = preprocess(steps, without, missing=("t1",), spacing_zyx_mm=SPACING_ZYX_MM)
    for rest in ("zeros", "noise"):
        cut = leave(head, 0, hidden, rest)
        seen = preprocess(steps, cut, spacing_zyx_mm=SPACING_ZYX_MM)["image"]
        same = seen[0][hidden] == missing["image"][0][hidden]
        assert same.mean() > 0.98
        covered = seen[0][(seen[0] != missing["image"][0])]
        assert abs(covered.mean() - offset) < 1e-3
        assert abs(covered.std() - 1) < 1e-3


def test_a_whole_head_and_what_is_dark_inside_it_stay(head):
    brain = brain_mask(head)
    assert clear_uncovered(head, brain, SPACING_ZYX_MM) is head
    center = np.argwhere(brain).mean(axis=0)
    places = np.indices(brain.shape) - center[:, None, None, None]
    ventricle = np.sqrt((places**2).sum(axis=0)) * 3 < 20
    dark = head.copy()
    dark[3][ventricle] = 0
    assert clear_uncovered(dark, brain, SPACING_ZYX_MM) is dark


@pytest.mark.parametrize("shape", [(1, 60, 50), (2, 40, 3), (24, 40, 40)])
def test_any_shape_and_number_of_channels(shape):
    rng = np.random.default_rng(1)
    image = rng.uniform(1, 2, (4, *shape)).astype(np.float32)
    image[1, :, shape[1] // 2 :] = 0
    brain = np.ones(shape, bool)
    cleared = clear_uncovered(image, brain, (5.0, 1.0, 1.0))
    assert (cleared[1] == 0).mean() >= 0.5
    np.testing.assert_array_equal(cleared[[0, 2, 3]], image[[0, 2, 3]])
    assert clear_uncovered(image[:1], brain, (1.0, 1.0, 1.0)) is not None
    two = np.stack([image[0], np.zeros(shape, np.float32)])
    assert clear_uncovered(two, brain, (1.0, 1.0, 1.0)) is two
