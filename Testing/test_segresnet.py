"""MONAI's SegResNet as a network of slices."""

import pytest
import torch
from padded_networks import check_size, furthest_pixel

from scripted_models.errors import ModelError
from scripted_models.networks import build_network

SMALL = {"filters": 8, "blocks_down": (1, 1, 2), "blocks_up": (1, 1)}


@pytest.mark.parametrize(
    ("down", "up"), [((1,), ()), ((1, 1), (2,)), ((2, 1, 1), (1, 2)), ((1, 2, 2, 4), (1, 1, 1))]
)
def test_a_pixel_depends_on_what_the_receptive_field_says(down, up):
    network = build_network(
        "SegResNet", filters=1, blocks_down=down, blocks_up=up, context_slices=0
    )
    network = network.double().eval()
    with torch.no_grad():  # nothing cancels and no map is dead
        for parameter in network.parameters():
            parameter.abs_().add_(0.01)
    assert furthest_pixel(network, 2 ** len(up)) == network.receptive_field // 2
    assert network.receptive_field == derived_field(down, up)


def derived_field(down, up):
    """Derive by hand what the network measures."""
    reach = 1 + sum(2 * count * 2**level for level, count in enumerate(down))
    reach += sum(2**level for level in range(len(up)))  # convolutions of stride 2
    for level, count in zip(reversed(range(len(up))), up, strict=True):
        reach += 2 * count * 2**level + 2 ** (level + 1)  # and the interpolation
    return 1 + 2 * reach


@pytest.mark.parametrize("size", [(1, 1), (5, 16), (17, 3), (32, 40)])
def test_any_size_gives_as_many_pixels(size):
    torch.manual_seed(0)
    network = build_network("SegResNet", **SMALL).eval()
    check_size(network, size, 4)


def test_every_weight_takes_part():
    network = build_network("SegResNet", **SMALL)
    network(torch.randn(2, 12, 16, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


@pytest.mark.parametrize(
    "arguments",
    [{"blocks_down": (1, 1)}, {"blocks_up": ()}, {"planes": []}, {"planes": ["oblique"]}],
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ModelError, match="SegResNet"):
        build_network("SegResNet", **arguments)
