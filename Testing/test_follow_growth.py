"""Changes, doubling times and categories against numbers worked out by hand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted_models.follow_up.growth import Series, doubling_days
from scripted_models.follow_up.repeatability import MEASURED, Repeatability
from scripted_models.follow_up.response import RULES, Seen, categories
from scripted_models.follow_up.visit_source import Told

VOLUME, PRODUCT = RULES
STRICT = Repeatability({"ET": 10.0}, 0.05)


def series(*values, baseline=0, step=30, error=None):
    explains = (lambda a, b: error.explains("ET", a, b)) if error else None
    return Series(values, tuple(step * n for n in range(len(values))), baseline, explains)


def seen(sizes, others=False, grown=(), **told):
    """Visits with measurable lesions; `told` gives a value for each visit."""
    count = len(sizes.values)
    rows = [{key: values[n] for key, values in told.items()} for n in range(count)]
    return [
        Seen(
            f"v{n}",
            sizes.days[n],
            tuple(row.pop("new", ())),
            row.pop("measurable", True),
            Told(**row),
            grown=grown,
            has_others=others,
        )
        for n, row in enumerate(rows)
    ]


def worked_out(rule, sizes, enhances=True, radiotherapy_day=None, **told):
    found = categories(rule, sizes, seen(sizes, **told), enhances, radiotherapy_day)
    return [found[visit] for visit in sorted(found)]


def names(rule, sizes, **more):
    return [found.category for found in worked_out(rule, sizes, **more)]


class TestChanges:
    def test_against_baseline_nadir_and_visit_before(self):
        sizes = series(10, 4, 6, 12)
        base, nadir, before = (
            change(3) for change in (sizes.since_baseline, sizes.since_nadir, sizes.since_previous)
        )
        assert [change.since for change in (base, nadir, before)] == [0, 1, 2]
        assert [change.absolute for change in (base, nadir, before)] == [2, 8, 6]
        assert [change.percent for change in (base, nadir, before)] == pytest.approx([20, 200, 100])
        assert sizes.nadir == 1

    def test_visits_before_the_baseline_are_not_judged(self):
        sizes = series(3, 10, 8, baseline=1)
        assert sizes.since_baseline(0) is sizes.since_nadir(1) is None
        assert sizes.since_nadir(2).since == 1
        assert sizes.since_previous(1).absolute == 7

    def test_a_percentage_of_nothing_is_none(self):
        assert series(0, 5).since_baseline(1).percent is None

    def test_the_error_of_the_method_is_told(self):
        sizes = series(10, 10.9, 11.2, error=STRICT)
        assert sizes.since_baseline(1).is_within_error is True
        assert sizes.since_baseline(2).is_within_error is False
        assert sizes.since_baseline(1).doubling_days is None
        assert sizes.since_baseline(2).doubling_days is not None
        assert series(10, 20).since_baseline(1).doubling_days is None  # no error was measured

    @given(st.floats(0.01, 100), st.floats(0.01, 100))
    def test_the_error_knows_no_direction(self, one, other):
        assert STRICT.explains("ET", one, other) == STRICT.explains("ET", other, one)
        assert MEASURED.explains("ET", one, one)

    @given(st.floats(0.1, 50), st.floats(1, 400), st.floats(5, 200))
    def test_doubling_times_of_made_growth(self, start, days, doubles):
        later = start * math.exp(math.log(2) * days / doubles)
        if later > start:
            assert doubling_days(start, later, days) == pytest.approx(doubles, rel=1e-3)

    @pytest.mark.parametrize(("before", "after"), [(5, 5), (5, 4), (0, 5), (5, 0)])
    def test_what_does_not_grow_does_not_double(self, before, after):
        assert doubling_days(before, after, 30) is None


class TestThresholds:
    @pytest.mark.parametrize(
        ("rule", "after", "category"),
        [
            (VOLUME, 140, "PD"),
            (VOLUME, 139, "SD"),
            (VOLUME, 35, "PR"),
            (VOLUME, 36, "SD"),
            (VOLUME, 0, "CR"),
            (PRODUCT, 125, "PD"),
            (PRODUCT, 124, "SD"),
            (PRODUCT, 50, "PR"),
            (PRODUCT, 51, "SD"),
            (PRODUCT, 0, "CR"),
        ],
    )
    def test_each_side(self, rule, after, category):
        assert names(rule, series(100, after)) == [category]

    def test_progression_counts_from_the_nadir_and_response_from_the_baseline(self):
        assert names(VOLUME, series(100, 30, 45)) == ["PR", "PD"]
        assert names(VOLUME, series(100, 60, 30, 35)) == ["SD", "PR", "PR"]

    def test_minor_response_where_nothing_enhances(self):
        assert names(PRODUCT, series(100, 70), enhances=False) == ["MR"]
        assert names(PRODUCT, series(100, 70), enhances=True) == ["SD"]
        assert names(VOLUME, series(100, 50), enhances=False) == ["SD"]

    def test_a_new_measurable_lesion_is_progression(self):
        (found,) = worked_out(VOLUME, series(100, 50), new=[(), ("3",)])
        assert found.imaging == "PD"
        assert found.reasons == ("new measurable lesion 3",)

    def test_growth_without_a_measurable_lesion_is_none(self):
        assert names(VOLUME, series(1, 2), measurable=[False, False]) == ["SD"]
        assert names(VOLUME, series(1, 2), measurable=[False, True]) == ["PD"]
        assert names(VOLUME, series(1, 0.2), measurable=[False, False]) == ["SD"]

    def test_what_is_too_small_for_a_lesion_is_nothing(self):
        assert names(VOLUME, series(10, 0.04)) == ["CR"]
        assert names(VOLUME, series(10, 0.06)) == ["PR"]

    def test_other_lesions_are_no_complete_response(self):
        assert names(PRODUCT, series(100, 0), others=True) == ["PR"]
        assert names(VOLUME, series(100, 0), others=True) == ["CR"]  # it counts all of them

    def test_what_became_measurable_is_told(self):
        (found,) = worked_out(VOLUME, series(100, 100), grown=("3",))
        assert "measurable now: lesion 3" in found.reasons[1]

    def test_growth_from_nothing(self):
        assert names(VOLUME, series(0, 5)) == ["PD"]
        assert names(VOLUME, series(0, 0)) == ["SD"]


class TestTold:
    def test_more_steroids_undo_a_response(self):
        sizes = series(100, 20)
        assert names(VOLUME, sizes, steroids_mg=[2, 2]) == ["PR"]
        assert names(VOLUME, sizes, steroids_mg=[2, 4]) == ["SD"]
        assert names(VOLUME, series(100, 0), steroids_mg=[2, 2]) == ["PR"]
        assert names(VOLUME, series(100, 0), steroids_mg=[2, 0]) == ["CR"]

    def test_more_steroids_alone_are_no_progression(self):
        (found,) = worked_out(VOLUME, series(100, 100), steroids_mg=[2, 8])
        assert found.category == "SD"
        assert "in doubt" in found.reasons[-1]

    def test_clinically_worse(self):
        (found,) = worked_out(VOLUME, series(100, 100), clinical=["", "worse"])
        assert (found.imaging, found.category) == ("SD", "PD")

    def test_what_was_not_told_is_asked_for(self):
        (found,) = worked_out(VOLUME, series(100, 20))
        assert found.category == "PR"
        assert any("not told" in reason for reason in found.reasons)
        assert any("clinical state" in reason for reason in found.reasons)


class TestConfirmation:
    def test_a_response_needs_a_second_scan_after_four_weeks(self):
        states = [f.confirmation for f in worked_out(VOLUME, series(100, 30, 28, step=28))]
        assert states == ["confirmed", "open"]
        assert worked_out(VOLUME, series(100, 30, 28, step=27))[0].confirmation == "open"
        assert worked_out(VOLUME, series(100, 30, 90, step=28))[0].confirmation == "not confirmed"

    def test_early_progression_needs_one(self):
        sizes = series(100, 150, 160, 200, step=40)
        late, early = (
            [f.confirmation for f in worked_out(VOLUME, sizes, radiotherapy_day=day)]
            for day in (-300, 0)
        )
        assert late == ["", "", ""]
        assert early == ["confirmed", "confirmed", ""]

    def test_pseudoprogression(self):
        sizes = series(100, 150, 100, step=40)
        assert worked_out(VOLUME, sizes, radiotherapy_day=0)[0].confirmation == "not confirmed"

    def test_the_user_knows_better(self):
        sizes = series(100, 30, 90, step=28)
        (first, _) = worked_out(VOLUME, sizes, confirmed=[None, True, None])
        assert first.confirmation == "confirmed"


sizes_mm2 = st.just(0.0) | st.floats(1, 2000)


@given(st.lists(sizes_mm2, min_size=2, max_size=6), st.floats(0.1, 10))
def test_units_do_not_matter(values, factor):
    plain = worked_out(PRODUCT, series(*values))
    scaled = worked_out(PRODUCT, series(*(value * factor for value in values)))
    near = [
        abs(change.percent - limit) < 1e-6
        for found in plain
        for change in (found.since_baseline, found.since_nadir)
        for limit in (PRODUCT.progression, -PRODUCT.partial)
        if change.percent is not None
    ]
    if not any(near):
        assert [f.category for f in plain] == [f.category for f in scaled]
