"""A table that sets scores beside the rows that Havaei et al. 2017 print."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scripted_models.evaluation.havaei_rows import PAPER_ROWS, REGION_ORDER, PaperRow
from scripted_models.runtime.printable_text import on_one_line

PPV_TITLE = "Specificity (PPV as printed)"
PPV_NOTE = (
    'The paper\'s column "Specificity" holds the positive predictive value, so the PPV stands '
    "beside it."
)
CELLS_NOTE = (
    "Cells read whole tumor (WT) / tumor core (TC) / enhancing tumor (ET). The paper calls these "
    "complete, core and enhancing."
)
TITLES = ("Method", "Source", "Dice", PPV_TITLE, "Sensitivity")
COMPARED = ("dice", "ppv", "sensitivity")  # the metrics behind the last three titles
_Scores = tuple[float | None, ...]  # by REGION_ORDER


class Caveat(NamedTuple):
    """A warning without markup: its first words, which stand out, and the rest."""

    lead: str
    rest: str

    def __str__(self) -> str:
        return f"{self.lead}: {self.rest}"

    @property
    def markdown(self) -> str:
        """The warning with its first words in bold."""
        return f"**{escaped(self.lead)}**: {escaped(self.rest)}"


class ComparedRow(NamedTuple):
    """Texts under TITLES, without markup."""

    cells: tuple[str, ...]
    is_ours: bool


@dataclass(frozen=True)
class Comparison:
    """Scores of ours beside the paper's rows, as texts without markup.

    Attributes:
        caveat: the cases differ.
        note: how to read the cells.
        rows: the best Dice of the whole tumor first.
    """

    caveat: Caveat
    note: str
    rows: tuple[ComparedRow, ...]


def compare_with_paper(
    mean: Mapping[str, Mapping[str, float]], name: str, number_of_cases: int
) -> Comparison:
    """Set mean scores beside the paper's rows.

    Args:
        mean: region -> 'dice', 'ppv', 'sensitivity' -> mean over cases; a region may be missing.
        name: first cell of the row of these scores.
        number_of_cases: how many cases the means are over.
    """
    rows: list[tuple[_Scores, ComparedRow]] = [
        *((row.dice, paper_row_cells(row)) for row in PAPER_ROWS),
        (_triple(mean, "dice"), own_row_cells(mean, name)),
    ]
    rows.sort(key=lambda row: [-1 if score is None else score for score in row[0]], reverse=True)
    cases = "1 case" if number_of_cases == 1 else f"{number_of_cases} cases"
    caveat = cases_differ(f"'{name}' is the mean over {cases}")
    return Comparison(
        Caveat(caveat.lead, f"{caveat.rest} The order of the rows is no ranking."),
        f"{CELLS_NOTE} Rows are sorted by the Dice of WT. {PPV_NOTE}",
        tuple(row for _, row in rows),
    )


def markdown_beside_paper(
    mean: Mapping[str, Mapping[str, float]], name: str, number_of_cases: int
) -> str:
    """Return what `compare_with_paper` finds as Markdown, with one table."""
    found = compare_with_paper(mean, name, number_of_cases)
    table = markdown_table(TITLES, map(markdown_cells, found.rows))
    return f"{found.caveat.markdown}\n\n{found.note}\n\n{table}"


def cases_differ(ours: str) -> Caveat:
    """Return the warning that belongs above every comparison.

    Args:
        ours: what our means are over.
    """
    return Caveat(
        "The cases differ",
        f"{ours} evaluated here; the paper's rows are means over the cases that their source names "
        "(10 in the test of BRATS 2013), scored by the challenge server (Havaei et al. 2017).",
    )


def paper_row_cells(row: PaperRow) -> ComparedRow:
    """Return a printed row as texts."""
    triples = (_cell(getattr(row, metric)) for metric in COMPARED)
    return ComparedRow((row.method, row.source, *triples), is_ours=False)


def own_row_cells(mean: Mapping[str, Mapping[str, float]], name: str) -> ComparedRow:
    """Return mean scores (see `compare_with_paper`) as texts."""
    triples = (_cell(_triple(mean, metric)) for metric in COMPARED)
    return ComparedRow((name, "here", *triples), is_ours=True)


def markdown_cells(row: ComparedRow) -> list[str]:
    """Return the cells of a row as Markdown; ours are bold."""
    cells = [escaped(cell) for cell in row.cells]
    return [f"**{cell}**" for cell in cells] if row.is_ours else cells


def markdown_table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table of cells that are Markdown."""
    titles = list(titles)
    lines = (titles, ["---"] * len(titles), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def escaped(text: str) -> str:
    """Return a text on one line as Markdown, in which nothing is markup, link or picture."""
    return re.sub(r"([\\*|<>\[\]`])", r"\\\1", on_one_line(text))


def _triple(mean: Mapping[str, Mapping[str, float]], metric: str) -> _Scores:
    return tuple(mean[region][metric] if region in mean else None for region in REGION_ORDER)


def _cell(triple: _Scores | None) -> str:
    if triple is None:
        return "-"
    return " / ".join("-" if score is None else f"{score:.2f}" for score in triple)
