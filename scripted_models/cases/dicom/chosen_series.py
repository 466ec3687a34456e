"""Which of several series of one sequence is taken, by a stated rule."""

from collections.abc import Sequence

from scripted_models.cases.dicom.judged_series import Series
from scripted_models.cases.sequence_assignment import SURE, Candidate, Guess, judge_name
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
    title = TITLES[sequence]
    rank = max(s.told.rank for s in members)
    surest = max(map(_sureness, members))
    best = [s for s in members if _sureness(s) == surest]
    rest = {s: _less_sure(best[0], sequence) for s in members if _sureness(s) < surest}
    silent = sequence == "t1" and rank == 2 and not has_contrast
    if len(best) > 1 and (rank < 2 or silent):
        names = listed([s.title for s in best])
        words = (
            _("{names} may be {sequence}, with or without contrast medium")
            if silent
            else _("{names} all look like {sequence}")
        )
        unclear = words.format(names=names, sequence=title)
        return None, Guess(None, "", unclear, _("choose it yourself")), rest
    most = max(map(_coverage_mm, best))
    whole = [s for s in best if _coverage_mm(s) >= _LEAST_COVERAGE * most]
    latest = sorted(whole, key=lambda s: s.image.time, reverse=True)
    chosen = min(latest, key=lambda s: (_thickness_mm(s), _pixel_mm(s)))
    for other in (s for s in best if s is not chosen):
        words = _("{chosen} was taken for {sequence}: {why}")
        why = _why_better(chosen, other, other in whole)
        rest[other] = words.format(chosen=chosen.title, sequence=title, why=why)
    return chosen, _guess(chosen), rest


def _guess(series: Series) -> Guess:
    candidate = Candidate(series.path, series.label, series.words)
    confidence, why = judge_name(candidate, series.told)
    if confidence != SURE or not series.told.doubt:
        return Guess(series.path, confidence, why)
    words = _("{why}, but what '{word}' means is not known")
    why = words.format(why=why, word=series.told.doubt)
    return Guess(series.path, confidence, why, _("make sure that it is right"))


def _sureness(series: Series) -> tuple[int, bool]:
    return series.told.rank, not series.told.doubt


def _less_sure(best: Series, sequence: str) -> str:
    words = _("it only may be {sequence}, and {best} says so")
    return words.format(sequence=TITLES[sequence], best=best.title)


def _why_better(chosen: Series, other: Series, is_whole: bool) -> str:
    """Say what decided between two series."""
    if not is_whole:
        words, measure = _("it covers more ({own} against {other} mm)"), _coverage_mm
    elif _thickness_mm(chosen) < _thickness_mm(other):
        words, measure = _("thinner slices ({own} against {other} mm)"), _thickness_mm
    elif _pixel_mm(chosen) < _pixel_mm(other):
        words, measure = _("finer pixels ({own} against {other} mm)"), _pixel_mm
    elif chosen.image.time > other.image.time:
        return _("it is the later one")
    else:
        return _("it comes first")
    return words.format(own=f"{measure(chosen):.3g}", other=f"{measure(other):.3g}")


def _coverage_mm(series: Series) -> float:
    """Return the shortest side of the volume."""
    grid = series.volume.grid
    return min(n * mm for n, mm in zip(grid.size_xyz, grid.spacing_xyz_mm, strict=True))


def _thickness_mm(series: Series) -> float:
    """Return the longest side of a voxel; a tenth of a millimeter is no difference."""
    return round(max(series.volume.grid.spacing_xyz_mm), 1)


def _pixel_mm(series: Series) -> float:
    return round(series.volume.grid.spacing_xyz_mm[0], 2)
