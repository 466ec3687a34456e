"""Which of the cases a run takes: those of named participants, and one share of several."""

from collections.abc import Sequence

from scripted_models.cases.case import Case
from scripted_models.cases.patient_table import some
from scripted_models.cases.patients import patient_name
from scripted_models.errors import InputError


def chosen(
    cases: Sequence[Case],
    participant_labels: Sequence[str] = (),
    shard: tuple[int, int] | None = None,
) -> list[Case]:
    """Return the cases of some participants, and of these one share.

    Shares are cut after the participants were chosen: of the cases in the order of their names
    every `count`-th, so that all machines that see the same cases cut them alike. Together the
    shares hold each case once; a share may be empty.

    Args:
        cases: each name once, in any order.
        participant_labels: cases by name, or all cases of a patient (see `patients.patient_name`);
            of BIDS with or without 'sub-'. Empty: all cases.
        shard: number of the share, from 1, and how many there are; None: no shares.

    Returns:
        The cases, sorted by name.

    Raises:
        InputError: a label that no case has.
        ValueError: `shard` is not within 1 and its count.
    """
    found = sorted(cases, key=lambda case: case.name)
    if participant_labels:
        found = _of_participants(found, participant_labels)
    if shard is None:
        return found
    number, count = shard
    if not 1 <= number <= count:
        raise ValueError(f"share {number} of {count}")
    return found[number - 1 :: count]


def _of_participants(cases: Sequence[Case], labels: Sequence[str]) -> list[Case]:
    wanted = {label.removeprefix("sub-") for label in labels}
    names = {case.name: _labels(case) for case in cases}
    if unknown := sorted(wanted.difference(*names.values())):
        known = sorted({patient_name(case.name) for case in cases})
        raise InputError(
            found=f"--participant-label {' '.join(unknown)}, which no case has",
            expected=f"labels of the data ({some(known)})",
            action="correct or leave out what is not there",
        )
    return [case for case in cases if wanted & names[case.name]]


def _labels(case: Case) -> set[str]:
    """Return by what a case may be named: itself, or its patient."""
    return {name.removeprefix("sub-") for name in (case.name, patient_name(case.name))}
