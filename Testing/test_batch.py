"""The batch runner: one rule of what is done, skipped cases, one writer, the events of a run."""

import io
import json
import os
import shutil
import unicodedata
from dataclasses import replace

import pytest
import SimpleITK as sitk
from training_fixtures import write_small_case

from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError, ResourceError
from scripted_models.labels import CODINGS
from scripted_models.runtime.atomic_files import only_writer
from scripted_models.runtime.progress import JsonProgress, Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.outputs import OutputOptions
from scripted_models.segmentation.segmenter import Segmenter

NAMES = ["Brats18_A_1_1", "Brats18_B_1_1", "Brats18_C_1_1"]


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("TwoPathCNN", "cpu")


@pytest.fixture
def cases(tmp_path):
    for seed, name in enumerate(NAMES):
        write_small_case(tmp_path / "data", name, seed)
    return find_cases(tmp_path / "data")


@pytest.fixture
def batch(segmenter, tmp_path):
    return Batch(segmenter, tmp_path / "out")


def events_of(batch, cases):
    stream = io.StringIO()
    try:
        batch.run(cases, JsonProgress(stream))
    finally:
        events = [json.loads(line) for line in stream.getvalue().splitlines()]
        fractions = [event["fraction"] for event in events if "fraction" in event]
        assert fractions == sorted(fractions)
    return events


def written_at(batch):
    return {path: path.stat().st_mtime_ns for path in batch.output.glob("*/segmentation.nii.gz")}


class TestDone:
    @pytest.fixture
    def case(self, cases, batch):
        assert not batch.is_done(cases[0])
        batch.run(cases[:1], Progress())
        assert batch.is_done(cases[0])
        return cases[0]

    def test_another_coding_or_more_files_are_not(self, batch, case):
        for options in (
            OutputOptions(CODINGS["brats2023"]),
            OutputOptions(probabilities=True),
            OutputOptions(necrosis="included"),
        ):
            assert not replace(batch, options=options).is_done(case)

    def test_another_model_or_method_is_not(self, batch, case, segmenter):
        model = replace(segmenter.model, checksum="0" * 64)
        assert not replace(batch, segmenter=Segmenter(model, "cpu")).is_done(case)

    def test_what_else_is_said_of_the_model_does_not_count(self, batch, case, segmenter):
        """Reports of former versions say less of it."""
        stated = replace(segmenter.model.description, made_for="after operation")
        model = replace(segmenter.model, description=stated)
        assert replace(batch, segmenter=Segmenter(model, "cpu")).is_done(case)

    def test_fewer_or_other_inputs_are_not_whatever_their_dates(self, batch, case):
        assert not batch.is_done(case.without(["t2"]))
        path = case.images["t2"].path
        before = path.stat().st_mtime
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(image + 1, str(path))
        for date in (before - 1e6, before, before + 1e6):
            os.utime(path, (date, date))
            assert not batch.is_done(case)
        events = events_of(replace(batch, resume=True), [case])
        assert "input, model or options differ" in str(events)
        assert batch.is_done(case)

    def test_the_same_content_is_done_wherever_and_whenever(self, batch, case, tmp_path):
        shutil.move(tmp_path / "data", tmp_path / "elsewhere")
        (moved, *_) = find_cases(tmp_path / "elsewhere")
        os.utime(moved.images["t1"].path)
        assert batch.is_done(moved)
        batch.run([moved], Progress())  # and may be done again

    def test_exchanged_inputs_are_not(self, batch, case):
        paths = [case.images[m].path for m in ("t1", "t1c")]
        contents = [path.read_bytes() for path in paths]
        for path, content in zip(paths, reversed(contents), strict=True):
            path.write_bytes(content)
        assert not batch.is_done(case)

    @pytest.mark.parametrize("file", ["segmentation.nii.gz", "report.json"])
    def test_a_lost_file_is_not(self, batch, case, file):
        (batch.output / case.name / file).unlink()
        assert not batch.is_done(case)

    def test_an_edited_result_is(self, batch, case):
        label_map = batch.output / case.name / "segmentation.nii.gz"
        label_map.write_bytes(label_map.read_bytes() + b" ")
        assert batch.is_done(case)

    def test_resuming_leaves_it_as_it_is(self, batch, cases, case):
        before = written_at(batch)
        events = events_of(replace(batch, resume=True), cases)
        assert f"{case.name}: segmented before" in [event.get("text") for event in events]
        after = written_at(batch)
        assert len(after) == 3
        assert before.items() <= after.items()
        batch.run([case], Progress())
        assert written_at(batch)[next(iter(before))] > next(iter(before.values()))


class TestOthers:
    """A folder of a case is only replaced by results of this case."""

    @pytest.fixture
    def other(self, tmp_path):
        write_small_case(tmp_path / "others", NAMES[0], 7)
        return find_cases(tmp_path / "others")[0]

    def test_results_of_another_patient_stay(self, batch, cases, other):
        batch.run(cases[:1], Progress())
        before = written_at(batch)
        for again in (batch, replace(batch, resume=True)):
            with pytest.raises(InputError, match=r"results of another input, .*data"):
                again.run([other], Progress())
        assert written_at(batch) == before

    @pytest.mark.parametrize("spelling", [str.upper, str.lower, lambda name: name + "."])
    def test_on_other_systems_these_names_are_one(self, batch, cases, other, spelling):
        batch.run([replace(other, name=spelling(other.name))], Progress())
        with pytest.raises(InputError, match="results of another input"):
            batch.run(cases[:1], Progress())

    def test_accents_may_be_stored_in_two_ways(self, batch, cases, other):
        one, two = (unicodedata.normalize(form, "Schädel") for form in ("NFC", "NFD"))
        assert one != two
        batch.run([replace(other, name=one)], Progress())
        with pytest.raises(InputError, match="results of another input"):
            batch.run([replace(cases[0], name=two)], Progress())
        with pytest.raises(InputError, match="would share a folder"):
            batch.run([replace(cases[0], name=one), replace(cases[1], name=two)], Progress())

    def test_a_label_map_of_the_user_stays(self, batch, cases):
        folder = batch.output / cases[0].name
        folder.mkdir(parents=True)
        (folder / "segmentation.nii.gz").write_bytes(b"by hand")
        with pytest.raises(InputError, match="without a report"):
            batch.run(cases[:1], Progress())
        assert (folder / "segmentation.nii.gz").read_bytes() == b"by hand"
        (folder / "segmentation.nii.gz").rename(folder / "mine.nii.gz")
        batch.run(cases[:1], Progress())
        assert (folder / "mine.nii.gz").read_bytes() == b"by hand"

    def test_results_of_the_same_files_are_replaced(self, batch, cases):
        batch.run(cases[:1], Progress())
        cases[0].images["t2"].path.write_bytes(cases[0].images["t1"].path.read_bytes())
        batch.run(cases[:1], Progress())
        report = json.loads((batch.output / cases[0].name / "report.json").read_text())
        assert report["inputs_sha256"]["t2"] == report["inputs_sha256"]["t1"]

    def test_others_of_a_batch_are_written(self, batch, cases, other):
        batch.run([other], Progress())
        with pytest.raises(InputError, match="1 of 3 cases that were skipped"):
            batch.run(cases, Progress())
        assert len(written_at(batch)) == 3

    def test_an_input_that_changes_meanwhile_gives_no_result(self, batch, cases, segmenter):
        class Changing(Segmenter):
            def segment(self, case, progress, cancelled=lambda: False):
                found = super().segment(case, progress, cancelled)
                os.utime(case.images["t2"].path, ns=(0, 1))
                return found

        changing = replace(batch, segmenter=Changing(segmenter.model, "cpu"))
        with pytest.raises(InputError, match="changed while it was read"):
            changing.run(cases[:1], Progress())
        assert not written_at(batch)


class TestSkipped:
    def test_the_others_are_written_and_the_run_ends_with_an_error(self, batch, cases):
        cases[1].images["t2"].path.write_bytes(b"damaged")
        stream, written = io.StringIO(), []
        with pytest.raises(InputError, match=rf"1 of 3 cases that were skipped \({NAMES[1]}\)"):
            batch.run(cases, JsonProgress(stream), written.append)
        assert [one.case.name for one in written] == [NAMES[0], NAMES[2]]
        assert [one.folder.name for one in written] == sorted(os.listdir(batch.output))
        warnings = [e for e in map(json.loads, stream.getvalue().splitlines()) if "found" in e]
        (told,) = [event for event in warnings if "was skipped" in event["text"]]
        assert told["path"] == str(cases[1].images["t2"].path)

    def test_a_single_case_is_an_error_of_its_own(self, batch, cases):
        cases[1].images["t2"].path.write_bytes(b"damaged")
        with pytest.raises(InputError, match=r"_t2\.nii\.gz: found"):
            batch.run(cases[1:2], Progress())
        assert not batch.output.exists()


def test_nobody_else_writes_meanwhile(batch, cases):
    with only_writer(batch.output), pytest.raises(ResourceError, match="another run"):
        batch.run(cases, Progress())
    assert not written_at(batch)


def test_report_result_and_segmentation_hold_the_same_volumes(batch, cases):
    written = []
    batch.run(cases[:1], Progress(), written.append)
    (one,) = written
    report = json.loads((one.folder / "report.json").read_text(encoding="utf-8"))
    assert report["volumes_ml"] == one.segmentation.volumes_ml
    table = report["measurements"]
    assert {name: row["volume_ml"] for name, row in table.items()} == report["volumes_ml"]
    assert report["seconds"] == one.seconds
    assert report["device"] == one.segmentation.placement.reason == "CPU, as asked"
    assert report["warnings"] == one.segmentation.warnings
