"""metrics.csv of a run, and TensorBoard events when it is installed."""

import csv
import io
from pathlib import Path

from scripted_models.files import write_file


def write_records(folder: Path, history: list[dict]) -> None:
    """Write the whole history as metrics.csv and add its last row to TensorBoard.

    Args:
        folder: run folder.
        history: one dictionary per finished epoch; all rows have the same keys.
    """
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, history[0].keys(), lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_file(Path(folder) / "metrics.csv", buffer.getvalue())
    _write_tensorboard(Path(folder), history)


def _write_tensorboard(folder: Path, history: list[dict]) -> None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:  # an optional extra; metrics.csv holds the same numbers
        return
    step = len(history)
    with SummaryWriter(folder / "tensorboard", purge_step=step) as writer:
        for key, value in history[-1].items():
            if isinstance(value, float):
                writer.add_scalar(key, value, step)
