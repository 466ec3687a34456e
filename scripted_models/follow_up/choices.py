"""How visits are compared: baseline, reference, region of the lesions, end of a radiotherapy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from scripted_models.errors import InputError, listed
from scripted_models.follow_up.repeatability import MEASURED, Repeatability
from scripted_models.follow_up.visit_data import Visit
from scripted_models.labels import region_mask
from scripted_models.measurement.diameters import Necrosis

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
        necrosis: whether diameters may cross it, 'excluded' or 'included'.
    """

    baseline: str = ""
    reference: str = ""
    lesions: str = "auto"
    radiotherapy: date | int | None = None
    repeatability: Repeatability = MEASURED
    necrosis: Necrosis = "excluded"


@dataclass(frozen=True)
class Choices:
    """What the options mean for some visits.

    Attributes:
        baseline: index of a visit.
        reference: index of a visit.
        region: of the lesions.
        radiotherapy_day: when it ended, counted as the visits' days; None: not told.
        necrosis: whether diameters may cross it.
    """

    baseline: int
    reference: int
    region: str
    radiotherapy_day: int | None
    necrosis: Necrosis = "excluded"


def choices_of(visits: Sequence[Visit], wanted: Wanted) -> Choices:
    """Return what the options mean for some visits.

    Raises:
        InputError: a visit that is named and is not there, fewer than two visits from the baseline
            on, or a region that not all visits can tell.
    """
    after = _radiotherapy_day(visits, wanted.radiotherapy)
    baseline = _baseline(visits, wanted.baseline, after)
    reference = _named(visits, wanted.reference, "--reference", baseline)
    region = _lesion_region(visits, wanted.lesions)
    return Choices(baseline, reference, region, after, wanted.necrosis)


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
