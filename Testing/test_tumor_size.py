"""Voxels, volumes and axial diameters against shapes of known size, a slow search and ITK."""

import json
from itertools import combinations, permutations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scripted_models.bundle.weights import load_model
from scripted_models.cases.case import Case
from scripted_models.geometry import Grid
from scripted_models.inference import choose_device
from scripted_models.labels import REGIONS, TUMOR_LABELS, region_mask
from scripted_models.measurement.diameters import axial_diameters
from scripted_models.measurement.lesions import find_lesions
from scripted_models.measurement.volumes import measure
from scripted_models.segmentation.outputs import INTERNAL, OutputOptions, write_outputs
from scripted_models.segmentation.result import Segmentation
from scripted_models.sequences import SEQUENCES

masks = arrays(bool, st.tuples(*(st.integers(1, n) for n in (3, 7, 7))))
spacings = st.tuples(*[st.sampled_from((0.5, 0.9, 1.0, 2.5))] * 3)


def grid_of(array, spacing=(1.0, 1.0, 1.0), **more):
    return Grid(array.shape[::-1], spacing, **more)


def hull_diameters(mask, grid):
    return axial_diameters(mask, grid, necrosis="included")


def diameters(mask, spacing=(1.0, 1.0, 1.0)):
    found = hull_diameters(mask, grid_of(mask, spacing))
    return found.longest_mm, found.perpendicular_mm


def in_slice(plane, index=1, slices=3):
    mask = np.zeros((slices, *plane.shape), bool)
    mask[index] = plane
    return mask


def turned_plane(inside, size=121):
    """Voxels of a plane whose centers, relative to its middle, fulfill `inside(x, y)`."""
    y, x = np.mgrid[:size, :size] - size // 2 + 0.0
    return in_slice(inside(x, y))


def rotated(x, y, angle):
    return x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)


class TestShapes:
    def test_empty_mask_has_none(self):
        assert hull_diameters(np.zeros((3, 4, 5), bool), Grid((5, 4, 3))) is None

    def test_single_voxel_measures_its_edges(self):
        mask = np.zeros((3, 4, 5), bool)
        mask[2, 1, 3] = True
        assert diameters(mask) == (1, 1)
        assert diameters(mask, (0.5, 2.0, 7.0)) == (2.0, 0.5)

    def test_row_of_n_voxels_measures_n(self):
        mask = np.zeros((3, 9, 9), bool)
        mask[1, 4, 2:8] = True
        found = hull_diameters(mask, grid_of(mask))
        assert (found.longest_mm, found.perpendicular_mm, found.slice_index) == (6, 1, 1)
        assert sorted(found.longest_ends_lps_mm) == [(1.5, 4, 1), (7.5, 4, 1)]

    @pytest.mark.parametrize("angle", [0.0, 0.4, 1.1, 2.2])
    @pytest.mark.parametrize("axes", [(50.0, 20.0), (31.0, 30.0), (40.0, 5.0)])
    def test_turned_ellipse_measures_its_axes(self, angle, axes):
        def inside(x, y):
            u, v = rotated(x, y, angle)
            return (u / axes[0]) ** 2 + (v / axes[1]) ** 2 <= 1

        longest, perpendicular = diameters(turned_plane(inside))
        assert longest == pytest.approx(2 * axes[0], abs=1.5)
        assert perpendicular == pytest.approx(2 * axes[1], abs=1.5)

    @pytest.mark.parametrize("angle", [0.0, 0.3, 0.9])
    def test_turned_rectangle_measures_its_diagonal(self, angle):
        half = np.array([40.0, 15.0])
        mask = turned_plane(
            lambda x, y: np.max(np.abs(rotated(x, y, angle)) / half[:, None, None], axis=0) <= 1
        )
        diagonal = 2 * np.hypot(*half)
        longest, perpendicular = diameters(mask)
        assert longest == pytest.approx(diagonal, abs=1.5)
        # the perpendicular to the diagonal that starts in the other corner ends on the long side
        slope = half[1] / half[0]
        assert perpendicular == pytest.approx(2 * half[1] * np.sqrt(1 + slope**2), abs=1.5)

    def test_ring_is_measured_across_its_center(self):
        def ring(x, y):
            return (np.hypot(x, y) <= 30) & (np.hypot(x, y) > 25)

        assert diameters(turned_plane(ring)) == pytest.approx((61, 61), abs=1)

    def test_bay_is_crossed(self):
        plane = np.ones((9, 9), bool)
        plane[2:7, 3:] = False  # a C
        assert diameters(in_slice(plane)) == diameters(in_slice(np.ones((9, 9), bool)))

    def test_two_lesions_are_not_measured_across(self):
        plane = np.zeros((20, 30), bool)
        plane[2:5, 2:9] = True
        both = plane.copy()
        both[12:16, 22:28] = True
        assert diameters(in_slice(both)) == diameters(in_slice(plane))

    def test_corners_connect_within_a_slice_but_slices_do_not(self):
        staircase = np.eye(6, dtype=bool)
        whole = diameters(in_slice(staircase))[0]
        assert whole == pytest.approx(np.hypot(5, 6))
        spread = np.zeros((6, 6, 6), bool)
        spread[range(6), range(6), range(6)] = True
        assert diameters(spread) == (1, 1)

    def test_largest_slice_counts(self):
        mask = np.zeros((5, 12, 12), bool)
        mask[1, 2:11, 2:5] = mask[3, 2:12, 2:4] = True
        assert hull_diameters(mask, grid_of(mask)).slice_index == 3


class TestLines:
    @given(masks, spacings)
    @settings(max_examples=60, deadline=None)
    def test_agree_with_a_slow_search(self, mask, spacing):
        found = hull_diameters(mask, grid_of(mask, spacing))
        assert (found is None) == (not mask.any())
        if found is not None:
            slow = slow_diameters(mask, spacing)
            assert (found.longest_mm, found.perpendicular_mm) == pytest.approx(slow)

    @given(masks.filter(np.any), spacings)
    @settings(max_examples=60, deadline=None)
    def test_end_points_are_as_far_apart_as_said_and_perpendicular(self, mask, spacing):
        found = hull_diameters(mask, grid_of(mask, spacing, origin_lps_mm=(5.0, -7.0, 3.0)))
        longest, other = (
            np.subtract(*ends)
            for ends in (found.longest_ends_lps_mm, found.perpendicular_ends_lps_mm)
        )
        assert np.linalg.norm(longest) == pytest.approx(found.longest_mm)
        assert np.linalg.norm(other) == pytest.approx(found.perpendicular_mm)
        assert longest @ other == pytest.approx(0, abs=1e-9)
        assert found.perpendicular_mm <= found.longest_mm * (1 + 1e-9)
        points = np.array([*found.longest_ends_lps_mm, *found.perpendicular_ends_lps_mm])
        assert points[:, 2] == pytest.approx(3.0 + found.slice_index * spacing[2])

    @given(masks.filter(np.any), spacings)
    @settings(max_examples=40, deadline=None)
    def test_itk_bounds_the_largest_diameter(self, mask, spacing):
        """ITK measures between voxel centers: each end lies at most half a voxel further out."""
        longest, _ = diameters(mask, spacing)
        centers = max(feret_mm(plane, spacing[:2]) for plane in mask)
        assert centers < longest <= centers + max(spacing[:2]) + 1e-9


def feret_mm(plane, spacing):
    image = sitk.ConnectedComponent(sitk.GetImageFromArray(plane.astype(np.uint8)), True)
    image.SetSpacing(spacing)
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.ComputeFeretDiameterOn()
    shape.Execute(image)
    return max((shape.GetFeretDiameter(label) for label in shape.GetLabels()), default=-np.inf)


def slow_diameters(mask, spacing):
    """Of all pairs of outline points the farthest, then the gap across them at every point."""
    found = []
    for plane in mask:
        image = sitk.ConnectedComponent(sitk.GetImageFromArray(plane.astype(np.uint8)), True)
        names = sitk.GetArrayFromImage(image)
        for name in range(1, names.max() + 1):
            centers = np.argwhere(names == name)
            steps = np.array([(0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)])
            points = (centers[:, None] + steps).reshape(-1, 2) * spacing[1::-1]
            found += slow_crosses(np.unique(points, axis=0))
    longest = max(length for length, _ in found)
    return longest, max(p for length, p in found if length > longest * (1 - 1e-9))


def slow_crosses(points):
    pairs = np.array(list(combinations(range(len(points)), 2)))
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    for pair in pairs[lengths > lengths.max() * (1 - 1e-9)]:
        a, b = points[pair]
        along = (b - a) / np.linalg.norm(b - a)
        u, v = points @ along, points @ (-along[1], along[0])
        yield lengths.max(), max(slow_width(u, v, at) for at in u)


def slow_width(u, v, at):
    """Extent at u = at of all segments between two points: that of their convex hull."""
    first, second = (u[:, None], v[:, None]), (u[None], v[None])
    crossing = (np.minimum(first[0], second[0]) <= at) & (np.maximum(first[0], second[0]) >= at)
    gap = np.where(np.abs(second[0] - first[0]) < 1e-9, np.inf, second[0] - first[0])
    heights = first[1] + (at - first[0]) / gap * (second[1] - first[1])
    return np.ptp(heights[crossing])


@pytest.fixture(name="blob", scope="module")
def slanted_ellipsoid():
    z, y, x = np.mgrid[:9, :24, :30]
    mask = ((z - 4) / 4) ** 2 + ((y - 12 - z) / 6) ** 2 + ((x - 14 + y / 3) / 11) ** 2 < 1
    return mask, Grid((30, 24, 9), (0.9, 1.2, 3.0), (-20.0, 10.0, 5.0))


class TestPlacement:
    @pytest.mark.parametrize("axes", list(permutations(range(3))))
    @pytest.mark.parametrize("flips", [(False,) * 3, (True, False, True), (False, True, True)])
    def test_stored_order_of_the_axes_changes_nothing(self, blob, axes, flips):
        mask, grid = blob
        image = sitk.Flip(sitk.PermuteAxes(grid.image_from(mask), axes), flips)
        stored = Grid.of(image)
        other = hull_diameters(sitk.GetArrayFromImage(image).astype(bool), stored)
        one = hull_diameters(mask, grid)
        assert other.longest_mm == pytest.approx(one.longest_mm)
        assert other.perpendicular_mm == pytest.approx(one.perpendicular_mm)
        ends = [np.array(sorted(found.longest_ends_lps_mm)) for found in (one, other)]
        assert ends[1] == pytest.approx(ends[0])

    def test_oblique_grid_keeps_its_slices(self, blob):
        mask, grid = blob
        turn = sitk.VersorTransform((0.6, 0.8, 0.0), 0.5).GetMatrix()
        oblique = Grid(grid.size_xyz, grid.spacing_xyz_mm, grid.origin_lps_mm, tuple(turn))
        one, other = hull_diameters(mask, grid), hull_diameters(mask, oblique)
        assert other.longest_mm == pytest.approx(one.longest_mm)
        assert other.slice_index == one.slice_index
        normal = np.reshape(turn, (3, 3))[:, 2]
        line = np.subtract(*other.longest_ends_lps_mm)
        assert line @ normal == pytest.approx(0, abs=1e-9)

    @given(st.floats(0.1, 10))
    @settings(max_examples=20, deadline=None)
    def test_scaled_spacing_scales_the_lengths(self, blob, factor):
        mask, grid = blob
        wide = Grid(grid.size_xyz, tuple(factor * mm for mm in grid.spacing_xyz_mm))
        one, other = hull_diameters(mask, grid), hull_diameters(mask, wide)
        assert other.longest_mm == pytest.approx(factor * one.longest_mm)
        assert other.perpendicular_mm == pytest.approx(factor * one.perpendicular_mm)


class TestMeasure:
    labels = np.random.default_rng(2).integers(0, 5, (4, 5, 6)).astype(np.uint8)
    grid = Grid((6, 5, 4), (0.5, 1.0, 3.0))

    def test_labels_come_first_then_regions(self):
        rows = measure(self.labels, self.grid)
        assert [row.name for row in rows] == [*list(TUMOR_LABELS.values())[1:], *REGIONS]
        for row, label in zip(rows, (1, 2, 3, 4), strict=False):
            assert row.voxels == np.count_nonzero(self.labels == label)
        for row in rows[4:]:
            assert row.voxels == region_mask(self.labels, row.name).sum()
        assert [row.volume_ml for row in rows] == pytest.approx([r.voxels * 1.5e-3 for r in rows])

    def test_regions_that_the_labels_cannot_tell_are_left_out(self):
        rows = measure(np.minimum(self.labels, 2), self.grid, known=(0, 1, 2))
        assert [row.name for row in rows] == ["necrosis", "edema"]
        rows = measure(self.labels, self.grid, known=(0, 1, 2, 4))
        assert [row.name for row in rows][-3:] == list(REGIONS)


def written_report(labels, grid, folder, options=INTERNAL):
    """Report of a case with these labels, as `segment` writes it."""
    volumes = {sequence: np.ones(labels.shape, np.float32) for sequence in SEQUENCES}
    probabilities = np.eye(len(TUMOR_LABELS), dtype=np.float32)[labels].transpose(3, 0, 1, 2)
    result = Segmentation(
        labels=labels,
        probabilities=probabilities,
        known_labels=tuple(TUMOR_LABELS),
        grid=grid,
        volumes=volumes,
        problems=(),
        estimated_dice={},
        doubtful_slices=(),
        placement=choose_device("cpu"),
        form="direct",
        memory_steps=(),
        seconds={},
    )
    write_outputs(folder, Case("c", {}), result, load_model("TwoPathCNN"), options)
    return json.loads((folder / "c" / "report.json").read_text(encoding="utf-8"))


def test_report_holds_sizes_and_diameters(tmp_path):
    labels = np.zeros((8, 16, 16), np.uint8)
    labels[3, 4:6, 2:12] = 4
    labels[3, 6, 2:6] = 1
    grid = Grid((16, 16, 8), (1.0, 1.0, 2.0))
    report = written_report(labels, grid, tmp_path)
    assert report["measurements"]["necrosis"] == {"voxels": 4, "volume_ml": 0.008}
    sizes = {name: row["volume_ml"] for name, row in report["measurements"].items()}
    assert sizes == report["volumes_ml"]
    enhancing, found = report["measurements"]["ET"], axial_diameters(labels == 4, grid)
    assert enhancing["voxels"] == 20
    assert enhancing["longest_mm"] == found.longest_mm
    assert enhancing["perpendicular_mm"] == found.perpendicular_mm
    assert enhancing["slice_index"] == 3
    assert np.array_equal(enhancing["longest_ends_lps_mm"], found.longest_ends_lps_mm)


@pytest.mark.parametrize("necrosis", ["excluded", "included"])
def test_report_holds_lesions_measured_as_asked(tmp_path, necrosis):
    labels = np.zeros((8, 32, 32), np.uint8)
    labels[2:5, 4:26, 6:28] = 4
    labels[2:5, 6:24, 8:26] = 1  # leaves a thin rim
    labels[7, 1, 1] = 4
    grid = Grid((32, 32, 8), (1.0, 1.0, 3.0))
    report = written_report(labels, grid, tmp_path, OutputOptions(necrosis=necrosis))["lesions"]
    lesion = find_lesions(labels, grid, necrosis=necrosis).items[0]
    assert (report["region"], report["necrosis"], report["left_out"]) == ("ET", necrosis, 1)
    (item,) = report["items"]
    assert (item["number"], item["slices"], item["voxels"]) == (1, 3, lesion.voxels)
    assert item["measurable"] is (necrosis == "included")
    assert bool(item["shortcoming"]) is (necrosis == "excluded")
    assert item["diameters"]["longest_mm"] == lesion.diameters.longest_mm
    assert np.array_equal(item["centroid_lps_mm"], lesion.centroid_lps_mm)


def test_report_without_enhancing_tumor_has_no_diameters(tmp_path):
    report = written_report(np.full((8, 16, 16), 2, np.uint8), Grid((16, 16, 8)), tmp_path)
    assert report["measurements"]["ET"] == {"voxels": 0, "volume_ml": 0.0}
