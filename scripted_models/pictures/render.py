"""Pictures of a case for reports: three planes by four sequences, and a montage of axial slices.

Everything is drawn into NumPy arrays, so that a report needs no graphics library; `panels`
says how a plane is shown.
"""

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from scripted_models.labels import LABELS
from scripted_models.pictures.font import HEIGHT, draw_mask, draw_text, text_mask
from scripted_models.pictures.panels import (
    LABEL_COLORS,
    PLANES,
    TRUTH_COLOR,
    View,
    colored,
    edges_of,
    frame,
    fullest_index,
    gray_panel,
    intensity_window,
    label_panel,
    spread_slices,
    tissue_mask,
)
from scripted_models.runtime.atomic_files import write_file
from scripted_models.sequences import SEQUENCES, TITLES

_PANEL = 288  # pixels of the longest edge of the shown box
_TILE = 236
_GAP = 6
_TEXT = 2  # pixels per font pixel
_LINE = HEIGHT * _TEXT
_GUTTER = _LINE + 2 * _GAP  # left of the rows, for the plane's name
_INK, _FAINT = (236, 236, 238), (160, 163, 170)
_ENDS = {"axial": "RL", "coronal": "RL", "sagittal": "AP"}  # patient directions at left and right


def render_overlay(
    volumes: Mapping[str, np.ndarray],
    labels: np.ndarray,
    spacing_xyz_mm: tuple[float, float, float],
    truth: np.ndarray | None = None,
    overlay_on: str = "flair",
) -> np.ndarray:
    """Draw axial, coronal and sagittal planes: the sequences plain, then prediction (and truth) on one.

    Each plane is the one with most tumor (predicted or true), or the middle of the brain without any.

    Args:
        volumes: sequence -> (z, y, x) array, one to four of them, all of one shape.
        labels: (z, y, x) predicted internal labels 0-4.
        spacing_xyz_mm: voxel spacing.
        truth: (z, y, x) true labels 0-4, when known.
        overlay_on: sequence under the colors; the first one given when it is absent.

    Returns:
        uint8 array (h, w, 3), RGB.

    Raises:
        ValueError: no volume, shapes differ or a spacing is not positive.
    """
    names = [name for name in SEQUENCES if name in volumes]
    names += [name for name in volumes if name not in SEQUENCES]
    arrays = {name: np.asarray(volumes[name]) for name in names}
    maps = {"Prediction": labels} | ({} if truth is None else {"Truth": truth})
    _check(arrays, maps, spacing_xyz_mm)
    brain = tissue_mask(arrays.values())
    tumor = np.any([chosen > 0 for chosen in maps.values()], axis=0)
    view = frame(brain | tumor, spacing_xyz_mm, _PANEL)
    windows = {name: intensity_window(array, brain) for name, array in arrays.items()}
    base = overlay_on if overlay_on in arrays else names[0]

    titles = [TITLES.get(name, name) for name in names]
    titles += [f"{name} on {TITLES.get(base, base)}" for name in maps]
    cell_width = _cell_width(view, titles)
    parts = [_header(titles, cell_width)]
    for plane in PLANES:
        index, count = fullest_index(tumor, brain, plane)
        grays = {
            n: gray_panel(view, array, windows[n], plane, index) for n, array in arrays.items()
        }
        overlays = [colored(grays[base], label_panel(view, m, plane, index)) for m in maps.values()]
        position = f"{index + 1}/{count}"
        parts.append(_row([*grays.values(), *overlays], cell_width, plane, position))
    body = _stack(parts)
    return _stack([body, _legend(body.shape[1], view.pixels_per_mm)])


def render_montage(
    volume: np.ndarray,
    labels: np.ndarray,
    spacing_xyz_mm: tuple[float, float, float],
    truth: np.ndarray | None = None,
    count: int = 12,
    columns: int = 6,
) -> np.ndarray:
    """Draw axial slices evenly through the tumor, from inferior to superior, with colored labels.

    Args:
        volume: (z, y, x) array of one sequence.
        labels: (z, y, x) predicted internal labels 0-4.
        spacing_xyz_mm: voxel spacing.
        truth: (z, y, x) true labels; its whole tumor is drawn as a white line.
        count: number of slices (fewer when the volume has fewer).
        columns: tiles beside each other.

    Returns:
        uint8 array (h, w, 3), RGB.

    Raises:
        ValueError: shapes differ, a spacing is not positive, or count or columns below 1.
    """
    if count < 1 or columns < 1:
        raise ValueError(f"count and columns must be at least 1, not {count} and {columns}")
    volume = np.asarray(volume)
    maps = {"labels": labels} | ({} if truth is None else {"truth": truth})
    _check({"volume": volume}, maps, spacing_xyz_mm)
    brain = tissue_mask([volume])
    tumor = np.any([chosen > 0 for chosen in maps.values()], axis=0)
    view = frame(brain | tumor, spacing_xyz_mm, _TILE)
    window = intensity_window(volume, brain)

    tiles = []
    for index in spread_slices(tumor if tumor.any() else brain, view.box[0], count):
        gray = gray_panel(view, volume, window, "axial", index)
        tile = colored(gray, label_panel(view, labels, "axial", index))
        if truth is not None:
            tile[edges_of(label_panel(view, truth, "axial", index) > 0)] = TRUTH_COLOR
        tile = _centerd(tile, tile.shape[0], max(tile.shape[1], 40))
        draw_text(tile, str(index + 1), 4, 4, _TEXT, _INK)
        tiles.append(tile)
    columns = min(columns, len(tiles))
    rows = [_beside(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    body = _stack(rows)
    return _stack([body, _legend(body.shape[1], view.pixels_per_mm, truth is not None)])


def _check(volumes: Mapping[str, np.ndarray], maps: Mapping[str, np.ndarray], spacing) -> None:
    if not volumes:
        raise ValueError("no volume to draw")
    shapes = {name: np.shape(array) for name, array in {**volumes, **maps}.items()}
    if len(set(shapes.values())) > 1 or any(len(shape) != 3 for shape in shapes.values()):
        raise ValueError(f"arrays must share one (z, y, x) shape, not {shapes}")
    if not all(np.isfinite(step) and step > 0 for step in spacing):
        raise ValueError(f"spacing must be positive, not {tuple(spacing)}")


# ---------------------------------------------------------------- layout


def _text_width(text: str) -> int:
    return text_mask(text, _TEXT).shape[1]


def _blank(height: int, width: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def _centerd(panel: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a panel in the middle of a black cell."""
    cell = _blank(height, width)
    top, left = (height - panel.shape[0]) // 2, (width - panel.shape[1]) // 2
    cell[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    return cell


def _beside(cells: list[np.ndarray]) -> np.ndarray:
    """Join cells of one height from left to right with a gap between them."""
    gap = _blank(cells[0].shape[0], _GAP)
    return np.hstack([part for cell in cells for part in (cell, gap)][:-1])


def _stack(parts: list[np.ndarray]) -> np.ndarray:
    """Join pictures from top to bottom, flush left, with a gap between them."""
    width = max(part.shape[1] for part in parts)
    canvas = _blank(sum(part.shape[0] + _GAP for part in parts) - _GAP, width)
    top = 0
    for part in parts:
        canvas[top : top + part.shape[0], : part.shape[1]] = part
        top += part.shape[0] + _GAP
    return canvas


def _cell_width(view: View, titles: list[str]) -> int:
    widest_panel = max(view.size_px(plane)[1] for plane in PLANES)
    return max(widest_panel, *(_text_width(title) + 2 * _GAP for title in titles))


def _header(titles: list[str], cell_width: int) -> np.ndarray:
    """Return the line of column titles."""
    cells = [_blank(_LINE + 2 * _GAP, cell_width) for _ in titles]
    for cell, title in zip(cells, titles, strict=True):
        draw_text(cell, title, _GAP, (cell_width - _text_width(title)) // 2, _TEXT, _INK)
    row = _beside(cells)
    return np.hstack([_blank(row.shape[0], _GUTTER), row])


def _row(panels: list[np.ndarray], cell_width: int, plane: str, position: str) -> np.ndarray:
    """Return one plane's panels with its name, upright in the gutter, and the patient directions."""
    name = np.hstack([text_mask(part, _TEXT) for part in (plane.capitalize(), "  ", position)])
    height = max(panels[0].shape[0], name.shape[1] + 2 * _GAP)
    gutter = _blank(height, _GUTTER)
    draw_mask(gutter, np.rot90(name), (height - name.shape[1]) // 2, _GAP, _FAINT)
    cells = [_centerd(panel, height, cell_width) for panel in panels]
    left, right = _ENDS[plane]
    draw_text(cells[0], left, height - _LINE, 2, _TEXT, _FAINT)
    draw_text(cells[0], right, height - _LINE, cell_width - _text_width(right) - 2, _TEXT, _FAINT)
    return np.hstack([gutter, _beside(cells)])


def _legend(width: int, pixels_per_mm: float, with_truth_line: bool = False) -> np.ndarray:
    """Return the colors with their names and a scale bar, wrapped to the width where possible."""
    items = [_key(LABELS[label], color) for label, color in LABEL_COLORS.items()]
    if with_truth_line:
        items.append(_key("truth (outline)", TRUTH_COLOR, hollow=True))
    items.append(_scale_bar(pixels_per_mm, width // 3))
    lines, used = [[]], 0
    for item in items:
        if lines[-1] and used + item.shape[1] > width - 2 * _GAP:
            lines.append([])
            used = 0
        lines[-1].append(item)
        used += item.shape[1] + _GAP
    block = _stack([_beside(line) for line in lines])
    return np.pad(block, ((_GAP, _GAP), (_GAP, _GAP), (0, 0)))


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


# ---------------------------------------------------------------- PNG


def png_bytes(rgb: np.ndarray) -> bytes:
    """Return an RGB picture, uint8 (h, w, 3), as a PNG file (W3C PNG specification, third edition).

    Each row is stored as its difference from the row above or from the pixel to the left, whichever is
    smaller in sum.

    Raises:
        ValueError: not a uint8 (h, w, 3) array with at least one pixel.
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or not rgb.size:
        raise ValueError(f"picture must be uint8 (h, w, 3), not {rgb.dtype} {rgb.shape}")
    height, width = rgb.shape[:2]
    left, above = rgb.copy(), rgb.copy()
    left[:, 1:] -= rgb[:, :-1]
    above[1:] -= rgb[:-1]
    sizes = [np.abs(rows.view(np.int8).astype(np.int16)).sum(axis=(1, 2)) for rows in (left, above)]
    use_left = sizes[0] <= sizes[1]
    rows = np.where(use_left[:, None, None], left, above).reshape(height, -1)
    filters = np.where(use_left, 1, 2).astype(np.uint8)[:, None]  # filter types Sub and Up
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(np.hstack([filters, rows]).tobytes(), 6)
    chunks = [_chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)


def write_png(path: Path, rgb: np.ndarray) -> None:
    """Write a picture, uint8 (h, w, 3), as PNG; the file is whole or absent.

    Raises:
        ResourceError: the file cannot be written.
        ValueError: not a picture.
    """
    write_file(path, png_bytes(rgb))
