"""Import of a model in a child process, because it loads the weights with PyTorch. Needs no Qt."""

import contextlib
import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripted_models.bundle.registry import stored_model
from scripted_models.errors import InputError, ResourceError, ScriptedModelsError

from .child_errors import ChildOutput, ended_early, not_started, stated_error
from .model_list import ModelEntry, entry_of
from .process_tree import ask_tree_to_end, close_pipes, kill_tree, start_process
from .protocol import parse_line
from .python_child import child_environment, find_python, program
from .translation import _

POLL_S = 0.05
GRACE_S = 3.0
QUESTIONS = {  # option that answers one -> an answer
    "--channels": "t1c t1 t2 flair",
    "--labels": "TC WT ET",
    "--orientation": "LPS",
    "--spacing": "1 1 1",
}


def import_model(
    source: Path,
    name: str | None = None,
    python: str | None = None,
    environment: Mapping[str, str] | None = None,
    on_wait: Callable[[], None] | None = None,
    timeout_s: float = 120.0,
    answers: Mapping[str, str] | None = None,
) -> ModelEntry:
    """Check a model folder or file in a child process and copy it to the user's models.

    Args:
        source: model folder or zip file, or a file of another program.
        name: name in the list; by default the one in its description.
        python: executable of the child.
        environment: variables of the child.
        on_wait: called about every 50 ms; what it raises ends the child, and nothing is imported.
        timeout_s: the child is ended after this time.
        answers: option of `QUESTIONS` -> words that the user typed.

    Raises:
        ModelError: `source` is not a sound model.
        InputError: the name is taken or cannot be a name.
        ResourceError: the child could not be started, took too long, or could not write.
    """
    command = [
        *(*program(python or find_python()), "models", "--import", str(source)),
        *(() if name is None else ("--name", name)),
        *(part for option, text in (answers or {}).items() for part in (option, *_words(text))),
        "--json",
    ]
    environment = child_environment() if environment is None else environment
    exit_code, output, complaints = _run(command, environment, on_wait, timeout_s)
    if exit_code:
        lines = complaints.splitlines()
        raise _error(exit_code, output, lines) from ChildOutput(lines)
    return entry_of(stored_model(_stored_in(output)))


def question_of(error: InputError) -> str:
    """Return the option that answers what an import asks for, or "" where it asks for nothing."""
    problem = error.problem
    found = re.search(r"--\w+", f"{problem.action} {problem.found}")
    return found[0] if found and found[0] in QUESTIONS else ""


def _words(text: str) -> list[str]:
    """Return the words of an answer; none is taken for an option."""
    return [word.lstrip("-") for word in text.split()]


def _stored_in(output: str) -> Path:
    """Return the folder that the child names; a wrapper may have written around its answer."""
    try:
        answer, _end_of_it = json.JSONDecoder().raw_decode(output, output.index("{"))
        return Path(answer["path"])
    except (ValueError, KeyError, TypeError) as error:
        raise ended_early(0, output.splitlines()) from error


def _error(exit_code: int, output: str, lines: Sequence[str]) -> ScriptedModelsError:
    """Return what the child said about its failure, or else how it ended."""
    for event in map(parse_line, output.splitlines()):
        if event.kind == "error":
            return stated_error(event.code, event.problem, event.text)
    return ended_early(exit_code, lines)


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    on_wait: Callable[[], None] | None,
    timeout_s: float,
) -> tuple[int, str, str]:
    """Run a child to its end; return its exit code, standard output and standard error."""
    try:
        process = start_process(command, environment)
    except (OSError, ValueError) as error:
        raise not_started(command[0], str(error)) from error
    deadline = time.monotonic() + timeout_s
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(subprocess.TimeoutExpired):
                output, complaints = process.communicate(timeout=POLL_S)
                return process.returncode, output, complaints
            if on_wait:
                on_wait()
        raise ResourceError(
            found=_("an import that took longer than {seconds} s").format(seconds=f"{timeout_s:g}"),
            expected=_("an end before that"),
            action=_("nothing was imported, try again"),
        )
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """End a child that still runs, giving it time to remove what it has begun."""
    if process.poll() is None:
        ask_tree_to_end(process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
    kill_tree(process)
    process.wait()
    close_pipes(process)
