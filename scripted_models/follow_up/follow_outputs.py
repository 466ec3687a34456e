"""What a follow-up leaves on disk: follow.json, follow.csv, lesions.csv, and a page beside them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from scripted_models import __version__
from scripted_models.errors import InputError
from scripted_models.follow_up.assessment import FollowUp
from scripted_models.follow_up.follow_tables import (
    LESION_COLUMNS,
    VISIT_COLUMNS,
    lesion_lines,
    visit_lines,
)
from scripted_models.follow_up.growth import Change, Series
from scripted_models.follow_up.matching import (
    LEAST_ML,
    LEAST_SHARE,
    TOLERANCE_MM,
    Event,
    Part,
    Track,
)
from scripted_models.follow_up.repeatability import SOURCE
from scripted_models.follow_up.response import LIMITS, RULES, Category
from scripted_models.runtime.atomic_files import write_together
from scripted_models.runtime.csv_text import csv_of_lines
from scripted_models.runtime.structured_text import read_json

FORMAT = "scripted_models follow-up 1"
FACTS, TABLE, LESIONS, PAGE = "follow.json", "follow.csv", "lesions.csv", "follow.html"


def write_follow_up(folder: Path, found: FollowUp, page: str) -> dict[str, Path]:
    """Write facts, tables and page, all or none of them.

    Args:
        folder: made when absent; former ones of the same visits are replaced.
        found: what was calculated.
        page: content of the HTML page.

    Returns:
        Name of each file -> its path.

    Raises:
        InputError: the folder holds the follow-up of other visits.
        ResourceError: it cannot be written.
    """
    refuse_others(folder, [str(os.path.abspath(visit.place)) for visit in found.visits])
    contents = {
        FACTS: json.dumps(facts_of(found), indent=2) + "\n",
        TABLE: csv_of_lines(VISIT_COLUMNS, visit_lines(found)),
        LESIONS: csv_of_lines(LESION_COLUMNS, lesion_lines(found)),
        PAGE: page,
    }
    write_together(folder, contents)
    return {name: folder / name for name in contents}


def refuse_others(folder: Path, places: list[str]) -> None:
    """Refuse to replace the follow-up of other visits, or files that nobody knows.

    Args:
        folder: of the outputs.
        places: absolute paths of the visits.

    Raises:
        InputError: it holds such files.
    """
    there = [name for name in (FACTS, TABLE, LESIONS, PAGE) if os.path.lexists(folder / name)]
    if not there:
        return
    try:
        known = read_json(folder / FACTS)
        former = {str(visit["place"]) for visit in known["visits"]}
    except (OSError, ValueError, TypeError, KeyError):
        former = set()
    if former.isdisjoint(places):
        raise InputError(
            found=f"a follow-up of other visits ({', '.join(there)})",
            expected="a folder for this one, empty or with a former one of these visits",
            action="choose another --output, or move this folder away",
            path=folder,
        )


def facts_of(found: FollowUp) -> dict[str, object]:
    """Return all that is known, as values for JSON; docs/follow-up.md describes them."""
    return {
        "format": FORMAT,
        "baseline": found.visits[found.baseline].name,
        "reference": found.visits[found.reference].name,
        "lesion_region": found.region,
        "necrosis": found.choices.necrosis,
        "radiotherapy_day": found.choices.radiotherapy_day,
        "visits": [_visit(found, index) for index in range(len(found.visits))],
        "regions": {
            region: _series(found, series, "ml") for region, series in found.regions.items()
        },
        "lesions": [
            _lesion(found, track, series)
            for track, series in zip(found.matched.tracks, found.lesions, strict=True)
        ],
        "events": [_event(found, event) for event in found.events],
        "small_parts_ml": [round(ml, 4) for ml in found.small_parts_ml],
        "targets": [track.name for track in found.matched.tracks if found.is_target(track)],
        "products": found.products and _series(found, found.products, "mm2"),
        "responses": {
            measure: [
                {"visit": found.visits[visit].name, **_category(found, category)}
                for visit, category in by_visit.items()
            ]
            for measure, by_visit in found.responses.items()
        },
        "rules": _rules(found),
        "limits": LIMITS,
        "warnings": list(found.warnings),
        "versions": {"scripted_models": __version__},
    }


def _rules(found: FollowUp) -> dict[str, object]:
    """Return thresholds, matching and error as they were used."""
    return {
        "thresholds_percent": {
            rule.measure: {
                "partial": rule.partial,
                "minor": rule.minor,
                "progression": rule.progression,
            }
            for rule in RULES
        },
        "matching": {
            "least_ml": LEAST_ML,
            "least_share": LEAST_SHARE,
            "tolerance_mm": TOLERANCE_MM,
        },
        "repeatability": {
            "percent": dict(found.repeatability.percent),
            "least_ml": found.repeatability.least_ml,
            "source": SOURCE,
        },
    }


def _event(found: FollowUp, event: Event) -> dict[str, object]:
    return {
        "visit": found.visits[event.visit].name,
        "kind": event.kind,
        "before": list(event.before),
        "after": list(event.after),
    }


def _visit(found: FollowUp, index: int) -> dict[str, object]:
    visit, alignment = found.visits[index], found.alignments[index]
    registration = alignment.registration
    moved = registration and {
        "moved_mm": round(registration.moved_mm, 2),
        "turned_degrees": round(registration.degrees, 2),
        "overlap": None if registration.overlap is None else round(registration.overlap, 4),
        "mutual_information": round(registration.information, 4),
        "is_doubtful": bool(alignment.problems),
    }
    return {
        "name": visit.name,
        "date": visit.moment.date.isoformat() if visit.moment.date else None,
        "day": visit.day,
        "days_since_baseline": visit.day - found.visits[found.baseline].day,
        "date_from": visit.moment.source,
        "place": os.path.abspath(visit.place),
        "segmentation": os.path.abspath(visit.segmentation),
        "sequence": visit.sequence or None,
        "resection_cavity_ml": None if visit.cavity_ml is None else round(visit.cavity_ml, 4),
        "steroids_mg": visit.told.steroids_mg,
        "clinical": visit.told.clinical or None,
        "confirmed": visit.told.confirmed,
        "registration": moved,
        "reference_to_visit_lps": [[round(v, 6) for v in row] for row in alignment.matrix],
    }


def _series(found: FollowUp, series: Series, unit: str) -> dict[str, object]:
    digits = 4 if unit == "ml" else 1
    visits = range(len(series.values))
    return {
        f"values_{unit}": [round(value, digits) for value in series.values],
        "nadir": found.visits[series.nadir].name,
        "since_baseline": [_change(found, series.since_baseline(v), unit) for v in visits],
        "since_nadir": [_change(found, series.since_nadir(v), unit) for v in visits],
        "since_previous": [_change(found, series.since_previous(v), unit) for v in visits],
    }


def _change(found: FollowUp, change: Change | None, unit: str) -> Mapping[str, object] | None:
    if change is None:
        return None
    rounded = {"percent": change.percent, "doubling_days": change.doubling_days}
    return {
        "since": found.visits[change.since].name,
        unit: round(change.absolute, 4 if unit == "ml" else 1),
        **{name: None if v is None else round(v, 1) for name, v in rounded.items()},
        "within_error": change.is_within_error,
    }


def _lesion(found: FollowUp, track: Track, series: Series) -> dict[str, object]:
    return {
        "name": track.name,
        "is_target": found.is_target(track),
        "first_seen": found.visits[min(found.matched.born[root] for root in track.roots)].name,
        **_series(found, series, "ml"),
        "products_mm2": [round(value, 1) for value in track.products_mm2],
        "parts": [[_part(part) for part in parts] for parts in track.parts],
    }


def _part(part: Part) -> dict[str, object]:
    lines = part.lesion.diameters
    return {
        "name": part.name,
        "number": part.lesion.number,
        "volume_ml": round(part.lesion.volume_ml, 4),
        "longest_mm": round(lines.longest_mm, 2) if lines else None,
        "perpendicular_mm": round(lines.perpendicular_mm, 2) if lines else None,
        "measurable": part.lesion.is_measurable,
        "centroid_lps_mm": [round(value, 2) for value in part.lesion.centroid_lps_mm],
    }


def _category(found: FollowUp, category: Category) -> dict[str, object]:
    unit = "ml" if category.measure == "volume" else "mm2"
    return {
        "imaging": category.imaging,
        "category": category.category,
        "confirmation": category.confirmation or None,
        "since_baseline": _change(found, category.since_baseline, unit),
        "since_nadir": _change(found, category.since_nadir, unit),
        "reasons": list(category.reasons),
    }
