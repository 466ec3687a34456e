"""Results printed by Havaei et al. 2017, tables 1 to 5, scored by the challenge's server.

Source: "Brain tumor segmentation with deep neural networks", Medical Image Analysis 35. An asterisk
marks the second training phase. The column that the paper calls "Specificity" holds the positive
predictive value: with the printed sensitivity it gives the printed Dice, which a true negative rate
(above 0.9 here) never could.
"""

from dataclasses import dataclass

from scripted_models.errors import InputError

REGION_ORDER = ("WT", "TC", "ET")
Triple = tuple[float, float, float]  # by REGION_ORDER
_TEST = "BRATS 2013 test"
TABLE_CASES = {  # table -> what its rows are scored on
    1: _TEST,
    2: _TEST,
    3: _TEST,
    4: "BRATS 2013 leaderboard",
    5: "BRATS 2012, four labels",
}


@dataclass(frozen=True)
class PaperRow:
    """One printed row; every triple is (WT, TC, ET).

    Attributes:
        method: name as printed.
        table: number of the paper's table.
        dice: Dice coefficient.
        ppv: the column printed as "Specificity"; None in table 5, which has none.
        sensitivity: sensitivity; None in table 5.
        rank: rank on the challenge's board as printed, empty where none is.
    """

    method: str
    table: int
    dice: Triple
    ppv: Triple | None = None
    sensitivity: Triple | None = None
    rank: str = ""

    def score(self, metric: str, region: str) -> float | None:
        """Return one printed score, None where none is; `metric` is 'dice' or the like."""
        triple: Triple | None = getattr(self, metric)
        return None if triple is None else triple[REGION_ORDER.index(region)]

    @property
    def source(self) -> str:
        """Table, and what it is scored on."""
        return f"paper, table {self.table} ({TABLE_CASES[self.table]})"


# Table 1: TwoPathCNN and variations. Table 2: cascades. Tables 3 to 5: other methods; the paper
# repeats InputCascadeCNN* in table 3.
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
    PaperRow("InputCascadeCNN*", 4, (0.84, 0.71, 0.57), (0.88, 0.79, 0.54), (0.84, 0.72, 0.68)),
    PaperRow("Tustison", 4, (0.79, 0.65, 0.53), (0.83, 0.70, 0.51), (0.81, 0.73, 0.66)),
    PaperRow("Zhao", 4, (0.79, 0.59, 0.47), (0.77, 0.55, 0.50), (0.85, 0.77, 0.53)),
    PaperRow("Meier", 4, (0.72, 0.60, 0.53), (0.65, 0.62, 0.48), (0.88, 0.69, 0.60)),
    PaperRow("Reza", 4, (0.73, 0.56, 0.51), (0.68, 0.64, 0.48), (0.79, 0.57, 0.63)),
    PaperRow("Cordier", 4, (0.75, 0.61, 0.46), (0.79, 0.61, 0.43), (0.78, 0.72, 0.52)),
    PaperRow("InputCascadeCNN*", 5, (0.81, 0.72, 0.58)),
    PaperRow("Subbanna", 5, (0.75, 0.70, 0.59)),
    PaperRow("Zhao", 5, (0.82, 0.66, 0.42)),
    PaperRow("Tustison", 5, (0.75, 0.55, 0.52)),
    PaperRow("Festa", 5, (0.62, 0.50, 0.61)),
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
