"""Folders that are named by sequence.

T1/p1.nii.gz or T1/p1/anything.nii.gz for all patients, or p1/T1/anything.nii.gz for each.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripted_models.cases.naming import FileRole, file_role
from scripted_models.images.volume_files import volume_stem
from scripted_models.sequences import SEQUENCES


@dataclass(frozen=True)
class FolderRole:
    """What a file is by its folder.

    Attributes:
        home: folder of the case.
        role: as `naming.file_role`, with the stem of the case.
    """

    home: Path
    role: FileRole


def roles_by_folder(paths: Iterable[Path], root: Path) -> dict[Path, FolderRole]:
    """Return the roles of files whose folder tells them; their own names must not deny it.

    Args:
        paths: volumes.
        root: folder that is searched; T1 and FLAIR in it are those of several patients.
    """
    told: dict[Path, list[tuple[Path, FileRole]]] = defaultdict(list)
    for path in paths:
        for folder in (path.parent, path.parent.parent):
            if role := _role(path, folder):
                told[folder.parent].append((path, role))
                break
    return {
        path: FolderRole(container, replace(role, stem=stem))
        for container, files in told.items()
        if len({role.kind for _, role in files} & set(SEQUENCES)) > 1
        for path, role, stem in _with_stems(files, container == root)
    }


def _role(path: Path, folder: Path) -> FileRole | None:
    """Return what the names of a file and of a folder above it tell together."""
    of_folder = file_role(folder.name)
    if of_folder is None or of_folder.stem.lower() not in ("", folder.parent.name.lower()):
        return None
    own = file_role(volume_stem(path))
    joined = own or file_role(f"{volume_stem(path)}_{folder.name}")
    if joined is None or joined.kind != of_folder.kind:
        return None
    if joined.kind in SEQUENCES and joined.told.rank < 2:  # the names only hint at it
        return None
    return joined if folder == path.parent else replace(joined, stem=path.parent.name)


def _with_stems(
    files: Sequence[tuple[Path, FileRole]], is_root: bool
) -> list[tuple[Path, FileRole, str]]:
    """Give each file the stem of its case: none where all are of the patient that lies above."""
    stems = Counter(stem for stem, _ in {(role.stem.lower(), role.kind) for _, role in files})
    shared = sum(count > 1 for count in stems.values())
    of_patients = shared > 1 or (shared == 1 and is_root)
    return [(path, role, role.stem if of_patients else "") for path, role in files]
