"""Pre- and postprocessing pipelines: definitions, replay, and the bad inputs they refuse."""

import json

import numpy as np
import pytest

from scripted_models.config import Experiment
from scripted_models.errors import InputError, ModelError
from scripted_models.postprocessing import build_postprocessing
from scripted_models.preprocessing import build_preprocessing, preprocess


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    volume = np.zeros((4, 20, 30, 28), np.float32)
    volume[:, 3:17, 5:26, 4:25] = rng.gamma(9, 30, (4, 14, 21, 21))
    return volume


def run(steps, image, labels=None):
    return preprocess(build_preprocessing(steps), image, labels)


class TestPreprocessing:
    def test_default_crops_to_the_brain_and_standardises_each_channel(self, image):
        done = run(Experiment().preprocessing, image)
        assert done["image"].shape == (4, 14, 21, 21)
        assert done["box"] == (slice(3, 17), slice(5, 26), slice(4, 25))
        for channel in done["image"]:
            assert abs(channel.mean()) < 1e-4
            assert abs(channel.std() - 1) < 1e-3

    def test_crop_inverts_to_the_input(self, image):
        done = run([{"step": "mark_brain"}, {"step": "crop_to_brain"}], image)
        back = np.zeros_like(image)
        back[(slice(None), *done["box"])] = done["image"]
        assert np.array_equal(back, image)

    def test_labels_are_cropped_like_the_image(self, image):
        labels = np.zeros(image.shape[1:], np.uint8)
        labels[10, 11, 12] = 4
        done = run(Experiment().preprocessing, image, labels)
        assert np.argwhere(done["labels"]).tolist() == [[7, 6, 8]]

    def test_clipping_counts_brain_voxels_only(self, image):
        image[0, 10, 10, 10] = 1e6
        clipped = run(
            [{"step": "mark_brain"}, {"step": "clip_percentiles", "lower": 1, "upper": 99}], image
        )
        inside = image[0][image[0] != 0]
        assert clipped["image"][0].max() == pytest.approx(np.percentile(inside, 99), rel=1e-5)
        assert (clipped["image"][0][image[0] == 0] == 0).all()

    def test_input_is_not_changed(self, image):
        before = image.copy()
        run([{"step": "mark_brain"}, {"step": "n4"}, *Experiment().preprocessing[1:]], image)
        assert np.array_equal(image, before)

    def test_steps_survive_json(self, image):
        steps = Experiment().preprocessing
        again = json.loads(json.dumps(steps))
        assert np.array_equal(run(steps, image)["image"], run(again, image)["image"])

    def test_n4_flattens_a_bias_field_on_chosen_channels(self):
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

    def test_empty_volume_is_refused(self, image):
        with pytest.raises(InputError, match="expected a brain"):
            run(Experiment().preprocessing, image * 0)

    def test_constant_channel_is_named(self, image):
        image[2][image[2] != 0] = 7
        image[2][3:17, 5:26, 4:25] = 7
        with pytest.raises(InputError, match="t2 volume is constant"):
            run(Experiment().preprocessing, image)

    @pytest.mark.parametrize("step", [{"step": "os.system"}, {"step": "zscore", "x": 1}, {}])
    def test_unknown_step_or_parameter_is_refused(self, step):
        with pytest.raises(ModelError):
            build_preprocessing([step])


class TestPostprocessing:
    def clean(self, labels, **rule):
        pipeline = build_postprocessing([{"step": "remove_small_components", **rule}])
        data = {"labels": labels, "brain": np.ones(labels.shape, bool), "voxel_volume_ml": 0.001}
        return pipeline(data)["labels"]

    def test_small_components_go_and_large_ones_keep_their_labels(self):
        labels = np.zeros((10, 20, 20), np.uint8)
        labels[2:8, 2:10, 2:10] = 2
        labels[4, 5, 5] = 4
        labels[1, 18, 18] = 4
        cleaned = self.clean(labels, min_volume_ml=0.01, min_share=0.05)
        assert cleaned[1, 18, 18] == 0
        assert np.array_equal(cleaned[2:8], labels[2:8])

    def test_the_only_component_may_fall_below_the_volume(self):
        labels = np.zeros((5, 5, 5), np.uint8)
        labels[2, 2, 2] = 1
        assert not self.clean(labels, min_volume_ml=0.5, min_share=0.0).any()

    def test_empty_label_map_stays_empty(self):
        assert not self.clean(np.zeros((4, 4, 4), np.uint8), min_volume_ml=1, min_share=0.1).any()

    def test_labels_outside_the_brain_go(self):
        pipeline = build_postprocessing([{"step": "inside_brain"}])
        labels = np.ones((2, 2, 2), np.uint8)
        brain = np.zeros((2, 2, 2), bool)
        brain[0] = True
        done = pipeline({"labels": labels, "brain": brain, "voxel_volume_ml": 1.0})["labels"]
        assert done.sum() == 4
        assert done[0].all()
