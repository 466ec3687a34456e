"""Lesions of several visits matched to each other, by overlap in the space of one visit.

The rule, visit by visit in the order of time:

- A lesion is that of a former visit when both share at least 10 % of the smaller one's voxels.
- One that shares none with any belongs to the nearest one within 3 mm, as registrations are off by
  one or two. What is farther from all lesions that were ever seen is new.
- One lesion that becomes several has split (1 becomes 1a and 1b), several that become one have
  merged (1 and 2 become 1+2). A lesion without a successor has vanished; its place is kept, so that
  it can return.
- Parts below 0.05 mL, the 50 voxels of 1 mm below which the BraTS challenges of 2023 leave lesions
  out, count for their region only.

What has ever split or merged is one track: its volume is the sum of its parts, so that a curve has
no steps where voxels touch by chance.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import listed
from scripted_models.measurement.lesions import Lesion, Lesions

LEAST_ML = 0.05
LEAST_SHARE = 0.1  # of the smaller of two
TOLERANCE_MM = 3.0
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Part:
    """A lesion of one visit.

    Attributes:
        name: such as '1', '1a' or '1+2'.
        roots: numbers of the lesions that it comes from.
        lesion: as it was measured on the visit's own grid.
    """

    name: str
    roots: frozenset[int]
    lesion: Lesion

    @property
    def product_mm2(self) -> float:
        """Product of the two diameters; 0 without any."""
        lines = self.lesion.diameters
        return lines.longest_mm * lines.perpendicular_mm if lines else 0.0


@dataclass(frozen=True)
class Event:
    """What happened to lesions between two visits.

    Attributes:
        visit: index of the later visit.
        kind: 'new', 'vanished', 'returned', 'split', 'merged' or 'regrouped' (several to several).
        before: names of the lesions before.
        after: names of the lesions after.
    """

    visit: int
    kind: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def text(self) -> str:
        """What happened, such as '1 split into 1a and 1b'."""
        before, after = listed(self.before), listed(self.after)
        return {
            "new": f"{after} is new",
            "vanished": f"{before} has vanished",
            "returned": f"{after} has returned",
            "split": f"{before} has split into {after}",
            "merged": f"{before} have merged",
            "regrouped": f"{before} have become {after}",
        }[self.kind]


@dataclass(frozen=True)
class Track:
    """A lesion over all visits, with all that it split into or merged with.

    Attributes:
        name: its numbers, such as '1' or '1+2'.
        roots: the numbers.
        parts: of each visit, the largest first.
    """

    name: str
    roots: frozenset[int]
    parts: tuple[tuple[Part, ...], ...]

    @property
    def volumes_ml(self) -> tuple[float, ...]:
        """Sum of the parts at each visit."""
        return tuple(sum(part.lesion.volume_ml for part in parts) for parts in self.parts)

    @property
    def products_mm2(self) -> tuple[float, ...]:
        """Sum of the products of the diameters at each visit."""
        return tuple(sum(part.product_mm2 for part in parts) for parts in self.parts)


@dataclass(frozen=True)
class Matched:
    """The lesions of all visits.

    Attributes:
        tracks: by number.
        events: in the order of time.
        born: number of a lesion -> visit at which it was first seen.
    """

    tracks: tuple[Track, ...]
    events: tuple[Event, ...]
    born: dict[int, int]


@dataclass(eq=False)
class _Known:
    """A lesion as it was last seen: flat indices of its voxels."""

    name: str
    roots: frozenset[int]
    voxels: np.ndarray = field(repr=False)
    is_there: bool = True


@dataclass
class _Group:
    """Known lesions and lesions of a visit that belong together."""

    known: list[_Known]
    numbers: list[int]


def match_lesions(found: Sequence[Lesions], numbers: Sequence[np.ndarray]) -> Matched:
    """Match the lesions of visits in the order of time.

    Args:
        found: lesions of each visit, measured on its own grid.
        numbers: the same numbers, uint16 (z, y, x), on one grid of 1 mm for all visits.
    """
    known: list[_Known] = []
    events: list[Event] = []
    born: dict[int, int] = {}
    children: dict[frozenset[str], str] = {}
    by_visit: list[list[Part]] = []
    for visit, (lesions, placed) in enumerate(zip(found, numbers, strict=True)):
        groups = list(_groups(known, lesions, placed))
        parts: list[Part] = []
        for group in groups:
            parts += _continued(group, visit, lesions, placed, known, events, born, children)
        by_visit.append(parts)
    return Matched(_tracks(by_visit), tuple(events), born)


def _continued(
    group: _Group,
    visit: int,
    lesions: Lesions,
    placed: np.ndarray,
    known: list[_Known],
    events: list[Event],
    born: dict[int, int],
    children: dict[frozenset[str], str],
) -> list[Part]:
    """Name the lesions of a group, note what happened, and remember where they are."""
    before = group.known
    if not group.numbers:
        for lost in (one for one in before if one.is_there):
            events.append(Event(visit, "vanished", (lost.name,), ()))
            lost.is_there = False
        return []
    if not before:
        root = len(born) + 1
        born[root] = visit
        names, roots = [str(root)], frozenset([root])
    else:
        names = _names([one.name for one in before], len(group.numbers), children)
        roots = frozenset().union(*(one.roots for one in before))
    kind = _kind(before, len(names), visit)
    if kind:
        events.append(Event(visit, kind, tuple(one.name for one in before), tuple(names)))
    for one in before:
        known.remove(one)
    flat = placed.ravel()
    for name, number in zip(names, group.numbers, strict=True):
        known.append(_Known(name, roots, np.flatnonzero(flat == number)))
    items = [lesions.items[number - 1] for number in group.numbers]
    return [Part(name, roots, item) for name, item in zip(names, items, strict=True)]


def _kind(before: Sequence[_Known], after: int, visit: int) -> str:
    if not before:
        return "new" if visit else ""
    if len(before) == 1 and after == 1:
        return "" if before[0].is_there else "returned"
    if len(before) == 1:
        return "split"
    return "merged" if after == 1 else "regrouped"


def _names(before: Sequence[str], count: int, children: dict[frozenset[str], str]) -> list[str]:
    """Return names of what some lesions became; parts that are joined again get the old name."""
    ordered = sorted(before, key=_natural)
    name = ordered[0] if len(ordered) == 1 else children.get(frozenset(before), "+".join(ordered))
    if count == 1:
        return [name]
    base = f"({name})" if "+" in name and not name.endswith(")") else name
    marks = [str(n + 1) for n in range(count)]
    if not base[-1].isalpha():
        marks = [_LETTERS[n] if n < len(_LETTERS) else f"z{n}" for n in range(count)]
    names = [base + mark for mark in marks]
    children[frozenset(names)] = name
    return names


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key by which '2' comes before '10'."""
    return [(int(digits or 0), rest) for digits, rest in re.findall(r"(\d*)(\D*)", name)]


def _groups(known: Sequence[_Known], lesions: Lesions, placed: np.ndarray) -> Iterator[_Group]:
    """Yield what belongs together, in the order of the lesions' volumes; then what is gone."""
    numbers_here = [item.number for item in lesions.items if item.volume_ml >= LEAST_ML]
    links = _links(known, numbers_here, placed)
    taken: set[int] = set()
    for first in numbers_here:
        if first in taken:
            continue
        numbers, places = {first}, set()
        while True:
            places = {k for k, n in links if n in numbers}
            wider = {n for k, n in links if k in places} | numbers
            if wider == numbers:
                break
            numbers = wider
        taken |= numbers
        yield _Group([known[k] for k in sorted(places)], sorted(numbers))
    linked = {k for k, _ in links}
    yield _Group([one for k, one in enumerate(known) if k not in linked], [])


def _links(
    known: Sequence[_Known], numbers: Sequence[int], placed: np.ndarray
) -> set[tuple[int, int]]:
    """Return pairs of known lesions (by index) and lesions of the visit (by number)."""
    sizes = np.bincount(placed.ravel(), minlength=max(numbers, default=0) + 1)
    links: set[tuple[int, int]] = set()
    for index, one in enumerate(known):
        shared = np.bincount(placed.ravel()[one.voxels], minlength=len(sizes))
        least = LEAST_SHARE * np.minimum(sizes, len(one.voxels))
        links |= {(index, n) for n in numbers if shared[n] and shared[n] >= least[n]}
    links |= _near(known, numbers, placed, links)
    present = {number for k, number in links if known[k].is_there}
    return {(k, n) for k, n in links if known[k].is_there or n not in present}


def _near(
    known: Sequence[_Known],
    numbers: Sequence[int],
    placed: np.ndarray,
    links: set[tuple[int, int]],
) -> set[tuple[int, int]]:
    """Return pairs of lesions that overlap nothing, each with the nearest one in the tolerance.

    One that overlaps nothing either goes before others.
    """
    alone = set(numbers) - {number for _, number in links}
    if not alone:
        return set()
    lost = {k for k, one in enumerate(known) if one.is_there} - {k for k, _ in links}
    away = [_distances(one.voxels, placed) for one in known]
    found = set()
    for number in alone:
        within = [k for k in range(len(known)) if away[k][number] <= TOLERANCE_MM]
        if within:
            best = min(within, key=lambda k: (k not in lost, away[k][number]))
            found.add((best, number))
    return found


def _distances(voxels: np.ndarray, placed: np.ndarray) -> np.ndarray:
    """Return the least distance of each number from some voxels, in voxels of 1 mm."""
    mask = np.zeros(placed.shape, np.uint8)
    mask.ravel()[voxels] = 1
    least = np.full(int(placed.max()) + 1, np.inf)
    if not len(voxels):
        return least
    away = sitk.SignedMaurerDistanceMap(
        sitk.GetImageFromArray(mask), squaredDistance=False, useImageSpacing=False
    )
    inside = placed > 0
    np.minimum.at(least, placed[inside], sitk.GetArrayViewFromImage(away)[inside])
    return least


def _tracks(by_visit: Sequence[Sequence[Part]]) -> tuple[Track, ...]:
    """Join the lesions that ever came from one another."""
    groups: list[frozenset[int]] = []
    for roots in {part.roots for parts in by_visit for part in parts}:
        touched = [group for group in groups if group & roots]
        groups = [group for group in groups if not group & roots]
        groups.append(roots.union(*touched))
    tracks = []
    for roots in sorted(groups, key=min):
        own = tuple(
            tuple(sorted((p for p in parts if p.roots <= roots), key=lambda p: p.lesion.number))
            for parts in by_visit
        )
        tracks.append(Track("+".join(map(str, sorted(roots))), roots, own))
    return tuple(tracks)
