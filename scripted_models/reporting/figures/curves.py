"""Learning curves: loss and validation Dice over the epochs of both phases, of several runs."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from scripted_models.errors import InputError
from scripted_models.labels import REGION_NAMES
from scripted_models.reporting.figures.canvas import FAINT, INK, SLIDE_IN, Style, new_figure
from scripted_models.runtime.plain_files import read_text

# Okabe and Ito's colors, which stay apart for color-blind eyes, without their yellow.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STYLES = ("-", "--", ":")  # the colors again
_LINE: Style = {"linewidth": 2.2, "marker": "o", "markersize": 4}
_LETTER_IN = 0.115  # mean width in the legend
_PLACE: Style = {"left": 0.07, "right": 0.98, "top": 0.86}  # of the curves on the sheet
_PANELS = {
    "loss": "training loss",
    **{f"dice_{region}": f"Dice, {name} ({region})" for region, name in REGION_NAMES.items()},
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
        raise InputError(
            path=folder, found="no metrics.csv", expected="a training run", action=hint
        )
    try:
        lines = read_text(path).splitlines()
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(lines)]
        if not rows or not {"phase", "epoch", "loss"} <= rows[0].keys():
            raise ValueError("no rows with phase, epoch and loss")
    except (ValueError, TypeError, csv.Error) as error:
        raise InputError(
            path=path,
            found=f"contents that are no history ({error})",
            expected="what `train` writes",
            action="train again",
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
    bottom = _add_legend(figure, [run.name for run in runs])
    columns = min(2, len(shown))
    outer = figure.add_gridspec(
        -(-len(shown) // columns), columns, **_PLACE, bottom=bottom, hspace=0.45, wspace=0.16
    )
    for number, key in enumerate(shown):
        inner = outer[number].subgridspec(1, len(phases), width_ratios=widths, wspace=0.04)
        first = None
        for place, phase in enumerate(phases):
            axes = figure.add_subplot(inner[place], sharey=first)
            _draw_phase(axes, runs, phase, key)
            if first is None:
                first = axes
                axes.set_title(_PANELS[key], loc="left", fontsize=15, color=INK)
            else:
                axes.tick_params(labelleft=False, left=False)
    figure.text(0.07, 0.94, "Learning curves", fontsize=22, fontweight="bold", color=INK)
    return figure


def _look(number: int) -> Style:
    """Return color and line of a run."""
    return {
        "color": _COLORS[number % len(_COLORS)],
        "linestyle": _STYLES[number // len(_COLORS) % len(_STYLES)],
    }


def _add_legend(figure: Figure, names: Sequence[str]) -> float:
    """Write the names of the runs at the bottom, and return where the curves may begin."""
    letters = 6 + max(map(len, names))  # with the line before a name
    columns = max(1, min(4, len(names), int(SLIDE_IN[0] / (letters * _LETTER_IN))))
    lines = [Line2D([], [], **_look(number), **_LINE) for number in range(len(names))]
    figure.legend(lines, names, loc="lower center", ncols=columns, frameon=False, fontsize=14)
    return 0.13 + 0.04 * -(-len(names) // columns)


def _draw_phase(axes: Axes, runs: Sequence[Run], phase: int, key: str) -> None:
    for number, run in enumerate(runs):
        axes.plot(*run.curve(phase, key), label=run.name, **_look(number), **_LINE)
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
