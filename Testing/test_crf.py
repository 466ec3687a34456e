"""The dense CRF: its filters against the matrix of all pairs, mean field, networks and files around it."""

import json
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scripted_models.cli import main
from scripted_models.crf import FILTERS, DenseCRF
from scripted_models.crf.filters import exact_filter, gaussian_filter, normalised, window_filter
from scripted_models.crf.inference import build_crf, refine, refine_brain
from scripted_models.crf.permutohedral import PermutohedralLattice
from scripted_models.errors import ModelError
from scripted_models.networks import build_network
from scripted_models.phantom.case import make_phantom
from scripted_models.voc.masks import read_mask


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


class TestPermutohedralLattice:
    @pytest.mark.parametrize(
        ("shape", "channels", "width"),
        [((50, 60), 1, 8), ((50, 60), 3, 20), ((40, 40), 4, 5), ((14, 15, 16), 4, 5)],
    )
    def test_within_five_percent_of_all_pairs(self, shape, channels, width):
        generator = torch.Generator().manual_seed(len(shape) + channels)
        positions, image = grid(*shape, width=width), smooth_image(generator, channels, *shape)
        values = torch.rand(image[0].numel(), 5, generator=generator).softmax(dim=1)
        exact = normalised(FILTERS["exact"](positions, image, 1), values)(values)
        fast = normalised(FILTERS["permutohedral"](positions, image, 1), values)(values)
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
            colour = float((image[(slice(None), *a)] - image[(slice(None), *b)]).square().sum())
            near = apart / (2 * crf.position_width**2)
            kernels[0, i, j] = np.exp(-near - colour / (2 * crf.intensity_width**2))
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


class TestBrains:
    def test_far_voxels_stay_as_they_are(self):
        probabilities = np.zeros((2, 30, 30, 30), np.float32)
        probabilities[0] = 1
        image = np.zeros((1, 30, 30, 30), np.float32)
        crf = build_crf(2, {"position_width": 1.5})
        assert refine_brain(crf, probabilities, image, (1, 1, 1)) is probabilities
        probabilities[:, 3:7, 3:7, 3:7] = np.array([0.2, 0.8]).reshape(2, 1, 1, 1)
        probabilities[:, 20, 20, 20] = 0.995, 0.005
        before = probabilities.copy()
        after = refine_brain(crf, probabilities, image, (1, 1, 1))
        assert np.array_equal(probabilities, before)
        assert np.array_equal(after[:, 11:], before[:, 11:])
        assert not np.array_equal(after, before)
        np.testing.assert_allclose(after.sum(axis=0), 1, atol=1e-5)

    def test_refine_returns_probabilities(self):
        probabilities = np.full((5, 6, 7, 8), 0.2, np.float32)
        found = refine(build_crf(5, {}), probabilities, np.random.rand(4, 6, 7, 8), (1, 1, 2))
        np.testing.assert_allclose(found, 0.2, atol=1e-6)


class TestCRFRNN:
    @pytest.mark.parametrize("name", ["UNet", "TwoPathCNN"])
    def test_a_new_one_sharpens_what_its_network_says(self, name):
        torch.manual_seed(0)
        network = build_network("CRFRNN", network=name, crf={"position_width": 5.0}).eval()
        size = 48 + sum(network.margins)
        x = torch.randn(2, network.input_channels, size, size)
        with torch.no_grad():
            logits, unary = network(x), network.unary(x)
            low = network.margins[0]
            own = x[:, network.context_slices :: 2 * network.context_slices + 1]
            image = own[:, :, low : low + 48, low : low + 48]
            torch.testing.assert_close(network.crf(unary, image), logits)
        assert logits.shape == (2, 5, 48, 48)
        assert image.shape == (2, 4, 48, 48)
        assert network.pads

    def test_all_weights_train(self):
        torch.manual_seed(0)
        network = build_network("CRFRNN", network="UNet", widths=[4, 8], context_slices=0)
        network(torch.randn(2, 4, 16, 16))[:, 1].sum().backward()
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.crf.parameters())
        assert network.unary.output.weight.grad.abs().sum() > 0

    def test_learns_what_its_classes_weigh(self):
        """A field alone learns to trust neighbours: noisy potentials, constant image, one label."""
        torch.manual_seed(0)
        crf = DenseCRF(2, appearance_weight=0.1, smoothness_weight=0.1, smoothness_width=2.0)
        optimiser = torch.optim.Adam(crf.parameters(), 0.1)
        logits = torch.randn(1, 2, 24, 24)
        logits[:, 1] += 0.5
        truth, image, losses = torch.ones(1, 24, 24).long(), torch.zeros(1, 1, 24, 24), []
        for _ in range(15):
            loss = torch.nn.functional.cross_entropy(crf(logits, image), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < 0.2 * losses[0]


@pytest.fixture
def picture(tmp_path):
    """Probabilities with salt over a picture of two areas."""
    generator = np.random.default_rng(0)
    image = np.full((40, 50, 3), 60, np.uint8)
    image[10:30, 15:35] = 200
    truth = (image[..., 0] > 100).astype(int)
    wrong = generator.random(truth.shape) < 0.15
    seen = np.where(wrong, 1 - truth, truth)
    probabilities = np.where(np.stack([seen == 0, seen == 1]), 0.7, 0.3).astype(np.float16)
    Image.fromarray(image).save(tmp_path / "picture.png")
    np.save(tmp_path / "p.npy", probabilities)
    return tmp_path, truth


class TestCommand:
    def test_picture(self, picture):
        folder, truth = picture
        command = ["crf", f"{folder}/p.npy", f"{folder}/picture.png", "--output", f"{folder}/o.png"]
        assert main([*command, "--set", "position_width=40"]) == 0
        assert np.array_equal(read_mask(folder / "o.png"), truth)

    def test_case(self, tmp_path):
        phantom = make_phantom(3, (64, 64, 48))
        truth = np.isin(phantom.labels, (1, 2, 3, 4))
        wrong = np.random.default_rng(0).random(truth.shape) < 0.1
        tumour = np.where(truth ^ (wrong & (phantom.volumes["t1"] > 0)), 0.6, 0.0).astype(
            np.float32
        )
        for name, values in (("background", 1 - tumour), ("oedema", tumour)):
            sitk.WriteImage(
                phantom.grid.image_from(values), str(tmp_path / f"probability_{name}.nii.gz")
            )
        images = []
        for modality, volume in phantom.volumes.items():
            images.append(str(tmp_path / f"{modality}.nii.gz"))
            sitk.WriteImage(phantom.grid.image_from(volume), images[-1])
        output = tmp_path / "labels.nii.gz"
        assert main(["crf", str(tmp_path), *images, "--output", str(output)]) == 0
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(output)))
        assert set(np.unique(labels)) <= {0, 2}
        before, after = (tumour > 0.5) != truth, (labels == 2) != truth
        assert after.sum() < 0.3 * before.sum()

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["absent.npy", "picture.png", "--output", "o.png"], 2, "no such file"),
            (["p.npy", "picture.png", "picture.png", "--output", "o.png"], 2, "one picture"),
            (["p.npy", "picture.png", "--output", "o.nii.gz"], 2, "one picture"),
            (["p.npy", "picture.png", "--output", "picture.png"], 2, "replace an input"),
            (["picture.png", "picture.png", "--output", "o.png"], 2, "not a readable array"),
            (["scores.npy", "picture.png", "--output", "o.png"], 2, "not scores"),
            (["p.npy", "small.png", "--output", "o.png"], 2, "40 x 50 pixels"),
            ([".", "picture.png", "--output", "o.nii.gz"], 2, "probability_background.nii.gz"),
            (["p.npy", "picture.png", "--output", "o.png", "--set", "window"], 2, "KEY=VALUE"),
            (["p.npy", "picture.png", "--output", "o.png", "--set", "width=1"], 3, "dense CRF"),
        ],
    )
    def test_bad_input_is_one_sentence(self, picture, monkeypatch, capsys, arguments, code, said):
        folder, _ = picture
        monkeypatch.chdir(folder)
        np.save("scores.npy", np.ones((2, 40, 50)) * 7)
        Image.new("RGB", (10, 10)).save("small.png")
        before = sorted(folder.iterdir())
        assert main(["crf", *arguments, "--progress", "none"]) == code
        message = capsys.readouterr().err
        assert said in message
        assert message.count("\n") == 1
        assert sorted(folder.iterdir()) == before


def test_description_says_so(tmp_path):
    """A model with a field says it in its card and refuses impossible settings."""
    from scripted_models.model_folder import load_model, write_model

    description = json.loads(
        (load_model("TwoPathCNN").folder / "configs" / "model.json").read_text(encoding="utf-8")
    )
    network = load_model("TwoPathCNN").network
    write_model(tmp_path / "m", network, {**description, "crf": {"position_width": 4.0}})
    assert load_model(str(tmp_path / "m")).description["crf"] == {"position_width": 4.0}
    card = (tmp_path / "m" / "docs" / "README.md").read_text(encoding="utf-8")
    assert "dense CRF refines the probabilities: position_width 4.0" in card
    write_model(tmp_path / "w", network, {**description, "crf": {"position_width": -1}})
    with pytest.raises(ModelError, match="dense CRF"):
        load_model(str(tmp_path / "w"))
