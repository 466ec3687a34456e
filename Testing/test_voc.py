"""PASCAL VOC: indices, colors, lists, and the four metrics with known and independent results."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.evaluation.confusion import SUMMARIES, ConfusionMatrix
from scripted_models.tasks.voc.classes import CLASSES, VOID, palette
from scripted_models.tasks.voc.image_lists import (
    find_sbd,
    sbd_images,
    scored_images,
    voc_images,
)
from scripted_models.tasks.voc.masks import read_mask, write_mask, write_overlay
from scripted_models.tasks.voc.mat_files import read_struct_field
from scripted_models.tasks.voc.picture_files import read_image


def score(truth, predicted, classes=CLASSES):
    return ConfusionMatrix.of(truth, predicted, classes, VOID)


def random_mask(seed, shape=(20, 24), labels=(0, 1, 5, 15, 20, VOID)):
    return np.random.default_rng(seed).choice(labels, shape).astype(np.uint8)


def make_voc(root, names, year="VOC2012", lists=None):
    folder = root / "VOCdevkit" / year
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (folder / part).mkdir(parents=True)
    for seed, name in enumerate(names):
        mask = random_mask(seed)
        write_mask(folder / "SegmentationClass" / f"{name}.png", mask)
        picture = np.random.default_rng(seed).integers(0, 255, (*mask.shape, 3)).astype(np.uint8)
        Image.fromarray(picture).save(folder / "JPEGImages" / f"{name}.jpg")
    for name, members in (lists or {}).items():
        (folder / "ImageSets/Segmentation" / f"{name}.txt").write_text("\n".join(members) + "\n")
    return folder


def make_sbd(root, train, val=("v",)):
    from scipy.io import savemat

    folder = root / "benchmark_RELEASE" / "dataset"
    for part in ("img", "cls"):
        (folder / part).mkdir(parents=True)
    for seed, name in enumerate((*train, *val)):
        mask = random_mask(seed, labels=(0, 3, 15))
        savemat(folder / "cls" / f"{name}.mat", {"GTcls": {"Segmentation": mask}})
        Image.fromarray(np.zeros((20, 24, 3), np.uint8)).save(folder / "img" / f"{name}.jpg")
    for split, members in (("train", train), ("val", val)):
        (folder / f"{split}.txt").write_text("\n".join(members))
    return folder


class TestMasks:
    def test_colors_are_those_of_the_development_kit(self):
        known = {
            0: (0, 0, 0),
            1: (128, 0, 0),
            2: (0, 128, 0),
            3: (128, 128, 0),
            4: (0, 0, 128),
            8: (64, 0, 0),
            15: (192, 128, 128),
            20: (0, 64, 128),
            VOID: (224, 224, 192),
        }
        for index, color in known.items():
            assert tuple(palette()[index]) == color
        assert len({tuple(color) for color in palette()}) == 256
        assert len(CLASSES) == 21

    def test_indices_come_back_and_are_seen_in_color(self, tmp_path):
        mask = random_mask(1)
        write_mask(tmp_path / "a.png", mask)
        assert np.array_equal(read_mask(tmp_path / "a.png"), mask)
        assert np.array_equal(read_image(tmp_path / "a.png"), palette()[mask])
        Image.fromarray(palette()[mask]).save(tmp_path / "colors.png")
        assert np.array_equal(read_mask(tmp_path / "colors.png"), mask)
        Image.fromarray(mask).save(tmp_path / "gray.png")
        assert np.array_equal(read_mask(tmp_path / "gray.png"), mask)

    def test_sbd(self, tmp_path):
        folder = make_sbd(tmp_path, ["a"])
        assert np.array_equal(
            read_mask(folder / "cls" / "a.mat"), random_mask(0, labels=(0, 3, 15))
        )

    @settings(max_examples=30, deadline=None)
    @given(
        st.sampled_from(("u1", "i2", "i4", "f4", "f8", "u2", "i8")),
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        st.booleans(),
        st.randoms(use_true_random=False),
    )
    def test_mat_files_are_read_as_scipy_does(self, kind, size, compressed, rng):
        from scipy.io import loadmat, savemat

        array = np.array(
            [[rng.randrange(120) for _ in range(size[1])] for _ in range(size[0])], kind
        )
        other = {
            "Boundaries": np.arange(3.0),
            "Name": "cat",
            "Segmentation": array,
            "Last": {"a": 1},
        }
        stream = io.BytesIO()
        savemat(stream, {"first": np.eye(2), "GTcls": other}, do_compression=compressed)
        found = read_struct_field(stream.getvalue(), "GTcls", "Segmentation")
        stream.seek(0)
        np.testing.assert_array_equal(found, loadmat(stream)["GTcls"]["Segmentation"][0, 0])

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda mat: mat[:200], "where fewer are left"),
            (lambda mat: mat[:126] + b"XX" + mat[128:], "no MATLAB file"),
            (lambda mat: mat.replace(b"GTcls", b"GTcla"), "no struct GTcls"),
            (lambda mat: mat.replace(b"Segmentation", b"Sagmentation"), "no field Segmentation"),
        ],
    )
    def test_a_damaged_mat_file_is_refused(self, spoil, message):
        from scipy.io import savemat

        stream = io.BytesIO()
        savemat(stream, {"GTcls": {"Segmentation": np.zeros((5, 6), np.uint8)}})
        with pytest.raises(ValueError, match=message):
            read_struct_field(spoil(stream.getvalue()), "GTcls", "Segmentation")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("colors", "not in the palette"),
            ("indices", r"indices \[21, 99\]"),
            ("text", "cannot be read"),
        ],
    )
    def test_what_is_no_label_map(self, content, message, tmp_path):
        path = tmp_path / "a.png"
        if content == "text":
            path.write_text("no picture")
        elif content == "colors":
            Image.fromarray(np.full((3, 3, 3), 7, np.uint8)).save(path)
        else:
            Image.fromarray(np.array([[0, 21], [99, 255]], np.uint8)).save(path)
        with pytest.raises(InputError, match=message):
            read_mask(path)

    def test_a_damaged_mat_file(self, tmp_path):
        (tmp_path / "a.mat").write_bytes(b"nothing" * 40)
        with pytest.raises(InputError, match="GTcls"):
            read_mask(tmp_path / "a.mat")

    def test_overlay_colors_classes_and_outlines_them(self, tmp_path):
        picture = np.full((9, 9, 3), 100, np.uint8)
        mask = np.zeros((9, 9), np.uint8)
        mask[3:7, 3:7], mask[0] = 15, VOID
        write_overlay(tmp_path / "o.png", picture, mask)
        shown = read_image(tmp_path / "o.png")
        expected = (0.45 * 100 + 0.55 * palette()[15]).round()
        assert np.array_equal(shown[4, 4], expected)
        assert (shown[8, 8] == 100).all()
        assert (shown[2, 4] == 255).all()

    def test_without_pillow_one_sentence_says_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "PIL", None)
        with pytest.raises(InputError, match=r'pip install "scripted-models\[voc\]"'):
            read_mask(tmp_path / "a.png")


class TestScores:
    def test_known_scores(self):
        truth = np.array([[0, 0, 1, 1], [0, 0, 1, VOID]])
        predicted = np.array([[0, 1, 1, 1], [0, 0, 0, 7]])
        found = score(truth, predicted)
        # class 0: 3 of 4 right, union 5; class 1: 2 of 3 right, union 4
        assert found.summary == pytest.approx(
            {
                "pixel_accuracy": 5 / 7,
                "mean_accuracy": (3 / 4 + 2 / 3) / 2,
                "mean_iu": (3 / 5 + 2 / 4) / 2,
                "frequency_weighted_iu": 4 / 7 * 3 / 5 + 3 / 7 * 2 / 4,
            }
        )

    def test_a_class_that_is_only_predicted_counts_for_the_mean_iu(self):
        found = score(np.zeros((2, 2), int), np.array([[0, 0], [0, 9]]))
        assert found.summary["mean_iu"] == pytest.approx((3 / 4 + 0) / 2)
        assert found.summary["mean_accuracy"] == pytest.approx(3 / 4)

    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 10_000), images=st.integers(1, 3))
    def test_one_matrix_over_all_images_as_counted_pixel_by_pixel(self, seed, images):
        rng = np.random.default_rng(seed)
        names = ("a", "b", "c", "d")
        pairs = [
            (rng.choice([0, 1, 2, VOID], (4, 5)), rng.integers(0, 4, (4, 5))) for _ in range(images)
        ]
        total = sum((score(*pair, names) for pair in pairs[1:]), score(*pairs[0], names))
        pixels = [
            (t, p)
            for truth, predicted in pairs
            for t, p in zip(truth.flat, predicted.flat, strict=True)
            if t != VOID
        ]
        if not pixels:
            assert np.isnan(total.summary["mean_iu"])
            return
        iu, accuracy, weighted = [], [], 0.0
        for k in range(4):
            both = sum(t == p == k for t, p in pixels)
            true, either = sum(t == k for t, _ in pixels), sum(k in (t, p) for t, p in pixels)
            if either:
                iu.append(both / either)
                weighted += true / len(pixels) * both / either
            if true:
                accuracy.append(both / true)
        right = sum(t == p for t, p in pixels) / len(pixels)
        expected = (right, np.mean(accuracy), np.mean(iu), weighted)
        assert list(total.summary.values()) == pytest.approx(expected)

    def test_a_perfect_prediction_and_all_wrong_ones(self):
        truth = random_mask(3)
        perfect = score(truth, np.where(truth == VOID, 0, truth)).summary
        assert list(perfect.values()) == pytest.approx([1.0] * 4)
        wrong = score(np.zeros((3, 3), int), np.ones((3, 3), int)).summary
        assert list(wrong.values()) == [0.0] * 4

    @pytest.mark.parametrize(
        ("predicted", "message"),
        [(np.zeros((2, 3), int), "pixels for a truth"), (np.full((2, 2), VOID), "the index 255")],
    )
    def test_impossible_predictions(self, predicted, message):
        with pytest.raises(InputError, match=message):
            score(np.zeros((2, 2), int), predicted)

    def test_nothing_but_void(self):
        found = score(np.full((2, 2), VOID), np.zeros((2, 2), int))
        assert all(np.isnan(value) for value in found.summary.values())
        assert isinstance(found + found, ConfusionMatrix)


class TestLayout:
    def test_splits_and_all_that_have_labels(self, tmp_path):
        folder = make_voc(tmp_path, ["a", "b", "c"], lists={"val": ["b", "a"]})
        for place in (tmp_path, tmp_path / "VOCdevkit", folder):
            assert [image.name for image in voc_images(place, "val")] == ["b", "a"]
        assert [image.name for image in voc_images(tmp_path)] == ["a", "b", "c"]
        (tmp_path / "mine.txt").write_text("c\n")
        assert [image.name for image in voc_images(tmp_path, str(tmp_path / "mine.txt"))] == ["c"]

    def test_seg11valid_is_val_without_what_sbd_trains_on(self, tmp_path):
        make_voc(tmp_path, ["a", "b", "c"], "VOC2011", {"val": ["a", "b", "c"]})
        make_sbd(tmp_path, ["b", "x"])
        assert [image.name for image in scored_images(tmp_path, "seg11valid", tmp_path)] == [
            "a",
            "c",
        ]
        assert [image.name for image in sbd_images(tmp_path, without=["b"])] == ["x"]
        assert find_sbd(tmp_path).name == "dataset"

    def test_what_is_missing_is_named(self, tmp_path):
        folder = make_voc(tmp_path, ["a"], lists={"val": ["a", "z"], "double": ["a", "a"]})
        for split, message in (
            ("val", "1 of 2 images .z"),
            ("double", "each once"),
            ("x", "no readable"),
        ):
            with pytest.raises(InputError, match=message):
                voc_images(folder, split)
        with pytest.raises(InputError, match="no folder JPEGImages"):
            voc_images(tmp_path / "VOCdevkit" / "VOC2012" / "ImageSets")
        with pytest.raises(InputError, match="no folders img and cls"):
            find_sbd(tmp_path)


class TestCommand:
    def run(self, folder, predictions, output, *options):
        start = ["evaluate", "--voc", str(folder), "--predictions", str(predictions)]
        return main([*start, "--output", str(output), "--progress", "none", *options])

    def test_shifted_truth_scores_as_counted_and_stands_beside_the_papers(self, tmp_path, capsys):
        folder = make_voc(tmp_path, ["a", "b"], lists={"val": ["a", "b"]})
        (tmp_path / "p").mkdir()
        total = None
        for image in voc_images(folder):
            truth = read_mask(image.mask)
            shifted = np.roll(np.where(truth == VOID, 0, truth), 1, axis=1)
            write_mask(tmp_path / "p" / f"{image.name}.png", shifted)
            one = score(truth, shifted)
            total = one if total is None else total + one
        out = tmp_path / "out"
        assert self.run(folder, tmp_path / "p", out, "--split", "val", "--overlays") == 0
        content = json.loads((out / "voc_metrics.json").read_text())
        assert {key: content[key] for key in SUMMARIES} == pytest.approx(total.summary)
        assert content["confusion"] == total.counts.tolist()
        printed = capsys.readouterr().out
        assert f"| **{100 * total.summary['mean_iu']:.1f}** |" in printed
        assert "FCN-8s (Long et al. 2015, table 2)" in printed
        assert "62.7" in printed
        assert len((out / "voc_metrics.csv").read_text().splitlines()) == 22
        assert sorted(path.name for path in (out / "overlays").iterdir()) == ["a.png", "b.png"]

    def test_a_missing_prediction_is_an_error_and_nothing_is_written(self, tmp_path, capsys):
        folder = make_voc(tmp_path, ["a", "b"])
        (tmp_path / "p").mkdir()
        write_mask(tmp_path / "p" / "a.png", random_mask(0, labels=(0, 1)))
        assert self.run(folder, tmp_path / "p", tmp_path / "out") == 2
        assert "1 of 2 images (b)" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_seg11valid_needs_sbd(self, tmp_path, capsys):
        folder = make_voc(tmp_path, ["a"], lists={"val": ["a"]})
        assert self.run(folder, tmp_path, tmp_path / "out", "--split", "seg11valid") == 2
        assert "--sbd" in capsys.readouterr().err

    def test_options_of_voc_belong_to_voc(self, tmp_path, capsys):
        start = [
            "evaluate",
            "--truth",
            str(tmp_path),
            "--predictions",
            str(tmp_path),
            "--split",
            "val",
        ]
        assert main([*start, "--output", str(tmp_path / "o"), "--progress", "none"]) == 2
        assert "without --voc" in capsys.readouterr().err

    def test_real_images(self, real_data, tmp_path):
        for image in voc_images(real_data / "voc"):
            mask = read_mask(image.mask)
            assert mask.shape == read_image(image.picture).shape[:2]
            assert VOID in mask or image.name.startswith("2011")  # annotated again, without void
            write_mask(tmp_path / f"{image.name}.png", np.where(mask == VOID, 0, mask))
        assert self.run(real_data / "voc", tmp_path, tmp_path / "out", "--overlays") == 0
        content = json.loads((tmp_path / "out" / "voc_metrics.json").read_text())
        assert [content[key] for key in SUMMARIES] == [1.0] * 4
