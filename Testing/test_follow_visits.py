"""Which visits there are and when: folders, tables, dates, and what is said about mistakes."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from follow_fixtures import write_result

from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.follow_up.assessment import assess
from scripted_models.follow_up.visit_data import read_visit
from scripted_models.follow_up.visit_dates import date_in, parse_date
from scripted_models.follow_up.visit_table import read_table, told_of
from scripted_models.follow_up.visits import find_visits
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_volume
from scripted_models.labels import CODINGS

SMALL = Grid((12, 11, 10))


@pytest.fixture
def visit(tmp_path):
    """Write a small result under a name."""

    def write(name, label=4, **facts) -> Path:
        labels = np.zeros(SMALL.shape_zyx, np.uint8)
        labels[2:8, 2:8, 2:8] = label
        return write_result(tmp_path / name, labels, SMALL, **facts)

    return write


class TestDates:
    @pytest.mark.parametrize(
        "name",
        [
            "2024-01-31",
            "20240131",
            "ses-20240131",
            "p1_2024_01_31",
            "2024.01.31_mri",
            "20240131_1200",
            "PAT-003_20240131T120000",
        ],
    )
    def test_in_names(self, name):
        assert date_in(name) == date(2024, 1, 31)

    @pytest.mark.parametrize(
        "name",
        ["ses-01", "2024", "123420240131", "20241331", "2024-01.31", "baseline", "20230230"],
    )
    def test_what_is_none(self, name):
        assert date_in(name) is None

    def test_two_dates_in_a_name_are_none(self):
        assert date_in("20240131_to_20240301") is None
        assert date_in("20240131_2024-01-31") == date(2024, 1, 31)

    @pytest.mark.parametrize(
        "text", ["2024-1-31", "2024/01/31", "2024-01-31 00:00:00", "2024-01-31T10:11:12.5Z"]
    )
    def test_in_tables(self, text):
        assert parse_date(text) == date(2024, 1, 31)

    @pytest.mark.parametrize(
        "text",
        ["31.01.2024", "2024-01-31 noon", "2024131", "2024-02-30", "", "20240131x", "2024/01-31"],
    )
    def test_what_is_refused_in_tables(self, text):
        assert parse_date(text) is None


class TestFolders:
    def test_in_the_order_of_dates(self, visit):
        paths = [visit("b_20240301"), visit("a_20240401"), visit("c_20240101")]
        found = find_visits(paths)
        assert [source.name for source in found] == ["c_20240101", "b_20240301", "a_20240401"]
        assert [source.moment.day for source in found] == [0, 60, 91]
        assert [s.name for s in find_visits([paths[0].parent])] == [s.name for s in found]

    def test_days_instead(self, visit):
        found = find_visits(
            [visit("x"), visit("y")], [30, -4], [told_of("4", "", ""), told_of("", "", "")]
        )
        assert [(s.name, s.moment.day) for s in found] == [("y", -4), ("x", 30)]
        assert found[1].told.steroids_mg == 4  # in the order of the paths

    def test_the_study_date_counts_more_than_the_name(self, visit):
        one = visit("2024-01-01", dicom={"study_date": "20240105", "patient_id": "x"})
        found = find_visits([one, visit("2024-02-01")])
        assert found[0].moment.date == date(2024, 1, 5)
        assert "2024-01-01 in its name and 2024-01-05 in DICOM" in found[0].moment.doubt
        assert read_visit(found[0]).notes[0] == found[0].moment.doubt

    def test_label_maps(self, visit):
        folders = [visit("20240201"), visit("20240101")]
        paths = [folder / "segmentation.nii.gz" for folder in folders]
        found = find_visits(paths, coding=CODINGS["brats2021"])
        assert [s.name for s in found] == ["20240101_segmentation", "20240201_segmentation"]
        assert [s.segmentation for s in found] == paths[::-1]
        assert all(s.coding == CODINGS["brats2021"] for s in found)
        together = folders[0].parent / "maps"
        together.mkdir()
        for path in paths:
            path.rename(together / f"{path.parent.name}.nii.gz")
        assert [s.name for s in find_visits([together])] == ["20240101", "20240201"]

    def test_a_date_of_the_folder_above(self, visit):
        found = find_visits([visit("20240101/result"), visit("20240201/result")])
        assert [source.name for source in found] == ["20240101_result", "20240201_result"]


class TestReading:
    def test_names_of_two_patients_are_told(self, visit):
        for names, count in (
            (("p1_20240101", "p2_20240201"), 1),
            (("p1_20240101", "p1_v2_20240201"), 0),
            (("visit-2024-01-01", "ses-2024-02-02"), 0),
        ):
            found = assess([read_visit(s) for s in find_visits([visit(n) for n in names])])
            assert sum("names of 2 patients (p1 and p2)" in w for w in found.warnings) == count

    def test_numbers_of_visits_are_no_patients(self, visit):
        found = find_visits([visit("1"), visit("s2")], [0, 30])
        assert not any("patients" in text for text in assess([*map(read_visit, found)]).warnings)

    def test_the_coding_of_the_report_counts(self, visit):
        first, second = find_visits(
            [visit("20240101", label=3, coding="brats2023"), visit("20240201")]
        )
        assert set(np.unique(read_visit(first).labels)) == {0, 4}
        assert set(np.unique(read_visit(second).labels)) == {0, 4}

    def test_regions_that_a_model_knows(self, visit):
        first, _ = find_visits([visit("20240101", known_labels=[0, 2]), visit("20240201")])
        assert read_visit(first).regions == ()

    def test_the_image_in_whose_space_the_result_lies(self, visit, tmp_path):
        labels = np.zeros(SMALL.shape_zyx, np.float32)
        labels[3:6, 3:6, 3:6] = 7
        for name in ("t1c", "flair"):
            write_volume(tmp_path / f"{name}.nii.gz", SMALL.image_from(labels))
        inputs = {name: str(tmp_path / f"{name}.nii.gz") for name in ("t1c", "flair")}
        plain = visit("20240101", inputs=inputs)
        prepared = visit("20240201", inputs=inputs, preparation={"reference": "flair"})
        onto = visit(
            "20240301",
            inputs=inputs,
            preparation={"reference": "flair"},
            prepare={"result_grid": "t1c"},
        )
        found = [read_visit(source) for source in find_visits([plain, prepared, onto])]
        assert [each.sequence for each in found] == ["t1c", "flair", "t1c"]
        assert all(each.read_head().is_stripped for each in found)

    def test_an_image_that_is_gone_is_told(self, visit):
        paths = {"t1c": "/nowhere/t1c.nii.gz"}
        first, _ = find_visits([visit("20240101", inputs=paths), visit("20240201")])
        (note,) = [n for n in read_visit(first).notes if "header says" in n]
        assert "t1c.nii.gz" in note


class TestTables:
    def write(self, tmp_path, *lines):
        path = tmp_path / "visits.tsv"
        path.write_text("\n".join("\t".join(line) for line in lines), encoding="utf-8")
        return path

    def test_folders_and_label_maps(self, visit, tmp_path):
        visit("one")
        (visit("two", label=3) / "segmentation.nii.gz").rename(tmp_path / "two.nii.gz")
        table = self.write(
            tmp_path,
            ("visit", "date", "folder", "segmentation", "coding", "steroids", "radiotherapy"),
            ("late", "2024-03-01", "", "two.nii.gz", "brats2023", "2", ""),
            ("early", "2024-01-01", "one", "", "", "-", "2023-12-01"),
        )
        found, end = read_table(table)
        assert [source.name for source in found] == ["early", "late"]
        assert end == date(2023, 12, 1)
        assert [source.told.steroids_mg for source in found] == [None, 2]
        late = read_visit(found[1])
        assert set(np.unique(late.labels)) == {0, 4}
        assert any("no image for the registration" in note for note in late.notes)

    def test_an_image_that_is_named_must_be_there(self, visit, tmp_path, capsys):
        visit("one")
        columns = ("visit", "day", "segmentation", "image")
        rows = [(name, day, "one/segmentation.nii.gz", "none.nii") for name, day in ("a0", "b9")]
        table = self.write(tmp_path, columns, *rows)
        assert main(["follow", str(table), "--output", str(tmp_path / "out")]) == 2
        assert "none.nii" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_a_coding_that_the_file_contradicts(self, visit, tmp_path):
        visit("one", label=3)
        columns = ("visit", "day", "segmentation", "coding")
        rows = [(name, day, "one/segmentation.nii.gz", "brats2023") for name, day in ("a0", "b9")]
        found, _ = read_table(self.write(tmp_path, columns, *rows))
        with pytest.raises(InputError, match="found the column coding brats2023, which calls"):
            read_visit(found[0])

    def test_days(self, visit, tmp_path):
        visit("one")
        rows = [("a", "0", "one"), ("b", "-30", "one")]
        found, end = read_table(self.write(tmp_path, ("visit", "day", "folder"), *rows))
        assert [source.name for source in found] == ["b", "a"]
        assert end is None

    @pytest.mark.parametrize(
        ("head", "row", "says"),
        [
            (("visit", "date"), ("a", "2024-01-01"), "no folder and no segmentation in row 2"),
            (("visit", "folder"), ("a", "one"), "no date and no day in row 2"),
            (("visit", "date", "folder"), ("a", "1.2.2024", "one"), "the date '1.2.2024' in row 2"),
            (("visit", "day", "folder"), ("a", "x", "one"), "the day 'x' in row 2"),
            (("visit", "day", "folder"), ("../a", "1", "one"), "the name '../a' in row 2"),
            (("visit", "day", "folder", "coding"), ("a", "1", "one", "msd"), "beside a folder"),
            (("visit", "day", "segmentation", "coding"), ("a", "1", "s", "x"), "the coding 'x'"),
            (("visit", "day", "folder", "steroids"), ("a", "1", "one", "lots"), "steroids 'lots'"),
            (("visit", "day", "folder", "clinical"), ("a", "1", "one", "ill"), "clinical 'ill'"),
            (("visit", "day", "folder", "confirmed"), ("a", "1", "one", "2"), "confirmed '2'"),
            (("visit", "day", "folder", "color"), ("a", "1", "one", "red"), "the columns visit"),
            (("visit", "day", "folder"), ("a", "1", "nowhere"), "no such folder"),
            (("visit", "day", "folder"), ("a", "1", "one"), "1 row of a visit"),
        ],
    )
    def test_what_is_refused(self, visit, tmp_path, head, row, says):
        visit("one")
        with pytest.raises(InputError, match=r".") as caught:
            read_table(self.write(tmp_path, head, row))
        assert says in str(caught.value)

    def test_two_visits_of_one_name(self, visit, tmp_path):
        visit("one")
        rows = [("a", "0", "one"), ("a", "30", "one")]
        with pytest.raises(InputError, match="several visits of one name"):
            read_table(self.write(tmp_path, ("visit", "day", "folder"), *rows))


class TestMistakes:
    """Each is one sentence, exit code 2, and nothing is written."""

    @pytest.mark.parametrize(
        ("names", "options", "says"),
        [
            (["20240101"], [], "1 visit"),
            (["20240101", "ses-01"], [], "no date of this visit"),
            (["20240101", "p_2024-01-01"], [], "two visits of one date"),
            (["a", "b"], ["--days", "1"], "1 days with --days for 2 visits"),
            (["a", "b"], ["--days", "1", "1"], "two visits of one date"),
            (["20240101", "20240201"], ["--baseline", "x"], "--baseline x"),
            (["20240101", "20240201"], ["--baseline", "20240201"], "the last visit"),
            (["20240101", "20240201"], ["--reference", "x"], "--reference x"),
            (["20240101", "20240201"], ["--radiotherapy", "soon"], "--radiotherapy soon"),
            (["20240101", "20240201"], ["--radiotherapy", "20240115"], "1 visit after the end"),
            (["a", "b"], ["--days", "0", "9", "--radiotherapy", "20240115"], "days alone"),
            (["20240101", "20240201"], ["--steroids", "2"], "1 values of an option for 2 visits"),
            (["20240101", "20240201"], ["--steroids", "a", "b"], "steroids 'a'"),
        ],
    )
    def test_visits_and_options(self, visit, tmp_path, capsys, names, options, says):
        paths = [str(visit(f"in/{name}")) for name in names]
        output = tmp_path / "out"
        code = main(["follow", *paths, "--output", str(output), *options, "--progress", "none"])
        told = capsys.readouterr().err.strip()
        assert code == 2
        assert says in told
        assert len(told.splitlines()) == 1
        assert not output.exists()

    def test_half_a_result(self, visit, tmp_path, capsys):
        one, two = visit("20240101"), visit("20240201")
        (two / "report.json").write_text("{", encoding="utf-8")
        code = main(["follow", str(one), str(two), "--output", str(tmp_path / "out")])
        assert code == 2
        assert "half a result" in capsys.readouterr().err

    def test_a_damaged_label_map(self, visit, tmp_path, capsys):
        one, two = visit("20240101"), visit("20240201")
        path = two / "segmentation.nii.gz"
        path.write_bytes(path.read_bytes()[:60])
        code = main(["follow", str(one), str(two), "--output", str(tmp_path / "out")])
        assert code == 2
        assert "segmentation.nii.gz" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    def test_labels_that_tell_no_enhancing_tumor(self, visit, tmp_path, capsys):
        visit("20240101", known_labels=[0, 2, 3])
        one, two = tmp_path / "20240101", visit("20240201")
        command = ["follow", str(one), str(two), "--output", str(tmp_path / "out")]
        assert main([*command, "--lesions", "ET"]) == 2
        assert "cannot tell ET (20240101)" in capsys.readouterr().err
