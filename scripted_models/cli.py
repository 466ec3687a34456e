"""The command line: one program, one module per sub-command, heavy imports inside the handlers."""

import argparse
import errno
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from scripted_models import __version__
from scripted_models.commands import (
    bids,
    cases,
    collect,
    crf,
    demo,
    evaluate,
    experiments,
    export,
    figures,
    follow,
    models,
    networks,
    personalise,
    phantom,
    predict_voc,
    prepare,
    segment,
    train,
)
from scripted_models.errors import Cancelled, InputError, ResourceError, ScriptedModelsError
from scripted_models.runtime.memory import is_shortage
from scripted_models.runtime.printable_text import on_one_line, printable
from scripted_models.runtime.progress import Progress, make_progress

COMMANDS = (
    *(
        demo,
        segment,
        bids,
        prepare,
        collect,
        follow,
        evaluate,
        cases,
        train,
        personalise,
        experiments,
    ),
    *(figures, phantom, networks, models, export, predict_voc, crf),
)
_CODES = "0 done, 1 fault of the program, 2 input, 3 model, 4 resources, 130 cancelled"


class _Parser(argparse.ArgumentParser):
    """Reports wrong options as input errors (exit code 2) in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"Error: {on_one_line(message)} (see '{self.prog} --help')\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole program."""
    parser = _Parser(
        prog="scripted-models",
        description="Segment brain tumors in MRI; train and evaluate the networks that do it.",
        epilog=f"Exit codes: {_CODES}.",
    )
    parser.add_argument("--version", action="version", version=f"scripted-models {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    options = build_parser().parse_args(arguments)
    progress = make_progress(getattr(options, "progress", "bar"))
    _cancel_on_signals()
    try:
        _expand_home(options)
        return int(options.run(options, progress) or 0)
    except ScriptedModelsError as error:
        return _fail(progress, error)
    except KeyboardInterrupt:
        return _fail(progress, Cancelled())
    except BrokenPipeError:
        return Cancelled.exit_code
    except Exception as error:
        expected = _expected(error)
        if not expected:
            _tell(printable(traceback.format_exc()))
        return _fail(progress, expected or _fault(error))


def _expand_home(options: argparse.Namespace) -> None:
    for name, value in vars(options).items():
        if isinstance(value, Path) and str(value).startswith("~"):  # as in --t1=~/a.nii
            try:
                setattr(options, name, value.expanduser())
            except RuntimeError as error:
                raise InputError(
                    found="no home folder", action="write the path without ~", path=value
                ) from error


def _expected(error: Exception) -> ScriptedModelsError | None:
    """Name the faults of the machine and of files that no code has put into a sentence."""
    if is_shortage(error):
        return ResourceError(found="too little memory", action="close other programs")
    if "CUDA out of memory" in str(error):
        return ResourceError(
            found="too little memory on the GPU", action="free it, or run with --device cpu"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceError(found="a full disk", action="make room and run again")
    if isinstance(error, OSError) and error.filename:
        return InputError(
            found=f"a file or folder that cannot be used ({error.strerror})",
            action="check the path and its permissions",
            path=str(error.filename),
        )
    return None


def _fault(error: Exception) -> ScriptedModelsError:
    return ScriptedModelsError(
        found=f"a fault of the program ({type(error).__name__}: {error})", action="please report it"
    )


def _fail(progress: Progress, error: ScriptedModelsError) -> int:
    with suppress(BrokenPipeError):  # nobody reads it any more
        progress.error(error)
    if progress.is_silent:  # the reason must still reach the user
        _tell(f"Error: {on_one_line(str(error))}\n")
    return error.exit_code


def _tell(text: str) -> None:
    if sys.stderr is not None:
        with suppress(BrokenPipeError):
            sys.stderr.write(text)


def _cancel_on_signals() -> None:
    """Let SIGTERM, or a terminal that closes, end the run like Ctrl-C, so that clean-up runs."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) == signal.SIG_DFL:  # not under nohup
            signal.signal(hangup, interrupt)
