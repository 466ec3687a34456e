"""The one place that fills templates: HTML pages that load nothing and run nothing."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

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


def _seen(value: object) -> object:
    """Return what a page shows of a value: no character that hides or turns around the others."""
    return printable(value) if type(value) is str else value


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("scripted_models.reporting"),
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
