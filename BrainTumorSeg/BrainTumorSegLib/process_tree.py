"""Start a process with a group of its own and end it with all its children. Standard library only."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence

IS_WINDOWS = os.name == "nt"


def start_process(command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen:
    """Start a process whose output is read through pipes; on Windows without a console window.

    Raises:
        OSError: it cannot be started.
    """
    if IS_WINDOWS:
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        apart = {"creationflags": flags}
    else:
        apart = {"start_new_session": True}
    return subprocess.Popen(
        [str(part) for part in command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        **apart,
    )


def ask_tree_to_end(process: subprocess.Popen) -> None:
    """Ask the process and its children to end; Windows has no such request and ends them at once."""
    if IS_WINDOWS:
        kill_tree(process)
    else:
        _signal_group(process.pid, signal.SIGTERM)


def kill_tree(process: subprocess.Popen) -> None:
    """End the process and its children without asking; harmless when they are gone."""
    if not IS_WINDOWS:
        _signal_group(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        subprocess.run(
            ["taskkill", "/PID", str(process.pid), "/T", "/F"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            creationflags=subprocess.CREATE_NO_WINDOW,
            check=False,
        )


def exit_reason(code: int) -> str:
    """Say how a process ended from its exit code (negative: a signal, as Popen tells it)."""
    if code >= 0 or IS_WINDOWS:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = "; the memory may not have sufficed" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # gone; macOS says the latter of zombies
        return
