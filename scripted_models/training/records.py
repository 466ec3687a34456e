"""metrics.csv of a run, TensorBoard events when it is installed, snapshots of the weights."""

import io
from pathlib import Path
from typing import Any

import torch

from scripted_models.runtime.atomic_files import make_folder, write_file
from scripted_models.runtime.csv_text import csv_of_lines

METRICS, SNAPSHOTS = "metrics.csv", "snapshots"
Row = dict[str, Any]  # one finished epoch: its number, loss and scores


def write_records(folder: Path, history: list[Row]) -> None:
    """Write the whole history as metrics.csv and add its last row to TensorBoard.

    Args:
        folder: run folder.
        history: one dictionary per finished epoch; all rows have the same keys.
    """
    table = csv_of_lines(list(history[0]), history)
    write_file(Path(folder) / METRICS, table)
    _write_tensorboard(Path(folder), history)


def write_snapshot(folder: Path, phase: int, epoch: int, weights: dict[str, torch.Tensor]) -> None:
    """Write the weights of an epoch, for pictures of how a segmentation came about.

    Args:
        folder: run folder; receives snapshots/phase1_epoch005.pt and so on.
        phase, epoch: counted from 1.
        weights: state dict on the CPU.
    """
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    path = make_folder(Path(folder) / SNAPSHOTS) / f"phase{phase}_epoch{epoch:03d}.pt"
    write_file(path, buffer.getvalue())


def _write_tensorboard(folder: Path, history: list[Row]) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # an optional extra; metrics.csv holds the same numbers
        return
    step = len(history)
    with SummaryWriter(folder / "tensorboard", purge_step=step) as writer:
        for key, value in history[-1].items():
            if isinstance(value, float):
                writer.add_scalar(key, value, step)
