"""The paper's printed rows and the table that sets other scores beside them."""

import pytest

from scripted_models.evaluation.havaei_rows import PAPER_ROWS
from scripted_models.evaluation.paper_tables import PPV_TITLE, markdown_beside_paper


def test_comparison_puts_ppv_and_not_the_true_negative_rate_beside_the_paper():
    scores = {"dice": 0.5, "ppv": 0.4, "sensitivity": 0.6, "specificity": 0.99}
    table = markdown_beside_paper(dict.fromkeys(("WT", "TC", "ET"), scores), "m", 1)
    assert "0.40 / 0.40 / 0.40" in table
    assert "0.99 / " not in table


def test_comparison_stands_in_order_and_says_that_the_cases_differ():
    dice = {"WT": 0.853, "TC": 0.7, "ET": 0.6}
    mean = {region: {"dice": value, "ppv": 1, "sensitivity": 1} for region, value in dice.items()}
    table = markdown_beside_paper(mean, "model", 5)
    lines = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == len(PAPER_ROWS) + 1
    shown = [float(line.split("|")[3].strip(" *").split("/")[0]) for line in lines]
    assert shown == sorted(shown, reverse=True)
    assert "| **model** | **here** | **0.85 / 0.70 / 0.60** |" in table
    assert PPV_TITLE in table
    assert table.startswith("**The cases differ**: 'model' is")
    assert "5 cases" in table


@pytest.mark.parametrize(
    "row", [row for row in PAPER_ROWS if row.ppv], ids=lambda row: f"{row.table}, {row.method}"
)
def test_paper_rows_agree_with_themselves(row):
    """The harmonic mean of PPV and sensitivity comes near the printed Dice (a check on typing)."""
    for dice, ppv, sensitivity in zip(row.dice, row.ppv, row.sensitivity, strict=True):
        assert 2 * ppv * sensitivity / (ppv + sensitivity) == pytest.approx(dice, abs=0.07)


def test_paper_tables_hold_every_row_once():
    tables = [sum(row.table == number for row in PAPER_ROWS) for number in range(1, 6)]
    assert tables == [6, 3, 7, 6, 5]
    assert len({(row.method, row.table) for row in PAPER_ROWS}) == len(PAPER_ROWS)
    assert [row.dice for row in PAPER_ROWS if row.method == "InputCascadeCNN*"] == [
        (0.88, 0.79, 0.73),
        (0.84, 0.71, 0.57),
        (0.81, 0.72, 0.58),
    ]


def test_a_printed_row_says_what_it_is_scored_on_and_what_is_not_printed():
    mean = {"WT": {"dice": 0.5, "ppv": 0.5, "sensitivity": 0.5}}
    lines = markdown_beside_paper(mean, "model", 1).splitlines()
    (row,) = [line for line in lines if line.startswith("| Subbanna ")]
    source = "paper, table 5 (BRATS 2012, four labels)"
    assert row == f"| Subbanna | {source} | 0.75 / 0.70 / 0.59 | - | - |"
