"""Several processes that train one network, started by `torchrun`, joined by PyTorch.

One machine:   torchrun --nproc-per-node 4 -m scripted_models train EXPERIMENT.toml --data FOLDER
Two machines:  torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d \\
                   --rdzv-endpoint HOST:29500 -m scripted_models train EXPERIMENT.toml --data FOLDER
               (the same on both)

Each process has `training.batch_size` patches of every step. Run folder and data must be the same
files for all processes. Without `torchrun` there is one process, and everything here does nothing.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from scripted_models.runtime.atomic_files import only_writer

Item = TypeVar("Item")
Key = TypeVar("Key")
Value = TypeVar("Value")

_TIMEOUT = timedelta(hours=2)  # one process may preprocess while the others wait


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that `torchrun` started, and leave them at the end.

    Args:
        device: 'auto', 'cpu' or 'cuda' as asked for; each process on a machine takes a GPU of its
            own.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or dist.is_initialized():
        yield
        return
    on_gpu = device != "cpu" and torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=_TIMEOUT)
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return the number of this process, 0 for the one that writes and talks."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wait_for_all() -> None:
    """Wait until all processes are here."""
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def only_writers(folder: Path) -> Iterator[Path]:
    """Keep other runs out of a folder that all processes of this one write."""
    with only_writer(folder) if rank() == 0 else nullcontext():
        wait_for_all()  # until the remains of killed runs are gone
        yield folder
        wait_for_all()


def share(items: Sequence[Item]) -> list[Item]:
    """Return this process's part of a list; every item belongs to exactly one process."""
    return list(items[rank() :: processes()])


def gather(part: dict[Key, Value]) -> dict[Key, Value]:
    """Join the dictionaries of all processes; everybody gets the whole."""
    if not dist.is_initialized():
        return part
    parts: list[Any] = [None] * processes()
    dist.all_gather_object(parts, part)
    return {key: value for one in parts for key, value in one.items()}


def mean(value: float) -> float:
    """Return the mean of a number over all processes."""
    return sum(gather({rank(): value}).values()) / processes()


def parallel(module: nn.Module) -> nn.Module:
    """Average a module's gradients over all processes; its parameters start as those of rank 0."""
    if not dist.is_initialized():
        return module
    on_gpu = next(module.parameters()).is_cuda
    return DistributedDataParallel(
        module, device_ids=[torch.cuda.current_device()] if on_gpu else None
    )
