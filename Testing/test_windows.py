"""A network of volumes on a whole volume: MONAI's windows, labels of regions, work and memory."""

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from volume_models import small_network

from scripted_models.errors import Cancelled, ModelError
from scripted_models.inference import GpuMemoryError, choose_form, cost_of, predict_windows
from scripted_models.inference.brain_inferer import BrainInferer
from scripted_models.inference.even_windows import even_starts, window_weights
from scripted_models.inference.label_probabilities import label_probabilities
from scripted_models.inference.windows import _WindowPredictor, count_windows
from scripted_models.networks import build_network
from scripted_models.runtime.typed_tables import as_table
from scripted_models.transforms.region_thresholds import decide_labels
from scripted_models.transforms.volume_networks import LabelOutputs, RegionOutputs, SlidingWindow

REGIONS = RegionOutputs(order=("TC", "WT", "ET"))
SHAPE = (14, 20, 18)


@pytest.fixture(scope="module")
def network():
    return small_network()[0]


def volume(shape=SHAPE, seed=0):
    rng = np.random.default_rng(seed)
    brain = np.zeros(shape, bool)
    brain[1:-1, 2:-2, 2:-1] = True
    return (rng.standard_normal((4, *shape)) * brain).astype(np.float32), brain


def by_hand(network, image, window, axes, **options):
    """Return sigmoids (C, z, y, x) of MONAI's own inference on an image in the network's axes."""
    order = ["zyx".index(axis) for axis in axes]
    moved = torch.from_numpy(np.ascontiguousarray(image.transpose(0, *(1 + a for a in order))))
    with torch.no_grad():
        logits = sliding_window_inference(moved[None], window, 1, network, **options)[0]
    back = [1 + axes.index(axis) for axis in "zyx"]
    return logits.sigmoid().numpy().transpose(0, *back)


class TestWindows:
    @pytest.mark.parametrize("shape", [SHAPE, (5, 9, 30)], ids=["larger", "smaller than a window"])
    @pytest.mark.parametrize("axes", ["zyx", "xyz", "yzx"])
    @pytest.mark.parametrize("weights", ["gaussian", "constant"])
    def test_result_is_that_of_monai(self, network, shape, axes, weights):
        image, brain = volume(shape)
        size = (12, 10, 8)
        window = SlidingWindow(size=size, overlap=0.4, weights=weights, sigma=0.2, axes=axes)
        found = predict_windows(network, image, brain, window, REGIONS)
        tc, wt, et = by_hand(network, image, size, axes, overlap=0.4, mode=weights, sigma_scale=0.2)
        core, tumor = np.maximum(tc, et), np.maximum(wt, np.maximum(tc, et))
        expected = np.stack([1 - tumor, core - et, tumor - core, et])
        assert found.shape == (4, *shape)
        np.testing.assert_allclose(found[:, brain], expected[:, brain], atol=1e-6)
        assert (found[0][~brain] == 1).all()
        assert not found[1:, ~brain].any()

    def test_mirrored_windows_are_averaged(self, network):
        image, brain = volume()
        window = SlidingWindow(size=(12, 10, 8), axes="xyz", mirror=("x", "z"))
        outputs = LabelOutputs(order=(0, 1, 2))
        found = predict_windows(network, image, brain, window, outputs)

        def mirrored(x):  # axes of the network are x, y, z
            flips = [[], [2], [4], [2, 4]]
            return sum(network(x.flip(axes)).flip(axes) for axes in flips) / 4

        turned = torch.from_numpy(np.ascontiguousarray(image.transpose(0, 3, 2, 1)))
        with torch.no_grad():
            logits = sliding_window_inference(
                turned[None], (12, 10, 8), 1, mirrored, 0.5, mode="gaussian"
            )
        expected = logits[0].softmax(dim=0).numpy().transpose(0, 3, 2, 1)
        np.testing.assert_allclose(found[:, brain], expected[:, brain], atol=1e-5)

    def test_even_windows_reach_from_border_to_border(self):
        found = [even_starts(length, 8, 0.5) for length in (5, 8, 9, 19)]
        assert found == [[0], [0], [0, 1], [0, 4, 7, 11]]

    def test_even_windows_are_joined_by_their_weights(self, network):
        image, brain = volume()
        window = SlidingWindow(size=(12, 20, 18), placement="even", axes="zyx")
        found = predict_windows(network, image, brain, window, LabelOutputs(order=(0, 1, 2)))
        weights = window_weights(window)
        assert weights.argmax() == np.ravel_multi_index((6, 10, 9), window.size)
        total, joined = torch.zeros(SHAPE), torch.zeros(3, *SHAPE)
        with torch.no_grad():
            for start in (0, 2):
                seen = torch.from_numpy(image[:, start : start + 12])[None]
                joined[:, start : start + 12] += weights * network(seen)[0]
                total[start : start + 12] += weights
        expected = (joined / total).softmax(dim=0).numpy()
        np.testing.assert_allclose(found[:, brain], expected[:, brain], atol=1e-5)

    def test_one_window_is_the_same_in_both_placements(self, network):
        image, brain = volume((5, 9, 12))
        found = [
            predict_windows(network, image, brain, SlidingWindow(size=(12, 10, 12), **how), REGIONS)
            for how in ({}, {"placement": "even"})
        ]
        np.testing.assert_allclose(*found, atol=1e-6)

    def test_numbers_that_are_none_are_refused(self, network):
        image, brain = volume()
        image[0, 5, 5, 5] = np.nan
        with pytest.raises(ModelError, match="NaN"):
            predict_windows(network, image, brain, SlidingWindow(size=(16, 16, 16)), REGIONS)

    def test_its_form_has_a_name(self, network):
        assert choose_form(network) == "windows"

    def test_monai_workflows_have_the_same(self, network):
        image, brain = volume()
        window = SlidingWindow(size=(12, 10, 8), axes="xyz")
        inferer = BrainInferer(window=as_table(window), outputs=as_table(REGIONS))
        batch, mask = torch.from_numpy(image)[None], torch.from_numpy(brain)[None, None]
        found = inferer(batch, network, brain=mask)[0].numpy()
        assert np.array_equal(found, predict_windows(network, image, brain, window, REGIONS))
        with pytest.raises(TypeError, match="VolumeNetwork"):
            inferer(batch, build_network("UNet", widths=(4, 8)))
        with pytest.raises(TypeError, match="SliceNetwork"):
            BrainInferer()(batch, network)


class TestProgress:
    @pytest.mark.parametrize(
        ("mirror", "placement"), [((), "steps"), (("y",), "steps"), ((), "even")]
    )
    def test_it_rises_inside_of_windows_and_ends_with_all(self, network, mirror, placement):
        image, brain = volume()
        window, told = SlidingWindow(size=(12, 12, 12), mirror=mirror, placement=placement), []
        assert count_windows(SHAPE, window) == 12
        predict_windows(network, image, brain, window, REGIONS, told.append)
        assert told == sorted(told)
        assert told[-1] == 1.0
        assert len(told) > 24
        assert max(np.diff([0, *told])) < 0.05
        assert len(told) < 500  # lines for another program

    @pytest.mark.parametrize("after", [0, 5, 60])
    def test_cancelled_between_two_layers(self, network, after):
        image, brain = volume()
        asked = []

        def cancelled():
            asked.append(None)
            return len(asked) > after

        window = SlidingWindow(size=(16, 16, 16))
        with pytest.raises(Cancelled):
            predict_windows(network, image, brain, window, REGIONS, cancelled=cancelled)
        assert len(asked) == after + 1


class TestLabels:
    def test_regions_become_the_labels_of_the_published_rule(self):
        """The rule of `brats_mri_segmentation`: 4 where ET, else 1 where TC, else 2 where WT."""
        torch.manual_seed(0)
        logits = torch.randn(3, 40, 41)
        probabilities = label_probabilities(logits, REGIONS)
        np.testing.assert_allclose(probabilities.sum(axis=0), 1, atol=1e-6)
        assert (probabilities >= 0).all()
        tc, wt, et = (logits > 0).numpy()
        expected = np.where(et, 4, np.where(tc, 1, np.where(wt, 2, 0)))
        half = {"WT": 0.5, "TC": 0.5, "ET": 0.5}
        assert np.array_equal(decide_labels(probabilities, (0, 1, 2, 4), half), expected)
        other = RegionOutputs(order=("TC", "WT", "ET"), core=3)
        found = decide_labels(label_probabilities(logits, other), other.labels, half)
        assert np.array_equal(found, np.where(expected == 1, 3, expected))

    def test_other_orders_say_the_same(self):
        logits = torch.randn(3, 7)
        swapped = RegionOutputs(order=("ET", "TC", "WT"))
        expected = label_probabilities(logits, REGIONS)
        np.testing.assert_array_equal(label_probabilities(logits[[2, 0, 1]], swapped), expected)

    def test_labels_are_put_into_ascending_order(self):
        logits = torch.randn(4, 9)
        found = label_probabilities(logits, LabelOutputs(order=(0, 2, 1, 4)))
        np.testing.assert_array_equal(found, logits.softmax(dim=0)[[0, 2, 1, 3]].numpy())


class TestMemory:
    def test_the_estimate_grows_with_the_window_and_is_no_less_than_its_largest_maps(self, network):
        small, large = (cost_of(network, SlidingWindow(size=(n,) * 3)) for n in (16, 32))
        assert large.bytes == pytest.approx(8 * small.bytes, rel=0.01)
        assert large.bytes > 2 * 4 * 8 * 32**3  # in and out of a layer of 8 maps
        assert large.bytes < 20 * 4 * 8 * 32**3
        assert large.total == pytest.approx(8 * small.total, rel=0.01)

    def test_fewer_windows_at_a_time_where_a_gpu_has_no_room(self, network):
        """The fault is injected: a network that has memory for one window at a time."""
        sizes = []

        class Crowded(type(network)):
            def forward(self, x):
                sizes.append(len(x))
                if len(x) > 1:
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
                return super().forward(x)

        def nothing_fits(x):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

        window = SlidingWindow(size=(8, 8, 8))
        windows = torch.randn(4, 4, 8, 8, 8)
        with torch.no_grad():
            expected = _WindowPredictor(network, window, 4, False)
            expected.on_step, expected.cancelled = lambda share: None, lambda: False
            whole = expected(windows)
            crowded = _WindowPredictor(network, window, 4, False)
            crowded.on_step, crowded.cancelled = expected.on_step, expected.cancelled
            network.__class__, kept = Crowded, type(network)
            try:
                parts = crowded(windows)
                assert sizes == [4, 2, 1, 1, 1, 1]
                network.forward = nothing_fits
                with pytest.raises(GpuMemoryError):
                    crowded(windows)
            finally:
                network.__class__ = kept
                network.__dict__.pop("forward", None)
        torch.testing.assert_close(parts, whole)
