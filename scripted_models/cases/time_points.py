"""Words and dates in a case's name that tell a time point: the patient is named before them."""

import re
from collections.abc import Iterator
from pathlib import Path

_YEAR, _MONTH, _DAY = r"(?:19|20)\d\d", r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_MONTHS = "jan|feb|m[aä]r|a[pv]r|ma[iy]|juin|jun|juil|jul|aug|ao[uû]|sep|o[ck]t|nov|d[eé][cz]"
_DATES = (
    rf"{_YEAR}[-._ ]{_MONTH}[-._ ]{_DAY}(?:[-._ T]?\d{{2,6}})?",
    rf"{_YEAR}{_MONTH}{_DAY}(?:[-._ ]?T?\d{{4,6}})?",
    rf"{_DAY}[-._ ]{_MONTH}[-._ ]{_YEAR}",
    rf"{_YEAR}[-.]{_MONTH}",
    rf"\d{{1,2}}(?P<sign>[-._ ]?)(?:{_MONTHS})[a-zäéû]{{0,7}}(?P=sign){_YEAR}",
    rf"(?:{_MONTHS})[a-zäéû]{{0,7}}[-._ ]?{_YEAR}",
)
_UP = r"follow[-_ ]?up|fup|fu"
_NUMBERED = (
    r"sessions?|sess|ses|visits?|vis|time[-_ ]?points?|tp|weeks?|wk|months?|mth|mo|years?|yr|days?"
)
_OPERATION = r"op|operation|operative|surgery|surgical|rt|rx|radiotherapy|treatment|tx|chemo"
_ALONE = (
    rf"baseline|base|bl|{_UP}|initial|recurrences?|recurrent|relapse|progression|nadir|diagnosis|"
    rf"(?:early|late)?[-_ ]?(?:prae|pr[eäé]|post|intra)[-_ ]?(?:{_OPERATION})|pre|post|intraop|"
    r"re-?scan|re-?test|repeat|first|second|third|prior|previous|current|before|after"
)
_WEAK = (
    r"scan|exam(?:ination)?|study|mri|mr|acq|run|test|time|t|v|m|d|w|y|"
    r"tag|woche|monat"
)
_DATE = rf"{_YEAR}[-._]?{_MONTH}[-._]?{_DAY}(?!\d)"  # visit-2020-01-31
_LABEL = rf"[-_ ]?(?:{_DATE}|\d+[a-z]{{0,3}}(?:[-_]\d{{1,2}})?|[a-z]\b)"
_FEW = r"(?:\d+[a-z]{0,3}|[-_ ]\d{1,2})?"  # more digits are a patient's: preop_001
_PHRASE = re.compile(
    rf"(?<![0-9a-z])(?:(?P<date>{'|'.join(_DATES)})|(?P<session>ses-(?:{_DATE}|[0-9a-z]+))|"
    rf"(?P<numbered>(?:{_NUMBERED}){_LABEL})|(?P<alone>(?:{_ALONE}){_FEW})|"
    rf"(?P<weak>(?:{_WEAK})(?:[-_ ]?d)?{_LABEL}))(?![0-9a-z])",
    re.IGNORECASE,
)
_GLUED = re.compile(r"(.*\d)(?:(?:visit|tp|fu|[vtmdw])\d{1,3}|pre|post|bl|fu)", re.IGNORECASE)
_WEAK_ONLY = re.compile(rf"(?:{_WEAK}){_LABEL}", re.IGNORECASE)  # may be a patient's: W12
_SIGNS = "-_ .+,"


def without_time_point(name: str) -> str:
    """Return what a name says besides its time point; a name that says no other thing, whole.

    In doubt more is taken for the time point, so that two patients share a name.

    Example:
        >>> without_time_point("p1_20200131"), without_time_point("Patient-001_week-000-1")
        ('p1', 'Patient-001')
    """
    for kind, start, end in _phrases(name):
        before, after = name[:start].strip(_SIGNS), name[end:].strip(_SIGNS)
        identified = re.search(r"\d", before) is not None
        if before and (identified or kind != "weak"):
            return before
        if not before and kind != "weak" and after:
            return without_time_point(after)
    glued = _GLUED.fullmatch(name)  # p1v2
    return glued[1] if glued else name


def is_time_point(name: str, sure: bool = False) -> bool:
    """Tell whether a name, as of a folder, says nothing but a time point.

    Args:
        name: of a folder or case.
        sure: count no word that may be a patient's, such as 'scan_001' or 'W12'.

    Example:
        >>> is_time_point("week-000-1"), is_time_point("Timepoint_1"), is_time_point("p1_visit2")
        (True, True, False)
    """
    if sure and _WEAK_ONLY.fullmatch(name):
        return False
    rest, count = name, 0
    while match := _PHRASE.search(rest):
        rest, count = rest[: match.start()] + rest[match.end() :], count + 1
    return count > 0 and not re.search("[0-9A-Za-z]", rest)


def patient_folder(folder: Path) -> Path:
    """Return the folder above those that are named by nothing but a time point, or the same."""
    above = folder
    while above.name and is_time_point(above.name, sure=True):
        above = above.parent
    return above if above.name else folder


def _phrases(name: str) -> Iterator[tuple[str, int, int]]:
    """Give kind, start and end of each word or date of time, in the order of the name."""
    for match in _PHRASE.finditer(name):
        yield str(match.lastgroup), match.start(), match.end()
