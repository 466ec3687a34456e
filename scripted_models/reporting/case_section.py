"""What the HTML report says about one case: its data, and its section of the page."""

import base64
import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from scripted_models.evaluation.metrics import EMPTY_MASK_POLICY, METRICS
from scripted_models.labels import LABELS, REGIONS
from scripted_models.pictures.render import LABEL_COLORS, png_bytes

METRIC_TITLES = {
    "dice": "Dice",
    "sensitivity": "Sensitivity",
    "ppv": "PPV",
    "specificity": "Specificity",
    "hd95_mm": "HD95 (mm)",
}
_POLICY = "Specificity is the true negative rate over the volume. Empty masks: "


@dataclass(frozen=True)
class CaseReport:
    """What the report says about one case.

    Attributes:
        name: case name.
        picture: overlay picture, uint8 RGB array (h, w, 3) or the bytes of a PNG file.
        montage: slices through the tumor, likewise.
        volumes_ml: predicted volume in mL by label name and region name.
        measurements: 'measurements' of report.json; the diameters of the enhancing region are shown.
        metrics: region -> metric name -> value, when the truth is known; a `truth_ml` entry is shown
            beside the predicted volume.
        warnings: sentences for the reader.
        facts: name -> text, number or mapping, such as model, device, seconds per stage. Facts that are
            the same for all cases are told once, at the head of the report.
    """

    name: str
    picture: np.ndarray | bytes | None = None
    montage: np.ndarray | bytes | None = None
    volumes_ml: Mapping[str, float] = field(default_factory=dict)
    measurements: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, float]] | None = None
    warnings: Sequence[str] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


def case_section(case: CaseReport, number: int, shared: Mapping[str, object]) -> str:
    """Return the section of a case; facts in `shared` are left out, the page has told them."""
    own = {name: value for name, value in case.facts.items() if name not in shared}
    white = "; the white line is the true tumor" if case.metrics else ""
    parts = [
        f"<article id='case-{number}'><h2>{escaped(case.name)}</h2>",
        _fact_line(own),
        _warnings(case.warnings),
        _figure(case.picture, case.name, "Planes with most tumor. Patient right is image left."),
        f"<div class='tables'>{_volume_table(case)}{_metric_table(case)}</div>",
        _figure(case.montage, case.name, f"Axial slices from inferior to superior{white}."),
        "</article>",
    ]
    return "\n".join(part for part in parts if part)


def _fact_line(facts: Mapping[str, object]) -> str:
    text = "; ".join(f"{_label(name)}: {_fact(value)}" for name, value in facts.items())
    return f"<p class='note'>{escaped(text)}</p>" if text else ""


def _warnings(warnings: Sequence[str]) -> str:
    items = "".join(f"<li>{escaped(warning)}</li>" for warning in warnings)
    return f"<div class='notice'><strong>Warnings</strong><ul>{items}</ul></div>" if items else ""


def _figure(picture: np.ndarray | bytes | None, name: str, caption: str) -> str:
    if picture is None:
        return ""
    data = picture if isinstance(picture, bytes) else png_bytes(picture)
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError(f"picture of case {name!r} is not a PNG file")
    source = "data:image/png;base64," + base64.b64encode(data).decode("ascii")
    alt = escaped(f"{name}: {caption}")
    return f"<figure><img src='{source}' alt='{alt}'><figcaption>{caption}</figcaption></figure>"


def _volume_table(case: CaseReport) -> str:
    if not case.volumes_ml:
        return ""
    labels = [LABELS[label] for label in LABEL_COLORS if LABELS[label] in case.volumes_ml]
    regions = [region for region in REGIONS if region in case.volumes_ml]
    others = [name for name in case.volumes_ml if name not in labels and name not in regions]
    truth = any("truth_ml" in scores for scores in (case.metrics or {}).values())
    rows = [_volume_row(case, name, truth, swatch=True) for name in labels]
    for i, name in enumerate(regions + others):
        rows.append(_volume_row(case, name, truth, region=name in REGIONS, rule=not i))
    head = "<th scope='col'>Label or region</th><th scope='col'>Predicted</th>"
    head += "<th scope='col'>True</th>" if truth else ""
    return (
        "<div><table><caption>Volume (mL)</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        f"{_diameter_line(case)}</div>"
    )


def _diameter_line(case: CaseReport) -> str:
    enhancing = case.measurements.get("ET", {})
    if "longest_mm" not in enhancing:
        return ""
    lengths = [shown("mm", enhancing[name]) for name in ("longest_mm", "perpendicular_mm")]
    text = f"Enhancing region, axial: {lengths[0]} x {lengths[1]} mm"
    return f"<p class='note'>{escaped(text)}</p>"


def _volume_row(
    case: CaseReport,
    name: str,
    truth: bool,
    swatch: bool = False,
    region: bool = False,
    rule: bool = False,
) -> str:
    label = escaped(name.capitalize() + (" (region)" if region else ""))
    if swatch:
        color = next(c for k, c in LABEL_COLORS.items() if LABELS[k] == name)
        label = f"<span class='swatch' style='background:rgb{color}'></span>{label}"
    cells = f"<td>{shown('ml', _known(case.volumes_ml[name]))}</td>"
    if truth:
        value = (case.metrics or {}).get(name, {}).get("truth_ml") if region else None
        cells += f"<td>{shown('ml', _known(value))}</td>"
    return f"<tr{_RULE if rule else ''}><th scope='row'>{label}</th>{cells}</tr>"


_RULE = " class='first-region'"


def _metric_table(case: CaseReport) -> str:
    if not case.metrics:
        return ""
    head = "".join(f"<th scope='col'>{METRIC_TITLES[metric]}</th>" for metric in METRICS)
    rows = []
    for region, scores in case.metrics.items():
        cells = "".join(cell(metric, _known(scores.get(metric))) for metric in METRICS)
        rows.append(f"<tr><th scope='row'>{escaped(region.capitalize())}</th>{cells}</tr>")
    return (
        "<div><table><caption>Agreement with the truth</caption>"
        f"<thead><tr><th scope='col'>Region</th>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
        f"<p class='note'>{escaped(_POLICY + EMPTY_MASK_POLICY)}.</p></div>"
    )


def fact_list(facts: Mapping[str, object]) -> str:
    """Return facts as a grid of names and values; mappings become comma-separated pairs."""
    items = []
    for name, value in facts.items():
        text = _fact(value)
        long = " class='long'" if len(text) > 42 else ""
        items.append(f"<div{long}><dt>{escaped(_label(name))}</dt><dd>{escaped(text)}</dd></div>")
    return f"<dl class='facts'>{''.join(items)}</dl>" if items else ""


def _label(name: str) -> str:
    return name[:1].upper() + name[1:].replace("_", " ")


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_fact(part)}" for name, part in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_fact, value))
    return f"{value:.1f}" if isinstance(value, (float, np.floating)) else str(value)


def escaped(value: object) -> str:
    """Return a value as text that is safe between tags and inside quoted attributes."""
    return html.escape(str(value), quote=True)


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def mean_dice(case: CaseReport) -> float | None:
    """Return the mean Dice over the regions that have one, or None."""
    known = [v for region in REGIONS if (v := value_of(case, "dice", region)) is not None]
    return fmean(known) if known else None


def value_of(case: CaseReport, kind: str, region: str) -> float | None:
    """Return a case's metric, or its volume for kind 'ml', of a region; None when not known."""
    if kind == "ml":
        return _known(case.volumes_ml.get(region))
    return _known((case.metrics or {}).get(region, {}).get(kind))


def cell(kind: str, value: float | None) -> str:
    """Return a table cell; a Dice gets a bar behind it."""
    if kind != "dice" or value is None:
        return f"<td>{shown(kind, value)}</td>"
    share = min(max(value, 0.0), 1.0)
    return f"<td class='dice'><i style='width:{100 * share:.0f}%'></i>{shown(kind, value)}</td>"


def shown(kind: str, value: float | None) -> str:
    """Return a value with the digits its kind deserves: mL and mm one, shares three (rates four)."""
    if value is None:
        return "–"
    if math.isinf(value):
        return "∞"
    if kind in ("ml", "mm", "hd95_mm"):
        return f"{value:.1f}" if value >= 10 or kind != "ml" else f"{value:.2f}"
    return f"{value:.4f}" if kind == "specificity" else f"{value:.3f}"
