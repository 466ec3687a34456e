"""Tables of cases: their patients where names do not tell them, and groups to leave out."""

import csv
from collections.abc import Iterable
from pathlib import Path

from scripted_models.cases.patients import doubtful_cases, patient_name
from scripted_models.errors import InputError, listed
from scripted_models.runtime.plain_files import LARGEST_TEXT, read_bytes

_CASE_TITLES = {"case", "case_id", "case_name", "name", "session", "scan"}
_PATIENT_TITLES = {"patient", "patient_id", "patient_name", "participant_id", "subject"}
_SHOWN = 5  # names in a sentence


def patients_of(names: Iterable[str], table: str | Path = "") -> dict[str, str]:
    """Return the patient of each case, by a table or else by the cases' names.

    Args:
        names: the cases.
        table: see `read_patients`; empty: the names tell it (see `patients.patient_name`).

    Raises:
        InputError: the table cannot be read, or lacks a case.
    """
    if not table:
        return {name: patient_name(name) for name in names}
    patients = read_patients(Path(table))
    if missing := sorted(set(names) - set(patients)):
        raise InputError(
            found=f"no patient of {some(missing)}",
            expected="each case of the data in a row",
            action="add them, by the names that `scripted-models cases` lists",
            path=table,
        )
    return {name: patients[name] for name in names}


def patient_warnings(names: Iterable[str], table: str | Path = "") -> list[str]:
    """Return sentences about cases whose patient is in doubt, or that a table names in vain.

    Raises:
        InputError: the table cannot be read, or lacks a case.
    """
    names = list(names)
    if table:
        patients_of(names, table)
        if unknown := sorted(set(read_patients(Path(table))) - set(names)):
            return [f"{table}: {some(unknown)} are no cases of the data that can be used."]
        return []
    groups = doubtful_cases(names)
    if not groups:
        return []
    more = f", and {len(groups) - 1} more such groups" if len(groups) > 1 else ""
    return [
        f"The cases {some(groups[0])} may be of one patient{more}, but are taken for different "
        "ones, so that a split may put one patient on both sides. If they are, name the patients "
        "in a table with the columns case and patient (--patients, or data.patients)."
    ]


def read_patients(path: Path) -> dict[str, str]:
    """Read a table of cases and patients: TSV or CSV, the first row names the columns.

    Returns:
        Case -> patient.

    Raises:
        InputError: no such file, other columns, an empty cell, or a case in two rows.
    """
    rows = _rows(path)
    titles = [title.strip().lower() for title in rows[0]] if rows else []
    columns = [
        [i for i, title in enumerate(titles) if title in known]
        for known in (_CASE_TITLES, _PATIENT_TITLES)
    ]
    if [len(found) for found in columns] != [1, 1]:
        raise InputError(
            found=f"a table with the columns {listed(titles[:9]) or 'of nothing'}",
            expected="one column 'case' and one column 'patient' in its first row",
            action="name them so, with tabs or commas between",
            path=path,
        )
    (case_column,), (patient_column,) = columns
    patients: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        cells = [*(cell.strip() for cell in row), "", ""]
        case, patient = (
            cells[column] if column < len(cells) else "" for column in (case_column, patient_column)
        )
        if not case or not patient or case in patients:
            again = f"a second row of case {case}" if case in patients else "an empty cell"
            raise InputError(
                found=f"{again} in row {number}",
                expected="one row with case and patient for each case",
                action="correct the table",
                path=path,
            )
        patients[case] = patient
    return patients


def read_groups(path: Path, column: str) -> dict[str, str]:
    """Read the group of each case from a column of a table, TSV or CSV.

    Args:
        path: its first row names the columns, one of them 'case'.
        column: title of the column with the groups; capitals do not count.

    Returns:
        Case -> group, without cases whose cell is empty.

    Raises:
        InputError: no such file or column, a case in two rows, or fewer than two groups.
    """
    rows = _rows(path)
    titles = [title.strip().lower() for title in rows[0]] if rows else []
    columns = [
        [i for i, title in enumerate(titles) if title in known]
        for known in (_CASE_TITLES, {column.strip().lower()})
    ]
    if [len(found) for found in columns] != [1, 1]:
        raise InputError(
            found=f"a table with the columns {listed(titles[:9]) or 'of nothing'}",
            expected=f"one column 'case' and one column '{column}' in its first row",
            action="name another column",
            path=path,
        )
    (case_column,), (group_column,) = columns
    groups: dict[str, str] = {}
    for number, row in enumerate(rows[1:], start=2):
        cells = [cell.strip() for cell in row] + [""] * len(titles)
        if cells[case_column] in groups:
            raise InputError(
                found=f"a second row of case {cells[case_column]} in row {number}",
                expected="one row for each case",
                action="correct the table",
                path=path,
            )
        groups[cells[case_column]] = cells[group_column]
    named = {case: group for case, group in groups.items() if case and group}
    if len(set(named.values())) < 2:
        raise InputError(
            found=f"{'a single group' if named else 'no group'} in the column '{column}'",
            expected="at least two, of which one is left out at a time",
            action="name another column",
            path=path,
        )
    return named


def _rows(path: Path) -> list[list[str]]:
    try:
        lines = read_bytes(path, LARGEST_TEXT).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            found=f"no table that can be read ({getattr(error, 'strerror', '') or error})",
            expected="a text file with a row for each case",
            action="check the path",
            path=path,
        ) from error
    head = lines[0] if lines else ""
    sign = max("\t,;", key=head.count)
    return [row for row in csv.reader(lines, delimiter=sign) if any(cell.strip() for cell in row)]


def some(names: Iterable[str]) -> str:
    """Return the first names in a sentence, and how many more there are."""
    names = list(names)
    more = len(names) - _SHOWN
    return listed([*names[:_SHOWN], f"{more} more"] if more > 0 else names)
