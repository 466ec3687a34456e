"""Series that the user names one by one, as a folder or one of their files."""

from collections.abc import Mapping
from pathlib import Path

from scripted_models.cases.case import Case, ImageSource
from scripted_models.cases.dicom.judged_series import Series, judge_series
from scripted_models.cases.dicom.studies import case_name, dicom_below, images_of
from scripted_models.cases.dicom_files import has_pydicom, is_dicom, refuse_dicom
from scripted_models.errors import InputError
from scripted_models.images.dicom_series import DicomSeries
from scripted_models.images.volume_files import volume_extension

_MOST_SHOWN = 6  # series in one sentence


def named_source(path: Path) -> ImageSource:
    """Return where a sequence lies: a volume file, or a DICOM series.

    Args:
        path: of a volume; of a folder that holds one series; or of one file of a series, which
            stands for all its files in that folder.

    Raises:
        InputError: a folder without one series that is a volume.
    """
    if path.is_dir():
        return _only_volume(path, _series_in(path))
    if volume_extension(path) is None and is_dicom(path):
        series = _series_in(path.parent)
        return _only_volume(path, [s for s in series if path in _files(s)])
    return ImageSource(path)


def name_of_series(sources: Mapping[str, ImageSource]) -> str:
    """Return the name of a case whose sequences are DICOM series, "" for other files.

    Raises:
        InputError: they are of several patients.
    """
    series = [source.series for source in sources.values() if source.series]
    patients = {s.patient_id for s in series}
    if len(patients) > 1:
        raise InputError(
            found=f"series of {len(patients)} patients ({_by_patient(sources)})",
            expected="those of one, by PatientID",
            action="name the series of one patient",
        )
    if not series or len(series) < len(sources):
        return ""
    first = series[0]
    return case_name(first.patient_id, first.study_uid, first.study_date)


def doubt_of_dates(sources: Mapping[str, ImageSource]) -> str:
    """Return a sentence where DICOM series are of several dates, else ""."""
    dates: dict[str, list[str]] = {}
    for sequence, source in sources.items():
        if source.series:
            dates.setdefault(source.series.study_date, []).append(sequence)
    if len(dates) < 2:
        return ""
    told = "; ".join(f"{', '.join(names)} of {day or 'no date'}" for day, names in dates.items())
    return f"The series are of several dates ({told}): the result mixes visits."


def doubts_of_series(case: Case) -> list[str]:
    """Return sentences about what was decided for a case of DICOM series and should be checked."""
    open_words = [
        f"{case.name}: {guess.reason}"
        for sequence, guess in case.guesses.items()
        if sequence in case.images and case.images[sequence].series and guess.action
    ]
    dates = doubt_of_dates(case.images)
    return [*open_words, *([f"{case.name}: {dates}"] if dates else [])]


def _series_in(folder: Path) -> list[Series]:
    paths = list(dicom_below(folder))
    if not paths:
        raise InputError(
            found="a folder without DICOM files",
            expected="a volume file, or a folder with one DICOM series",
            action="name the file",
            path=folder,
        )
    if not has_pydicom():
        refuse_dicom(folder, paths)
    return judge_series(images_of(paths)[0])


def _only_volume(path: Path, series: list[Series]) -> ImageSource:
    volumes = [s for s in series if s.stack.grid]
    if len(volumes) == 1:
        return ImageSource(volumes[0].path, series=volumes[0].volume)
    told = [f"{s.title}: {s.why}" for s in series if s.stack.grid is None]
    shown = [s.title for s in volumes] if volumes else told
    some = "; ".join(shown[:_MOST_SHOWN]) + "; ..." * (len(shown) > _MOST_SHOWN)
    raise InputError(
        found=f"{len(volumes) or 'no'} series of a volume{f' ({some})' if some else ''}",
        expected="one",
        action="name a file of the series, or a folder that holds it alone",
        path=path,
    )


def _files(series: Series) -> set[Path]:
    return {frame.path for frame in series.stack.frames}


def _by_patient(sources: Mapping[str, ImageSource]) -> str:
    """Group the sequences by patient, without a word on who that is."""
    groups: dict[str, list[str]] = {}
    for sequence, source in sources.items():
        if isinstance(source.series, DicomSeries):
            groups.setdefault(source.series.patient_id, []).append(sequence)
    return "; ".join(", ".join(names) for names in groups.values())
