"""One table and one page of the results of many cases."""

import base64
import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import tracemalloc

import pytest
from result_fixtures import MODEL, write_result
from test_report import HOSTILE, Page
from training_fixtures import write_small_case

from scripted_models.cli import main
from scripted_models.reporting.cohort_results import COLUMNS
from scripted_models.reporting.cohort_table import collect_results


@pytest.fixture
def out(tmp_path):
    for number, name in enumerate(("p1", "p2", "p3")):
        write_result(tmp_path / "out", name, number)
    return tmp_path / "out"


@pytest.fixture
def collect(out, capsys):
    """Return a function that runs the command and gives exit code, lines of the table, words."""

    def run(*arguments, output=out):
        code = main(["collect", str(out), "--output", str(output), *map(str, arguments)])
        path = output if output.suffix == ".csv" else output / "cases.csv"
        return code, rows_of(path), capsys.readouterr().err

    return run


def rows_of(path):
    if not path.exists():
        return None
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def data_of(page):
    text = page.read_text(encoding="utf-8")
    (data,) = re.findall(r'<script id="cases" type="application/json">(.*?)</script>', text, re.S)
    return json.loads(data)


class TestTable:
    def test_a_line_has_what_the_report_says(self, out, collect):
        write_result(out, "p4", 4, warnings=["One.", "Two."], missing=[])
        code, rows, words = collect()
        assert code == 0
        assert [row["case"] for row in rows] == ["p1", "p2", "p3", "p4"]
        second, last = rows[1], rows[-1]
        assert list(second) == list(COLUMNS)
        assert (second["WT_ml"], second["edema_ml"], second["ET_longest_mm"]) == (
            *("21.5", "4.0", "31.5"),
        )
        assert second["estimated_dice_TC"] == "0.82"
        assert second["estimated_dice_ET"] == ""  # not stated is not zero
        assert [second[c] for c in COLUMNS if "lesion" in c] == ["2", "1", "2.5"]
        assert (second["seconds"], second["folder"], second["missing"]) == ("4.75", "p2", "t2")
        assert (last["warnings"], last["warning_texts"]) == ("2", "One. | Two.")
        assert "4 cases, 1 with warnings; 0 faults, 0 doubts" in words

    def test_a_report_without_lesions_or_diameters_has_empty_cells(self, out, collect):
        write_result(out, "p0", 9, lesions=None, measurements={}, estimated_dice={})
        code, rows, _words = collect()
        assert code == 0
        assert {rows[0][c] for c in COLUMNS if "lesion" in c or "_mm" in c} == {""}

    def test_names_of_the_output(self, out, collect, tmp_path):
        code, rows, _words = collect(output=tmp_path / "a" / "mine.csv")
        assert (code, len(rows)) == (0, 3)
        assert sorted(os.listdir(tmp_path / "a")) == ["mine.csv", "mine.html"]
        assert collect(output=tmp_path / "a" / "mine.csv")[0] == 0  # a former one is replaced

    @pytest.mark.parametrize("name", ["cases.csv", "cases.html"])
    def test_a_file_of_the_user_stays(self, out, collect, name):
        (out / name).write_text("case,age\np1,50\n")
        code, _rows, words = collect()
        assert code == 2
        assert "something else than a former table" in words
        assert sorted(os.listdir(out)) == sorted(["p1", "p2", "p3", name])
        assert (out / name).read_text() == "case,age\np1,50\n"

    def test_a_folder_without_results_gives_nothing(self, tmp_path, capsys):
        (tmp_path / "empty" / "p1").mkdir(parents=True)
        for folder in ("empty", "absent"):
            assert main(["collect", str(tmp_path / folder), "--output", str(tmp_path / "t")]) == 2
        words = capsys.readouterr().err
        assert "found no result(s)" in words
        assert "no such folder" in words
        assert not (tmp_path / "t" / "cases.csv").exists()

    def test_a_stop_in_the_middle_leaves_nothing(self, out):
        def stop(result):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            collect_results(out, out / "cases.csv", out / "cases.html", on_result=stop)
        assert sorted(os.listdir(out)) == ["p1", "p2", "p3"]

    def test_links_in_a_circle_and_to_one_folder_count_once(self, out, collect):
        (out / "circle").symlink_to(out)
        (out / "p3_again").symlink_to(out / "p3")
        code, rows, _words = collect()
        assert (code, len(rows)) == (0, 3)


class TestFaults:
    """What is no whole result is told by one sentence each, counted, and the command fails."""

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "cannot be read"),
            ("{", "cannot be read"),
            ("[]", "cannot be read"),
            ('{"case": "p2"}', "no 'model'"),
            ('{"case": "p2", "case": "p9"}', "the key 'case' twice"),
        ],
    )
    def test_a_broken_report(self, out, collect, content, said):
        (out / "p2" / "report.json").write_text(content)
        code, rows, words = collect()
        assert code == 2
        assert [row["case"] for row in rows] == ["p1", "p3"]
        (line,) = [line for line in words.splitlines() if line.startswith("Warning")]
        assert str(out / "p2" / "report.json") in line
        assert said in line
        assert "2 cases, 0 with warnings; 1 faults, 0 doubts" in words
        assert "found 1 fault(s) in the results" in words

    @pytest.mark.parametrize(
        "changed",
        [
            {"volumes_ml": {"WT": "12"}},
            {"volumes_ml": {"WT": True}},
            {"model": "default"},
            {"lesions": {"items": 3}},
            {"lesions": {}},
            {"warnings": "One."},
            {"coding": None},
            {"case": 7},
            {"seconds": [1]},
        ],
    )
    def test_a_report_of_another_form(self, out, collect, changed):
        write_result(out, "p4", 4, **changed)
        code, rows, words = collect()
        assert (code, len(rows)) == (2, 3)
        assert words.count("a report that cannot be read") == 1

    def test_missing_files(self, out, collect):
        (out / "p1" / "report.json").unlink()
        (out / "p2" / "segmentation.nii.gz").unlink()
        code, rows, words = collect()
        assert (code, [row["case"] for row in rows]) == (2, ["p2", "p3"])
        assert "p1: found segmentation.nii.gz without report.json, expected both" in words
        assert "p2: found report.json without segmentation.nii.gz, expected both" in words
        assert "2 faults" in words

    def test_cases_without_a_result(self, out, collect, tmp_path):
        for seed, name in enumerate(("p1", "p3", "p7", "p8")):
            write_small_case(tmp_path / "data", name, seed)
        code, rows, words = collect("--cases", tmp_path / "data")
        assert (code, len(rows)) == (2, 3)
        assert "found no result of 2 of 4 cases (p7 and p8); run segment again" in words

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
    def test_a_folder_that_may_not_be_read(self, out, collect):
        (out / "p2").chmod(0)
        code, _rows, words = collect()
        (out / "p2").chmod(0o755)
        assert code == 2
        assert "p2: found a folder that cannot be read (Permission denied)" in words


class TestDoubts:
    """What makes lines hard to compare is told; the table is whole."""

    def test_models_and_codings_that_differ(self, out, collect):
        write_result(out, "p4", 4, model=MODEL | {"name": "fast"}, coding="brats2023")
        write_result(out, "p5", 5, model=MODEL | {"weights_sha256": "c" * 64})
        code, rows, words = collect()
        assert (code, len(rows)) == (0, 5)
        kinds = "default (aaaaaaaaaaaa): 3, fast: 1 and default (cccccccccccc): 1"
        assert f"found results of 3 models ({kinds}), expected one" in words
        assert "found results of 2 label codings (internal: 4 and brats2023: 1)" in words
        assert "2 doubts" in words

    def test_the_same_result_twice(self, out, collect):
        shutil.copytree(out / "p2", out / "sub" / "copy")
        code, rows, words = collect()
        assert (code, len(rows)) == (0, 4)
        told = f"found the result of the same volumes by the same model as in {out / 'p2'}"
        assert words.count(told) == 1
        assert "1 doubts" in words

    def test_two_patients_of_one_name(self, out, collect):
        write_result(out / "other_site", "p2", 7)
        code, _rows, words = collect()
        assert code == 0
        assert words.count("found a case p2 of other volumes than that in ") == 1

    def test_the_same_case_by_two_models_is_one_doubt(self, out, collect):
        for number, name in enumerate(("p1", "p2", "p3")):
            write_result(out / "fast", name, number, model=MODEL | {"name": "fast"})
        assert "0 faults, 1 doubts" in collect()[2]


class TestPage:
    def test_it_has_a_row_and_links_for_each_case(self, out, collect, tmp_path):
        write_result(out, "p 4%#?", 4, warnings=["Look."])
        collect(output=tmp_path / "summary")
        data = data_of(tmp_path / "summary" / "cases.html")
        assert [row[0] for row in data["rows"]] == ["p 4%#?", "p1", "p2", "p3"]
        assert data["rows"][0][1:4] == ["./../out/p%204%25%23%3F/", 1, "Look."]
        assert all(len(row) == 4 + len(data["columns"]) for row in data["rows"])
        titles = [title for title, _digits in data["columns"]]
        assert data["rows"][2][4 + titles.index("WT (mL)")] == 21.5

    def test_hostile_names_stay_texts(self, out, collect):
        write_result(out, "javascript:alert(1)", 5, warnings=[HOSTILE, "</script><!--<script>"])
        write_result(out, "=cmd", 6, case="=1+1 \u202e")
        code, rows, _words = collect()
        assert code == 0
        assert rows[0]["case"] == "'=1+1 \\u202e"
        page = Page((out / "cases.html").read_text(encoding="utf-8"))
        assert page.tags.count("script") == 2
        assert "img" not in page.tags
        named = {row[0]: row for row in data_of(out / "cases.html")["rows"]}
        assert named["=1+1 \\u202e"]
        assert named["javascript:alert(1)"][1] == "./javascript%3Aalert%281%29/"
        assert HOSTILE in named["javascript:alert(1)"][3]

    def test_only_its_own_script_may_run(self, out, collect):
        collect()
        text = (out / "cases.html").read_text(encoding="utf-8")
        (code,) = re.findall(r"<script>(.*?)</script>", text, re.S)
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src" in text
        assert not re.findall(r"https?://", text)

    def test_faults_are_on_it_but_not_thousands(self, out, collect):
        for number in range(120):
            (out / f"broken{number:03d}").mkdir()
            (out / f"broken{number:03d}" / "report.json").write_text("{")
        collect()
        text = (out / "cases.html").read_text(encoding="utf-8")
        assert "120 faults, 0 doubts</strong> (the first 100)" in text
        assert text.count("a report that cannot be read") == 100

    @pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
    def test_it_sorts_and_filters(self, out, collect):
        write_result(out, "p10", 1, estimated_dice={"WT": 0.5}, warnings=["Found NO tumor."])
        write_result(out, "p20", 2, estimated_dice={})
        collect()
        text = (out / "cases.html").read_text(encoding="utf-8")
        (code,) = re.findall(r"<script>(.*?)</script>", text, re.S)
        data = data_of(out / "cases.html")
        at = 4 + [title for title, _ in data["columns"]].index("Est. Dice WT")
        asked = (
            f"const rows = {json.dumps(data['rows'])};"
            "const names = (found) => found.map((row) => row[CASE]);"
            "console.log(JSON.stringify([names(ordered(rows, CASE, false)),"
            f"names(ordered(rows, {at}, false)), names(ordered(rows, {at}, true)),"
            "names(matching(rows, 'no TUMOR p1', false)), names(matching(rows, '', true)),"
            "names(matching(rows, 'cases', false)), shown(null, 1), shown(0.256, 2)]));"
        )
        done = subprocess.run(["node", "-e", code + asked], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        by_name, up, down, words, warned, none, unknown, two = json.loads(done.stdout)
        assert by_name == ["p1", "p2", "p3", "p10", "p20"]
        assert up == ["p10", "p1", "p2", "p3", "p20"]
        assert down == ["p1", "p2", "p3", "p10", "p20"]  # what has no value is last both ways
        assert words == warned == ["p10"]
        assert (none, unknown, two) == ([], "–", "0.26")


def test_a_case_more_costs_little_memory_and_little_page(tmp_path):
    def costs(count):
        root = tmp_path / str(count)
        for number in range(count):
            write_result(root, f"p{number:04d}", number, warnings=["w" * 400] * 5)
        tracemalloc.start()
        collect_results(root, root / "cases.csv", root / "cases.html")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak, (root / "cases.html").stat().st_size

    costs(1)  # templates and modules
    (few, small), (many, large) = costs(20), costs(320)
    assert (many - few) / 300 < 1500  # names and digests, to tell duplicates
    assert 3000 * (large - small) / 300 < 2e6
