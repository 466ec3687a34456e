import itertools

import numpy as np
import pytest
import SimpleITK as sitk

from scripted_models.errors import ResourceError
from scripted_models.labels import CAVITY, LABELS
from scripted_models.pictures.font import GLYPHS, draw_text, text_mask
from scripted_models.pictures.panels import LABEL_COLORS, displayed_plane, tumor_of
from scripted_models.pictures.render import (
    png_bytes,
    render_montage,
    render_overlay,
    write_png,
)
from scripted_models.sequences import SEQUENCES

SPACING = (1.0, 1.0, 1.0)
ALL, LOW, HIGH = slice(10, 30), slice(10, 16), slice(24, 30)  # of a 20-voxel cube


def blob(shape=(20, 30, 24)):
    """Return four noisy 'skull-stripped' volumes: a bright ellipsoid in a zero surround."""
    grid = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else [0.0] for n in shape), indexing="ij")
    inside = sum(axis**2 for axis in grid) < 0.9
    noise = np.random.default_rng(0).normal(100, 10, (4, *shape))
    return {
        name: np.where(inside, noise[i], 0).astype(np.float32) for i, name in enumerate(SEQUENCES)
    }


def flat(shape):
    """Return four constant volumes."""
    return {name: np.ones(shape) for name in SEQUENCES}


def nested_labels(shape=(20, 30, 24)):
    labels = np.zeros(shape, np.uint8)
    z, y, x = (n // 2 for n in shape)
    for label, radius in ((2, 7), (3, 5), (4, 3), (1, 1)):
        box = tuple(slice(max(0, c - radius), c + radius + 1) for c in (z, y, x))
        labels[box] = label
    return labels


def of_color(picture, label):
    """Return where a picture shows a label's outline color exactly."""
    return np.all(picture == LABEL_COLORS[label], axis=2)


def center_of(mask):
    return np.argwhere(mask).mean(axis=0)


class TestOrientation:
    def test_planes_follow_the_radiological_convention(self):
        volume = np.zeros((3, 4, 5))
        volume[0, 0, 0] = 1  # inferior, anterior, patient right
        axial = displayed_plane(volume, "axial", 0)
        coronal = displayed_plane(volume, "coronal", 0)
        sagittal = displayed_plane(volume, "sagittal", 0)
        assert (axial.shape, coronal.shape, sagittal.shape) == ((4, 5), (3, 5), (3, 4))
        assert axial[0, 0] == 1, "anterior up, patient right on the image left"
        assert coronal[-1, 0] == 1, "inferior down, patient right on the image left"
        assert sagittal[-1, 0] == 1, "inferior down, anterior on the image left"

    @pytest.mark.parametrize(
        ("row", "mark_zyx", "expected"),
        [
            (0, (ALL, LOW, LOW), (-1, -1)),  # anterior, patient right: axial upper left
            (0, (ALL, LOW, HIGH), (-1, 1)),  # anterior, patient left: axial upper right
            (0, (ALL, HIGH, LOW), (1, -1)),  # posterior, patient right: axial lower left
            (1, (HIGH, ALL, LOW), (-1, -1)),  # superior, patient right: coronal upper left
            (1, (LOW, ALL, HIGH), (1, 1)),  # inferior, patient left: coronal lower right
            (2, (LOW, LOW, ALL), (1, -1)),  # inferior, anterior: sagittal lower left
            (2, (HIGH, HIGH, ALL), (-1, 1)),  # superior, posterior: sagittal upper right
        ],
    )
    def test_mark_in_a_lesion_lands_where_it_belongs(self, row, mark_zyx, expected):
        labels = np.zeros((40, 40, 40), np.uint8)
        labels[ALL, ALL, ALL] = 2
        labels[mark_zyx] = 4
        picture = render_overlay(flat(labels.shape), labels, SPACING)
        lesion, mark = (_in_row(of_color(picture, label), row) for label in (2, 4))
        step = center_of(mark) - _box_center(lesion)
        assert tuple(np.sign(step).astype(int)) == expected

    def test_plane_through_most_tumor_is_named(self):
        labels = np.zeros((20, 30, 24), np.uint8)
        labels[3:6, 10, 10] = 1
        labels[4, 8:12, 8:12] = 2
        picture = render_overlay(blob(), labels, SPACING)
        other = labels.copy()
        other[:] = np.roll(labels, 6, axis=0)
        assert _gutter_has(picture, "5/20")
        assert _gutter_has(render_overlay(blob(), other, SPACING), "11/20")


def _in_row(mask, row):
    """Return one plane's band of the picture of a cube: three rows of equal height."""
    header, legend = 30, 40
    height = (len(mask) - header - legend) // 3
    band = np.zeros_like(mask)
    band[header + row * height : header + (row + 1) * height] = True
    return mask & band


def _box_center(mask):
    hit = np.argwhere(mask)
    return (hit.min(axis=0) + hit.max(axis=0)) / 2


def _gutter_has(picture, text):
    ink = np.rot90(text_mask(text, 2))
    gutter = picture[:, :30].max(axis=2) > 0
    windows = np.lib.stride_tricks.sliding_window_view(gutter, ink.shape)
    return bool((windows == ink).all(axis=(2, 3)).any())


class TestOverlay:
    def test_every_label_is_drawn_and_explained(self):
        labels = nested_labels()
        labels[:, :, 20:] = CAVITY
        picture = render_overlay(blob(), labels, SPACING)
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        for label in LABEL_COLORS:
            seen = of_color(picture, label)
            assert seen[-40:].any(), "legend"
            assert seen[:-40].any(), "outline"

    def test_a_cavity_is_in_the_legend_only_where_there_is_one(self):
        assert not of_color(render_overlay(blob(), nested_labels(), SPACING), CAVITY).any()

    def test_planes_are_those_of_the_tumor_and_not_of_the_cavity(self):
        labels = nested_labels()
        labels[0] = CAVITY
        tumor = nested_labels() > 0
        tumor[0] = False
        assert np.array_equal(tumor_of([labels]), tumor)
        assert np.array_equal(tumor_of([np.where(labels == CAVITY, labels, 0)]), labels == CAVITY)

    def test_colors_cover_the_labels_and_differ_for_the_color_blind(self):
        assert set(LABEL_COLORS) == set(LABELS) - {0}
        # Deuteranopia, Machado et al. 2009, applied to linear light.
        simulate = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
        seen = {k: simulate @ (np.array(c) / 255) ** 2.2 for k, c in LABEL_COLORS.items()}
        seen = {k: 255 * np.clip(c, 0, 1) ** (1 / 2.2) for k, c in seen.items()}
        for one, other in itertools.combinations(seen, 2):
            assert np.linalg.norm(seen[one] - seen[other]) > 60, (one, other)

    def test_truth_adds_one_column(self):
        volumes, labels = blob(), nested_labels()
        plain = render_overlay(volumes, labels, SPACING)
        with_truth = render_overlay(volumes, labels, SPACING, truth=np.zeros_like(labels))
        assert with_truth.shape[1] > plain.shape[1] + 200
        assert np.array_equal(with_truth[30:-40, : plain.shape[1]], plain[30:-40])
        assert not of_color(with_truth, 4)[:-40, plain.shape[1] :].any(), "empty truth stays plain"

    def test_missed_tumor_is_shown(self):
        """An empty prediction does not move the planes away from the true tumor."""
        truth = np.zeros((20, 30, 24), np.uint8)
        truth[4:7, 8:12, 8:12] = 4
        picture = render_overlay(blob(), np.zeros_like(truth), SPACING, truth)
        assert of_color(picture, 4)[:-40].any()

    def test_sequence_columns_stay_free_of_color(self):
        picture = render_overlay(blob(), nested_labels(), SPACING)[:-40]
        colored = np.flatnonzero((np.ptp(picture[40:, 40:].astype(int), axis=2) > 40).any(axis=0))
        assert colored.min() > 0.75 * picture.shape[1]

    def test_overlay_falls_back_to_the_sequence_at_hand(self):
        only_t1c = {"t1c": blob()["t1c"]}
        assert of_color(render_overlay(only_t1c, nested_labels(), SPACING), 4)[:-70].any()


class TestOddInput:
    def test_empty_labels_show_the_brain_center(self):
        picture = render_overlay(blob(), np.zeros((20, 30, 24), np.uint8), SPACING)
        assert _gutter_has(picture, "10/20")
        assert not of_color(picture, 2)[:-40].any()

    @pytest.mark.parametrize("shape", [(1, 30, 24), (20, 1, 24), (20, 30, 1), (1, 1, 1), (2, 3, 2)])
    def test_thin_and_tiny_volumes(self, shape):
        labels = np.full(shape, 4, np.uint8)
        volumes = blob(shape)
        assert render_overlay(volumes, labels, SPACING, labels).max() > 0
        assert render_montage(volumes["flair"], labels, SPACING).max() > 0

    def test_anisotropic_spacing_keeps_proportions(self):
        """A lesion of 20 mm in all directions is as high as wide in every plane."""
        labels = np.zeros((10, 60, 60), np.uint8)
        labels[3:7, 20:40, 20:40] = 2  # 4 slices of 5 mm, 20 voxels of 1 mm
        picture = render_overlay(flat(labels.shape), labels, (1.0, 1.0, 5.0))
        body = of_color(picture, 2)[:-40]
        lines = np.flatnonzero(body.any(axis=1))
        bands = np.split(lines, np.flatnonzero(np.diff(lines) > 20) + 1)
        assert len(bands) == 3
        for band in bands:
            columns = np.flatnonzero(body[band].any(axis=0))
            assert len(band) == pytest.approx(np.ptp(columns) + 1, rel=0.06)

    @pytest.mark.parametrize("fill", [0.0, 7.0, np.nan, np.inf])
    def test_constant_and_non_finite_images(self, fill):
        volume = np.full((6, 8, 8), fill)
        labels = np.zeros(volume.shape, np.uint8)
        labels[2, 3, 3] = 1
        with np.errstate(all="raise"):
            picture = render_overlay({"t1": volume}, labels, SPACING)
        assert of_color(picture, 1)[:-70].any()  # a narrow picture has a legend of two lines

    def test_one_outlier_does_not_darken_the_brain(self):
        volumes = blob()
        clean = render_overlay({"t1": volumes["t1"]}, nested_labels(), SPACING)
        volumes["t1"][10, 15, 12] = 1e9
        spoiled = render_overlay({"t1": volumes["t1"]}, nested_labels(), SPACING)
        assert spoiled.mean() > 0.8 * clean.mean()

    def test_standardized_volumes_keep_a_black_surround(self):
        """After z-scoring, the surround (0) lies in the middle of the brain's gray levels."""
        volume = blob()["t1"]
        volume = np.where(volume > 0, (volume - 100) / 10, 0)
        picture = render_overlay({"t1": volume}, np.zeros(volume.shape, np.uint8), SPACING)
        assert np.mean(picture == 0) > 0.4

    def test_background_of_a_head_with_skull_is_not_needed(self):
        volume = np.random.default_rng(1).normal(100, 20, (6, 20, 20))
        assert render_overlay({"t2": volume}, np.zeros(volume.shape, np.uint8), SPACING).std() > 10

    @pytest.mark.parametrize(
        ("volumes", "labels", "spacing", "part"),
        [
            ({}, np.zeros((2, 2, 2)), SPACING, "no volume"),
            ({"t1": np.zeros((2, 2, 3))}, np.zeros((2, 2, 2)), SPACING, "shape"),
            ({"t1": np.zeros((2, 2))}, np.zeros((2, 2)), SPACING, "shape"),
            ({"t1": np.zeros((2, 2, 2))}, np.zeros((2, 2, 2)), (1, 0, 1), "spacing"),
        ],
    )
    def test_wrong_arguments_are_named(self, volumes, labels, spacing, part):
        with pytest.raises(ValueError, match=part):
            render_overlay(volumes, labels, spacing)


class TestMontage:
    def test_slices_run_through_the_whole_tumor(self):
        labels = np.zeros((20, 30, 24), np.uint8)
        labels[4:17, 10:20, 8:16] = 2
        picture = render_montage(blob()["flair"], labels, SPACING, count=4, columns=4)
        edges = of_color(picture, 2)[:-40]
        tile = edges.shape[1] // 4
        assert all(edges[:, i * tile : (i + 1) * tile].any() for i in range(4))

    def test_thin_tumor_at_the_top_of_the_brain(self):
        labels = np.zeros((20, 30, 24), np.uint8)
        labels[19, 15, 12] = 4
        picture = render_montage(blob()["flair"], labels, SPACING)
        assert of_color(picture, 4)[:-40].any()

    def test_truth_is_a_white_line(self):
        labels, truth = np.zeros((2, 20, 30, 24), np.uint8)
        truth[8:12, 10:20, 8:16] = 4
        volume = np.zeros(labels.shape)
        white = np.all(render_montage(volume, labels, SPACING, truth)[:-40] == 255, axis=2)
        assert white.sum() > 100
        assert not np.all(render_montage(volume, labels, SPACING)[:-40] == 255, axis=2).any()

    def test_no_tile_is_refused(self):
        with pytest.raises(ValueError, match="at least 1"):
            render_montage(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), SPACING, count=0)


class TestPng:
    @pytest.mark.parametrize("shape", [(1, 1, 3), (17, 31, 3), (64, 48, 3)])
    def test_reads_back_equal(self, shape, tmp_path):
        picture = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
        write_png(tmp_path / "p.png", picture)
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "p.png")), picture)

    def test_rendered_picture_reads_back_equal(self, tmp_path):
        picture = render_overlay(blob(), nested_labels(), SPACING)
        write_png(tmp_path / "p.png", picture)
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "p.png")), picture)
        assert (tmp_path / "p.png").read_bytes() == png_bytes(picture)

    @pytest.mark.parametrize(
        "picture", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3)), np.zeros((0, 2, 3), np.uint8)]
    )
    def test_other_arrays_are_refused(self, picture):
        with pytest.raises(ValueError, match="uint8"):
            png_bytes(picture)

    def test_missing_folder_is_named(self, tmp_path):
        path = tmp_path / "absent" / "p.png"
        with pytest.raises(ResourceError, match="No such file") as caught:
            write_png(path, np.zeros((2, 2, 3), np.uint8))
        assert caught.value.fields["path"] == str(path)

    def test_nothing_else_is_left_in_the_folder(self, tmp_path):
        write_png(tmp_path / "p.png", np.zeros((2, 2, 3), np.uint8))
        assert [p.name for p in tmp_path.iterdir()] == ["p.png"]

    def test_failed_write_keeps_the_old_file(self, tmp_path, monkeypatch):
        path = tmp_path / "p.png"
        path.write_bytes(b"old")

        def no_move(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.replace", no_move)
        with pytest.raises(ResourceError, match="No space left"):
            write_png(path, np.zeros((2, 2, 3), np.uint8))
        assert [p.name for p in tmp_path.iterdir()] == ["p.png"]
        assert path.read_bytes() == b"old"


class TestFont:
    def test_glyphs_are_complete_and_distinct(self):
        wanted = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:-+/()%=<>_#?'"
        assert set(wanted) == set(GLYPHS)
        drawings = {(glyph.shape, glyph.tobytes()) for glyph in GLYPHS.values()}
        assert len(drawings) == len(GLYPHS)

    def test_unknown_characters_become_question_marks(self):
        assert np.array_equal(text_mask("é"), text_mask("?"))
        assert text_mask("").shape == (9, 0)

    @pytest.mark.parametrize(("top", "left"), [(-5, -5), (18, 28), (200, 200), (-200, 0)])
    def test_text_outside_the_canvas_is_cut(self, top, left):
        canvas = np.zeros((20, 30, 3), np.uint8)
        draw_text(canvas, "Tumor", top, left)
        assert canvas.shape == (20, 30, 3)
