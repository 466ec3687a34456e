"""The dense CRF in use: on brains, after networks, on files from the shell, in model folders."""

import os

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from model_fixtures import described, restate
from PIL import Image

from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.cli import main
from scripted_models.errors import ModelError
from scripted_models.networks import build_network
from scripted_models.networks.crf import DenseCRF
from scripted_models.networks.crf.refinement import build_crf, refine, refine_brain
from scripted_models.tasks.voc.masks import read_mask


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
        """A field alone learns to trust neighbors: noisy potentials, constant image, one label."""
        torch.manual_seed(0)
        crf = DenseCRF(2, appearance_weight=0.1, smoothness_weight=0.1, smoothness_width=2.0)
        optimizer = torch.optim.Adam(crf.parameters(), 0.1)
        logits = torch.randn(1, 2, 24, 24)
        logits[:, 1] += 0.5
        truth, image, losses = torch.ones(1, 24, 24).long(), torch.zeros(1, 1, 24, 24), []
        for _ in range(15):
            loss = torch.nn.functional.cross_entropy(crf(logits, image), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
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
        tumor = np.where(truth ^ (wrong & (phantom.volumes["t1"] > 0)), 0.6, 0.0).astype(np.float32)
        for name, values in (("background", 1 - tumor), ("edema", tumor)):
            sitk.WriteImage(
                phantom.grid.image_from(values), str(tmp_path / f"probability_{name}.nii.gz")
            )
        images = []
        for sequence, volume in phantom.volumes.items():
            images.append(str(tmp_path / f"{sequence}.nii.gz"))
            sitk.WriteImage(phantom.grid.image_from(volume), images[-1])
        output = tmp_path / "labels.nii.gz"
        assert main(["crf", str(tmp_path), *images, "--output", str(output)]) == 0
        labels = sitk.GetArrayFromImage(sitk.ReadImage(str(output)))
        assert set(np.unique(labels)) <= {0, 2}
        before, after = (tumor > 0.5) != truth, (labels == 2) != truth
        assert after.sum() < 0.3 * before.sum()
        os.link(images[0], tmp_path / "hard.nii.gz")
        (tmp_path / "soft.nii.gz").symlink_to(images[0])
        (tmp_path / "segmentation.nii.gz").write_bytes(b"of segment")
        contents = {path: path.read_bytes() for path in tmp_path.iterdir()}
        for name in ("hard", "soft", "t2", "probability_edema", "segmentation"):
            again = ["--output", str(tmp_path / f"{name}.nii.gz"), "--progress", "none"]
            assert main(["crf", str(tmp_path), *images, *again]) == 2
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == contents

    @pytest.mark.parametrize(
        ("arguments", "code", "said"),
        [
            (["absent.npy", "picture.png", "--output", "o.png"], 2, "no such file"),
            (["p.npy", "picture.png", "picture.png", "--output", "o.png"], 2, "one picture"),
            (["p.npy", "picture.png", "--output", "o.nii.gz"], 2, "one picture"),
            (["p.npy", "picture.png", "--output", "picture.png"], 2, "replace an input"),
            (
                ["picture.png", "picture.png", "--output", "o.png"],
                2,
                "an array that cannot be read",
            ),
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
    from scripted_models.bundle.weights import load_model, write_model

    network = load_model("TwoPathCNN").network
    write_model(tmp_path / "m", network, described(crf={"position_width": 4.0}))
    assert load_model(str(tmp_path / "m")).crf.position_width == 4.0
    card = (tmp_path / "m" / "docs" / "README.md").read_text(encoding="utf-8")
    assert "dense CRF refines the probabilities: position_width 4.0" in card
    with pytest.raises(ModelError, match=r"'crf.position_width' = -1"):
        load_model(str(restate(tmp_path / "m", crf={"position_width": -1})))
