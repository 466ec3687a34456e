"""What is said of raw volumes before a run: what will be done with them, or could be.

What they need is decided by `scripted_models.preparation`, which the child process asks as well.
"""

from collections.abc import Iterator, Mapping, Sequence

from scripted_models.images.checks import NOTE, WARNING, Examined, Finding
from scripted_models.preparation.deepbet_wheel import VERSION, WHEEL, is_installed
from scripted_models.preparation.needs import Needs, needs_of_examined
from scripted_models.sequences import SEQUENCES, TITLES

from .place_check import covered_share
from .translation import _


def raw_needs(volumes: Mapping[str, Examined], reference: str) -> Needs | None:
    """Return what volumes need; None when they, or their reference, cannot be looked at."""
    usable = {m: volume for m, volume in volumes.items() if volume.facts.finite}
    return needs_of_examined(usable, reference) if reference in usable else None


def preparation_findings(volumes: Mapping[str, Examined], needs: Needs) -> Iterator[Finding]:
    """Say what will be done with raw volumes, and what lacks for it.

    Args:
        volumes: sequence -> volume that was looked at.
        needs: of these volumes; not nothing.
    """
    title = TITLES[needs.reference]
    if needs.with_skull:
        action = _("it will be stripped, the volumes themselves stay as they are")
        found = _("a skull, or noise around the brain")
        yield _about(volumes, needs.with_skull, found, action)
        if not is_installed():
            yield _no_extraction(needs)
    yield from background_findings(volumes, needs)
    if needs.on_other_grids:
        found = _("another grid than that of {sequence}").format(sequence=title)
        action = _("will be registered to {sequence} and resampled").format(sequence=title)
        yield _about(volumes, needs.on_other_grids, found, action)
    if needs.misplaced:
        found = _("a brain that lies elsewhere than that of {sequence}").format(sequence=title)
        action = _("will be registered to {sequence}").format(sequence=title)
        yield _about(volumes, needs.misplaced, found, action)
    rest = [m for m in needs.unaligned if m not in (*needs.on_other_grids, *needs.misplaced)]
    if rest:
        found = _("the grid of {sequence}, which need not mean the same place")
        action = _("will be registered to {sequence}").format(sequence=title)
        yield _about(volumes, rest, found.format(sequence=title), action)
    yield from _far_away(volumes, needs)


def background_findings(volumes: Mapping[str, Examined], needs: Needs) -> Iterator[Finding]:
    """Say that a background that is not 0 will be; stripped volumes need it even on one grid."""
    if needs.off_zero:
        found, action = _("a background that is not 0"), _("it will be set to 0")
        yield _about(volumes, needs.off_zero, found, action)


def hint_finding(needs: Needs) -> Finding:
    """Say that volumes with some needs would be prepared if the user wanted it."""
    if needs.with_skull:
        found = _("raw volumes")
        action = _("check 'Prepare raw volumes' to have them stripped, registered and resampled")
    elif needs.on_other_grids:
        found = _("volumes on different grids")
        action = _("check 'Prepare raw volumes' to have them registered before they are resampled")
    else:
        found = _("brains that lie apart")
        action = _("check 'Prepare raw volumes' to have them registered")
    slots = tuple(m for m in SEQUENCES if m in needs.unaligned or m in needs.with_skull)
    return Finding(found=found, action=action, severity=NOTE, slots=slots)


def _no_extraction(needs: Needs) -> Finding:
    return Finding(
        found=_("no brain extraction in Slicer's Python"),
        expected=_("{package} {version}").format(package=WHEEL, version=VERSION),
        action=_("Segment will ask whether to install it"),
        severity=NOTE,
        slots=needs.with_skull,
    )


def _far_away(volumes: Mapping[str, Examined], needs: Needs) -> Iterator[Finding]:
    base = volumes[needs.reference].grid
    for sequence in needs.on_other_grids:
        grid = volumes[sequence].grid
        if max(covered_share(grid, base), covered_share(base, grid)) == 0:
            found = _("no overlap with {sequence}").format(sequence=TITLES[needs.reference])
            action = _("check that it is of the same patient, and how it lies when registered")
            yield _about(volumes, [sequence], found, action, is_doubtful=True)


def _about(
    volumes: Mapping[str, Examined],
    slots: Sequence[str],
    found: str,
    action: str,
    is_doubtful: bool = False,
) -> Finding:
    return Finding(
        found=found,
        action=action,
        severity=WARNING if is_doubtful else NOTE,
        slots=tuple(slots),
        volumes=tuple(volumes[slot].name for slot in slots),
    )
