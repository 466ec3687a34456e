"""Run the segmentation as a child process: events without blocking, cancel, nothing left behind.

Needs no Slicer. One thread reads each pipe into a queue, and `poll` takes from it.
`child_errors` puts the end of a run into words.
"""

import atexit
import queue
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from scripted_models.errors import Problem

from .process_tree import ask_tree_to_end, close_pipes, kill_tree, start_process
from .protocol import LOG, Event, log_event, parse_line

DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
CODES_BY_EXIT = {2: "input", 3: "model", 4: "resource", 130: "cancelled"}
LOG_LINES = 400
EVENTS_PER_POLL = 2000
READ_AFTER_END_S = 2.0  # a pipe that is still open then is held by a stranger
LONGEST_READ = 1 << 20  # characters of one line; binary garbage has no line ends


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        state: ``DONE``, ``FAILED`` or ``CANCELLED``.
        exit_code: of the child; negative for a signal; None when it never started.
        result: the fields of the last 'result' event, empty unless done.
        code: of a failure: 'input', 'model', 'resource', 'cancelled' or 'internal'.
        text: of a failure: the sentence that the child said, '' when it said none.
        problem: of a failure: the parts of that sentence, as far as it has any.
        log: last lines that the child wrote besides events; why it did not start.
    """

    state: str
    exit_code: int | None
    result: dict[str, Any] = field(default_factory=dict)
    code: str = ""
    text: str = ""
    problem: Problem | None = None
    log: tuple[str, ...] = ()


class SegmentationProcess:
    """One child process.

    Args:
        command: executable and arguments.
        environment: all environment variables of the child.
        temporary_folder: removed when the run is closed.
        grace_s: seconds between the request to end and the kill.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        temporary_folder: Path | None = None,
        grace_s: float = 3.0,
    ):
        self.command = [str(part) for part in command]
        self.environment = dict(environment)
        self.temporary_folder = temporary_folder
        self.grace_s = grace_s
        self.outcome: Outcome | None = None
        self.fraction = 0.0
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[tuple[Event, deque[str]]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._said: deque[str] = deque(maxlen=LOG_LINES)
        self._complained: deque[str] = deque(maxlen=LOG_LINES)
        self._error: Event | None = None
        self._result: dict[str, Any] = {}
        self._kill_at: float | None = None
        self._read_until: float | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, None before the start."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """True from the start until `outcome` is known."""
        return self._live_process() is not None

    @property
    def log(self) -> tuple[str, ...]:
        """The last lines that were no events: standard output, then standard error."""
        return (*self._said, *self._complained)

    def start(self) -> None:
        """Start the child; when that is impossible, `outcome` says so at once."""
        try:
            self._process = start_process(self.command, self.environment)
        except (OSError, ValueError) as error:
            self.outcome = Outcome(FAILED, None, code="resource", log=(str(error),))
            return
        atexit.register(self.close)
        for stream, is_events in ((self._process.stdout, True), (self._process.stderr, False)):
            thread = threading.Thread(target=self._read, args=(stream, is_events), daemon=True)
            thread.start()
            self._threads.append(thread)

    def poll(self) -> list[Event]:
        """Return new events without blocking; set `outcome` once child and output have ended."""
        process = self._live_process()
        if process is None:
            return []
        ended = process.poll() is not None
        if ended:
            kill_tree(process)  # whatever it left in its group; lets the pipes close
        elif self._kill_at is not None and time.monotonic() >= self._kill_at:
            kill_tree(process)
        all_read = ended and self._reading_is_over()
        events = self._take_events()
        if all_read and self._lines.empty():
            self.outcome = self._judge(process.returncode)
        return events

    def cancel(self) -> None:
        """Ask the child and its children to end; `poll` kills them when the grace is over."""
        process = self._live_process()
        if process is not None and self._kill_at is None:
            self._kill_at = time.monotonic() + self.grace_s
            ask_tree_to_end(process)

    def close(self) -> None:
        """End what still runs at once and remove the temporary folder; may be called twice."""
        atexit.unregister(self.close)
        process = self._live_process()
        if process is not None:
            self._kill_at = time.monotonic()
            kill_tree(process)
            process.wait()
            for thread in self._threads:
                thread.join(timeout=2)
            self._take_events()
            self.outcome = self._judge(process.returncode)
        if self._process is not None and not any(thread.is_alive() for thread in self._threads):
            close_pipes(self._process)
        if self.temporary_folder is not None:
            shutil.rmtree(self.temporary_folder, ignore_errors=True)

    def __enter__(self) -> "SegmentationProcess":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _live_process(self) -> subprocess.Popen[str] | None:
        return self._process if self.outcome is None else None

    def _read(self, stream: IO[str], is_events: bool) -> None:
        while line := stream.readline(LONGEST_READ):
            event = parse_line(line) if is_events else log_event(line)
            self._lines.put((event, self._said if is_events else self._complained))

    def _reading_is_over(self) -> bool:
        """True when both pipes ended, or when one is held open by a process that left the group."""
        if not any(thread.is_alive() for thread in self._threads):
            return True
        self._read_until = self._read_until or time.monotonic() + READ_AFTER_END_S
        return time.monotonic() >= self._read_until

    def _take_events(self) -> list[Event]:
        events: list[Event] = []
        while len(events) < EVENTS_PER_POLL and not self._lines.empty():
            events.append(self._note(*self._lines.get()))
        return events

    def _note(self, event: Event, log: deque[str]) -> Event:
        if event.kind == LOG:
            log.append(event.text)
        elif event.kind == "error":
            self._error = event
        elif event.kind == "result":
            self._result = event.fields
        elif event.fraction is not None:
            self.fraction = max(self.fraction, event.fraction)
        return event

    def _judge(self, exit_code: int) -> Outcome:
        """Decide from exit code, events and our own cancel how the run ended."""
        if self._kill_at is not None:
            return Outcome(CANCELLED, exit_code, code="cancelled", log=self.log)
        if exit_code == 0 and self._result and self._error is None:
            return Outcome(DONE, exit_code, result=self._result, log=self.log)
        said = self._error or Event("error", code=CODES_BY_EXIT.get(exit_code, "internal"))
        state = CANCELLED if said.code == "cancelled" else FAILED
        return Outcome(
            state, exit_code, code=said.code, text=said.text, problem=said.problem, log=self.log
        )
