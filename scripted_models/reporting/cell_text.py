"""Numbers, regions and facts as a reader sees them."""

import math
from collections.abc import Mapping

import numpy as np

from scripted_models.labels import REGION_NAMES, REGIONS

UNKNOWN = "–"
REGIONS_NOTE = ", ".join(f"{region} {REGION_NAMES[region]}" for region in REGIONS)


def shown(value: float | None, kind: str) -> str:
    """Return a value with the digits that its kind deserves.

    Args:
        value: None when it is not known.
        kind: 'ml', 'mm', 'specificity' or another metric.
    """
    if value is None:
        return UNKNOWN
    if math.isinf(value):
        return "∞"
    if kind in ("ml", "mm", "hd95_mm"):
        return f"{value:.1f}" if value >= 10 or kind != "ml" else f"{value:.2f}"
    return f"{value:.4f}" if kind == "specificity" else f"{value:.3f}"


def bar_percent(share: float) -> str:
    """Return the length of the bar behind a share, in percent of the cell."""
    return f"{100 * min(max(share, 0.0), 1.0):.0f}"


def known(value: float | None) -> float | None:
    """Return a value; None instead of NaN."""
    return None if value is None or math.isnan(value) else float(value)


def region_title(region: str) -> str:
    """Return 'Whole tumor (WT)' for 'WT'; a name that is no region stays as it is."""
    name = REGION_NAMES.get(region)
    return f"{name.capitalize()} ({region})" if name else region


def fact_label(name: str) -> str:
    """Return the name of a fact with a capital and with blanks."""
    return name[:1].upper() + name[1:].replace("_", " ")


def fact_text(value: object) -> str:
    """Return a fact; parts of lists and mappings are separated by commas."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {fact_text(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(fact_text, value))
    return f"{value:.1f}" if isinstance(value, (float, np.floating)) else str(value)
