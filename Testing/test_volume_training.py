"""Networks of volumes train: cubes of cases, what foreign networks need of a case, a whole run."""

import copy

import numpy as np
import pytest
import torch
from volume_models import ORDER

from scripted_models.bundle.weights import load_model
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.networks import build_network
from scripted_models.networks.monai_networks import MonaiVolumeNetwork
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.training.assembly import window_of
from scripted_models.training.augmentation import build_augmentation
from scripted_models.training.checkpoint import TrainingState, load_state, save_state
from scripted_models.training.experiment_config import (
    Experiment,
    TrainingConfig,
    load_experiment,
)
from scripted_models.training.sampling import PatchSampler
from scripted_models.training.training_case import IGNORED, TrainingCase, make_target
from scripted_models.transforms.preprocessing import build_preprocessing, preprocess

SMALL = {"kernel_size": (3, 3, 3), "strides": (1, 2, 2), "upsample_kernel_size": (2, 2)}
EXPERIMENT = """
name = "volumes"
preprocessing = [
  { step = "mark_brain" },
  { step = "crop_to_brain", margin = 1 },
  { step = "zscore" },
  { step = "keep_sequences", names = ["t1c", "t1", "t2", "flair"], order = "stated" },
]
[network]
name = "DynUNet3D"
[network.arguments]
filters = [4, 8, 8]
kernel_size = [3, 3, 3]
strides = [1, 2, 2]
upsample_kernel_size = [2, 2]
[data]
validation_every = 3
slice_spacing_mm = 1.0
[training]
phases = 1
threads = 1
optimizer = "adam"
output_size = 12
batch_size = 2
pixels_per_patch = 0
output_bias = "zero"
dice = 1.0
[[training.augmentation]]
step = "flip"
axis = "z"
[[training.augmentation]]
step = "rotate90"
[[training.augmentation]]
step = "affine"
rotate_degrees = 10
scale = 0.1
[training.phase1]
epochs = 1
steps_per_epoch = 3
learning_rate = 0.001
"""


class TestPatches:
    """Cubes of a case whose image tells where each voxel lies."""

    @pytest.fixture(scope="class")
    @staticmethod
    def places():
        labels = np.zeros((9, 14, 11), np.uint8)
        labels[3:6, 4:9, 2:7] = np.random.default_rng(0).integers(1, 5, (3, 5, 5))
        image = np.stack([*np.indices(labels.shape), labels]).astype(np.float32)
        return TrainingCase.of("places", image, make_target(labels, labels >= 0, False))

    def sampler(self, places, **settings):
        chosen = {"output_size": 6, "pixels_per_patch": 0, **settings}
        network = build_network("DynUNet3D", filters=(2, 2, 2), **SMALL)
        return PatchSampler([places], TrainingConfig(**chosen), network)

    def test_image_and_target_are_cut_at_one_place(self, places):
        sampler = self.sampler(places, balance="patches")
        found = set()
        for step in range(40):
            image, chosen, target = sampler.patch(1, 0, step, 0)
            assert image.shape == (4, 6, 6, 6)
            assert chosen.tolist() == list(range(6**3))
            inside = target != IGNORED
            assert inside.any()
            assert torch.equal(image[3].flatten()[inside], target[inside].float())
            z, y, x = (image[axis].flatten()[inside].long() for axis in range(3))
            assert torch.equal(target[inside], torch.from_numpy(places.target)[z, y, x].long())
            found |= set(target[inside].tolist())
        assert found == {0, 1, 2, 3, 4}

    def test_the_same_place_gives_the_same_patch(self, places):
        steps = [{"step": "affine", "rotate_degrees": 30.0, "scale": 0.2}, {"step": "rotate90"}]
        first, again = (self.sampler(places, augmentation=steps) for _ in range(2))
        for one, other in zip(first.patch(1, 2, 3, 4), again.patch(1, 2, 3, 4), strict=True):
            assert torch.equal(one, other)

    @pytest.mark.parametrize(("axis", "place"), [("z", 0), ("y", 1), ("x", 2)])
    def test_a_volume_is_flipped_along_an_axis(self, axis, place):
        image = np.random.default_rng(0).random((4, 4, 5, 6)).astype(np.float32)
        target = image[0] > 0.5
        flip = build_augmentation([{"step": "flip", "prob": 1.0, "axis": axis}], dimensions=3)
        flipped, turned = flip(image, target.astype(np.uint8), 0)
        assert np.array_equal(flipped, np.flip(image, place + 1))
        assert np.array_equal(turned, np.flip(target, place))

    def test_a_volume_is_turned_in_its_slices(self):
        image = np.random.default_rng(0).random((4, 3, 5, 5)).astype(np.float32)
        turn = build_augmentation([{"step": "rotate90", "prob": 1.0}], dimensions=3)
        turned, _ = turn(image, np.zeros((3, 5, 5), np.uint8), 1)
        quarters = [np.rot90(image, k, axes=(2, 3)) for k in (1, 2, 3)]
        assert any(np.array_equal(turned, quarter) for quarter in quarters)


class TestSteps:
    """What networks from elsewhere need of the preprocessing."""

    @pytest.fixture(scope="class")
    @staticmethod
    def image():
        image = np.random.default_rng(0).normal(50, 9, (4, 8, 9, 10)).astype(np.float32)
        image[:, :2] = 0
        image[2, 4, 4, 4] = 0  # inside of the brain
        return image

    def done(self, image, *steps):
        return preprocess(build_preprocessing([{"step": "mark_brain"}, *steps]), image.copy())

    def test_channels_in_the_stated_order(self, image):
        step = {"step": "keep_sequences", "names": ORDER, "order": "stated"}
        found = self.done(image, step)["image"]
        assert np.array_equal(found, image[[1, 0, 2, 3]])
        usual = self.done(image, {**step, "order": "usual"})["image"]
        assert np.array_equal(usual, image)

    def test_standardized_over_the_brain(self, image):
        found = self.done(image, {"step": "zscore", "voxels": "brain"})
        brain = found["brain"]
        for channel, before in zip(found["image"], image, strict=True):
            inside = before[brain]
            expected = (inside - inside.mean()) / inside.std()
            np.testing.assert_allclose(channel[brain], expected, atol=1e-5)
            assert not channel[~brain].any()
        assert found["image"][2, 4, 4, 4] < -4  # not left at 0

    def test_holes_in_the_brain_are_standardized_as_well(self, image):
        image = image.copy()
        image[:, 5, 5, 5] = 0
        found = self.done(image, {"step": "zscore", "voxels": "brain"})
        assert not found["brain"][5, 5, 5]
        assert (found["image"][:, 5, 5, 5] < -4).all()
        np.testing.assert_allclose(found["image"][0, 2:].mean(), 0, atol=1e-5)

    def test_standardized_over_all(self, image):
        found = self.done(image, {"step": "zscore", "voxels": "all"})["image"]
        np.testing.assert_allclose(found.mean(axis=(1, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(found.std(axis=(1, 2, 3)), 1, atol=1e-5)

    def test_a_missing_sequence_stays_zero(self, image):
        image = image.copy()
        image[3] = 0
        steps = [{"step": "mark_brain"}, {"step": "zscore", "voxels": "brain"}]
        found = preprocess(build_preprocessing(steps), image, missing=["flair"])["image"]
        assert not found[3].any()


class TestTraining:
    @pytest.fixture(scope="class")
    @staticmethod
    def experiment(tmp_path_factory):
        path = tmp_path_factory.mktemp("experiment") / "volumes.toml"
        path.write_text(EXPERIMENT, encoding="utf-8")
        return path

    def test_a_small_one_learns_on_phantoms_and_segments(
        self, experiment, phantom_folder, tmp_path
    ):
        run = tmp_path / "run"
        command = ["train", str(experiment), "--data", str(phantom_folder), "--output", str(run)]
        assert main([*command, "--progress", "none"]) == 0
        model = load_model(str(run / "model"))
        assert isinstance(model.network, MonaiVolumeNetwork)
        assert model.description.sliding_window.size == (12, 12, 12)
        assert model.description.outputs is None
        assert model.description.sequences == ("t1c", "t1", "t2", "flair")
        assert model.description.training_space.spacing_xyz_mm == (1.0, 1.0, 1.0)
        assert "dice_WT" in (run / "metrics.csv").read_text()
        (case,) = find_cases(phantom_folder / "Phantom_00001")
        result = Segmenter(model, "cpu").segment(case, Progress())
        assert result.probabilities.shape == (5, *result.labels.shape)
        assert result.form == "windows"

    def test_folds_give_one_model_with_the_mean_of_their_logits(
        self, experiment, phantom_folder, tmp_path
    ):
        run = tmp_path / "run"
        command = ["train", str(experiment), "--data", str(phantom_folder), "--output", str(run)]
        settings = ["data.folds=2", "training.phase1.steps_per_epoch=1"]
        assert main([*command, "--progress", "none", "--set", *settings]) == 0
        model = load_model(str(run / "model"))
        assert model.description.network.name == "AveragedEnsemble3D"
        assert model.description.network.arguments["members"] == 2
        image = torch.randn(1, 4, 12, 12, 12)
        folds = [load_model(str(run / f"fold{n}" / "model")).network for n in (1, 2)]
        with torch.no_grad():
            expected = (folds[0](image) + folds[1](image)) / 2
            torch.testing.assert_close(model.network(image), expected)

    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ("sliding_window={size=[16,16,16], axes='xyz'}", "'sliding_window.axes' = 'xyz'"),
            ("network={name='UNet'}", "'sliding_window' for the 2-D network UNet"),
        ],
    )
    def test_what_cannot_be_trained_is_refused_first(self, experiment, setting, says):
        settings = ["sliding_window={size=[16,16,16]}", setting]
        with pytest.raises(InputError) as refusal:
            window_of(load_experiment(experiment, settings))
        assert says in str(refusal.value)

    def test_sequences_in_another_order_are_not_dropped(self, experiment, phantom_folder, tmp_path):
        steps = "training.augmentation=[{step='drop_sequences'}]"
        command = ["train", str(experiment), "--data", str(phantom_folder), "--set", steps]
        assert main([*command, "--output", str(tmp_path / "run"), "--progress", "none"]) == 2


def test_a_run_from_before_there_were_these_settings_is_resumed(tmp_path):
    settings = Experiment().to_dict()
    before = copy.deepcopy(settings)
    del before["sliding_window"]
    for step in before["preprocessing"]:
        step.pop("voxels", None)
    save_state(tmp_path, TrainingState(before))
    assert load_state(tmp_path, settings).experiment == settings
    before["preprocessing"][-1]["offset"] = 3.0
    save_state(tmp_path, TrainingState(before))
    with pytest.raises(InputError, match="preprocessing"):
        load_state(tmp_path, settings)
