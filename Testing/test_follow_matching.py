"""Lesions matched over visits: made balls that grow, shrink, move, split, merge, come and go."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from follow_fixtures import balls, turned
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.follow_up.alignment import Alignment, brought, matching_grid
from scripted_models.follow_up.matching import LEAST_ML, TOLERANCE_MM, match_lesions
from scripted_models.follow_up.visit_data import Visit
from scripted_models.follow_up.visit_source import Moment, Told
from scripted_models.geometry import Grid
from scripted_models.measurement.lesions import find_lesions

MM = Grid((54, 44, 30), (1.0, 1.0, 1.0), (-28.0, -22.0, -15.0))
A, B, C = (-15, 8, 0), (14, -8, 2), (-12, -12, -6)


def matched(*visits):
    """Match visits, each a list of balls or labels on a grid of 1 mm."""
    labels = [v if isinstance(v, np.ndarray) else balls(MM, *v) for v in visits]
    found = [find_lesions(each, MM) for each in labels]
    return match_lesions(found, [lesions.numbers for lesions in found])


def told(result):
    return [(event.visit, event.kind, event.before, event.after) for event in result.events]


def rod(*gaps):
    """A rod of enhancing tumor along x, cut at some columns."""
    labels = np.zeros(MM.shape_zyx, np.uint8)
    labels[13:18, 19:24, 10:45] = 4
    for gap in gaps:
        labels[:, :, gap : gap + 3] = 0
    return labels


class TestEvents:
    def test_unchanged_lesions_keep_their_names(self):
        result = matched([(A, 7), (B, 5)], [(A, 7), (B, 5)])
        assert told(result) == []
        assert [track.name for track in result.tracks] == ["1", "2"]

    def test_a_smaller_lesion_that_outgrows_the_other_keeps_its_name(self):
        result = matched([(A, 7), (B, 5)], [(A, 4), (B, 8)])
        first, second = result.tracks
        assert told(result) == []
        assert first.volumes_ml[0] > first.volumes_ml[1]
        assert second.volumes_ml[0] < second.volumes_ml[1]
        assert [parts[0].lesion.number for parts in first.parts] == [1, 2]

    def test_new_and_vanished(self):
        result = matched([(A, 7), (B, 5)], [(A, 7), (C, 4)])
        assert told(result) == [(1, "new", (), ("3",)), (1, "vanished", ("2",), ())]
        assert result.born == {1: 0, 2: 0, 3: 1}
        assert result.tracks[2].volumes_ml[0] == 0

    def test_a_lesion_returns_under_its_name(self):
        result = matched([(A, 7), (B, 5)], [(A, 7)], [(A, 7), (B, 4)])
        assert told(result) == [(1, "vanished", ("2",), ()), (2, "returned", ("2",), ("2",))]

    def test_split_and_joined_again(self):
        result = matched(rod(), rod(25), rod())
        assert told(result) == [
            (1, "split", ("1",), ("1a", "1b")),
            (2, "merged", ("1a", "1b"), ("1",)),
        ]
        (track,) = result.tracks
        assert [[part.name for part in parts] for parts in track.parts] == [
            ["1"],
            ["1a", "1b"],
            ["1"],
        ]
        assert track.volumes_ml[1] == pytest.approx(0.032 * 25)

    def test_a_part_splits_once_more(self):
        result = matched(rod(), rod(30), rod(30, 18))
        assert told(result)[1] == (2, "split", ("1a",), ("1a1", "1a2"))

    def test_merged(self):
        result = matched(rod(25), rod())
        assert told(result) == [(1, "merged", ("1", "2"), ("1+2",))]
        (track,) = result.tracks
        assert (track.name, track.roots) == ("1+2", {1, 2})
        assert len(track.parts[0]) == 2

    def test_merged_and_split_again(self):
        result = matched(rod(25), rod(), rod(25))
        assert told(result)[1] == (2, "split", ("1+2",), ("(1+2)a", "(1+2)b"))

    def test_several_that_become_several(self):
        result = matched(rod(25), rod(18))
        assert told(result) == [(1, "regrouped", ("1", "2"), ("(1+2)a", "(1+2)b"))]

    def test_a_vanished_lesion_does_not_merge_with_what_grows_over_its_place(self):
        near = (A[0] + 9, A[1], A[2])
        result = matched([(A, 4), (near, 3)], [(A, 4)], [(A, 12)])
        assert told(result) == [(1, "vanished", ("2",), ())]


class TestTolerance:
    def test_a_small_lesion_off_by_the_error_of_a_registration_is_the_same(self):
        moved = (A[0] + 5, A[1], A[2])  # balls of 2 mm that share nothing
        assert told(matched([(A, 2.4)], [(moved, 2.4)])) == []

    def test_one_that_is_farther_away_is_new(self):
        far = (A[0] + 5 + TOLERANCE_MM + 2, A[1], A[2])
        kinds = {event.kind for event in matched([(A, 2.4)], [(far, 2.4)]).events}
        assert kinds == {"new", "vanished"}

    def test_parts_beside_a_lesion_are_no_new_ones(self):
        beside = balls(MM, (A, 7))
        beside[15, 30, 22:26] = 4  # too small
        assert told(matched([(A, 7)], beside)) == []
        satellite = balls(MM, (A, 7), ((A[0] + 11, A[1], A[2]), 2.4))
        assert told(matched([(A, 7)], satellite)) == [(1, "split", ("1",), ("1a", "1b"))]

    def test_parts_too_small_for_a_lesion_are_none(self):
        labels = balls(MM, (A, 7))
        labels[3, 3, 48:53] = 4
        assert len(matched(labels, labels).tracks) == 1
        rest = balls(MM, (B, 5))
        rest[15, 30, 13] = 4  # one voxel at the center of A
        assert told(matched([(A, 5), (B, 5)], rest)) == [(1, "vanished", ("1",), ())]

    def test_no_tumor_at_all(self):
        result = matched([], [(A, 5)], [])
        assert told(result) == [(1, "new", (), ("1",)), (2, "vanished", ("1",), ())]


RESLICED = Grid((52, 60, 16), (1.1, 0.9, 2.4), (-29.0, -27.0, -18.0))
degrees, shifts = st.floats(-8, 8), st.floats(-5, 5)
VISITS = (  # (center, radius) of each ball, and what happens
    [((-15, 0, 0), 6), ((0, 0, 0), 5), ((14, 8, 0), 5)],
    [((-15, 0, 0), 7), ((-4, 0, 0), 7), ((14, -9, 2), 4)],  # 1 and 2 merge, 3 goes, 4 comes
    [((-16, 0, 0), 5), ((0, 0, 0), 5), ((14, -9, 2), 5)],  # they split
)
EVENTS = [
    (1, "merged", ("1", "2"), ("1+2",)),
    (1, "new", (), ("4",)),
    (1, "vanished", ("3",), ()),
    (2, "split", ("1+2",), ("(1+2)a", "(1+2)b")),
]


class TestMotion:
    @settings(max_examples=6)
    @given(st.tuples(degrees, degrees, degrees), st.tuples(shifts, shifts, shifts))
    def test_moved_and_resliced_visits_tell_the_same(self, turn, shift):
        self.check(turned(turn, shift), (0.0, 0.0, 0.0))

    @settings(max_examples=6)
    @given(st.tuples(*[st.floats(-0.8, 0.8)] * 3))
    def test_so_do_registrations_that_are_off(self, error):
        self.check(turned(), error)

    def check(self, motion, error):
        wrong = sitk.Euler3DTransform()
        wrong.SetTranslation(error)
        back = sitk.CompositeTransform([wrong, motion.GetInverse()])
        stays = Alignment(sitk.Euler3DTransform())
        visits = [
            visit_of(MM, VISITS[0]),
            visit_of(RESLICED, VISITS[1], motion),
            visit_of(MM, VISITS[2]),
        ]
        alignments = [stays, Alignment(back), stays]
        grid = matching_grid(visits, alignments, MM)
        found = [find_lesions(visit.labels, visit.grid) for visit in visits]
        numbers = [
            brought(lesions.numbers, visit.grid, alignment, grid)
            for lesions, visit, alignment in zip(found, visits, alignments, strict=True)
        ]
        for lesions, placed in zip(found, numbers, strict=True):
            assert set(np.unique(placed)) == {0, *(item.number for item in lesions.items)}
        assert told(match_lesions(found, numbers)) == EVENTS


def visit_of(grid, found, motion=None):
    place = Path("visit")
    labels = balls(grid, *found, motion=motion)
    return Visit("visit", place, place, Moment(day=0), Told(), labels, grid, ("WT", "TC", "ET"))


centers = st.sampled_from([A, B, C, (15, 10, -8), (0, 0, 10)])
visits = st.lists(
    st.dictionaries(centers, st.sampled_from([1.0, 3.0, 5.0, 8.0]), max_size=4),
    min_size=2,
    max_size=4,
)


class TestProperties:
    @settings(max_examples=8)
    @given(visits)
    def test_every_lesion_is_in_one_track(self, found):
        labels = [balls(MM, *visit.items()) for visit in found]
        result = matched(*labels)
        for index, each in enumerate(labels):
            parts = [part for track in result.tracks for part in track.parts[index]]
            large = [n for n in find_lesions(each, MM).items if n.volume_ml >= LEAST_ML]
            assert sorted(part.lesion.number for part in parts) == [n.number for n in large]
            assert len({part.name for part in parts}) == len(parts)
            volumes = sum(track.volumes_ml[index] for track in result.tracks)
            assert volumes == pytest.approx(sum(n.volume_ml for n in large))

    @settings(max_examples=6)
    @given(visits)
    def test_two_equal_visits_have_no_events_between_them(self, found):
        labels = [balls(MM, *visit.items()) for visit in found]
        result = matched(*labels, labels[-1])
        assert not [event for event in result.events if event.visit == len(labels)]
