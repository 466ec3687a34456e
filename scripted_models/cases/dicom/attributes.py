"""The attributes of DICOM files, read with pydicom, without their pixels."""

import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripted_models.runtime.printable_text import on_one_line

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_B_VALUES = (  # public, GE, Siemens, Philips
    *((0x0018, 0x9087), (0x0043, 0x1039)),
    *((0x0019, 0x100C), (0x2001, 0x1003)),
)
_KEYWORDS = (
    *("SOPClassUID", "SOPInstanceUID", "PatientID", "StudyInstanceUID", "StudyDate"),
    *("SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "ProtocolName", "Modality"),
    *("BodyPartExamined", "ImageType", "ScanningSequence", "SequenceVariant"),
    *("MRAcquisitionType", "EchoTime", "RepetitionTime", "InversionTime", "ContrastBolusAgent"),
    *("ContrastBolusAgentSequence", "AngioFlag", "AcquisitionDateTime", "AcquisitionDate"),
    *("AcquisitionTime", "SeriesDate", "SeriesTime", "Rows", "Columns", "SamplesPerPixel"),
    *("NumberOfFrames", "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "EchoPulseSequence"),
    "SpecificCharacterSet",
)
_MOST_LETTERS = 80  # of a description in a sentence


@dataclass(frozen=True)
class Frame:
    """One slice.

    Attributes:
        path: its file.
        index: in a file of several frames, else None.
        position: ImagePositionPatient (LPS mm), None when unknown.
        cosines: ImageOrientationPatient, None when unknown.
        spacing_mm: between rows and between columns, None when unknown.
        size: rows and columns.
        scale: slope and intercept of a frame in a file of several, else None.
    """

    path: Path
    index: int | None
    position: tuple[float, ...] | None
    cosines: tuple[float, ...] | None
    spacing_mm: tuple[float, ...] | None
    size: tuple[int, int]
    scale: tuple[float, ...] | None = None


@dataclass(frozen=True)
class DicomImage:
    """What a DICOM file says of itself; texts are "" and numbers None where it does not."""

    path: Path
    uid: str
    patient_id: str
    study_uid: str
    study_date: str
    series_uid: str
    number: str
    description: str
    protocol: str
    modality: str
    body_part: str
    image_type: tuple[str, ...]
    scanning: tuple[str, ...]
    variant: tuple[str, ...]
    is_3d: bool
    echo_ms: float | None
    repetition_ms: float | None
    inversion_ms: float | None
    agent: str
    b_value: float | None
    is_angiography: bool
    time: str
    samples: int
    frames: tuple[Frame, ...]


def read_attributes(path: Path) -> DicomImage | None:
    """Read the attributes of a DICOM file; None where it is damaged or a directory (DICOMDIR)."""
    import pydicom

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tags: list[Any] = [*_KEYWORDS, *_B_VALUES]
            data = pydicom.dcmread(path, stop_before_pixels=True, force=True, specific_tags=tags)
            return _image(path, data) if "SOPClassUID" in data or "Modality" in data else None
        except Exception:  # pydicom raises what its parsers raise, of many kinds
            return None


def _image(path: Path, data: "Dataset") -> DicomImage:
    numbers = _Finder(data)
    agent = _text(data, "ContrastBolusAgent") or numbers.agent()
    return DicomImage(
        path=path,
        uid=_text(data, "SOPInstanceUID"),
        patient_id=_text(data, "PatientID"),
        study_uid=_text(data, "StudyInstanceUID"),
        study_date=_text(data, "StudyDate"),
        series_uid=_text(data, "SeriesInstanceUID"),
        number=_text(data, "SeriesNumber"),
        description=_text(data, "SeriesDescription"),
        protocol=_text(data, "ProtocolName"),
        modality=_text(data, "Modality").upper(),
        body_part=_text(data, "BodyPartExamined").upper(),
        image_type=_words(data, "ImageType"),
        scanning=_words(data, "ScanningSequence") or _words(data, "EchoPulseSequence"),
        variant=_words(data, "SequenceVariant"),
        is_3d=_text(data, "MRAcquisitionType").upper() == "3D",
        echo_ms=numbers.first("EchoTime", "EffectiveEchoTime"),
        repetition_ms=numbers.first("RepetitionTime"),
        inversion_ms=numbers.first("InversionTime", "InversionTimes") or None,
        agent=agent,
        b_value=_b_value(data, numbers),
        is_angiography=_text(data, "AngioFlag").upper() == "Y",
        time=_time(data),
        samples=int(_number(data.get("SamplesPerPixel")) or 1),
        frames=tuple(_frames(path, data)),
    )


class _Finder:
    """Looks for attributes in a file and in the functional groups of an enhanced one."""

    def __init__(self, data: "Dataset"):
        shared = data.get("SharedFunctionalGroupsSequence") or []
        frames = data.get("PerFrameFunctionalGroupsSequence") or []
        self.data = data
        self.groups = [
            data,
            *(inner for group in [*shared, *frames[:1]] for inner in _inner(group)),
        ]

    def first(self, *keywords: str) -> float | None:
        """Return the first number."""
        found = (_number(group.get(word)) for group in self.groups for word in keywords)
        return next((number for number in found if number is not None), None)

    def agent(self) -> str:
        """Return the contrast agent of an enhanced file."""
        for item in self.data.get("ContrastBolusAgentSequence") or []:
            return _text(item, "CodeMeaning") or "contrast"
        return ""


def _inner(group: "Dataset") -> Iterator["Dataset"]:
    for element in group:
        if element.VR == "SQ" and element.value:
            yield element.value[0]


def _frames(path: Path, data: "Dataset") -> Iterator[Frame]:
    size = (int(_number(data.get("Rows")) or 0), int(_number(data.get("Columns")) or 0))
    if min(size) < 1:
        return
    groups = data.get("PerFrameFunctionalGroupsSequence") or []
    if not groups:
        single = (_number(data.get("NumberOfFrames")) or 1) <= 1
        place = _floats(data, "ImagePositionPatient", 3) if single else None  # frames have none
        cosines = _floats(data, "ImageOrientationPatient", 6)
        yield Frame(path, None, place, cosines, _floats(data, "PixelSpacing", 2), size)
        return
    shared = list(data.get("SharedFunctionalGroupsSequence") or [])
    for index, group in enumerate(groups):
        inner = [part for own in (group, *shared[:1]) for part in _inner(own)]
        yield Frame(
            path,
            index,
            _of_first(inner, "ImagePositionPatient", 3),
            _of_first(inner, "ImageOrientationPatient", 6),
            _of_first(inner, "PixelSpacing", 2),
            size,
            _scale(inner),
        )


def _scale(groups: Iterable["Dataset"]) -> tuple[float, ...] | None:
    for group in groups:
        if "RescaleSlope" in group:
            slope = _number(group.get("RescaleSlope"))
            return (1.0 if slope is None else slope, _number(group.get("RescaleIntercept")) or 0.0)
    return None


def _of_first(groups: Iterable["Dataset"], keyword: str, count: int) -> tuple[float, ...] | None:
    found = (_floats(group, keyword, count) for group in groups)
    return next((values for values in found if values is not None), None)


def _b_value(data: "Dataset", numbers: _Finder) -> float | None:
    """Return the largest b-value; GE adds 1e9 to some."""
    found = numbers.first("DiffusionBValue")
    for tag in _B_VALUES:
        element = data.get(tag)
        number = _number(element.value) if element is not None else None
        if number is not None:
            found = max(found or 0.0, number % 1e6)
    return found


def _time(data: "Dataset") -> str:
    """Return when the series was acquired, in a form that sorts; "" when unknown."""
    if whole := _text(data, "AcquisitionDateTime"):
        return whole[:20]
    for kind in ("Acquisition", "Series"):
        if clock := _text(data, f"{kind}Time"):
            day = _text(data, f"{kind}Date") or _text(data, "StudyDate")
            return day + clock
    return ""


def _text(data: "Dataset", keyword: str) -> str:
    value = data.get(keyword)
    return "" if value is None else on_one_line(str(value)).strip(" \0")[:_MOST_LETTERS]


def _words(data: "Dataset", keyword: str) -> tuple[str, ...]:
    value = data.get(keyword)
    if value is None or value == "":
        return ()
    parts = [value] if isinstance(value, str) else value
    return tuple(str(part).strip(" \0").upper() for part in parts)


def _floats(data: "Dataset", keyword: str, count: int) -> tuple[float, ...] | None:
    value = data.get(keyword)
    try:
        numbers = tuple(float(part) for part in value or ())
    except (TypeError, ValueError):
        return None
    return numbers if len(numbers) == count else None


def _number(value: Any) -> float | None:
    """Return a finite number, the first of several; None for what is none."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace").strip("\0 ").partition("\\")[0]
    elif (
        value is not None and not isinstance(value, (str, int, float)) and hasattr(value, "__len__")
    ):
        value = value[0] if len(value) else None
    try:
        number = float(value) if value not in (None, "") else math.nan
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
