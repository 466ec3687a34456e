"""Training on pictures of PASCAL VOC by the loop for brains; prediction and scores."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from test_voc import make_sbd
from torch.nn import functional as F
from voc_fixtures import UNET, write_experiment, write_voc

from scripted_models.bundle.image_scales import CAFFE, TORCHVISION
from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.commands.train import EXPERIMENTS
from scripted_models.networks import build_network
from scripted_models.tasks.voc.masks import read_mask, write_mask
from scripted_models.tasks.voc.picture_cases import picture_sources
from scripted_models.tasks.voc.prediction import predict_picture, scaled
from scripted_models.training.augmentation import build_augmentation
from scripted_models.training.experiment_config import load_experiment
from scripted_models.training.optimizer import make_optimizer

FCN = "{ scale = 0.015625 }"


@pytest.fixture
def voc(tmp_path):
    return write_voc(tmp_path / "VOC2012")


def train(voc, output, *options, steps=40, **changes):
    path = write_experiment(voc.parent, steps=steps, **changes)
    start = ["train", str(path), "--data", str(voc), "--output", str(output)]
    return main([*start, "--progress", "none", *options])


def predict(voc, model, output, *options):
    start = ["predict-voc", "--model", str(model), "--voc", str(voc), "--output", str(output)]
    return main([*start, "--progress", "none", *options])


def test_a_network_learns_classes_that_colors_tell(voc, tmp_path):
    assert train(voc, tmp_path / "run") == 0
    model = load_model(str(tmp_path / "run" / "model"), task="voc")
    assert model.description.channels == ("R", "G", "B")
    assert model.description.labels[15] == "person"
    assert "sheep" in (tmp_path / "run" / "model" / "configs" / "metadata.json").read_text()
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert "mean_iu" in rows[0]
    out = tmp_path / "predicted"
    assert predict(voc, tmp_path / "run" / "model", out, "--overlays") == 0
    assert len(list((out / "overlays").iterdir())) == 4
    scores = ["--predictions", str(out), "--output", str(tmp_path / "scores"), "--progress", "none"]
    assert main(["evaluate", "--voc", str(voc), *scores]) == 0
    content = json.loads((tmp_path / "scores" / "voc_metrics.json").read_text())
    assert content["pixel_accuracy"] > 0.95
    assert content["mean_iu"] > 0.8


def test_an_fcn_goes_the_same_way_and_starts_from_another(voc, tmp_path):
    assert train(voc, tmp_path / "32s", network="FCN32s", arguments=FCN, steps=1) == 0
    start = ["--set", f"network.start={str(tmp_path / '32s' / 'model')!r}"]
    assert train(voc, tmp_path / "16s", *start, network="FCN16s", arguments=FCN, steps=1) == 0
    options = ["--split", "val", "--scales", "0.75", "1.25"]
    assert predict(voc, tmp_path / "16s" / "model", tmp_path / "p", *options) == 0
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == ["d.png", "predictions.json"]
    assert read_mask(tmp_path / "p" / "d.png").shape == (40, 44)


@pytest.mark.parametrize("scale", [TORCHVISION, CAFFE], ids=["torchvision", "caffe"])
def test_pictures_are_scaled_as_the_weights_expect(scale):
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[..., 0] = 255  # red
    found = scaled(picture, scale)
    assert found.shape == (3, 2, 3)
    red = 0 if scale is TORCHVISION else 2
    expected = -np.array(scale.mean) / scale.std
    expected[red] += scale.scale / scale.std[red]
    np.testing.assert_allclose(found[:, 0, 0], expected, rtol=1e-5)


def test_several_sizes_are_averaged(voc, tmp_path):
    assert train(voc, tmp_path / "run", steps=1) == 0
    network = load_model(str(tmp_path / "run" / "model"), task="voc").network
    image = np.random.default_rng(0).standard_normal((3, 20, 24)).astype(np.float32)
    expected = []
    with torch.no_grad():
        for size in ((20, 24), (30, 36)):
            x = F.interpolate(torch.from_numpy(image)[None], size, mode="bilinear")
            expected.append(F.interpolate(network(x).softmax(1), (20, 24), mode="bilinear")[0])
    found = predict_picture(network, image, (1.0, 1.5))
    np.testing.assert_allclose(found, sum(expected) / 2, atol=1e-5)


@pytest.mark.parametrize("path", sorted((EXPERIMENTS / "voc").glob("*.toml")), ids=lambda p: p.stem)
def test_the_papers_recipes_fit_their_networks(path):
    experiment = load_experiment(path)
    config = experiment.network
    with torch.device("meta"):
        network = build_network(config.name, **config.arguments)
    make_optimizer(network, experiment.training)
    build_augmentation(experiment.training.augmentation)
    assert (experiment.data.task, experiment.training.phases) == ("voc", 1)
    assert network.num_classes == 21


def test_sbd_joins_the_training_images_without_those_that_validate(voc, tmp_path):
    make_sbd(tmp_path, ["a", "x"], ["d", "y"])
    settings = [
        f"data.sbd='{tmp_path / 'benchmark_RELEASE'}'",
        "data.task='voc'",
        "preprocessing=[]",
    ]
    path = EXPERIMENTS / "voc" / "DilatedFrontEnd.toml"
    train, validation = picture_sources(load_experiment(path, settings), voc)
    assert [source.name for source in train] == ["a", "b", "c", "x", "y"]
    assert [source.name for source in validation] == ["d"]
    assert train[0].make().target.shape == (1, 40, 44)  # VOC's own picture and label map
    assert train[4].make().target.shape == (1, 20, 24)


@pytest.mark.parametrize(("key", "value"), [("in_channels", 4), ("num_classes", 5)])
def test_networks_for_other_data_are_refused(voc, tmp_path, capsys, key, value):
    arguments = UNET.replace(f"{key} = {3 if key == 'in_channels' else 21}", f"{key} = {value}")
    assert train(voc, tmp_path / "run", arguments=arguments) == 2
    assert "expected 3 (R, G, B) and 21; set in_channels = 3" in capsys.readouterr().err


class TestRefusals:
    def test_brains_and_pictures_are_not_mixed_up(self, voc, tmp_path, capsys):
        assert train(voc, tmp_path / "run", steps=1) == 0
        model = str(tmp_path / "run" / "model")
        assert (
            main(["segment", str(tmp_path), "--output", str(tmp_path / "o"), "--model", model]) == 3
        )
        assert "found a model for voc, expected one for brains" in capsys.readouterr().err
        assert predict(voc, "default", tmp_path / "p") == 3
        assert "found a model for brains, expected one for voc" in capsys.readouterr().err

    @pytest.mark.parametrize(
        "setting",
        [
            "training.dice=1.0",
            'preprocessing=[{step="mark_brain"}]',
            'postprocessing=[{step="inside_brain"}]',
            "data.folds=2",
            "data.phantoms=1",
            'data.test=["a"]',
        ],
    )
    def test_settings_for_brains(self, setting, voc, tmp_path, capsys):
        assert train(voc, tmp_path / "run", "--set", setting) == 2
        message = capsys.readouterr().err
        assert (
            f"found {setting.split('=')[0]} in the experiment voc on VOC".lower() in message.lower()
        )
        assert not (tmp_path / "run").exists()

    def test_a_label_coding(self, voc, tmp_path, capsys):
        assert train(voc, tmp_path / "run", "--coding", "brats2021") == 2
        assert "the label coding brats2021 for PASCAL VOC" in capsys.readouterr().err

    def test_a_row_that_no_paper_prints(self, voc, tmp_path, capsys):
        assert train(voc, tmp_path / "run", "--set", "paper_row=FCN-64s") == 2
        assert "'FCN-64s', expected one that a paper prints" in capsys.readouterr().err

    def test_a_mask_of_another_size(self, voc, tmp_path, capsys):
        write_mask(voc / "SegmentationClass" / "a.png", np.zeros((3, 3), np.uint8))
        assert train(voc, tmp_path / "run") == 2
        assert "(3, 3) pixels for a picture of (40, 44)" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert train(write_voc(folder / "VOC2012"), folder / "run", steps=1) == 0
    return folder / "run" / "model"


class TestPredictions:
    """Label maps of other pictures, and some that nobody knows, are never replaced."""

    def test_again_with_the_same_or_a_changed_picture(self, voc, trained, tmp_path):
        out = tmp_path / "p"
        assert predict(voc, trained, out) == 0
        before = (out / "d.png").read_bytes()
        picture = voc / "JPEGImages" / "d.png"
        Image.fromarray(255 - np.asarray(Image.open(picture))).save(picture)
        assert predict(voc, trained, out) == 0
        assert (out / "d.png").read_bytes() != before

    def test_another_folder_with_pictures_of_the_same_names(self, voc, trained, tmp_path, capsys):
        out, other = tmp_path / "p", write_voc(tmp_path / "other" / "VOC2012")
        assert predict(voc, trained, out) == 0
        for folder in (other, voc):  # the very same pictures
            assert predict(folder, trained, out) == 0
        for path in (other / "JPEGImages").iterdir():
            Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
        before = {path: path.read_bytes() for path in out.iterdir()}
        assert predict(other, trained, out, "--split", "val") == 2
        assert "the label map of another picture" in capsys.readouterr().err
        assert {path: path.read_bytes() for path in out.iterdir()} == before

    def test_a_label_map_of_the_user_stays(self, voc, trained, tmp_path, capsys):
        (tmp_path / "p").mkdir()
        (tmp_path / "p" / "a.png").write_bytes(b"by hand")
        assert predict(voc, trained, tmp_path / "p") == 2
        assert "predictions.json does not know" in capsys.readouterr().err
        assert (tmp_path / "p" / "a.png").read_bytes() == b"by hand"

    @pytest.mark.parametrize("scale", ["nan", "0", "-1", "inf", "1e9"])
    def test_sizes_that_cannot_be(self, scale, voc, trained, tmp_path, capsys):
        assert predict(voc, trained, tmp_path / "p", f"--scales={scale}") == 2
        assert "--scales" in capsys.readouterr().err

    def test_overlays_do_not_replace_predictions(self, voc, trained, tmp_path, capsys):
        out = tmp_path / "scores" / "overlays"
        assert predict(voc, trained, out) == 0
        before = (out / "a.png").read_bytes()
        options = ["--predictions", str(out), "--output", str(out.parent), "--overlays"]
        assert main(["evaluate", "--voc", str(voc), *options, "--progress", "none"]) == 2
        assert "where the overlays would lie" in capsys.readouterr().err
        assert (out / "a.png").read_bytes() == before
