"""Whole volumes: other arithmetic, fewer pixels, several workers, and still the same result."""

import copy
import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from scripted_models.errors import Cancelled
from scripted_models.inference import (
    GpuMemoryError,
    brain_box,
    choose_form,
    predict_slice,
    predict_volume,
)
from scripted_models.inference.boxes import group_slices
from scripted_models.inference.spectral import (
    SpectralConv2d,
    SpectralMaxout,
    SpectralNetwork,
    smooth_size,
)
from scripted_models.inference.volume import Predictor
from scripted_models.networks import NETWORKS, build_network
from scripted_models.networks.layers import LargeConv2d, Maxout
from scripted_models.networks.slice_network import SliceNetwork

HAVAEI = sorted(name for name, entry in NETWORKS.items() if entry.source.startswith("Havaei"))
SHAPES = ({"in_channels": 3, "num_classes": 2, "maxout_pieces": 3}, {"maxout_pieces": 1})
WITH_SHAPES = [("TwoPathCNN", shape) for shape in SHAPES] + [("InputCascadeCNN", SHAPES[0])]


class Convolution(SliceNetwork, nn.Conv2d):
    """A network of one layer."""


@pytest.fixture
def threads():
    """Set the number of threads for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def make_network(name, **arguments):
    """Random weights, with biases and an output layer that a trained network might have."""
    torch.manual_seed(5)
    members = {"members": 2} if name == "VotedEnsemble" else {}
    network = build_network(name, initialization="he", **members, **arguments).eval()
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith("output.weight"):
                parameter.mul_(100)
            elif key.endswith("bias"):
                parameter.uniform_(-0.3, 0.3)
    return network


def make_volume(seed, slices=9, edge=44, channels=4):
    """A brain of discs whose radius changes from slice to slice; some slices are empty."""
    rng = np.random.default_rng(seed)
    brain = np.zeros((slices, edge, edge + 7), bool)
    y, x = np.indices(brain.shape[1:])
    for z in range(1, slices - 1):
        reach = 3 + 15 * np.sin(np.pi * z / slices)
        brain[z] = np.hypot(y - edge / 2, (x - edge / 2) * 1.3) < reach
    brain[slices // 2] = slices < 6
    image = np.where(brain, rng.standard_normal((channels, *brain.shape)), 0)
    return image.astype(np.float32), brain


class TestSpectralForm:
    @pytest.mark.parametrize(
        ("name", "arguments"), [*((name, {}) for name in HAVAEI), *WITH_SHAPES], ids=str
    )
    def test_every_network_with_large_convolutions_gives_the_same(self, name, arguments):
        network = make_network(name, **arguments)
        box = random.Random(f"{name}{arguments}").sample(range(5, 30), 2)
        size = [sum(network.margins) + n for n in box]
        x = torch.randn(1, network.in_channels, *size)
        with torch.inference_mode():
            exact = copy.deepcopy(network).double()(x.double())[0]
            direct, spectral = network(x)[0], SpectralNetwork(network)(x)[0]
        largest = exact.abs().max()
        allowed = max(1e-5 * largest, 2 * (direct - exact).abs().max())  # processors differ
        assert (spectral - exact).abs().max() <= allowed
        best = exact.topk(2, dim=0)
        clear = best.values[0] - best.values[1] > 1e-4
        assert clear.float().mean() > 0.99
        assert (spectral.argmax(dim=0) == best.indices[0])[clear].all()

    @pytest.mark.parametrize("seed", range(6))
    def test_convolutions_of_any_kernel_and_size(self, seed):
        rng = random.Random(seed)
        rows, columns = rng.randint(11, 22), rng.randint(11, 22)
        channels, pieces = rng.randint(1, 19), rng.randint(2, 5)
        x = torch.randn(2, channels, rows + rng.randint(0, 40), columns + rng.randint(0, 40))
        few = nn.Conv2d(channels, rng.randint(1, 7), (rows, columns))
        many = nn.Conv2d(channels, pieces * rng.randint(1, 21), (rows, columns))
        with torch.no_grad():
            torch.testing.assert_close(SpectralConv2d(few)(x), few(x), atol=1e-5, rtol=1e-5)
            maxout = nn.Sequential(many, Maxout(pieces))
            result = SpectralMaxout(many, pieces)(x)
            torch.testing.assert_close(result, maxout(x), atol=1e-5, rtol=1e-5)

    def test_sizes_may_follow_each_other(self):
        """The room for the spectra is used again; what a larger size left there must not show."""
        layer = LargeConv2d(3, 2, 11)
        spectral = SpectralConv2d(layer)
        with torch.no_grad():
            for size in ((60, 31), (12, 12), (31, 60), (61, 31), (60, 31)):
                x = torch.randn(1, 3, *size)
                torch.testing.assert_close(spectral(x), layer(x), atol=1e-5, rtol=1e-5)

    def test_the_network_stays_as_it_is_and_keeps_the_weights(self):
        network = make_network("TwoPathCNN")
        before = {key: value.clone() for key, value in network.state_dict().items()}
        kinds = [type(module) for module in network.modules()]
        strides = [parameter.stride() for parameter in network.parameters()]
        form = SpectralNetwork(network)
        assert [type(module) for module in network.modules()] == kinds
        assert [parameter.stride() for parameter in network.parameters()] == strides
        assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
        shared = {id(parameter) for parameter in form.parameters()}
        assert id(network.output.weight) in shared

    def test_layers_that_differ_are_left_alone(self):
        network = nn.Sequential(
            nn.Conv2d(2, 2, 11, padding=5),
            nn.Conv2d(2, 2, 11, stride=2),
            nn.Conv2d(2, 2, 11, dilation=2),
            nn.Conv2d(2, 2, 11, groups=2),
        )
        kinds = [type(module) for module in SpectralNetwork(network).network]
        assert kinds == [nn.Conv2d] * 4

    def test_spectra_can_be_made_beforehand(self):
        network = make_network("InputCascadeCNN")
        form = SpectralNetwork(network)
        x = torch.randn(1, 4, 70, 75)
        with ThreadPoolExecutor(2) as pool:
            form.prepare(70, 75, pool)
        layers = [m for m in form.modules() if isinstance(m, SpectralConv2d | SpectralMaxout)]
        made = [layer._spectra for layer in layers]
        with torch.inference_mode():
            form(x)
        assert len(layers) == 4
        assert all(layer._spectra is spectra for layer, spectra in zip(layers, made, strict=True))

    def test_smooth_sizes(self):
        for least in range(1, 600):
            size = smooth_size(least)
            rest = size
            for prime in (2, 3, 5, 7):
                while rest % prime == 0:
                    rest //= prime
            assert size >= least
            assert size % 2 == 0
            assert rest == 1


class TestGroups:
    def groups(self, brain, overhead):
        return group_slices(brain, margin=32, overhead=overhead)

    @pytest.mark.parametrize("seed", range(4))
    def test_every_slice_with_brain_once_and_its_box_fits(self, seed):
        rng = np.random.default_rng(seed)
        brain = rng.random((20, 30, 25)) < 0.002
        groups = self.groups(brain, 1.0)
        found = sorted(z for group in groups for z in group.slices)
        assert found == np.flatnonzero(brain.any(axis=(1, 2))).tolist()
        for group in groups:
            for z in group.slices:
                shape = [axis.stop - axis.start for axis in brain_box(brain[z])]
                assert all(n <= most for n, most in zip(shape, group.shape, strict=True))

    def test_the_work_is_least(self):
        _, brain = make_volume(1, slices=12)
        shapes = [[a.stop - a.start for a in brain_box(b)] for b in brain if b.any()]
        shapes.sort(key=lambda shape: shape[0] * shape[1], reverse=True)

        def cost(run, overhead):
            rows, columns = (max(axis) + 32 for axis in zip(*run, strict=True))
            return (len(run) + overhead) * rows * columns

        for overhead in (0.0, 0.7, 2.0, 50.0):
            cuts = itertools.chain.from_iterable(
                itertools.combinations(range(1, len(shapes)), n) for n in range(len(shapes))
            )
            cuts = [[0, *cut, len(shapes)] for cut in cuts]
            best = min(
                sum(cost(shapes[a:b], overhead) for a, b in itertools.pairwise(cut)) for cut in cuts
            )
            groups = self.groups(brain, overhead)
            assert len(groups) > 1 or overhead > 1
            ours = sum(
                (len(g.slices) + overhead) * (g.shape[0] + 32) * (g.shape[1] + 32) for g in groups
            )
            assert ours == pytest.approx(best)

    def test_nothing_to_do(self):
        assert self.groups(np.zeros((3, 4, 5), bool), 1.0) == []


class TestPredictVolume:
    @pytest.mark.parametrize(
        ("name", "count"),
        [("TwoPathCNN", 1), ("TwoPathCNN", 5), ("LocalCascadeCNN", 2)],
    )
    def test_forms_workers_and_boxes_give_whole_slices(self, name, count, threads):
        network = make_network(name)
        image, brain = make_volume(count, slices=7)
        threads(count)
        shares = []
        boxed = predict_volume(network, image, brain, shares.append)
        assert torch.get_num_threads() == count
        assert shares == sorted(shares)
        assert shares[-1] == 1
        assert len(shares) == brain.any(axis=(1, 2)).sum()
        everywhere = np.ones(brain.shape, bool)
        for z in range(len(brain)):
            if not brain[z].any():
                assert (boxed[0, z] == 1).all()
                continue
            _, _, whole = predict_slice(network, image, everywhere, z)
            inside = brain[z]
            np.testing.assert_allclose(boxed[:, z][:, inside], whole[:, inside], atol=2e-5)

    def test_direct_form(self):
        network = make_network("GlobalPathCNN")
        image, brain = make_volume(0)
        spectral = predict_volume(network, image, brain)
        direct = predict_volume(network, image, brain, form="direct")
        assert choose_form(network) == "spectral"
        np.testing.assert_allclose(spectral, direct, atol=2e-5)

    def test_a_network_without_large_convolutions_runs_as_it_is(self):
        network = Convolution(4, 3, 5)
        network.num_classes, network.margins, network.receptive_field = 3, (2, 2), 5
        image, brain = make_volume(3)
        assert choose_form(network) == "direct"
        result = predict_volume(network, image, brain)
        padded = np.pad(image, ((0, 0), (0, 0), (2, 2), (2, 2)))
        with torch.no_grad():
            whole = network(torch.from_numpy(padded).swapaxes(0, 1)).softmax(dim=1).numpy()
        np.testing.assert_allclose(result[:, brain], whole.swapaxes(0, 1)[:, brain], atol=1e-5)

    def test_no_brain_at_all(self):
        network = make_network("GlobalPathCNN")
        image = np.zeros((4, 2, 5, 5), np.float32)
        result = predict_volume(network, image, image[0] != 0)
        assert (result[0] == 1).all()
        assert (result[1:] == 0).all()

    def test_cancelled_in_the_middle_leaves_nothing_behind(self, threads):
        network = make_network("GlobalPathCNN")
        image, brain = make_volume(2)
        threads(3)
        shares = []
        with pytest.raises(Cancelled):
            predict_volume(network, image, brain, shares.append, lambda: len(shares) >= 2)
        assert 2 <= len(shares) < 6
        assert torch.get_num_threads() == 3
        assert not [t for t in threading.enumerate() if t.name.startswith("slices")]

    def test_a_fault_in_a_worker_comes_through(self, threads):
        class Faulty(Convolution):
            num_classes, margins, receptive_field = 2, (1, 1), 3

            def forward(self, x):
                raise RuntimeError("broken layer")

        threads(2)
        image, brain = make_volume(2)
        with pytest.raises(RuntimeError, match="broken layer"):
            predict_volume(Faulty(4, 2, 3), image, brain)
        assert torch.get_num_threads() == 2

    def test_tf32_is_off_only_while_it_runs(self):
        seen = []

        class Looks(Convolution):
            num_classes, margins, receptive_field = 2, (1, 1), 3

            def forward(self, x):
                seen.append(torch.backends.cudnn.allow_tf32)
                return super().forward(x)

        before = torch.backends.cudnn.allow_tf32
        predict_volume(Looks(4, 2, 3), *make_volume(2))
        assert not any(seen)
        assert torch.backends.cudnn.allow_tf32 == before


class TestBatches:
    """A GPU takes several slices at a time; the fault is injected: room for a few only."""

    def predictor(self, room):
        class Cramped(Convolution):
            num_classes, margins, receptive_field = 3, (1, 1), 3

            def forward(self, x):
                if len(x) > room:
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
                self.sizes.append(len(x))
                return super().forward(x)

        torch.manual_seed(0)
        network = Cramped(4, 3, 3).eval()
        network.sizes = []
        image, brain = make_volume(4)
        return Predictor(network, image, brain, "direct"), network, brain

    @pytest.mark.parametrize("room", [1, 2, 3, 20])
    def test_batches_are_halved_until_they_fit(self, room):
        predictor, network, brain = self.predictor(room)
        slices = np.flatnonzero(brain.any(axis=(1, 2))).tolist()
        (group,) = group_slices(brain, 2, overhead=1e9)
        together = predictor.predict(slices, group.shape)
        assert sum(network.sizes) == len(slices)
        assert max(network.sizes) <= room
        for z, box, values in together:
            ((_, own_box, alone),) = predictor.predict([z], group.shape)
            assert box == own_box == brain_box(brain[z])
            np.testing.assert_allclose(values, alone, atol=1e-6)

    def test_no_room_for_a_single_one(self):
        predictor, _, brain = self.predictor(0)
        (group,) = group_slices(brain, 2, overhead=1e9)
        with pytest.raises(GpuMemoryError):
            predictor.predict(group.slices, group.shape)
