"""Figures of networks, training runs and cases; the only package that needs matplotlib.

To be called from outside, each returning a matplotlib figure for `canvas.save_figure`:
`architecture.draw_architecture`, `curves.draw_curves`, `filters.draw_filters`,
`methods.draw_methods`, `progression.draw_progression` and `views.draw_views`.
`shown_case` reads the case of a figure.
"""

from importlib.util import find_spec

from scripted_models.errors import InputError

if find_spec("matplotlib") is None:
    raise InputError(
        found="no matplotlib",
        expected="it for drawing figures",
        action='install it with pip install "scripted-models[figures]"',
    )
