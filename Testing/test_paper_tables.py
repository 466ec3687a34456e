"""The paper's printed rows and the table that sets other scores beside them."""

import pytest

from scripted_models.evaluation.paper_tables import PAPER_ROWS, markdown_beside_paper


def test_comparison_puts_ppv_and_not_the_true_negative_rate_beside_the_paper():
    scores = {"dice": 0.5, "ppv": 0.4, "sensitivity": 0.6, "specificity": 0.99}
    table = markdown_beside_paper(dict.fromkeys(("complete", "core", "enhancing"), scores), "m", 1)
    assert "0.40 / 0.40 / 0.40" in table
    assert "0.99 / " not in table


@pytest.mark.parametrize("row", PAPER_ROWS, ids=lambda row: row.method)
def test_paper_rows_agree_with_themselves(row):
    """The harmonic mean of PPV and sensitivity comes near the printed Dice (a check on typing)."""
    for dice, ppv, sensitivity in zip(row.dice, row.ppv, row.sensitivity, strict=True):
        assert 2 * ppv * sensitivity / (ppv + sensitivity) == pytest.approx(dice, abs=0.07)


def test_paper_tables_hold_every_row_once():
    assert [sum(row.table == number for row in PAPER_ROWS) for number in (1, 2, 3)] == [6, 3, 7]
    assert len({row.method for row in PAPER_ROWS}) == len(PAPER_ROWS)
    cascade = next(row for row in PAPER_ROWS if row.method == "InputCascadeCNN*")
    assert cascade.dice == (0.88, 0.79, 0.73)
