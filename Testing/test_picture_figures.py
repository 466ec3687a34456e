"""Methods side by side on pictures of PASCAL VOC: what is drawn is what the label maps say."""

import numpy as np
import pytest
from voc_fixtures import write_voc

from scripted_models.cli import main
from scripted_models.reporting.figures.picture_methods import (
    chosen_images,
    draw_picture_methods,
    mean_iu,
    painted,
)
from scripted_models.tasks.voc.classes import palette
from scripted_models.tasks.voc.image_lists import voc_images
from scripted_models.tasks.voc.masks import read_mask, write_mask


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    return write_voc(tmp_path_factory.mktemp("data") / "VOC2012")


@pytest.fixture(scope="module")
def images(voc):
    return voc_images(voc, "train")


@pytest.fixture(scope="module")
def folders(tmp_path_factory, images):
    """The truth, background alone, and the truth of which the first rows are lost."""
    root = tmp_path_factory.mktemp("predictions")
    made = [root / name for name in ("truth", "nothing", "less")]
    for number, image in enumerate(images):
        truth = read_mask(image.label_map)
        found = np.where(truth == 255, 0, truth)
        less = np.where(np.arange(len(found))[:, None] < 14 + 3 * number, 0, found)
        for folder, labels in zip(made, (found, 0 * found, less), strict=True):
            folder.mkdir(exist_ok=True)
            write_mask(folder / f"{image.name}.png", labels.astype(np.uint8))
    return made


def test_each_method_is_drawn_with_its_score(images, folders):
    figure = draw_picture_methods(images[:2], folders)
    panels = figure.axes
    assert [axes.get_title().replace("\n", " ") for axes in panels[:5]] == [
        *("picture", "truth", "nothing", "less", "ground truth")
    ]
    assert len(panels) == 2 * 5
    truth = read_mask(images[0].label_map)
    np.testing.assert_array_equal(panels[4].images[0].get_array(), palette()[truth])
    assert panels[1].texts[0].get_text() == "1.00"
    background = np.sum(truth == 0) / np.sum(truth != 255)
    assert panels[2].texts[0].get_text() == f"{background / 2:.2f}"
    assert [key.get_text() for key in figure.legends[0].texts] == ["car", "person", "void"]


def test_the_worst_come_first(images, folders):
    truths = {image.name: read_mask(image.label_map) for image in images}
    scores = {
        name: mean_iu(truth, read_mask(folders[2] / f"{name}.png"))
        for name, truth in truths.items()
    }
    by_score = sorted(scores, key=lambda name: scores[name])
    assert len(set(scores.values())) == 3
    for order, expected in (("worst", by_score[:2]), ("best", by_score[:0:-1]), ("list", "ab")):
        found = chosen_images(images, folders[2], order, 2)
        assert [image.name for image in found] == list(expected)


def test_void_has_its_color():
    assert painted(np.array([[0, 255]]))[0].tolist() == [[0, 0, 0], [224, 224, 192]]


class TestCommand:
    def test_a_figure(self, voc, folders, tmp_path):
        output = tmp_path / "pictures.png"
        start = ["figures", "pictures", "--voc", str(voc), "--split", "train"]
        shown = ["--predictions", *map(str, folders), "--order", "worst", "--count", "1"]
        assert main([*start, *shown, "--output", str(output), "--progress", "none"]) == 0
        assert output.read_bytes().startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("options", "words"),
        [(["--count", "0"], "--count 0"), (["--split", "val"], "no label map")],
    )
    def test_refusals(self, options, words, voc, folders, tmp_path, capsys):
        output = tmp_path / "pictures.png"
        start = ["figures", "pictures", "--voc", str(voc), "--predictions", str(folders[0])]
        assert main([*start, *options, "--output", str(output), "--progress", "none"]) == 2
        assert words in capsys.readouterr().err
        assert not output.exists()
