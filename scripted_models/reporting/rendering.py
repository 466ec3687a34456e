"""The one place that fills templates: HTML pages that load nothing.

They run nothing either, but the page of many cases: it sorts its own table.
"""

import base64
import hashlib
from functools import cache
from typing import TextIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from scripted_models import __version__
from scripted_models.reporting.cell_text import bar_percent, fact_label, fact_text, shown
from scripted_models.runtime.printable_text import printable


def render(template: str, **values: object) -> str:
    """Return a page.

    Every value is escaped, so that a text from outside stays a text.

    Args:
        template: file name in `templates/`.
        values: all that the template names; a missing one raises `jinja2.UndefinedError`.
    """
    return _environment().get_template(template).render(values)


def render_into(stream: TextIO, template: str, **values: object) -> None:
    """Write a page as `render`, piece by piece, so that a long list need not be in memory."""
    pieces = _environment().get_template(template).stream(values)
    pieces.enable_buffering(100)
    for piece in pieces:
        stream.write(piece)


def script(name: str) -> tuple[Markup, str]:
    """Return a script of `templates/`, and the source that allows it and no other one to run."""
    text, *_ = _loader().get_source(_environment(), name)
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return Markup(text), f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _seen(value: object) -> object:
    """Return what a page shows of a value: no character that hides or turns around the others."""
    return printable(value) if type(value) is str else value


@cache
def _loader() -> PackageLoader:
    return PackageLoader("scripted_models.reporting")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_loader(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "bar_percent": bar_percent,
        "fact_label": fact_label,
        "fact_text": fact_text,
        "shown": shown,
    }
    environment.finalize = _seen
    environment.globals["version"] = __version__
    return environment
