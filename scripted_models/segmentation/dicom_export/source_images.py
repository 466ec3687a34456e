"""The headers of the series on whose grid a result lies: what a SEG and an SR inherit from."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scripted_models.errors import InputError
from scripted_models.images.dicom_series import DicomSeries

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_COMMON = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
_MAY_BE_EMPTY = (  # but must be there (type 2)
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
_CLASSES = {  # magnetic resonance: plain, enhanced, converted to enhanced
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.4.4",
}
WITHOUT = "leave out --dicom-seg, or export the series again from where it is from"


def source_headers(series: DicomSeries) -> "list[Dataset]":
    """Read the headers of a series, placed on its grid where rounding moved single slices.

    Returns:
        One for each slice in the order of the grid, or a single one of many frames.

    Raises:
        InputError: a file that is gone, or headers that nothing can refer to.
    """
    headers = [_read(path) for path in series.files]
    if problem := _no_reference(headers):
        raise InputError(
            path=series.files[0],
            found=f"{series.title} {problem}",
            expected="magnetic resonance images that a DICOM SEG can refer to",
            action=WITHOUT,
        )
    for header in headers:
        for keyword in _MAY_BE_EMPTY:
            if keyword not in header:
                setattr(header, keyword, None)
        _to_one_character_set(header)
        _put_on(header, series)
    return headers


def frame_order(series: DicomSeries) -> np.ndarray:
    """Return the index along z of the grid for each source image or frame, in its own order."""
    return np.argsort(series.frames) if series.frames else np.arange(series.slices)


def _read(path: Path) -> "Dataset":
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return pydicom.dcmread(path, stop_before_pixels=True, force=True)
        except Exception as error:  # pydicom raises what its parsers raise, of many kinds
            raise InputError(
                path=path,
                found=f"a file that cannot be read ({error})",
                expected="the DICOM file that was there before",
                action="copy the series again",
            ) from error


def _no_reference(headers: "list[Dataset]") -> str:
    """Say what keeps other objects from referring to images; "" where nothing does."""
    for keyword in (*_IDENTITY, "FrameOfReferenceUID"):
        if not all(header.get(keyword) for header in headers):
            return f"without {keyword}"
    for keyword in _COMMON:
        if len({str(header.get(keyword)) for header in headers}) > 1:
            return f"of several {keyword}s"
    if len({str(header.SOPInstanceUID) for header in headers}) < len(headers):
        return "whose images share one SOPInstanceUID"
    others = {str(header.SOPClassUID) for header in headers} - _CLASSES
    return f"of the SOP class {', '.join(sorted(others))}" if others else ""


def _to_one_character_set(header: "Dataset") -> None:
    """Turn texts that switch between character sets, as those of Japan and Korea do, into UTF-8.

    highdicom refuses to hand such sets on.
    """
    from pydicom.multival import MultiValue

    if isinstance(header.get("SpecificCharacterSet"), MultiValue):
        header.decode()
        header.SpecificCharacterSet = "ISO_IR 192"


def _put_on(header: "Dataset", series: DicomSeries) -> None:
    """Give a header orientation and spacing of the grid; positions stay those of the slices."""
    from highdicom import PixelMeasuresSequence, PlaneOrientationSequence

    axes = np.reshape(series.grid.direction, (3, 3))
    columns_mm, rows_mm, distance = series.grid.spacing_xyz_mm
    orientation = [*axes[:, 0].tolist(), *axes[:, 1].tolist()]
    measures = PixelMeasuresSequence((rows_mm, columns_mm), distance, distance)
    planes = PlaneOrientationSequence("PATIENT", orientation)
    if not series.frames:
        header.update({e.tag: e for e in (*planes[0], *measures[0])})
        return
    shared = header.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = planes, measures
    for frame in header.PerFrameFunctionalGroupsSequence:
        for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
            frame.pop(keyword, None)
