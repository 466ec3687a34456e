"""What a running command tells: a bar for people, JSON lines for programs, or nothing.

Events are dictionaries with the key 'event': 'stage', 'progress' (fraction of the whole run, 0 to
1, never falling, and the remaining seconds), 'message', 'warning', 'result', 'error'. Warnings and
errors also carry what is known of 'found', 'expected', 'action' and 'path', as
`ScriptedModelsError` has them.
"""

import json
import sys
import time
from typing import TextIO

from scripted_models.errors import ScriptedModelsError
from scripted_models.runtime.printable_text import on_one_line

FORMATS = ("bar", "json", "none")


class Progress:
    """Base and silent form.

    Attributes:
        is_silent: whether nothing of it reaches anybody.
    """

    is_silent = True

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._fraction = 0.0
        self._done_before = 0.0
        self._stage = ""

    def part(self, low: float, high: float) -> "Progress":
        """Return the progress of somebody who does a part of the run.

        Args:
            low: fraction of this progress where the part begins.
            high: fraction where it ends.
        """
        return _Part(self, low, high)

    def skip(self, fraction: float) -> None:
        """Count `fraction` of the run as done before, so that the remaining time leaves it out."""
        self._advance(fraction)
        self._start, self._done_before = time.monotonic(), self._fraction

    def stage(self, name: str, fraction: float) -> None:
        """Enter a stage, `fraction` of the run being done."""
        self._stage = name
        self._advance(fraction)
        self.emit({"event": "stage", "stage": name, "fraction": round(self._fraction, 4)})

    def update(self, fraction: float) -> None:
        """Report that `fraction` of the run is done, inside the stage."""
        self._advance(fraction)
        event: dict[str, object] = {
            "event": "progress",
            "stage": self._stage,
            "fraction": round(self._fraction, 4),
        }
        if (remaining := self.remaining_s()) is not None:
            event["remaining_s"] = round(remaining, 1)
        self.emit(event)

    def message(self, text: str) -> None:
        """Tell something worth knowing."""
        self.emit({"event": "message", "text": text})

    def warning(self, text: str, **fields: str) -> None:
        """Tell something the user should check.

        Args:
            text: the sentence.
            fields: the parts that are known of found, expected, action and path.
        """
        self.emit({"event": "warning", "text": text, **fields})

    def result(self, **fields: object) -> None:
        """Tell what was produced; people are shown the field 'text'."""
        self.emit({"event": "result", **fields})

    def error(self, error: ScriptedModelsError) -> None:
        """Tell why the run ends."""
        self.emit({"event": "error", "code": error.code, "text": str(error), **error.fields})

    def remaining_s(self) -> float | None:
        """Estimate the seconds that the whole run still takes; None while too little is known."""
        elapsed = time.monotonic() - self._start
        done = self._fraction - self._done_before
        if done < 0.02 * (1 - self._done_before) or elapsed < 1:
            return None
        return elapsed * (1 - self._fraction) / done

    def emit(self, event: dict[str, object]) -> None:
        """Write one event; the silent form drops it."""

    def _advance(self, fraction: float) -> None:
        self._fraction = max(self._fraction, min(float(fraction), 1.0))


class _Part(Progress):
    """A part of another progress, which keeps time and fraction for all its parts."""

    def __init__(self, whole: Progress, low: float, high: float) -> None:
        super().__init__()
        self._whole, self._low, self._high = whole, low, high
        self.is_silent = whole.is_silent

    def skip(self, fraction: float) -> None:
        self._whole.skip(self._of_whole(fraction))

    def stage(self, name: str, fraction: float) -> None:
        self._whole.stage(name, self._of_whole(fraction))

    def update(self, fraction: float) -> None:
        self._whole.update(self._of_whole(fraction))

    def remaining_s(self) -> float | None:
        return self._whole.remaining_s()

    def emit(self, event: dict[str, object]) -> None:
        self._whole.emit(event)

    def _of_whole(self, fraction: float) -> float:
        return self._low + min(float(fraction), 1.0) * (self._high - self._low)


class JsonProgress(Progress):
    """One JSON object per line.

    Args:
        stream: where the lines go.
    """

    is_silent = False

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream

    def emit(self, event: dict[str, object]) -> None:
        """Write the event at once."""
        self.stream.write(json.dumps(event) + "\n")
        self.stream.flush()


class BarProgress(Progress):
    """A bar that rewrites its line on a terminal, else a line every ten seconds.

    Args:
        stream: where bar and sentences go.
    """

    WIDTH = 30
    is_silent = False

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self._is_terminal = stream.isatty()
        self._last = -10.0
        self._open_line = False

    def emit(self, event: dict[str, object]) -> None:
        """Write the event for people."""
        kind = event["event"]
        if kind in ("stage", "progress"):
            self._show_bar(force=kind == "stage" and self._is_terminal)
        elif kind in ("message", "warning", "error"):
            prefix = {"message": "", "warning": "Warning: ", "error": "Error: "}[kind]
            self._line(f"{prefix}{event['text']}")
        elif kind == "result" and "text" in event:
            self._line(str(event["text"]))

    def _show_bar(self, force: bool) -> None:
        now = time.monotonic()
        interval = 0.2 if self._is_terminal else 10.0
        if not force and now - self._last < interval and self._fraction < 1:
            return
        self._last = now
        done = int(self.WIDTH * self._fraction)
        remaining = self.remaining_s()
        is_known = remaining is not None and self._fraction < 1
        eta = f", {_duration(remaining or 0)} left" if is_known else ""
        bar = "#" * done + "." * (self.WIDTH - done)
        text = f"[{bar}] {self._fraction:4.0%} {self._stage}{eta}"
        if self._is_terminal:
            self.stream.write("\r" + on_one_line(text).ljust(78))
            self._open_line = True
            self.stream.flush()
        else:
            self._line(text)

    def _line(self, text: str) -> None:
        if self._open_line:
            self.stream.write("\n")
            self._open_line = False
        self.stream.write(on_one_line(text) + "\n")
        self.stream.flush()


def make_progress(form: str) -> Progress:
    """Return the form for 'bar', 'json' or 'none'."""
    stream = {"json": sys.stdout, "bar": sys.stderr}.get(form)
    if stream is None:  # also where the caller has closed it
        return Progress()
    return JsonProgress(stream) if form == "json" else BarProgress(stream)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
