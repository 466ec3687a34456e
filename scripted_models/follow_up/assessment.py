"""All visits of a patient compared: regions, lesions, events, categories."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from scripted_models.cases.time_points import is_time_point, without_time_point
from scripted_models.errors import InputError, listed
from scripted_models.follow_up.alignment import Alignment, align, brought, matching_grid
from scripted_models.follow_up.growth import Series
from scripted_models.follow_up.matching import Event, Matched, Part, Track, match_lesions
from scripted_models.follow_up.repeatability import MEASURED, Repeatability
from scripted_models.follow_up.response import (
    PRODUCT,
    RULES,
    VOLUME,
    Category,
    Seen,
    categories,
)
from scripted_models.follow_up.visit_data import Visit
from scripted_models.geometry import Grid
from scripted_models.labels import ENHANCING, NON_ENHANCING, REGIONS, region_mask
from scripted_models.measurement.lesions import Lesions, find_lesions
from scripted_models.measurement.volumes import measure
from scripted_models.runtime.progress import Progress

MOST_TARGETS = 3  # the largest measurable lesions of the baseline
LESIONS_OF = ("auto", "ET", "WT")


@dataclass(frozen=True)
class Wanted:
    """How visits are compared.

    Attributes:
        baseline: name of the visit; empty: the first, or the first after the radiotherapy.
        reference: name of the visit to which the others are registered; empty: the baseline.
        lesions: region of the lesions; 'auto': ET, and WT where no visit has any.
        radiotherapy: when it ended; None: not told.
        repeatability: error of the method.
    """

    baseline: str = ""
    reference: str = ""
    lesions: str = "auto"
    radiotherapy: date | int | None = None
    repeatability: Repeatability = MEASURED


@dataclass(frozen=True, eq=False)
class FollowUp:
    """What became of a patient's tumor.

    Attributes:
        visits: in the order of time.
        alignments: of each visit, to the reference.
        baseline: index of a visit.
        reference: index of a visit.
        region: of the lesions.
        regions: region -> its volume at each visit, mL.
        matched: the lesions.
        lesions: track -> volume at each visit, mL, in the order of `matched.tracks`.
        targets: roots of the lesions whose products are summed.
        products: sum of the products of the targets at each visit, mm2; None without any target.
        responses: measure -> index of a visit -> category.
        radiotherapy_day: when it ended, counted as the visits' days; None: not told.
        warnings: sentences.
    """

    visits: tuple[Visit, ...]
    alignments: tuple[Alignment, ...]
    baseline: int
    reference: int
    region: str
    regions: Mapping[str, Series]
    matched: Matched
    lesions: tuple[Series, ...]
    targets: frozenset[int]
    products: Series | None
    responses: Mapping[str, Mapping[int, Category]]
    radiotherapy_day: int | None
    warnings: tuple[str, ...]
    repeatability: Repeatability = field(default=MEASURED)

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened to lesions, in the order of time."""
        return self.matched.events

    def is_target(self, track: Track) -> bool:
        """Whether the products of a lesion are summed."""
        return bool(track.roots & self.targets)


def assess(
    visits: Sequence[Visit], wanted: Wanted | None = None, progress: Progress | None = None
) -> FollowUp:
    """Compare the visits of a patient.

    Args:
        visits: at least two, in the order of time.
        wanted: options.
        progress: told about stages.

    Raises:
        InputError: a visit that is named and is not there, or no region that all visits can tell.
    """
    wanted, progress = wanted or Wanted(), progress or Progress()
    after = _radiotherapy_day(visits, wanted.radiotherapy)
    baseline = _baseline(visits, wanted.baseline, after)
    reference = _named(visits, wanted.reference, "--reference", baseline)
    progress.stage("register", 0.0)
    alignments = align(visits, reference, lambda share: progress.update(0.8 * share))
    progress.stage("match", 0.8)
    region = _lesion_region(visits, wanted.lesions)
    found = [lesions_of(visit, region) for visit in visits]
    grid = matching_grid(visits, alignments, visits[reference].grid)
    placed = [
        _placed(lesions, visit, alignment, grid)
        for lesions, visit, alignment in zip(found, visits, alignments, strict=True)
    ]
    matched = match_lesions(found, placed)
    progress.update(1.0)
    regions = _regions(visits, baseline, wanted.repeatability)
    days = tuple(visit.day for visit in visits)
    explains = _explains(wanted.repeatability, region)
    targets = _targets(matched, baseline)
    products = _products(matched, targets, days, baseline)
    seen = _seen(visits, alignments, matched, targets, baseline)
    sizes = {VOLUME: regions[region], PRODUCT: products}
    return FollowUp(
        visits=tuple(visits),
        alignments=tuple(alignments),
        baseline=baseline,
        reference=reference,
        region=region,
        regions=regions,
        matched=matched,
        lesions=tuple(
            Series(track.volumes_ml, days, baseline, explains) for track in matched.tracks
        ),
        targets=targets,
        products=products,
        responses={
            rule.measure: categories(rule, series, seen, region == "ET", after)
            for rule in RULES
            if (series := sizes[rule.measure]) is not None
        },
        radiotherapy_day=after,
        warnings=tuple(_warnings(visits, alignments, wanted.lesions, region)),
        repeatability=wanted.repeatability,
    )


def lesions_of(visit: Visit, region: str) -> Lesions:
    """Find the lesions of a region, whatever else the visit shows.

    Args:
        visit: any.
        region: 'ET' or 'WT'.
    """
    labels = visit.labels
    if region == "ET" and not region_mask(labels, "ET").any():
        return Lesions("ET", np.zeros(labels.shape, np.uint16))
    if region == "WT":  # the enhancing tumor counts as any other part
        labels = np.where(labels == ENHANCING, NON_ENHANCING, labels).astype(np.uint8)
    return find_lesions(labels, visit.grid)


def _placed(lesions: Lesions, visit: Visit, alignment: Alignment, grid: Grid | None) -> np.ndarray:
    if grid is None:
        return np.zeros((1, 1, 1), np.uint16)
    return brought(lesions.numbers, visit.grid, alignment, grid)


def _baseline(visits: Sequence[Visit], name: str, after: int | None) -> int:
    if name or after is None:
        return _named(visits, name, "--baseline", 0)
    later = [index for index, visit in enumerate(visits) if visit.day >= after]
    if not later or later[0] == len(visits) - 1:
        raise InputError(
            found=f"{len(later) or 'no'} visit after the end of the radiotherapy",
            expected="at least two, of which the first is the baseline",
            action="correct the date, or name another baseline with --baseline",
        )
    return later[0]


def _named(visits: Sequence[Visit], name: str, option: str, otherwise: int) -> int:
    names = [visit.name for visit in visits]
    if not name:
        return otherwise
    if name not in names:
        raise InputError(
            found=f"{option} {name}", expected=f"one of the visits {listed(names)}", action=""
        )
    if option == "--baseline" and names.index(name) == len(names) - 1:
        raise InputError(
            found=f"{option} {name}, the last visit",
            expected="a visit that others follow",
            action="name another",
        )
    return names.index(name)


def _radiotherapy_day(visits: Sequence[Visit], end: date | int | None) -> int | None:
    """Return the end of a radiotherapy counted as the days of the visits."""
    if end is None or isinstance(end, int):
        return end
    first = next((visit for visit in visits if visit.moment.date), None)
    if first is None or first.moment.date is None:
        raise InputError(
            found="a date of the radiotherapy, and visits with days alone",
            expected="a day for it, or dates of the visits",
            action="give its day",
        )
    return (end - first.moment.date).days + first.day


def _lesion_region(visits: Sequence[Visit], wanted: str) -> str:
    if wanted == "auto":
        enhances = any(region_mask(visit.labels, "ET").any() for visit in visits)
        wanted = "ET" if enhances and all("ET" in visit.regions for visit in visits) else "WT"
    lacking = [visit.name for visit in visits if wanted not in visit.regions]
    if lacking:
        raise InputError(
            found=f"labels that cannot tell {wanted} ({listed(lacking)})",
            expected=f"visits that tell {wanted}",
            action="choose others, or another region with --lesions",
        )
    return wanted


def _explains(error: Repeatability, region: str) -> Callable[[float, float], bool]:
    return lambda before, after: error.explains(region, before, after)


def _regions(visits: Sequence[Visit], baseline: int, error: Repeatability) -> dict[str, Series]:
    days = tuple(visit.day for visit in visits)
    sizes = [{m.name: m.volume_ml for m in measure(visit.labels, visit.grid)} for visit in visits]
    return {
        region: Series(
            tuple(size[region] for size in sizes), days, baseline, _explains(error, region)
        )
        for region in REGIONS
        if all(region in visit.regions for visit in visits)
    }


def _targets(matched: Matched, baseline: int) -> frozenset[int]:
    """Return the roots of the largest measurable lesions of the baseline, by their products."""
    parts = [
        part
        for track in matched.tracks
        for part in track.parts[baseline]
        if part.lesion.is_measurable
    ]
    parts.sort(key=lambda part: -part.product_mm2)
    return frozenset[int]().union(*(part.roots for part in parts[:MOST_TARGETS]))


def _products(
    matched: Matched, targets: frozenset[int], days: tuple[int, ...], baseline: int
) -> Series | None:
    if not targets:
        return None
    sums = [
        sum(p.product_mm2 for t in matched.tracks for p in t.parts[visit] if p.roots & targets)
        for visit in range(len(days))
    ]
    return Series(tuple(sums), days, baseline)


def _seen(
    visits: Sequence[Visit],
    alignments: Sequence[Alignment],
    matched: Matched,
    targets: frozenset[int],
    baseline: int,
) -> list[Seen]:
    def at(index: int) -> list[Part]:
        return [part for track in matched.tracks for part in track.parts[index]]

    before = frozenset[int]().union(*(p.roots for p in at(baseline) if p.lesion.is_measurable))
    seen = []
    for index, visit in enumerate(visits):
        parts = at(index)
        measurable = [part for part in parts if part.lesion.is_measurable]
        new = [part for part in measurable if _is_new(part, matched, baseline)]
        grown = [p for p in measurable if p not in new and not p.roots & before]
        seen.append(
            Seen(
                name=visit.name,
                day=visit.day,
                new_measurable=tuple(part.name for part in new),
                has_measurable=bool(measurable),
                told=visit.told,
                is_doubtful=bool(alignments[index].problems),
                grown=tuple(part.name for part in grown),
                has_others=any(not part.roots & targets for part in parts),
            )
        )
    return seen


def _is_new(part: Part, matched: Matched, baseline: int) -> bool:
    return all(matched.born[root] > baseline for root in part.roots)


def _warnings(
    visits: Sequence[Visit], alignments: Sequence[Alignment], wanted: str, region: str
) -> list[str]:
    """Return what the user should know, as sentences."""
    told = [note for visit in visits for note in visit.notes]
    told += [problem.sentence for alignment in alignments for problem in alignment.problems]
    stems = {without_time_point(visit.name) for visit in visits}
    named = sorted(stem for stem in stems if re.search(r"\d", stem) and not is_time_point(stem))
    if len(named) > 1:
        told.append(
            f"Found names of {len(named)} patients ({listed(named)}), expected one; check that all "
            "visits are of the same patient."
        )
    patients = dict.fromkeys(visit.patient for visit in visits if visit.patient)
    if len(patients) > 1:
        told.append(
            f"Found {len(patients)} patient numbers in DICOM, expected one; check that all visits "
            "are of the same patient."
        )
    if region == "WT" and wanted == "auto":
        told.append(
            "No visit has enhancing tumor that all can tell: the lesions are those of the whole "
            "tumor."
        )
    return told
