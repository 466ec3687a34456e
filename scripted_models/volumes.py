"""Reading and writing of volumes with SimpleITK, behind checks that ITK itself does not make."""

import os
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError, ResourceError
from scripted_models.geometry import Grid
from scripted_models.integrity import check_file_integrity

EXTENSIONS = (".nii.gz", ".nii", ".mha", ".nrrd")
MAX_VOXELS = 2**29  # 512 Mi voxels, 2 GiB as float32; clinical head volumes are 100 times smaller


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
        path: .mha, .nii, .nii.gz or .nrrd file. A 2-D image becomes a volume of one slice.

    Returns:
        3-D image with an orthonormal direction and finite voxels, pixel type as stored.

    Raises:
        InputError: missing, truncated or damaged file, several volumes (4-D), vector or complex
            pixels, NaN or infinity, sheared direction, unusable spacing.
    """
    image = _read(Path(path))
    if image.GetDimension() == 4:
        raise InputError(
            f"{path}: found a 4-D image of {image.GetSize()[3]} volumes, expected one 3-D volume; "
            "split it into one file per sequence (MSD folders with dataset.json are read as they are)."
        )
    return _checked(_as_3d(image), Path(path))


def read_channel(path: Path, channel: int) -> sitk.Image:
    """Read one volume of a 4-D file (MSD layout); `channel` counts from 0."""
    image = _read(Path(path))
    if image.GetDimension() != 4 or image.GetSize()[3] <= channel:
        raise InputError(
            f"{path}: found an image of size {image.GetSize()}, expected a 4-D file with at least "
            f"{channel + 1} volumes; compare the file with the 'modality' table of dataset.json."
        )
    size = [*image.GetSize()[:3], 0]
    return _checked(sitk.Extract(image, size, [0, 0, 0, channel]), Path(path))


def read_label_map(path: Path) -> tuple[np.ndarray, Grid]:
    """Read a label map in its own coding.

    Returns:
        Integer array (z, y, x) with the values of the file, and its grid.

    Raises:
        InputError: as `read_volume`, or values that are not whole numbers from 0 to 255.
    """
    image = read_volume(path)
    values = sitk.GetArrayFromImage(image)
    rounded = np.rint(values)
    if np.abs(values - rounded).max(initial=0) > 1e-3 or rounded.min() < 0 or rounded.max() > 255:
        raise InputError(
            f"{path}: found values from {values.min():g} to {values.max():g}, expected whole label "
            "numbers from 0 to 255; give a label map, not an image or a probability volume."
        )
    return rounded.astype(np.uint8), Grid.of(image)


def write_volume(path: Path, image: sitk.Image) -> None:
    """Write an image so that the file appears whole or not at all.

    Raises:
        InputError: unknown extension.
        ResourceError: the folder cannot be written.
    """
    path = Path(path)
    extension = volume_extension(path)
    if extension is None:
        raise InputError(
            f"{path}: expected a file name ending in {', '.join(EXTENSIONS)}; rename it."
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
            partial = Path(folder) / f"volume{extension}"
            sitk.WriteImage(image, str(partial), useCompression=extension != ".nii")
            os.replace(partial, path)
    except (OSError, RuntimeError) as error:
        raise ResourceError(
            f"{path}: could not be written ({_last_line(error)}); check that the folder exists, is "
            "writable and has space left."
        ) from error


def write_labels(path: Path, labels: np.ndarray, grid: Grid) -> None:
    """Write a (z, y, x) label map as uint8 on a grid."""
    write_volume(path, grid.image_from(labels.astype(np.uint8)))


def _read(path: Path) -> sitk.Image:
    check_file_integrity(path, volume_extension(path))
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if np.prod([float(n) for n in reader.GetSize()]) > MAX_VOXELS * 4:
            raise InputError(
                f"{path}: its header announces {reader.GetSize()} voxels, more than any head volume "
                "needs; check the file."
            )
        return reader.Execute()
    except RuntimeError as error:
        raise InputError(_reading_problem(path, error)) from error


def _reading_problem(path: Path, error: RuntimeError) -> str:
    text = _last_line(error)
    if "rthonormal" in str(error):
        return (
            f"{path}: found axes that are not perpendicular (sheared orientation), expected an "
            "orthonormal direction; resample the volume onto a regular grid first."
        )
    return f"{path}: could not be read as an image ({text}); convert or export the file again."


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _as_3d(image: sitk.Image) -> sitk.Image:
    return sitk.JoinSeries(image) if image.GetDimension() == 2 else image


def _checked(image: sitk.Image, path: Path) -> sitk.Image:
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise InputError(
            f"{path}: found {image.GetPixelIDTypeAsString()} pixels, expected one number per voxel; "
            "export a grey-value image."
        )
    spacing = np.array(image.GetSpacing())
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        raise InputError(f"{path}: found spacing {tuple(spacing)} mm, expected positive numbers.")
    direction = np.array(image.GetDirection()).reshape(3, 3)
    if not np.allclose(direction @ direction.T, np.eye(3), atol=1e-3):
        raise InputError(
            f"{path}: found axes that are not perpendicular (sheared orientation), expected an "
            "orthonormal direction; resample the volume onto a regular grid first."
        )
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise InputError(
            f"{path}: found {count} voxels that are NaN or infinite, expected numbers; repair the "
            "volume (for example by setting them to 0) before segmentation."
        )
    return image
