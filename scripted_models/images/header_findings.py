"""What the headers of a case leave open, as findings for the user.

Each choice was made while the file was read (`headers`); here it is said, once for all files alike.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from scripted_models.errors import Problem
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.checks import WARNING, Finding
from scripted_models.images.headers import read_header
from scripted_models.images.payload import VolumeHeader


def header_findings(
    files: Mapping[str, Path], grid: Grid | None, series: Mapping[str, Grid] = MappingProxyType({})
) -> list[Finding]:
    """Say what was decided about headers, and which grids differ by a harmless distance.

    Args:
        files: sequence -> file; several sequences may lie in one.
        grid: that is used for all of them; None where each keeps its own.
        series: sequence -> grid of a DICOM series, which has no header of its own.

    Raises:
        InputError: as `headers.read_header`.
    """
    doubts: dict[Problem, list[str]] = {}
    stated = [(m, header.grid, header.doubts) for m, header in map(_read_one, files.items())]
    for sequence, own, said in [*stated, *((m, own, ()) for m, own in series.items())]:
        aside = grid and grid_doubt(own, grid)
        for doubt in (*said, *([aside] if aside else [])):
            doubts.setdefault(doubt, []).append(sequence)
    return [_finding(doubt, tuple(slots)) for doubt, slots in doubts.items()]


def grid_doubt(own: Grid, used: Grid) -> Problem | None:
    """Return the doubt about a grid that is replaced by one nearby, None where both are the same.

    Args:
        own: of a volume.
        used: in its place, at most `HARMLESS_MM` away.
    """
    if own.matches(used):
        return None
    return Problem(
        found=f"a grid that lies {own.distance_mm(used):.2g} mm aside",
        expected="that of the others",
        action=f"nothing is to be done, up to {HARMLESS_MM:g} mm count as rounding of the header",
    )


def label_map_doubts(truth: Path | None, prediction: Path) -> tuple[str, ...]:
    """Return sentences about what the headers of two label maps that are compared leave open.

    Raises:
        InputError: as `headers.read_header`.
    """
    doubts: list[str] = []
    used = None
    for path in (truth, prediction):
        if path is not None:
            header = read_header(path)
            used = used or header.grid
            aside = grid_doubt(header.grid, used)
            found = (*header.doubts, *([aside] if aside else []))
            doubts += [replace(doubt, path=str(path)).sentence for doubt in found]
    return tuple(doubts)


def _read_one(file: tuple[str, Path]) -> tuple[str, VolumeHeader]:
    return file[0], read_header(file[1])


def _finding(doubt: Problem, slots: tuple[str, ...]) -> Finding:
    return Finding(
        found=doubt.found,
        expected=doubt.expected,
        action=doubt.action,
        severity=WARNING,
        slots=slots,
        volumes=slots,
    )
