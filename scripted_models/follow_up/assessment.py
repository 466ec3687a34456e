"""All visits of a patient compared: regions, lesions, events, categories."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from scripted_models.follow_up.alignment import Alignment, align, brought, matching_grid
from scripted_models.follow_up.choices import Choices, Wanted, choices_of
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
from scripted_models.follow_up.visit_doubts import doubts_of_visits
from scripted_models.geometry import Grid
from scripted_models.labels import ENHANCING, NON_ENHANCING, REGIONS, region_mask
from scripted_models.measurement.diameters import Necrosis
from scripted_models.measurement.lesions import Lesions, find_lesions
from scripted_models.measurement.volumes import measure
from scripted_models.runtime.progress import Progress

MOST_TARGETS = 3  # the largest measurable lesions of the baseline


@dataclass(frozen=True, eq=False)
class FollowUp:
    """What became of a patient's tumor.

    Attributes:
        visits: in the order of time.
        alignments: of each visit, to the reference.
        choices: baseline, reference, region of the lesions, end of a radiotherapy.
        regions: region -> its volume at each visit, mL.
        matched: the lesions.
        lesions: track -> volume at each visit, mL, in the order of `matched.tracks`.
        targets: roots of the lesions whose products are summed.
        products: sum of the products of the targets at each visit, mm2; None without any target.
        responses: measure -> index of a visit -> category.
        warnings: sentences.
        repeatability: error of the method.
    """

    visits: tuple[Visit, ...]
    alignments: tuple[Alignment, ...]
    choices: Choices
    regions: Mapping[str, Series]
    matched: Matched
    lesions: tuple[Series, ...]
    targets: frozenset[int]
    products: Series | None
    responses: Mapping[str, Mapping[int, Category]]
    warnings: tuple[str, ...]
    repeatability: Repeatability = field(default=MEASURED)

    @property
    def baseline(self) -> int:
        """Index of the visit from which on changes are judged."""
        return self.choices.baseline

    @property
    def reference(self) -> int:
        """Index of the visit to which the others are registered."""
        return self.choices.reference

    @property
    def region(self) -> str:
        """Region of the lesions."""
        return self.choices.region

    @property
    def events(self) -> tuple[Event, ...]:
        """What happened to lesions, in the order of time."""
        return self.matched.events

    @property
    def small_parts_ml(self) -> list[float]:
        """Volume at each visit of what is too small for a lesion."""
        whole = self.regions[self.region].values
        return [max(0.0, ml - sum(s.values[v] for s in self.lesions)) for v, ml in enumerate(whole)]

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
    choices = choices_of(visits, wanted)
    progress.stage("register", 0.0)
    alignments = align(visits, choices.reference, lambda share: progress.update(0.8 * share))
    progress.stage("match", 0.8)
    matched = _matched(visits, alignments, choices)
    progress.update(1.0)
    error, baseline = wanted.repeatability, choices.baseline
    days, explains = _days(visits), _explains(error, choices.region)
    regions = _regions(visits, baseline, error)
    targets = _targets(matched, baseline)
    products = _products(matched, targets, days, baseline)
    seen = _seen(visits, alignments, matched, targets, baseline)
    sizes = {VOLUME: regions[choices.region], PRODUCT: products}
    told = (seen, choices.region == "ET", choices.radiotherapy_day)
    return FollowUp(
        visits=tuple(visits),
        alignments=tuple(alignments),
        choices=choices,
        regions=regions,
        matched=matched,
        lesions=tuple(Series(t.volumes_ml, days, baseline, explains) for t in matched.tracks),
        targets=targets,
        products=products,
        responses={
            rule.measure: categories(rule, series, *told)
            for rule in RULES
            if (series := sizes[rule.measure]) is not None
        },
        warnings=tuple(doubts_of_visits(visits, alignments, wanted.lesions, choices.region)),
        repeatability=error,
    )


def _days(visits: Sequence[Visit]) -> tuple[int, ...]:
    return tuple(visit.day for visit in visits)


def _matched(visits: Sequence[Visit], alignments: Sequence[Alignment], choices: Choices) -> Matched:
    found = [lesions_of(visit, choices.region, choices.necrosis) for visit in visits]
    grid = matching_grid(visits, alignments, visits[choices.reference].grid)
    placed = [
        _placed(lesions, visit, alignment, grid)
        for lesions, visit, alignment in zip(found, visits, alignments, strict=True)
    ]
    return match_lesions(found, placed)


def lesions_of(visit: Visit, region: str, necrosis: Necrosis = "excluded") -> Lesions:
    """Find the lesions of a region, whatever else the visit shows.

    Args:
        visit: any.
        region: 'ET' or 'WT'.
        necrosis: whether diameters may cross it.
    """
    labels = visit.labels
    if region == "ET" and not region_mask(labels, "ET").any():
        return Lesions("ET", np.zeros(labels.shape, np.uint16), necrosis=necrosis)
    if region == "WT":  # the enhancing tumor counts as any other part
        labels = np.where(labels == ENHANCING, NON_ENHANCING, labels).astype(np.uint8)
    return find_lesions(labels, visit.grid, necrosis=necrosis)


def _placed(lesions: Lesions, visit: Visit, alignment: Alignment, grid: Grid | None) -> np.ndarray:
    if grid is None:
        return np.zeros((1, 1, 1), np.uint16)
    return brought(lesions.numbers, visit.grid, alignment, grid)


def _explains(error: Repeatability, region: str) -> Callable[[float, float], bool]:
    return lambda before, after: error.explains(region, before, after)


def _regions(visits: Sequence[Visit], baseline: int, error: Repeatability) -> dict[str, Series]:
    days = _days(visits)
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
