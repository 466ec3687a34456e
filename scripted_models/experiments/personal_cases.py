"""Which of a user's cases train a model further, and which are held out to judge it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripted_models.cases.case import Case
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

    Args:
        folder: of the user's cases.
        seed: decides who is held out.
        seen: names of cases that have trained the start model. Their patients train: held out, they
            would make the start model look better than it is.
        patients: table of patients, see `patient_table.read_patients`; empty: names tell them.

    Raises:
        InputError: fewer than three usable cases, cases of a single patient, or none that the start
            model has not seen.
    """
    found = find_cases(folder)
    cases = usable(found)
    unused = unused_cases(found)
    if len(cases) < LEAST_CASES:
        raise InputError(
            found=f"{len(cases)} of {len(found)} cases with all four sequences and a label map",
            expected=f"at least {LEAST_CASES}, of which one is held out",
            action="correct more cases",
            path=folder,
        )
    patient_of = patients_of(cases, patients)
    known = {patient_of[name].casefold() for name in seen if name in cases}
    everyone = {patient.casefold() for patient in patient_of.values()}
    if len(everyone) < 2:
        raise InputError(
            found=f"{len(cases)} cases of one patient ({some(cases)})",
            expected="at least two patients, of whom one is held out",
            action="add cases of others, or name the patients in a table (--patients)",
            path=folder,
        )
    new = sorted(name for name in cases if patient_of[name].casefold() not in known)
    if not new:
        raise InputError(
            found="cases of which the start model has seen all in its training",
            expected="at least one new case, to be held out",
            action="add cases, or start from the model that it was made from (--model)",
            path=folder,
        )
    held_out = _held_out(new, seed, patient_of, len(everyone))
    train = tuple(sorted(set(cases) - set(held_out)))
    doubts = patient_warnings(sorted(cases), patients)
    return PersonalCases(cases, train, held_out, (*unused, *doubts))


def _held_out(
    names: list[str], seed: int, patient_of: Mapping[str, str], everyone: int
) -> tuple[str, ...]:
    """Draw about a fifth of all patients among those of these cases; some other always trains."""
    wanted = max(1, round(everyone / HELD_OUT_EVERY))
    count = len({patient_of[name].casefold() for name in names})
    parts = split_patients(names, count, seed, patient_of.__getitem__)  # one patient in each
    drawn = sorted(parts, key=len)[:wanted]
    return tuple(sorted(name for part in drawn for name in part))
