"""Which predicted label map belongs to which ground truth."""

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from scripted_models.cases.bids.data_set import read_description
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.ignored_files import ignored_file, tell_ignored
from scripted_models.cases.label_statements import (
    PREDICTION_REPORT,
    PREDICTION_STEM,
    stated_coding,
)
from scripted_models.cases.mask_folders import mask_folder
from scripted_models.cases.name_tokens import bids_stem
from scripted_models.cases.naming import (
    OF_NO_KNOWN_FORM,
    coding_from_name,
    file_role,
    label_stem,
    left_out,
)
from scripted_models.cases.stray_truths import says_no_truth
from scripted_models.errors import InputError
from scripted_models.images.volume_files import EXTENSIONS, volume_extension, volume_stem
from scripted_models.labels import CODINGS, LabelCoding

_OF_NNUNET = "predict_from_raw_data_args.json"
_MORE = r"(?:[ ._-]+(?!\d+(?:[ ._-]|$))[^ ._-]+)"  # a word, and no number
_LABEL_WORDS = "(?:seg|segm|segmentation|labels?|pred|prediction)"


def find_truths(folder: Path, coding: LabelCoding | None) -> tuple[list[Case], list[str]]:
    """Find the cases that have a truth, and say what was ignored.

    Args:
        folder: BraTS folder as `find_cases` reads it, a flat folder of label maps without images,
            `<case>/segmentation.*` as `segment` writes it (for example corrected by hand), or a
            folder of masks for each case (see `mask_folders`).
        coding: coding of the truth; needed when flat label maps do not tell it by their names.

    Raises:
        InputError: no truth is there, or its coding is not known.
    """
    files = _volumes_in(folder)
    try:
        cases = find_cases(folder)
    except InputError:
        if written := _written_by_segment(folder) if folder.is_dir() else []:
            return [Case(n, {}, p, CODINGS["internal"]) for n, p in written], []
        if masks := _of_masks(folder):
            return [Case(n, {}, p) for n, p in masks], []
        if not files:
            raise
        cases = []
    if files and not any(case.images for case in cases):
        return _flat_truths(folder, files, cases, coding)
    with_truth, ignored = [case for case in cases if case.truth], tell_ignored(cases)
    if not with_truth and (masks := _of_masks(folder)):
        return [Case(n, {}, p) for n, p in masks], ignored
    if not with_truth:
        why = f" ({' '.join(ignored)})" if ignored else ""
        raise InputError(
            found=f"cases but no ground truth in any{why}",
            expected="files such as <case>_seg.nii.gz beside the images",
            action="name the folder that holds it",
            path=folder,
        )
    return with_truth, ignored


def _flat_truths(
    folder: Path, files: list[Path], cases: list[Case], coding: LabelCoding | None
) -> tuple[list[Case], list[str]]:
    strange = [(path, why) for path in files if (why := _why_no_truth(path))]
    files = [path for path in files if path not in dict(strange)]
    ignored = tuple(ignored_file(path, "", why) for path, why in strange)
    notes = tell_ignored([Case("", {}, ignored=ignored)])
    named = {path: coding_from_name(volume_stem(path), path.as_posix()) for path in files}
    known = {path: CODINGS[name] for path, name in named.items() if name}
    known |= {case.truth: case.coding for case in cases if case.truth and case.coding}
    unclear = [path for path in files if path not in known and not (coding or stated_coding(path))]
    if unclear:
        raise InputError(
            found=f"label maps such as {unclear[0].name}",
            expected="names that tell the label coding, or a file that states it",
            action=f"choose one of {sorted(CODINGS)} with --coding",
            path=folder,
        )
    by_case = _by_case((_label_map_case(path), path) for path in files)
    by_name = {case.truth: case.name for case in cases} if not coding else {}
    return [
        Case(by_name.get(path, name), {}, path, known.get(path))
        for name, path in sorted(by_case.items())
    ], notes


def _why_no_truth(path: Path) -> str:
    """Say why a label map of a flat folder is no ground truth; "" for one."""
    stem = label_stem(volume_stem(path))
    role = file_role(stem)
    if role is None:
        return left_out(stem)
    return OF_NO_KNOWN_FORM if says_no_truth(role.stem) else ""


def doubtful_truths(cases: list[Case], found: dict[str, Path]) -> list[str]:
    """Return sentences about truths that are predictions, as far as the files tell."""
    truths = {case.name: case.truth for case in cases if case.truth}
    same = [n for n, path in truths.items() if n in found and os.path.samefile(path, found[n])]
    written = [n for n, path in truths.items() if _is_as_written(path)]
    by_nnunet = [n for n, path in truths.items() if path.with_name(_OF_NNUNET).exists()]
    told = {
        f"The ground truth of {{n}} cases lies beside {_OF_NNUNET}, which nnU-Net writes with "
        "its predictions: the scores may compare two results.": by_nnunet,
        "The ground truth of {n} cases is the same file as the prediction, so all scores are "
        "perfect.": same,
        "The ground truth of {n} cases is what `segment` wrote, unchanged: the scores compare two "
        "results, and none with an expert.": written,
    }
    return [words.format(n=len(names)) for words, names in told.items() if names]


def _is_as_written(path: Path) -> bool:
    """Tell whether a label map was not changed since `segment` wrote the report beside it."""
    report = path.with_name(PREDICTION_REPORT)
    is_result = volume_stem(path) == PREDICTION_STEM and report.is_file()
    return is_result and path.stat().st_mtime_ns <= report.stat().st_mtime_ns


def chosen_cases(cases: list[Case], only: Collection[str], folder: Path) -> list[Case]:
    """Return the cases of these names.

    Raises:
        InputError: no name is given, or a name has no truth.
    """
    without = sorted(set(only) - {case.name for case in cases})
    if without or not only:
        raise InputError(
            found=f"no ground truth for the cases to score ({', '.join(without) or 'none named'})",
            expected=f"names out of the {len(cases)} cases that have one",
            action="correct the names or name another folder of ground truth",
            path=folder,
        )
    return [case for case in cases if case.name in only]


def find_predictions(folder: Path) -> dict[str, Path]:
    """Find the predicted label maps of a folder.

    They are `<case>/segmentation.*`, of a BIDS derivative, flat files, or folders of masks.

    Returns:
        Case -> file, or folder of masks. A flat file is named by its case, with or without a word
        such as `_seg`.

    Raises:
        InputError: no such folder, or two label maps of one case.
    """
    if not folder.is_dir():
        raise InputError(
            found="no such folder",
            expected="a folder with predicted label maps",
            action="check the path",
            path=folder,
        )
    flat = ((_predicted_case(path), path) for path in _volumes_in(folder))
    found = [*_written_by_segment(folder), *_of_derivative(folder), *flat]
    return _by_case(found or _of_masks(folder))


def _written_by_segment(folder: Path) -> list[tuple[str, Path]]:
    """Return case and file of all `<case>/segmentation.*` in a folder."""
    return [
        (child.name, path)
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith(".")
        for path in _volumes_in(child)
        if volume_stem(path).lower().removesuffix(".seg") == PREDICTION_STEM
    ]


def _of_masks(folder: Path) -> list[tuple[str, Path]]:
    """Return case and folder of all folders of masks."""
    inside = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    return [(p.name, masks) for p in inside if p.name[0] != "." and (masks := mask_folder(p))]


def _of_derivative(folder: Path) -> list[tuple[str, Path]]:
    """Return case and file of all label maps of a BIDS derivative but those that number lesions."""
    if not read_description(folder).get("BIDSVersion"):
        return []
    found = (path for anat in sorted(folder.glob("sub-*/**/anat")) for path in _volumes_in(anat))
    stems = ((volume_stem(path), path) for path in found)
    return [(bids_stem(s), p) for s, p in stems if s.endswith("_dseg") and "_seg-lesions_" not in s]


def _volumes_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in files if path.is_file() and volume_extension(path)]


def _label_map_case(path: Path) -> str:
    """Return the case that a flat label map is named by: its stem without 'seg' or so."""
    role = file_role(label_stem(volume_stem(path)))
    if role is not None and role.kind.startswith("truth") and role.stem:
        return role.stem
    return volume_stem(path)


def _predicted_case(path: Path) -> str:
    """Return the case of a flat prediction, whose name may say more ('X_seg_pred')."""
    case = _label_map_case(path)
    words = re.fullmatch(rf"(.+?)[ ._-]+{_LABEL_WORDS}{_MORE}{{0,2}}", case, re.I)
    return words[1] if words else case


def _by_case(named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for name, path in named:
        if name in paths:
            raise InputError(
                found=f"two label maps of case {name}, the other being {paths[name]}",
                expected="one",
                action="remove the other",
                path=path,
            )
        paths[name] = path
    return paths


def require_predictions(cases: list[Case], found: dict[str, Path], folder: Path) -> None:
    """Raise InputError with the names of all cases that have a truth and no prediction."""
    missing = [case.name for case in cases if case.name not in found]
    if missing:
        raise InputError(
            found=f"no prediction for {len(missing)} of {len(cases)} cases that have a ground "
            f"truth ({', '.join(missing)})",
            expected=f"<case>/{PREDICTION_STEM}.nii.gz or <case>{EXTENSIONS[0]}",
            action="segment them too, or name a folder of ground truth without them",
            path=folder,
        )


def assumed_coding(case: str, path: Path, truth_coding: LabelCoding) -> LabelCoding:
    """Return the coding of a prediction that nobody stated, where only one is plausible.

    A flat label map beside a truth of another coding may hold either; guessing would score the
    wrong tissue without a word.

    Raises:
        InputError: the coding must be stated.
    """
    if volume_stem(path) == PREDICTION_STEM:
        return CODINGS["internal"]
    if all(value == label for value, label in truth_coding.to_internal.items()):
        return CODINGS["internal"]
    raise InputError(
        found=f"a prediction of case {case} whose label coding is not known",
        expected=f"'internal' or, as the ground truth, '{truth_coding.name}', where the same "
        "numbers mean other tissue",
        action="choose with --prediction-coding",
        path=path,
    )


def unused_predictions(cases: list[Case], found: dict[str, Path]) -> tuple[str, ...]:
    """Return one sentence for each prediction without a truth."""
    spare = sorted(set(found) - {case.name for case in cases})
    return tuple(
        f"Prediction {found[name]} has no ground truth and was not scored." for name in spare
    )
