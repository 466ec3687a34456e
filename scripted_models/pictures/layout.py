"""Cells, titles, legend and scale bar around the panels of a picture, as uint8 RGB arrays."""

from collections.abc import Iterable, Sequence

import numpy as np

from scripted_models.labels import LABELS
from scripted_models.pictures.font import HEIGHT, draw_mask, draw_text, text_mask
from scripted_models.pictures.panels import LABEL_COLORS, PLANES, TRUTH_COLOR, View

_GAP = 6
_TEXT = 2  # pixels per font pixel
_LINE = HEIGHT * _TEXT
_GUTTER = _LINE + 2 * _GAP  # left of the rows, for the plane's name
_INK, _FAINT = (236, 236, 238), (160, 163, 170)
_ENDS = {  # patient directions at left and right
    "axial": ("R", "L"),
    "coronal": ("R", "L"),
    "sagittal": ("A", "P"),
}
_NARROWEST_TILE = 40  # holds a slice number


def beside(cells: Sequence[np.ndarray]) -> np.ndarray:
    """Join cells of one height from left to right with a gap between them."""
    gap = _blank(cells[0].shape[0], _GAP)
    return np.hstack([part for cell in cells for part in (cell, gap)][:-1])


def stack(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Join pictures from top to bottom, flush left, with a gap between them."""
    width = max(part.shape[1] for part in parts)
    canvas = _blank(sum(part.shape[0] + _GAP for part in parts) - _GAP, width)
    top = 0
    for part in parts:
        canvas[top : top + part.shape[0], : part.shape[1]] = part
        top += part.shape[0] + _GAP
    return canvas


def cell_width(view: View, titles: Sequence[str]) -> int:
    """Return the width in which every plane and every title finds room, in pixels."""
    widest_panel = max(view.size_px(plane)[1] for plane in PLANES)
    return max(widest_panel, *(_text_width(title) + 2 * _GAP for title in titles))


def header(titles: Sequence[str], width: int) -> np.ndarray:
    """Return the line of column titles over cells of a width."""
    cells = [_blank(_LINE + 2 * _GAP, width) for _ in titles]
    for cell, title in zip(cells, titles, strict=True):
        draw_text(cell, title, _GAP, (width - _text_width(title)) // 2, _TEXT, _INK)
    row = beside(cells)
    return np.hstack([_blank(row.shape[0], _GUTTER), row])


def plane_row(panels: Sequence[np.ndarray], width: int, plane: str, position: str) -> np.ndarray:
    """Return one plane's panels with its name, upright in the gutter, and patient directions.

    Args:
        panels: of one size.
        width: of a cell.
        plane: 'axial', 'coronal' or 'sagittal'.
        position: of the plane, such as '37/52'.
    """
    words = (plane.capitalize(), "  ", position)
    name = np.hstack([text_mask(part, _TEXT) for part in words])
    height = max(panels[0].shape[0], name.shape[1] + 2 * _GAP)
    gutter = _blank(height, _GUTTER)
    draw_mask(gutter, np.rot90(name), (height - name.shape[1]) // 2, _GAP, _FAINT)
    cells = [_centered(panel, height, width) for panel in panels]
    left, right = _ENDS[plane]
    draw_text(cells[0], left, height - _LINE, 2, _TEXT, _FAINT)
    draw_text(cells[0], right, height - _LINE, width - _text_width(right) - 2, _TEXT, _FAINT)
    return np.hstack([gutter, beside(cells)])


def numbered_tile(panel: np.ndarray, number: int) -> np.ndarray:
    """Return a panel with a number in its corner."""
    height, width = panel.shape[:2]
    tile = _centered(panel, height, max(width, _NARROWEST_TILE))
    draw_text(tile, str(number), 4, 4, _TEXT, _INK)
    return tile


def legend(
    width: int,
    pixels_per_mm: float,
    with_truth_line: bool = False,
    labels: Iterable[int] = tuple(LABEL_COLORS),
) -> np.ndarray:
    """Return the colors of labels with their names and a scale bar, wrapped where possible."""
    items = [_key(LABELS[label], LABEL_COLORS[label]) for label in labels]
    if with_truth_line:
        items.append(_key("ground truth (outline)", TRUTH_COLOR, hollow=True))
    items.append(_scale_bar(pixels_per_mm, width // 3))
    lines: list[list[np.ndarray]] = [[]]
    used = 0
    for item in items:
        if lines[-1] and used + item.shape[1] > width - 2 * _GAP:
            lines.append([])
            used = 0
        lines[-1].append(item)
        used += item.shape[1] + _GAP
    block = stack([beside(line) for line in lines])
    return np.pad(block, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)))


def _text_width(text: str) -> int:
    return text_mask(text, _TEXT).shape[1]


def _blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def _centered(panel: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a panel in the middle of a black cell."""
    cell = _blank(height, width)
    top, left = (height - panel.shape[0]) // 2, (width - panel.shape[1]) // 2
    cell[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return cell


def _key(name: str, color: tuple[int, int, int], hollow: bool = False) -> np.ndarray:
    """Return a colored square and a name."""
    side = 7 * _TEXT
    item = _blank(_LINE, side + 8 + _text_width(name) + 4 * _GAP)
    item[:side, :side] = color
    if hollow:
        item[2 : side - 2, 2 : side - 2] = 0
    draw_text(item, name, 0, side + 8, _TEXT, _INK)
    return item


def _scale_bar(pixels_per_mm: float, longest_px: int) -> np.ndarray:
    """Return a bar of the longest round length (in mm) that is at most `longest_px` long."""
    lengths = [k * 10.0**e for e in range(-4, 5) for k in (1, 2, 5)]
    fitting = [length for length in lengths if length * pixels_per_mm <= min(longest_px, 100)]
    if not fitting:
        return _blank(_LINE, 0)
    bar, text = round(fitting[-1] * pixels_per_mm), f"{fitting[-1]:g} mm"
    item = _blank(_LINE, bar + 8 + _text_width(text))
    item[3 * _TEXT : 4 * _TEXT, :bar] = _INK
    item[_TEXT : 6 * _TEXT, [0, 1, bar - 2, bar - 1] if bar > 4 else [0]] = _INK
    draw_text(item, text, 0, bar + 8, _TEXT, _INK)
    return item
