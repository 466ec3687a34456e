"""Standard output and error of a program, whatever the caller has made of them."""

import os
import sys
from typing import TextIO

from scripted_models.errors import Cancelled, ResourceError
from scripted_models.runtime.printable_text import printable


def say(text: str) -> None:
    """Print a text for people; the only way to standard output for what holds foreign names."""
    print(printable(text))  # noqa: T201 - the one place


def prepare_streams() -> None:
    """Give the program standard streams that it can write to.

    Those that the caller closed lead nowhere: else the next file that is opened would take their
    number, and messages would be written into it. What a stream cannot encode becomes an escape.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - kept
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def finish_streams(code: int) -> int:
    """Write what is left, so that Python finds nothing to complain about when it ends.

    Args:
        code: exit code so far.

    Returns:
        The exit code: that of a cancelled run where the reader of a pipe is gone, that of a lack
        where a disk is full.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            _lead_nowhere(stream)
            code = code or Cancelled.exit_code
        except OSError as error:
            _lead_nowhere(stream)
            code = code or ResourceError.exit_code
            if stream is sys.stdout:
                lost = f"standard output that cannot be written ({error.strerror})"
                sys.stderr.write(f"Error: {ResourceError(found=lost, action='make room')}\n")
    return code


def _lead_nowhere(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
