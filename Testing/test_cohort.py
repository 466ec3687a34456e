"""Several runs that share one output folder: shares of the cases, and nothing partial or mixed."""

import json
import os
import time
from dataclasses import replace

import pytest
from training_fixtures import write_small_case
from warm_processes import WarmProcess

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.selection_options import shard_of
from scripted_models.cli import main
from scripted_models.errors import InputError, ResourceError
from scripted_models.images.volume_files import read_volume
from scripted_models.labels import CODINGS
from scripted_models.runtime.atomic_files import (
    BEGUN_RESULT,
    held_where_possible,
    one_of_writers,
    only_writer,
)
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.outputs import OutputOptions
from scripted_models.segmentation.segmenter import Segmenter

MODEL = "TwoPathCNN"


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load(MODEL, "cpu")


@pytest.fixture
def data(tmp_path):
    for seed, letter in enumerate("ABCDEF"):
        write_small_case(tmp_path / "data", f"Brats18_{letter}_1_1", seed)
    return tmp_path / "data"


@pytest.fixture
def batch(segmenter, tmp_path):
    return Batch(segmenter, tmp_path / "out", writer=one_of_writers)


def command(data, *options):
    output = data.parent / "out"
    return ["segment", data, "--output", output, "--model", MODEL, "--continue", *options]


def started(arguments, log):
    log.mkdir()
    return WarmProcess(arguments, log)


def results(output):
    """Return name -> time of writing of all results, which must be whole."""
    found = {}
    for folder in output.iterdir():
        if not folder.name.startswith("."):
            assert {path.name for path in folder.iterdir()} >= {"report.json", "overlay.png"}
            assert json.loads((folder / "report.json").read_text())["case"] == folder.name
            read_volume(folder / "segmentation.nii.gz")
            found[folder.name] = (folder / "report.json").stat().st_mtime_ns
    return found


class TestOptions:
    @pytest.mark.parametrize(
        "text", ["0/3", "4/3", "1/0", "1", "a/b", "-1/3", "1/3/3", "1 /3", "²/3"]
    )
    def test_no_such_share(self, data, text, capsys):
        assert main(list(map(str, command(data, f"--shard={text}")))) == 2
        assert f"Found --shard {text}, expected I/N with I from 1 to N" in capsys.readouterr().err
        assert not (data.parent / "out").exists()

    def test_a_share(self):
        assert shard_of("12/300") == (12, 300)

    @pytest.mark.parametrize("option", ["--shard=1/2", "--participant-label=A"])
    def test_single_files_have_none(self, data, option, capsys):
        kinds = {"t1": "t1", "t1c": "t1ce", "t2": "t2", "flair": "flair"}
        files = [f"--{m}={next(data.rglob(f'*_{kind}.nii.gz'))}" for m, kind in kinds.items()]
        assert main(["segment", *files, f"--output={data / 'out'}", option]) == 2
        assert "single files" in capsys.readouterr().err

    def test_an_empty_share_is_done_at_once(self, data, capsys):
        assert main(list(map(str, command(data, "--shard", "7/7")))) == 0
        assert "share 7/7 of 6 case(s) is empty" in capsys.readouterr().err
        assert not (data.parent / "out").exists()


def test_a_killed_worker_leaves_nothing_partial_and_its_share_goes_on(data, tmp_path):
    """Two processes segment into one folder; one is killed with SIGKILL, and started again."""
    output = tmp_path / "out"
    shares = [[*command(data), "--shard", f"{n}/2", "--threads", "1"] for n in (1, 2)]
    workers = [started(share, tmp_path / f"log{n}") for n, share in enumerate(shares)]
    of_second = [f"Brats18_{letter}_1_1" for letter in "BDF"]
    while not any((output / name).exists() for name in of_second):
        assert workers[1].poll() is None
        time.sleep(0.01)
    workers[1].kill()
    before = results(output) if workers[0].wait() == 0 else {}
    assert set(before) >= {"Brats18_A_1_1", "Brats18_C_1_1", "Brats18_E_1_1", of_second[0]}
    again = started(shares[1], tmp_path / "again")
    assert again.wait() == 0
    after = results(output)
    assert len(after) == 6
    assert before.items() <= after.items()  # nothing was done twice
    assert "segmented before" in again.stderr
    whole = started(command(data), tmp_path / "whole")  # a last run that looks at all of them
    assert whole.wait() == 0
    assert results(output) == after
    assert whole.stderr.count("segmented before") == 6


def test_participants_share_a_folder_too(data, capsys):
    code = main(list(map(str, command(data, "--participant-label", "Brats18_C_1_1"))))
    assert code == 0
    assert set(results(data.parent / "out")) == {"Brats18_C_1_1"}


class TestSameCase:
    """Two runs at the same case, because their shares overlap."""

    def racing(self, batch, meanwhile):
        """Return the batch, during whose segmentation something else happens."""

        class Slow(Segmenter):
            def segment(self, case, progress, cancelled=lambda: False):
                found = super().segment(case, progress, cancelled)
                meanwhile()
                return found

        return replace(batch, segmenter=Slow(batch.segmenter.model, "cpu"))

    def test_both_may_write_it_and_it_is_whole(self, batch, data):
        case = find_cases(data)[0]
        self.racing(batch, lambda: batch.run([case], Progress())).run([case], Progress())
        assert set(results(batch.output)) == {case.name}
        assert batch.is_done(case)
        assert os.listdir(batch.output) == [case.name]

    def test_another_patient_of_the_same_name_is_never_replaced(self, batch, data):
        case, other, *_ = find_cases(data)
        other = replace(other, name=case.name)
        racing = self.racing(batch, lambda: batch.run([other], Progress()))
        with pytest.raises(InputError, match="results of another input"):
            racing.run([case], Progress())
        assert batch.is_done(other)

    def test_results_of_two_models_are_not_mixed(self, batch, data):
        case = find_cases(data)[0]
        batch.run([case], Progress())
        before = results(batch.output)
        coding = OutputOptions(CODINGS["brats2021"])
        with (
            held_where_possible(batch.output / case.name),
            pytest.raises(InputError, match="another run that writes the same case"),
        ):
            replace(batch, options=coding).run([case], Progress())
        assert results(batch.output) == before
        replace(batch, options=coding).run([case], Progress())
        assert not batch.is_done(case)


class TestFolder:
    def test_a_run_that_wants_to_be_alone_keeps_shares_out(self, batch, data):
        with only_writer(batch.output), pytest.raises(ResourceError, match="another run"):
            batch.run(find_cases(data)[:1], Progress())
        assert not batch.output.exists()

    def test_what_others_have_begun_stays_until_it_must_be_dead(self, tmp_path):
        old, live, late = (tmp_path / f"{BEGUN_RESULT}{n}" for n in ("old", "live", "late"))
        for folder in (old, live, late):
            (folder / "case").mkdir(parents=True)
            (folder / "case" / "report.json").touch()
        for path in (*old.rglob("*"), old, late, late / "case"):
            os.utime(path, (time.time() - 7200,) * 2)
        for writer in (only_writer, one_of_writers, one_of_writers):
            with writer(tmp_path):
                pass
        assert not old.exists()
        assert live.exists()
        assert late.exists()  # its file was written just now

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(ResourceError), one_of_writers(tmp_path / "file"):
            pass
