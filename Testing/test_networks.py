"""The contract of every registered network; new networks are tested by being registered."""

import io

import pytest
import torch
from network_fixtures import FEWER, ZOO
from torch.nn import functional as F

from scripted_models.networks import NETWORKS, build_network
from scripted_models.networks.ensembles import VotedEnsemble
from scripted_models.networks.layers import DensePool, LargeConv2d, Maxout
from scripted_models.networks.slice_network import SliceNetwork

PARAMETERS = {
    "LocalPathCNN": 240_197,
    "GlobalPathCNN": 569_445,
    "AverageCNN": 809_642,
    "TwoPathCNN": 809_637,
    "InputCascadeCNN": 1_111_397,
    "LocalCascadeCNN": 815_397,
    "MFCascadeCNN": 820_662,
    "VotedEnsemble": 2 * 809_637,
    "UNet": 1_943_941,
    "SegResNet": 1_578_037,
    "FCN32s": 134_346_581,
    "FCN16s": 134_357_354,
    "FCN8s": 134_362_751,
    "FCN8sAtOnce": 134_362_751,
    "FCN32sFixed": 86_037,
    "DilatedFrontEnd": 134_346_581,
    "DilatedBasic": 134_374_973,
    "DilatedLarge": 141_149_720,
    "RefineNet": 99_060_309,
    "ThresholdBaseline": 0,
    "CRFRNN": 134_362_751 + 21 * (2 + 21),
    "MonaiUNet": 1_631_830,
    "BasicUNet": 1_981_733,
    "DynUNet": 1_943_701,
    "AttentionUnet": 1_989_069,
    "SegResNet3D": 4_702_261,
    "MonaiUNet3D": 4_814_680,
    "BasicUNet3D": 5_752_101,
    "DynUNet3D": 5_647_509,
    "AttentionUnet3D": 5_910_477,
    "SegResNetDS3D": 4_981_781,
    "AveragedEnsemble3D": 2 * 4_702_261,
    "SwinUNETR3D": 15_705_671,
    "PlainConvUNet": 10_710_341,
    "PlainConvUNet3D": 31_196_741,
    "ResidualEncoderUNet": 34_531_141,
    "ResidualEncoderUNet3D": 102_350_917,
}
# One kernel per map and no biases; of a cascade the second network. The paper's figures print the
# last four; the first two and their sum follow from the same tables.
PRINTED_WEIGHTS = {
    "LocalPathCNN": 190_528,
    "GlobalPathCNN": 460_960,
    "AverageCNN": 651_488,
    "TwoPathCNN": 651_488,
    "InputCascadeCNN": 802_368,
    "LocalCascadeCNN": 654_368,
    "MFCascadeCNN": 662_513,
    "VotedEnsemble": 2 * 651_488,
}
RECEPTIVE_FIELDS = {"InputCascadeCNN": 65, "LocalCascadeCNN": 56, "MFCascadeCNN": 53}
ZERO_AT_FIRST = (torch.nn.Conv2d, torch.nn.InstanceNorm2d, torch.nn.InstanceNorm3d)
HAVAEI = [name for name, entry in NETWORKS.items() if entry.source.startswith("Havaei")]
CASCADES = [name for name in NETWORKS if "first" in NETWORKS[name].parts]


def build(name, **arguments):
    return build_network(name, **FEWER.get(name, {}), **arguments)


def make(name):
    torch.manual_seed(3)
    how = {"initialization": "he"} if name in HAVAEI else {}
    network = build(name, **how).double().eval()
    for layer in network.modules():  # scores that begin with zeros show nothing
        weight = layer.weight if isinstance(layer, ZERO_AT_FIRST) else None
        if weight is not None and not weight.any():
            torch.nn.init.normal_(weight, 0.0, 0.1)
    return network


@pytest.fixture(params=sorted(NETWORKS))
def name(request):
    return request.param


@pytest.fixture
def network(name):
    return make(name)


def random_image(network, height, width, seed=0):
    generator = torch.Generator().manual_seed(seed)
    size = shape_of(network, height, width)
    return torch.randn(1, network.input_channels, *size, generator=generator, dtype=torch.float64)


def shape_of(network, height, width):
    """Return the axes after the channels, a few slices before height and width in 3-D."""
    return (3, height, width)[-network.dimensions :]


def field(network):
    return network.receptive_field


def patch(network):
    """Edge of a small window that the network takes."""
    return {2: 64, 3: 32}[network.dimensions] if network.pads else network.receptive_field


class TestContract:
    def test_every_network_has_its_printed_count_listed_here(self):
        assert set(PARAMETERS) == set(NETWORKS)

    def test_trainable_parameters(self, name):
        with torch.device("meta"):
            network = build_network(name, **({"members": 2} if "Ensemble" in name else {}))
        assert sum(p.numel() for p in network.parameters() if p.requires_grad) == PARAMETERS[name]

    def test_margins_tell_the_output_size(self, network):
        lost = sum(network.margins)
        with torch.no_grad():
            out = network(random_image(network, lost + 5, lost + 8))
        assert out.shape == (1, network.num_classes, *shape_of(network, 5, 8))

    def test_gradient_reaches_every_trainable_parameter(self, network):
        if not any(parameter.requires_grad for parameter in network.parameters()):
            pytest.skip("nothing to train")
        image = random_image(network, patch(network) + 3, patch(network) + 3)
        out = network(image.repeat_interleave(8, dim=2) if network.dimensions == 3 else image)
        F.cross_entropy(out, torch.ones(1, *out.shape[2:], dtype=torch.long)).backward()
        for key, parameter in network.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None, key
                assert parameter.grad.abs().max() > 0, key

    def test_strict_save_and_load(self, name, network):
        buffer = io.BytesIO()
        torch.save(network.state_dict(), buffer)
        buffer.seek(0)
        other = build(name).double().eval()
        other.load_state_dict(torch.load(buffer, weights_only=True), strict=True)
        image = random_image(network, patch(network), patch(network))
        with torch.no_grad():
            assert torch.equal(network(image), other(image))

    def test_phase_two_parts_join_to_the_whole(self, name, network):
        if not NETWORKS[name].trains or not getattr(network, "has_two_phases", False):
            pytest.skip("not trained itself, or not in two phases")
        image = random_image(network, patch(network) + 1, patch(network) + 1)
        with torch.no_grad():
            assert torch.equal(network.output(network.features(image)), network(image))

    def test_channels_and_classes_are_arguments(self, name):
        without = [*ZOO, "ThresholdBaseline", "SegResNet", "SegResNet3D", "SegResNetDS3D"]
        without += ["AveragedEnsemble3D"]
        without += ["SwinUNETR3D", *(name for name in NETWORKS if "ConvUNet" in name)]
        without += [name for name in NETWORKS if "EncoderUNet" in name]
        dropout = {} if name in without else {"dropout": 0.1}
        network = build(name, in_channels=2, num_classes=3, **dropout).eval()
        lost = sum(network.margins)
        size = shape_of(network, lost + 1, lost + 2)
        with torch.no_grad():
            out = network(torch.zeros(1, network.input_channels, *size))
        assert out.shape == (1, 3, *shape_of(network, 1, 2))


class TestHavaei:
    """What the networks of the paper have in common: valid convolutions and its options."""

    @pytest.fixture(params=HAVAEI)
    def name(self, request):
        return request.param

    def test_parameters_as_the_paper_counts(self, name):
        network = build(name, maxout_pieces=1)
        weights = [p for p in network.parameters() if p.requires_grad and p.dim() > 1]
        assert sum(w.numel() for w in weights) == PRINTED_WEIGHTS[name]

    def test_receptive_field_is_the_patch_of_the_paper(self, name, network):
        assert field(network) == RECEPTIVE_FIELDS.get(name, 33)
        assert sum(network.margins) + 1 == field(network)
        assert not network.pads

    def test_receptive_field_is_exactly_what_is_stated(self, network):
        size = field(network) + 2  # 3 x 3 outputs; the center one must not see the outer frame
        image = random_image(network, size, size)
        with torch.no_grad():
            before = network(image)[..., 1, 1]
            for edge, seen in ((0, False), (-1, False), (1, True), (-2, True)):
                changed = image.clone()
                changed[:, :, edge, size // 2] += 10.0
                assert torch.equal(network(changed)[..., 1, 1], before) != seen, edge

    def test_dense_output_equals_patch_output(self, network):
        size = field(network) + 6
        image = random_image(network, size, size)
        with torch.no_grad():
            dense = network(image)
            for y, x in ((0, 0), (3, 5), (6, 6), (6, 0)):
                patch = network(image[:, :, y : y + field(network), x : x + field(network)])
                torch.testing.assert_close(patch[..., 0, 0], dense[..., y, x], rtol=1e-9, atol=1e-9)

    def test_output_moves_with_the_input(self, network):
        size = field(network) + 5
        image = random_image(network, size, size)
        with torch.no_grad():
            here, moved = network(image), network(image.roll((1, 1), dims=(2, 3)))
        torch.testing.assert_close(moved[..., 1:, 1:], here[..., :-1, :-1], rtol=1e-9, atol=1e-9)

    def test_pieces_are_an_argument(self, name):
        network = build(name, maxout_pieces=3)
        with torch.no_grad():
            out = network(torch.zeros(1, 4, field(network), field(network)))
        assert out.shape == (1, 5, 1, 1)

    def test_paper_initialization(self, name):
        network = build(name)
        for key, parameter in network.named_parameters():
            bound = 0.005 if key.endswith("weight") else 0.0
            assert parameter.abs().max() <= bound, key


@pytest.fixture(params=CASCADES)
def cascade(request):
    torch.manual_seed(5)
    return build_network(request.param, initialization="he").double()


class TestCascades:
    def test_first_network_is_frozen_and_never_drops_out(self, cascade):
        cascade.train()
        assert not cascade.first.training
        assert cascade.second.training
        assert not any(p.requires_grad for p in cascade.first.parameters())

    def test_first_network_may_have_other_arguments(self, cascade):
        other = type(cascade)(first={"maxout_pieces": 3}, maxout_pieces=1)
        assert other.first.local_path.layer1[0].out_channels == 3 * 64
        assert other.second.local_path.layer1[0].out_channels == 64

    def test_second_network_sees_probabilities_where_the_paper_joins_them(self, cascade):
        """The paper's drawing on one patch, written out without the classes of the package."""
        cascade.eval()
        size = cascade.receptive_field
        start = {65: 16, 56: 12, 53: 10}[size]  # of the 33 x 33 patch inside the large one
        image = random_image(cascade, size, size)
        patch = image[..., start : start + 33, start : start + 33]
        second = cascade.second
        with torch.no_grad():
            probabilities = cascade.first(image).softmax(1)
            assert probabilities.shape[-1] == {65: 33, 56: 24, 53: 21}[size]
            if size == 65:
                patch = torch.cat([patch, probabilities], 1)
            hidden = second.local_path.layer1(patch)
            if size == 56:
                hidden = torch.cat([hidden, probabilities], 1)
            maps = [second.local_path.layer2(hidden), second.global_path(patch)]
            if size == 53:
                maps.append(probabilities)
            expected = second.output(torch.cat(maps, 1))
            assert expected.shape[-2:] == (1, 1)
            torch.testing.assert_close(cascade(image), expected)


class TestEnsembles:
    def test_average_is_the_mean_of_both_softmax_outputs(self):
        torch.manual_seed(1)
        network = build_network("AverageCNN", initialization="he").eval()
        image = torch.randn(1, 4, 36, 36)
        with torch.no_grad():
            parts = [network.local_path(image).softmax(1), network.global_path(image).softmax(1)]
            torch.testing.assert_close(network(image).softmax(1), sum(parts) / 2)

    def test_most_votes_win_and_the_mean_decides_a_tie(self):
        class Fixed(SliceNetwork):
            in_channels, num_classes, receptive_field, margins = 1, 3, 1, (0, 0)

            def __init__(self, *probabilities):
                super().__init__()
                self.logits = torch.tensor(probabilities).log().reshape(1, 3, 1, 1)

            def forward(self, x):
                return self.logits

        weak, strong = (0.5, 0.4, 0.1), (0.01, 0.98, 0.01)
        votes = VotedEnsemble([Fixed(*weak), Fixed(*weak), Fixed(*strong)])
        shares = votes(torch.zeros(1, 1, 1, 1)).softmax(1).flatten()
        assert shares.argmax() == 0  # two votes against one, although the mean says 1
        assert shares.sum() == pytest.approx(1)
        tie = VotedEnsemble([Fixed(*weak), Fixed(*strong)])
        assert tie(torch.zeros(1, 1, 1, 1)).argmax() == 1
        soft = VotedEnsemble([Fixed(*weak), Fixed(*weak), Fixed(*strong)], voting="soft")
        expected = torch.tensor([weak, weak, strong]).mean(dim=0)
        torch.testing.assert_close(soft(torch.zeros(1, 1, 1, 1)).softmax(1).flatten(), expected)


class TestLayers:
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
    def test_dense_pool_is_max_pool_with_stride_one(self, size):
        x = torch.randn(2, 3, 11, 9)
        assert torch.equal(DensePool(size)(x), F.max_pool2d(x, size, 1))

    @pytest.mark.parametrize("shape", [(30, 25), (42, 47)])  # by rows, and by FFT where it trains
    @pytest.mark.parametrize("trains", [(False, False), (True, False), (False, True), (True, True)])
    def test_large_convolution_is_convolution(self, shape, trains):
        layer = LargeConv2d(6, 5, 21).double()
        layer.weight.requires_grad_(False)
        x = torch.randn(2, 6, *shape, dtype=torch.float64)
        wanted = [
            t.requires_grad_(on) for t, on in zip((x, layer.weight), trains, strict=True) if on
        ]
        expected, result = F.conv2d(x, layer.weight, layer.bias), layer(x)
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)
        by_fourier = "FourierConvolution" in _functions_of(result)
        assert by_fourier == (any(trains) and shape == (42, 47))
        gradient = torch.randn_like(expected)
        wanted.append(layer.bias)
        for ours, plain in zip(
            torch.autograd.grad(result, wanted, gradient),
            torch.autograd.grad(expected, wanted, gradient),
            strict=True,
        ):
            torch.testing.assert_close(ours, plain, rtol=1e-10, atol=1e-10)

    def test_maxout_takes_the_largest_piece(self):
        x = torch.arange(8.0).reshape(1, 4, 1, 2)
        assert torch.equal(Maxout(2)(x), x[:, 2:])


def _functions_of(result: torch.Tensor) -> str:
    """Return the names of the functions behind a tensor, two levels deep."""
    nodes = [result.grad_fn, *(node for node, _ in result.grad_fn.next_functions)]
    return " ".join(type(node).__name__ for node in nodes)


def test_thresholds_give_what_is_bright():
    network = build_network("ThresholdBaseline", flair=1.0, t1c=2.0)
    image = torch.zeros(1, 4, 2, 2)
    image[0, 3] = torch.tensor([[0.9, 1.1], [1.1, 0.9]])  # FLAIR
    image[0, 1] = torch.tensor([[2.1, 1.9], [2.1, 0.0]])  # T1c
    assert network(image).argmax(dim=1).tolist() == [[[0, 2], [4, 0]]]
