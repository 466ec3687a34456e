"""Rows and columns of image panels with titles and the colors of the labels."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from scripted_models.labels import CAVITY, LABELS, region_mask
from scripted_models.pictures.panels import (
    LABEL_COLORS,
    View,
    colored,
    frame,
    gray_panel,
    intensity_window,
    label_panel,
)
from scripted_models.reporting.figures.canvas import (
    DPI,
    FAINT,
    INK,
    SLIDE_IN,
    Style,
    fitting_size,
    new_figure,
)
from scripted_models.reporting.figures.shown_case import ShownCase

RGB = tuple[int, int, int]
TUMOR_KEYS: Mapping[str, RGB] = {LABELS[label]: color for label, color in LABEL_COLORS.items()}
TRUTH_TITLE = "ground truth"
_PANEL_PX = 360  # longest edge of the brain; one pixel of a panel is one of the picture
_GAP_IN = 0.06
_TOP_IN, _LEFT_IN, _BOTTOM_IN = 0.55, 0.5, 0.6
_ROW_TITLE_IN, _TITLE_LINE_IN = 0.32, 0.2
_SMALL_TITLE_PT = 9.0
_NOTE_IN = 0.25
_KEY_IN, _LETTER_IN, _KEY_LINE_IN = 0.55, 0.1, 0.27  # of the legend: a patch with its gaps, a line


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
        """Return FLAIR with the labels (y, x) of an axial slice.

        Its caption is their Dice of WT where the ground truth is known.
        """
        whole = np.broadcast_to(labels, self.case.brain.shape)
        caption = ""
        if self.case.truth is not None:
            found, true = (region_mask(m, "WT") for m in (labels, self.case.truth[z]))
            dice = 2 * np.sum(found & true) / max(1, found.sum() + true.sum())
            caption = f"Dice {dice:.2f}"
        return Cell(self.overlay("flair", whole, "axial", z), title, caption)


@dataclass(frozen=True)
class _Sheet:
    """Lengths in inches; letters and margins grow with a sheet that is wider than a slide."""

    width: float
    height: float
    scale: float
    cell_width: float
    row_heights: list[float]
    gaps: list[float]  # above each row
    key_columns: int


def draw_rows(
    rows: Sequence[Row], title: str, note: str = "", keys: Mapping[str, RGB] = TUMOR_KEYS
) -> Figure:
    """Draw rows of panels.

    Args:
        rows: of equally many cells; None leaves a place empty.
        title: of the figure.
        note: a sentence below the colors.
        keys: what the colors mean.

    Returns:
        A figure as large as the panels need it; a pixel of a panel is one of the picture.
    """
    keys = _shown_keys(rows, keys)
    sheet = _measure(rows, bool(note), list(keys))
    figure = new_figure(sheet.width, sheet.height)
    upper = sheet.height - _TOP_IN * sheet.scale
    for row, height, gap in zip(rows, sheet.row_heights, sheet.gaps, strict=True):
        upper -= gap
        _write_row_name(figure, row.name, upper - height / 2, sheet)
        for column, cell in enumerate(row.cells):
            left = _LEFT_IN + column * (sheet.cell_width + _GAP_IN)
            if cell is not None:
                box = (left, upper - height, sheet.cell_width, height)
                _draw_cell(figure, cell, box, sheet.scale, with_title=gap > _GAP_IN)
        upper -= height
    _write_title(figure, title, sheet)
    _write_legend(figure, note, sheet, keys)
    return figure


def _measure(rows: Sequence[Row], has_note: bool, keys: Sequence[str]) -> _Sheet:
    heights = [max(c.pixels.shape[0] for c in row.cells if c) / DPI for row in rows]
    width = max(c.pixels.shape[1] for row in rows for c in row.cells if c) / DPI
    columns = max(len(row.cells) for row in rows)
    total_width = _LEFT_IN + columns * (width + _GAP_IN) + _GAP_IN
    scale = max(1.0, total_width / SLIDE_IN[0])  # letters keep their size on a slide
    gaps = [_GAP_IN + scale * _titles_in(rows, i, width / scale) for i in range(len(rows))]
    key_columns = max(1, int(total_width / scale / (_KEY_IN + _LETTER_IN * max(map(len, keys)))))
    key_columns = min(key_columns, len(keys))
    key_lines = -(-len(keys) // key_columns)
    bottom = _BOTTOM_IN + _KEY_LINE_IN * (key_lines - 1) + _NOTE_IN * has_note
    margins = scale * (_TOP_IN + bottom)
    total_height = margins + sum(heights) + sum(gaps)
    return _Sheet(total_width, total_height, scale, width, heights, gaps, key_columns)


def _titles_in(rows: Sequence[Row], number: int, width: float) -> float:
    """Return the height of the titles above a row, none when they repeat those of the row above."""
    if not _has_new_titles(rows, number):
        return 0.0
    lines = max(len(wrapped_title(c.title, width)) for c in rows[number].cells if c)
    return _ROW_TITLE_IN + _TITLE_LINE_IN * (lines - 1)


def wrapped_title(title: str, width: float) -> list[str]:
    """Return a title in lines that small letters fit into, broken at spaces, '-' and '_'.

    Args:
        title: of a panel.
        width: of the panel in inches, on a slide.
    """
    lines = [""]
    for part in re.split(r"(?<=[-_ ])", title):
        if lines[-1] and fitting_size(lines[-1] + part, _SMALL_TITLE_PT, width) < _SMALL_TITLE_PT:
            lines.append("")
        lines[-1] += part
    return [line.strip() for line in lines]


def _has_new_titles(rows: Sequence[Row], number: int) -> bool:
    """False when a row's titles would only repeat those of the row above."""
    titles = [[cell and cell.title for cell in row.cells] for row in rows]
    return number == 0 or titles[number] != titles[number - 1]


def _write_row_name(figure: Figure, name: str, middle_in: float, sheet: _Sheet) -> None:
    place = (0.5 * _LEFT_IN / sheet.width, middle_in / sheet.height)
    style: Style = {"rotation": 90, "ha": "center", "va": "center", "color": INK}
    figure.text(*place, name, fontsize=13 * sheet.scale, **style)


def _draw_cell(
    figure: Figure,
    cell: Cell,
    box_in: tuple[float, float, float, float],
    scale: float,
    with_title: bool,
) -> None:
    """Draw a panel in the middle of a black box given in inches: left, lower, width, height."""
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
        lines = wrapped_title(cell.title, across / scale)
        size = fitting_size(max(lines, key=len), 12 * scale, across)
        axes.set_title("\n".join(lines), fontsize=size, color=INK, pad=4 * scale)
    corner: Style = {"transform": axes.transAxes, "ha": "right", "va": "bottom"}
    axes.text(0.97, 0.03, cell.caption, fontsize=9.5 * scale, color="white", **corner)


def _write_title(figure: Figure, title: str, sheet: _Sheet) -> None:
    size = fitting_size(title, 17 * sheet.scale, sheet.width - 2 * _LEFT_IN)
    place = (_LEFT_IN / sheet.width, 1 - 0.17 * sheet.scale / sheet.height)
    figure.text(*place, title, va="top", fontsize=size, fontweight="bold", color=INK)


def _shown_keys(rows: Sequence[Row], keys: Mapping[str, RGB]) -> dict[str, RGB]:
    """Return the keys, that of the cavity only where its outline is drawn."""
    cells = [cell.pixels for row in rows for cell in row.cells if cell]
    cavity = any((pixels == LABEL_COLORS[CAVITY]).all(axis=-1).any() for pixels in cells)
    return {name: color for name, color in keys.items() if name != LABELS[CAVITY] or cavity}


def _write_legend(figure: Figure, note: str, sheet: _Sheet, keys: Mapping[str, RGB]) -> None:
    """Write the colors of the labels, and the note below them."""
    left = _LEFT_IN / sheet.width
    patches = [
        Patch(color=(red / 255, green / 255, blue / 255), label=name)
        for name, (red, green, blue) in keys.items()
    ]
    figure.legend(
        handles=patches,
        loc="lower left",
        ncols=sheet.key_columns,
        frameon=False,
        bbox_to_anchor=(left, _NOTE_IN * sheet.scale / sheet.height if note else 0),
        fontsize=12 * sheet.scale,
        handlelength=1,
        borderaxespad=0.5,
        columnspacing=1.5,
    )
    style: Style = {"va": "bottom", "fontsize": 10 * sheet.scale, "color": FAINT}
    figure.text(left, 0.12 * sheet.scale / sheet.height, note, **style)
