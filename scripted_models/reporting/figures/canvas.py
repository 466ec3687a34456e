"""Sheets to draw on, and their way into a file. Nothing here opens a window."""

import io
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import make_folder, write_file

SLIDE_IN = (13.333, 7.5)  # 16:9
DPI = 150
INK, FAINT = "#1f2933", "#6b7785"
_LETTER_EM = 0.62  # mean width of a letter, in sizes of the letters
Style = dict[str, Any]  # properties as matplotlib names them
FORMATS = ("png", "pdf", "svg")
_NO_DATE: dict[str, dict[str, None]] = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}


def new_figure(width_in: float = SLIDE_IN[0], height_in: float = SLIDE_IN[1]) -> Figure:
    """Return an empty white figure that is drawn in memory."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def fitting_size(text: str, largest_pt: float, room_in: float) -> float:
    """Return the size of bold letters, in points, with which a line of text fits into a room."""
    return min(largest_pt, 72 * room_in / (_LETTER_EM * max(1, len(text))))


def check_output(path: Path) -> Path:
    """Return the path of a figure when its suffix names a format.

    Raises:
        InputError: another suffix.
    """
    if path.suffix.lower()[1:] not in FORMATS or path.is_dir():
        raise InputError(
            path=path,
            found="a folder" if path.is_dir() else f"the suffix '{path.suffix}'",
            expected=f"a file name ending in {', '.join('.' + form for form in FORMATS)}",
            action="choose another --output",
        )
    return path


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix; the same figure gives the same bytes.

    Raises:
        InputError: unknown suffix.
        ResourceError: the file cannot be written.
    """
    form = check_output(path).suffix.lower()[1:]
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "scripted_models", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, dpi=DPI, metadata=_NO_DATE[form])
    make_folder(path.parent)
    write_file(path, buffer.getvalue())
