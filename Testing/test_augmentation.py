"""Random changes of training patches: image and target move together; background, seeds."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.errors import InputError
from scripted_models.training.augmentation import STEPS, build_augmentation
from scripted_models.training.training_case import IGNORED, MERGED_CORE

SIZE, MARGIN = 40, 8
INSIDE = slice(MARGIN, SIZE - MARGIN)
NEEDED = {
    "affine": {"rotate_degrees": 20, "scale": 0.2, "shear": 0.1, "translate": 3},
    "intensity_jitter": {"std": 0.2},
    "scale_intensity": {"factors": 0.2},
    "shift_intensity": {"offsets": 0.2},
}
MOVING = ("flip", "rotate90", "affine")
CHANGING = tuple(name for name in STEPS if name not in MOVING)


def steps(*names, **parameters):
    return [{"step": n, "prob": 1.0, **NEEDED.get(n, {}), **parameters} for n in names]


@pytest.fixture
def patch():
    """An image with background in a corner, and a target with all values."""
    rng = np.random.default_rng(0)
    image = rng.normal(1, 0.5, (4, SIZE, SIZE)).astype(np.float32)
    image[:, :14, :11] = 0
    target = rng.choice([0, 1, 2, 3, 4, MERGED_CORE, IGNORED], (SIZE - 2 * MARGIN,) * 2)
    return image, target.astype(np.int64)


@pytest.fixture(scope="module")
def marked():
    """Blocks of labels; channel 0 is the label plus one, channel 1 its square.

    The image goes on outside of the target.
    """
    blocks = np.random.default_rng(1).integers(0, 5, (SIZE // 8, SIZE // 8))
    full = np.kron(blocks, np.ones((8, 8), np.int64))
    image = np.stack([full + 1.0, (full + 1.0) ** 2]).astype(np.float32)
    return image, full[INSIDE, INSIDE].astype(np.uint8)


@pytest.mark.parametrize("name", STEPS)
def test_a_seed_decides_everything(name, patch):
    augment = build_augmentation(steps(name))
    first = augment(*patch, 7)
    results = [augment(*patch, seed) for seed in range(12)]
    assert len({image.tobytes() for image, _ in results}) > 1 or name == "flip"
    for other in (augment, build_augmentation(steps(name)), pickle.loads(pickle.dumps(augment))):
        again = other(*patch, 7)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("name", STEPS)
def test_shapes_types_and_inputs_stay(name, patch):
    before = [part.copy() for part in patch]
    for part in patch:
        part.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image, target = build_augmentation(steps(name))(*patch, 3)
    assert type(image) is type(target) is np.ndarray
    assert (image.shape, image.dtype) == (patch[0].shape, np.float32)
    assert (target.shape, target.dtype) == (patch[1].shape, np.int64)
    assert not np.array_equal(image, before[0])
    assert all(np.array_equal(a, b) for a, b in zip(patch, before, strict=True))


def test_global_seeds_have_no_part(patch):
    augment = build_augmentation([step for name in STEPS for step in steps(name)])
    results = set()
    for seed in (1, 2):
        np.random.seed(seed)
        torch.manual_seed(seed)
        results.add(augment(*patch, 2**40 + 3)[0].tobytes())
    assert len(results) == 1


def test_no_steps_and_steps_that_never_happen_change_nothing(patch):
    never = [{**step, "prob": 0.0} for name in STEPS for step in steps(name)]
    for augment in (build_augmentation([]), build_augmentation(never)):
        image, target = augment(*patch, 1)
        assert np.array_equal(image, patch[0])
        assert np.array_equal(target, patch[1])
        assert not np.shares_memory(image, patch[0])


@pytest.mark.parametrize("names", [(), ("flip", "intensity_jitter")])
def test_tensors_are_taken_too(names, patch):
    augment = build_augmentation(steps(*names))
    from_tensors = augment(*(torch.from_numpy(part) for part in patch), 4)
    for a, b in zip(from_tensors, augment(*patch, 4), strict=True):
        assert type(a) is np.ndarray
        assert np.array_equal(a, b)


@pytest.mark.parametrize(("axis", "index"), [("x", 1), ("y", 0)])
def test_flip_mirrors_image_and_target_about_the_named_axis(axis, index, patch):
    image, target = build_augmentation(steps("flip", axis=axis))(*patch, 0)
    assert np.array_equal(image, np.flip(patch[0], 1 + index))
    assert np.array_equal(target, np.flip(patch[1], index))


def test_rotate90_turns_image_and_target_alike(patch):
    augment = build_augmentation(steps("rotate90"))
    seen = set()
    for seed in range(12):
        image, target = augment(*patch, seed)
        turns = [k for k in range(4) if np.array_equal(image, np.rot90(patch[0], k, (1, 2)))]
        assert np.array_equal(target, np.rot90(patch[1], turns[0]))
        seen.update(turns)
    assert seen == {1, 2, 3}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    degrees=st.floats(0, 180),
    scale=st.floats(0, 0.3),
    translate=st.floats(0, 12),
)
def test_affine_keeps_image_and_target_aligned(seed, degrees, scale, translate, marked):
    image, target = marked
    step = steps("affine", rotate_degrees=degrees, scale=scale, translate=translate, shear=0.0)
    moved, labels = build_augmentation(step)(image, target, seed)
    value, square = moved[:, INSIDE, INSIDE]
    compared = (abs(square - value**2) < 0.01) & (labels != IGNORED)  # not mixed by interpolation
    assert compared.any()
    assert np.array_equal(np.round(value[compared]) - 1, labels[compared])


def test_affine_fills_with_background_and_ignored(marked):
    image, target = marked
    augment = build_augmentation(steps("affine", scale=0, shear=0, rotate_degrees=0, translate=30))
    seeds = range(10)
    ignored = [(augment(image, target, seed)[1] == IGNORED).mean() for seed in seeds]
    empty = [(augment(image, target, seed)[0][1] == 0).mean() for seed in seeds]
    assert max(ignored) > 0.4
    assert max(empty) > 0.4


@pytest.mark.parametrize("name", CHANGING)
def test_intensity_steps_leave_background_and_target(name, patch):
    image, target = build_augmentation(steps(name))(*patch, 2)
    background = (patch[0] == 0).all(axis=0)
    assert background.any()
    assert not image[:, background].any()
    assert np.array_equal(target, patch[1])


@pytest.mark.parametrize("name", sorted(set(CHANGING) - {"drop_sequences"}))
def test_channels_draw_for_themselves(name, patch):
    same = np.repeat(patch[0][:1], 4, axis=0)
    changed = build_augmentation(steps(name))(same, patch[1], 2)[0]
    assert len({channel.tobytes() for channel in changed}) == 4


@pytest.mark.parametrize("name", sorted(set(CHANGING) - {"gaussian_noise"}))
def test_slices_of_a_channel_are_changed_alike(name, patch):
    slices = np.repeat(patch[0], 3, axis=0)
    changed = build_augmentation(steps(name))(slices, patch[1], 2)[0].reshape(4, 3, SIZE, SIZE)
    np.testing.assert_array_equal(changed, changed[:, :1].repeat(3, axis=1))


@pytest.mark.parametrize("keep", [("t1c", "flair"), ("t2",)])
def test_dropped_sequences_leave_one_of_those_to_keep(keep, patch):
    augment = build_augmentation(steps("drop_sequences", prob=0.7, keep=keep))
    slices = np.repeat(patch[0], 3, axis=0)
    left = []
    for seed in range(300):
        image = augment(slices, patch[1], seed)[0].reshape(4, 3, SIZE, SIZE)
        there = (image != 0).any(axis=(2, 3))
        assert (there == there[:, :1]).all()  # all slices or none
        left.append(dict(zip(("t1", "t1c", "t2", "flair"), there[:, 0], strict=True)))
    assert all(any(one[name] for name in keep) for one in left)
    assert np.mean([one["t1"] for one in left]) == pytest.approx(0.3, abs=0.08)
    if len(keep) == 2:  # dropped alone in 0.7 * 0.3, kept in the place of both in half of 0.49
        assert np.mean([one["t1c"] for one in left]) == pytest.approx(0.3 + 0.245, abs=0.09)


def test_sequences_to_keep_are_known_ones(patch):
    with pytest.raises(InputError, match="keep"):
        build_augmentation(steps("drop_sequences", keep=["adc"]))


def test_background_stays_zero_after_moving_and_changing(patch):
    everything = [step for name in STEPS for step in steps(name)]
    augment = build_augmentation(everything)
    for seed in range(5):
        image, _ = augment(*patch, seed)
        empty = (image == 0).all(axis=0)
        assert 20 < empty.sum() < empty.size / 2
        assert np.isfinite(image).all()


def test_jitter_is_a_normal_scale_and_shift_for_each_channel(patch):
    augment = build_augmentation(steps("intensity_jitter"))
    brain = (patch[0] != 0).any(axis=0)
    fits = []
    for seed in range(100):
        image, _ = augment(*patch, seed)
        for before, after in zip(patch[0], image, strict=True):
            slope, shift = np.polyfit(before[brain], after[brain], 1)
            assert np.allclose(after[brain], slope * before[brain] + shift, atol=1e-4)
            fits.append((slope, shift))
    assert np.allclose(np.mean(fits, axis=0), [1, 0], atol=0.04)
    assert np.allclose(np.std(fits, axis=0), 0.2, atol=0.03)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"step": "mirror"}, "'mirror', expected one of"),
        ({}, r"no 'augmentation\[0\].step', expected one of"),
        ({"step": "flip", "axis": "z"}, "'z', expected 'x' or 'y'"),
        ({"step": "affine", "angle": 3}, r"unknown key 'augmentation\[0\].angle'"),
        ({"step": "affine", "scale": 1.0}, "at least 0 and below 1"),
        ({"step": "intensity_jitter"}, r"no 'augmentation\[0\].std'"),
        ({"step": "gaussian_noise", "sigma": 3}, "unknown key"),
        ({"step": "gaussian_noise", "std": float("nan")}, "= nan, expected a number from 0"),
        ({"step": "gaussian_smooth", "sigma_x": [1.5]}, "two numbers, from and to"),
        ({"step": "adjust_contrast", "gamma": [2, 1]}, "the smaller number first"),
        ({"step": "adjust_contrast", "gamma": [0, 1]}, "above 0"),
        ({"step": "scale_intensity", "factors": [-1e9, 1]}, "from -100 to 100"),
        ({"step": "bias_field", "degree": 2.5}, "a whole number from 1 to 5"),
        ({"step": "flip", "prob": 50}, "= 50, expected a number from 0 to 1"),
        ({"step": "flip", "prob": "often"}, "= 'often', expected a number"),
    ],
)
def test_unknown_steps_and_parameters_are_refused_in_one_sentence(step, message):
    with pytest.raises(InputError, match=message) as refused:
        build_augmentation([step])
    assert "\n" not in str(refused.value)
