"""Tables of cases: their patients where names do not tell them, and groups to leave out."""

import csv
from collections.abc import Iterable, Iterator, Set
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
        return unused_rows(table, read_patients(Path(table)), names)
    groups = doubtful_cases(names)
    if not groups:
        return []
    more = f", and {len(groups) - 1} more such groups" if len(groups) > 1 else ""
    return [
        f"The cases {some(groups[0])} may be of one patient{more}, but are taken for different "
        "ones, so that a split may put one patient on both sides. If they are, name the patients "
        "in a table with the columns case and patient (--patients, or data.patients)."
    ]


def unused_rows(table: str | Path, listed_cases: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return a sentence about cases of a table that are not among those of the data, if any."""
    if unknown := sorted(set(listed_cases) - set(names)):
        return [f"{table}: {some(unknown)} are no cases of the data that can be used."]
    return []


def read_patients(path: Path) -> dict[str, str]:
    """Read a table of cases and patients: TSV or CSV, the first row names the columns.

    Returns:
        Case -> patient.

    Raises:
        InputError: no such file, other columns, an empty cell, or a case in two rows.
    """
    patients: dict[str, str] = {}
    for number, case, patient in _two_columns(path, _CASE_TITLES, _PATIENT_TITLES, "patient"):
        if not case or not patient or case in patients:
            again = f"a second row of case {case}" if case in patients else "an empty cell"
            raise _refused_row(path, again, number, "one row with case and patient for each case")
        patients[case] = patient
    return patients


def read_groups(path: Path, column: str) -> dict[str, str]:
    """Read the group of each case from a column of a table, TSV or CSV.

    Args:
        path: its first row names the columns, one of them 'case'.
        column: title of the column with the groups; capitals do not count.

    Returns:
        Case -> group, "" where the cell is empty.

    Raises:
        InputError: no such file or column, a row without a case, a case with two groups, or fewer
            than two groups.
    """
    groups: dict[str, str] = {}
    title = column.strip().lower()
    for number, case, group in _two_columns(path, {"case"}, {title}, column):
        if not case:
            raise _refused_row(path, "no case", number, "the name of a case in each row")
        if groups.setdefault(case, group) != group:
            found = f"another group of case {case} ({group!r} after {groups[case]!r})"
            raise _refused_row(path, found, number, "one group for each case")
    count = len(set(filter(None, groups.values())))
    if count < 2:
        raise InputError(
            found=f"{'a single group' if count else 'no group'} in the column '{column}'",
            expected="at least two, of which one is left out at a time",
            action="name another column",
            path=path,
        )
    return groups


def _two_columns(
    path: Path, case_titles: Set[str], titles: Set[str], title: str
) -> Iterator[tuple[int, str, str]]:
    """Give the number of each row, its case and its cell in the other column, "" if it has none."""
    rows = _rows(path)
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    columns = [[i for i, cell in enumerate(head) if cell in t] for t in (case_titles, titles)]
    if [len(found) for found in columns] != [1, 1]:
        raise InputError(
            found=f"a table with the columns {listed(head[:9]) or 'of nothing'}",
            expected=f"one column 'case' and one column '{title}' in its first row",
            action="name them so, with tabs or commas between",
            path=path,
        )
    (case_column,), (column,) = columns
    for number, row in enumerate(rows[1:], start=2):
        cells = [*(cell.strip() for cell in row), *("" for _ in head)]
        yield number, cells[case_column], cells[column]


def _refused_row(path: Path, found: str, number: int, expected: str) -> InputError:
    return InputError(
        found=f"{found} in row {number}", expected=expected, action="correct the table", path=path
    )


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
