"""Pictures that show whether volumes lie on each other, and whether a mask is that of the brain."""

from collections.abc import Mapping

import numpy as np

from scripted_models.pictures.layout import cell_width, header, plane_row, stack
from scripted_models.pictures.panels import (
    PLANES,
    View,
    edges_of,
    frame,
    fullest_index,
    gray_panel,
    intensity_window,
    tissue_mask,
)
from scripted_models.sequences import TITLES

CONTOUR_COLOR = (255, 214, 10)
_PANEL = 288  # pixels of the longest edge of the shown box
_SQUARE_MM = 25.0  # of a checkerboard


def render_alignment(
    volumes: Mapping[str, np.ndarray],
    reference: str,
    brain: np.ndarray,
    spacing_xyz_mm: tuple[float, float, float],
) -> np.ndarray:
    """Draw three planes: each sequence with the contour of the brain, and in squares with another.

    In a checkerboard the squares are by turns of the reference and of the other sequence. Where
    both lie on each other, outlines go on across the borders of the squares.

    Args:
        volumes: sequence -> (z, y, x) on an LPS grid, all of one shape.
        reference: the sequence to which the others were registered.
        brain: bool (z, y, x).
        spacing_xyz_mm: voxel spacing.

    Returns:
        uint8 array (h, w, 3), RGB.
    """
    others = [name for name in volumes if name != reference]
    titles = [TITLES.get(name, name) for name in (reference, *others)]
    titles = [titles[0], *(t for own in titles[1:] for t in (own, f"{titles[0]} / {own}"))]
    shown = tissue_mask(volumes.values()) | brain
    view = frame(shown, spacing_xyz_mm, _PANEL)
    windows = {
        name: intensity_window(array, brain if brain.any() else shown)
        for name, array in volumes.items()
    }
    width = cell_width(view, titles)
    parts = [header(titles, width)]
    for plane in PLANES:
        index, count = fullest_index(brain, shown, plane)
        grays = {n: gray_panel(view, a, windows[n], plane, index) for n, a in volumes.items()}
        edge = _contour(view, brain, plane, index)
        panels = [_drawn(grays[reference], edge)]
        for name in others:
            squares = _squares(grays[reference], grays[name], _SQUARE_MM * view.pixels_per_mm)
            panels += [_drawn(grays[name], edge), squares]
        parts.append(plane_row(panels, width, plane, f"{index + 1}/{count}"))
    return stack(parts)


def _contour(view: View, brain: np.ndarray, plane: str, index: int) -> np.ndarray:
    """Return the pixels along the border of the brain, bool (h, w)."""
    section = view.plane(brain, plane, index)
    height, width = view.size_px(plane)
    rows = np.minimum(np.arange(height) * section.shape[0] // height, section.shape[0] - 1)
    columns = np.minimum(np.arange(width) * section.shape[1] // width, section.shape[1] - 1)
    return edges_of(section[np.ix_(rows, columns)].astype(np.uint8))


def _drawn(panel: np.ndarray, edge: np.ndarray) -> np.ndarray:
    drawn = panel.copy()
    drawn[edge] = CONTOUR_COLOR
    return drawn


def _squares(one: np.ndarray, other: np.ndarray, side_px: float) -> np.ndarray:
    rows, columns = (np.arange(n) // max(1, round(side_px)) for n in one.shape[:2])
    mine = (rows[:, None] + columns) % 2 == 0
    return np.where(mine[..., None], one, other)
