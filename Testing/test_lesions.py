"""Connected lesions: numbers, sizes, side, and what makes one measurable."""

from dataclasses import fields
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.geometry import Grid
from scripted_models.measurement.diameters import axial_diameters
from scripted_models.measurement.inscribed_ball import (
    filled_slices,
    largest_ball_mm,
    without_pinholes,
)
from scripted_models.measurement.lesion_table import COLUMNS, lesion_rows
from scripted_models.measurement.lesions import SMALLEST_ML, find_lesions

SHAPE = (24, 48, 60)


def grid(**more):
    return Grid(SHAPE[::-1], **{"spacing_xyz_mm": (1.0, 1.0, 2.0), **more})


def boxes(*places, label=4):
    """Label map with boxes: (z, y, x) of the first voxel, then size (z, y, x)."""
    labels = np.zeros(SHAPE, np.uint8)
    for z, y, x, depth, height, width in places:
        labels[z : z + depth, y : y + height, x : x + width] = label
    return labels


ASIDE = 1e-6 * np.array(list(product((-1, 1), repeat=3)))  # from a point between voxels
LARGE, SMALL = (4, 4, 4, 6, 14, 16), (14, 30, 40, 4, 6, 8)


class TestParts:
    def test_numbers_go_by_volume(self):
        found = find_lesions(boxes(SMALL, LARGE), grid())
        assert [(item.number, item.voxels) for item in found.items] == [(1, 1344), (2, 192)]
        assert [item.volume_ml for item in found.items] == pytest.approx([2.688, 0.384])
        assert found.numbers[5, 5, 5] == 1
        assert found.numbers[15, 31, 41] == 2
        assert np.count_nonzero(found.numbers) == 1344 + 192

    def test_corners_connect(self):
        touching = (10, 18, 20, 4, 6, 8)
        assert len(find_lesions(boxes(LARGE, touching), grid()).items) == 1

    def test_small_parts_are_counted_and_left_out(self):
        labels = boxes(LARGE, (20, 40, 50, 1, 5, 5), (20, 40, 58, 1, 1, 1))
        found = find_lesions(labels, grid())  # a voxel has 2 microliters: 25 make SMALLEST_ML
        assert [item.voxels for item in found.items] == [1344, 25]
        assert (found.left_out, found.left_out_ml) == (1, pytest.approx(0.002))
        assert found.items[1].volume_ml == pytest.approx(SMALLEST_ML)
        assert found.numbers[20, 40, 58] == 0

    def test_whole_tumor_counts_where_nothing_enhances(self):
        found = find_lesions(boxes(LARGE, label=2), grid())
        assert (found.region, found.items[0].region) == ("WT", "WT")
        assert find_lesions(boxes(LARGE), grid()).region == "ET"

    def test_no_tumor_has_no_lesions(self):
        found = find_lesions(np.zeros(SHAPE, np.uint8), grid(), np.ones(SHAPE, bool))
        assert (found.items, found.left_out, found.numbers.shape) == ((), 0, SHAPE)

    def test_slices_and_centroid(self):
        item = find_lesions(boxes(LARGE), grid(origin_lps_mm=(-3.0, 5.0, 7.0))).items[0]
        assert (item.slices, item.first_slice, item.last_slice) == (6, 4, 9)
        assert item.centroid_lps_mm == pytest.approx((8.5, 15.5, 20.0))

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=15, deadline=None)
    def test_diameters_are_those_of_the_lesion_alone(self, seed):
        noise = np.random.default_rng(seed).random((6, 14, 14))
        labels = np.zeros(SHAPE, np.uint8)
        labels[3:9, 5:19, 7:21] = 4 * (noise < 0.3)
        turn = sitk.VersorTransform((0.6, 0.8, 0.0), 0.4).GetMatrix()
        place = grid(spacing_xyz_mm=(0.7, 1.3, 5.0), direction=tuple(turn))
        found = find_lesions(labels, place)
        for item in found.items:
            alone = axial_diameters(found.numbers == item.number, place)
            for name in (field.name for field in fields(alone)):
                assert np.allclose(getattr(item.diameters, name), getattr(alone, name))


class TestSide:
    brain = np.pad(np.ones((20, 40, 50), bool), ((2, 2), (4, 4), (5, 5)))

    @pytest.mark.parametrize("mirrored", [False, True])
    @pytest.mark.parametrize(
        ("x", "width", "side"),
        [(10, 10, "right"), (40, 10, "left"), (20, 20, "both"), (12, 19, "right")],
    )
    def test_follows_the_left_right_axis(self, x, width, side, mirrored):
        labels = boxes((8, 20, x, 4, 10, width))
        direction = (-1.0, 0, 0, 0, 1, 0, 0, 0, 1) if mirrored else Grid((1, 1, 1)).direction
        if mirrored:
            labels = labels[:, :, ::-1]
        place = grid(direction=direction, origin_lps_mm=(-40.0, 0.0, 0.0))
        assert find_lesions(labels, place, self.brain).items[0].side == side

    @pytest.mark.parametrize("brain", [None, np.zeros(SHAPE, bool)])
    def test_is_unknown_without_a_brain(self, brain):
        assert find_lesions(boxes(LARGE), grid(), brain).items[0].side is None


class TestMeasurable:
    @pytest.mark.parametrize(
        ("size", "spacing_z", "expected"),
        [
            ((2, 10, 10), 5.0, True),
            ((1, 10, 10), 5.0, False),  # one slice
            ((4, 9, 40), 1.0, False),  # one diameter
            ((4, 10, 40), 1.0, True),
            ((2, 13, 13), 7.0, False),  # below twice the slice thickness
            ((2, 14, 14), 7.0, True),
        ],
    )
    def test_takes_two_slices_and_both_diameters(self, size, spacing_z, expected):
        depth, height, width = size
        rows, columns = np.mgrid[:height, :width] + 0.5
        ellipse = np.hypot(2 * rows / height - 1, 2 * columns / width - 1) <= 1
        labels = np.zeros(SHAPE, np.uint8)
        labels[4 : 4 + depth, 4 : 4 + height, 4 : 4 + width] = 4 * ellipse
        place = grid(spacing_xyz_mm=(1.0, 1.0, spacing_z))
        assert find_lesions(labels, place).items[0].is_measurable is expected

    @pytest.mark.parametrize("bent", [False, True])
    def test_lines_along_a_bent_rim_make_no_nodule(self, bent):
        labels = boxes((4, 4, 4, 8, 30, 4))
        labels[4:12, 4:8, 4 : 4 + 30 * bent] = 4  # an L
        item = find_lesions(labels, grid()).items[0]
        assert not item.is_measurable
        assert ("nodule" in item.shortcoming) is bent
        labels[4:12, 4:14, 4:14] = 4
        assert find_lesions(labels, grid()).items[0].is_measurable

    @pytest.mark.parametrize("thick", [3, 12])
    def test_shell_is_not_measured_where_its_top_is_cut_off(self, thick):
        z, y, x = np.mgrid[:48, :48, :48] - 24
        radius = np.sqrt(z**2 + y**2 + x**2)
        labels = np.where((radius <= 20) & (radius > 20 - thick), 4, 0).astype(np.uint8)
        item = find_lesions(labels, Grid((48, 48, 48))).items[0]
        assert item.ball_mm == pytest.approx(thick, abs=1)
        assert item.is_measurable is (thick > 10)

    @pytest.mark.parametrize("spacing_z", [1.0, 2.0])
    def test_flat_lesion_is_no_rim(self, spacing_z):
        z, y, x = np.mgrid[:12, :40, :48] - np.array([6, 20, 24]).reshape(3, 1, 1, 1)
        inside = np.hypot(np.hypot(y, x) / 10, z * spacing_z / 3) <= 1
        place = grid(spacing_xyz_mm=(1.0, 1.0, spacing_z))
        item = find_lesions(np.where(inside, 4, 0).astype(np.uint8), place).items[0]
        assert item.is_measurable
        assert item.ball_mm < 7

    def test_pinhole_makes_no_rim(self):
        z, y, x = np.mgrid[:32, :32, :32] - 16
        labels = np.where(z**2 + y**2 + x**2 <= 7**2, 4, 0).astype(np.uint8)
        whole = find_lesions(labels, Grid((32, 32, 32))).items[0]
        labels[16, 16, 16] = 1
        holed = find_lesions(labels, Grid((32, 32, 32))).items[0]
        assert holed.is_measurable
        assert holed.ball_mm == whole.ball_mm
        assert holed.voxels == whole.voxels - 1

    @given(st.integers(0, 2**32 - 1))
    @settings(max_examples=15, deadline=None)
    def test_ellipsoid_with_two_long_lines_is_measurable(self, seed):
        random = np.random.default_rng(seed)
        axes, _ = np.linalg.qr(random.normal(size=(3, 3)))
        points = np.stack(np.mgrid[:24, :32, :32], axis=-1) - (12, 16, 16)
        inside = np.linalg.norm(points @ axes / random.uniform(2, 12, 3), axis=-1) <= 1
        for item in find_lesions(np.where(inside, 4, 0).astype(np.uint8), Grid((32, 32, 24))).items:
            lines = (item.diameters.longest_mm, item.diameters.perpendicular_mm)
            assert item.is_measurable is (min(lines) >= 10 and item.slices >= 2)

    def test_thin_rim_is_measurable_only_across_its_cavity(self):
        y, x = np.mgrid[:48, :60]
        radius = np.hypot(y - 24, x - 30)
        labels = np.zeros(SHAPE, np.uint8)
        labels[4:10] = np.where((radius < 20) & (radius >= 18), 4, np.where(radius < 18, 1, 0))
        excluded, included = (
            find_lesions(labels, grid(), necrosis=choice) for choice in ("excluded", "included")
        )
        assert not excluded.items[0].is_measurable
        assert included.items[0].is_measurable
        assert (excluded.necrosis, included.necrosis) == ("excluded", "included")
        assert included.items[0].diameters.longest_mm == pytest.approx(40, abs=1)


class TestBall:
    @pytest.mark.parametrize("size", [(7, 12, 9), (10, 10, 10), (11, 20, 12), (1, 3, 5)])
    def test_of_a_box_is_as_wide_as_its_shortest_side(self, size):
        mask = np.zeros((24, 24, 24), bool)
        mask[tuple(slice(3, 3 + n) for n in size)] = True
        place = Grid((24, 24, 24), (0.5, 0.5, 0.5))
        assert largest_ball_mm(mask, place) == pytest.approx(min(size) / 2)

    def test_large_hole_stays(self):
        mask = np.ones((9, 9, 9), bool)
        mask[2:5, 2:5, 2:5] = False
        assert without_pinholes(mask, 27).all()
        assert np.array_equal(without_pinholes(mask, 26), mask)
        assert np.array_equal(without_pinholes(mask[:, 2:5, 2:5], 10000), mask[:, 2:5, 2:5])

    @given(st.integers(0, 2**32 - 1), st.sampled_from((0, 1, 2)))
    @settings(max_examples=15, deadline=None)
    def test_filled_slices_are_convex(self, seed, axis):
        mask = np.random.default_rng(seed).random((5, 7, 6)) < 0.2
        filled = np.moveaxis(filled_slices(mask, axis), axis, 0)
        for plane, full in zip(np.moveaxis(mask, axis, 0), filled, strict=True):
            assert not (plane & ~full).any()
            places = np.argwhere(full)
            middle = (places[:, None] + places[None]) / 2
            whole = (middle % 1 == 0).all(axis=2)
            assert full[tuple(middle[whole].astype(int).T)].all()

    @given(st.integers(0, 2**32 - 1), st.sampled_from((0.6, 1.0, 2.5)))
    @settings(max_examples=15, deadline=None)
    def test_agrees_with_a_slow_search(self, seed, spacing_z):
        mask = np.random.default_rng(seed).random((3, 4, 5)) < 0.9
        near = np.pad(mask, 1)
        half = np.stack(np.meshgrid(*(np.arange(2 * n + 1) / 2 for n in mask.shape)), -1)
        half = half.reshape(-1, 3)  # 0 is the first border
        inside = [
            all(near[tuple(np.floor(p + aside).astype(int) + 1)] for aside in ASIDE) for p in half
        ]
        points = half * (spacing_z, 1.0, 1.0)
        out = points[~np.array(inside)]
        radii = [np.linalg.norm(out - p, axis=1).min() for p in points[inside]]
        found = largest_ball_mm(mask, Grid((5, 4, 3), (1.0, 1.0, spacing_z)))
        assert found == pytest.approx(2 * max(radii, default=0))


def test_rows_have_the_columns_of_the_table():
    found = find_lesions(boxes(LARGE, SMALL), grid(), TestSide.brain)
    rows = lesion_rows(found)
    assert [tuple(row) for row in rows] == [COLUMNS, COLUMNS]
    first, item = rows[0], found.items[0]
    assert first["longest_mm"] == pytest.approx(item.diameters.longest_mm, abs=1e-3)
    product = item.diameters.longest_mm * item.diameters.perpendicular_mm
    assert first["product_mm2"] == pytest.approx(product, abs=1e-3)
    assert (first["measurable"], rows[1]["measurable"], first["side"]) == (True, False, "right")
