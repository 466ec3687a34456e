"""Reading and writing of volumes with SimpleITK, behind checks that ITK itself does not make."""

import os
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError, ResourceError
from scripted_models.geometry import Grid
from scripted_models.images.integrity import (
    check_file_integrity,
    check_file_name,
    check_voxel_count,
    not_finite,
)
from scripted_models.images.nifti import readable_by_itk
from scripted_models.runtime.atomic_files import BEGUN

EXTENSIONS = (".nii.gz", ".nii", ".mha", ".nrrd")
LABEL_ROUNDING = 1e-3
MAX_SHEAR = 1e-4  # of the direction's cosines; what ITK itself allows in NIfTI


def volume_extension(path: Path) -> str | None:
    """Return the known volume extension of a file name, or None."""
    name = Path(path).name.lower()
    return next((ext for ext in EXTENSIONS if name.endswith(ext)), None)


def volume_stem(path: Path) -> str:
    """Return a file's name without its volume extension."""
    extension = volume_extension(path)
    return Path(path).name[: -len(extension)] if extension else Path(path).stem


def read_volume(path: Path) -> sitk.Image:
    """Read one scalar volume.

    Args:
        path: .mha, .nii, .nii.gz or .nrrd file. A 2-D image becomes a volume of one slice, a 4-D
            image of one volume that volume.

    Returns:
        3-D image with an orthonormal direction and finite voxels, pixel type as stored.

    Raises:
        InputError: missing, truncated or damaged file, several volumes (4-D), vector or complex
            pixels, NaN or infinity, sheared direction, unusable spacing.
    """
    image = _read(Path(path))
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[..., 0]
    if image.GetDimension() == 4:
        raise InputError(
            found=f"a 4-D image of {image.GetSize()[3]} volumes",
            expected="one 3-D volume",
            action="split it into one file per sequence, or name the whole MSD folder",
            path=path,
        )
    return _checked(_as_3d(image), Path(path))


def read_channel(path: Path, channel: int) -> sitk.Image:
    """Read one volume of a 4-D file (MSD layout); `channel` counts from 0."""
    image = _read(Path(path))
    if image.GetDimension() != 4 or image.GetSize()[3] <= channel:
        raise InputError(
            found=f"an image of size {image.GetSize()}",
            expected=f"a 4-D file with at least {channel + 1} volumes",
            action="compare the file with the 'modality' table of dataset.json",
            path=path,
        )
    size = [*image.GetSize()[:3], 0]
    return _checked(sitk.Extract(image, size, [0, 0, 0, channel]), Path(path))


def read_layers(path: Path) -> list[sitk.Image]:
    """Read a file that holds several numbers per voxel, as layers, or one; see `read_volume`."""
    image = _read(Path(path))
    count = image.GetNumberOfComponentsPerPixel()
    if count == 1:
        return [read_volume(path)]
    layers = (sitk.VectorIndexSelectionCast(image, index) for index in range(count))
    return [_checked(layer, Path(path)) for layer in layers]


def read_label_map(path: Path) -> tuple[np.ndarray, Grid]:
    """Read a label map in its own coding.

    Returns:
        Integer array (z, y, x) with the values of the file, and its grid.

    Raises:
        InputError: as `read_volume`, or values that are not whole numbers from 0 to 255.
    """
    image = read_volume(path)
    values = sitk.GetArrayFromImage(image)
    low, high = values.min(), values.max()
    whole = values.dtype.kind in "iu" or np.abs(values - np.rint(values)).max() <= LABEL_ROUNDING
    if not whole or low < -LABEL_ROUNDING or high > 255 + LABEL_ROUNDING:
        raise InputError(
            found=f"{'' if whole else 'fractional '}values from {low:g} to {high:g}",
            expected="whole label numbers from 0 to 255",
            action="give a label map, not an image or a probability volume",
            path=path,
        )
    return np.rint(values).astype(np.uint8), Grid.of(image)


def write_volume(path: Path, image: sitk.Image) -> None:
    """Write an image so that the file appears whole or not at all.

    The file is read back before it takes its place: ITK reports no error for NIfTI on a full disk.

    Raises:
        InputError: unknown extension, or NaN or infinite voxels.
        ResourceError: the folder cannot be written.
    """
    path = Path(path)
    extension = volume_extension(path)
    if extension is None:
        raise InputError(
            found="no volume extension",
            expected=f"a name ending in {', '.join(EXTENSIONS)}",
            action="rename it",
            path=path,
        )
    check_file_name(path)
    _check_finite(image, path)
    try:
        with tempfile.TemporaryDirectory(prefix=BEGUN, dir=path.parent) as folder:
            partial = Path(folder) / f"volume{extension}"
            sitk.WriteImage(image, str(partial), useCompression=extension != ".nii")
            _check_written(partial, extension)
            os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        raise ResourceError(
            found=f"no way to write the file ({_last_line(error)})",
            action="check that the folder exists, is writable and has space left",
            path=path,
        ) from error


def write_labels(path: Path, labels: np.ndarray, grid: Grid) -> None:
    """Write a (z, y, x) label map as uint8 on a grid.

    Raises:
        ValueError: a label is not a whole number from 0 to 255.
    """
    if labels.dtype != bool and not np.array_equal(labels, labels.astype(np.uint8)):
        raise ValueError(
            f"labels from {labels.min():g} to {labels.max():g} are no whole numbers from 0 to 255"
        )
    write_volume(path, grid.image_from(labels.astype(np.uint8)))


def _check_written(partial: Path, extension: str) -> None:
    try:
        check_file_integrity(partial, extension)
    except InputError as error:
        raise OSError("not all of the data arrived on the disk") from error
    with partial.open("rb+") as stream:
        os.fsync(stream.fileno())


def _read(path: Path) -> sitk.Image:
    extension = volume_extension(path)
    before = _state(path)
    check_file_integrity(path, extension)
    try:
        if extension in (".nii", ".nii.gz"):
            with readable_by_itk(path) as readable:
                image = _read_with_itk(readable)
        else:
            image = _read_with_itk(path)
    except (RuntimeError, OSError, UnicodeError) as error:
        raise _reading_error(path, error) from error
    if _state(path) != before:
        raise InputError(
            found="a file that changed while it was read",
            expected="one that is complete",
            action="wait until it is written and run again",
            path=path,
        )
    return image


def _state(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is written; None for what the check will refuse."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns


def _read_with_itk(path: Path) -> sitk.Image:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    check_voxel_count(path, reader.GetSize())
    return reader.Execute()


def _reading_error(path: Path, error: Exception) -> InputError:
    if "rthonormal" in str(error):  # ITK's words
        return _sheared(path)
    return InputError(
        found=f"contents that cannot be read ({_last_line(error)})",
        expected="a volume",
        action="convert or export the file again",
        path=path,
    )


def _sheared(path: Path) -> InputError:
    return InputError(
        found="axes that are not perpendicular (sheared orientation)",
        expected="an orthonormal direction",
        action="resample the volume onto a regular grid first",
        path=path,
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _as_3d(image: sitk.Image) -> sitk.Image:
    return sitk.JoinSeries(image) if image.GetDimension() == 2 else image


def _checked(image: sitk.Image, path: Path) -> sitk.Image:
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise InputError(
            found=f"{image.GetPixelIDTypeAsString()} pixels",
            expected="one number per voxel",
            action="export a gray-value image",
            path=path,
        )
    if image.GetDimension() != 3:
        raise InputError(
            found=f"a {image.GetDimension()}-D image of size {image.GetSize()}",
            expected="one 3-D volume",
            action="export a single volume",
            path=path,
        )
    _check_geometry(image, path)
    _check_finite(image, path)
    return image


def _check_geometry(image: sitk.Image, path: Path) -> None:
    spacing, origin = np.array(image.GetSpacing()), np.array(image.GetOrigin())
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise InputError(
            found=f"voxel spacing {spacing.tolist()} mm",
            expected="positive numbers",
            action="repair the header or export the volume again",
            path=path,
        )
    direction = np.array(image.GetDirection()).reshape(3, 3)
    if not (np.isfinite(origin).all() and np.isfinite(direction).all()):
        raise InputError(
            found="an orientation or origin that is NaN or infinite",
            expected="numbers",
            action="repair the header or export the volume again",
            path=path,
        )
    if not np.allclose(direction @ direction.T, np.eye(3), rtol=0, atol=MAX_SHEAR):
        raise _sheared(path)


def _check_finite(image: sitk.Image, path: Path) -> None:
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.kind == "f":
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise not_finite(path, bad)
