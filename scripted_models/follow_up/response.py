"""Categories by the imaging rules of RANO 2.0, calculated from sizes and what the user tells.

| category | by volume | by product of diameters | source |
|---|---|---|---|
| CR | less than 0.05 mL left | no lesion left | PMC10584081, table 1 |
| PR | at least 65 % less than the baseline | at least 50 % less | volume: second-hand |
| MR, where nothing enhances | - | at least 25 % less | PMC10584081, table 1 (RANO-LGG) |
| PD | at least 40 % more than the nadir | at least 25 % more | volume: second-hand |

Wen et al. 2023, "RANO 2.0" (doi 10.1200/JCO.23.01059), was not at hand. The volumes stand in two
works that cite it: `cai4cai/rano2.0-assist` and Leclercq et al., "CFB-GBM v2.0", section 3.2. So do
the other rules here: a new measurable lesion is PD, and within 12 weeks after radiotherapy PD needs
a confirmation. CR and PR need a second scan after at least 4 weeks (PMC10584081). Steroids and
clinical state count as in Wen et al. 2010 (doi 10.1200/JCO.2009.26.3541).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scripted_models.follow_up.growth import Change, Series
from scripted_models.follow_up.matching import LEAST_ML
from scripted_models.follow_up.visit_source import Told

VOLUME, PRODUCT = "volume", "product"
CONFIRMING_DAYS = 28  # between two scans
EARLY_DAYS = 84  # 12 weeks after radiotherapy
LIMITS = (
    "This is a calculation from segmentations by the imaging rules of RANO 2.0, not an assessment "
    "of the patient. It does not see what a reader sees: treatment effects, bleeding, operations, "
    "changes of FLAIR without enhancement, errors of the segmentation."
)


@dataclass(frozen=True)
class Rule:
    """Thresholds in percent.

    Attributes:
        measure: 'volume' or 'product'.
        partial: decrease from the baseline.
        minor: decrease from the baseline, of tumors that do not enhance; None: there is none.
        progression: increase from the nadir.
        nothing: size below which nothing is left.
    """

    measure: str
    partial: float
    minor: float | None
    progression: float
    nothing: float


RULES = (Rule(VOLUME, 65.0, None, 40.0, LEAST_ML), Rule(PRODUCT, 50.0, 25.0, 25.0, 1e-9))


@dataclass(frozen=True)
class Seen:
    """What one visit shows.

    Attributes:
        name: of the visit.
        day: of the visit.
        new_measurable: lesions that were first seen after the baseline and are measurable.
        has_measurable: some lesion of the visit is measurable.
        told: what the user says.
        is_doubtful: its registration is, so that lesions may be matched wrongly.
        grown: lesions that were there at the baseline, not measurable, and are measurable now.
        has_others: lesions besides the targets.
    """

    name: str
    day: int
    new_measurable: tuple[str, ...]
    has_measurable: bool
    told: Told
    is_doubtful: bool = False
    grown: tuple[str, ...] = ()
    has_others: bool = False


@dataclass(frozen=True)
class Category:
    """What the rule of a measure gives at one visit.

    Attributes:
        measure: 'volume' or 'product'.
        imaging: 'CR', 'PR', 'MR', 'SD' or 'PD', of the images alone.
        category: the same with what the user told.
        since_baseline: change of the size.
        since_nadir: the same.
        confirmation: 'confirmed', 'not confirmed', 'open', or empty where none is needed.
        reasons: sentences that lead to it.
    """

    measure: str
    imaging: str
    category: str
    since_baseline: Change
    since_nadir: Change
    confirmation: str
    reasons: tuple[str, ...]


def categories(
    rule: Rule,
    sizes: Series,
    seen: Sequence[Seen],
    enhances: bool,
    radiotherapy_day: int | None = None,
) -> dict[int, Category]:
    """Calculate the categories of all visits after the baseline.

    Args:
        rule: of one measure.
        sizes: of that measure, summed over the lesions that count.
        seen: the visits.
        enhances: the lesions are of the enhancing tumor.
        radiotherapy_day: when a radiotherapy ended; None: not told, or long ago.

    Returns:
        Index of a visit -> category; nothing where the baseline has a size of 0 and nothing is new.
    """
    found = {}
    for visit in range(sizes.baseline + 1, len(seen)):
        since_baseline, since_nadir = sizes.since_baseline(visit), sizes.since_nadir(visit)
        if since_baseline is None or since_nadir is None:
            continue
        imaging, reason = _imaging(rule, sizes, seen, visit, enhances)
        reasons = [reason]
        if seen[visit].is_doubtful:
            reasons.append("the registration is in doubt, and so is which lesion is new")
        if seen[visit].grown:
            grown = ", ".join(seen[visit].grown)
            reasons.append(f"not measurable at the baseline and measurable now: lesion {grown}")
        found[visit] = Category(
            rule.measure, imaging, imaging, since_baseline, since_nadir, "", tuple(reasons)
        )
    told = {
        visit: _with_told(found[visit], seen[visit].told, seen[sizes.baseline].told)
        for visit in found
    }
    return {visit: _confirmed(told, visit, seen, radiotherapy_day) for visit in told}


def _imaging(
    rule: Rule, sizes: Series, seen: Sequence[Seen], visit: int, enhances: bool
) -> tuple[str, str]:
    """Return the category of the images alone, and the reason."""
    here = seen[visit]
    if here.new_measurable:
        return "PD", f"new measurable lesion {', '.join(here.new_measurable)}"
    base, nadir = sizes.since_baseline(visit), sizes.since_nadir(visit)
    if base is None or nadir is None:
        raise ValueError("a visit up to the baseline has no category")
    more = nadir.percent if nadir.percent is not None else (float("inf") if nadir.absolute else 0.0)
    if _reaches(more, rule.progression):
        grown = f"{_percent(nadir)} since the nadir ({seen[nadir.since].name})"
        if here.has_measurable:
            return "PD", f"{grown}, at least +{rule.progression:g} %"
        return "SD", f"{grown}, but no lesion is measurable"
    less = -(base.percent or 0.0)
    if sizes.values[visit] < rule.nothing <= sizes.values[sizes.baseline]:
        if rule.measure == PRODUCT and here.has_others:
            return "PR", "the target lesions are gone, others are left"
        return "CR", "nothing is left that counts as a lesion"
    if not seen[sizes.baseline].has_measurable:
        return "SD", "no lesion was measurable at the baseline, so that no decrease counts"
    if _reaches(less, rule.partial):
        return "PR", f"{_percent(base)} since the baseline, at least -{rule.partial:g} %"
    if rule.minor is not None and not enhances and _reaches(less, rule.minor):
        return "MR", f"{_percent(base)} since the baseline, at least -{rule.minor:g} %"
    return "SD", f"{_percent(base)} since the baseline, {_percent(nadir)} since the nadir"


def _reaches(percent: float, limit: float) -> bool:
    return percent >= limit - 1e-9  # rounding is no difference


def _percent(change: Change) -> str:
    return "growth from 0" if change.percent is None else f"{change.percent:+.0f} %"


def _with_told(found: Category, here: Told, base: Told) -> Category:
    """Return a category with steroids and clinical state, where the user told them."""
    category, reasons = found.category, list(found.reasons)
    if here.clinical == "worse" and category != "PD":
        category = "PD"
        reasons.append("clinically worse, as told; PD unless another cause explains it")
    elif category in ("CR", "PR", "MR"):
        category, why = _steroids(category, here.steroids_mg, base.steroids_mg)
        reasons.append(why)
        if not here.clinical:
            reasons.append(f"{found.category} also asks for a stable or better clinical state")
    elif category == "SD" and _is_more(here.steroids_mg, base.steroids_mg):
        reasons.append("more steroids than at the baseline: SD is in doubt, see the clinical state")
    return replace(found, category=category, reasons=tuple(reasons))


def _steroids(category: str, here: float | None, base: float | None) -> tuple[str, str]:
    """Return a response as far as the steroids allow it, and the reason."""
    if here is None or (base is None and here > 0):
        asked = "none" if category == "CR" else "no more than at the baseline"
        return category, f"{category} also asks for steroids ({asked}), which were not told"
    if _is_more(here, base):
        return "SD", f"more steroids than at the baseline ({here:g} mg), so no {category}"
    if category == "CR" and here > 0:
        return "PR", f"steroids ({here:g} mg), so no CR; replacement doses would not count"
    return category, f"steroids as {category} asks for ({here:g} mg)"


def _is_more(here: float | None, base: float | None) -> bool:
    return here is not None and base is not None and here > base


def _confirmed(
    found: dict[int, Category], visit: int, seen: Sequence[Seen], radiotherapy_day: int | None
) -> Category:
    """Return a category with whether a later scan confirms it, where that is needed."""
    own, here = found[visit], seen[visit]
    early = radiotherapy_day is not None and 0 <= here.day - radiotherapy_day <= EARLY_DAYS
    if own.category not in ("CR", "PR", "MR") and not (own.category == "PD" and early):
        return own
    why = (
        "within 12 weeks after radiotherapy PD needs a confirmation"
        if own.category == "PD"
        else f"{own.category} needs a second scan after at least 4 weeks"
    )
    if here.told.confirmed is not None:
        state = "confirmed" if here.told.confirmed else "not confirmed"
        return replace(own, confirmation=state, reasons=(*own.reasons, f"{why}: {state}, as told"))
    later = next((k for k in found if seen[k].day - here.day >= CONFIRMING_DAYS), None)
    if later is None:
        return replace(
            own, confirmation="open", reasons=(*own.reasons, f"{why}: there is none yet")
        )
    as_good = {"CR": ("CR",), "PR": ("CR", "PR"), "MR": ("CR", "PR", "MR"), "PD": ("PD",)}
    state = "confirmed" if found[later].category in as_good[own.category] else "not confirmed"
    return replace(
        own,
        confirmation=state,
        reasons=(*own.reasons, f"{why}: {state} by {seen[later].name}"),
    )
