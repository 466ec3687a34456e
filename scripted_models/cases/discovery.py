"""Discovery of cases: BraTS in the layouts of 2012 to 2024, MSD Task01, and DICOM."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from scripted_models.cases.bids.data_set import find_data_set
from scripted_models.cases.bids.session_images import BidsImages, read_images
from scripted_models.cases.case import TRUTH_KINDS, Case, FileProblem, ImageSource
from scripted_models.cases.case_files import choose_readings, split_doubtful, with_ignored
from scripted_models.cases.dicom.studies import dicom_cases
from scripted_models.cases.folder_walk import files_below
from scripted_models.cases.label_statements import PREDICTION_STEM, PROVENANCE
from scripted_models.cases.loose_files import are_several_patients, guess_files
from scripted_models.cases.msd import PARTS, data_sets, find_msd_cases, refuse_numbered
from scripted_models.cases.naming import FileRole, coding_from_name, file_role, label_stem, left_out
from scripted_models.cases.sequence_assignment import SURE
from scripted_models.cases.sequence_folders import roles_by_folder
from scripted_models.cases.sequence_names import NameEvidence
from scripted_models.cases.stray_truths import StrayTruths, is_stem_of
from scripted_models.cases.time_points import is_time_point, patient_folder
from scripted_models.errors import InputError
from scripted_models.images.volume_files import volume_extension, volume_stem
from scripted_models.labels import CODINGS
from scripted_models.sequences import SEQUENCES

_MOST_REASONS = 4  # in one sentence
_MOST_LOOSE_FILES = 40  # in one folder; more are no patient


@dataclass
class _Group:
    """Files of one case: they lie in one folder and their names have one stem."""

    folder: Path
    stem: str
    files: list[tuple[str, Path]]  # kind (a sequence or one of TRUTH_KINDS), path
    told: dict[Path, NameEvidence] = field(default_factory=dict)  # of the sequences' files

    @property
    def sequences(self) -> set[str]:
        return {kind for kind, _ in self.files if kind in SEQUENCES}

    @property
    def single(self) -> list[str]:
        """Sequences with one file."""
        counts = Counter(kind for kind, _ in self.files)
        return [m for m in SEQUENCES if counts[m] == 1]

    @property
    def has_images(self) -> bool:
        return bool(self.sequences)

    @property
    def has_truth(self) -> bool:
        return any(kind in TRUTH_KINDS for kind, _ in self.files)


def find_cases(folder: Path) -> list[Case]:
    """Find all cases below a folder, sorted by name.

    Raises:
        InputError: the folder does not exist or holds no case.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            found="no such folder",
            expected="one with BraTS cases",
            action="check the path",
            path=folder,
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        raise InputError(
            found="a folder that may not be read",
            expected="one with BraTS cases",
            action="check its permissions",
            path=folder,
        )
    ignored: list[tuple[Path, str]] = []
    cases = _unique([*find_msd_cases(folder), *_find_by_name(folder, ignored)])
    if not cases:
        refuse_numbered(volumes_below(folder), folder)
        if found := dicom_cases(folder):
            return sorted(found, key=lambda case: case.name)
        why = "".join(f"; {path.name}: {reason}" for path, reason in ignored[:_MOST_REASONS])
        raise InputError(
            found=f"no volumes named by sequence (t1, t1c or t1ce, t2, flair{why})",
            expected="a BraTS or MSD folder",
            action="name the files so, or give them with --t1 --t1c --t2 --flair",
            path=folder,
        )
    return sorted(cases, key=lambda case: case.name)


def volumes_below(folder: Path) -> Iterator[Path]:
    """Give all volumes below a folder, in order; each folder once, whatever links lead to it."""
    yield from (p for p in files_below(folder) if volume_extension(p) and p.is_file())


def _find_by_name(folder: Path, ignored: list[tuple[Path, str]]) -> list[tuple[Path, Case]]:
    groups: dict[tuple[Path, str], _Group] = {}
    files: dict[Path, list[Path]] = defaultdict(list)
    roles: dict[Path, FileRole] = {}
    root = Path(os.path.abspath(folder))
    inside = [root / part for part in _data_set_parts(folder)]
    paths = [p for p in volumes_below(root) if not any(map(p.is_relative_to, inside))]
    data_set = find_data_set(root)
    bids = read_images(data_set, paths, ignored) if data_set else BidsImages()
    paths = [path for path in paths if path not in bids.apart]
    by_folder = roles_by_folder(paths, root)
    for path in paths:
        files[path.parent].append(path)
        if path in by_folder:
            roles[path] = by_folder[path].role
        elif path in bids.roles:
            roles[path] = bids.roles[path]
        elif role := file_role(label_stem(volume_stem(path))):
            roles[path] = role
        elif (why := left_out(volume_stem(path))) and not _is_first_result(path):
            ignored.append((path, why))
    for path, role in choose_readings(roles).items():
        home = path.parent.parent if _has_own_folder(path) else path.parent
        home = by_folder[path].home if path in by_folder else home
        group = groups.setdefault((home, role.stem.lower()), _Group(home, role.stem, []))
        group.files.append((role.kind, path))
        if role.kind in SEQUENCES and path not in by_folder:
            group.told[path] = role.told
    images = [(g.folder, g.stem) for g in groups.values() if g.has_images]
    strays = StrayTruths(Path(os.path.abspath(folder)), images, ignored)
    strict = _with_adopted_truths(list(groups.values()), strays)
    here = _by_folder(strict)
    loose = [
        found
        for parent, paths in files.items()
        if (found := _loose(parent, paths, here.get(parent, []), strays))
    ]
    taken = {parent for parent, _ in loose}
    cases = [*((g.folder, _case(g)) for g in strict if g.folder not in taken), *loose]
    return with_ignored([(home, bids.dated(case)) for home, case in cases], ignored)


def _is_first_result(path: Path) -> bool:
    """True for what a model gave of a stored case, which is no news (see `case_writer`)."""
    return volume_stem(path) == PREDICTION_STEM and (path.parent / PROVENANCE).is_file()


def _data_set_parts(folder: Path) -> list[Path]:
    """Return the folders whose files `find_msd_cases` reads."""
    parts = [*PARTS, *PARTS.values()]
    return [Path(os.path.abspath(found / part)) for found in data_sets(folder) for part in parts]


def _by_folder(groups: Iterable[_Group]) -> dict[Path, list[_Group]]:
    found: dict[Path, list[_Group]] = defaultdict(list)
    for group in groups:
        found[group.folder].append(group)
    return found


def _loose(
    folder: Path, paths: list[Path], here: list[_Group], strays: StrayTruths
) -> tuple[Path, Case] | None:
    """Find a patient with loosely named files, where the strict naming of `here` finds less."""
    parts = [group for group in here if group.has_images]
    one = len(parts) == 1  # what it has twice is a problem to report
    placed = max((len(part.sequences if one else part.single) for part in parts), default=0)
    full = placed == len(SEQUENCES) or len(paths) <= max(placed, 1)
    patients = are_several_patients((part.stem, part.sequences) for part in parts)
    if full or patients or len(paths) > _MOST_LOOSE_FILES:
        return None
    guesses = guess_files(paths)
    told = {m: guess for m, guess in guesses.items() if guess.confidence}
    if len(told) <= max(placed, 1):
        return None
    sure = [(m, guess.key) for m, guess in told.items() if guess.key and guess.confidence == SURE]
    names = [volume_stem(guess.key).lower() for guess in told.values() if guess.key]
    truths = []
    for part in here:
        found = [file for file in part.files if file[0] in TRUTH_KINDS]
        shared = all(name.startswith(part.stem.lower()) for name in names)
        if shared or not strays.leave_out_by_name(
            part.stem, found, not is_stem_of(part.stem, folder)
        ):
            truths += found
    return folder, replace(_case(_Group(folder, "", sure + truths)), guesses=guesses)


def _has_own_folder(path: Path) -> bool:
    """True when each file of a case has a folder of its own (2013, 2015; mirrors of 2020)."""
    parent = path.parent.name.lower()
    vsd = path.name.lower().startswith("vsd.") and parent.startswith("vsd.")
    return vsd or parent in (path.name.lower(), volume_stem(path).lower())


def _with_adopted_truths(groups: list[_Group], strays: StrayTruths) -> list[_Group]:
    """Give label maps that stand alone to the case without one that they must belong to.

    That is the case of the same name in another folder (2012: Images and Truth). Or it is the only
    case of a folder with the case's name, if the label map has that name or none. What is of no
    expert by its name or folder is ignored.
    """
    kept = [group for group in groups if group.has_images]
    named: dict[str, list[_Group]] = defaultdict(list)
    for group in kept:
        named[group.stem.lower()].append(group)
    by_folder = _by_folder(kept)
    for orphan in (group for group in groups if not group.has_images):
        same_name = [g for g in named[orphan.stem.lower()] if g.stem and not g.has_truth]
        beside = by_folder[orphan.folder]
        own = len(beside) == 1 and _is_own_folder(beside[0])
        if strays.leave_out_results(orphan.folder, orphan.files):
            continue
        if len(same_name) == 1:
            same_name[0].files += orphan.files
        elif own and is_stem_of(orphan.stem, beside[0].folder):
            beside[0].files += orphan.files  # two are a problem of the case
        elif not strays.leave_out_by_name(orphan.stem, orphan.files, own):
            kept.append(orphan)
            by_folder[orphan.folder].append(orphan)
    return kept


def _is_own_folder(group: _Group) -> bool:
    return group.stem.lower() in ("", group.folder.name.lower())


def _case(group: _Group) -> Case:
    by_kind: dict[str, list[Path]] = defaultdict(list)
    sure, guesses, doubtful = split_doubtful(group.files, group.told)
    for kind, path in sure:
        by_kind[kind].append(path)
    problems = tuple(_twice(kind, paths) for kind, paths in by_kind.items() if len(paths) > 1)
    name = _case_name(group)
    images = {m: ImageSource(by_kind[m][0]) for m in SEQUENCES if m in by_kind}
    kind = next((kind for kind in TRUTH_KINDS if kind in by_kind), "")
    if not kind:
        return Case(name, images, problems=problems, guesses=guesses, ignored=doubtful)
    known = (coding_from_name(name, path.as_posix()) for _, path in group.files)
    coding = TRUTH_KINDS[kind] or next((c for c in known if c), None)
    truth, stated = by_kind[kind][0], CODINGS[coding] if coding else None
    return Case(name, images, truth, stated, problems, guesses, doubtful)


def _twice(kind: str, paths: list[Path]) -> FileProblem:
    title = "the ground truth" if kind in TRUTH_KINDS else kind
    return FileProblem(
        found=f"{len(paths)} files for {title} ({', '.join(p.name for p in paths)})",
        expected="one",
        action="remove the others",
        kind=kind,
    )


def _case_name(group: _Group) -> str:
    name = group.stem or group.folder.name
    above = patient_folder(group.folder)
    vague = not group.stem or not re.search(r"\d", group.stem)
    if vague and above != group.folder and above.name.lower() not in name.lower():  # p1/week-0/...
        parts = group.folder.relative_to(above.parent).parts
        return "_".join([*parts, *([group.stem] if group.stem else [])])
    if group.stem:
        return group.stem
    if group.folder.name.isdigit():  # 2013: HG/0001 and LG/0001 are different patients
        return f"{group.folder.parent.name}_{group.folder.name}"
    return group.folder.name


def _unique(found: list[tuple[Path, Case]]) -> list[Case]:
    """Prefix names that occur twice with the names of the folders above, as many as are needed."""
    names = [case.name for _, case in found]
    for depth in range(1, 32):
        counts = Counter(name.lower() for name in names)
        again = [i for i, name in enumerate(names) if counts[name.lower()] > 1]
        if not again:
            break
        parents = {found[i][0].parent for i in again}
        beside = [i for i, (folder, _) in enumerate(found) if folder.parent in parents]
        vague = {i for i in beside if is_time_point(names[i]) or not re.search(r"\d", names[i])}
        for i in sorted({*again, *vague}):
            folder, case = found[i]
            parts = [p for p in folder.parts if p not in case.name and p != folder.anchor]
            names[i] = "_".join([*parts[-depth:], case.name])
    return [replace(case, name=name) for (_, case), name in zip(found, names, strict=True)]
