"""Names of strangers on a terminal and in tables."""

import csv
import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted_models.errors import InputError
from scripted_models.evaluation.paper_tables import escaped
from scripted_models.runtime.csv_text import csv_of_lines, csv_text
from scripted_models.runtime.printable_text import on_one_line, printable
from scripted_models.runtime.progress import BarProgress, JsonProgress

HIDDEN = "\x1b\x07\x08\r\x7f\x9b\u202e\u2066\u200f\u061c\u2028\ufeff\udcff\U000e0041"
ANY = st.text(st.characters(exclude_categories=()) | st.sampled_from(HIDDEN))


class TestPrintable:
    @given(ANY)
    def test_nothing_is_hidden(self, text):
        shown = printable(text)
        assert not set(shown) & set(HIDDEN)
        assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n"]
        shown.encode("utf-8")
        assert len(on_one_line(text).splitlines()) <= 1 or "\x85" in text

    @given(st.text(st.characters(categories=("L", "N", "P", "S", "Zs"))))
    def test_words_stay(self, text):
        assert printable(text) == text

    def test_escapes_say_what_was_there(self):
        assert printable("a\x1b[2J\u202eb\udcff") == "a\\x1b[2J\\u202eb\\udcff"
        assert on_one_line("a\nb\tc") == "a\\nb\\tc"

    def test_joiners_of_scripts_stay(self):
        assert printable("می\u200cخواهم 👩\u200d⚕️") == "می\u200cخواهم 👩\u200d⚕️"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_progress_prints_names_and_never_obeys_them(stream):
    out = stream()
    progress = BarProgress(out)
    progress.stage(f"stage {HIDDEN}", 0.5)
    progress.message(f"message\n{HIDDEN}")
    progress.warning(f"warning {HIDDEN}")
    progress.result(text=f"result {HIDDEN}")
    progress.error(InputError(found=HIDDEN, path=f"a\nb{HIDDEN}"))
    written = out.getvalue().replace("\r[", "[")  # the bar goes back to the start of its line
    assert not set(written) & set(HIDDEN)
    assert "message\\n\\x1b" in written


def test_events_are_ascii():
    out = io.StringIO()
    JsonProgress(out).message(HIDDEN)
    assert out.getvalue().isascii()
    assert "\x1b" not in out.getvalue()


class TestCsv:
    @pytest.mark.parametrize("sign", list("=+-@＝＋－＠"))
    def test_a_name_is_no_formula(self, sign):
        text = csv_text([[f"{sign}cmd|' /C calc'!A0", 1.5]])
        ((name, number),) = csv.reader(io.StringIO(text, newline=""))
        assert name == f"'{sign}cmd|' /C calc'!A0"
        assert number == "1.5"

    @pytest.mark.parametrize("value", ["-0.5", "+1", "-1e-05", "-inf", -0.5, -3, "0.123456"])
    def test_numbers_stay_numbers(self, value):
        assert csv_text([[value]]) == f"{value}\n"

    @pytest.mark.parametrize("sign", ["\t", "\r", "\n", "\x1b[2J", "\r\n="])
    def test_a_cell_stays_on_its_line(self, sign):
        text = csv_text([[f"{sign}=1", "b"], ["c", "d"]])
        assert text == f"{on_one_line(sign)}=1,b\nc,d\n"

    @given(st.lists(st.lists(ANY, min_size=2), min_size=1))
    def test_cells_come_back(self, rows):
        text = csv_text(rows)
        back = list(csv.reader(io.StringIO(text, newline="")))
        assert [[cell.removeprefix("'") for cell in row] for row in back] == [
            [on_one_line(cell).removeprefix("'") for cell in row] for row in rows
        ]
        assert not [c for row in back for c in row if c[:1] in set("=@\t\r\n\x1b")]

    def test_lines_fill_what_they_lack(self):
        assert csv_of_lines(["a", "b"], [{"b": 1}, {"a": "=x"}]) == "a,b\n,1\n'=x,\n"


@given(ANY)
def test_markdown_shows_no_picture_and_no_link(text):
    cell = escaped(text + "![](//host/x)[a](b)<img src=x>|`")
    plain = cell.replace("\\\\", "")
    for sign in "[]<>|`*":
        assert plain.count(sign) == plain.count("\\" + sign)
    assert "\n" not in cell
