"""The preprocessing pipeline: definition, replay, and the bad inputs it refuses."""

import json

import numpy as np
import pytest

from scripted_models.errors import InputError, ModelError
from scripted_models.runtime.typed_tables import as_table
from scripted_models.training.experiment_config import Experiment
from scripted_models.transforms.preprocessing import N4BiasFieldd, build_preprocessing, preprocess


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    volume = np.zeros((4, 20, 30, 28), np.float32)
    volume[:, 3:17, 5:26, 4:25] = rng.gamma(9, 30, (4, 14, 21, 21))
    return volume


def run(steps, image, labels=None):
    return preprocess(build_preprocessing(steps), image, labels)


def test_default_crops_to_the_brain_and_standardizes_each_channel(image):
    done = run(Experiment().preprocessing, image)
    assert done["image"].shape == (4, 14, 21, 21)
    assert done["box"] == (slice(3, 17), slice(5, 26), slice(4, 25))
    for channel in done["image"]:
        assert abs(channel.mean()) < 1e-4
        assert abs(channel.std() - 1) < 1e-3


def test_crop_inverts_to_the_input(image):
    done = run([{"step": "mark_brain"}, {"step": "crop_to_brain"}], image)
    back = np.zeros_like(image)
    back[(slice(None), *done["box"])] = done["image"]
    assert np.array_equal(back, image)


def test_labels_are_cropped_like_the_image(image):
    labels = np.zeros(image.shape[1:], np.uint8)
    labels[10, 11, 12] = 4
    done = run(Experiment().preprocessing, image, labels)
    assert np.argwhere(done["labels"]).tolist() == [[7, 6, 8]]


def test_clipping_counts_brain_voxels_only(image):
    image[0, 10, 10, 10] = 1e6
    clipped = run(
        [{"step": "mark_brain"}, {"step": "clip_percentiles", "lower": 1, "upper": 99}], image
    )
    inside = image[0][image[0] != 0]
    assert clipped["image"][0].max() == pytest.approx(np.percentile(inside, 99), rel=1e-5)
    assert (clipped["image"][0][image[0] == 0] == 0).all()


def test_percentiles_of_the_whole_volume_clip_more_of_the_brain(image):
    whole = {"step": "clip_percentiles", "lower": 1, "upper": 99, "region": "volume"}
    clipped = run([{"step": "mark_brain"}, whole], image)["image"]
    for before, after in zip(image, clipped, strict=True):
        low, high = np.percentile(before, [1, 99])
        assert low == 0
        assert after.max() == pytest.approx(high, rel=1e-6)
        untouched = before <= high
        assert np.array_equal(after[untouched], before[untouched])
        assert (before[before != 0] > high).mean() > 0.02


def test_a_brain_too_small_for_percentiles_of_the_volume_is_refused(image):
    image[:, :, :, 8:] = 0
    image[:, :, 12:] = 0
    whole = {"step": "clip_percentiles", "lower": 1, "upper": 95, "region": "volume"}
    with pytest.raises(InputError, match=r"both percentiles of channel 0 at 0, expected"):
        run([{"step": "mark_brain"}, whole], image)


def test_offset_moves_the_brain_and_leaves_the_background_at_zero(image):
    image[1, 8, 8, 8] = 0  # brain, by the other channels
    plain = run([{"step": "mark_brain"}, {"step": "zscore"}], image)
    moved = run([{"step": "mark_brain"}, {"step": "zscore", "offset": 5.0}], image)
    brain = plain["brain"]
    assert brain[8, 8, 8]
    assert np.allclose(moved["image"][:, brain], plain["image"][:, brain] + 5, atol=1e-6)
    assert moved["image"][1, 8, 8, 8] == 5
    assert not moved["image"][:, ~brain].any()


def test_offset_reaches_a_brain_voxel_whose_score_is_zero():
    image = np.zeros((4, 6, 6, 6), np.float32)
    image[:, :5] = np.array([1, 2, 3] * 60, np.float32).reshape(5, 6, 6)
    moved = run([{"step": "mark_brain"}, {"step": "zscore", "offset": 2.0}], image)["image"]
    assert np.allclose(moved[:, :5][image[:, :5] == 2], 2)


def test_clipping_and_n4_after_the_crop_give_the_same(image):
    clip = {"step": "clip_percentiles", "lower": 1, "upper": 99}
    mark, crop = {"step": "mark_brain"}, {"step": "crop_to_brain"}
    first, last = run([mark, clip, crop], image), run([mark, crop, clip], image)
    assert np.array_equal(first["image"], last["image"])
    assert run([mark, crop, {"step": "n4", "iterations": [2]}], image)["image"].any()


def test_input_is_not_changed(image):
    before = image.copy()
    zscore = {"step": "zscore", "offset": 1.0}
    run([*Experiment().preprocessing[:3], {"step": "n4", "iterations": [2]}, zscore], image)
    assert np.array_equal(image, before)


def test_steps_survive_json(image):
    steps = Experiment().preprocessing
    again = json.loads(json.dumps(as_table(steps)))
    assert np.array_equal(run(steps, image)["image"], run(again, image)["image"])


def test_n4_flattens_a_bias_field_on_chosen_channels():
    z, y, x = np.mgrid[-1:1:32j, -1:1:32j, -1:1:32j]
    brain = z**2 + y**2 + x**2 < 0.8
    noise = 1 + 0.02 * np.random.default_rng(1).standard_normal(brain.shape)
    channel = np.where(brain, 100 * np.exp(0.4 * x) * noise, 0).astype(np.float32)
    stack = np.stack([channel] * 4)
    done = run([{"step": "mark_brain"}, {"step": "n4", "channels": [0], "shrink": 2}], stack)

    def variation(values):
        return values[brain].std() / values[brain].mean()

    assert variation(done["image"][0]) < 0.5 * variation(channel)
    assert np.array_equal(done["image"][2], channel)


def test_n4_takes_thick_slices_negative_values_and_any_scale():
    rng = np.random.default_rng(2)
    channel = rng.gamma(9, 30, (6, 24, 24)).astype(np.float32)
    channel[2, 3, 4:7] = -3
    stack = np.stack([channel, channel / 1000])
    done = N4BiasFieldd(iterations=(5, 5))({"image": stack})["image"]
    assert not np.allclose(done[0], channel)
    assert np.allclose(done[1] * 1000, done[0], rtol=1e-2)
    assert (done[0, 2, 3, 4:7] < 0).all()


def test_more_iterations_of_n4_follow_the_field_more_closely():
    z, y, x = np.mgrid[-1:1:24j, -1:1:24j, -1:1:24j]
    channel = (100 * np.exp(0.5 * np.sin(2 * x) * y + 0.1 * z)).astype(np.float32)

    def spread(iterations):
        flat = N4BiasFieldd((0,), 2, iterations)({"image": channel[None]})["image"]
        return flat.std() / flat.mean()

    assert spread((20, 20, 20)) < spread((1,)) / 2


def test_empty_volume_is_refused(image):
    with pytest.raises(InputError, match="expected a brain"):
        run(Experiment().preprocessing, image * 0)


def test_constant_channel_is_named(image):
    image[2][image[2] != 0] = 7
    image[2][3:17, 5:26, 4:25] = 7
    with pytest.raises(InputError, match="the t2 volume constant"):
        run(Experiment().preprocessing, image)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"step": "os.system"}, r"\[1\].step' = 'os.system', expected one of"),
        ({}, r"no 'preprocessing\[1\].step', expected one of"),
        ({"step": "zscore", "x": 1}, r"unknown key 'preprocessing\[1\].x'"),
        ({"step": "n4", "iterations": 50}, "iterations' = 50, expected a list"),
        ({"step": "clip_percentiles", "lower": 1, "upper": 99, "region": "head"}, "= 'head'"),
        ({"step": "clip_percentiles", "lower": 99, "upper": 1}, "expected more than 'lower' = 99"),
    ],
)
def test_unknown_step_or_parameter_is_refused(step, message):
    with pytest.raises(ModelError, match=message):
        build_preprocessing([{"step": "mark_brain"}, step])


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (["zscore"], r"= \['zscore'\], expected 'mark_brain' first"),
        ([], r"= \[\], expected 'mark_brain' first"),
        (["mark_brain", "zscore", "n4"], "expected 'n4' before 'zscore'"),
        (["mark_brain", "crop_to_brain", "clip_percentiles"], "of the whole volume before"),
    ],
)
def test_an_order_that_changes_the_meaning_is_refused(steps, message):
    parameters = {"clip_percentiles": {"lower": 1, "upper": 99, "region": "volume"}}
    with pytest.raises(ModelError, match=message):
        build_preprocessing([{"step": name, **parameters.get(name, {})} for name in steps])
