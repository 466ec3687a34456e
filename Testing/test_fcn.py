"""FCN on its trunks: what the paper prints, where maps lie; such networks on brains."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from training_fixtures import write_small_case
from zoo_fixtures import SCALE, count, on_meta

from scripted_models.cli import main
from scripted_models.errors import ModelError
from scripted_models.networks import build_network
from scripted_models.networks.fcn import FCN, BilinearUpsampling
from scripted_models.networks.placement import Placed, moved, receptive_field


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
            ({"trunk": "GoogLeNetBN"}, 5_592_624, 5_614_149, 379),
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
        [
            {},
            {"stride": 16},
            {"stride": 8},
            {"trunk": "AlexNet"},
            {"trunk": "GoogLeNet"},
            {"trunk": "GoogLeNet", "average_pool": True},
            {"trunk": "GoogLeNetBN"},
        ],
        ids=str,
    )
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

    @pytest.mark.parametrize("trunk", ["VGG16", "AlexNet2014", "GoogLeNetBN"])
    def test_maps_keep_their_scale_through_a_new_trunk(self, trunk):
        torch.manual_seed(0)
        network, maps = FCN(trunk=trunk, scale=1 / 8).eval(), torch.randn(1, 3, 96, 96)
        with torch.no_grad():
            for stage in network.trunk.stages:
                maps = stage(maps)
        assert 0.3 < maps.square().mean().sqrt() < 10

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
    def test_offsets_are_the_centers_of_what_pixels_see(self, seed):
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


EXPERIMENT = """
name = "small"
[network]
name = "{network}"
arguments = {{ in_channels = 4, num_classes = 5, scale = 0.015625 }}
[data]
validation_every = 2
validation_slices = 1
[training]
phases = {phases}
threads = 1
balance = "none"
pixels_per_patch = 0
dice = 1.0
output_size = 16
batch_size = 1
[training.phase1]
epochs = 1
steps_per_epoch = 2
"""


class TestOnBrains:
    @pytest.fixture
    def data(self, tmp_path):
        for seed, name in ((1, "Brats18_A_1_1"), (2, "Brats18_B_1_1")):
            write_small_case(tmp_path / "data", name, seed)
        return tmp_path / "data"

    def train(self, data, output, network, phases=1):
        (data.parent / "small.toml").write_text(EXPERIMENT.format(network=network, phases=phases))
        start = ["train", str(data.parent / "small.toml"), "--data", str(data)]
        return main([*start, "--output", str(output), "--progress", "none"])

    @pytest.mark.parametrize("network", ["FCN8s", "RefineNet"])
    def test_they_train_on_brains_and_segment_them(self, network, data, tmp_path):
        assert self.train(data, tmp_path / "run", network) == 0
        options = ["--model", str(tmp_path / "run" / "model"), "--progress", "none"]
        assert main(["segment", str(data), "--output", str(tmp_path / "out"), *options]) == 0
        report = json.loads((tmp_path / "out" / "Brats18_A_1_1" / "report.json").read_text())
        assert report["form"] == "direct"

    def test_a_second_phase_needs_an_output_layer(self, data, tmp_path, capsys):
        assert self.train(data, tmp_path / "run", "FCN8s", phases=2) == 2
        assert "expected training.phases = 1" in capsys.readouterr().err
