"""Exit codes, sentences and events of the command line, whatever goes wrong."""

import errno
import io
import json

import pytest

from scripted_models.cli import main
from scripted_models.commands import networks
from scripted_models.errors import InputError, Problem
from scripted_models.runtime.progress import BarProgress, JsonProgress, Progress


@pytest.fixture
def fails_with(monkeypatch):
    """Let a command raise an error."""

    def install(error):
        def run(options, progress):
            raise error

        monkeypatch.setattr(networks, "run", run)

    return install


class TestExitCodes:
    @pytest.mark.parametrize(
        ("error", "code", "words"),
        [
            (MemoryError(), 4, "too little memory"),
            (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 4, "too little memory"),
            (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 4, "--device cpu"),
            (OSError(errno.ENOSPC, "No space left on device"), 4, "a full disk"),
            (PermissionError(errno.EACCES, "Permission denied", "scan.nii"), 2, "scan.nii"),
            (KeyboardInterrupt(), 130, "cancelled"),
        ],
    )
    def test_faults_of_the_machine_are_one_sentence(self, fails_with, capsys, error, code, words):
        fails_with(error)
        assert main(["networks"]) == code
        text = capsys.readouterr().err
        assert words in text
        assert text.count("\n") == 1

    def test_a_fault_of_the_program_says_so_and_shows_where(self, fails_with, capsys):
        fails_with(ZeroDivisionError("division by zero"))
        assert main(["networks"]) == 1
        text = capsys.readouterr().err
        assert "Traceback" in text
        assert text.splitlines()[-1].startswith("Error: Found a fault of the program")

    def test_a_wrong_option_is_one_line(self, capsys):
        with pytest.raises(SystemExit) as exit_:
            main(["segment", "--nonsense"])
        assert exit_.value.code == 2
        assert capsys.readouterr().err.count("\n") == 1

    def test_json_ends_with_the_error(self, tmp_path, capsys):
        command = ["segment", str(tmp_path / "none"), "--output", str(tmp_path / "o")]
        assert main([*command, "--progress", "json"]) == 2
        last = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert last["event"] == "error"
        assert last["code"] == "input"


class TestProgress:
    def test_fractions_never_fall(self):
        stream = io.StringIO()
        progress = JsonProgress(stream)
        for fraction in (0.1, 0.5, 0.3, 2.0):
            progress.update(fraction)
        events = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [e["fraction"] for e in events] == [0.1, 0.5, 0.5, 1.0]

    def test_parts_of_parts_count_in_the_whole(self):
        stream = io.StringIO()
        progress = JsonProgress(stream)
        first, second = progress.part(0.0, 0.6), progress.part(0.6, 1.0)
        first.stage("train", 0.5)
        second.part(0.5, 1.0).update(0.5)
        first.update(1.0)
        second.update(2.0)
        events = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [e["fraction"] for e in events] == [0.3, 0.9, 0.9, 1.0]
        assert [e["stage"] for e in events] == ["train"] * 4

    def test_a_part_that_was_done_before_takes_no_time(self, monkeypatch):
        now = [0.0]
        monkeypatch.setattr("time.monotonic", lambda: now[0])
        progress = Progress()
        progress.part(0.0, 0.5).skip(1.0)
        now[0] = 30.0
        later = progress.part(0.5, 1.0)
        later.update(0.5)
        assert later.remaining_s() == progress.remaining_s() == pytest.approx(30.0)

    def test_problems_carry_their_parts(self):
        stream = io.StringIO()
        part = JsonProgress(stream).part(0.0, 0.5)
        error = InputError(found="3 files", expected="4", action="add one", path="in")
        part.warning("Found little.", **Problem(found="little").fields)
        part.error(error)
        warning, said = (json.loads(line) for line in stream.getvalue().splitlines())
        assert warning == {"event": "warning", "text": "Found little.", "found": "little"}
        assert said == {"event": "error", "code": "input", "text": str(error), **error.fields}
        assert said["action"] == "add one"
        assert said["path"] == "in"

    def test_remaining_time_leaves_out_what_was_done_before(self, monkeypatch):
        now = [0.0]
        monkeypatch.setattr("time.monotonic", lambda: now[0])
        progress = BarProgress(io.StringIO())
        progress.skip(0.6)
        now[0] = 30.0
        progress.update(0.8)
        assert progress.remaining_s() == pytest.approx(30.0)
