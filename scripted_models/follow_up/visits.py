"""Where the visits of a patient lie: result folders of `segment`, case folders, or label maps."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError, listed
from scripted_models.follow_up.visit_dates import dated, ordered
from scripted_models.follow_up.visit_source import Told, VisitSource
from scripted_models.runtime.file_identity import doubles
from scripted_models.segmentation.result_folders import REPORT, SEGMENTATION, report_in

LEAST_VISITS = 2


def find_visits(
    paths: Sequence[Path], days: Sequence[int] = (), told: Sequence[Told] = ()
) -> list[VisitSource]:
    """Return the visits that folders hold, the first one first.

    Args:
        paths: folders of visits, or one folder that holds them.
        days: day of each visit instead of dates: in the order of `paths`, or of the names of
            the folders in one.
        told: what the user says of each visit, in the same order.

    Raises:
        InputError: no folder of a visit, fewer than two, one without a date, or two of one; or
            another number of days or of what is told.
    """
    if len(paths) == 1 and not is_result(paths[0]):
        paths = _folders_in(paths[0])
    if len(paths) < LEAST_VISITS:
        raise InputError(
            found=f"{len(paths) or 'no'} visit{'' if len(paths) == 1 else 's'}",
            expected="at least two",
            action="name several folders, a folder of visits, or a table",
            path=paths[0] if paths else None,
        )
    sources = [source_at(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    if told and len(told) != len(sources):
        raise InputError(
            found=f"{len(told)} values of an option for {len(sources)} visits",
            expected="one for each visit, in their order",
            action="write - where it is not known",
        )
    if told:
        sources = [replace(s, told=own) for s, own in zip(sources, told, strict=True)]
    return ordered(dated(sources, days))


def source_at(path: Path, name: str) -> VisitSource:
    """Return the visit that lies in a folder: a result of `segment`, or a case without one.

    Raises:
        InputError: neither, or several cases.
    """
    if not path.is_dir():
        raise InputError(
            found="no such folder",
            expected="a result of `segment`, or a case",
            action="check the path",
            path=path,
        )
    if is_result(path):
        return VisitSource(name, path, folder=path)
    if any((path / own).exists() for own in (REPORT, SEGMENTATION)):
        raise InputError(
            found="half a result of `segment`",
            expected=f"{SEGMENTATION} and a {REPORT} that can be read",
            action="segment the case again, or name the label map in a table",
            path=path,
        )
    cases = find_cases(path)
    if len(cases) > 1:
        raise InputError(
            found=f"{len(cases)} cases ({', '.join(case.name for case in cases[:4])})",
            expected="one visit of one patient",
            action="name the folders of the visits one by one",
            path=path,
        )
    return VisitSource(name, path, case=replace(cases[0], name=name))


def is_result(path: Path) -> bool:
    """Tell whether a folder holds what `segment` writes."""
    return (path / SEGMENTATION).is_file() and report_in(path) is not None


def _folders_in(folder: Path) -> list[Path]:
    """Return the subfolders of a folder of visits."""
    if not folder.is_dir():
        raise InputError(
            found="no such folder or table", expected="visits", action="check the path", path=folder
        )
    inside = sorted(Path(e.path) for e in os.scandir(folder) if e.is_dir())
    return [path for path in inside if not path.name.startswith(".")]


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each folder: its own, or with that of the folder above where it repeats."""
    plain = [Path(os.path.abspath(path)) for path in paths]
    names = [path.name for path in plain]
    if doubles(names):
        names = [f"{path.parent.name}_{path.name}" for path in plain]
    if twice := doubles(names):
        raise InputError(
            found=f"several visits of one name ({listed(twice[:4])})",
            expected="folders of different names",
            action="rename them, or give them names in a table",
        )
    return names
