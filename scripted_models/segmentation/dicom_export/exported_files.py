"""A result as two DICOM files, and whether a series can have them."""

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scripted_models.errors import InputError
from scripted_models.images.dicom_series import DicomSeries
from scripted_models.measurement.lesions import Lesion
from scripted_models.segmentation.dicom_export.algorithm import Algorithm
from scripted_models.segmentation.dicom_export.codes import parts_of
from scripted_models.segmentation.dicom_export.source_images import WITHOUT, source_headers

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SEG_FILE, SR_FILE = "segmentation.dcm", "measurements.dcm"
_NEEDED = ("pydicom", "highdicom")


def require_packages() -> None:
    """Raise InputError unless the packages that write DICOM are installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            found=f"--dicom-seg and no package {' and no '.join(missing)}",
            expected="what writes DICOM",
            action="install it with pip install 'scripted-models[dicom]', or leave out --dicom-seg",
        )


def check_series(series: DicomSeries, known: tuple[int, ...], algorithm: Algorithm) -> None:
    """Make the objects of an empty result, so that a long run does not end in vain.

    Raises:
        InputError: a SEG or SR cannot refer to the series.
    """
    labels = np.zeros(series.grid.shape_zyx, np.uint8)
    labels[0, 0, 0] = max(known)  # one voxel: all frames of an object without any are stored
    volumes_ml = {part.key: 0.0 for part in parts_of(known)}
    _objects(labels, known, volumes_ml, (), series, algorithm)


def write_objects(
    folder: Path,
    labels: np.ndarray,
    known: tuple[int, ...],
    volumes_ml: Mapping[str, float],
    lesions: Sequence[Lesion],
    series: DicomSeries,
    algorithm: Algorithm,
) -> None:
    """Write the SEG and the SR of a result.

    Args:
        folder: exists.
        labels: uint8 (z, y, x), internal labels, on the grid of the series.
        known: internal labels that the model can give.
        volumes_ml: label or region -> volume in mL.
        lesions: connected lesions.
        series: on whose grid they lie.
        algorithm: that made them.

    Raises:
        InputError: as `check_series`.
    """
    made = _objects(labels, known, volumes_ml, lesions, series, algorithm)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values that the source has so, too
        for name, data in zip((SEG_FILE, SR_FILE), made, strict=True):
            data.save_as(folder / name, enforce_file_format=True)


def _objects(
    labels: np.ndarray,
    known: tuple[int, ...],
    volumes_ml: Mapping[str, float],
    lesions: Sequence[Lesion],
    series: DicomSeries,
    algorithm: Algorithm,
) -> "tuple[Dataset, Dataset]":
    from scripted_models.segmentation.dicom_export.measurement_report import measurement_report
    from scripted_models.segmentation.dicom_export.segmentation_object import segmentation_object

    headers = source_headers(series)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote names of patients
            seg = segmentation_object(labels, known, series, headers, algorithm)
            return seg, measurement_report(volumes_ml, lesions, headers, seg, algorithm)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            path=series.files[0],
            found=f"{series.title} with attributes that DICOM does not allow ({error})",
            expected="a series that keeps to the standard",
            action=WITHOUT,
        ) from error
