"""Which Python runs the segmentation, with which environment and arguments."""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import slicer

from . import package_parent
from .command_prefix import command_prefix

# As ``-m scripted_models``, which takes modules from the folder that Slicer was started in first.
# Python before 3.11 does not know PYTHONSAFEPATH. ``-c`` puts an empty entry there, and it goes.
_START = (
    "import sys; sys.path[:] = [p for p in sys.path if p]; import runpy; "
    "runpy.run_module('scripted_models', run_name='__main__', alter_sys=True)"
)


def program(python: str) -> tuple[str, ...]:
    """Return the start of a command line that runs the program ``scripted_models``.

    Raises:
        ResourceError: the user's command prefix is wrong.
    """
    return *command_prefix(), python, "-c", _START


def end_option() -> tuple[str, ...]:
    """Return the option with which a child ends when this process is gone.

    None behind a prefix: on another machine the number would be that of a stranger. There the
    child ends with the pipe that it writes into.
    """
    return () if command_prefix() else ("--end-with", str(os.getpid()))


def find_python() -> str:
    """Return the Python to start: Slicer's launcher inside Slicer, else the running interpreter.

    Inside Slicer ``sys.executable`` may be the application itself; ``PythonSlicer`` lies in its bin
    folder and sets up the libraries before it starts the true interpreter as a child of its own.
    """
    app = getattr(slicer, "app", None)
    if app is None:
        return sys.executable
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    beside = Path(app.slicerHome) / "bin" / name
    return str(beside) if beside.is_file() else shutil.which("PythonSlicer") or sys.executable


def child_environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of the child, in which ``scripted_models`` can be imported.

    Args:
        base: variables to start from; Slicer's own before its launcher changed them, or ours.
    """
    if base is None:
        inside_slicer = getattr(slicer, "app", None) is not None
        base = slicer.util.startupEnvironment() if inside_slicer else os.environ
    environment = dict(base)
    paths = [str(package_parent()), *environment.get("PYTHONPATH", "").split(os.pathsep)]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if os.path.isabs(path))
    # what lies in the folder where Slicer was started is not ours
    environment["PYTHONSAFEPATH"] = "1"
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment


def segment_command(
    python: str,
    files: Mapping[str, Path],
    output: Path,
    case_name: str,
    model: str = "default",
    device: str = "auto",
    probabilities: bool = False,
    prepare_for: str = "",
    keep_prepared: bool = False,
    uncertainty: bool = False,
) -> list[str]:
    """Return the command line that segments four files.

    Args:
        python: executable.
        files: sequence -> file.
        output: folder for results.
        case_name: of the folder in it.
        model, device, probabilities, keep_prepared, uncertainty: options of the command.
        prepare_for: reference of a preparation; empty: the files lie on one grid as they should.
    """
    inputs = [part for m in files for part in (f"--{m}", str(files[m]))]
    wanted = {
        "--probabilities": probabilities,
        "--keep-prepared": keep_prepared,
        "--uncertainty": uncertainty,
    }
    extra = [option for option, is_wanted in wanted.items() if is_wanted]
    prepare = ("auto", "--reference", prepare_for) if prepare_for else ("never",)
    return [
        *(*program(python), "segment"),
        *inputs,
        *("--output", str(output), "--case-name", case_name),
        *("--model", model, "--device", device, "--progress", "json", *extra),
        *("--prepare", *prepare),
        *end_option(),
    ]
