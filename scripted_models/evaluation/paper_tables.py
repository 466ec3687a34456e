"""Results printed by Havaei et al. 2017 for BRATS 2013, and a table that sets other results beside them.

Source: "Brain tumor segmentation with deep neural networks", Medical Image Analysis 35, tables 1 to 3:
the 10 test cases of BRATS 2013, scored by the challenge server. An asterisk marks the second training
phase. The column that the paper calls "Specificity" holds the positive predictive value: with the
printed sensitivity it gives the printed Dice, which a true negative rate (above 0.9 here) never could.
"""

from collections.abc import Mapping
from dataclasses import dataclass

REGION_ORDER = ("complete", "core", "enhancing")
PPV_TITLE = "Specificity (PPV as printed)"


@dataclass(frozen=True)
class PaperRow:
    """One printed row; every triple is (complete, core, enhancing).

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


# Table 1: TwoPathCNN and variations. Table 2: cascades. Table 3: other methods of the challenge, among
# which the paper repeats InputCascadeCNN*.
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


def markdown_beside_paper(
    mean: Mapping[str, Mapping[str, float]], name: str, number_of_cases: int
) -> str:
    """Set mean scores beside the paper's rows, the best complete Dice first.

    Args:
        mean: region -> 'dice', 'ppv', 'sensitivity' -> mean over cases; a region may be missing.
        name: first cell of the row of these scores.
        number_of_cases: how many cases the means are over.

    Returns:
        Markdown: a warning that the cases differ, and a table whose cells read
        complete / core / enhancing.
    """
    rows = [(row.dice, _paper_cells(row)) for row in PAPER_ROWS]
    rows.append((_triple(mean, "dice"), _own_cells(mean, name)))
    rows.sort(key=lambda row: [-1 if score is None else score for score in row[0]], reverse=True)
    titles = ("Method", "Source", "Dice", PPV_TITLE, "Sensitivity")
    lines = [_line(titles), _line(["---"] * len(titles)), *(_line(cells) for _, cells in rows)]
    return f"{_caveat(name, number_of_cases)}\n\n" + "\n".join(lines) + "\n"


def _caveat(name: str, number_of_cases: int) -> str:
    cases = "1 case" if number_of_cases == 1 else f"{number_of_cases} cases"
    return (
        f"**The cases differ**: '{name}' is the mean over {cases} evaluated here; the paper's rows are "
        "means over the 10 test cases of BRATS 2013, scored by the challenge server (Havaei et al. "
        "2017, tables 1-3). The order of the rows is no ranking.\n\n"
        "Cells read complete / core / enhancing; rows are sorted by complete Dice. The paper's column "
        '"Specificity" holds the positive predictive value, so the PPV stands beside it.'
    )


def _paper_cells(row: PaperRow) -> list[str]:
    source = f"paper, table {row.table}"
    return [row.method, source, *(_cell(t) for t in (row.dice, row.ppv, row.sensitivity))]


def _own_cells(mean: Mapping[str, Mapping[str, float]], name: str) -> list[str]:
    triples = (_triple(mean, metric) for metric in ("dice", "ppv", "sensitivity"))
    cells = [name.replace("|", "/"), "here", *(_cell(t) for t in triples)]
    return [f"**{cell}**" for cell in cells]


def _triple(mean: Mapping[str, Mapping[str, float]], metric: str) -> tuple[float | None, ...]:
    return tuple(mean[region][metric] if region in mean else None for region in REGION_ORDER)


def _cell(triple: tuple[float | None, ...]) -> str:
    return " / ".join("-" if score is None else f"{score:.2f}" for score in triple)


def _line(cells) -> str:
    # An asterisk would start emphasis in Markdown; the bold cells carry theirs on purpose.
    escaped = [c if c.startswith("**") else c.replace("*", r"\*") for c in cells]
    return "| " + " | ".join(escaped) + " |"
