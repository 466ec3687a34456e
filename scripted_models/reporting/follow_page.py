"""The page about a follow-up: curves, tables, difference pictures, categories and their limits."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripted_models.follow_up.assessment import FollowUp
from scripted_models.follow_up.growth import Change, Series
from scripted_models.follow_up.response import LIMITS, PRODUCT, VOLUME, Category
from scripted_models.labels import REGION_NAMES
from scripted_models.pictures.render import png_bytes
from scripted_models.reporting.case_report import Picture
from scripted_models.reporting.cell_text import UNKNOWN, region_title
from scripted_models.reporting.follow_curves import HEIGHT, WIDTH, Curve, curve_of, number
from scripted_models.reporting.follow_pictures import difference_picture
from scripted_models.reporting.html_report import NOT_FOR_DIAGNOSIS
from scripted_models.reporting.rendering import render

_NAMES = {
    "CR": "complete response",
    "PR": "partial response",
    "MR": "minor response",
    "SD": "stable",
    "PD": "progression",
}
HOW_TO_READ = (
    "Squares are the baseline, rings the nadir. Thin lines are the error of the method at one "
    "visit. Days are counted from the baseline."
)


@dataclass(frozen=True)
class Answer:
    """A category at one visit, as the page words it.

    Attributes:
        visit: its name.
        measure: 'volume' or 'product'.
        text: what the calculation gives.
        reasons: sentences.
    """

    visit: str
    measure: str
    text: str
    reasons: Sequence[str]


def follow_page(found: FollowUp) -> str:
    """Return the page about a follow-up as HTML."""
    titles = [visit.name for visit in found.visits]
    return render(
        "follow_page.html.j2",
        title="Follow-up",
        not_for_diagnosis=NOT_FOR_DIAGNOSIS,
        facts=_facts(found),
        warnings=found.warnings,
        how_to_read=HOW_TO_READ,
        curves=_region_curves(found, titles),
        lesion_curves=_lesion_curves(found, titles),
        sheet=(WIDTH, HEIGHT),
        region_lines=_size_lines(found, found.regions, "mL"),
        lesion_lines=_lesion_lines(found),
        products=_size_lines(found, {"Targets": found.products}, "mm²") if found.products else [],
        targets=[t.name for t in found.matched.tracks if found.is_target(t)],
        events=_events(found),
        answers=_answers(found),
        limits=LIMITS,
        picture=_picture(found),
        visits=_visit_lines(found),
        error=_error(found),
    )


def _facts(found: FollowUp) -> dict[str, object]:
    visits, base = found.visits, found.visits[found.baseline]
    return {
        "visits": len(visits),
        "days": visits[-1].day - visits[0].day,
        "baseline": base.name,
        "registered_to": visits[found.reference].name,
        "lesions_of": REGION_NAMES[found.region],
        "target_lesions": ", ".join(t.name for t in found.matched.tracks if found.is_target(t))
        or "none is measurable at the baseline",
    }


def _region_curves(found: FollowUp, titles: Sequence[str]) -> list[Curve]:
    error = found.repeatability.percent
    curves = [
        curve_of(region_title(region), "mL", series, titles, error[region])
        for region, series in found.regions.items()
    ]
    if found.products is not None:
        title = "Product of diameters, targets"
        curves.append(curve_of(title, "mm²", found.products, titles, None))
    return curves


def _lesion_curves(found: FollowUp, titles: Sequence[str]) -> list[Curve]:
    error = found.repeatability.percent[found.region]
    return [
        curve_of(f"Lesion {track.name}", "mL", series, titles, error)
        for track, series in zip(found.matched.tracks, found.lesions, strict=True)
    ]


def _size_lines(found: FollowUp, sizes: Mapping[str, Series], unit: str) -> list[list[str]]:
    """Return titles, and for each size and visit a row with its changes."""
    head = ["Size", "Visit", unit, "since baseline", "since nadir", "since visit before"]
    lines = [[*head, "doubles in (days)"]]
    for name, series in sizes.items():
        for index, visit in enumerate(found.visits):
            marks = [
                word
                for word, at in (("baseline", series.baseline), ("nadir", series.nadir))
                if at == index
            ]
            title = f"{visit.name} ({', '.join(marks)})" if marks else visit.name
            nadir = series.since_nadir(index)
            growing = nadir.doubling_days if nadir else None
            lines.append(
                [
                    name,
                    title,
                    number(series.values[index]),
                    _change(series.since_baseline(index)),
                    _change(nadir),
                    _change(series.since_previous(index)),
                    UNKNOWN if growing is None else f"{growing:.0f}",
                ]
            )
    return lines


def _lesion_lines(found: FollowUp) -> list[list[str]]:
    """Return the same for lesions, with the product of the diameters, * where it is measurable."""
    tracks = found.matched.tracks
    named = {f"Lesion {t.name}": s for t, s in zip(tracks, found.lesions, strict=True)}
    head, *lines = _size_lines(found, named, "mL")
    products = [
        f"{number(track.products_mm2[visit])}{' *' * any(p.lesion.is_measurable for p in parts)}"
        for track in tracks
        for visit, parts in enumerate(track.parts)
    ]
    rows = zip(lines, products, strict=True)
    return [[*head[:3], "mm²", *head[3:]], *([*r[:3], product, *r[3:]] for r, product in rows)]


def _change(change: Change | None) -> str:
    if change is None:
        return UNKNOWN
    if not change.absolute:
        return "0"
    sign = "+" if change.absolute > 0 else "−"
    percent = "" if change.percent is None else f" ({sign}{abs(change.percent):.0f} %)"
    error = ", within error" if change.is_within_error else ""
    return f"{sign}{number(abs(change.absolute))}{percent}{error}"


def _events(found: FollowUp) -> list[str]:
    return [f"{found.visits[event.visit].name}: lesion {event.text}." for event in found.events]


def _answers(found: FollowUp) -> list[Answer]:
    answers = []
    for index, visit in enumerate(found.visits):
        for measure in (VOLUME, PRODUCT):
            category = found.responses.get(measure, {}).get(index)
            if category is not None:
                reasons = [f"{reason[:1].upper()}{reason[1:]}." for reason in category.reasons]
                answers.append(Answer(visit.name, measure, _answer(category), reasons))
    return answers


def _answer(category: Category) -> str:
    text = f"{category.category} ({_NAMES[category.category]})"
    if category.category != category.imaging:
        text += f"; of the images alone {category.imaging}"
    states = {"open": "to be confirmed", "": ""}
    state = states.get(category.confirmation, category.confirmation)
    return f"{text}, {state}" if state else text


def _picture(found: FollowUp) -> Picture | None:
    made = difference_picture(found)
    if made is None:
        return None
    source = "data:image/png;base64," + base64.b64encode(png_bytes(made.pixels)).decode("ascii")
    return Picture(source, made.caption)


def _visit_lines(found: FollowUp) -> list[list[str]]:
    """Return titles, and a row for each visit: when it was, how it was registered, what is told.

    The resection cavity has a column where any visit tells it.
    """
    lines = [
        ["Visit", "Date", "Day", "Moved (mm)", "Turned (°)", "Overlap", "Steroids", "Clinical"]
    ]
    cavities = [visit.cavity_ml for visit in found.visits]
    if any(ml is not None for ml in cavities):
        lines[0].append("Resection cavity (mL)")
    for index, visit in enumerate(found.visits):
        seen = found.alignments[index].registration
        overlap = seen.overlap if seen else None
        dose = visit.told.steroids_mg
        lines.append(
            [
                visit.name,
                visit.moment.date.isoformat() if visit.moment.date else UNKNOWN,
                str(visit.day - found.visits[found.baseline].day),
                f"{seen.moved_mm:.1f}" if seen else UNKNOWN,
                f"{seen.degrees:.1f}" if seen else UNKNOWN,
                UNKNOWN if overlap is None else f"{overlap:.3f}",
                UNKNOWN if dose is None else f"{dose:g} mg",
                visit.told.clinical or UNKNOWN,
            ]
        )
        if len(lines[0]) > len(lines[-1]):
            lines[-1].append(UNKNOWN if visit.cavity_ml is None else number(visit.cavity_ml))
    return lines


def _error(found: FollowUp) -> str:
    shares = ", ".join(
        f"{region} {percent:g} %" for region, percent in found.repeatability.percent.items()
    )
    return (
        f"Within the error of the method are changes of up to {shares}, and of "
        f"{found.repeatability.least_ml:g} mL at least: measured on moved and re-sliced copies of "
        "scans with 7 mL of tumor or more. Real repeat scans, and small lesions, differ by more."
    )
