"""Learning curves: loss and validation Dice over the epochs of both phases, several runs in one figure."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from scripted_models.errors import InputError
from scripted_models.reporting.figures.canvas import FAINT, INK, new_figure

# Okabe and Ito's colors, which stay apart for color-blind eyes, without their yellow.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STYLES = ("-", "--", ":")  # the colors again
_PANELS = {
    "loss": "training loss",
    "dice_WT": "Dice, whole tumor",
    "dice_TC": "Dice, tumor core",
    "dice_ET": "Dice, enhancing tumor",
}


@dataclass(frozen=True)
class Run:
    """The history of a training run: rows of metrics.csv with 'phase' and 'epoch' as integers."""

    name: str
    rows: list[dict[str, float]]

    def curve(self, phase: int, key: str) -> tuple[list[float], list[float]]:
        """Return epochs and values of a column in one phase."""
        own = [row for row in self.rows if row["phase"] == phase and key in row]
        return [row["epoch"] for row in own], [row[key] for row in own]


def read_run(folder: Path) -> Run:
    """Read metrics.csv of a run folder.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    path = folder / "metrics.csv"
    if not path.is_file():
        inside = [child.parent.name for child in sorted(folder.glob("*/metrics.csv"))]
        hint = f"name its folders {', '.join(inside)}" if inside else "name what `train` wrote"
        raise InputError(f"{folder}: found no metrics.csv, expected a training run; {hint}.")
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(stream)]
        if not rows or not {"phase", "epoch", "loss"} <= rows[0].keys():
            raise ValueError("no rows with phase, epoch and loss")
    except (ValueError, TypeError, csv.Error) as error:
        raise InputError(
            f"{path}: found contents that are no history ({error}), expected what `train` writes; train "
            "again."
        ) from error
    return Run(folder.resolve().name, rows)


def draw_curves(runs: Sequence[Run]) -> Figure:
    """Draw loss and Dice over epochs, phase 1 and phase 2 beside each other on one scale.

    Args:
        runs: at least one; runs without validation have no Dice.
    """
    shown = [key for key in _PANELS if any(key in run.rows[0] for run in runs)]
    phases = sorted({int(row["phase"]) for run in runs for row in run.rows})
    last = [max(max(run.curve(phase, "loss")[0], default=1) for run in runs) for phase in phases]
    widths = [max(epochs, 0.35 * max(last)) for epochs in last]  # a short phase stays readable
    figure = new_figure()
    columns = min(2, len(shown))
    outer = figure.add_gridspec(
        -(-len(shown) // columns), columns, left=0.07, right=0.98, bottom=0.17, top=0.86,
        hspace=0.45, wspace=0.16,
    )  # fmt: skip
    for place, key in zip(outer, shown, strict=False):
        inner = place.subgridspec(1, len(phases), width_ratios=widths, wspace=0.04)
        first = None
        for cell, phase in zip(inner, phases, strict=True):
            axes = figure.add_subplot(cell, sharey=first)
            _draw_phase(axes, runs, phase, key)
            if first is None:
                first = axes
                axes.set_title(_PANELS[key], loc="left", fontsize=15, color=INK)
            else:
                axes.tick_params(labelleft=False, left=False)
    figure.text(0.07, 0.94, "Learning curves", fontsize=22, fontweight="bold", color=INK)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=min(4, len(runs)), frameon=False,
                  fontsize=14)  # fmt: skip
    return figure


def _draw_phase(axes: Axes, runs: Sequence[Run], phase: int, key: str) -> None:
    for number, run in enumerate(runs):
        epochs, values = run.curve(phase, key)
        style = _STYLES[number // len(_COLORS) % len(_STYLES)]
        axes.plot(epochs, values, style, color=_COLORS[number % len(_COLORS)], label=run.name,
                  linewidth=2.2, marker="o", markersize=4)  # fmt: skip
    if key != "loss":
        axes.set_ylim(0, 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("epoch", fontsize=12, color=INK)
    axes.set_title(f"phase {phase}", loc="right", fontsize=13, color=FAINT)
    axes.set_facecolor("white" if phase == 1 else "#f0f2f5")
    axes.grid(True, color="#dfe3e8", linewidth=0.8)
    axes.tick_params(labelsize=12, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
