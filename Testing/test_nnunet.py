"""nnU-Net's networks: names, counts and outputs of the published package, layer by layer."""

import pytest
import torch
from torch import nn

from scripted_models.errors import ModelError
from scripted_models.networks import build_network
from scripted_models.networks.footprint import measure
from scripted_models.networks.nnunet import NnUNet, Shape, footprint

unet = pytest.importorskip(
    "dynamic_network_architectures.architectures.unet",
    reason="pip install --no-deps dynamic-network-architectures (it would bring torchvision)",
)

SMALL = ([4, 6, 8], [3, 3, 3], [1, 2, 2])
ANISOTROPIC = (
    [4, 6, 8, 8],
    [[1, 3, 3], [1, 3, 3], [3, 3, 3], [3, 3, 3]],
    [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]],
)
UNEVEN = ([4, 4, 6], [[3, 5], [3, 3], [1, 3]], [[1, 1], [2, 1], [2, 2]])
CASES = {  # dimensions, (features, kernels, strides), counts down and up, bias, size of an image
    "2-D": (2, SMALL, [2, 2, 2], [2, 2], True, (16, 24)),
    "2-D, uneven": (2, UNEVEN, [1, 2, 3], [1, 2], True, (16, 12)),
    "3-D": (3, SMALL, [2, 2, 2], [2, 2], True, (8, 12, 8)),
    "3-D without biases": (3, SMALL, [1, 3, 2], [1, 1], False, (8, 8, 8)),
    "3-D, anisotropic": (3, ANISOTROPIC, [2, 1, 2, 1], [1, 2, 1], True, (4, 16, 16)),
}


def published(case, residual, deep, channels=4, classes=3):
    """Return the network of the package."""
    dimensions, (features, kernels, strides), down, up, bias, _ = CASES[case]
    count = {"n_blocks_per_stage" if residual else "n_conv_per_stage": down}
    return (unet.ResidualEncoderUNet if residual else unet.PlainConvUNet)(
        input_channels=channels,
        n_stages=len(features),
        features_per_stage=features,
        conv_op={2: nn.Conv2d, 3: nn.Conv3d}[dimensions],
        kernel_sizes=kernels,
        strides=strides,
        **count,
        num_classes=classes,
        n_conv_per_stage_decoder=up,
        conv_bias=bias,
        norm_op={2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dimensions],
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=deep,
    )


def ours(case, residual, deep=False, channels=4, classes=3):
    dimensions, shape, down, up, bias, _ = CASES[case]
    return NnUNet(dimensions, channels, classes, Shape(*shape, down, up, residual, bias), deep)


def randomized(network, seed=0):
    """Give all weights values, also those of layers that begin as nothing."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            nn.init.normal_(parameter, 0.1, 0.3)
    return network


@pytest.mark.parametrize("deep", [False, True], ids=["last output", "deep supervision"])
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("case", CASES)
def test_parameters_and_outputs_are_those_of_the_package(case, residual, deep):
    theirs, network = randomized(published(case, residual, deep)), ours(case, residual, deep)
    expected = [(key, tuple(value.shape)) for key, value in theirs.state_dict().items()]
    assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == expected
    counts = [sum(p.numel() for p in each.parameters()) for each in (theirs, network)]
    assert counts[0] == counts[1]
    network.load_state_dict(theirs.state_dict(), strict=True)
    image = torch.randn(2, 4, *CASES[case][-1])
    with torch.no_grad():
        found, wanted = network.eval()(image), theirs.eval()(image)
    found, wanted = (part if deep else [part] for part in (found, wanted))
    assert len(found) == len(wanted)
    for ours_, theirs_ in zip(found, wanted, strict=True):
        assert torch.equal(ours_, theirs_)


@pytest.mark.parametrize("residual", [False, True])
def test_weights_begin_as_the_package_begins(residual):
    torch.manual_seed(1)
    theirs = published("3-D", residual, False)
    theirs.apply(theirs.initialize)
    torch.manual_seed(1)
    network = ours("3-D", residual)
    for (key, value), other in zip(
        theirs.state_dict().items(), network.state_dict().values(), strict=True
    ):
        assert value.std().item() == pytest.approx(other.std().item(), rel=0.3, abs=1e-6), key
        assert bool(value.any()) == bool(other.any()), key


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
@pytest.mark.parametrize("case", CASES)
def test_the_counted_field_is_the_measured_one(case, residual):
    dimensions, shape, down, up, _, _ = CASES[case]
    counted = footprint(dimensions, Shape(*shape, down, up, residual))
    assert counted == measure(ours(case, residual), dimensions)


@pytest.mark.parametrize("name", ["PlainConvUNet", "ResidualEncoderUNet"])
def test_registered_ones_take_the_arguments_of_plans(name):
    counts = {"PlainConvUNet": "n_conv_per_stage", "ResidualEncoderUNet": "n_blocks_per_stage"}
    features, kernels, strides = ANISOTROPIC
    plans = {
        "features_per_stage": features,
        "kernel_sizes": kernels,
        "strides": strides,
        counts[name]: [1, 1, 1, 1],
        "n_conv_per_stage_decoder": [1, 1, 1],
    }
    network = build_network(f"{name}3D", **plans, num_classes=3).eval()
    assert network.multiples == (2, 8, 8)
    with torch.no_grad():
        assert network(torch.zeros(1, 4, 3, 9, 17)).shape == (1, 3, 3, 9, 17)
    with pytest.raises(ModelError, match="expected 2 numbers"):
        build_network(name, **plans)
    with pytest.raises(ModelError, match=name):
        build_network(f"{name}3D", **{**plans, "strides": strides[:2]})
    with pytest.raises(ModelError, match="odd kernels"):
        build_network(f"{name}3D", **{**plans, "kernel_sizes": [2, 2, 2, 2]})
    with pytest.raises(ModelError, match="planes"):
        build_network(f"{name}3D", **plans, planes=["axial", "coronal"])
