"""Tables as comma-separated values that a spreadsheet takes for values, never for formulas."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from scripted_models.runtime.printable_text import on_one_line

_BEGINNINGS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # and their wide forms


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    r"""Return rows as CSV with line feeds.

    A text that a spreadsheet would run as a formula gets an apostrophe before it; numbers stay.
    Control characters become escapes such as ``\x1b``.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def csv_of_lines(columns: Sequence[str], lines: Iterable[Mapping[str, object]]) -> str:
    """Return a table with a head as `csv_text`; what a line does not have is empty."""
    return csv_text([columns, *([line.get(name, "") for name in columns] for line in lines)])


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = on_one_line(value)
    return f"'{text}" if text.startswith(_BEGINNINGS) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip()
