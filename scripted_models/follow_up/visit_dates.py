"""When a visit was: of a table, of DICOM, of its folder's name, or a day that the user gives."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.follow_up.visit_source import Moment, VisitSource
from scripted_models.segmentation.result_folders import report_in

_DATE = re.compile(
    r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?:[T_-]?\d{4,6})?(?!\d)"
)


def dated(sources: Sequence[VisitSource], days: Sequence[int]) -> list[VisitSource]:
    """Give each visit its day, of the user's list, or its date, of whatever tells it.

    Raises:
        InputError: another number of days than of visits.
    """
    if not days:
        return [replace(s, moment=s.moment if s.moment.source else _found(s)) for s in sources]
    if len(days) != len(sources):
        raise InputError(
            found=f"{len(days)} days with --days for {len(sources)} visits",
            expected="one for each visit, in their order",
            action="correct --days",
        )
    return [
        replace(s, moment=Moment(day=day, source="option"))
        for s, day in zip(sources, days, strict=True)
    ]


def ordered(sources: Sequence[VisitSource]) -> list[VisitSource]:
    """Return visits by date, with days counted from the first.

    Raises:
        InputError: a visit without a date, dates beside days, or two visits of one date.
    """
    for source in sources:
        if not source.moment.source:
            raise InputError(
                found="no date of this visit",
                expected="one in DICOM, in the folder's name (2024-01-31 or 20240131), or a day",
                action="give days with --days, or dates in a table",
                path=source.place,
            )
    dates = [s.moment.date for s in sources if s.moment.date]
    if dates and len(dates) < len(sources):
        other = next(s for s in sources if not s.moment.date)
        raise InputError(
            found=f"visits with dates, and {other.name} with a day alone",
            expected="dates of all visits, or days of all",
            action="give one of both for each",
        )
    if dates:
        start = min(dates)
        sources = [
            replace(s, moment=replace(s.moment, day=(s.moment.date - start).days))
            for s in sources
            if s.moment.date
        ]
    found = sorted(sources, key=lambda s: s.moment.day or 0)
    for one, other in pairwise(found):
        if one.moment.day == other.moment.day:
            when = one.moment.date.isoformat() if one.moment.date else f"day {one.moment.day}"
            raise InputError(
                found=f"two visits of one date ({one.name} and {other.name}, {when})",
                expected="one visit a day",
                action="leave one out, or correct the date",
            )
    return found


def date_in(name: str) -> date | None:
    """Return the date in a name, such as 2024-01-31, 20240131 or ses-20240131; None without one.

    Two different dates in a name count as none.
    """
    found = {parse_date("".join(match.group(1, 3, 4))) for match in _DATE.finditer(name)}
    found.discard(None)
    return found.pop() if len(found) == 1 else None


def parse_date(text: str) -> date | None:
    """Return a date written as 2024-01-31, 2024-1-31, 2024/01/31 or 20240131; None for others.

    A time behind it (2024-01-31 12:00:00, 2024-01-31T12:00) does not count.
    """
    plain = re.sub(r"(?<=\d)[T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?$", "", text.strip())
    match = re.fullmatch(r"(\d{4})()(\d\d)(\d\d)", plain) or re.fullmatch(
        r"(\d{4})([-./_])(\d\d?)\2(\d\d?)", plain
    )
    try:
        return date(*(int(part) for part in match.group(1, 3, 4))) if match else None
    except ValueError:  # the 31st of June
        return None


def _found(source: VisitSource) -> Moment:
    """Return the date of DICOM, or else of the folder's name, or of the folder above."""
    place = Path(source.place).absolute()
    named = date_in(place.name) or date_in(source.name) or date_in(place.parent.name)
    taken = _acquired(source)
    if taken is None:
        return Moment(named, source="name") if named else Moment()
    doubt = ""
    if named and abs(named - taken) > timedelta(days=1):
        doubt = (
            f"{source.name}: found {named} in its name and {taken} in DICOM, expected one date; "
            "that of DICOM is taken."
        )
    return Moment(taken, source="DICOM", doubt=doubt)


def _acquired(source: VisitSource) -> date | None:
    """Return the study date of DICOM, of a report or of the series of a case."""
    if source.folder is not None:
        dicom = (report_in(source.folder) or {}).get("dicom")
        told = dicom.get("study_date") if isinstance(dicom, dict) else None
        return parse_date(str(told or ""))
    images = source.case.images.values() if source.case else ()
    told_of = [image.series.study_date for image in images if image.series]
    return parse_date(told_of[0]) if told_of else None
