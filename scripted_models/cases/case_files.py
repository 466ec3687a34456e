"""The files of one case: what they are together, where each alone leaves a doubt."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.cases.ignored_files import IgnoredFile, ignored_file
from scripted_models.cases.naming import FileRole
from scripted_models.cases.sequence_assignment import Candidate, Guess, judge_name
from scripted_models.cases.sequence_names import NameEvidence, settled
from scripted_models.errors import listed, phrases
from scripted_models.images.volume_files import volume_stem
from scripted_models.sequences import TITLES

_TIME_POINT = re.compile(r"(?:^|[ _-])t[03-9][ _-]", re.I)
Kinds = Sequence[tuple[str, Path]]

_ = phrases(__name__)


def choose_readings(roles: Mapping[Path, FileRole]) -> dict[Path, FileRole]:
    """Decide whether 'pre' and 'post' before T1 are a time point, by the stems of other files.

    Beside names with 'T0' or 'T3', 'T1_FLAIR' may be a FLAIR at time point 1: that is a doubt.
    """
    counted = {path.parent for path in roles if _TIME_POINT.search(volume_stem(path))}
    stems = {(path.parent, role.stem.lower()) for path, role in roles.items() if not role.second}
    chosen = {}
    for path, role in roles.items():
        second = role.second
        known = (path.parent, role.stem.lower()) in stems
        if second and not known and (path.parent, second.stem.lower()) in stems:
            role = second
        if path.parent in counted and role.kind == "t1" and "flair" in path.name.lower():
            role = replace(role, told=replace(role.told, rank=1, doubt="T1"))
        chosen[path] = role
    return chosen


def split_doubtful(
    files: Kinds, told: Mapping[Path, NameEvidence]
) -> tuple[Kinds, dict[str, Guess[Path]], tuple[IgnoredFile, ...]]:
    """Separate the files whose names leave a doubt.

    Args:
        files: kind and path of each file of a case.
        told: what the names of the sequences' files tell.

    Returns:
        The others; guesses for sequences that have doubtful files only; the doubtful files of
        sequences that have a sure one.
    """
    told = settled(told, {path: volume_stem(path) for path in told})
    has_t1c = any(evidence.sequence == "t1c" and evidence.rank > 1 for evidence in told.values())
    sure, doubtful = [], defaultdict(list)
    for kind, path in files:
        evidence = told.get(path)
        visit = evidence and evidence.doubt == "post" and kind == "t1" and has_t1c
        if evidence is None or evidence.rank > 1 or visit:
            sure.append((kind, path))
        else:
            doubtful[kind].append((path, evidence))
    placed = {kind for kind, _path in sure}
    guesses = {kind: _guess(kind, of_it) for kind, of_it in doubtful.items() if kind not in placed}
    ignored = [
        ignored_file(path, "", judge_name(Candidate(path, volume_stem(path)), evidence)[1])
        for kind, of_it in doubtful.items()
        for path, evidence in of_it
        if kind in placed
    ]
    return sure, guesses, tuple(ignored)


def _guess(sequence: str, files: Sequence[tuple[Path, NameEvidence]]) -> Guess[Path]:
    if len(files) > 1:
        names = listed([f"'{volume_stem(path)}'" for path, _told in files])
        words = _("{names} all look like {sequence} by their names")
        why = words.format(names=names, sequence=TITLES[sequence])
        return Guess(None, "", why, _("choose it yourself"))
    path, told = files[0]
    return Guess(path, *judge_name(Candidate(path, volume_stem(path)), told))


def with_ignored(
    found: Sequence[tuple[Path, Case]], ignored: Sequence[tuple[Path, str]]
) -> list[tuple[Path, Case]]:
    """Add files that were left out to the case that they lie beside or below."""
    if not found:
        return []
    by_folder: dict[Path, list[int]] = defaultdict(list)
    for index, (folder, _case) in enumerate(found):
        by_folder[folder].append(index)
    added: dict[int, list[IgnoredFile]] = defaultdict(list)
    for path, why in ignored:
        near = next((by_folder[p] for p in path.parents if p in by_folder), [0])
        own = [i for i in near if path.name.lower().startswith(found[i][1].name.lower())]
        index = max(own, key=lambda i: len(found[i][1].name), default=near[0])
        stem = found[index][1].name if own else ""
        added[index].append(ignored_file(path, stem, why))
    return [
        (folder, replace(case, ignored=(*case.ignored, *added[index])))
        for index, (folder, case) in enumerate(found)
    ]
