"""Curves of a follow-up as positions on a sheet, which the page draws as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scripted_models.follow_up.growth import Series

WIDTH, HEIGHT = 400, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 68, 30, 24, 36
_NEAREST_LABELS = 30.0  # pixels between two dates on the axis


@dataclass(frozen=True)
class Point:
    """A visit on a curve.

    Attributes:
        x: pixels from the left.
        y: pixels from the top.
        low: y of the lower end of the error.
        high: y of its upper end.
        text: what is shown when the pointer is over it.
        value: the number beside it; empty where there is no room.
        is_baseline: the visit is the baseline.
        is_nadir: the visit is the nadir.
    """

    x: float
    y: float
    low: float
    high: float
    text: str
    value: str
    is_baseline: bool
    is_nadir: bool


@dataclass(frozen=True)
class Curve:
    """A curve with its axes.

    Attributes:
        title: heading.
        unit: of the values.
        points: in the order of time.
        x_ticks: position and text.
        y_ticks: position and text.
    """

    title: str
    unit: str
    points: list[Point]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]

    @property
    def path(self) -> str:
        """The line as SVG has it."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)


def curve_of(
    title: str, unit: str, series: Series, visits: Sequence[str], percent: float | None
) -> Curve:
    """Place a series on its sheet.

    Args:
        title: heading.
        unit: of the values.
        series: with at least one value.
        visits: what is written below the axis, for each value.
        percent: error of a value, half of that of a difference of two; None: not known.
    """
    first, last = series.days[0], series.days[-1]
    steps = _steps(max(series.values))
    top = steps[-1]

    def across(day: int) -> float:
        share = (day - first) / (last - first) if last > first else 0.5
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def down(value: float) -> float:
        return HEIGHT - _BOTTOM - min(value / top, 1.0) * (HEIGHT - _TOP - _BOTTOM)

    spread = (percent or 0.0) / 100 / math.sqrt(2)
    points = [
        Point(
            x=across(day),
            y=down(value),
            low=down(value * (1 - spread)),
            high=down(value * (1 + spread)),
            text=f"{name}: {number(value)} {unit}",
            value=number(value),
            is_baseline=index == series.baseline,
            is_nadir=index == series.nadir,
        )
        for index, (day, value, name) in enumerate(
            zip(series.days, series.values, visits, strict=True)
        )
    ]
    return Curve(
        title, unit, points, _x_ticks(points, series), [(down(s), f"{s:g}") for s in steps]
    )


def number(value: float) -> str:
    """Return a size with the digits that it deserves."""
    if value >= 100 or not value:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _steps(largest: float) -> list[float]:
    """Return round numbers from 0 to above the largest value."""
    rough = max(largest, 1e-3) * 1.1 / 3
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough)
    return [step * count for count in range(math.ceil(max(largest, 1e-3) / step + 1e-9) + 1)]


def _x_ticks(points: Sequence[Point], series: Series) -> list[tuple[float, str]]:
    """Return positions and days since the baseline, as many as find room."""
    ticks: list[tuple[float, str]] = []
    for point, day in zip(points, series.days, strict=True):
        if not ticks or point.x - ticks[-1][0] >= _NEAREST_LABELS:
            ticks.append((point.x, f"{day - series.days[series.baseline]}"))
    return ticks
