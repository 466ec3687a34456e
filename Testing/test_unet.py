"""The U-Net: what it sees, its planes and neighbours, and a volume that is computed in three planes."""

import numpy as np
import pytest
import torch

from scripted_models.errors import ModelError
from scripted_models.inference import choose_form, predict_slice, predict_volume, slab
from scripted_models.networks import build_network
from scripted_models.networks.slice_network import PLANES

SMALL = {"widths": (3, 4, 5)}


def make(seed=0, **arguments):
    """A small U-Net whose batch normalisation has seen data."""
    torch.manual_seed(seed)
    network = build_network("UNet", **{**SMALL, **arguments})
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(2, network.input_channels, 24, 20))
    return network.eval()


def make_volume(shape=(9, 14, 11), seed=0):
    rng = np.random.default_rng(seed)
    brain = np.zeros(shape, bool)
    brain[1:-1, 2:-1, 1:-2] = True
    image = np.where(brain, rng.standard_normal((4, *shape)), 0).astype(np.float32)
    return image, brain


@pytest.mark.parametrize("widths", [(3,), (2, 3), (2, 3, 4), (1, 2, 2, 3, 3)])
def test_a_pixel_depends_on_what_the_receptive_field_says(widths):
    network = make(widths=widths, context_slices=0).double()
    multiple, reach = 2 ** (len(widths) - 1), network.receptive_field // 2
    edge = 2 * reach + 2 * multiple
    edge += -edge % multiple
    image = torch.randn(1, 4, edge, edge, dtype=torch.float64, requires_grad=True)
    output = network(image).sum(dim=1)
    first, furthest = edge // 2 // multiple * multiple, 0
    for place in range(first, first + multiple):
        (gradient,) = torch.autograd.grad(output[0, place, first], image, retain_graph=True)
        rows = gradient.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
        furthest = max(furthest, place - int(rows.min()), int(rows.max()) - place)
    assert furthest == reach


@pytest.mark.parametrize("size", [(1, 1), (5, 16), (17, 3), (32, 40)])
def test_any_size_gives_as_many_pixels(size):
    network = make()
    image = torch.randn(2, 12, *size)
    grown = torch.nn.functional.pad(image, (0, -size[1] % 4, 0, -size[0] % 4))
    with torch.no_grad():
        result = network(image)
        assert result.shape == (2, 5, *size)
        torch.testing.assert_close(network(grown)[..., : size[0], : size[1]], result)


@pytest.mark.parametrize("arguments", [{"widths": []}, {"planes": []}, {"planes": ["oblique"]}])
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ModelError, match="UNet"):
        build_network("UNet", **arguments)


@pytest.mark.parametrize("context", [0, 1, 2])
def test_a_slab_has_the_neighbours_of_each_channel_in_their_order(context):
    image = np.arange(2 * 4 * 3 * 2, dtype=np.float32).reshape(2, 4, 3, 2) + 1
    padded = np.pad(image, ((0, 0), (context, context), (0, 0), (0, 0)))
    for z in range(4):
        expected = [padded[c, z + k] for c in range(2) for k in range(2 * context + 1)]
        np.testing.assert_array_equal(slab(image, z, context), np.stack(expected))


@pytest.mark.parametrize("context", [0, 1])
@pytest.mark.parametrize("planes", [("axial",), ("sagittal",), ("coronal", "axial"), PLANES])
def test_a_volume_is_the_mean_over_planes_of_whole_slices(planes, context):
    network = make(context_slices=context, planes=planes)
    image, brain = make_volume()
    shares = []
    found = predict_volume(network, image, brain, shares.append)
    expected = []
    for axis in (PLANES.index(plane) for plane in planes):
        moved, mask = np.moveaxis(image, axis + 1, 1), np.moveaxis(brain, axis, 0)
        one = np.zeros((5, *mask.shape), np.float32)
        one[0] = 1
        with torch.no_grad():
            for z in np.flatnonzero(mask.any(axis=(1, 2))):
                window = torch.from_numpy(slab(moved, z, context).copy())[None]
                one[:, z] = network(window)[0].softmax(dim=0)
        expected.append(np.moveaxis(one, 1, axis + 1))
    np.testing.assert_allclose(found, np.mean(expected, axis=0), atol=1e-6)
    assert len(shares) == sum(
        brain.any(axis=tuple({0, 1, 2} - {PLANES.index(p)})).sum() for p in planes
    )
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_a_single_slice_is_that_of_the_axial_plane():
    network = make(planes=("axial",))
    image, brain = make_volume()
    rows, columns, values = predict_slice(network, image, brain, 3)
    whole = predict_volume(network, image, brain)
    np.testing.assert_allclose(values, whole[:, 3, rows, columns], atol=1e-6)
    assert choose_form(network) == "direct"


def test_the_result_does_not_depend_on_where_other_brain_is():
    """Whole slices are computed, so a slice is the same whatever the boxes of others are."""
    network = make(planes=("axial",), context_slices=0)
    image, brain = make_volume()
    alone = brain.copy()
    alone[:4] = alone[5:] = False
    alone[4, :5] = False
    one, all_of_them = (predict_volume(network, image, mask) for mask in (alone, brain))
    np.testing.assert_allclose(one[:, 4], all_of_them[:, 4], atol=1e-6)
