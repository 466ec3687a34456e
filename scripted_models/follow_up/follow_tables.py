"""The tables of a follow-up: a row for each visit, and a row for each lesion at each visit."""

from collections.abc import Iterator

from scripted_models.follow_up.assessment import FollowUp
from scripted_models.follow_up.growth import Change, Series
from scripted_models.follow_up.response import PRODUCT, VOLUME
from scripted_models.labels import REGIONS

_SINCE = ("baseline", "nadir", "previous")
_CHANGES = tuple(
    f"{name}_since_{since}" for since in _SINCE for name in ("change", "percent", "within_error")
)
VISIT_COLUMNS = (
    *("visit", "date", "day", "is_baseline", "is_reference"),
    *(f"{region}_ml" for region in REGIONS),
    "resection_cavity_ml",
    *(
        f"{region}_{name.replace('change', 'ml', 1)}"
        for region in REGIONS
        for name in (*_CHANGES, "doubling_days_since_nadir", "doubling_days_since_previous")
    ),
    *("targets_mm2", "targets_percent_since_baseline", "targets_percent_since_nadir"),
    *("by_volume", "by_volume_confirmation", "by_product", "by_product_confirmation"),
    *("steroids_mg", "clinical"),
)
LESION_COLUMNS = (
    *("lesion", "is_target", "visit", "date", "day", "parts", "numbers", "event", "volume_ml"),
    *(name.replace("change", "ml", 1) for name in _CHANGES),
    *("doubling_days_since_nadir", "product_mm2", "longest_mm", "perpendicular_mm", "measurable"),
)


def visit_lines(found: FollowUp) -> Iterator[dict[str, object]]:
    """Yield a line for each visit; changes are in mL and in percent."""
    for index, visit in enumerate(found.visits):
        line: dict[str, object] = {
            **_when(found, index),
            "is_baseline": _yes(index == found.baseline),
            "is_reference": _yes(index == found.reference),
            "resection_cavity_ml": "" if visit.cavity_ml is None else round(visit.cavity_ml, 4),
            "steroids_mg": "" if visit.told.steroids_mg is None else visit.told.steroids_mg,
            "clinical": visit.told.clinical,
        }
        for region, series in found.regions.items():
            line[f"{region}_ml"] = round(series.values[index], 4)
            line |= {f"{region}_{name}": cell for name, cell in _changes(series, index).items()}
        if found.products is not None:
            line["targets_mm2"] = round(found.products.values[index], 1)
            for since, change in _since(found.products, index).items():
                if change is not None and change.percent is not None:
                    line[f"targets_percent_since_{since}"] = round(change.percent, 1)
        for measure in (VOLUME, PRODUCT):
            category = found.responses.get(measure, {}).get(index)
            if category is not None:
                line[f"by_{measure}"] = category.category
                line[f"by_{measure}_confirmation"] = category.confirmation
        yield line


def lesion_lines(found: FollowUp) -> Iterator[dict[str, object]]:
    """Yield a line for each lesion at each visit."""
    for track, series in zip(found.matched.tracks, found.lesions, strict=True):
        for index, parts in enumerate(track.parts):
            largest = max(parts, key=lambda part: part.product_mm2, default=None)
            lines = largest.lesion.diameters if largest else None
            yield {
                "lesion": track.name,
                "is_target": _yes(found.is_target(track)),
                **_when(found, index),
                "parts": " ".join(part.name for part in parts),
                "numbers": " ".join(str(part.lesion.number) for part in parts),
                "event": _events(found, index, {part.name for v in track.parts for part in v}),
                "volume_ml": round(series.values[index], 4),
                **_changes(series, index),
                "product_mm2": round(track.products_mm2[index], 1),
                "longest_mm": round(lines.longest_mm, 2) if lines else "",
                "perpendicular_mm": round(lines.perpendicular_mm, 2) if lines else "",
                "measurable": _yes(any(part.lesion.is_measurable for part in parts)),
            }


def _when(found: FollowUp, index: int) -> dict[str, object]:
    visit = found.visits[index]
    day = visit.moment.date.isoformat() if visit.moment.date else ""
    return {"visit": visit.name, "date": day, "day": visit.day}


def _since(series: Series, index: int) -> dict[str, Change | None]:
    changes = (series.since_baseline, series.since_nadir, series.since_previous)
    return {since: change(index) for since, change in zip(_SINCE, changes, strict=True)}


def _changes(series: Series, index: int) -> dict[str, object]:
    cells: dict[str, object] = {}
    for since, change in _since(series, index).items():
        if change is None:
            continue
        cells[f"ml_since_{since}"] = round(change.absolute, 4)
        if change.percent is not None:
            cells[f"percent_since_{since}"] = round(change.percent, 1)
        if change.is_within_error is not None:
            cells[f"within_error_since_{since}"] = _yes(change.is_within_error)
        if change.doubling_days is not None:
            cells[f"doubling_days_since_{since}"] = round(change.doubling_days, 1)
    return cells


def _events(found: FollowUp, index: int, names: set[str]) -> str:
    own = [e for e in found.events if e.visit == index and names & {*e.before, *e.after}]
    return "; ".join(event.text for event in own)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
