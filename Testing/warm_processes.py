"""Processes of their own that have imported the program before they start.

Importing takes some seconds, and a fork of a process that has done nothing else takes none. Where
a system cannot fork, each process imports for itself.
"""

import multiprocessing
import os
import sys
import uuid
from pathlib import Path

METHODS = multiprocessing.get_all_start_methods()
FORK = "forkserver" if "forkserver" in METHODS else "spawn"
CONTEXT = multiprocessing.get_context(FORK)
IMPORTED = ("cli", "segmentation.batch", "training.training_run", "inference.reference")
CONTEXT.set_forkserver_preload(
    [*(f"scripted_models.{name}" for name in IMPORTED), "torch._dynamo"]  # as an optimizer does
)


class WarmProcess:
    """The program with some arguments, as `subprocess.Popen` has it.

    Args:
        arguments: of the command line.
        folder: where its words go, as `stdout` and `stderr`.
        processes: as many are started by `torchrun`'s launcher, for one training.
    """

    def __init__(self, arguments, folder: Path, processes: int = 1):
        self._folder = folder
        arguments = list(map(str, arguments))
        self._process = CONTEXT.Process(target=_begin, args=(arguments, str(folder), processes))
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float = 240) -> int:
        self._process.join(timeout)
        assert self._process.exitcode is not None, f"still at work after {timeout} s"
        return self._process.exitcode

    def kill(self) -> None:
        self._process.kill()

    @property
    def stdout(self) -> str:
        return (self._folder / "stdout").read_text("utf-8")

    @property
    def stderr(self) -> str:
        return (self._folder / "stderr").read_text("utf-8")


def _begin(arguments: list[str], folder: str, processes: int) -> None:
    if hasattr(os, "setsid"):
        os.setsid()  # so that the group can be killed
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.exit(_program(arguments) if processes == 1 else _launch(arguments, processes))


def _program(arguments: list[str]) -> int:
    from scripted_models.cli import main

    return main(arguments)


def _rank(arguments: list[str]) -> None:
    if code := _program(arguments):
        sys.exit(code)


def _launch(arguments: list[str], processes: int) -> int:
    """Do what `torchrun --standalone` does, but fork."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=str(uuid.uuid4()),
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        start_method="fork" if FORK == "forkserver" else "spawn",
    )
    try:
        elastic_launch(config, _rank)(arguments)
    except ChildFailedError:
        return 1
    return 0
