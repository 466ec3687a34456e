"""Start a process with a group of its own and end it with all its children."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence


def start_process(
    command: Sequence[object], environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start a process whose output is read through pipes; on Windows without a console window.

    Raises:
        OSError: it cannot be started.
        ValueError: the command holds a null character.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
    return subprocess.Popen(
        [str(part) for part in command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        creationflags=flags,
        start_new_session=sys.platform != "win32",
    )


def ask_tree_to_end(process: subprocess.Popen[str]) -> None:
    """Ask the process and its children to end; Windows has no such request and kills them."""
    if sys.platform == "win32":
        kill_tree(process)
    else:
        _signal_group(process.pid, signal.SIGTERM)


def kill_tree(process: subprocess.Popen[str]) -> None:
    """End the process and its children without asking; harmless when they are gone."""
    if sys.platform != "win32":
        _signal_group(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        subprocess.run(
            ["taskkill", "/PID", str(process.pid), "/T", "/F"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            creationflags=subprocess.CREATE_NO_WINDOW,
            check=False,
        )


def close_pipes(process: subprocess.Popen[str]) -> None:
    """Close what a process that has ended wrote into."""
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # gone; macOS says the latter of zombies
        return
