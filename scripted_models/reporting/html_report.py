"""One self-contained HTML page about segmented cases: pictures, volumes, scores, warnings.

Pictures and style are inside the file and nothing is loaded or run. It can be mailed, archived and
opened without a network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean, median

from scripted_models import __version__
from scripted_models.evaluation.metrics import EMPTY_MASK_POLICY, METRICS
from scripted_models.labels import REGIONS
from scripted_models.reporting.case_report import CaseReport, case_section
from scripted_models.reporting.cell_text import REGIONS_NOTE
from scripted_models.reporting.rendering import render
from scripted_models.runtime.atomic_files import write_file

NOT_FOR_DIAGNOSIS = (
    "Research software: this report is not for diagnosis, treatment planning or any other clinical "
    "decision. The segmentation was made by a program and may be wrong anywhere."
)
_METRIC_TITLES = {
    "dice": "Dice",
    "sensitivity": "Sensitivity",
    "ppv": "PPV",
    "specificity": "Specificity",
    "hd95_mm": "HD95 (mm)",
}
_GROUPS = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "ml": "Predicted volume (mL)"}


@dataclass(frozen=True)
class Summary:
    """The table of all cases.

    Attributes:
        order: which cases come first.
        groups: titles, each over the columns of the three regions.
        columns: kind of value and region.
        averages: name, and a value for each column; none for a single case.
    """

    order: str
    groups: list[str]
    columns: list[tuple[str, str]]
    averages: list[tuple[str, list[float | None]]]


def write_html_report(
    path: Path,
    cases: Sequence[CaseReport],
    title: str,
    facts: Mapping[str, object] | None = None,
) -> Path:
    """Write one HTML file about all cases, whole or not at all; the lowest mean Dice comes first.

    Args:
        path: destination in an existing folder.
        cases: the cases in any order.
        title: heading of the page.
        facts: facts of the whole run; model, version, date, device and seconds come from the cases.

    Returns:
        The path.

    Raises:
        ResourceError: the file cannot be written.
        ValueError: a picture is neither a PNG nor a uint8 RGB array.
    """
    path = Path(path)
    write_file(path, html_report(cases, title, facts))
    return path


def html_report(
    cases: Sequence[CaseReport],
    title: str,
    facts: Mapping[str, object] | None = None,
) -> str:
    """Return the page that `write_html_report` writes."""
    cases = worst_first(cases)
    shared = _shared_facts(cases)
    return render(
        "html_report.html.j2",
        title=title,
        not_for_diagnosis=NOT_FOR_DIAGNOSIS,
        facts=_head_facts(cases, shared) | dict(facts or {}),
        cases=cases,
        summary=_summary(cases),
        regions_note=REGIONS_NOTE,
        sections=[case_section(case, shared) for case in cases],
        metrics={metric: _METRIC_TITLES[metric] for metric in METRICS},
        empty_mask_policy=EMPTY_MASK_POLICY,
    )


def worst_first(cases: Sequence[CaseReport]) -> list[CaseReport]:
    """Sort by mean Dice over the regions, lowest first; then cases without scores, warned first."""

    def badness(case: CaseReport) -> tuple[bool, float]:
        score = case.mean_dice
        return score is None, -len(case.warnings) if score is None else score

    return sorted(cases, key=badness)


# ---------------------------------------------------------------- head


def _shared_facts(cases: list[CaseReport]) -> dict[str, object]:
    """Return the facts that all cases state alike; times of several cases never count as alike."""
    if not cases:
        return {}
    first, *others = (case.facts for case in cases)
    return {
        name: value
        for name, value in first.items()
        if (name != "seconds" or not others)
        and all(name in other and other[name] == value for other in others)
    }


def _head_facts(cases: list[CaseReport], shared: dict[str, object]) -> dict[str, object]:
    """Return what is true of the whole run; seconds are means over the cases that state them."""
    now = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z")
    head = shared | {"version": f"scripted_models {__version__}", "date": now, "cases": len(cases)}
    stated = (case.facts.get("seconds") for case in cases)
    times = [seconds for seconds in stated if isinstance(seconds, Mapping)]
    if times:
        stages = dict.fromkeys(stage for seconds in times for stage in seconds)
        mean = {stage: fmean(t[stage] for t in times if stage in t) for stage in stages}
        mean.setdefault("total", sum(mean.values()))
        head["seconds" if len(cases) == 1 else "seconds per case (mean)"] = mean
    return head


# ---------------------------------------------------------------- summary


def _summary(cases: list[CaseReport]) -> Summary:
    scored = any(case.metrics for case in cases)
    kinds = list(_GROUPS) if scored else ["ml"]
    columns = [(kind, region) for kind in kinds for region in REGIONS]
    order = "Lowest mean Dice first" if scored else "Cases with warnings first"
    return Summary(order, [_GROUPS[kind] for kind in kinds], columns, _averages(cases, columns))


def _averages(
    cases: list[CaseReport], columns: list[tuple[str, str]]
) -> list[tuple[str, list[float | None]]]:
    if len(cases) < 2:
        return []
    values = [[v for case in cases if (v := case.value(*column)) is not None] for column in columns]
    return [
        (name, [statistic(column) if column else None for column in values])
        for name, statistic in (("Mean", fmean), ("Median", median))
    ]
