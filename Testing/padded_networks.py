"""What holds for networks of padded convolutions with as many pixels out as in."""

import torch
from torch.nn import functional as F


def furthest_pixel(network, multiple):
    """Return how far from an output pixel the furthest input pixel lies that changes it.

    Args:
        network: float64, of input channels 4.
        multiple: edge of a pixel of the lowest level; places are tried over one of these.
    """
    edge = 2 * (network.receptive_field // 2) + 4 * multiple
    edge += -edge % multiple
    image = torch.rand(1, 4, edge, edge, dtype=torch.float64, requires_grad=True)
    output = network(image).sum(dim=1)
    first, furthest = edge // 2 // multiple * multiple, 0
    for place in range(first, first + multiple):
        (gradient,) = torch.autograd.grad(output[0, place, first], image, retain_graph=True)
        rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        furthest = max(furthest, place - int(rows.min()), int(rows.max()) - place)
    return furthest


def check_size(network, size, multiple):
    """Check that an image gives as many pixels, the same as when it is padded with zeros."""
    image = torch.randn(2, 12, *size)
    grown = F.pad(image, (0, -size[1] % multiple, 0, -size[0] % multiple))
    with torch.no_grad():
        result = network(image)
        assert result.shape == (2, 5, *size)
        torch.testing.assert_close(network(grown)[..., : size[0], : size[1]], result)
