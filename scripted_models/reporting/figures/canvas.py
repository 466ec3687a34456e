"""Sheets to draw on, and their way into a file. Nothing here opens a window."""

import io
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import make_folder, write_file

SLIDE_IN = (13.333, 7.5)  # 16:9
DPI = 150
INK, FAINT = "#1f2933", "#6b7785"
FORMATS = ("png", "pdf", "svg")
_NO_DATE = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}


def new_figure(width_in: float = SLIDE_IN[0], height_in: float = SLIDE_IN[1]) -> Figure:
    """Return an empty white figure that is drawn in memory."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def check_output(path: Path) -> Path:
    """Return the path of a figure when its suffix names a format.

    Raises:
        InputError: another suffix.
    """
    if path.suffix.lower()[1:] not in FORMATS or path.is_dir():
        raise InputError(
            f"--output {path}: expected a file name ending in {', '.join('.' + f for f in FORMATS)}; "
            "rename it."
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
