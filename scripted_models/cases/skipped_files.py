"""Volumes of a folder that are part of no case, each kind with its reason."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from scripted_models.cases.bids.data_set import find_data_set
from scripted_models.cases.case import Case
from scripted_models.cases.dicom_files import ALONE, CONVERT, dicom_folders, has_pydicom
from scripted_models.cases.discovery import volumes_below
from scripted_models.cases.folder_walk import files_below
from scripted_models.cases.label_statements import PREDICTION_STEM
from scripted_models.cases.sequence_names import read_name
from scripted_models.errors import Problem
from scripted_models.images.volume_files import volume_stem

_SHOWN = 5  # names in a sentence
_OTHER_TYPES = (
    *(".mgz", ".mgh", ".mnc", ".par", ".rec", ".nii.bz2", ".nii.zst", ".hdr.gz", ".img.gz"),
    *(".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar"),
)
_OWN = (PREDICTION_STEM, "probability_", "probabilities", "uncertainty")


def skipped_files(folder: Path, cases: Iterable[Case]) -> list[Problem]:
    """Return what of a folder was left out, one problem for each reason.

    Args:
        folder: that was searched.
        cases: found in it.
    """
    cases, root = list(cases), folder.absolute()
    used = {path for case in cases for path in _files(case)}
    data_set = find_data_set(root)
    reported = "\n".join(problem.found for case in cases for problem in case.problems)
    left_out: dict[str, list[Path]] = defaultdict(list)
    for path in volumes_below(root):
        if path not in used and path.name not in reported:
            why = data_set.why_apart(path) if data_set else ""
            left_out[why or _reason(path)].append(path.relative_to(root))
    other = [
        p.relative_to(root) for p in files_below(root) if p.name.lower().endswith(_OTHER_TYPES)
    ]
    if other:
        left_out["because files of their type are not read: convert or unpack them"] = other
    problems = [
        Problem(found=f"{len(paths)} volume(s) left out {why} ({_some(paths)})", path=str(folder))
        for why, paths in left_out.items()
    ]
    are_read = any(source.series for case in cases for source in case.images.values())
    if not are_read and (dicom := dicom_folders(folder)):
        problems.append(
            Problem(
                found=f"DICOM files in {len(dicom)} folder(s), which were left out "
                f"({_some(dicom.values())})",
                expected="volumes, a file for each sequence",
                action=ALONE if has_pydicom() else CONVERT,
                path=str(folder),
            )
        )
    return problems


def _files(case: Case) -> list[Path]:
    guessed = [guess.key for guess in case.guesses.values() if guess.key]
    ignored = [file.path for file in getattr(case, "ignored", ())]
    files = [*(source.path for source in case.images.values()), *guessed, *ignored]
    return [path.absolute() for path in [*files, *([case.truth] if case.truth else [])]]


def _reason(path: Path) -> str:
    told = read_name(volume_stem(path))
    if volume_stem(path).startswith(_OWN):
        return "because they are results, by their names"
    if told.other:
        return f"because '{told.other}' in their names says that they are no sequence"
    if told.conflict:
        return f"because their names leave open what they are ({told.conflict})"
    if told.sequence:
        return "because no case of several sequences could be made of them"
    return "because their names tell no sequence"


def _some(paths: Iterable[Path]) -> str:
    names = [str(path) for path in paths]
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
