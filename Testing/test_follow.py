"""`scripted-models follow` as users run it: made visits with known growth, files, page, events."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from follow_fixtures import GRID, balls, head, points_of, turned, write_result
from training_fixtures import write_small_case

from scripted_models.cli import main
from scripted_models.geometry import Grid

A, B, C = (-15.0, 10.0, 5.0), (18.0, -12.0, 0.0), (0.0, 25.0, 10.0)
MOTION = turned()
RESLICED = Grid((80, 88, 26), (1.2, 1.25, 3.6), (-47.0, -56.0, -46.0))
FILES = ["follow.csv", "follow.html", "follow.json", "lesions.csv"]


def run(*arguments):
    return main(["follow", *map(str, arguments), "--progress", "json"])


def facts(folder):
    return json.loads((folder / "follow.json").read_text(encoding="utf-8"))


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def visits(tmp_path_factory):
    """Two balls; moved and re-sliced one has grown; then one has vanished and one is new."""
    folder = tmp_path_factory.mktemp("visits")
    write_result(folder / "2024-01-10", balls(GRID, (A, 8), (B, 6)), GRID, head(GRID))
    write_result(
        folder / "scan_20240310",
        balls(RESLICED, (A, 10), (B, 6), motion=MOTION),
        RESLICED,
        head(RESLICED, MOTION),
    )
    write_result(folder / "ses-20240610", balls(GRID, (A, 5), (C, 8)), GRID, head(GRID))
    return folder


@pytest.fixture(scope="module")
def written(visits, tmp_path_factory):
    output = tmp_path_factory.mktemp("followed") / "out"
    assert run(visits, "--output", output) == 0
    return output


class TestKnownGrowth:
    def test_files(self, written):
        assert sorted(path.name for path in written.iterdir()) == FILES

    def test_volumes_are_those_of_each_own_grid(self, visits, written):
        found = facts(written)["regions"]["ET"]
        for index, (name, grid) in enumerate(
            [("2024-01-10", GRID), ("scan_20240310", RESLICED), ("ses-20240610", GRID)]
        ):
            image = sitk.ReadImage(str(visits / name / "segmentation.nii.gz"))
            own = float((sitk.GetArrayViewFromImage(image) == 4).sum()) * grid.voxel_volume_ml
            assert found["values_ml"][index] == pytest.approx(own, abs=1e-4)
        grown = 4 / 3 * np.pi * (10**3 + 6**3) / 1000
        assert found["values_ml"][1] == pytest.approx(grown, rel=0.05)

    def test_the_motion_is_found(self, written):
        second = facts(written)["visits"][1]
        # points of the first visit to those of the second: the inverse of what was made
        matrix = np.array(second["reference_to_visit_lps"])
        for point in (A, B, C):
            there = (matrix @ [*point, 1])[:3]
            assert np.linalg.norm(MOTION.TransformPoint(there.tolist()) - np.array(point)) < 1.0
        assert second["registration"]["overlap"] > 0.95
        assert not second["registration"]["is_doubtful"]

    def test_lesions(self, written):
        found = facts(written)
        assert [(e["visit"], e["kind"], e["before"], e["after"]) for e in found["events"]] == [
            ("ses-20240610", "new", [], ["3"]),
            ("ses-20240610", "vanished", ["2"], []),
        ]
        first = found["lesions"][0]
        assert first["values_ml"][1] > first["values_ml"][0] > first["values_ml"][2]
        assert first["nadir"] == "ses-20240610"
        doubled = first["since_baseline"][1]
        ratio = first["values_ml"][1] / first["values_ml"][0]
        assert doubled["percent"] == pytest.approx(100 * (ratio - 1), abs=0.1)
        assert doubled["doubling_days"] == pytest.approx(60 * np.log(2) / np.log(ratio), rel=0.01)
        assert found["targets"] == ["1", "2"]

    def test_categories(self, written):
        found = facts(written)["responses"]
        assert [row["category"] for row in found["volume"]] == ["PD", "PD"]
        assert found["volume"][0]["reasons"][0].startswith("+")
        assert found["product"][1]["reasons"] == ["new measurable lesion 3"]

    def test_tables(self, written):
        lines = rows(written / "follow.csv")
        assert [line["visit"] for line in lines] == ["2024-01-10", "scan_20240310", "ses-20240610"]
        assert [line["day"] for line in lines] == ["0", "60", "152"]
        assert [line["is_baseline"] for line in lines] == ["yes", "no", "no"]
        assert lines[1]["by_volume"] == "PD"
        json_values = facts(written)["regions"]["WT"]["values_ml"]
        assert [float(line["WT_ml"]) for line in lines] == json_values
        lesions = rows(written / "lesions.csv")
        assert len(lesions) == 3 * 3
        assert [line["event"] for line in lesions if line["event"]] == [
            "2 has vanished",
            "3 is new",
        ]

    def test_page(self, written):
        page = (written / "follow.html").read_text(encoding="utf-8")
        assert page.count("<svg") == 3 + 1 + 3  # regions, products, lesions
        assert page.count("data:image/png;base64,") == 1
        assert "by volume: PD (progression)" in page
        assert "not an assessment" in page
        assert not re.search(r'(src|href)="(?!data:|#)', page)
        assert "<script" not in page


class TestOptions:
    def test_another_reference_changes_no_size(self, visits, written, tmp_path):
        assert run(visits, "--output", tmp_path / "out", "--reference", "ses-20240610") == 0
        other, first = facts(tmp_path / "out"), facts(written)
        assert other["reference"] == "ses-20240610"
        assert other["regions"] == first["regions"]
        for mine, theirs in zip(other["lesions"], first["lesions"], strict=True):
            assert mine["values_ml"] == theirs["values_ml"]

    def test_baseline_after_radiotherapy(self, visits, tmp_path):
        told = ("--radiotherapy", "2024-02-20", "--steroids", "4", "2", "-")
        assert run(visits, "--output", tmp_path / "out", *told) == 0
        found = facts(tmp_path / "out")
        assert found["baseline"] == "scan_20240310"
        assert found["visits"][2]["days_since_baseline"] == 92
        assert [v["steroids_mg"] for v in found["visits"]] == [4, 2, None]
        (only,) = found["responses"]["volume"]
        assert only["reasons"][0] == "new measurable lesion 3"
        assert only["confirmation"] is None  # 16 weeks after it

    def test_lesions_of_the_whole_tumor(self, visits, tmp_path):
        assert run(visits, "--output", tmp_path / "out", "--lesions", "WT") == 0
        found = facts(tmp_path / "out")
        assert found["lesion_region"] == "WT"
        assert found["lesions"][0]["values_ml"][0] > 2

    @pytest.mark.parametrize(("necrosis", "category"), [("excluded", "SD"), ("included", "PD")])
    def test_rim_counts_across_necrosis_only(self, tmp_path, necrosis, category):
        paths = []
        for radius in (16, 20):
            labels = balls(GRID, (A, radius))
            labels[balls(GRID, (A, radius - 3)) == 4] = 1
            folder = write_result(tmp_path / str(radius), labels)
            paths.append(folder / "segmentation.nii.gz")
        options = ("--days", 0, 60, "--necrosis", necrosis, "--output", tmp_path / "out")
        assert run(*paths, *options) == 0
        found = facts(tmp_path / "out")
        assert found["necrosis"] == necrosis
        assert found["responses"]["volume"][0]["category"] == category


class TestDoubts:
    def test_another_patient(self, visits, tmp_path, capsys):
        narrow = head(GRID, seed=5) * (np.abs(points_of(GRID)[..., 0]) < 25)
        write_result(tmp_path / "2024-08-01", balls(GRID, (A, 8)), GRID, narrow.astype(np.float32))
        given = (visits / "2024-01-10", tmp_path / "2024-08-01")
        assert run(*given, "--output", tmp_path / "out") == 0
        (warning,) = warnings_of(capsys)
        assert warning.startswith("2024-08-01: found ")
        assert "same patient" in warning
        assert facts(tmp_path / "out")["warnings"] == [warning]

    def test_no_image(self, visits, tmp_path, capsys):
        write_result(tmp_path / "2024-08-01", balls(GRID, (A, 8)))
        assert run(visits / "2024-01-10", tmp_path / "2024-08-01", "--output", tmp_path / "o") == 0
        (warning,) = warnings_of(capsys)
        assert "no image for the registration" in warning
        assert facts(tmp_path / "o")["visits"][1]["registration"] is None

    def test_patient_numbers_that_differ(self, tmp_path, capsys):
        for day, patient in (("01", "p1"), ("02", "p2")):
            dicom = {"patient_id": patient, "study_date": f"202401{day}"}
            write_result(tmp_path / "in" / day, balls(GRID, (A, 8)), dicom=dicom)
        assert run(tmp_path / "in", "--output", tmp_path / "o") == 0
        assert any("2 patient numbers" in text for text in warnings_of(capsys))
        assert "p1" not in (tmp_path / "o" / "follow.json").read_text(encoding="utf-8")

    def test_no_tumor_anywhere(self, tmp_path):
        for day in ("2024-01-01", "2024-02-01"):
            write_result(tmp_path / "in" / day, np.zeros(GRID.shape_zyx, np.uint8))
        assert run(tmp_path / "in", "--output", tmp_path / "o") == 0
        found = facts(tmp_path / "o")
        assert (found["lesions"], found["targets"], found["products"]) == ([], [], None)


class TestPlace:
    def test_once_more_and_other_visits(self, visits, written, tmp_path, capsys):
        output = tmp_path / "out"
        shutil.copytree(written, output)
        before = {path.name: path.read_bytes() for path in output.iterdir()}
        for day in ("2024-01-01", "2024-02-01"):
            write_result(tmp_path / "in" / day, balls(GRID, (A, 8)))
        capsys.readouterr()
        assert run(tmp_path / "in", "--output", output) == 2
        assert "a follow-up of other visits" in capsys.readouterr().out
        assert {path.name: path.read_bytes() for path in output.iterdir()} == before
        (output / "note.txt").write_text("mine", encoding="utf-8")
        assert run(visits, "--output", output) == 0
        assert (output / "note.txt").read_text(encoding="utf-8") == "mine"

    @pytest.mark.parametrize("place", ["", "2024-01-10", "2024-01-10/below"])
    def test_not_into_the_visits(self, visits, place, capsys):
        before = sorted(visits.rglob("*"))
        assert run(visits, "--output", visits / place) == 2
        assert "a folder of visits" in capsys.readouterr().out
        assert sorted(visits.rglob("*")) == before


def test_cases_are_segmented_first(tmp_path, capsys):
    for seed, day in ((1, "2024-01-01"), (2, "2024-03-01")):
        write_small_case(tmp_path / day, f"Brats18_A_{seed}_1", seed)
    given = (tmp_path / "2024-01-01", tmp_path / "2024-03-01")
    options = ("--output", tmp_path / "out", "--model", "TwoPathCNN")
    assert run(*given, *options) == 0
    assert sorted(path.name for path in (tmp_path / "out" / "visits").iterdir()) == [
        "2024-01-01",
        "2024-03-01",
    ]
    found = facts(tmp_path / "out")
    assert [visit["sequence"] for visit in found["visits"]] == ["t1c", "t1c"]
    segmented = tmp_path / "out" / "visits" / "2024-01-01" / "segmentation.nii.gz"
    before = segmented.stat().st_mtime_ns
    capsys.readouterr()
    assert run(*given, *options) == 0
    assert segmented.stat().st_mtime_ns == before
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    fractions = [event["fraction"] for event in told if "fraction" in event]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


def warnings_of(capsys):
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [event["text"] for event in events if event["event"] == "warning"]
