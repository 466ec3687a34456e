"""Run the segmentation as a child process: events without blocking, cancel, nothing left behind.

Standard library only, so that it can be used and tested without Slicer. One thread reads each pipe into
a queue; `poll` is called from a timer, `wait` from a script.
"""

import atexit
import queue
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .process_tree import ask_tree_to_end, exit_reason, kill_tree, start_process
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
        text: of a failure: one sentence.
        log: last lines that the child wrote besides events.
    """

    state: str
    exit_code: int | None
    result: dict = field(default_factory=dict)
    code: str = ""
    text: str = ""
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
        self._process: subprocess.Popen | None = None
        self._lines: queue.SimpleQueue = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._said: deque[str] = deque(maxlen=LOG_LINES)
        self._complained: deque[str] = deque(maxlen=LOG_LINES)
        self._error: Event | None = None
        self._result: dict = {}
        self._kill_at: float | None = None
        self._read_until: float | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, None before the start."""
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        """True from the start until `outcome` is known."""
        return self._process is not None and self.outcome is None

    @property
    def log(self) -> tuple[str, ...]:
        """The last lines that were no events: standard output, then standard error."""
        return (*self._said, *self._complained)

    def start(self) -> None:
        """Start the child; when that is impossible, `outcome` says why at once."""
        try:
            self._process = start_process(self.command, self.environment)
        except (OSError, ValueError) as error:
            text = f"The segmentation program {self.command[0]} could not be started: {error}."
            self.outcome = Outcome(FAILED, None, code="resource", text=text)
            return
        atexit.register(self.close)
        for stream, is_events in ((self._process.stdout, True), (self._process.stderr, False)):
            thread = threading.Thread(target=self._read, args=(stream, is_events), daemon=True)
            thread.start()
            self._threads.append(thread)

    def poll(self) -> list[Event]:
        """Return new events without blocking; sets `outcome` once the child and its output ended."""
        if not self.running:
            return []
        ended = self._process.poll() is not None
        if ended:
            kill_tree(self._process)  # whatever it left in its group; lets the pipes close
        elif self._kill_at is not None and time.monotonic() >= self._kill_at:
            kill_tree(self._process)
        all_read = ended and self._reading_is_over()
        events = self._take_events()
        if all_read and self._lines.empty():
            self.outcome = self._judge(self._process.returncode)
        return events

    def cancel(self) -> None:
        """Ask the child and its children to end; `poll` kills them when the grace is over."""
        if self.running and self._kill_at is None:
            self._kill_at = time.monotonic() + self.grace_s
            ask_tree_to_end(self._process)

    def wait(
        self,
        on_event: Callable[[Event], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        timeout_s: float | None = None,
        interval_s: float = 0.05,
    ) -> Outcome:
        """Block until the run is over.

        Args:
            on_event: called with every event.
            cancelled: asked between polls; the run is cancelled when it says True.
            timeout_s: the run is cancelled after this time.
            interval_s: seconds between polls.
        """
        started = time.monotonic()
        while self.outcome is None:
            for event in self.poll():
                if on_event:
                    on_event(event)
            too_long = timeout_s is not None and time.monotonic() - started > timeout_s
            if too_long or (cancelled and cancelled()):
                self.cancel()
            if self.outcome is None:
                time.sleep(interval_s)
        return self.outcome

    def close(self) -> None:
        """End what still runs without grace and remove the temporary folder; may be called twice."""
        atexit.unregister(self.close)
        if self.running:
            self._kill_at = time.monotonic()
            kill_tree(self._process)
            self._process.wait()
            for thread in self._threads:
                thread.join(timeout=2)
            self._take_events()
            self.outcome = self._judge(self._process.returncode)
        for stream in (self._process.stdout, self._process.stderr) if self._process else ():
            if not any(thread.is_alive() for thread in self._threads):
                stream.close()
        if self.temporary_folder is not None:
            shutil.rmtree(self.temporary_folder, ignore_errors=True)

    def __enter__(self) -> "SegmentationProcess":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _read(self, stream, is_events: bool) -> None:
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
        events = []
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
        log = self.log
        if self._kill_at is not None:
            return Outcome(CANCELLED, exit_code, code="cancelled", text="Cancelled.", log=log)
        if exit_code == 0 and self._result and self._error is None:
            return Outcome(DONE, exit_code, result=self._result, log=log)
        code = self._error.code if self._error else CODES_BY_EXIT.get(exit_code, "internal")
        text = self._error.text if self._error else self._crash_sentence(exit_code)
        return Outcome(
            CANCELLED if code == "cancelled" else FAILED, exit_code, code=code, text=text, log=log
        )

    def _crash_sentence(self, exit_code: int) -> str:
        reason = exit_reason(exit_code) if exit_code else "ended without a result"
        lines = [line for line in self._complained or self._said if line.strip()]
        tail = " | ".join(lines[-3:])[-300:]
        return f"The segmentation program {reason}" + (f"; it said last: {tail}" if tail else ".")
