"""Label maps by the colors of any palette, and pictures whose conversion would lose something."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_voc import make_voc

from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.tasks.voc.classes import VOID, palette
from scripted_models.tasks.voc.masks import read_mask
from scripted_models.tasks.voc.picture_files import read_image

INDICES = [*range(21), VOID]
GRAY = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def save_palette(path, indices, colors, **options):
    """Write indices with a palette of these colors alone."""
    image = Image.fromarray(np.ascontiguousarray(indices, np.uint8), "P")
    image.putpalette(np.asarray(colors, np.uint8).tobytes())
    image.save(path, **options)
    return path


def picture(shape=(6, 8)):
    return np.random.default_rng(3).integers(0, 256, (*shape, 3)).astype(np.uint8)


class TestPalettes:
    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.sampled_from(INDICES), min_size=1, max_size=22, unique=True), st.randoms())
    def test_the_color_tells_the_class_in_any_order(self, tmp_path_factory, classes, rng):
        folder = tmp_path_factory.mktemp("maps")
        mask = np.random.default_rng(rng.randrange(99)).choice(classes, (9, 7)).astype(np.uint8)
        order = list(classes)
        rng.shuffle(order)
        place = np.zeros(256, np.uint8)
        place[order] = range(len(order))
        path = save_palette(folder / "a.png", place[mask], palette()[order])
        assert np.array_equal(read_mask(path), mask)
        Image.fromarray(palette()[mask]).save(folder / "rgb.png")
        again = Image.open(folder / "rgb.png").quantize(len(classes))
        if len(again.getcolors()) == len(np.unique(mask)):
            again.save(folder / "quantized.png", optimize=True)
            assert np.array_equal(read_mask(folder / "quantized.png"), mask)

    @settings(max_examples=20, deadline=None)
    @given(st.integers(0, 10_000), st.booleans())
    def test_gray_is_the_index_itself(self, tmp_path_factory, seed, sorted_anew):
        folder = tmp_path_factory.mktemp("maps")
        mask = np.random.default_rng(seed).choice([0, 1, 7, 15, VOID], (9, 7)).astype(np.uint8)
        mask[0, 0] = 1
        used, places = np.unique(mask, return_inverse=True)
        if sorted_anew:
            path = save_palette(folder / "a.png", places.reshape(mask.shape), GRAY[used])
        else:
            path = save_palette(folder / "a.png", mask, GRAY)
        assert np.array_equal(read_mask(path), mask)
        for kind in (np.uint8, np.uint16):
            Image.fromarray(mask.astype(kind)).save(folder / "gray.png")
            assert np.array_equal(read_mask(folder / "gray.png"), mask)

    @pytest.mark.parametrize("void", [(0, 0, 0), (255, 255, 255), None], ids=str)
    def test_void_is_void_where_only_the_classes_have_their_color(self, void, tmp_path):
        mask = np.array([[0, 15, VOID], [7, 7, 0]], np.uint8)
        colors = palette()[:21] if void is None else np.full((256, 3), void)
        colors[:21] = palette()[:21]
        assert np.array_equal(read_mask(save_palette(tmp_path / "a.png", mask, colors)), mask)

    def test_colors_of_other_data_sets_are_refused(self, tmp_path):
        colors = np.random.default_rng(0).integers(0, 256, (256, 3))
        path = save_palette(tmp_path / "a.png", [[0, 1], [2, 15]], colors)
        with pytest.raises(InputError, match=r"not in the palette of VOC, such as \("):
            read_mask(path)

    @pytest.mark.parametrize("color", [(0, 0, 0), (128, 0, 0), (9, 9, 9)], ids=str)
    def test_indices_of_one_color_are_refused(self, color, tmp_path):
        path = save_palette(tmp_path / "a.png", [[1, 7], [7, 15]], np.full((256, 3), color))
        with pytest.raises(InputError, match=r"the indices \[1, 7, 15\] in one color"):
            read_mask(path)
        assert len(np.unique(read_mask(save_palette(path, [[15, 15]], palette()[:16])))) == 1

    def test_a_bus_is_gray_and_stays_a_bus(self, tmp_path):
        path = save_palette(tmp_path / "a.png", [[0, 1]], [(128, 128, 128), (0, 0, 0)])
        assert read_mask(path).tolist() == [[7, 0]]


def two_frames(path):
    frames = [Image.fromarray(picture()), Image.fromarray(255 - picture())]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def with_alpha(path, least):
    alpha = np.full((6, 8, 1), 255, np.uint8)
    alpha[0, 0] = least
    Image.fromarray(np.concatenate([picture(), alpha], axis=2)).save(path)


def deep_rgb(path):
    """Write an RGB PNG of 16 bits, which Pillow reads as 8 bits but cannot write."""
    import struct
    import zlib

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    row = b"\0" + bytes(range(48))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 1, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )


def with_orientation(path, orientation, **options):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(picture()).save(path, exif=exif, **options)


LOSSY = {
    "16-bit gray": (
        lambda p: Image.fromarray(picture()[..., 0].astype(np.uint16)).save(p),
        "16 bits",
    ),
    "16-bit colors": (deep_rgb, "16 bits"),
    "alpha": (lambda p: with_alpha(p, 254), "transparent pixels"),
    "transparent color": (
        lambda p: save_palette(p, [[0, 1]], [(0, 0, 0), (9, 9, 9)], transparency=1),
        "transparent pixels",
    ),
    "animated": (two_frames, "2 pictures in one file"),
    "CMYK": (lambda p: Image.fromarray(picture()).convert("CMYK").save(p, "JPEG"), "CMYK"),
    "GIF": (lambda p: Image.fromarray(picture()[..., 0]).save(p, "GIF"), "as JPEG or PNG"),
    "damaged EXIF": (
        lambda p: Image.fromarray(picture()).save(
            p, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
        ),
        r"cannot be read .*EXIF",
    ),
    "pipe": (os.mkfifo, "pipe or device"),
    **{
        f"EXIF {n} {kind}": (
            lambda p, n=n, kind=kind: with_orientation(p, n, format=kind),
            rf"orientation {n} in EXIF",
        )
        for n in range(2, 9)
        for kind in ("PNG", "JPEG")
    },
}


class TestPictures:
    @pytest.mark.parametrize("kind", LOSSY)
    def test_what_would_be_lost_is_named(self, kind, tmp_path):
        write, words = LOSSY[kind]
        write(tmp_path / "a.png")
        with pytest.raises(InputError, match=words):
            read_image(tmp_path / "a.png")

    def test_what_loses_nothing_is_read(self, tmp_path):
        path = tmp_path / "a.png"
        with_alpha(path, 255)
        assert np.array_equal(read_image(path), picture())
        with_orientation(path, 1)
        assert np.array_equal(read_image(path), picture())
        gray = picture()[..., 0]
        Image.fromarray(gray).save(path)
        assert np.array_equal(read_image(path), np.repeat(gray[..., None], 3, axis=2))
        save_palette(path, [[1, 0]], [(1, 2, 3), (4, 5, 6)])
        assert read_image(path).tolist() == [[[4, 5, 6], [1, 2, 3]]]

    @pytest.mark.parametrize(
        ("write", "words"),
        [
            (lambda p: Image.fromarray(np.ones((4, 4), np.uint8)).save(p, "JPEG"), "a JPEG"),
            (lambda p: Image.fromarray(np.eye(4, dtype=bool)).save(p), "fewer than 8 bits"),
            (lambda p: Image.fromarray(np.eye(4, dtype=np.uint8) * 255).save(p), "0 and 255 alone"),
            (lambda p: Image.fromarray(np.full((4, 4), 3855, np.uint16)).save(p), "indices .3855"),
            (
                lambda p: save_palette(p, [[0, 1]], palette()[:2], transparency=b"\0\xff"),
                "transparent",
            ),
            (two_frames, "2 pictures"),
        ],
    )
    def test_a_label_map_that_is_not_exact_is_refused(self, write, words, tmp_path):
        write(tmp_path / "a.png")
        with pytest.raises(InputError, match=words):
            read_mask(tmp_path / "a.png")


def test_a_perfect_prediction_saved_again_scores_100(tmp_path):
    folder = make_voc(tmp_path, ["a", "b"])
    (tmp_path / "p").mkdir()
    for name in "ab":
        truth = read_mask(folder / "SegmentationClass" / f"{name}.png")
        mask = np.where(truth == VOID, 0, truth)
        colors = Image.fromarray(palette()[mask]).quantize(8)
        colors.save(tmp_path / "p" / f"{name}.png")
    options = ["--predictions", str(tmp_path / "p"), "--output", str(tmp_path / "o")]
    assert main(["evaluate", "--voc", str(folder), *options, "--progress", "none"]) == 0
    assert '"mean_iu": 1.0' in (tmp_path / "o" / "voc_metrics.json").read_text()


def test_a_turned_picture_ends_the_command(tmp_path, capsys):
    folder = make_voc(tmp_path, ["a"])
    with_orientation(folder / "JPEGImages" / "a.jpg", 6)
    options = ["--predictions", str(folder / "SegmentationClass"), "--output", str(tmp_path / "o")]
    start = ["evaluate", "--voc", str(folder), "--overlays", "--progress", "none"]
    truth = read_mask(folder / "SegmentationClass" / "a.png")
    assert VOID in truth
    Image.fromarray(np.where(truth == VOID, 0, truth)).save(tmp_path / "a.png")
    options[1] = str(tmp_path)
    assert main([*start, *options]) == 2
    assert "EXIF" in capsys.readouterr().err


def test_the_truth_is_no_prediction(tmp_path, capsys):
    folder = make_voc(tmp_path, ["a"])
    truth = folder / "SegmentationClass"
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "a.png").symlink_to(truth / "a.png")
    start = ["evaluate", "--voc", str(folder), "--output", str(tmp_path / "o")]
    for predictions in (truth, tmp_path / "p"):
        assert main([*start, "--predictions", str(predictions), "--progress", "none"]) == 2
        assert "the ground truth itself" in capsys.readouterr().err
