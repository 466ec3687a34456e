"""Which of several series of one sequence is taken, by a stated rule."""

from collections.abc import Callable, Sequence

from scripted_models.cases.dicom.judged_series import Series
from scripted_models.cases.sequence_assignment import Candidate, Guess, judge_name
from scripted_models.errors import listed, phrases
from scripted_models.sequences import TITLES

_LEAST_COVERAGE = 0.75  # of the best: less of the head is worse than thicker slices

_ = phrases(__name__)


def choose_series(
    sequence: str, members: Sequence[Series], has_contrast: bool
) -> tuple[Series | None, Guess | None, dict[Series, str]]:
    """Choose the series of a sequence.

    Sure descriptions come before hints. Then what covers clearly less of the head is out; then
    thinner slices win, then finer pixels, then the later acquisition.

    Args:
        sequence: "t1", "t1c", "t2" or "flair".
        members: its series.
        has_contrast: whether some series is with contrast medium.

    Returns:
        The chosen one, what is said of the sequence, and the others with the reason.
    """
    if not members:
        return None, None, {}
    rank = max(s.told.rank for s in members)
    best = [s for s in members if s.told.rank == rank]
    rest = {s: _less_sure(best[0], sequence) for s in members if s.told.rank < rank}
    silent = sequence == "t1" and rank == 2 and not has_contrast
    if len(best) > 1 and (rank < 2 or silent):
        names = listed([s.title for s in best])
        words = (
            _("{names} may be {sequence}, with or without contrast medium")
            if silent
            else _("{names} all look like {sequence}")
        )
        why = words.format(names=names, sequence=TITLES[sequence])
        return None, Guess(None, "", why, _("choose it yourself")), rest
    chosen = best[0]
    for other in best[1:]:
        if _why_better(other, chosen):
            chosen = other
    for other in best:
        if other is not chosen:
            words = _("{chosen} was taken for {sequence}: {why}")
            why = _why_better(chosen, other) or _("it has the lower number")
            titles = {"chosen": chosen.title, "sequence": TITLES[sequence]}
            rest[other] = words.format(**titles, why=why)
    return chosen, _guess(chosen), rest


def _guess(series: Series) -> Guess:
    candidate = Candidate(series.path, series.label, series.words)
    return Guess(series.path, *judge_name(candidate, series.told))


def _less_sure(best: Series, sequence: str) -> str:
    words = _("it only may be {sequence}, and {best} says so")
    return words.format(sequence=TITLES[sequence], best=best.title)


def _why_better(one: Series, other: Series) -> str:
    """Say why a series is better than another; "" where it is not."""
    a, b = _coverage_mm(one), _coverage_mm(other)
    if min(a, b) < _LEAST_COVERAGE * max(a, b):
        words = _("it covers more ({own} against {other} mm)")
        return words.format(own=f"{a:.0f}", other=f"{b:.0f}") if a > b else ""
    measures: tuple[tuple[str, Callable[[Series], float]], ...] = (
        (_("thinner slices ({own} against {other} mm)"), _thickness_mm),
        (_("finer pixels ({own} against {other} mm)"), _pixel_mm),
    )
    for words, measure in measures:
        a, b = measure(one), measure(other)
        if abs(a - b) > 0.02 * max(a, b):
            return words.format(own=f"{a:.3g}", other=f"{b:.3g}") if a < b else ""
    return _("it is the later one") if one.image.time > other.image.time else ""


def _coverage_mm(series: Series) -> float:
    """Return the shortest side of the volume."""
    grid = series.volume.grid
    return min(n * mm for n, mm in zip(grid.size_xyz, grid.spacing_xyz_mm, strict=True))


def _thickness_mm(series: Series) -> float:
    return max(series.volume.grid.spacing_xyz_mm)


def _pixel_mm(series: Series) -> float:
    return series.volume.grid.spacing_xyz_mm[0]
