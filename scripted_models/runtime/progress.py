"""What a running command tells: a bar for people, JSON lines for programs, or nothing.

Events are dictionaries with the key 'event': 'stage', 'progress' (fraction of the whole run, 0 to 1,
never falling, and the remaining seconds), 'message', 'warning', 'result', 'error'.
"""

import json
import sys
import time
from typing import TextIO

FORMATS = ("bar", "json", "none")


class Progress:
    """Base and silent form.

    Args:
        stream: where lines go; standard error for people, standard output for JSON.
    """

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream
        self._start = time.monotonic()
        self._fraction = 0.0
        self._done_before = 0.0
        self._stage = ""
        self._span = (0.0, 1.0)

    def span(self, low: float, high: float) -> None:
        """Count all fractions from now on inside this share of the whole run."""
        self._span = (low, high)

    def skip(self, fraction: float) -> None:
        """Count `fraction` of the whole run as done before, so that the remaining time leaves it out."""
        self._advance(fraction)
        self._start, self._done_before = time.monotonic(), self._fraction

    def stage(self, name: str, fraction: float) -> None:
        """Enter a stage, `fraction` of the whole run being done."""
        self._stage = name
        self._advance(fraction)
        self.emit({"event": "stage", "stage": name, "fraction": round(self._fraction, 4)})

    def update(self, fraction: float) -> None:
        """Report progress inside the stage."""
        self._advance(fraction)
        event = {"event": "progress", "stage": self._stage, "fraction": round(self._fraction, 4)}
        if (remaining := self.remaining_s()) is not None:
            event["remaining_s"] = round(remaining, 1)
        self.emit(event)

    def message(self, text: str) -> None:
        """Tell something worth knowing."""
        self.emit({"event": "message", "text": text})

    def warning(self, text: str) -> None:
        """Tell something the user should check."""
        self.emit({"event": "warning", "text": text})

    def result(self, **fields) -> None:
        """Tell what was produced; people are shown the field 'text'."""
        self.emit({"event": "result", **fields})

    def error(self, code: str, text: str) -> None:
        """Tell why the run ends."""
        self.emit({"event": "error", "code": code, "text": text})

    def remaining_s(self) -> float | None:
        """Estimate the remaining seconds from the fraction done, None while it says too little."""
        elapsed = time.monotonic() - self._start
        done = self._fraction - self._done_before
        if done < 0.02 * (1 - self._done_before) or elapsed < 1:
            return None
        return elapsed * (1 - self._fraction) / done

    def emit(self, event: dict) -> None:
        """Write one event; the silent form drops it."""

    def _advance(self, fraction: float) -> None:
        low, high = self._span
        done = low + min(float(fraction), 1.0) * (high - low)
        self._fraction = max(self._fraction, done)


class JsonProgress(Progress):
    """One JSON object per line."""

    def emit(self, event: dict) -> None:
        """Write the event at once."""
        self.stream.write(json.dumps(event) + "\n")
        self.stream.flush()


class BarProgress(Progress):
    """A bar that rewrites its line on a terminal, else a line every ten seconds."""

    WIDTH = 30

    def __init__(self, stream: TextIO):
        super().__init__(stream)
        self._is_terminal = stream.isatty()
        self._last = -10.0
        self._open_line = False

    def emit(self, event: dict) -> None:
        """Write the event for people."""
        kind = event["event"]
        if kind in ("stage", "progress"):
            self._show_bar(force=kind == "stage" and self._is_terminal)
        elif kind in ("message", "warning", "error"):
            prefix = {"message": "", "warning": "Warning: ", "error": "Error: "}[kind]
            self._line(prefix + event["text"])
        elif kind == "result" and "text" in event:
            self._line(event["text"])

    def _show_bar(self, force: bool) -> None:
        now = time.monotonic()
        interval = 0.2 if self._is_terminal else 10.0
        if not force and now - self._last < interval and self._fraction < 1:
            return
        self._last = now
        done = int(self.WIDTH * self._fraction)
        remaining = self.remaining_s()
        eta = (
            f", {_duration(remaining)} left" if remaining is not None and self._fraction < 1 else ""
        )
        bar = "#" * done + "." * (self.WIDTH - done)
        text = f"[{bar}] {self._fraction:4.0%} {self._stage}{eta}"
        if self._is_terminal:
            self.stream.write("\r" + text.ljust(78))
            self._open_line = True
            self.stream.flush()
        else:
            self._line(text)

    def _line(self, text: str) -> None:
        if self._open_line:
            self.stream.write("\n")
            self._open_line = False
        self.stream.write(text + "\n")
        self.stream.flush()


def make_progress(form: str) -> Progress:
    """Return the form for 'bar', 'json' or 'none'."""
    if form == "json":
        return JsonProgress(sys.stdout)
    return BarProgress(sys.stderr) if form == "bar" else Progress()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
