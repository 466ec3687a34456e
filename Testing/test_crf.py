"""The dense CRF: its filters against the matrix of all pairs, mean field, networks and files."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.errors import ModelError
from scripted_models.networks.crf import FILTERS, DenseCRF
from scripted_models.networks.crf.dense_crf import LEAST_WIDTH, MOST_WIDTH
from scripted_models.networks.crf.gaussian_filters import (
    exact_filter,
    gaussian_filter,
    normalized,
    window_filter,
)
from scripted_models.networks.crf.permutohedral import PermutohedralLattice
from scripted_models.networks.crf.refinement import build_crf, refine


def smooth_image(generator, channels, *shape):
    """Intensities that change slowly, with some noise, in standard deviations of the Gaussian."""
    coarse = torch.randn(1, channels, *(max(n // 6, 2) for n in shape), generator=generator)
    mode = "bilinear" if len(shape) == 2 else "trilinear"
    image = torch.nn.functional.interpolate(coarse, shape, mode=mode)[0]
    return image + 0.1 * torch.randn(image.shape, generator=generator)


def grid(*shape, width):
    axes = [torch.arange(n) / width for n in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def relative_error(found, expected):
    return float((found - expected).norm() / expected.norm())


def test_normalized_after_the_filter_gives_means():
    """As in the release of Zheng et al.: what a pixel hears is a weighted mean of all pixels."""
    generator = torch.Generator().manual_seed(0)
    positions, image = grid(9, 7, width=3), torch.randn(2, 9, 7, generator=generator)
    features = torch.cat([positions, image]).flatten(1).T
    weights = torch.exp(-torch.cdist(features, features).square() / 2)
    values = torch.rand(63, 3, generator=generator)
    found = normalized(exact_filter(positions, image, 1), values, "after")(values)
    torch.testing.assert_close(found, weights @ values / weights.sum(dim=1, keepdim=True))


class TestPermutohedralLattice:
    @pytest.mark.parametrize(
        ("shape", "channels", "width"),
        [((50, 60), 1, 8), ((50, 60), 3, 20), ((40, 40), 4, 5), ((14, 15, 16), 4, 5)],
    )
    def test_within_five_percent_of_all_pairs(self, shape, channels, width):
        generator = torch.Generator().manual_seed(len(shape) + channels)
        positions, image = grid(*shape, width=width), smooth_image(generator, channels, *shape)
        values = torch.rand(image[0].numel(), 5, generator=generator).softmax(dim=1)
        exact = normalized(FILTERS["exact"](positions, image, 1), values)(values)
        fast = normalized(FILTERS["permutohedral"](positions, image, 1), values)(values)
        assert relative_error(fast, exact) < 0.05

    @pytest.mark.parametrize("dimensions", [1, 2, 3, 5, 7])
    def test_sums_are_those_of_the_gaussian(self, dimensions):
        generator = torch.Generator().manual_seed(dimensions)
        features = 2.5 * torch.rand(3000, dimensions, generator=generator)
        expected = torch.exp(-torch.cdist(features, features).square() / 2).sum(dim=1)
        found = PermutohedralLattice(features).filter(torch.ones(3000, 1))[:, 0]
        ratio = found / expected
        assert 0.8 < ratio.mean() < 1.05
        assert ratio.std() < 0.06

    def test_one_point_far_from_all_others_keeps_to_itself(self):
        features = torch.tensor([[0.0, 0.0], [0.1, 0.0], [50.0, -80.0]])
        found = PermutohedralLattice(features).filter(torch.eye(3))
        assert found[2, :2].abs().sum() == 0
        assert found[:2, 2].abs().sum() == 0
        assert found[0, 1] > 0

    def test_gradients_are_those_of_the_transposed_operator(self):
        generator = torch.Generator().manual_seed(0)
        lattice = PermutohedralLattice(3 * torch.rand(40, 3, generator=generator))
        operator = lattice.filter(torch.eye(40))
        values = torch.rand(40, 2, generator=generator, requires_grad=True)
        gradient = torch.rand(40, 2, generator=generator)
        lattice.filter(values).backward(gradient)
        torch.testing.assert_close(values.grad, operator.T @ gradient)

    def test_the_same_every_time_and_in_any_order(self):
        generator = torch.Generator().manual_seed(0)
        features = torch.rand(500, 5, generator=generator) * 4
        values, order = torch.rand(500, 2), torch.randperm(500, generator=generator)
        first = PermutohedralLattice(features).filter(values)
        assert torch.equal(first, PermutohedralLattice(features).filter(values))
        other = PermutohedralLattice(features[order]).filter(values[order])
        torch.testing.assert_close(other, first[order])


class TestOtherFilters:
    @pytest.mark.parametrize("shape", [(9, 13), (5, 6, 7)])
    def test_a_window_over_all_is_exact(self, shape):
        generator = torch.Generator().manual_seed(1)
        positions, image = grid(*shape, width=4), smooth_image(generator, 2, *shape)
        values = torch.rand(image[0].numel(), 3)
        exact = exact_filter(positions, image, 1)(values)
        torch.testing.assert_close(window_filter(positions, image, 20)(values), exact)

    def test_a_window_leaves_out_what_lies_beyond(self):
        positions, image = grid(1, 9, width=100.0), torch.zeros(1, 1, 9)
        found = window_filter(positions, image, 2)(torch.eye(9))
        reach = (torch.arange(9)[:, None] - torch.arange(9)).abs() <= 2
        assert torch.equal(found > 0, reach)

    @pytest.mark.parametrize("shape", [(40,), (23, 31), (9, 11, 10)])
    def test_the_separable_gaussian_is_that_of_all_pairs(self, shape):
        width = 2.0
        values = torch.rand(int(np.prod(shape)), 3, dtype=torch.float64)
        positions = grid(*shape, width=width).double()
        exact = exact_filter(positions, torch.zeros(1, *shape), 1)(values)
        found = gaussian_filter(shape, [width] * len(shape), "cpu")(values)
        torch.testing.assert_close(found, exact, rtol=2e-3, atol=1e-3)

    def test_exact_refuses_what_does_not_fit_into_memory(self):
        with pytest.raises(ValueError, match="use 'permutohedral'"):
            exact_filter(grid(80, 80, width=3), torch.zeros(1, 80, 80), 1)


def literal_mean_field(crf, logits, image):
    """Algorithm 1 of Krahenbuhl & Koltun with loops over pixels, labels and kernels."""
    classes, *shape = logits.shape
    pixels = list(product(*map(range, shape)))
    count = len(pixels)
    kernels = np.zeros((2, count, count))
    for i, a in enumerate(pixels):
        for j, b in enumerate(pixels):
            apart = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
            color = float((image[(slice(None), *a)] - image[(slice(None), *b)]).square().sum())
            near = apart / (2 * crf.position_width**2)
            kernels[0, i, j] = np.exp(-near - color / (2 * crf.intensity_width**2))
            kernels[1, i, j] = np.exp(-apart / (2 * crf.smoothness_width**2))
    for kernel in kernels:
        scale = 1 / np.sqrt(kernel.sum(axis=1))
        kernel *= scale[:, None] * scale
    unary = logits.flatten(1).T.detach().numpy()
    weights = [crf.appearance_weights.detach().numpy(), crf.smoothness_weights.detach().numpy()]
    compatibility = crf.compatibility.detach().numpy()
    result = unary
    for _ in range(crf.test_iterations):
        q = np.exp(result) / np.exp(result).sum(axis=1, keepdims=True)
        result = unary.copy()
        for i in range(count):
            message = sum(w * (k[i] @ q) for w, k in zip(weights, kernels, strict=True))
            for label in range(classes):
                result[i, label] -= sum(
                    compatibility[label, other] * message[other] for other in range(classes)
                )
    return result.T.reshape(logits.shape)


class TestDenseCRF:
    def test_equals_the_algorithm_written_out(self):
        torch.manual_seed(0)
        crf = DenseCRF(
            3, "exact", 1.5, 0.7, 2.0, 0.8, 0.6, iterations=1, test_iterations=3
        ).double()
        with torch.no_grad():
            for parameter in crf.parameters():
                parameter += 0.3 * torch.rand_like(parameter)
        logits, image = torch.randn(1, 3, 4, 5).double(), torch.randn(1, 2, 4, 5).double()
        expected = literal_mean_field(crf, logits[0], image[0])
        torch.testing.assert_close(
            crf.eval()(logits, image)[0].detach(), torch.from_numpy(expected), rtol=1e-3, atol=1e-3
        )

    @pytest.mark.parametrize("backend", sorted(FILTERS))
    @pytest.mark.parametrize("shape", [(20, 24), (8, 9, 10)])
    def test_without_weights_it_is_the_network(self, backend, shape):
        crf = DenseCRF(4, backend, 0.0, 0.0).eval()
        logits = torch.randn(2, 4, *shape)
        assert torch.equal(crf(logits, torch.randn(2, 1, *shape)), logits)

    @pytest.mark.parametrize("backend", sorted(FILTERS))
    def test_without_iterations_it_is_the_network(self, backend):
        crf = DenseCRF(4, backend, test_iterations=0).eval()
        logits = torch.randn(1, 4, 10, 11)
        assert torch.equal(crf(logits, torch.randn(1, 1, 10, 11)), logits)

    @pytest.mark.parametrize("backend", sorted(FILTERS))
    def test_removes_salt_and_keeps_the_edge(self, backend):
        generator = torch.Generator().manual_seed(3)
        row, column = torch.meshgrid(torch.arange(40), torch.arange(50), indexing="ij")
        truth = ((row - 20) ** 2 + (column - 22) ** 2 < 150).long()
        image = (80.0 * truth + 90)[None, None] + 4 * torch.randn(1, 3, 40, 50, generator=generator)
        logits = torch.nn.functional.one_hot(truth, 2).permute(2, 0, 1)[None].float() * 2
        logits = logits + 1.5 * torch.randn(logits.shape, generator=generator)
        wrong = [int((logits.argmax(1)[0] != truth).sum())]
        for iterations in (1, 3, 10):
            crf = DenseCRF(2, backend, test_iterations=iterations).eval()
            wrong.append(int((crf(logits, image).argmax(1)[0] != truth).sum()))
        assert wrong == sorted(wrong, reverse=True)
        assert wrong[0] > 200
        assert wrong[-1] == 0

    def test_gradients_of_all_weights(self):
        torch.manual_seed(0)
        crf = DenseCRF(3, "exact", position_width=3, intensity_width=1.0, iterations=2).double()
        logits = torch.randn(2, 3, 4, 3, dtype=torch.float64, requires_grad=True)
        image = torch.randn(2, 2, 4, 3, dtype=torch.float64)
        assert torch.autograd.gradcheck(
            lambda logits, *_: crf(logits, image), (logits, *crf.parameters())
        )

    def test_iterations_of_training_and_test_differ(self):
        logits, image = torch.randn(1, 2, 9, 9), torch.randn(1, 1, 9, 9)
        crf = DenseCRF(2, iterations=1, test_iterations=4)
        trained = crf.train()(logits, image)
        same = DenseCRF(2, iterations=4, test_iterations=1).eval()(logits, image)
        torch.testing.assert_close(trained, same)
        assert not torch.allclose(crf.eval()(logits, image), trained)

    def test_spacing_is_the_unit_of_the_widths(self):
        logits, image = torch.randn(1, 2, 9, 8), torch.randn(1, 1, 9, 8)
        in_pixels = DenseCRF(2, position_width=4, smoothness_width=2).eval()(logits, image)
        crf = DenseCRF(2, position_width=2, smoothness_width=1).eval()
        torch.testing.assert_close(crf(logits, image, (0.5, 0.5)), in_pixels)

    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(1, 9), min_size=2, max_size=3), st.sampled_from(sorted(FILTERS)))
    def test_any_size(self, shape, backend):
        crf = DenseCRF(3, backend).eval()
        result = crf(torch.randn(1, 3, *shape), 50 * torch.randn(1, 2, *shape))
        assert result.shape == (1, 3, *shape)
        assert result.isfinite().all()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"backend": "dense"},
            {"position_width": 0},
            {"intensity_width": float("nan")},
            {"smoothness_width": float("inf")},
            {"iterations": -1},
            {"test_iterations": 10**9},
            {"window": 0},
            {"window": 2.5},
            {"sharpness": 1},
            {"position_width": "wide"},
        ],
    )
    def test_wrong_settings_are_one_sentence(self, wrong):
        with pytest.raises(ModelError, match="dense CRF"):
            build_crf(3, wrong)

    def test_shapes_that_do_not_fit(self):
        with pytest.raises(ValueError, match="expected"):
            DenseCRF(2)(torch.zeros(1, 2, 5, 5), torch.zeros(1, 1, 5, 6))


@pytest.mark.parametrize("width", [0.0, 1e-300, 1e-4, 1e5, 1e308, math.nan, math.inf])
@pytest.mark.parametrize("key", ["position_width", "intensity_width", "smoothness_width"])
def test_widths_that_no_filter_can_have_are_refused(key, width):
    with pytest.raises(ModelError, match=r"expected numbers from 0\.001 to 10000"):
        build_crf(3, {key: width})


@pytest.mark.parametrize("width", [LEAST_WIDTH, MOST_WIDTH])
@pytest.mark.parametrize("key", ["position_width", "intensity_width"])
def test_the_widths_at_the_ends_give_numbers(key, width):
    image = np.random.default_rng(0).normal(0, 50, (2, 8, 9)).astype(np.float32)
    refined = refine(build_crf(3, {key: width}), np.full((3, 8, 9), 1 / 3, np.float32), image)
    assert np.isfinite(refined).all()


def test_the_exact_filter_says_that_an_image_is_too_large():
    crf = build_crf(2, {"backend": "exact"})
    with pytest.raises(ModelError, match="at most 4096 for the exact filter"):
        refine(crf, np.full((2, 65, 64), 0.5, np.float32), np.zeros((1, 65, 64), np.float32))


@pytest.mark.parametrize("weight", [1e39, -1e39, 1e308, math.inf])
def test_weights_beyond_float32_are_refused(weight):
    with pytest.raises(ModelError, match="a weight beyond"):
        build_crf(3, {"appearance_weight": weight})
