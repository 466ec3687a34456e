"""Scores of a list of experiments beside the rows that Havaei et al. 2017 print."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from scripted_models.evaluation.folder_scores import Evaluation
from scripted_models.evaluation.havaei_rows import (
    PAPER_ROWS,
    REGION_ORDER,
    PaperRow,
    paper_row,
)
from scripted_models.evaluation.metrics import EMPTY_MASK_POLICY, METRICS
from scripted_models.evaluation.paper_tables import (
    CELLS_NOTE,
    COMPARED,
    PPV_NOTE,
    TITLES,
    Caveat,
    cases_differ,
    escaped,
    markdown_cells,
    markdown_table,
    own_row_cells,
    paper_row_cells,
)
from scripted_models.runtime.csv_text import csv_of_lines

INTERVAL_NOTE = (
    "The interval is the 95 % bootstrap interval of the mean Dice: 2.5th to 97.5th percentile over "
    "10,000 draws of the cases with replacement (seed 0). It knows the chance of the test cases, "
    "not that of training."
)
_DRAWS = 10_000
_TITLES = {1: "Table 1: TwoPathCNN and variations", 2: "Table 2: cascades", None: "Other rows"}


@dataclass(frozen=True)
class ExperimentRow:
    """One trained and evaluated network.

    Attributes:
        name: heads the row.
        paper_method: row of the paper's table 1 or 2 to set beside it, such as 'TwoPathCNN*'; empty
            for none.
        evaluation: its scores.
        facts: JSON values such as training seconds, seconds per case, parameters, epochs.

    Raises:
        InputError: the paper has no such row.
    """

    name: str
    paper_method: str
    evaluation: Evaluation
    facts: Mapping[str, str | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.paper_method:
            paper_row(self.paper_method)

    @property
    def paper(self) -> PaperRow | None:
        """The paper's row, if there is one."""
        return paper_row(self.paper_method) if self.paper_method else None

    @cached_property
    def dice_intervals(self) -> dict[str, tuple[float, float] | None]:
        """Region -> interval of the mean Dice (see `bootstrap_interval`)."""
        return {
            region: bootstrap_interval(
                [s[region]["dice"] for s in self.evaluation.cases.values() if region in s]
            )
            for region in self.evaluation.mean
        }


class FactRow(Protocol):
    """A row of any table, with facts about how it came about."""

    @property
    def name(self) -> str:
        """Heads the row."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """JSON values by name."""


class Section(NamedTuple):
    """One table: its title, and each row of the paper (or None) with the experiments beside it."""

    title: str
    groups: list[tuple[PaperRow | None, list[ExperimentRow]]]


def bootstrap_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % percentile bootstrap interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    drawn = np.random.default_rng(0).choice(np.asarray(values), (_DRAWS, len(values)))
    low, high = np.percentile(drawn.mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def sections(rows: Sequence[ExperimentRow]) -> list[Section]:
    """Sort experiments into the paper's tables, with all of the paper's rows in its order.

    A table of which no experiment has a row is left out; experiments without a row come last.
    """
    found = []
    for table, title in _TITLES.items():
        papers: list[PaperRow | None] = [row for row in PAPER_ROWS if row.table == table]
        groups = [
            (paper, [row for row in rows if row.paper == paper]) for paper in papers or [None]
        ]
        if any(own for _, own in groups):
            found.append(Section(title, groups))
    return found


def caveat(rows: Sequence[ExperimentRow]) -> Caveat:
    """Return the warning how many cases the rows are over and that the paper's are others."""
    numbers = sorted({len(row.evaluation.cases) for row in rows})
    cases = " or ".join(map(str, numbers)) + (" case" if numbers == [1] else " cases")
    found = cases_differ(f"our rows are means over the {cases}")
    return Caveat(found.lead, f"{found.rest} {PPV_NOTE}")


def shared_notes(rows: Sequence[ExperimentRow]) -> list[str]:
    """Return the notes and warnings of all evaluations once, with the rows that they are about."""
    about: dict[str, list[str]] = {}
    for row in rows:
        for note in (*row.evaluation.notes, *row.evaluation.warnings):
            about.setdefault(note, []).append(row.name)
    return [
        note if len(names) == len(rows) else f"{', '.join(names)}: {note}"
        for note, names in about.items()
    ]


def fact_columns(rows: Sequence[FactRow]) -> list[list[str]]:
    """Return a table of the rows' facts: the titles, then the texts of each row; or nothing."""
    names = list(dict.fromkeys(name for row in rows for name in row.facts))
    if not names:
        return []
    body = [[row.name, *(fact_text(row.facts.get(name, "-")) for name in names)] for row in rows]
    return [["Method", *(name.replace("_", " ") for name in names)], *body]


def fact_text(value: object) -> str:
    """Return a fact as text; parts of lists and mappings are separated by commas and semicolons."""
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {fact_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(fact_text, value))
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if type(value) is int and value >= 10_000 else str(value)


def experiment_texts(rows: Sequence[ExperimentRow], facts: Mapping[str, object]) -> dict[str, str]:
    """Return the texts of table.csv, table.json and table.md by file name.

    Args:
        rows: at least one.
        facts: JSON values about the whole run: command, seed, split, device, time, versions.
    """
    return {
        "table.csv": _csv_text(rows),
        "table.json": _json_text(rows, facts),
        "table.md": _markdown(rows, facts),
    }


def _csv_text(rows: Sequence[ExperimentRow]) -> str:
    """Return one line per method and region; what is not known is empty."""
    own = [column for metric in METRICS for column in (metric, f"{metric}_std")]
    paper = ["paper_method", "paper_table", *(f"paper_{metric}" for metric in COMPARED)]
    columns = ["method", "region", "cases", *own, "dice_low", "dice_high", *paper]
    lines = (_csv_line(row, region) for row in rows for region in REGION_ORDER)
    return csv_of_lines(columns, lines)


def _csv_line(row: ExperimentRow, region: str) -> dict[str, object]:
    line: dict[str, object] = {"method": row.name, "region": region, "cases": 0}
    mean, std = row.evaluation.mean, row.evaluation.std
    if region in mean:
        line["cases"] = row.evaluation.counts[region]["cases"]
        for metric in METRICS:
            line[metric] = f"{mean[region][metric]:.6f}"
            line[f"{metric}_std"] = f"{std[region][metric]:.6f}"
        if interval := row.dice_intervals[region]:
            line["dice_low"], line["dice_high"] = (f"{limit:.6f}" for limit in interval)
    if row.paper:
        line |= {"paper_method": row.paper.method, "paper_table": row.paper.table}
        line |= {f"paper_{metric}": row.paper.score(metric, region) for metric in COMPARED}
    return line


def _json_text(rows: Sequence[ExperimentRow], facts: Mapping[str, object]) -> str:
    content = {
        "facts": dict(facts),
        "caveat": str(caveat(rows)),
        "interval": INTERVAL_NOTE,
        "empty_mask_policy": EMPTY_MASK_POLICY,
        "rows": [
            {
                "name": row.name,
                "paper": asdict(row.paper) if row.paper else None,
                "facts": dict(row.facts),
                "dice_intervals": row.dice_intervals,
                "evaluation": row.evaluation.to_dict(),
            }
            for row in rows
        ],
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _markdown(rows: Sequence[ExperimentRow], facts: Mapping[str, object]) -> str:
    blocks = [caveat(rows).markdown, f"{CELLS_NOTE} Our rows are bold."]
    for title, groups in sections(rows):
        lines = []
        for paper, own in groups:
            lines += [own_row_cells(row.evaluation.mean, row.name) for row in own]
            lines += [paper_row_cells(paper)] if paper else []
        blocks.append(f"## {title}\n\n{markdown_table(TITLES, map(markdown_cells, lines))}")
    if table := fact_columns(rows):
        titles, *body = ([escaped(cell) for cell in line] for line in table)
        blocks.append(f"## Training\n\n{markdown_table(titles, body)}")
    items = [*shared_notes(rows), *(f"{name}: {fact_text(value)}" for name, value in facts.items())]
    blocks.append("".join(f"- {escaped(item)}\n" for item in items))
    return "\n\n".join(block.rstrip("\n") for block in blocks if block) + "\n"
