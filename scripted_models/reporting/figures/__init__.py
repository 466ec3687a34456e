"""Figures of networks, training runs and cases; the only package that needs matplotlib."""

from importlib.util import find_spec

from scripted_models.errors import InputError

if find_spec("matplotlib") is None:
    raise InputError(
        "Found no matplotlib, expected it for drawing figures; install it with "
        'pip install "scripted-models[figures]".'
    )
