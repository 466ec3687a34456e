"""Results printed by Havaei et al. 2017 for BRATS 2013, and a table that sets others beside them.

Source: "Brain tumor segmentation with deep neural networks", Medical Image Analysis 35, tables 1 to
3: the 10 test cases of BRATS 2013, scored by the challenge server. An asterisk marks the second
training phase. The column that the paper calls "Specificity" holds the positive predictive value:
with the printed sensitivity it gives the printed Dice, which a true negative rate (above 0.9 here)
never could.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from scripted_models.errors import InputError
from scripted_models.runtime.printable_text import on_one_line

REGION_ORDER = ("WT", "TC", "ET")
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
_Triple = tuple[float | None, ...]  # by REGION_ORDER


@dataclass(frozen=True)
class PaperRow:
    """One printed row; every triple is (WT, TC, ET).

    Attributes:
        method: name as printed.
        table: number of the paper's table.
        dice: Dice coefficient.
        ppv: the column printed as "Specificity".
        sensitivity: sensitivity.
        rank: rank on the challenge's board as printed, empty where none is.
    """

    method: str
    table: int
    dice: tuple[float, float, float]
    ppv: tuple[float, float, float]
    sensitivity: tuple[float, float, float]
    rank: str = ""

    def score(self, metric: str, region: str) -> float:
        """Return one printed score; `metric` is one of COMPARED."""
        triple: tuple[float, float, float] = getattr(self, metric)
        return triple[REGION_ORDER.index(region)]


# Table 1: TwoPathCNN and variations. Table 2: cascades. Table 3: other methods of the challenge,
# among which the paper repeats InputCascadeCNN*.
PAPER_ROWS = (
    PaperRow("TwoPathCNN*", 1, (0.85, 0.78, 0.73), (0.93, 0.80, 0.72), (0.80, 0.76, 0.75), "4"),
    PaperRow("LocalPathCNN*", 1, (0.85, 0.74, 0.71), (0.91, 0.75, 0.71), (0.80, 0.77, 0.73), "9"),
    PaperRow("AverageCNN*", 1, (0.84, 0.75, 0.70), (0.95, 0.83, 0.73), (0.77, 0.74, 0.73), "10"),
    PaperRow("GlobalPathCNN*", 1, (0.82, 0.73, 0.68), (0.93, 0.81, 0.70), (0.75, 0.65, 0.70), "14"),
    PaperRow("TwoPathCNN", 1, (0.78, 0.63, 0.68), (0.67, 0.50, 0.59), (0.96, 0.89, 0.82), "14"),
    PaperRow("LocalPathCNN", 1, (0.77, 0.64, 0.68), (0.65, 0.52, 0.60), (0.96, 0.87, 0.80), "15"),
    PaperRow(
        "InputCascadeCNN*", 2, (0.88, 0.79, 0.73), (0.89, 0.79, 0.68), (0.87, 0.79, 0.80), "2"
    ),
    PaperRow("MFCascadeCNN*", 2, (0.86, 0.77, 0.73), (0.92, 0.80, 0.71), (0.81, 0.76, 0.76), "4-a"),
    PaperRow(
        "LocalCascadeCNN*", 2, (0.88, 0.76, 0.72), (0.91, 0.76, 0.70), (0.84, 0.80, 0.75), "4-c"
    ),
    PaperRow("Tustison", 3, (0.87, 0.78, 0.74), (0.85, 0.74, 0.69), (0.89, 0.88, 0.83)),
    PaperRow("Meier", 3, (0.82, 0.73, 0.69), (0.76, 0.78, 0.71), (0.92, 0.72, 0.73)),
    PaperRow("Reza", 3, (0.83, 0.72, 0.72), (0.82, 0.81, 0.70), (0.86, 0.69, 0.76)),
    PaperRow("Zhao", 3, (0.84, 0.70, 0.65), (0.80, 0.67, 0.65), (0.89, 0.79, 0.70)),
    PaperRow("Cordier", 3, (0.84, 0.68, 0.65), (0.88, 0.63, 0.68), (0.81, 0.82, 0.66)),
    PaperRow("Festa", 3, (0.72, 0.66, 0.67), (0.77, 0.77, 0.70), (0.72, 0.60, 0.70)),
    PaperRow("Doyle", 3, (0.71, 0.46, 0.52), (0.66, 0.38, 0.58), (0.87, 0.70, 0.55)),
)


def paper_row(method: str) -> PaperRow:
    """Return the row of one of the paper's own networks (tables 1 and 2).

    Raises:
        InputError: the paper prints no such row.
    """
    own = {row.method: row for row in PAPER_ROWS if row.table < 3}
    if method not in own:
        raise InputError(
            found=f"the method '{method}'",
            expected="a row of the paper's tables 1 and 2",
            action=f"choose one of {', '.join(own)}",
        )
    return own[method]


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


def markdown_beside_paper(
    mean: Mapping[str, Mapping[str, float]], name: str, number_of_cases: int
) -> str:
    """Set mean scores beside the paper's rows, in Markdown with one table.

    Args:
        mean: region -> 'dice', 'ppv', 'sensitivity' -> mean over cases; a region may be missing.
        name: first cell of the row of these scores.
        number_of_cases: how many cases the means are over.
    """
    rows: list[tuple[_Triple, ComparedRow]] = [
        *((row.dice, paper_row_cells(row)) for row in PAPER_ROWS),
        (_triple(mean, "dice"), own_row_cells(mean, name)),
    ]
    rows.sort(key=lambda row: [-1 if score is None else score for score in row[0]], reverse=True)
    cases = "1 case" if number_of_cases == 1 else f"{number_of_cases} cases"
    caveat = cases_differ(f"'{name}' is the mean over {cases}")
    table = markdown_table(TITLES, (markdown_cells(row) for _, row in rows))
    return (
        f"{caveat.markdown} The order of the rows is no ranking.\n\n"
        f"{CELLS_NOTE} Rows are sorted by the Dice of WT. {PPV_NOTE}\n\n{table}"
    )


def cases_differ(ours: str) -> Caveat:
    """Return the warning that belongs above every comparison.

    Args:
        ours: what our means are over.
    """
    return Caveat(
        "The cases differ",
        f"{ours} evaluated here; the paper's rows are means over the 10 test cases of BRATS 2013, "
        "scored by the challenge server (Havaei et al. 2017, tables 1-3).",
    )


def paper_row_cells(row: PaperRow) -> ComparedRow:
    """Return a printed row as texts."""
    triples = (_cell(getattr(row, metric)) for metric in COMPARED)
    return ComparedRow((row.method, f"paper, table {row.table}", *triples), is_ours=False)


def own_row_cells(mean: Mapping[str, Mapping[str, float]], name: str) -> ComparedRow:
    """Return mean scores (see `markdown_beside_paper`) as texts."""
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


def _triple(mean: Mapping[str, Mapping[str, float]], metric: str) -> _Triple:
    return tuple(mean[region][metric] if region in mean else None for region in REGION_ORDER)


def _cell(triple: _Triple) -> str:
    return " / ".join("-" if score is None else f"{score:.2f}" for score in triple)
