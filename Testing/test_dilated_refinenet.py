"""The dilated networks and RefineNet: what their papers print, and what they are built of."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from zoo_fixtures import SCALE, count, on_meta

from scripted_models.errors import ModelError
from scripted_models.networks import build_network
from scripted_models.networks.dilated import ContextModule, DilatedVGG, reflected
from scripted_models.networks.placement import moved, receptive_field
from scripted_models.networks.refinenet import ChainedResidualPooling, RefineNet, ResidualConvUnit
from scripted_models.networks.trunks import layers_of


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
    def test_identity_initialization(self, kind, padding):
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

    def test_the_module_gets_raw_scores_as_in_the_paper(self):
        """At its start it is relu(input): scores that are all negative leave a tie."""
        raw = DilatedVGG(context="basic", scale=SCALE).eval()
        shifted = DilatedVGG(context="basic", positive_scores=True, scale=SCALE).eval()
        shifted.load_state_dict(raw.state_dict())
        with torch.no_grad():
            for network in (raw, shifted):
                network.score.weight.zero_()
                network.score.bias.copy_(torch.linspace(-3, -1, 21))
            x = torch.randn(1, 3, 16, 16)
            assert not raw(x).any()
            inside = shifted(x)[0, :, 8, 8]
        torch.testing.assert_close(inside, torch.linspace(0, 2, 21))

    def test_a_fixed_front_end_trains_its_context_alone(self):
        network = DilatedVGG(context="large", fixed=True, scale=SCALE)
        trained = [name for name, weight in network.named_parameters() if weight.requires_grad]
        assert trained
        assert all(name.startswith("context.") for name in trained)
        with pytest.raises(ModelError, match="nothing to train"):
            build_network("DilatedFrontEnd", fixed=True)

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
        [
            {},
            {"blocks": "single"},
            {"blocks": "2-cascaded", "two_scales": True},
            {"light": True, "norm": "group"},
        ],
        ids=str,
    )
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

    def test_aligned_corners_keep_the_scores_of_the_corners(self):
        network = RefineNet(scale=SCALE, align_corners=True).eval()
        with torch.no_grad():
            x = torch.randn(1, 3, 40, 52)
            scores, found = network.score(network.refined(x)), network(x)
        corners = (slice(None), slice(None), [0, 0, -1, -1], [0, -1, 0, -1])
        torch.testing.assert_close(found[corners], scores[corners])
        assert all(block.align_corners for block in network.blocks)
        centered = RefineNet(scale=SCALE).eval()
        centered.load_state_dict(network.state_dict())
        with torch.no_grad():
            assert not torch.allclose(centered.refined(x), network.refined(x))

    @pytest.mark.parametrize(
        "arguments", [{"depth": 34}, {"blocks": "3-cascaded"}, {"norm": "batch"}]
    )
    def test_impossible_arguments(self, arguments):
        with pytest.raises(ModelError, match="RefineNet"):
            build_network("RefineNet", **arguments)
