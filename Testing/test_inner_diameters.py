"""Diameters that stay inside a lesion, against shapes of known size and a slow search."""

from itertools import combinations, pairwise

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scripted_models.geometry import Grid
from scripted_models.measurement.diameters import axial_diameters

planes = arrays(bool, st.tuples(st.integers(1, 5), st.integers(1, 5)))
spacings = st.tuples(*[st.sampled_from((0.5, 0.9, 1.0, 2.5))] * 2)
LITTLE = 1e-7


def measured(plane, spacing_xy=(1.0, 1.0), necrosis="excluded"):
    grid = Grid((*plane.shape[::-1], 1), (*spacing_xy, 5.0))
    return axial_diameters(plane[None], grid, necrosis)


def lengths(plane, *more, **named):
    found = measured(plane, *more, **named)
    return found.longest_mm, found.perpendicular_mm


def is_inside(plane, y, x):
    """Whether a point in voxels is inside the outline, by the four voxel centers around it."""
    padded = np.pad(plane, 2)
    row, column = int(np.floor(y)), int(np.floor(x))
    near = padded[row + 2 : row + 4, column + 2 : column + 4]
    dy, dx = abs(y - row - np.array([[0, 0], [1, 1]])), abs(x - column - np.array([[0, 1], [0, 1]]))
    in_corner = dy + dx < 0.5
    count = near.sum()
    if count == 1:
        return bool((near & in_corner).any())
    if count == 2 and near[0, 0] != near[1, 1]:  # two side by side
        return bool(near[np.unravel_index(np.argmin(dy + dx), (2, 2))])
    return bool(count) and not (~near & in_corner).any()


def turning_points(a, b):
    """Shares of the way from a to b where it may cross an outline: lines that outlines lie on."""
    found = [0.0, 1.0]
    for normal in ((1, 0), (0, 1), (1, 1), (1, -1)):
        from_, to = np.dot(a, normal), np.dot(b, normal)
        if abs(to - from_) > 1e-12:
            levels = np.arange(np.floor(min(from_, to)), max(from_, to) + 1, 0.5)
            found += [(level - from_) / (to - from_) for level in levels]
    return np.unique([share for share in found if 0 <= share <= 1])


def pieces(plane, a, b):
    """The pieces of a segment between turning points, each with whether it is inside."""
    shares = turning_points(a, b)
    for low, high in pairwise(shares):
        if high - low > 1e-9:
            yield low, high, is_inside(plane, *(a + (low + high) / 2 * (b - a)))


def stays_inside(plane, a, b):
    # a line on the outline itself counts as inside: move it a little to either side
    aside = np.array([b[1] - a[1], a[0] - b[0]]) / np.hypot(*(b - a)) * LITTLE
    for low, high, inside in pieces(plane, a, b):
        middle = a + (low + high) / 2 * (b - a)
        if not (
            inside or is_inside(plane, *(middle + aside)) or is_inside(plane, *(middle - aside))
        ):
            return False
    return True


def outline_points(plane):
    padded = np.pad(plane, 1)
    for y, x in np.argwhere(padded):
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if not padded[y + dy, x + dx]:
                yield (y - 1 + dy / 2, x - 1 + dx / 2)


def chord(plane, at, direction):
    """Length of the chord through a point, in voxels along a direction."""
    reach = 2.0 * sum(plane.shape)
    total = 0.0
    for way in (direction, -direction):
        for low, high, inside in pieces(plane, at, at + reach * way):
            if not inside:
                break
            total += (high - low) * reach
    return total


def slow_lengths(plane, step):
    """Longest line between outline points, and the longest perpendicular one that crosses it."""
    points = np.array(sorted(set(outline_points(plane))))
    pairs = [(a, b) for a, b in combinations(points, 2) if stays_inside(plane, a, b)]
    long = [np.linalg.norm((b - a) * step) for a, b in pairs]
    best = 0.0
    for (a, b), length in zip(pairs, long, strict=True):
        if length < max(long) * (1 - 1e-9):
            continue
        along = (b - a) * step / length
        across = np.array([-along[1], along[0]]) / step  # in voxels, of 1 mm
        for at in ((points - a) * step) @ along:
            for aside in (-LITTLE, LITTLE):
                if 0 < at + aside < length:
                    place = a + (at + aside) * along / step
                    # a line on the outline: its region is on either side
                    for off in (-LITTLE, LITTLE):
                        best = max(best, chord(plane, place + off * across, across))
    return max(long), best


class TestSlowSearch:
    @given(planes.filter(np.any), spacings)
    @settings(max_examples=20, deadline=None)
    def test_agrees(self, plane, spacing):
        parts = sitk.GetArrayFromImage(
            sitk.ConnectedComponent(sitk.GetImageFromArray(plane.astype(np.uint8)), True)
        )
        found = [
            slow_lengths(parts == n, np.array(spacing[::-1])) for n in range(1, parts.max() + 1)
        ]
        longest = max(length for length, _ in found)
        other = max(p for length, p in found if length > longest * (1 - 1e-9))
        assert lengths(plane, spacing) == pytest.approx((longest, other), abs=1e-5)


class TestProperties:
    @given(planes.filter(np.any), spacings)
    @settings(max_examples=40, deadline=None)
    def test_no_line_is_longer_than_across_necrosis(self, plane, spacing):
        inner, outer = lengths(plane, spacing), lengths(plane, spacing, necrosis="included")
        assert inner[0] <= outer[0] * (1 + 1e-9)

    @given(planes.filter(np.any), spacings)
    @settings(max_examples=40, deadline=None)
    def test_lines_cross_at_right_angles(self, plane, spacing):
        found = measured(plane, spacing)
        (a, b), (c, d) = (
            np.array(ends)[:, :2]
            for ends in (found.longest_ends_lps_mm, found.perpendicular_ends_lps_mm)
        )
        assert (b - a) @ (d - c) == pytest.approx(0, abs=1e-6)
        normal = np.array([a[1] - b[1], b[0] - a[0]])
        assert ((c - a) @ normal) * ((d - a) @ normal) <= 1e-6
        assert np.linalg.norm(b - a) == pytest.approx(found.longest_mm)
        assert np.linalg.norm(d - c) == pytest.approx(found.perpendicular_mm, abs=1e-6)

    @given(planes.filter(np.any), spacings)
    @settings(max_examples=30, deadline=None)
    def test_turned_and_mirrored_planes_measure_the_same(self, plane, spacing):
        one = lengths(plane, spacing)
        assert lengths(plane.T, spacing[::-1]) == pytest.approx(one, abs=1e-6)
        assert lengths(plane[::-1], spacing) == pytest.approx(one, abs=1e-6)


def disc(radius, size=61):
    y, x = np.mgrid[:size, :size] - size // 2
    return np.hypot(y, x) <= radius


class TestShapes:
    def test_full_disc_is_measured_as_with_necrosis(self):
        assert lengths(disc(20)) == pytest.approx(lengths(disc(20), necrosis="included"))

    def test_ring_is_measured_along_its_rim(self):
        longest, other = lengths(disc(25) & ~disc(20))
        half = np.sqrt(25.5**2 - 20.5**2)  # of the tangent to the inner circle
        assert longest == pytest.approx(2 * half, abs=1.5)
        at_its_end = np.sqrt(25.5**2 - half**2) - np.sqrt(20.5**2 - half**2)
        assert other == pytest.approx(at_its_end, abs=1)

    def test_nodule_on_a_rim_is_measured(self):
        ring = disc(25) & ~disc(23)
        ring |= np.roll(disc(8), 20, axis=1)
        assert min(lengths(ring)) >= 12

    def test_bay_is_not_crossed(self):
        plane = np.ones((9, 9), bool)
        plane[2:7, 3:] = False  # a C
        assert lengths(plane)[0] < lengths(plane, necrosis="included")[0]
        assert lengths(plane)[0] == pytest.approx(np.hypot(9, 3), abs=0.5)
