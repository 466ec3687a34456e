"""Visits in a table: TSV or CSV, one row a visit, the first row names the columns."""

import csv
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from scripted_models.errors import InputError, listed
from scripted_models.follow_up.visit_dates import ordered, parse_date
from scripted_models.follow_up.visit_source import CLINICAL, Moment, Told, VisitSource
from scripted_models.follow_up.visits import LEAST_VISITS, source_at
from scripted_models.labels import CODINGS
from scripted_models.runtime.file_identity import doubles
from scripted_models.runtime.plain_files import LARGEST_TEXT, read_bytes

COLUMNS = (
    *("visit", "date", "day", "folder", "segmentation", "coding", "image"),
    *("steroids", "clinical", "confirmed", "radiotherapy"),
)
SUFFIXES = (".tsv", ".csv", ".txt")
_YES_NO = {"yes": True, "no": False}
Row = Mapping[str, str]


def read_table(path: Path) -> tuple[list[VisitSource], date | None]:
    """Read the visits of a table, the first one first.

    Args:
        path: the file; paths in it are taken from its folder.

    Returns:
        The visits, and the end of a radiotherapy where a column tells it.

    Raises:
        InputError: no such table, unknown columns, a row that cannot be used, fewer than two
            visits, one without a date, or two of one.
    """
    rows = _rows(path)
    sources = [_source(path, row, number) for number, row in rows]
    if len(sources) < LEAST_VISITS:
        raise InputError(
            found=f"{len(sources) or 'no'} row{'' if len(sources) == 1 else 's'} of a visit",
            expected="at least two",
            action="add a row for each visit",
            path=path,
        )
    if twice := doubles(source.name for source in sources):
        raise InputError(
            found=f"several visits of one name ({listed(twice[:4])})",
            expected="one row a visit",
            action="correct the table",
            path=path,
        )
    ends = {row["radiotherapy"]: number for number, row in rows if row["radiotherapy"]}
    if len(ends) > 1:
        raise _refused(path, max(ends.values()), "another end of the radiotherapy", "one")
    end = next((_date(path, number, text) for text, number in ends.items()), None)
    return ordered(sources), end


def told_of(steroids: str, clinical: str, confirmed: str) -> Told:
    """Return what the user says of a visit, from texts; empty and '-' say nothing.

    Raises:
        ValueError: a text that means nothing; it says what is expected.
    """
    steroids, clinical, confirmed = (
        "" if text.strip() == "-" else text.strip().lower()
        for text in (steroids, clinical, confirmed)
    )
    try:
        dose = float(steroids) if steroids else None
    except ValueError as error:
        raise ValueError(f"steroids {steroids!r}, expected mg of dexamethasone a day") from error
    if dose is not None and not 0 <= dose < 1000:
        raise ValueError(f"steroids {steroids!r}, expected mg of dexamethasone a day")
    if clinical and clinical not in CLINICAL:
        raise ValueError(f"clinical {clinical!r}, expected {listed(CLINICAL)}")
    if confirmed and confirmed not in _YES_NO:
        raise ValueError(f"confirmed {confirmed!r}, expected yes or no")
    return Told(dose, clinical, _YES_NO.get(confirmed))


def _source(path: Path, row: Row, number: int) -> VisitSource:
    name = row["visit"]
    if not name or Path(name).name != name or name.startswith("."):
        raise _refused(path, number, f"the name {name!r}", "a plain name of the visit")
    if bool(row["folder"]) == bool(row["segmentation"]):
        both = "a folder and a segmentation" if row["folder"] else "no folder and no segmentation"
        raise _refused(path, number, both, "one of both")
    if row["folder"] and (row["image"] or row["coding"]):
        raise _refused(path, number, "an image or a coding beside a folder", "a folder alone")
    if row["coding"] and row["coding"] not in CODINGS:
        raise _refused(
            path, number, f"the coding {row['coding']!r}", f"one of {listed([*CODINGS])}"
        )
    try:
        told = told_of(row["steroids"], row["clinical"], row["confirmed"])
    except ValueError as error:
        raise _refused(path, number, str(error), "") from error
    moment = _moment(path, row, number)
    if row["folder"]:
        found = source_at(path.parent / row["folder"], name)
        return VisitSource(name, found.place, found.folder, found.case, moment=moment, told=told)
    segmentation = path.parent / row["segmentation"]
    return VisitSource(
        name=name,
        place=segmentation,
        segmentation=segmentation,
        coding=CODINGS[row["coding"]] if row["coding"] else None,
        image=path.parent / row["image"] if row["image"] else None,
        moment=moment,
        told=told,
    )


def _moment(path: Path, row: Row, number: int) -> Moment:
    if bool(row["date"]) == bool(row["day"]):
        found = "a date and a day" if row["date"] else "no date and no day"
        raise _refused(path, number, found, "one of both")
    if row["date"]:
        return Moment(date=_date(path, number, row["date"]), source="table")
    try:
        return Moment(day=int(row["day"]), source="table")
    except ValueError as error:
        raise _refused(path, number, f"the day {row['day']!r}", "a whole number") from error


def _date(path: Path, number: int, text: str) -> date:
    found = parse_date(text)
    if found is None:
        raise _refused(path, number, f"the date {text!r}", "one such as 2024-01-31")
    return found


def _refused(path: Path, number: int, found: str, expected: str) -> InputError:
    return InputError(
        found=f"{found} in row {number}",
        expected=expected,
        action="correct the table",
        path=path,
    )


def _rows(path: Path) -> list[tuple[int, Row]]:
    """Return number and cells of each row; cells of columns that are not there are empty."""
    try:
        lines = read_bytes(path, LARGEST_TEXT).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(
            found=f"no table that can be read ({getattr(error, 'strerror', '') or error})",
            expected="a text file with a row for each visit",
            action="check the path",
            path=path,
        ) from error
    table = list(csv.reader(lines, delimiter=max("\t,;", key=(lines or [""])[0].count)))
    head = [cell.strip().lower() for cell in table[0]] if table else []
    known = [name for name in head if name in COLUMNS]
    if "visit" not in head or len(known) < len(head) or len(set(head)) < len(head):
        raise InputError(
            found=f"a table with the columns {listed(head[:12]) or 'of nothing'}",
            expected=f"'visit' and others of {listed(COLUMNS)}, each once",
            action="name them so in the first row, with tabs or commas between",
            path=path,
        )
    rows: list[tuple[int, Row]] = []
    for number, cells in enumerate(table[1:], start=2):
        if any(cell.strip() for cell in cells):
            found = dict.fromkeys(COLUMNS, "")
            found.update(zip(head, (cell.strip() for cell in cells), strict=False))
            rows.append((number, found))
    return rows
