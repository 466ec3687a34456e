"""DICOM studies made from phantoms, in the styles of several vendors."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.phantom.phantom_case import make_phantom

SIZE = (48, 48, 31)
SE = {"ScanningSequence": "SE", "SequenceVariant": "SK", "MRAcquisitionType": "2D"}
TIMES = {  # TE, TR, TI, scanning sequence
    "t1": (10, 550, None, ["SE"]),
    "t1c": (10, 550, None, ["SE"]),
    "t2": (100, 4500, None, ["SE"]),
    "flair": (120, 9000, 2500, ["SE", "IR"]),
}
NAMES = {
    "siemens": {
        "t1": "t1_se_tra",
        "t1c": "t1_se_tra_KM",
        "t2": "t2_tse_tra_512",
        "flair": "t2_tirm_tra_dark-fluid",
    },
    "ge": {"t1": "Ax T1 SE", "t1c": "Ax T1 SE +C", "t2": "Ax T2 FRFSE", "flair": "Ax T2 FLAIR"},
    "philips": {"t1": "T1W_SE", "t1c": "T1W_SE_GD", "t2": "T2W_TSE", "flair": "FLAIR_longTR"},
}


@dataclass
class Study:
    """One visit of one patient.

    Attributes:
        patient: PatientID; the name is made of it.
        date: of the study.
    """

    patient: str = "MRN00417"
    date: str = "20240117"
    uid: str = field(default_factory=generate_uid)
    frame: str = field(default_factory=generate_uid)


@dataclass
class Writer:
    """Writes series into a folder.

    Attributes:
        folder: receives the files.
        study: of the series.
        name: of a file, with the numbers of series and slice.
        syntax: transfer syntax.
    """

    folder: Path
    study: Study = field(default_factory=Study)
    name: str = "SE{series:03d}/IM{slice:04d}.dcm"
    syntax: Any = ExplicitVRLittleEndian
    count: int = 0

    def series(self, description: str, array: np.ndarray, **values: Any) -> list[Path]:
        """Write a (z, y, x) array as axial slices; `values` are attributes by keyword.

        `spacing` (x, y, z), `origin` and `cosines` place it; `order` is that of the files; `slopes`
        is RescaleSlope of each slice; `each` changes a dataset before it is written.
        """
        self.count += 1
        number = values.pop("SeriesNumber", self.count)
        spacing = values.pop("spacing", (5.0, 5.0, 5.0))
        origin = np.array(values.pop("origin", (-120.0, -120.0, -75.0)), float)
        cosines = np.array(values.pop("cosines", (1, 0, 0, 0, 1, 0)), float)
        slopes = values.pop("slopes", None)
        each = values.pop("each", lambda data, index: None)
        order = values.pop("order", range(len(array)))
        normal = np.cross(cosines[:3], cosines[3:])
        uid, paths = values.pop("SeriesInstanceUID", generate_uid()), []
        for place, index in enumerate(order):
            data = self._head(description, uid, number)
            data.InstanceNumber = place + 1
            data.Rows, data.Columns = array.shape[1:]
            data.PixelSpacing = [float(spacing[1]), float(spacing[0])]
            data.SliceThickness = 1.0  # on purpose another one than the distance
            data.ImageOrientationPatient = [float(f"{c:.6f}") for c in cosines]
            position = origin + normal * spacing[2] * index
            data.ImagePositionPatient = [float(f"{p:.5f}") for p in position]
            slope = slopes[index] if slopes is not None else 1.0
            if slopes is not None:
                data.RescaleSlope, data.RescaleIntercept = str(slope)[:16], 0
            data.PixelData = np.rint(array[index] / slope).astype(np.uint16).tobytes()
            for keyword, value in values.items():
                if value is not None:
                    setattr(data, keyword, value)
            each(data, index)
            path = self.folder / self.name.format(series=self.count, slice=place)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._save(data, path)
            paths.append(path)
        return paths

    def sequence(self, name: str, description: str, array: np.ndarray, **values: Any) -> list[Path]:
        """Write one of the four sequences with its times."""
        echo, repetition, inversion, scanning = TIMES[name]
        clock = {"t1": "101500", "t2": "102000", "flair": "103000", "t1c": "104500"}[name]
        times = {
            **{"EchoTime": echo, "RepetitionTime": repetition, "InversionTime": inversion},
            **{"ScanningSequence": scanning, "AcquisitionTime": clock, "SequenceVariant": "SK"},
            "ContrastBolusAgent": "GADOVIST" if name == "t1c" else None,
        }
        return self.series(description, array, **{**times, **values})

    def four(self, arrays: dict[str, np.ndarray], style: str = "siemens", **values: Any) -> None:
        """Write the four sequences in the style of a vendor."""
        for name, description in NAMES[style].items():
            self.sequence(name, description, arrays[name], **values)

    def _head(self, description: str, uid: str, number: int) -> Dataset:
        data = Dataset()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = self.syntax
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, generate_uid()
        data.file_meta.MediaStorageSOPClassUID = MRImageStorage
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.PatientID, data.PatientName = self.study.patient, f"SECRETNAME^{self.study.patient}"
        data.StudyInstanceUID, data.StudyDate = self.study.uid, self.study.date
        data.AcquisitionDate = self.study.date
        data.FrameOfReferenceUID = self.study.frame
        data.Modality, data.SeriesInstanceUID = "MR", uid
        data.SeriesDescription, data.SeriesNumber = description, number
        data.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 0
        return data

    def _save(self, data: Dataset, path: Path) -> None:
        if self.syntax.is_compressed:
            data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            data.compress(self.syntax, generate_instance_uid=False)
        pydicom.dcmwrite(path, data, enforce_file_format=True)


def phantom_arrays(seed: int = 3, size: tuple[int, int, int] = SIZE) -> dict[str, np.ndarray]:
    """Return skull-stripped volumes as a scanner would store them: whole numbers, (z, y, x)."""
    volumes = make_phantom(seed, size).volumes
    return {name: np.rint(v * 1000 / v.max()).astype(np.uint16) for name, v in volumes.items()}


def write_enhanced(
    writer: Writer, path: Path, array: np.ndarray, order: Any, slopes: Any = None, **values: Any
) -> None:
    """Write a (z, y, x) array as one enhanced file whose frames are in another order."""
    data = writer._head(values.pop("description", "Ax T1"), generate_uid(), 1)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    data.Rows, data.Columns = array.shape[1:]
    data.NumberOfFrames = len(order)
    shared = group(
        PixelMeasuresSequence={"PixelSpacing": [5, 5], "SliceThickness": 1},
        PlaneOrientationSequence={"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]},
        MREchoSequence={"EffectiveEchoTime": 10.0},
        **values,
    )
    data.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for index in order:
        parts = {"PlanePositionSequence": {"ImagePositionPatient": [-120, -120, -75 + 5 * index]}}
        if slopes is not None:
            scale = {"RescaleSlope": slopes[index], "RescaleIntercept": 0, "RescaleType": "US"}
            parts["PixelValueTransformationSequence"] = scale
        frames.append(group(**parts))
    data.PerFrameFunctionalGroupsSequence = frames
    data.PixelData = array[list(order)].tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    writer._save(data, path)


def group(**sequences: dict[str, Any]) -> Dataset:
    """Return functional groups: sequences of one item each."""
    found = Dataset()
    for keyword, values in sequences.items():
        item = Dataset()
        for name, value in values.items():
            setattr(item, name, value)
        setattr(found, keyword, [item])
    return found


def only_case(writer: Writer) -> Case:
    """Return the one case of a folder."""
    (case,) = find_cases(writer.folder)
    return case


def taken(case: Case) -> dict[str, str]:
    """Return the descriptions of the series that were taken."""
    return {m: source.series.description for m, source in case.images.items()}


def reasons(case: Case) -> dict[str, str]:
    """Return why series were left out, by description."""
    return {file.title.partition("'")[2].rstrip("'"): file.why for file in case.ignored}
