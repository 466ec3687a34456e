"""One self-contained HTML page about segmented cases: pictures, volumes, scores, warnings.

Pictures and style are inside the file and nothing is loaded or run, so that it can be mailed, archived
and opened without a network.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

from scripted_models import __version__
from scripted_models.labels import REGIONS
from scripted_models.reporting.case_section import (
    CaseReport,
    case_section,
    cell,
    escaped,
    fact_list,
    mean_dice,
    shown,
    value_of,
)
from scripted_models.reporting.markdown_html import markdown_to_html
from scripted_models.reporting.style import CSS
from scripted_models.runtime.atomic_files import write_file

__all__ = ["NOT_FOR_DIAGNOSIS", "CaseReport", "html_report", "worst_first", "write_html_report"]

NOT_FOR_DIAGNOSIS = (
    "Research software: this report is not for diagnosis, treatment planning or any other clinical "
    "decision. The segmentation was made by a program and may be wrong anywhere."
)
_SECURITY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_html_report(
    path: Path,
    cases: Sequence[CaseReport],
    title: str,
    intro: str = "",
    comparison: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> Path:
    """Write one HTML file about all cases, those with the lowest mean Dice first; whole or not at all.

    Args:
        path: destination in an existing folder.
        cases: the cases in any order.
        title: heading of the page.
        intro: Markdown paragraphs under the heading.
        comparison: Markdown with tables, set after the summary (`evaluation.comparison_table`).
        facts: facts of the whole run; model, version, date, device and seconds are added from the cases.

    Returns:
        The path.

    Raises:
        ResourceError: the file cannot be written.
        ValueError: a picture is neither a PNG nor a uint8 RGB array.
    """
    path = Path(path)
    write_file(path, html_report(cases, title, intro, comparison, facts))
    return path


def html_report(
    cases: Sequence[CaseReport],
    title: str,
    intro: str = "",
    comparison: str | None = None,
    facts: Mapping[str, object] | None = None,
) -> str:
    """Return the page that `write_html_report` writes."""
    cases = worst_first(cases)
    shared = _shared_facts(cases)
    parts = [
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f'<meta http-equiv="Content-Security-Policy" content="{_SECURITY}">',
        f"<title>{escaped(title)}</title><style>{CSS}</style></head><body>",
        f"<header><h1>{escaped(title)}</h1>",
        markdown_to_html(intro),
        f"<p class='notice'>{NOT_FOR_DIAGNOSIS}</p>",
        fact_list(_head_facts(cases, shared) | dict(facts or {})),
        "</header><main>",
        _summary(cases),
        f"<h2>Comparison</h2>{markdown_to_html(comparison)}" if comparison else "",
        *(case_section(case, number, shared) for number, case in enumerate(cases, 1)),
        f"</main><footer><p>{NOT_FOR_DIAGNOSIS}</p>",
        f"<p>Written by scripted_models {escaped(__version__)}.</p></footer></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def worst_first(cases: Sequence[CaseReport]) -> list[CaseReport]:
    """Sort by mean Dice over the regions, lowest first; then cases without scores, warned ones first."""

    def badness(case: CaseReport) -> tuple:
        score = mean_dice(case)
        return (score is None, -len(case.warnings) if score is None else score)

    return sorted(cases, key=badness)


# ---------------------------------------------------------------- head


def _shared_facts(cases: list[CaseReport]) -> dict[str, object]:
    """Return the facts that all cases state alike; times of several cases never count as alike."""
    if not cases:
        return {}
    first, *others = (case.facts for case in cases)
    return {
        name: value
        for name, value in first.items()
        if (name != "seconds" or not others)
        and all(name in other and other[name] == value for other in others)
    }


def _head_facts(cases: list[CaseReport], shared: dict[str, object]) -> dict[str, object]:
    """Return what is true of the whole run; seconds are means over the cases that state them."""
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z")
    head = shared | {"version": f"scripted_models {__version__}", "date": now, "cases": len(cases)}
    times = [
        case.facts["seconds"] for case in cases if isinstance(case.facts.get("seconds"), Mapping)
    ]
    if times:
        stages = dict.fromkeys(stage for seconds in times for stage in seconds)
        name = "seconds" if len(cases) == 1 else "seconds per case (mean)"
        head[name] = {s: fmean(t[s] for t in times if s in t) for s in stages}
        head[name].setdefault("total", sum(head[name].values()))
    return head


# ---------------------------------------------------------------- summary


def _summary(cases: list[CaseReport]) -> str:
    if not cases:
        return "<h2>Summary</h2><p>No case was given.</p>"
    scored = any(case.metrics for case in cases)
    order = "Lowest mean Dice first" if scored else "Cases with warnings first"
    columns = _summary_columns(scored)
    groups = ["<th rowspan='2' scope='col'>Case</th>"]
    if scored:
        groups += [f"<th colspan='3' scope='colgroup'>{g}</th>" for g in ("Dice", "HD95 (mm)")]
    groups.append("<th colspan='3' scope='colgroup'>Predicted volume (mL)</th>")
    groups.append("<th rowspan='2' scope='col'>Warnings</th>")
    names = "".join(f"<th scope='col'>{region.capitalize()}</th>" for _, region in columns)
    rows = "".join(_summary_row(case, i, columns) for i, case in enumerate(cases, 1))
    return (
        f"<h2>Summary</h2><p class='note'>{order}.</p><div class='wide'>"
        f"<table class='summary'><thead><tr>{''.join(groups)}</tr><tr>{names}</tr></thead>"
        f"<tbody>{rows}</tbody>{_summary_foot(cases, columns)}</table></div>"
    )


def _summary_columns(scored: bool) -> list[tuple[str, str]]:
    kinds = ("dice", "hd95_mm", "ml") if scored else ("ml",)
    return [(kind, region) for kind in kinds for region in REGIONS]


def _summary_row(case: CaseReport, number: int, columns: list[tuple[str, str]]) -> str:
    cells = "".join(cell(kind, value_of(case, kind, region)) for kind, region in columns)
    link = f"<a href='#case-{number}'>{escaped(case.name)}</a>"
    count = len(case.warnings) or "–"
    return f"<tr><th scope='row'>{link}</th>{cells}<td>{count}</td></tr>"


def _summary_foot(cases: list[CaseReport], columns: list[tuple[str, str]]) -> str:
    if len(cases) < 2:
        return ""
    rows = []
    for name, statistic in (("Mean", fmean), ("Median", median)):
        cells = []
        for kind, region in columns:
            known = [v for case in cases if (v := value_of(case, kind, region)) is not None]
            cells.append(f"<td>{shown(kind, statistic(known) if known else None)}</td>")
        rows.append(f"<tr><th scope='row'>{name}</th>{''.join(cells)}<td></td></tr>")
    return f"<tfoot>{''.join(rows)}</tfoot>"
