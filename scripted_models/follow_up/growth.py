"""A size over all visits: changes against baseline, nadir and the visit before, doubling times."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """Difference of a size from that of a former visit.

    Attributes:
        since: index of that visit.
        absolute: in the unit of the size.
        percent: of the former size; None where that is 0.
        is_within_error: the error of the method explains it; None where that was not measured.
        doubling_days: time in which the size doubles, if it grows exponentially; None where it does
            not grow by more than the error.
    """

    since: int
    absolute: float
    percent: float | None
    is_within_error: bool | None
    doubling_days: float | None


@dataclass(frozen=True)
class Series:
    """A size at each visit.

    Attributes:
        values: mL, or mm2 of products.
        days: of the visits, ascending.
        baseline: index of the visit from which on changes are judged.
        explains: tells whether the error explains the difference of two values; None: not measured.
    """

    values: tuple[float, ...]
    days: tuple[int, ...]
    baseline: int
    explains: Callable[[float, float], bool] | None = None

    @property
    def nadir(self) -> int:
        """Index of the smallest value from the baseline on; of equal ones the first."""
        return self._least(len(self.values))

    def nadir_before(self, visit: int) -> int | None:
        """Return the index of the smallest value from the baseline to before a visit."""
        return self._least(visit) if visit > self.baseline else None

    def since_baseline(self, visit: int) -> Change | None:
        """Return the change since the baseline; None for it and for visits before."""
        return self.change(self.baseline, visit) if visit > self.baseline else None

    def since_nadir(self, visit: int) -> Change | None:
        """Return the change since the nadir before a visit; None up to the baseline."""
        nadir = self.nadir_before(visit)
        return None if nadir is None else self.change(nadir, visit)

    def since_previous(self, visit: int) -> Change | None:
        """Return the change since the visit before; None for the first."""
        return self.change(visit - 1, visit) if visit else None

    def change(self, since: int, visit: int) -> Change:
        """Return the change between two visits."""
        before, after = self.values[since], self.values[visit]
        within = self.explains(before, after) if self.explains else None
        return Change(
            since=since,
            absolute=after - before,
            percent=100 * (after - before) / before if before > 0 else None,
            is_within_error=within,
            doubling_days=None
            if within is not False
            else doubling_days(before, after, self.days[visit] - self.days[since]),
        )

    def _least(self, end: int) -> int:
        return min(range(self.baseline, end), key=self.values.__getitem__)


def doubling_days(before: float, after: float, days: float) -> float | None:
    """Return the time in which a size doubles; None where it does not grow.

    Args:
        before: the size.
        after: the size some days later.
        days: in between.

    Source:
        exponential growth: days * ln 2 / ln(after / before).
    """
    if not 0 < before < after or days <= 0:
        return None
    return days * math.log(2) / math.log(after / before)


def series_of(
    values: Sequence[float],
    days: Sequence[int],
    baseline: int,
    explains: Callable[[float, float], bool] | None = None,
) -> Series:
    """Return a series of values as `Series` has them."""
    return Series(tuple(values), tuple(days), baseline, explains)
