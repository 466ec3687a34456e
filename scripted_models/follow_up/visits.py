"""Where the visits of a patient lie: result folders of `segment`, case folders, or label maps."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError, listed
from scripted_models.follow_up.visit_dates import dated, ordered
from scripted_models.follow_up.visit_source import Told, VisitSource
from scripted_models.images.volume_files import volume_extension, volume_stem
from scripted_models.labels import LabelCoding
from scripted_models.runtime.file_identity import doubles
from scripted_models.segmentation.result_folders import REPORT, SEGMENTATION, report_in

LEAST_VISITS = 2


def find_visits(
    paths: Sequence[Path],
    days: Sequence[int] = (),
    told: Sequence[Told] = (),
    coding: LabelCoding | None = None,
) -> list[VisitSource]:
    """Return the visits that folders and label maps hold, the first one first.

    Args:
        paths: folders or label maps of visits, or one folder that holds either.
        days: day of each visit instead of dates: in the order of `paths`, or of the names of
            the folders in one.
        told: what the user says of each visit, in the same order.
        coding: of label maps; None where their files state it, or else the internal labels.

    Raises:
        InputError: no folder or label map of a visit, fewer than two, one without a date, or two of
            one; or another number of days or of what is told.
    """
    if len(paths) == 1 and not (is_result(paths[0]) or is_label_map(paths[0])):
        paths = _visits_in(paths[0])
    if len(paths) < LEAST_VISITS:
        raise InputError(
            found=f"{len(paths) or 'no'} visit{'' if len(paths) == 1 else 's'}",
            expected="at least two",
            action="name several folders, a folder of visits, or a table",
            path=paths[0] if paths else None,
        )
    sources = [
        VisitSource(name, path, segmentation=path, coding=coding)
        if is_label_map(path)
        else source_at(path, name)
        for path, name in zip(paths, _names(paths), strict=True)
    ]
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
            expected="a result of `segment`, a case, or a label map",
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


def is_label_map(path: Path) -> bool:
    """Tell whether a path is a file with the name of a volume."""
    return volume_extension(path) is not None and path.is_file()


def _visits_in(folder: Path) -> list[Path]:
    """Return the subfolders of a folder of visits; without any, its label maps."""
    if not folder.is_dir():
        raise InputError(
            found="no such folder or table", expected="visits", action="check the path", path=folder
        )
    inside = sorted(Path(e.path) for e in os.scandir(folder) if not e.name.startswith("."))
    folders = [path for path in inside if path.is_dir()]
    return folders or [path for path in inside if is_label_map(path)]


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each path: its own, or with that of the folder above where it repeats."""
    plain = [Path(os.path.abspath(path)) for path in paths]
    names = own = [volume_stem(path) if is_label_map(path) else path.name for path in plain]
    if doubles(names):
        names = [f"{path.parent.name}_{name}" for path, name in zip(plain, own, strict=True)]
    if twice := doubles(names):
        raise InputError(
            found=f"several visits of one name ({listed(twice[:4])})",
            expected="different names",
            action="rename them, or give them names in a table",
        )
    return names
