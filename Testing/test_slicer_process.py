"""Real child processes under the module's runner: success, failure, crash, garbage, cancel."""

import os
import sys
import time
from pathlib import Path

import pytest
from slicer_fixtures import ROOT  # puts the module's library on the path

# isort: split
from BrainTumorSegLib.child_errors import ended_early, run_error
from BrainTumorSegLib.protocol import Event, parse_line
from BrainTumorSegLib.segmentation_process import CANCELLED, DONE, FAILED, SegmentationProcess

from scripted_models.errors import (
    Cancelled,
    ModelError,
    Problem,
    ResourceError,
    ScriptedModelsError,
)

CHILD = ROOT / "Testing" / "slicer_children.py"
TIMEOUT_S = 30
posix_only = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")


@pytest.fixture
def start(tmp_path):
    """Start a child that does some acts; whatever still runs at the end of the test is ended."""
    processes = []

    def start_acts(*acts, grace_s=5.0):
        folder = tmp_path / f"temporary{len(processes)}"
        folder.mkdir()
        (folder / "file").write_text("x", encoding="utf-8")
        command = [sys.executable, CHILD, *acts]
        process = SegmentationProcess(command, os.environ, folder, grace_s)
        processes.append(process)
        process.start()
        return process

    yield start_acts
    for process in processes:
        process.close()
        assert not process.temporary_folder.exists()


def collect(process):
    events = []
    wait_for(lambda: events.extend(process.poll()) or process.outcome)
    return events, process.outcome


def failure_of(outcome):
    """The error that is raised about a run."""
    return run_error(outcome, "python")


def wait_for(condition, timeout_s=TIMEOUT_S):
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


def is_alive(pid):
    """True while a process runs; a zombie that waits for its parent does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def first_event(process, kind):
    found = []
    wait_for(lambda: found.extend(e for e in process.poll() if e.kind == kind) or found)
    return found[0]


def grandchild_of(process):
    return int(first_event(process, "message").text.split()[1])


def test_events_arrive_in_order_and_the_result_is_kept(start):
    events, outcome = collect(start("steps", "result"))
    kinds = [event.kind for event in events]
    assert kinds == ["stage", "message", *["progress"] * 10, "warning", "result"]
    assert [e.fraction for e in events if e.kind == "progress"][-1] == 1.0
    assert events[2].remaining_s == 9
    assert outcome.state == DONE
    assert outcome.exit_code == 0
    assert outcome.result["segmentation"] == "s"


def test_poll_returns_at_once_while_the_child_is_silent(start):
    process = start("hang")
    first_event(process, "stage")
    before = time.thread_time()
    assert process.poll() == []
    assert time.thread_time() - before < 0.05
    assert process.running
    assert process.fraction == 0.2


def test_error_event_gives_its_code_and_sentence(start):
    _, outcome = collect(start("steps", "error"))
    assert (outcome.state, outcome.exit_code, outcome.code) == (FAILED, 3, "model")
    error = failure_of(outcome)
    assert isinstance(error, ModelError)
    assert str(error) == outcome.text
    assert error.problem == outcome.problem
    assert error.problem == Problem("damaged weights", "whole ones", "get it again", "m/model.pt")


def test_result_followed_by_an_error_is_a_failure(start):
    _, outcome = collect(start("result", "error"))
    assert outcome.state == FAILED
    assert outcome.result == {}


def test_crash_without_error_event_gives_one_sentence_with_the_tail(start):
    _, outcome = collect(start("steps", "traceback"))
    assert (outcome.state, outcome.code) == (FAILED, "internal")
    text = str(failure_of(outcome))
    assert "exit code 1" in text
    assert "ValueError: thing went wrong" in text
    assert "\n" not in text


@posix_only
def test_death_by_signal_is_named(start):
    _, outcome = collect(start("steps", "segv"))
    assert outcome.state == FAILED
    assert "SIGSEGV" in str(failure_of(outcome))
    assert "about to crash" in str(failure_of(outcome))


@posix_only
def test_sigkill_hints_at_memory():
    assert "memory" in ended_early(-9, []).action
    assert "memory" not in ended_early(-11, []).action


def test_exit_code_tells_the_kind_of_an_error_that_was_not_stated():
    assert isinstance(ended_early(4, []), ResourceError)
    assert type(ended_early(1, [])) is ScriptedModelsError


def test_success_without_a_result_is_a_failure(start):
    _, outcome = collect(start("steps"))
    assert outcome.state == FAILED
    assert "without a result" in str(failure_of(outcome))


def test_garbage_is_log_and_the_run_goes_on(start):
    events, outcome = collect(start("garbage", "steps", "result"))
    assert outcome.state == DONE
    assert not any(e.kind == "progress" and e.fraction != e.fraction for e in events)
    (odd,) = [e for e in events if e.stage == "x"]
    assert odd.fraction == 1.0
    assert "no JSON" in [e.text for e in events if e.kind == "log"]
    assert any("something odd" in line for line in outcome.log)


def test_many_lines_come_in_portions_and_none_is_lost(start):
    process = start("flood", "result")
    numbers, largest = [], 0
    while process.outcome is None:
        events = process.poll()
        largest = max(largest, len(events))
        numbers += [int(e.text.split()[1]) for e in events if e.kind == "log"]
        time.sleep(0.005)
    assert numbers == list(range(30000))
    assert largest <= 2000
    assert len(process.log) == 400
    assert process.outcome.state == DONE


def test_program_that_cannot_start_is_told_in_a_sentence(tmp_path):
    process = SegmentationProcess([tmp_path / "absent"], os.environ)
    process.start()
    assert process.outcome.state == FAILED
    assert process.outcome.code == "resource"
    assert process.poll() == []
    error = failure_of(process.outcome)
    assert isinstance(error, ResourceError)
    assert "cannot be started" in error.found
    assert "absent" in error.found
    process.close()


@posix_only
def test_cancel_lets_a_polite_child_leave_by_itself(start):
    process = start("polite")
    first_event(process, "stage")
    process.cancel()
    events, outcome = collect(process)
    assert (outcome.state, outcome.exit_code) == (CANCELLED, 130)
    assert [event.code for event in events] == ["cancelled"]


@posix_only
def test_cancel_kills_a_stubborn_child_and_its_grandchild(start):
    process = start("grandchild", "stubborn", grace_s=0.3)
    grandchild = grandchild_of(process)
    wait_for(lambda: process.poll() is not None and process.fraction > 0)
    assert is_alive(grandchild)
    process.cancel()
    _, outcome = collect(process)
    assert (outcome.state, outcome.exit_code) == (CANCELLED, -9)
    wait_for(lambda: not is_alive(grandchild))
    assert not is_alive(process.pid)


@posix_only
def test_grandchild_left_by_a_finished_child_is_ended(start):
    process = start("grandchild", "result")
    grandchild = grandchild_of(process)
    _, outcome = collect(process)
    assert outcome.state == DONE
    wait_for(lambda: not is_alive(grandchild))


@posix_only
def test_grandchild_left_by_a_crashed_child_is_ended(start):
    process = start("grandchild", "segv")
    grandchild = grandchild_of(process)
    _, outcome = collect(process)
    assert outcome.state == FAILED
    wait_for(lambda: not is_alive(grandchild))


@posix_only
def test_close_ends_everything_at_once(start):
    process = start("grandchild", "stubborn", grace_s=600)
    grandchild = grandchild_of(process)
    process.close()
    assert process.outcome.state == CANCELLED
    wait_for(lambda: not is_alive(grandchild))
    assert not process.temporary_folder.exists()
    process.close()


def test_cancelled_run_is_told_as_such(start):
    process = start("hang", grace_s=0.2)
    process.cancel()
    _, outcome = collect(process)
    assert outcome.state == CANCELLED
    assert isinstance(failure_of(outcome), Cancelled)


def test_error_that_is_but_a_sentence_stays_one(start):
    _, outcome = collect(start("sentence"))
    assert outcome.problem is None
    assert str(failure_of(outcome)) == "The model folder is damaged."


def test_end_of_our_own_interpreter_ends_the_child(tmp_path):
    """A script that forgets to close its run leaves nothing behind."""
    import subprocess

    code = (
        f"import sys, os; sys.path.insert(0, {str(ROOT / 'BrainTumorSeg')!r})\n"
        "from BrainTumorSegLib.segmentation_process import SegmentationProcess\n"
        f"p = SegmentationProcess([sys.executable, {str(CHILD)!r}, 'hang'], os.environ)\n"
        "p.start(); print(p.pid)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    if os.name != "nt":
        wait_for(lambda: not is_alive(int(done.stdout)))


def test_fraction_never_falls(start):
    process = start("steps", "hang")
    seen = []  # 0.2 on the way up, and again where the next act begins
    wait_for(lambda: seen.extend(process.poll()) or [e.fraction for e in seen].count(0.2) == 2)
    assert process.fraction == 1.0


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ('{"event": "message", "text": "hi"}\r\n', "message"),
        ('{"event": "progress"}', "log"),
        ('{"event": "progress", "fraction": true}', "log"),
        ('{"event": ["stage"]}', "log"),
        ("{" * 100000, "log"),
        ("", "log"),
    ],
)
def test_lines_become_events(line, kind):
    assert parse_line(line).kind == kind


def test_unknown_error_codes_are_internal():
    assert parse_line('{"event": "error", "code": "odd", "text": "x"}') == Event(
        "error", text="x", code="internal", fields={"event": "error", "code": "odd", "text": "x"}
    )
