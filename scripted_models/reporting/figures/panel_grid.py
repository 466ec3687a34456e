"""Rows and columns of image panels with titles and the colors of the labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from scripted_models.labels import LABELS
from scripted_models.pictures.panels import (
    LABEL_COLORS,
    View,
    colored,
    frame,
    gray_panel,
    intensity_window,
    label_panel,
)
from scripted_models.reporting.figures.canvas import DPI, FAINT, INK, SLIDE_IN, new_figure
from scripted_models.reporting.figures.shown_case import ShownCase

_PANEL_PX = 360  # longest edge of the brain; one pixel of a panel is one of the picture
_GAP_IN = 0.06
_TOP_IN, _LEFT_IN, _BOTTOM_IN = 0.55, 0.5, 0.6
_ROW_TITLE_IN = 0.32


@dataclass(frozen=True)
class Cell:
    """One panel: uint8 RGB (h, w, 3), with a title above and a caption inside, at the bottom."""

    pixels: np.ndarray
    title: str = ""
    caption: str = ""


@dataclass
class Row:
    """Cells from left to right with the row's name."""

    name: str
    cells: list[Cell | None] = field(default_factory=list)


class Painter:
    """Paints panels of one case at one scale."""

    def __init__(self, case: ShownCase, tumor: np.ndarray):
        self.case = case
        self.view: View = frame(case.brain | tumor, case.spacing_xyz_mm, _PANEL_PX)
        self._windows = {
            name: intensity_window(volume, case.brain) for name, volume in case.volumes.items()
        }

    def gray(self, sequence: str, plane: str, index: int) -> np.ndarray:
        """Return a plane of a sequence."""
        volume = self.case.volumes[sequence]
        return gray_panel(self.view, volume, self._windows[sequence], plane, index)

    def overlay(self, sequence: str, labels: np.ndarray, plane: str, index: int) -> np.ndarray:
        """Return a plane of a sequence with the labels (z, y, x) in colors."""
        colors = label_panel(self.view, labels, plane, index)
        return colored(self.gray(sequence, plane, index), colors)

    def slice_cell(self, labels: np.ndarray, z: int, title: str) -> Cell:
        """Return FLAIR with the labels (y, x) of an axial slice, and their Dice where the truth is known."""
        whole = np.broadcast_to(labels, self.case.brain.shape)
        caption = ""
        if self.case.truth is not None:
            found, true = labels > 0, self.case.truth[z] > 0
            dice = 2 * np.sum(found & true) / max(1, found.sum() + true.sum())
            caption = f"Dice {dice:.2f}"
        return Cell(self.overlay("flair", whole, "axial", z), title, caption)


def draw_rows(rows: Sequence[Row], title: str, note: str = "") -> Figure:
    """Draw rows of panels.

    Args:
        rows: of equally many cells; None leaves a place empty.
        title: of the figure.
        note: a sentence at the bottom right.

    Returns:
        A figure that is as large as the panels need it, one pixel of a panel to one of the picture.
    """
    heights = [max(c.pixels.shape[0] for c in row.cells if c) / DPI for row in rows]
    width = max(c.pixels.shape[1] for row in rows for c in row.cells if c) / DPI
    columns = max(len(row.cells) for row in rows)
    total_width = _LEFT_IN + columns * (width + _GAP_IN) + _GAP_IN
    scale = max(1.0, total_width / SLIDE_IN[0])  # letters keep their size on a slide
    top, between, bottom = _TOP_IN * scale, _ROW_TITLE_IN * scale, _BOTTOM_IN * scale
    gaps = [_GAP_IN + between * _has_new_titles(rows, i) for i in range(len(rows))]
    total_height = top + sum(heights) + sum(gaps) + bottom
    figure = new_figure(total_width, total_height)
    upper = total_height - top
    for row, height, gap in zip(rows, heights, gaps, strict=True):
        upper -= gap
        middle = (upper - height / 2) / total_height
        figure.text(0.5 * _LEFT_IN / total_width, middle, row.name, rotation=90, ha="center",
                    va="center", fontsize=13 * scale, color=INK)  # fmt: skip
        for column, cell in enumerate(row.cells):
            left = _LEFT_IN + column * (width + _GAP_IN)
            if cell is not None:
                box = (left, upper - height, width, height)
                _draw_cell(figure, cell, box, scale, with_title=gap > between)
        upper -= height
    _write_around(figure, title, note, scale)
    return figure


def _has_new_titles(rows: Sequence[Row], number: int) -> bool:
    """False when a row's titles would only repeat those of the row above."""
    titles = [[cell and cell.title for cell in row.cells] for row in rows]
    return number == 0 or titles[number] != titles[number - 1]


def _draw_cell(
    figure: Figure, cell: Cell, box_in: tuple[float, ...], scale: float, with_title: bool
) -> None:
    """Draw a panel in the middle of a black box given in inches."""
    width, height = figure.get_size_inches()
    left, lower, across, up = box_in
    axes = figure.add_axes((left / width, lower / height, across / width, up / height))
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    rows, columns = cell.pixels.shape[:2]
    x, y = (across * DPI - columns) / 2, (up * DPI - rows) / 2
    axes.imshow(cell.pixels, extent=(x, x + columns, y, y + rows), interpolation="nearest")
    axes.set_xlim(0, across * DPI)
    axes.set_ylim(0, up * DPI)
    if with_title:
        axes.set_title(cell.title, fontsize=12 * scale, color=INK, pad=4 * scale)
    axes.text(0.97, 0.03, cell.caption, transform=axes.transAxes, ha="right", va="bottom",
              fontsize=9.5 * scale, color="white")  # fmt: skip


def _write_around(figure: Figure, title: str, note: str, scale: float) -> None:
    width, height = figure.get_size_inches()
    figure.text(_LEFT_IN / width, 1 - 0.17 * scale / height, title, va="top", fontsize=17 * scale,
                fontweight="bold", color=INK)  # fmt: skip
    keys = [
        Patch(color=np.array(color) / 255, label=LABELS[label])
        for label, color in LABEL_COLORS.items()
    ]
    figure.legend(handles=keys, loc="lower left", ncols=len(keys), frameon=False,
                  bbox_to_anchor=(_LEFT_IN / width, 0), fontsize=12 * scale, handlelength=1,
                  borderaxespad=0.5, columnspacing=1.5)  # fmt: skip
    figure.text(1 - _GAP_IN / width, 0.2 * scale / height, note, ha="right", va="bottom",
                fontsize=10 * scale, color=FAINT)  # fmt: skip
