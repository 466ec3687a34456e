"""MONAI's own networks in the registry, and their receptive field, which is measured."""

import subprocess
import sys

import pytest
import torch
from model_fixtures import described
from network_fixtures import THIN
from torch import nn
from torch.nn import functional as F

from scripted_models.bundle.weights import load_model, write_model
from scripted_models.errors import ModelError
from scripted_models.networks import NETWORKS, build_network, build_slice_network, padded
from scripted_models.networks.footprint import measure
from scripted_models.networks.monai_networks import ADOPTED

TWO = (2, 2, 2)
DYNAMIC = {"norm_name": "BATCH", "filters": TWO}
ISOTROPIC = {"kernel_size": (3, 5, 3), "strides": (1, 2, 2), "upsample_kernel_size": (2, 2)}
BLOCKS = {"blocks_down": (1, 2, 1), "blocks_up": (1, 2)}
LARGE = {"kernel_size": 5, "up_kernel_size": 5}
CASES = {  # name in MONAI, and what tells cases apart -> arguments
    "SegResNet": {**BLOCKS, "init_filters": 2, "norm": "BATCH"},
    "UNet": {"channels": TWO, "strides": (2, 3), "num_res_units": 2, "norm": "BATCH"},
    "UNet, large kernels": {"channels": TWO, "strides": (2, 2), **LARGE},
    "BasicUNet": {"features": (2,) * 6, "norm": "BATCH"},
    "BasicUNet, interpolated": {"features": (2,) * 6, "upsample": "nontrainable"},
    "DynUNet": {**DYNAMIC, **ISOTROPIC},
    "DynUNet, residual": {**DYNAMIC, **ISOTROPIC, "res_block": True},
    "AttentionUnet": {"channels": TWO, "strides": (2, 2)},
}

MEASURED = [(case, 2) for case in CASES]
MEASURED += [(case, 3) for case in CASES if "Basic" not in case]  # with five levels too slow


def of_monai(name, dimensions, arguments):
    from monai.networks import nets

    return getattr(nets, name)(spatial_dims=dimensions, in_channels=1, out_channels=1, **arguments)


def furthest_by_gradients(network, footprint, axis):
    """Return the reach along an axis on a real image, as long as need be and else small."""
    multiple = footprint.multiples[axis]
    shape = list(footprint.multiples)
    shape[axis] = (footprint.receptive_field // multiple + 6) * multiple
    image = torch.rand(1, 1, *shape, dtype=torch.float64, requires_grad=True)
    lines = network(image)[0, 0].movedim(axis, 0).flatten(1).sum(dim=1)
    first, furthest = shape[axis] // 2 // multiple * multiple, 0
    for place in range(first, first + multiple):
        (gradient,) = torch.autograd.grad(lines[place], image, retain_graph=True)
        rows = gradient[0, 0].movedim(axis, 0).flatten(1).abs().sum(dim=1).nonzero().flatten()
        furthest = max(furthest, place - int(rows.min()), int(rows.max()) - place)
    return furthest


def nothing_cancels(network):
    """Make all weights positive, and let nothing depend on a maximum or on the whole image."""
    for parent in list(network.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, (nn.MaxPool2d, nn.MaxPool3d)):
                average = nn.AvgPool2d if isinstance(layer, nn.MaxPool2d) else nn.AvgPool3d
                setattr(parent, name, average(layer.kernel_size))
            elif isinstance(layer, (nn.InstanceNorm2d, nn.InstanceNorm3d)):
                setattr(parent, name, nn.Identity())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().mul_(0.2).add_(0.01)
    return network.double().eval()


class TestFootprint:
    @pytest.mark.parametrize(("case", "dimensions"), MEASURED)
    def test_the_measured_field_is_that_of_the_gradients(self, case, dimensions):
        network = of_monai(case.partition(",")[0], dimensions, CASES[case])
        footprint = measure(network, dimensions)
        real = nothing_cancels(network)
        for axis in (0, dimensions - 1):
            furthest = furthest_by_gradients(real, footprint, axis)
            assert footprint.receptive_field == 1 + 2 * furthest

    def test_axes_may_differ(self):
        arguments = {
            "kernel_size": ((3, 1, 1), 3, (5, 3, 3)),
            "strides": (1, (2, 1, 2), 2),
            "upsample_kernel_size": ((2, 1, 2), 2),
        }
        network = of_monai("DynUNet", 3, {**DYNAMIC, **arguments})
        footprint = measure(network, 3)
        assert footprint.multiples == (4, 2, 4)
        real = nothing_cancels(network)
        reaches = [furthest_by_gradients(real, footprint, axis) for axis in range(3)]
        assert footprint.receptive_field == 1 + 2 * max(reaches)
        assert len(set(reaches)) > 1

    @pytest.mark.parametrize(
        ("layers", "field"),
        [
            ([nn.Conv2d(1, 1, 3, padding="same", dilation=4)], 9),
            ([nn.Conv2d(1, 2, 5, padding=2), nn.ReLU(), nn.Conv2d(2, 1, 1)], 5),
            ([nn.MaxPool2d(3, 1, 1), nn.BatchNorm2d(1)], 3),
            ([nn.Conv2d(1, 1, 1)], 1),
        ],
        ids=str,
    )
    def test_known_fields(self, layers, field):
        footprint = measure(nn.Sequential(*layers), 2)
        assert (footprint.multiples, footprint.receptive_field) == ((1, 1), field)

    @pytest.mark.parametrize(
        ("layer", "reason"),
        [
            (nn.Conv2d(1, 1, 3), "size of the image"),
            (nn.Linear(4, 4), "a Linear cannot be measured"),
            (nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)), "rounds up"),
            (nn.Sequential(nn.Conv2d(1, 1, 7, 7), nn.Upsample((11520, 11520))), "whole parts"),
        ],
        ids=str,
    )
    def test_what_cannot_be_measured_is_refused(self, layer, reason):
        with pytest.raises(ValueError, match=reason):
            measure(nn.Sequential(layer), 2)

    def test_a_network_stays_as_it_is(self):
        network = of_monai("UNet", 2, CASES["UNet"])
        layers, weights = str(network), {k: v.clone() for k, v in network.state_dict().items()}
        measure(network, 2)
        assert str(network) == layers
        assert all(torch.equal(v, weights[k]) for k, v in network.state_dict().items())


class TestAdapter:
    def test_all_are_there_in_two_and_in_three_dimensions(self):
        for name, adopted in ADOPTED.items():
            for dimensions, ending in ((2, ""), (3, "3D")):
                assert (f"{name}{ending}" in NETWORKS) == (dimensions in adopted.dimensions)
                if dimensions in adopted.dimensions:
                    assert NETWORKS[f"{name}{ending}"].describe()["dimensions"] == dimensions

    @pytest.mark.parametrize("size", [(1, 1), (5, 16), (17, 3)])
    def test_an_image_is_padded_with_zeros(self, size):
        torch.manual_seed(0)
        network = build_network("DynUNet", filters=(4,) * 5, context_slices=0).eval()
        image = torch.randn(1, 4, *size)
        grown = F.pad(image, (0, -size[1] % 16, 0, -size[0] % 16))
        with torch.no_grad():
            result = network(image)
            assert result.shape == (1, 5, *size)
            expected = network(grown)[..., : size[0], : size[1]]
        torch.testing.assert_close(result, expected)

    def test_a_volume_network_learns(self):
        torch.manual_seed(0)
        network = build_network("DynUNet3D", filters=(4,) * 5, in_channels=1, num_classes=2)
        image = torch.randn(2, 1, 16, 19, 16)
        target = (image[:, 0] > 0).long()
        optimizer = torch.optim.Adam(network.parameters(), 0.01)
        losses = []
        for _ in range(8):
            optimizer.zero_grad()
            loss = F.cross_entropy(network(image), target)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.8 * losses[0]

    def test_volume_networks_are_refused_where_slices_are_needed(self):
        with pytest.raises(ModelError) as refusal:
            build_slice_network("DynUNet3D")
        assert str(refusal.value) == (
            "Found the 3-D network 'DynUNet3D', expected a 2-D one, because here slices are "
            "joined or shown; take 'DynUNet' or another network of slices."
        )
        for joined in ("VotedEnsemble", "CRFRNN"):
            with pytest.raises(ModelError, match="3-D network"):
                build_network(joined, network="BasicUNet3D")
        for other in ("UNet", "AveragedEnsemble3D"):
            with pytest.raises(ModelError, match="expected a single 3-D network"):
                build_network("AveragedEnsemble3D", network=other, members=2)

    @pytest.mark.parametrize("name", THIN)
    def test_a_model_of_slices_is_written_and_read(self, name, tmp_path):
        torch.manual_seed(0)
        network = build_slice_network(name, planes=["axial"], **THIN[name]).eval()
        arguments = {"planes": ["axial"], **THIN[name]}
        write_model(
            tmp_path / "m", network, described(network={"name": name, "arguments": arguments})
        )
        loaded = load_model(str(tmp_path / "m")).network
        image = torch.randn(1, 12, 33, 40)
        with torch.no_grad():
            assert torch.equal(loaded(image), network(image))

    @pytest.mark.parametrize(
        ("name", "arguments", "reason"),
        [
            ("DynUNet", {"deep_supervision": True}, "deep_supervision"),
            ("DynUNet", {"kernel_size": (3, 3)}, "no less than 3"),
            ("DynUNet", {"upsample_kernel_size": (3, 2, 2, 2)}, "along one axis"),
            ("BasicUNet", {"upsample": "pixelshuffle"}, "along one axis"),
            ("BasicUNet", {"norm": "unknown"}, "unknown"),
            ("MonaiUNet", {"planes": ["oblique"]}, "planes"),
            ("MonaiUNet3D", {"planes": ["axial"]}, "planes"),
            ("MonaiUNet3D", {"spatial_dims": 2}, "spatial_dims"),
            ("AttentionUnet", {"widths": (1, 2)}, "widths"),
        ],
    )
    def test_impossible_arguments_are_refused(self, name, arguments, reason):
        with pytest.raises(ModelError, match=reason):
            build_network(name, **arguments)

    def test_each_configuration_is_measured_once(self, monkeypatch):
        build_network("BasicUNet", features=(3,) * 6)
        monkeypatch.setattr(padded, "measure", None)
        assert build_network("BasicUNet", features=(3,) * 6, in_channels=2).receptive_field == 215
        with pytest.raises(ModelError):
            build_network("BasicUNet", features=(3, 3, 3, 3, 3, 5))

    def test_monai_is_imported_when_such_a_network_is_built(self):
        program = (
            "import sys; from scripted_models.networks import build_network as build; "
            "build('UNet'); assert 'monai' not in sys.modules; "
            "build('BasicUNet'); assert 'monai' in sys.modules"
        )
        subprocess.run([sys.executable, "-c", program], check=True)
