"""The lines of the child process: one JSON object each; anything else is log text.

Needs no Slicer.
"""

import json
import math
from dataclasses import dataclass, field
from typing import Any

from scripted_models.errors import Problem

KINDS = ("stage", "progress", "message", "warning", "error", "result")
LOG = "log"
ERROR_CODES = ("input", "model", "not_better", "resource", "cancelled", "internal")
LONGEST_LINE = 2000  # characters of a log line that are kept


@dataclass(frozen=True)
class Event:
    """One thing that the child said.

    Attributes:
        kind: one of ``KINDS`` or ``LOG``.
        text: sentence of a message, warning or error; the line of a log.
        problem: the parts of a warning or an error; None when it has but a sentence.
        stage: name of the stage, of 'stage' and 'progress'.
        fraction: 0-1 of the whole run, of 'stage' and 'progress'.
        remaining_s: estimated seconds to go, or None.
        code: of 'error', one of ``ERROR_CODES``.
        fields: the whole object as it came.
    """

    kind: str
    text: str = ""
    problem: Problem | None = None
    stage: str = ""
    fraction: float | None = None
    remaining_s: float | None = None
    code: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


def log_event(line: str) -> Event:
    """Return a line as log text, cut to a readable length."""
    return Event(LOG, text=line.rstrip("\r\n")[:LONGEST_LINE])


def parse_line(line: str) -> Event:
    """Return the event of a line; a line that is no proper event is a log."""
    log = log_event(line)
    if not line.startswith("{"):
        return log
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return log
    kind = fields.get("event")
    fraction = _number(fields.get("fraction"))
    if kind not in KINDS or (kind in ("stage", "progress") and fraction is None):
        return log
    code = fields.get("code")
    return Event(
        kind,
        text=str(fields.get("text", "")),
        problem=_problem(fields) if kind in ("warning", "error") else None,
        stage=str(fields.get("stage", "")),
        fraction=None if fraction is None else min(max(fraction, 0.0), 1.0),
        remaining_s=_number(fields.get("remaining_s")),
        code=(code if code in ERROR_CODES else "internal") if kind == "error" else "",
        fields=fields,
    )


def _problem(fields: dict[str, Any]) -> Problem | None:
    """Return the parts of a problem; None when there is none but the sentence."""
    parts = {name: str(fields.get(name) or "") for name in ("found", "expected", "action", "path")}
    if not parts["found"] or parts["found"] == fields.get("text"):
        return None
    return Problem(parts["found"], parts["expected"], parts["action"], parts["path"] or None)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
