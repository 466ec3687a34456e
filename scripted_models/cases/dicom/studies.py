"""Cases from a folder of DICOM files: a case is one study of one patient."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from scripted_models.cases.case import Case, ImageSource
from scripted_models.cases.dicom.attributes import DicomImage, read_attributes
from scripted_models.cases.dicom.chosen_series import choose_series
from scripted_models.cases.dicom.judged_series import Series, judge_series
from scripted_models.cases.dicom.media_directory import NAME, count_missing
from scripted_models.cases.dicom_files import has_pydicom, is_dicom, refuse_dicom
from scripted_models.cases.folder_walk import files_below
from scripted_models.cases.ignored_files import IgnoredFile, ignored_series
from scripted_models.cases.sequence_assignment import SURE, Guess
from scripted_models.cases.sequence_names import read_name
from scripted_models.errors import InputError, phrases
from scripted_models.images.volume_files import volume_extension
from scripted_models.sequences import SEQUENCES

_MOST_REASONS = 8  # in one sentence

_ = phrases(__name__)


def dicom_cases(folder: Path) -> list[Case]:
    """Find the studies below a folder that holds no other volumes; none where no DICOM file is.

    What was left out beside them is told with the first one.

    Raises:
        InputError: there are DICOM files, but no pydicom or no series of a sequence.
    """
    paths = list(dicom_below(folder))
    if not paths:
        return []
    if not has_pydicom():
        refuse_dicom(folder, paths)
    cases, ignored = _find_studies(paths)
    ignored += _of_directories(folder, paths)
    if not cases:
        told = sorted({f"{file.title or file.path.name}: {file.why}" for file in ignored})
        some = "; ".join(told[:_MOST_REASONS]) + "; ..." * (len(told) > _MOST_REASONS)
        raise InputError(
            found=_("DICOM files of no T1, T1c, T2 or FLAIR ({some})").format(some=some),
            expected=_("magnetic resonance series of a head"),
            action=_("choose another folder, or name the series with --t1 --t1c --t2 --flair"),
            path=folder,
        )
    return [replace(cases[0], ignored=(*cases[0].ignored, *ignored)), *cases[1:]]


def _find_studies(paths: Iterable[Path]) -> tuple[list[Case], list[IgnoredFile]]:
    """Return the studies with a sequence, and what was left out of all others."""
    images, ignored = images_of(paths)
    studies: dict[tuple[str, str], list[DicomImage]] = {}
    for image in images:
        home = image.study_uid or str(image.path.parent)
        studies.setdefault((image.patient_id, home), []).append(image)
    cases = [
        _case(case_name(*key, members[0].study_date), members) for key, members in studies.items()
    ]
    told = [case for case in cases if case.images or case.guesses]
    for case in cases:
        if case not in told:
            ignored += case.ignored
    return told, ignored


def case_name(patient_id: str, study: str, date: str) -> str:
    """Return a name that tells neither patient nor hospital.

    It is made of a hash of the patient's number, the date of the study and a hash of its number.
    So all studies of a patient begin alike, whatever lies beside them.
    """
    parts = [_hash(patient_id or study)[:8], date, _hash(study)[:4]]
    return "dicom-" + "_".join(part for part in parts if part.isalnum())


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def images_of(paths: Iterable[Path]) -> tuple[list[DicomImage], list[IgnoredFile]]:
    """Read the attributes of all DICOM files; an image that lies there twice counts once."""
    images: dict[tuple[object, ...], DicomImage] = {}
    ignored = []
    for path in paths:
        image = read_attributes(path)
        if image is None:
            ignored.append(IgnoredFile(path, path.name, _("it is a damaged DICOM file")))
        else:
            # the place, too: some anonymize all images by one number
            place = image.frames[0].position if image.frames else None
            own = (image.patient_id, image.study_uid, image.series_uid, image.uid or path, place)
            images.setdefault(own, image)
    return list(images.values()), ignored


def _of_directories(folder: Path, paths: Sequence[Path]) -> list[IgnoredFile]:
    """Tell the files that a DICOMDIR lists and that are not there, as after half a copy."""
    found = []
    for path in (path for path in files_below(folder) if path.name.upper() == NAME):
        listed, missing = count_missing(path, paths)
        if missing:
            words = _("{missing} of the {listed} files that it lists are not there")
            why = words.format(missing=missing, listed=listed)
            found.append(IgnoredFile(path, path.name, why))
    return found


def dicom_below(folder: Path) -> Iterator[Path]:
    """Give the DICOM files below a folder, without directories (DICOMDIR)."""
    for path in files_below(folder):
        if not volume_extension(path) and path.name.upper() != NAME and is_dicom(path):
            yield path


def _case(name: str, images: Iterable[DicomImage]) -> Case:
    series = judge_series(images)
    left_out = {s: s.why for s in series if s.why}
    has_contrast = any(s.told.sequence == "t1c" for s in series if not s.why)
    sources: dict[str, ImageSource] = {}
    guesses: dict[str, Guess[Path]] = {}
    for sequence in SEQUENCES:
        members = [s for s in series if not s.why and s.told.sequence == sequence]
        chosen, guess, others = choose_series(sequence, members, has_contrast)
        left_out |= others
        if guess:
            guesses[sequence] = guess
        if chosen and guess and guess.confidence == SURE:
            sources[sequence] = ImageSource(chosen.path, series=chosen.volume)
    telling = sorted(left_out.items(), key=lambda item: read_name(item[0].name).sequence is None)
    ignored = tuple(_ignored(name, s, why) for s, why in telling)
    return Case(name, sources, guesses=guesses, ignored=ignored)


def _ignored(name: str, series: Series, why: str) -> IgnoredFile:
    return ignored_series(series.path, name, series.title, why)
