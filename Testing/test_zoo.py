"""The networks that dense prediction grew from: what their papers print, and what they are built of."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from scripted_models.errors import ModelError
from scripted_models.networks import build_network
from scripted_models.networks.dilated import ContextModule, DilatedVGG, reflected
from scripted_models.networks.fcn import FCN, BilinearUpsampling
from scripted_models.networks.placement import Placed, moved, receptive_field
from scripted_models.networks.refinenet import ChainedResidualPooling, RefineNet, ResidualConvUnit
from scripted_models.networks.trunks import layers_of

SCALE = 1 / 32


def count(network):
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def on_meta(network, **arguments):
    with torch.device("meta"):
        return network(**arguments)


class TestFCN:
    @pytest.mark.parametrize(
        ("arguments", "trunk", "total", "field"),
        [
            ({"trunk": "AlexNet"}, 56_868_224, 56_954_261, 355),
            ({"trunk": "VGG16"}, 134_260_544, 134_346_581, 404),
            ({"trunk": "VGG16", "stride": 16}, 134_260_544, 134_357_354, 404),
            ({"trunk": "VGG16", "stride": 8}, 134_260_544, 134_362_751, 404),
            ({"trunk": "GoogLeNet"}, 5_973_552, 5_995_077, 715),
            ({"trunk": "GoogLeNet", "average_pool": True}, 5_973_552, 5_995_077, 907),
        ],
        ids=str,
    )
    def test_table_1(self, arguments, trunk, total, field):
        network = on_meta(FCN, **arguments)
        assert count(network.trunk) == trunk
        assert count(network) == total
        assert network.receptive_field == field

    def test_receptive_fields_of_the_poolings_of_vgg(self):
        network = on_meta(FCN)
        layers, fields = [], []
        for stage in network.trunk.stages:
            layers += stage
            fields.append(receptive_field(layers))
        assert fields[2:] == [44, 100, 212]

    def test_sizes_of_an_image_of_500_pixels_stage_by_stage(self):
        network = FCN(scale=SCALE).eval()
        placed, sizes = Placed(torch.zeros(1, 3, 500, 500)), []
        for stage in network.trunk.stages:
            placed = placed.through(stage)
            sizes.append(placed.values.shape[-1])
        assert sizes[2:] == [88, 44, 22]
        fc7 = placed.through(network.trunk.classifier)
        assert fc7.values.shape[-1] == 16
        assert fc7.through([network.score, network.upsampling]).values.shape[-1] == 544

    @pytest.mark.parametrize(
        ("arguments", "crop"),
        [
            ({}, 19),
            ({"stride": 16}, 27),
            ({"stride": 8}, 31),
            ({"trunk": "AlexNet"}, 18),
            ({"trunk": "GoogLeNet"}, 1),
            ({"trunk": "GoogLeNet", "average_pool": True}, 2),
        ],
        ids=str,
    )
    def test_crops_are_those_of_the_published_networks(self, arguments, crop, monkeypatch):
        found = []
        cropped_to = Placed.cropped_to
        monkeypatch.setattr(
            Placed,
            "cropped_to",
            lambda self, other: found.append(-self.offset) or cropped_to(self, other),
        )
        with torch.no_grad():
            FCN(scale=SCALE, **arguments).eval()(torch.zeros(1, 3, 96, 80))
        assert found == [crop]

    def test_skips_join_with_the_published_crops(self):
        offsets = {}
        network = FCN(stride=8, scale=SCALE).eval()
        placed = Placed(torch.zeros(1, 3, 96, 96))
        for number, stage in enumerate(network.trunk.stages, start=1):
            placed = placed.through(stage)
            offsets[number] = placed.offset
        scores = placed.through(network.trunk.classifier).through([network.score])
        doubled = scores.through([network.doublings[0]])
        assert (doubled.offset - offsets[4]) / 16 == 5
        assert (doubled.through([network.doublings[1]]).offset - offsets[3]) / 8 == 9

    @pytest.mark.parametrize("pad_image", [True, False])
    @pytest.mark.parametrize(
        "arguments",
        [{}, {"stride": 16}, {"stride": 8}, {"trunk": "AlexNet"}, {"trunk": "GoogLeNet"},
         {"trunk": "GoogLeNet", "average_pool": True}],
        ids=str,
    )  # fmt: skip
    @pytest.mark.parametrize("size", [(1, 1), (33, 70), (97, 64)])
    def test_any_size_gives_as_many_pixels(self, arguments, pad_image, size):
        network = FCN(scale=SCALE, pad_image=pad_image, **arguments).eval()
        with torch.no_grad():
            assert network(torch.randn(2, 3, *size)).shape == (2, 21, *size)

    def test_scores_begin_at_zero_and_fixed_trains_them_alone(self):
        network = FCN(stride=8, fixed=True, scale=SCALE).eval()
        assert not network(torch.randn(1, 3, 40, 40)).any()
        trained = {name for name, p in network.named_parameters() if p.requires_grad}
        assert trained == {
            f"{layer}.{kind}"
            for layer in ("score", "skips.pool4", "skips.pool3")
            for kind in ("weight", "bias")
        }

    def test_at_once_scales_the_skips(self):
        torch.manual_seed(0)
        plain, at_once = (FCN(stride=8, scale=SCALE, at_once=x).eval() for x in (False, True))
        nn.init.normal_(plain.skips["pool3"].weight)
        at_once.load_state_dict(plain.state_dict())
        x = torch.randn(1, 3, 64, 64)
        with torch.no_grad():
            torch.testing.assert_close(at_once(x), plain(x) * 1e-4)

    @pytest.mark.parametrize(("factor", "size"), [(2, 4), (8, 16), (32, 63)])
    def test_upsampling_is_bilinear(self, factor, size):
        layer = BilinearUpsampling(3, factor, size)
        x = torch.randn(1, 3, 5, 6)
        assert not layer.weight.requires_grad
        with torch.no_grad():
            found = layer(x)
            if size == 2 * factor:
                expected = F.interpolate(x, scale_factor=factor, mode="bilinear")
                edge = factor // 2
                inner = found[:, :, edge:-edge, edge:-edge]
                torch.testing.assert_close(
                    inner[:, :, factor:-factor, factor:-factor],
                    expected[:, :, factor:-factor, factor:-factor],
                )
            constant = layer(torch.ones(1, 3, 5, 6))[:, :, size:-size, size:-size]
            torch.testing.assert_close(constant, torch.ones_like(constant))

    @pytest.mark.parametrize(
        "arguments", [{"trunk": "LeNet"}, {"stride": 4}, {"stride": 8, "trunk": "AlexNet"}]
    )
    def test_impossible_arguments(self, arguments):
        with pytest.raises(ModelError, match="FCN32s"):
            build_network("FCN32s", **arguments)


class TestPlacement:
    @pytest.mark.parametrize("seed", range(8))
    def test_offsets_are_the_centres_of_what_pixels_see(self, seed):
        rng = np.random.default_rng(seed)
        layers = []
        for _ in range(3):
            size, dilation = (int(n) for n in rng.integers(1, 4, 2))
            step, pad = int(rng.integers(1, 3)), int(rng.integers(0, 3))
            layers.append(nn.Conv2d(1, 1, size, step, pad, dilation).double())
        image = torch.randn(1, 1, 61, 61, dtype=torch.float64, requires_grad=True)
        out = image
        stride, offset = Fraction(1), Fraction(0)
        for layer in layers:
            out = layer(out)
            stride, offset = moved(layer, stride, offset)
        index = out.shape[-1] // 2
        (gradient,) = torch.autograd.grad(out[0, 0, index, index], image)
        rows = gradient[0, 0].abs().sum(dim=1).nonzero().flatten()
        assert Fraction(int(rows.min() + rows.max()), 2) == stride * index + offset
        assert int(rows.max() - rows.min()) + 1 == receptive_field(layers)

    def test_maps_that_do_not_coincide_are_refused(self):
        a = Placed(torch.zeros(1, 1, 4, 4), Fraction(2), Fraction(0))
        with pytest.raises(ValueError, match="coincide"):
            a + Placed(torch.zeros(1, 1, 4, 4), Fraction(2), Fraction(1))
        with pytest.raises(ValueError, match="cover"):
            a.cropped_to(Placed(torch.zeros(1, 1, 6, 6), Fraction(2), Fraction(0)))


class TestDilated:
    def test_printed_counts_and_fields(self):
        assert count(on_meta(DilatedVGG)) == 134_346_581
        assert on_meta(DilatedVGG).receptive_field == 380
        assert on_meta(DilatedVGG, context="basic").receptive_field == 908
        for kind, parameters in (("basic", 28_392), ("large", 6_803_139)):
            module = on_meta(ContextModule, kind=kind)
            assert count(module) == parameters
            assert module.receptive_field == 67 == receptive_field(module.layers)

    @pytest.mark.parametrize("size", [500, 628, 900])
    def test_sizes_of_the_front_end(self, size):
        x = torch.zeros(1, 3, size, 372 + 8)
        with torch.no_grad():
            for part in layers_of(DilatedVGG(scale=SCALE).eval().trunk):
                x = part(x)
        assert x.shape[2:] == ((size - 372) // 8, 1)

    @pytest.mark.parametrize("padding", ["layers", "input"])
    @pytest.mark.parametrize("kind", ["basic", "large"])
    def test_identity_initialisation(self, kind, padding):
        module = ContextModule(7, kind, padding, noise=0.0)
        x = torch.randn(2, 7, 21, 30)
        with torch.no_grad():
            found = module(x)
        torch.testing.assert_close(found, x.relu(), rtol=1e-5, atol=1e-5)
        assert kind == "large" or torch.equal(found, x.relu())

    def test_the_two_paddings_differ_at_the_border_only(self):
        inside = ContextModule(3, padding="layers")
        for layer in inside.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.uniform_(layer.weight, 0, 0.3)
                nn.init.uniform_(layer.bias, 0, 0.3)
        outside = ContextModule(3, padding="input")
        outside.load_state_dict(inside.state_dict())
        x = torch.rand(1, 3, 80, 80)
        with torch.no_grad():
            a, b = inside(x), outside(x)
        middle = (..., slice(33, -33), slice(33, -33))
        torch.testing.assert_close(a[middle], b[middle])
        assert not torch.allclose(a, b)

    @pytest.mark.parametrize("axis", [2, 3])
    @pytest.mark.parametrize(("before", "after"), [(3, 4), (0, 6), (40, 33)])
    def test_reflection_is_numpys_at_any_length(self, axis, before, after):
        for size in (1, 2, 7):
            x = torch.randn(1, 2, size, size)
            pads = [(0, 0)] * 4
            pads[axis] = (before, after)
            expected = np.pad(x.numpy(), pads, mode="reflect" if size > 1 else "edge")
            np.testing.assert_array_equal(reflected(x, axis, before, after).numpy(), expected)

    @pytest.mark.parametrize("context", ["", "basic", "large"])
    @pytest.mark.parametrize("size", [(1, 1), (19, 40)])
    def test_any_size_gives_as_many_pixels(self, context, size):
        network = DilatedVGG(context=context, scale=SCALE).eval()
        with torch.no_grad():
            assert network(torch.randn(1, 3, *size)).shape == (1, 21, *size)

    def test_scores_lie_in_the_middle_of_their_pixels(self):
        stride, offset = Fraction(1), Fraction(-186)
        for layer in layers_of(on_meta(DilatedVGG).trunk):
            stride, offset = moved(layer, stride, offset)
        assert (stride, offset) == (8, Fraction(7, 2))


class TestRefineNet:
    @pytest.mark.parametrize(
        ("arguments", "total", "decoder"),
        [
            ({}, 99_060_309, 75_552_277),
            ({"depth": 101}, 118_052_437, 75_552_277),
            ({"depth": 152}, 133_696_085, 75_552_277),
            ({"links": 2}, 90_802_773, 67_294_741),
            ({"blocks": "single"}, 62_488_149, 38_980_117),
            ({"blocks": "2-cascaded"}, 68_976_981, 45_468_949),
            ({"two_scales": True}, 159_139_989, 112_123_925),
        ],
        ids=str,
    )
    def test_printed_counts(self, arguments, total, decoder):
        network = on_meta(RefineNet, **arguments)
        assert count(network) == total
        assert count(network) - count(network.trunks) == decoder

    def test_light_weight_form_is_a_quarter(self):
        assert count(on_meta(RefineNet, light=True)) == 27_357_525

    @pytest.mark.parametrize("pool_first", [True, False])
    def test_poolings_are_a_chain(self, pool_first):
        """Each link reads the one before; a parallel form would read the first map again."""
        torch.manual_seed(0)
        module = ChainedResidualPooling(3, 3, pool_first, 3, "none").double()
        x = torch.randn(1, 3, 12, 12, dtype=torch.float64)
        total = link = x.relu()
        for convolve in module.links:
            steps = [lambda y: F.max_pool2d(y, 5, 1, 2), convolve]
            for step in steps if pool_first else steps[::-1]:
                link = step(link)
            total = total + link
        torch.testing.assert_close(module(x), total)
        parallel = x.relu()
        for convolve in module.links:
            pooled = F.max_pool2d(x.relu(), 5, 1, 2)
            parallel = parallel + (convolve(pooled) if pool_first else pooled)
        assert not torch.allclose(module(x), parallel)

    def test_residual_unit_adds_its_input(self):
        unit = ResidualConvUnit(4, "none")
        nn.init.zeros_(unit.second.weight)
        x = torch.randn(1, 4, 5, 5)
        assert torch.equal(unit(x), x)

    @pytest.mark.parametrize(
        "arguments",
        [{}, {"blocks": "single"}, {"blocks": "2-cascaded", "two_scales": True},
         {"light": True, "norm": "group"}],
        ids=str,
    )  # fmt: skip
    @pytest.mark.parametrize("size", [(1, 1), (33, 50)])
    def test_any_size_gives_as_many_pixels(self, arguments, size):
        network = RefineNet(scale=SCALE, **arguments).train()
        assert network(torch.randn(2, 3, *size)).shape == (2, 21, *size)

    def test_statistics_of_a_trained_trunk_stay_and_groups_need_none(self):
        frozen = RefineNet(scale=SCALE).train()
        before = {key: value.clone() for key, value in frozen.named_buffers()}
        frozen(torch.randn(2, 3, 32, 32))
        assert before
        assert all(torch.equal(value, before[key]) for key, value in frozen.named_buffers())
        assert not dict(RefineNet(scale=SCALE, norm="group").named_buffers())

    def test_trunk_has_the_layers_of_the_published_weights(self):
        body = on_meta(RefineNet).trunks[0].body
        assert count(body) + 2048 * 1000 + 1000 == 25_557_032  # with the classifier of ImageNet

    @pytest.mark.parametrize(
        "arguments", [{"depth": 34}, {"blocks": "3-cascaded"}, {"norm": "batch"}]
    )
    def test_impossible_arguments(self, arguments):
        with pytest.raises(ModelError, match="RefineNet"):
            build_network("RefineNet", **arguments)
