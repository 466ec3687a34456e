"""Which cases a run takes: participants and shares."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted_models.cases.case import Case
from scripted_models.cases.selection import chosen
from scripted_models.errors import InputError

BIDS = [Case(name, {}) for name in ("sub-02", "sub-01_ses-b", "sub-01_ses-a", "sub-010")]


def names(cases):
    return [case.name for case in cases]


@pytest.mark.parametrize("label", ["01", "sub-01"])
def test_a_participant_has_all_its_sessions_and_no_other_ones(label):
    assert names(chosen(BIDS, [label])) == ["sub-01_ses-a", "sub-01_ses-b"]
    assert names(chosen(BIDS, ["010", label])) == ["sub-010", "sub-01_ses-a", "sub-01_ses-b"]


def test_cases_of_other_data_are_named_by_themselves_or_their_patient():
    cases = [Case(f"BraTS-GLI-{name}", {}) for name in ("00005-100", "00005-101", "00006-100")]
    assert names(chosen(cases, ["BraTS-GLI-00005"])) == names(cases[:2])
    assert names(chosen(cases, ["BraTS-GLI-00005-101"])) == names(cases[1:2])


def test_a_label_that_no_case_has_is_refused():
    with pytest.raises(InputError, match=r"--participant-label 03 1, which no case has.*sub-01"):
        chosen(BIDS, ["03", "01", "1"])


@given(st.sets(st.integers(0, 999)), st.integers(1, 12), st.randoms())
def test_shares_hold_each_case_once_in_whatever_order_they_are_found(numbers, count, random):
    cases = [Case(f"c{number}", {}) for number in numbers]
    shares = [chosen(random.sample(cases, len(cases)), (), (n + 1, count)) for n in range(count)]
    assert sorted(name for share in shares for name in names(share)) == sorted(names(cases))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("shard", [(0, 3), (4, 3), (1, 0)])
def test_no_such_share(shard):
    with pytest.raises(ValueError, match="share"):
        chosen(BIDS, (), shard)
