"""MONAI's SegResNet as a network of slices."""

import pytest
import torch

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
    multiple, reach = 2 ** len(up), network.receptive_field // 2
    edge = 2 * reach + 4 * multiple
    edge += -edge % multiple
    image = torch.rand(1, 4, edge, edge, dtype=torch.float64, requires_grad=True)
    output = network(image).sum(dim=1)
    first, furthest = edge // 2 // multiple * multiple, 0
    for place in range(first, first + multiple):
        (gradient,) = torch.autograd.grad(output[0, place, first], image, retain_graph=True)
        rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        furthest = max(furthest, place - int(rows.min()), int(rows.max()) - place)
    assert furthest == reach


@pytest.mark.parametrize("size", [(1, 1), (5, 16), (17, 3), (32, 40)])
def test_any_size_gives_as_many_pixels(size):
    torch.manual_seed(0)
    network = build_network("SegResNet", **SMALL).eval()
    image = torch.randn(2, 12, *size)
    grown = torch.nn.functional.pad(image, (0, -size[1] % 4, 0, -size[0] % 4))
    with torch.no_grad():
        result = network(image)
        assert result.shape == (2, 5, *size)
        torch.testing.assert_close(network(grown)[..., : size[0], : size[1]], result)


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
