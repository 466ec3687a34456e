"""Which of a user's cases train a model further, and which are held out to judge it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.cases.case_writer import stored_by
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.patient_table import patient_warnings, patients_of, some
from scripted_models.cases.patients import split_patients
from scripted_models.errors import InputError
from scripted_models.tasks.brains.case_split import unused_cases, usable

LEAST_CASES = 3
HELD_OUT_EVERY = 5  # of the patients one is held out


@dataclass(frozen=True)
class PersonalCases:
    """The usable cases of a folder, split by patient.

    Attributes:
        cases: all usable ones by name.
        train: names of those that train.
        held_out: names of those that neither train nor decide when training ends.
        warnings: sentences about cases that are not used or whose patient is in doubt.
    """

    cases: Mapping[str, Case]
    train: tuple[str, ...]
    held_out: tuple[str, ...]
    warnings: tuple[str, ...]


def split_personal(
    folder: Path, seed: int, seen: Collection[str] = (), patients: str = ""
) -> PersonalCases:
    """Find the cases of a folder and hold out a fifth of their patients, at least one.

    Two kinds of cases train and are never held out, nor are others of their patients: cases that
    have trained the start model, and cases that were stored as a model gave them. Both would make
    the start model look better than it is.

    Args:
        folder: of the user's cases.
        seed: decides who is held out.
        seen: names of cases that have trained the start model.
        patients: table of patients, see `patient_table.read_patients`; empty: names tell them.

    Raises:
        InputError: fewer than three usable cases, cases of a single patient, or none to hold out.
    """
    found = find_cases(folder)
    cases = usable(found)
    patient_of = {n: p.casefold() for n, p in patients_of(cases, patients).items()}
    _refuse_few(folder, cases, found, set(patient_of.values()))
    uncorrected = [name for name, case in cases.items() if _is_uncorrected(case)]
    known = {patient_of[name] for name in (*seen, *uncorrected) if name in cases}
    new = sorted(name for name in cases if patient_of[name] not in known)
    if not new:
        raise InputError(
            found="only cases that have trained the start model or were stored uncorrected",
            expected="at least one other, to be held out",
            action="correct more cases, or start from the model that gave them (--model)",
            path=folder,
        )
    held_out = _held_out(new, seed, patient_of)
    told = [*unused_cases(found), *patient_warnings(sorted(cases), patients)]
    if uncorrected:
        told.append(
            f"{some(uncorrected)} were stored as the model gave them. They train and are not held "
            "out, because the model before would be right on them by definition."
        )
    train = tuple(sorted(set(cases) - set(held_out)))
    return PersonalCases(cases, train, held_out, tuple(told))


def _refuse_few(
    folder: Path, cases: Collection[str], found: Collection[Case], patients: set[str]
) -> None:
    if len(cases) < LEAST_CASES:
        lacking = [case.name for case in found if case.name not in cases]
        without = f" (not {some(lacking)})" if lacking else ""
        raise InputError(
            found=f"{len(cases)} of {len(found)} case(s) with all four sequences and a label map"
            f"{without}",
            expected=f"at least {LEAST_CASES}, of which one is held out",
            action="correct and store more cases",
            path=folder,
        )
    if len(patients) < 2:
        raise InputError(
            found=f"{len(cases)} cases of one patient ({some(cases)})",
            expected="at least two patients, of whom one is held out",
            action="add cases of others, or name the patients in a table (--patients)",
            path=folder,
        )


def _is_uncorrected(case: Case) -> bool:
    return case.truth is not None and stored_by(case.truth.parent) is not None


def _held_out(names: list[str], seed: int, patient_of: Mapping[str, str]) -> tuple[str, ...]:
    """Draw about a fifth of all patients among those of these cases; others always train."""
    wanted = max(1, round(len(set(patient_of.values())) / HELD_OUT_EVERY))
    count = len({patient_of[name] for name in names})
    parts = split_patients(names, count, seed, patient_of.__getitem__)  # one patient in each
    drawn = sorted(parts, key=len)[:wanted]  # of equal sizes as the seed has them
    return tuple(sorted(name for part in drawn for name in part))
