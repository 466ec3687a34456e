"""Which of the cases a run takes: those of named participants, and one share of several."""

import re
from collections.abc import Callable, Sequence

from scripted_models.cases.case import Case
from scripted_models.cases.patient_table import some
from scripted_models.cases.patients import patient_name
from scripted_models.errors import InputError


def chosen(
    cases: Sequence[Case],
    participant_labels: Sequence[str] = (),
    shard: tuple[int, int] | None = None,
    session_labels: Sequence[str] = (),
) -> list[Case]:
    """Return the cases of some participants, and of these one share.

    Shares are cut after participants and sessions were chosen: of the cases in the order of their
    names every `count`-th, so that all machines that see the same cases cut them alike. Together
    the shares hold each case once; a share may be empty.

    Args:
        cases: each name once, in any order.
        participant_labels: cases by name, or all cases of a patient (see `patients.patient_name`);
            of BIDS with or without 'sub-'. Empty: all cases.
        shard: number of the share, from 1, and how many there are; None: no shares.
        session_labels: sessions of BIDS, with or without 'ses-'. Empty: all, also cases of none.

    Returns:
        The cases, sorted by name.

    Raises:
        InputError: a label that no case has.
        ValueError: `shard` is not within 1 and its count.
    """
    found = sorted(cases, key=lambda case: case.name)
    if participant_labels:
        found = _labeled(found, participant_labels, _participants, "--participant-label")
    if session_labels:
        found = _labeled(found, session_labels, _sessions, "--session-label")
    if shard is None:
        return found
    number, count = shard
    if not 1 <= number <= count:
        raise ValueError(f"share {number} of {count}")
    return found[number - 1 :: count]


def _labeled(
    cases: Sequence[Case],
    labels: Sequence[str],
    labels_of: Callable[[Case], set[str]],
    option: str,
) -> list[Case]:
    wanted = {re.sub("^(?:sub|ses)-", "", label) for label in labels}
    names = {case.name: labels_of(case) for case in cases}
    if unknown := sorted(wanted.difference(*names.values())):
        known = sorted(min(own, key=len) for own in names.values() if own)
        known = list(dict.fromkeys(known))
        raise InputError(
            found=f"{option} {' '.join(unknown)}, which no case has",
            expected=f"labels of the data ({some(known)})" if known else "data with such labels",
            action="correct or leave out what is not there",
        )
    return [case for case in cases if wanted & names[case.name]]


def _participants(case: Case) -> set[str]:
    """Return by what a case may be named: itself, or its patient."""
    return {name.removeprefix("sub-") for name in (case.name, patient_name(case.name))}


def _sessions(case: Case) -> set[str]:
    found = re.search("_ses-([^_]+)", case.name)
    return {found[1]} if found else set()
