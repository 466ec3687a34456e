"""One self-contained HTML page with our scores beside the paper's, and the files of the whole table."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

from scripted_models import __version__
from scripted_models.evaluation.experiment_rows import (
    INTERVAL_NOTE,
    ExperimentRow,
    Section,
    caveat,
    experiment_texts,
    fact_columns,
    fact_text,
    sections,
    shared_notes,
)
from scripted_models.evaluation.paper_tables import PPV_TITLE, REGION_ORDER, PaperRow
from scripted_models.reporting.case_section import escaped, fact_list
from scripted_models.reporting.markdown_html import markdown_to_html
from scripted_models.reporting.style import CSS
from scripted_models.runtime.atomic_files import make_folder, write_file

_UNKNOWN = "–"
_METRICS = {
    "dice": "Dice, mean over the cases with its 95 % interval",
    "ppv": PPV_TITLE,
    "sensitivity": "Sensitivity",
}
_Line = tuple[PaperRow | None, ExperimentRow | None]
_OWN_CSS = """
table { width: 100%; table-layout: fixed; margin: 6px 0 22px; }
thead tr:first-child > :first-child { width: 22%; }
tbody td, tbody th { vertical-align: top; }
th[scope=row] small, td small { display: block; color: var(--faint); font-weight: 400; font-size: 12px; }
td.own { background: var(--soft); }
td.paper { color: var(--faint); }
.group { border-left: 2px solid var(--line); }
.facts .long { grid-column: 1 / -1; }
@media print { @page { size: A4 landscape; } td small, th[scope=row] small { font-size: 7pt; }
  .wide { break-inside: avoid; } table { margin-bottom: 10px; } h2 { margin-top: 16px; }
  footer { margin: 0; padding: 0; } }
"""


def write_experiment_table(
    rows: Sequence[ExperimentRow],
    facts: Mapping[str, object],
    folder: Path,
    title: str = "Havaei et al. 2017: our table beside the paper's",
) -> None:
    """Write table.csv, table.json, table.md and table.html into a folder, each whole or not at all.

    Args:
        rows: at least one.
        facts: JSON values about the whole run, shown under their names: command, seed, split with the
            case names, device, total time, versions.
        folder: made when absent.
        title: heading of the page.

    Raises:
        ResourceError: the folder cannot be written.
    """
    texts = experiment_texts(rows, facts) | {"table.html": experiment_page(rows, facts, title)}
    make_folder(folder)
    for name, text in texts.items():
        write_file(Path(folder) / name, text)


def experiment_page(rows: Sequence[ExperimentRow], facts: Mapping[str, object], title: str) -> str:
    """Return the page: Dice with interval and difference, PPV and sensitivity, facts, notes."""
    notes = "".join(f"<li>{escaped(note)}</li>" for note in shared_notes(rows))
    parts = [
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{escaped(title)}</title><style>{CSS}{_OWN_CSS}</style></head><body>",
        f"<header><h1>{escaped(title)}</h1>",
        f"<div class='notice'>{markdown_to_html(caveat(rows))}</div></header><main>",
        *(_section(section) for section in sections(rows)),
        f"<p class='note'>{escaped(INTERVAL_NOTE)} Bold: our best Dice in a column.</p>",
        f"<ul class='note'>{notes}</ul>" if notes else "",
        _training(rows),
        "<h2>The run</h2>" + fact_list({name: fact_text(value) for name, value in facts.items()}),
        f"</main><footer><p>Written by scripted_models {escaped(__version__)}.</p></footer>",
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _section(section: Section) -> str:
    lines = [(paper, row) for paper, own in section.groups for row in own or [None]]
    title = f"<h2>{escaped(section.title)}</h2>"
    return f"<section>{title}{_table(lines, ('dice',))}{_table(lines, ('ppv', 'sensitivity'))}</section>"


def _table(lines: list[_Line], metrics: tuple[str, ...]) -> str:
    """Return a table whose columns are metrics, in them regions, in them what is here and in the paper."""
    parts = ("here", "paper", "difference") if metrics == ("dice",) else ("here", "paper")
    if not any(paper for paper, _ in lines):
        parts = parts[:1]
    columns = list(product(metrics, REGION_ORDER, parts))
    best = _best_dice(row for _, row in lines if row)
    body = "".join(
        f"<tr>{_head(*line, metrics)}{''.join(_cell(c, *line, best) for c in columns)}</tr>"
        for line in lines
    )
    group = "<th colspan='{}' scope='colgroup' class='group'>{}</th>".format
    metric_cells = "".join(group(3 * len(parts), _METRICS[metric]) for metric in metrics)
    region_cells = "".join(
        group(len(parts), r.capitalize()) for _, r in product(metrics, REGION_ORDER)
    )
    part_cells = "".join(f"<th scope='col'{_edge(part)}>{part}</th>" for _, _, part in columns)
    return (
        "<div class='wide'><table><thead>"
        f"<tr><th rowspan='3' scope='col'>Method</th>{metric_cells}</tr>"
        f"<tr>{region_cells}</tr><tr>{part_cells}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _best_dice(rows: Iterable[ExperimentRow]) -> dict[str, str]:
    """Return region -> best mean Dice as it is shown, where several rows compete for it."""
    found = defaultdict(list)
    for row in rows:
        for region, scores in row.evaluation.mean.items():
            found[region].append(_shown(scores["dice"]))
    return {region: max(values) for region, values in found.items() if len(values) > 1}


def _cell(
    column: tuple[str, str, str],
    paper: PaperRow | None,
    row: ExperimentRow | None,
    best: Mapping[str, str],
) -> str:
    metric, region, part = column
    ours = _mean(row, metric, region)
    printed = paper.score(metric, region) if paper else None
    if part != "here":
        text = _shown(printed) if part == "paper" else _difference(ours, printed)
        return f"<td class='paper'>{text}</td>"
    text = _shown(ours)
    if metric == "dice" and ours is not None:
        text = f"<strong>{text}</strong>" if text == best.get(region) else text
        if interval := row.dice_intervals[region]:
            text += f"<small>{interval[0]:.2f} to {interval[1]:.2f}</small>"
    return f"<td class='own group'>{text}</td>"


def _edge(part: str) -> str:
    return " class='group'" if part == "here" else ""


def _head(paper: PaperRow | None, row: ExperimentRow | None, metrics: tuple[str, ...]) -> str:
    """Return the first cell; that of Dice tells the number of cases, and the paper's name if it differs."""
    name = row.name if row else paper.method
    notes = [f"beside {paper.method}"] if paper and paper.method != name else []
    number = len(row.evaluation.cases) if row else 0
    notes.append("not run" if not row else "1 case" if number == 1 else f"{number} cases")
    small = f"<small>{escaped(', '.join(notes))}</small>" if metrics == ("dice",) else ""
    return f"<th scope='row'>{escaped(name)}{small}</th>"


def _training(rows: Sequence[ExperimentRow]) -> str:
    table = fact_columns(rows)
    if not table:
        return ""
    head = "".join(f"<th scope='col'>{escaped(title)}</th>" for title in table[0])
    body = "".join(
        f"<tr><th scope='row'>{escaped(name)}</th>{''.join(f'<td>{escaped(x)}</td>' for x in cells)}</tr>"
        for name, *cells in table[1:]
    )
    return (
        "<h2>Training</h2><div class='wide'><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _mean(row: ExperimentRow | None, metric: str, region: str) -> float | None:
    return row.evaluation.mean.get(region, {}).get(metric) if row else None


def _shown(value: float | None) -> str:
    return _UNKNOWN if value is None else f"{value:.2f}"


def _difference(ours: float | None, printed: float | None) -> str:
    """Return ours less the paper's, of the two digits that the page shows."""
    if ours is None or printed is None:
        return _UNKNOWN
    hundredths = round(100 * (float(_shown(ours)) - printed))
    return f"{hundredths / 100:+.2f}".replace("-", "\N{MINUS SIGN}") if hundredths else "0.00"
