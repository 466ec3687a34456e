"""The page about many cases: a table that sorts, filters and turns pages, without pictures."""

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import quote_from_bytes

from markupsafe import Markup

from scripted_models.reporting.cohort_results import CaseResult
from scripted_models.reporting.html_report import NOT_FOR_DIAGNOSIS
from scripted_models.reporting.rendering import render_into, script
from scripted_models.runtime.printable_text import on_one_line
from scripted_models.segmentation.result_folders import OVERLAY

PAGE_SIGN = '<!DOCTYPE html>\n<html lang="en" class="cohort">'
_LONGEST = 300  # letters of a case's warnings; the table has them all
# Column of the table -> its title on the page, and decimals; none for texts.
_SHOWN: dict[str, tuple[str, int | None]] = {
    "model": ("Model", None),
    "WT_ml": ("WT (mL)", 1),
    "TC_ml": ("TC (mL)", 1),
    "ET_ml": ("ET (mL)", 1),
    "resection_cavity_ml": ("Cavity (mL)", 1),
    "ET_longest_mm": ("ET long (mm)", 1),
    "ET_perpendicular_mm": ("ET across (mm)", 1),
    "lesions": ("Lesions", 0),
    "largest_lesion_ml": ("Largest (mL)", 1),
    "estimated_dice_WT": ("Est. Dice WT", 2),
    "estimated_dice_TC": ("Est. Dice TC", 2),
    "estimated_dice_ET": ("Est. Dice ET", 2),
    "seconds": ("Seconds", 0),
    "warnings": ("Warnings", 0),
}


def page_row(result: CaseResult, place: Path) -> list[object]:
    """Return a line of the page: case, link, whether there is a picture, warnings, then values.

    Args:
        result: of the case.
        place: folder of the page.
    """
    warnings = on_one_line(" ".join(result.warnings))
    if len(warnings) > _LONGEST:
        warnings = warnings[:_LONGEST].rstrip() + " …"
    case = on_one_line(str(result.cells["case"]))
    values = [_value(result.cells.get(name), digits) for name, (_, digits) in _SHOWN.items()]
    return [case, _link(result.folder, place), int(result.has_picture), warnings, *values]


def write_page(
    stream: TextIO,
    rows: Iterable[str],
    facts: dict[str, object],
    problems: Sequence[str],
    table: str,
) -> None:
    """Write the page.

    Args:
        stream: receives it.
        rows: each the JSON text of `page_row`.
        facts: of all cases.
        problems: sentences about faults and doubts.
        table: file name of the table beside the page.
    """
    code, allowed = script("cohort_page.js")
    render_into(
        stream,
        "cohort_page.html.j2",
        title="Segmented cases",
        not_for_diagnosis=NOT_FOR_DIAGNOSIS,
        facts=facts,
        problems=problems,
        columns=[[title, digits] for title, digits in _SHOWN.values()],
        picture=OVERLAY,
        rows=_for_script(rows),
        table=table,
        table_link=f"./{quote_from_bytes(os.fsencode(table))}",
        script=code,
        script_source=allowed,
    )


def _for_script(rows: Iterable[str]) -> Iterator[Markup]:
    """Give JSON that can stand in a script element: no tag begins or ends in it."""
    before = ""
    for row in rows:
        text = json.dumps(json.loads(row), separators=(",", ":"))
        for letter in "<>&":
            text = text.replace(letter, f"\\u{ord(letter):04x}")
        yield Markup(before + text)
        before = ",\n"


def _value(cell: Any, digits: int | None) -> object:
    if cell is None or digits is None:
        return cell if cell is None else on_one_line(str(cell))
    rounded = round(float(cell), digits + 1)
    return int(rounded) if rounded.is_integer() else rounded


def _link(folder: Path, place: Path) -> str:
    """Return the link to a folder from the folder of the page."""
    try:
        relative = os.path.relpath(folder, place)
    except ValueError:  # another drive of Windows
        return folder.absolute().as_uri() + "/"
    return f"./{quote_from_bytes(os.fsencode(relative.replace(os.sep, '/')))}/"
