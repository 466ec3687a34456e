"""One self-contained HTML page with our scores beside the paper's, and the files of the table."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

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
from scripted_models.evaluation.havaei_rows import REGION_ORDER, PaperRow
from scripted_models.evaluation.paper_tables import PPV_TITLE
from scripted_models.reporting.cell_text import REGIONS_NOTE, UNKNOWN
from scripted_models.reporting.rendering import render
from scripted_models.runtime.atomic_files import make_folder, write_file

_METRICS = {
    "dice": "Dice, mean over the cases with its 95 % interval",
    "ppv": PPV_TITLE,
    "sensitivity": "Sensitivity",
}
_Line = tuple[PaperRow | None, ExperimentRow | None]  # at least one of the two
_Column = tuple[str, str, str]  # metric, region, part


@dataclass(frozen=True)
class TableCell:
    """A score.

    Attributes:
        part: 'here', 'paper' or 'difference'.
        text: the score.
        interval: of our mean Dice; empty when it is not known.
        is_best: our best Dice in a column where several rows compete.
    """

    part: str
    text: str
    interval: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class TableLine:
    """A row: the method, a note below its name, and its scores."""

    name: str
    note: str
    cells: list[TableCell]


@dataclass(frozen=True)
class ScoreTable:
    """A table whose columns are metrics, in them regions, in them what is here and in the paper.

    Attributes:
        metrics: titles of the metrics.
        regions: in each metric.
        parts: in each region.
        lines: the rows.
    """

    metrics: list[str]
    regions: tuple[str, ...]
    parts: tuple[str, ...]
    lines: list[TableLine]


def write_experiment_table(
    rows: Sequence[ExperimentRow],
    facts: Mapping[str, object],
    folder: Path,
    title: str = "Havaei et al. 2017: our table beside the paper's",
) -> None:
    """Write table.csv, table.json, table.md and table.html into a folder, each whole or not at all.

    Args:
        rows: at least one.
        facts: JSON values about the whole run, shown under their names: command, seed, split with
            the case names, device, total time, versions.
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
    return render(
        "experiment_table.html.j2",
        title=title,
        caveat=caveat(rows),
        regions_note=REGIONS_NOTE,
        sections=[(section.title, _tables(section)) for section in sections(rows)],
        interval_note=INTERVAL_NOTE,
        notes=shared_notes(rows),
        training=fact_columns(rows),
        facts={name: fact_text(value) for name, value in facts.items()},
    )


def _tables(section: Section) -> list[ScoreTable]:
    lines: list[_Line] = []
    for paper, own in section.groups:
        lines += [(paper, row) for row in own] or [(paper, None)]
    return [_table(lines, ("dice",)), _table(lines, ("ppv", "sensitivity"))]


def _table(lines: list[_Line], metrics: tuple[str, ...]) -> ScoreTable:
    """Return the table of some metrics; that of Dice also shows the difference from the paper."""
    with_dice = metrics == ("dice",)
    parts: tuple[str, ...] = ("here", "paper", "difference") if with_dice else ("here", "paper")
    if not any(paper for paper, _ in lines):
        parts = parts[:1]
    columns = list(product(metrics, REGION_ORDER, parts))
    best = _best_dice(row for _, row in lines if row)
    found = [
        TableLine(
            _name(*line),
            _note(*line) if with_dice else "",
            [_cell(column, *line, best) for column in columns],
        )
        for line in lines
    ]
    return ScoreTable([_METRICS[metric] for metric in metrics], REGION_ORDER, parts, found)


def _best_dice(rows: Iterable[ExperimentRow]) -> dict[str, str]:
    """Return region -> best mean Dice as it is shown, where several rows compete for it."""
    found = defaultdict(list)
    for row in rows:
        for region, scores in row.evaluation.mean.items():
            found[region].append(_shown(scores["dice"]))
    return {region: max(values) for region, values in found.items() if len(values) > 1}


def _cell(
    column: _Column,
    paper: PaperRow | None,
    row: ExperimentRow | None,
    best: Mapping[str, str],
) -> TableCell:
    metric, region, part = column
    ours = row.evaluation.mean.get(region, {}).get(metric) if row else None
    printed = paper.score(metric, region) if paper else None
    if part == "paper":
        return TableCell(part, _shown(printed))
    if part == "difference":
        return TableCell(part, _difference(ours, printed))
    if row is None or ours is None or metric != "dice":
        return TableCell(part, _shown(ours))
    limits = row.dice_intervals[region]
    interval = f"{limits[0]:.2f} to {limits[1]:.2f}" if limits else ""
    return TableCell(part, _shown(ours), interval, is_best=_shown(ours) == best.get(region))


def _name(paper: PaperRow | None, row: ExperimentRow | None) -> str:
    if row:
        return row.name
    return paper.method if paper else ""


def _note(paper: PaperRow | None, row: ExperimentRow | None) -> str:
    """Return the number of cases, with the paper's name where it differs."""
    if row is None:
        return "not run"
    number = len(row.evaluation.cases)
    cases = "1 case" if number == 1 else f"{number} cases"
    return f"beside {paper.method}, {cases}" if paper and paper.method != row.name else cases


def _shown(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"


def _difference(ours: float | None, printed: float | None) -> str:
    """Return ours less the paper's, of the two digits that the page shows."""
    if ours is None or printed is None:
        return UNKNOWN
    hundredths = round(100 * (float(_shown(ours)) - printed))
    return f"{hundredths / 100:+.2f}".replace("-", "\N{MINUS SIGN}") if hundredths else "0.00"
