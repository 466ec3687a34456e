"""A DICOM series that is one volume: its files in order, its grid, and its voxels by GDCM.

Which files are a series, and in which order, is decided in `cases.dicom`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.integrity import check_file_name, check_voxel_count, not_finite


@dataclass(frozen=True)
class DicomSeries:
    """A volume in DICOM files.

    Attributes:
        files: one for each slice, or a single one with many frames; along the normal of the slices.
        grid: from the positions of the slices, not from their thickness.
        frames: index in the file of each slice, where a single file holds them all; else empty.
        uid: SeriesInstanceUID.
        number: SeriesNumber, "" when unknown.
        description: SeriesDescription.
        study_uid: StudyInstanceUID.
        study_date: StudyDate (YYYYMMDD), "" when unknown.
        patient_id: PatientID; the patient's name is nowhere.
    """

    files: tuple[Path, ...]
    grid: Grid
    frames: tuple[int, ...] = ()
    uid: str = ""
    number: str = ""
    description: str = ""
    study_uid: str = ""
    study_date: str = ""
    patient_id: str = ""

    @property
    def title(self) -> str:
        """Number and description, for sentences."""
        return series_title(self.number, self.description)

    @property
    def slices(self) -> int:
        """Number of slices."""
        return self.grid.size_xyz[2]

    def read(self) -> sitk.Image:
        """Read the volume: float32, gray values with slope and intercept of each slice.

        Raises:
            InputError: a file that cannot be read, is of another size, or holds NaN or infinity.
        """
        check_voxel_count(self.files[0], self.grid.size_xyz)
        array = np.empty(self.grid.shape_zyx, np.float32)
        for index, (path, values) in enumerate(self._slices()):
            if values.shape != array.shape[1:]:
                raise InputError(
                    found=f"an image of {values.shape[1]}x{values.shape[0]} pixels",
                    expected=f"{array.shape[2]}x{array.shape[1]}, as in the rest of the series",
                    action="export the series again",
                    path=path,
                )
            array[index] = values
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise not_finite(self.files[0], bad)
        return self.grid.image_from(array)

    def _slices(self) -> Iterator[tuple[Path, np.ndarray]]:
        """Give file and (y, x) values of each slice."""
        if not self.frames:
            yield from ((path, _read(path)[0]) for path in self.files)
            return
        array = _read(self.files[0])
        if max(self.frames) >= len(array):
            raise _damaged(self.files[0], f"{len(array)} of {len(self.frames)} frames")
        yield from ((self.files[0], array[frame]) for frame in self.frames)


def series_title(number: str, description: str) -> str:
    """Return what people know a series by."""
    return f"series {number or '?'}" + (f" '{description}'" if description else "")


def _read(path: Path) -> np.ndarray:
    """Return the float32 voxels (z, y, x) of one file."""
    check_file_name(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise _damaged(path, "a DICOM image that cannot be decoded") from error
    array = sitk.GetArrayFromImage(image)
    return array if array.ndim == 3 else array[np.newaxis]


def _damaged(path: Path, found: str) -> InputError:
    return InputError(
        found=found,
        expected="a whole image in a transfer syntax that GDCM reads",
        action="export the series again, uncompressed if it can be chosen",
        path=path,
    )
