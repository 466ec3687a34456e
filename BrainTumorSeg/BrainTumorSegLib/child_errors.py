"""What the user is told when a child process did not start, failed or ended early."""

import signal
import sys
from collections.abc import Sequence

from scripted_models.errors import (
    Cancelled,
    InputError,
    ModelError,
    NotBetterError,
    Problem,
    ResourceError,
    ScriptedModelsError,
)

from .command_prefix import correction, prefix_setting
from .segmentation_process import CANCELLED, Outcome
from .translation import _

ERRORS: dict[str, type[ScriptedModelsError]] = {
    error.code: error
    for error in (InputError, NotBetterError, ModelError, ResourceError, Cancelled)
}
CODES = {error.exit_code: code for code, error in ERRORS.items()}  # of two, the general one
TAIL_LINES, TAIL_LENGTH = 3, 300


class ChildOutput(Exception):  # noqa: N818 - evidence, not a fault
    """The last lines that a child wrote: the cause of the error that is raised about it.

    Attributes:
        lines: the lines.
    """

    def __init__(self, lines: Sequence[str]):
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def written_lines(error: BaseException) -> tuple[str, ...]:
    """Return the last lines of the child that an error is about, for the details of a dialog."""
    return error.__cause__.lines if isinstance(error.__cause__, ChildOutput) else ()


def run_error(outcome: Outcome, program: str) -> ScriptedModelsError:
    """Return the error of a run that failed or was cancelled.

    Args:
        outcome: how it ended.
        program: executable of the child.
    """
    if outcome.text or outcome.problem:
        return stated_error(outcome.code, outcome.problem, outcome.text)
    if outcome.state == CANCELLED:
        return Cancelled(found=_("a cancelled run"), action=_("the scene is as it was"))
    if outcome.exit_code is None:
        return not_started(program, " ".join(outcome.log))
    return ended_early(outcome.exit_code, outcome.log)


def stated_error(code: str, problem: Problem | None, text: str) -> ScriptedModelsError:
    """Return what a child said in an 'error' event as an error.

    Args:
        code: of the event.
        problem: the parts of the event; None when it has but a sentence.
        text: the sentence of the event.
    """
    kind = ERRORS.get(code, ScriptedModelsError)
    return kind.of(problem) if problem is not None else kind(text)


def not_started(program: str, reason: str) -> ResourceError:
    """Return the error about a program that the system did not start."""
    return ResourceError(
        found=_("a program that cannot be started ({reason})").format(reason=reason),
        action=correction() if prefix_setting() else _("install Slicer and this extension again"),
        path=program,
    )


def ended_early(exit_code: int, lines: Sequence[str]) -> ScriptedModelsError:
    """Return the error about a child that ended without saying why.

    Args:
        exit_code: of the child; negative for a signal, as Popen tells it.
        lines: what it wrote besides events.
    """
    name = _signal_name(exit_code)
    if name:
        end = _("a program ended by {signal}").format(signal=name)
    elif exit_code:
        end = _("a program with exit code {code}").format(code=exit_code)
    else:
        end = _("a program that ended without a result")
    if last := " | ".join([line for line in lines if line.strip()][-TAIL_LINES:])[-TAIL_LENGTH:]:
        end = _("{end}, whose last words are: {words}").format(end=end, words=last)
    action = _("press Copy diagnostics under Log and report it")
    if name == "SIGKILL":
        action = _("close other programs, the memory may not have sufficed")
    return ERRORS.get(CODES.get(exit_code, ""), ScriptedModelsError)(found=end, action=action)


def _signal_name(exit_code: int) -> str:
    if exit_code >= 0 or sys.platform == "win32":
        return ""
    try:
        return signal.Signals(-exit_code).name
    except ValueError:
        return str(-exit_code)
