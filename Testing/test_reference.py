"""Dense prediction and training on dense patches equal the literal forms, for valid networks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from scripted_models.inference import padded_window, predict_slice
from scripted_models.inference.reference import (
    predict_slice_patchwise,
    predict_voxels,
    with_plain_layers,
)
from scripted_models.networks import NETWORKS, build_network
from scripted_models.networks.layers import DensePool, LargeConv2d
from scripted_models.training.losses import pixel_cross_entropy
from scripted_models.training.precision import MixedPrecision
from scripted_models.training.trainer import PixelLogits
from scripted_models.training.training_case import MERGED_CORE

FEWER = {"VotedEnsemble": {"members": 2}}  # arguments that make a test quicker
VALID = [name for name, entry in NETWORKS.items() if entry.source.startswith("Havaei")]
TRAINED = [name for name in VALID if NETWORKS[name].trains]
SEED_OF = {name: seed for seed, name in enumerate(sorted(VALID))}


def build(name, dtype=torch.float64):
    torch.manual_seed(SEED_OF[name])
    network = build_network(name, initialization="he", **FEWER.get(name, {}))
    return network.to(dtype).eval()


def random_plane(rng, height, width, dtype=np.float64):
    return rng.standard_normal((4, height, width)).astype(dtype)


def dense_probabilities(network, plane):
    """Probabilities of all voxels of a slice in the precision of the network."""
    height, width = plane.shape[1:]
    window = padded_window(plane, slice(0, height), slice(0, width), network.margins)
    with torch.no_grad():
        return network(torch.from_numpy(window)[None]).softmax(dim=1)[0].numpy()


class TestPrediction:
    @pytest.mark.parametrize("name", sorted(VALID))
    def test_dense_equals_patch_wise_in_double_precision(self, name):
        network, rng = build(name), np.random.default_rng(SEED_OF[name])
        height, width = rng.integers(3, 16, 2)
        plane = random_plane(rng, height, width)
        voxels = np.array([[0, width - 1], rng.integers((height, width))])
        dense = dense_probabilities(network, plane)[:, voxels[:, 0], voxels[:, 1]].T
        patchwise = predict_voxels(network, plane, voxels)
        np.testing.assert_allclose(patchwise, dense, rtol=0, atol=1e-10)
        assert not np.allclose(patchwise[0], patchwise[1], atol=1e-5)  # or any order would do

    @pytest.mark.parametrize("name", sorted(VALID))
    def test_whole_slices_agree_with_the_network_as_anybody_would_write_it(self, name):
        network, rng = build(name, torch.float32), np.random.default_rng(SEED_OF[name])
        plane = random_plane(rng, *rng.integers(4, 40, 2), dtype=np.float32)
        image = np.stack([plane, plane[:, ::-1]], axis=1)
        brain = np.zeros(image.shape[1:], bool)
        brain[0, 1, 2] = brain[0, 3, 3] = brain[1, 0, 0] = True
        rows, columns, dense = predict_slice(network, image, brain, 0)
        plain = with_plain_layers(network)
        assert not any(isinstance(m, LargeConv2d | DensePool) for m in plain.modules())
        *box, patchwise = predict_slice_patchwise(plain, image, brain, 0)
        assert box == [rows, columns]
        assert patchwise.dtype == dense.dtype
        np.testing.assert_allclose(patchwise, dense, rtol=0, atol=1e-6)

    @settings(max_examples=25, deadline=None)
    @given(
        size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
        margins=st.tuples(st.integers(0, 4), st.integers(0, 4)),
        batch_size=st.integers(1, 90),
    )
    def test_all_voxels_of_any_slice_with_any_margins(self, size, margins, batch_size):
        network = nn.Conv2d(4, 3, sum(margins) + 1).double()
        network.margins, network.num_classes = margins, 3
        plane = random_plane(np.random.default_rng(0), *size)
        everywhere = np.argwhere(np.ones(size, bool))
        patchwise = predict_voxels(network, plane, everywhere, batch_size)
        dense = dense_probabilities(network, plane).reshape(3, -1).T
        np.testing.assert_allclose(patchwise, dense, rtol=0, atol=1e-12)

    def test_no_voxel_gives_no_row(self):
        network = build("LocalPathCNN")
        found = predict_voxels(network, np.zeros((4, 5, 5)), np.argwhere(np.zeros((5, 5), bool)))
        assert found.shape == (0, 5)


def dense_and_literal(network, dense, pixels, output=4):
    """Random dense patches, pixels of them and targets; and the patches cut around these pixels."""
    generator = torch.Generator().manual_seed(7)
    field, dtype = network.receptive_field, network.output.weight.dtype
    edge = field + output - 1
    images = torch.randn(dense, 4, edge, edge, generator=generator, dtype=dtype)
    chosen = torch.randint(output**2, (dense, pixels), generator=generator)
    targets = torch.randint(6, (dense * pixels,), generator=generator)
    targets[targets == 5] = MERGED_CORE
    patches = [
        image[:, y : y + field, x : x + field]
        for image, flat in zip(images, chosen.tolist(), strict=True)
        for y, x in (divmod(pixel, output) for pixel in flat)
    ]
    return images, chosen, targets, torch.stack(patches)


def gradients(module, logits, targets):
    """Gradients of the mean loss for the parameters of a module that train, by name."""
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    loss = pixel_cross_entropy(logits, targets)
    found = torch.autograd.grad(loss, list(trained.values()), retain_graph=True)
    return dict(zip(trained, found, strict=True))


def assert_gradients_agree(found, expected, relative):
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        largest = gradient.abs().max().item()
        assert largest > 0, name
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=relative * largest, msg=name)


class TestGradients:
    """A dense patch's loss at n pixels is the mean loss over the n literal patches around them."""

    @pytest.mark.parametrize("name", sorted(TRAINED))
    def test_dense_patches_have_the_gradient_of_literal_ones_in_both_phases(self, name):
        network = build(name)
        images, chosen, targets, patches = dense_and_literal(network, dense=1, pixels=2)
        features = network.features(images)
        literal = network(patches)[:, :, 0, 0]
        for part, maps in ((network, features), (network.output, features.detach())):
            dense = network.output(maps)[0].flatten(1)[:, chosen[0]].T
            found = gradients(part, dense, targets)
            assert_gradients_agree(found, gradients(part, literal, targets), 1e-10)

    @pytest.mark.parametrize("only_output", [False, True], ids=["phase 1", "phase 2"])
    def test_a_training_step_has_the_gradient_of_the_literal_form(self, only_output):
        network = build("TwoPathCNN", torch.float32)
        images, chosen, targets, patches = dense_and_literal(network, dense=2, pixels=2)
        step = PixelLogits(network, MixedPrecision("float32", torch.device("cpu")), only_output)
        plain = with_plain_layers(network)
        of_step, of_plain = (n.output if only_output else n for n in (network, plain))
        found = gradients(of_step, step(images, chosen), targets)
        expected = gradients(of_plain, plain(patches)[:, :, 0, 0], targets)
        assert_gradients_agree(found, expected, 1e-5)
