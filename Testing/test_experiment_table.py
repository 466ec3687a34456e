"""Our table beside the paper's: rows of real evaluations, their intervals, and the four files."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_evaluation import NAMES, tumor, write_prediction, write_truth
from test_report import HOSTILE, Page

from scripted_models.errors import InputError
from scripted_models.evaluation.experiment_rows import (
    ExperimentRow,
    bootstrap_interval,
    caveat,
    experiment_texts,
    fact_text,
    sections,
    shared_notes,
)
from scripted_models.evaluation.folder_scores import Evaluation, evaluate_folders
from scripted_models.evaluation.havaei_rows import PAPER_ROWS
from scripted_models.evaluation.paper_tables import PPV_TITLE
from scripted_models.reporting.experiment_table import experiment_page, write_experiment_table

FACTS = {"command": "x --seed 1", "seed": 1, "split": {"train": ["a", "b"], "test": [*NAMES]}}


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory) -> dict[str, Evaluation]:
    """Three networks on two cases: 'good' is shifted in one; 'poor' in both, and it finds no ET."""
    root = tmp_path_factory.mktemp("experiments")
    without = np.where(tumor(1) == 4, 1, tumor(1)).astype(np.uint8)
    maps = {"good": (tumor(), tumor(1)), "poor": (without, without), "true": (tumor(), tumor())}
    for name in NAMES:
        write_truth(root / "truth", name, tumor())
    for network, labels in maps.items():
        for name, values in zip(NAMES, labels, strict=True):
            write_prediction(root / network, name, values)
    return {network: evaluate_folders(root / network, root / "truth") for network in maps}


@pytest.fixture(scope="module")
def rows(evaluations) -> list[ExperimentRow]:
    without = {
        case: {region: score for region, score in scores.items() if region != "ET"}
        for case, scores in evaluations["true"].cases.items()
    }
    return [
        ExperimentRow("cascade", "InputCascadeCNN*", evaluations["poor"]),
        ExperimentRow(
            "TwoPathCNN*", "TwoPathCNN*", evaluations["good"], {"epochs": 3, "hours": 0.5}
        ),
        ExperimentRow("again", "TwoPathCNN*", evaluations["poor"], {"epochs": 12_000}),
        ExperimentRow(
            "a|b*", "", Evaluation("two regions", without, evaluations["true"].coding_notes)
        ),
    ]


def csv_lines(rows):
    text = experiment_texts(rows, FACTS)["table.csv"]
    return {(line["method"], line["region"]): line for line in csv.DictReader(io.StringIO(text))}


class TestInterval:
    @given(st.lists(st.floats(0, 1), min_size=2, max_size=12))
    def test_lies_around_the_mean_inside_the_values_and_is_always_the_same(self, values):
        low, high = bootstrap_interval(values)
        assert min(values) - 1e-9 <= low <= np.mean(values) + 1e-9
        assert np.mean(values) - 1e-9 <= high <= max(values) + 1e-9
        assert bootstrap_interval(values) == (low, high)

    def test_of_many_values_is_that_of_the_normal_distribution(self):
        values = np.random.default_rng(5).normal(0.8, 0.1, 400)
        half = 1.96 * values.std() / 20
        expected = (values.mean() - half, values.mean() + half)
        assert bootstrap_interval(values) == pytest.approx(expected, abs=0.0008)

    def test_of_one_case_is_unknown(self):
        assert bootstrap_interval([0.8]) is None


class TestSections:
    def test_have_the_order_of_the_paper_with_every_row_once(self, rows):
        found = sections(rows)
        assert [section.title[:7] for section in found] == ["Table 1", "Table 2", "Other r"]
        printed = [p.method for section in found for p, _ in section.groups if p]
        assert printed == [row.method for row in PAPER_ROWS if row.table < 3]
        ours = [row.name for section in found for _, own in section.groups for row in own]
        assert ours == ["TwoPathCNN*", "again", "cascade", "a|b*"]

    def test_without_a_row_of_ours_are_left_out(self, rows):
        assert [section.title[:7] for section in sections(rows[:1])] == ["Table 2"]

    @pytest.mark.parametrize("method", ["TwoPathCNN**", "Tustison"])
    def test_unknown_method_is_refused_at_once(self, evaluations, method):
        with pytest.raises(InputError, match=r"'T.*expected a row of .* tables 1 and 2.*MFCascade"):
            ExperimentRow("x", method, evaluations["true"])


class TestTexts:
    def test_csv_holds_scores_interval_and_paper_by_method_and_region(self, rows, evaluations):
        lines = csv_lines(rows)
        assert len(lines) == 4 * 3
        line = lines["TwoPathCNN*", "TC"]  # one case perfect, the other 3/4
        assert (float(line["dice"]), float(line["dice_std"])) == (0.875, 0.125)
        assert (float(line["dice_low"]), float(line["dice_high"])) == (0.75, 1)
        assert [line["paper_table"], line["paper_dice"], line["paper_ppv"]] == ["1", "0.78", "0.8"]
        assert line["cases"] == "2"
        specificity = evaluations["good"].mean["TC"]["specificity"]
        assert float(line["specificity"]) == pytest.approx(specificity, abs=1e-6)
        assert lines["cascade", "ET"]["paper_sensitivity"] == "0.8"

    def test_csv_leaves_empty_what_is_not_known(self, rows):
        line = csv_lines(rows)["a|b*", "ET"]
        assert (line["cases"], line["dice"], line["dice_low"], line["paper_dice"]) == (
            "0",
            "",
            "",
            "",
        )
        assert csv_lines(rows)["a|b*", "TC"]["dice"] == "1.000000"

    def test_json_holds_the_cases_and_the_facts(self, rows, evaluations):
        content = json.loads(experiment_texts(rows, FACTS)["table.json"])
        assert content["facts"] == FACTS
        assert "cases differ" in content["caveat"]
        row = content["rows"][1]
        assert row["evaluation"]["cases"] == evaluations["good"].cases
        assert row["paper"]["dice"] == [0.85, 0.78, 0.73]
        assert row["dice_intervals"]["TC"] == [0.75, 1]
        assert row["facts"] == {"epochs": 3, "hours": 0.5}
        assert content["rows"][3]["paper"] is None

    def test_markdown_sets_ours_above_the_row_of_the_paper(self, rows):
        lines = experiment_texts(rows, FACTS)["table.md"].splitlines()
        printed = ("0.85 / 0.78 / 0.73", "0.93 / 0.80 / 0.72", "0.80 / 0.76 / 0.75")
        cells = " | ".join(("paper, table 1 (BRATS 2013 test)", *printed))
        first = lines.index(rf"| TwoPathCNN\* | {cells} |")
        assert lines[first - 2].startswith(
            r"| **TwoPathCNN\*** | **here** | **0.92 / 0.88 / 0.75** |"
        )
        assert lines[first - 1].startswith("| **again** | **here** | **0.83 / 0.75 / 0.00** |")
        assert any(
            line.startswith(r"| **a\|b\*** | **here** | **1.00 / 1.00 / -** |") for line in lines
        )
        assert sum(PPV_TITLE in line for line in lines) == 3
        assert lines[0].startswith("**The cases differ**: our rows")
        assert sum("complete, core and enhancing" in line for line in lines) == 1
        assert "| again | 12,000 | - |" in lines
        assert f"- split: train: a, b; test: {', '.join(NAMES)}" in lines

    def test_notes_are_told_once_and_say_whose_they_are(self, rows):
        merged, unstated, empty = shared_notes(rows)
        assert merged.startswith("Ground truth of coding 'brats2021'")
        assert unstated.startswith("No file and no option states the label coding")
        assert empty.startswith("cascade, again: Region ET: 0 of 2 cases")
        assert experiment_texts(rows, FACTS)["table.md"].count(merged) == 1

    def test_caveat_says_how_many_cases(self, rows, evaluations):
        assert "the 2 cases evaluated here" in str(caveat(rows))
        scores = dict([*evaluations["good"].cases.items()][:1])
        one = ExperimentRow("one", "", Evaluation("one", scores))
        assert "the 1 case evaluated" in str(caveat([one]))
        assert "the 1 or 2 cases evaluated" in str(caveat([*rows, one]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (820_662, "820,662"),
        (0.00512, "0.00512"),
        (3716.4, "3,716"),
        ("10 + 6", "10 + 6"),
        ({"torch": "2.2", "seeds": [1, 2]}, "torch: 2.2; seeds: 1, 2"),
    ],
)
def test_facts_as_text(value, text):
    assert fact_text(value) == text


class TestPage:
    def test_shows_ours_the_paper_the_difference_and_the_interval(self, rows):
        cells = Page(experiment_page(rows, FACTS, "t")).texts
        at = cells.index("TwoPathCNN*")
        first = [cell for cell in cells[at : at + 20] if cell.strip()]
        assert first[:6] == ["TwoPathCNN*", "2 cases", "0.92", "0.83 to 1.00", "0.85", "+0.07"]
        assert first[6:10] == ["0.88", "0.75 to 1.00", "0.78", "+0.10"]  # as read off the page
        assert "beside TwoPathCNN*, 2 cases" in cells
        assert cells.count("not run") == 7
        assert "\N{MINUS SIGN}0.73" in cells  # poor enhancing beside the cascade's

    def test_best_dice_of_a_column_is_bold(self, rows):
        page = experiment_page(rows[1:3], FACTS, "t")
        assert "<strong>0.92</strong>" in page
        assert page.count("<strong>0.") == 3
        assert "<strong>0." not in experiment_page(
            rows[1:2], FACTS, "t"
        )  # nothing to be better than

    def test_rows_without_a_paper_have_no_columns_for_it(self, rows):
        page = Page(experiment_page(rows[3:], FACTS, "t"))
        assert "here" in page.texts
        assert "paper" not in page.texts
        assert "WT" in page.texts
        assert "–" in page.texts  # the region that the truth does not define

    def test_is_whole_loads_nothing_and_escapes_every_text(self, rows, evaluations):
        row = ExperimentRow(HOSTILE, "TwoPathCNN", evaluations["good"], {HOSTILE: HOSTILE})
        page = Page(experiment_page([*rows, row], {HOSTILE: HOSTILE}, HOSTILE))
        assert not {"script", "img", "link"} & set(page.tags)
        assert not page.values("src") + page.values("href")
        assert page.text.count(HOSTILE) >= 5


def test_four_whole_files_are_written(rows, tmp_path):
    folder = tmp_path / "made" / "here"
    write_experiment_table(rows, FACTS, folder)
    write_experiment_table(rows, FACTS, folder)
    names = ["table.csv", "table.html", "table.json", "table.md"]
    assert sorted(path.name for path in folder.iterdir()) == names
    for name, text in experiment_texts(rows, FACTS).items():
        assert (folder / name).read_text(encoding="utf-8") == text
