"""Reading and writing of volumes with SimpleITK, behind checks that ITK itself does not make."""

import os
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError, ResourceError
from scripted_models.geometry import Grid
from scripted_models.images.headers import read_header, volume_extension
from scripted_models.images.integrity import check_file_name, not_finite
from scripted_models.images.payload import VolumeHeader
from scripted_models.images.voxels import read_voxels
from scripted_models.runtime.atomic_files import BEGUN, replace_file

EXTENSIONS = (".nii.gz", ".nii", ".mha", ".nrrd")  # what is written; more is read
LABEL_ROUNDING = 1e-3


def volume_stem(path: Path) -> str:
    """Return a file's name without its volume extension."""
    extension = volume_extension(path)
    return os.path.basename(path)[: -len(extension)] if extension else Path(path).stem


def read_volume(path: Path) -> sitk.Image:
    """Read one scalar volume.

    Args:
        path: file of one of `headers.EXTENSIONS`, or an .img file with its .hdr. A 2-D image
            becomes a volume of one slice, a 4-D image of one volume that volume.

    Returns:
        3-D image with an orthonormal direction and finite voxels, pixel type as stored (floating
        where the header scales the numbers).

    Raises:
        InputError: missing, truncated or damaged file, several volumes (4-D), vector or complex
            pixels, NaN or infinity, sheared direction, unusable spacing.
    """
    path = Path(path)
    return _one_volume(path, *_read(path))


def read_channel(path: Path, channel: int) -> sitk.Image:
    """Read one volume of a 4-D file (MSD layout); `channel` counts from 0."""
    path = Path(path)
    header, array = _read(path)
    if len(header.size) != 4 or header.volumes <= channel:
        raise InputError(
            found=f"an image of size {header.size}",
            expected=f"a 4-D file with at least {channel + 1} volumes",
            action="compare the file with the 'modality' table of dataset.json",
            path=path,
        )
    return _image(path, header, array[channel])


def read_layers(path: Path) -> list[sitk.Image]:
    """Read a volume, or the layers of a Slicer segmentation as volumes; see `read_volume`."""
    path = Path(path)
    header, array = _read(path)
    if header.components == 1:
        return [_one_volume(path, header, array)]
    return [_image(path, header, array[..., layer]) for layer in range(header.components)]


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
    if extension not in EXTENSIONS:
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
            _check_written(partial)
            replace_file(partial, path)
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


def _check_written(partial: Path) -> None:
    try:
        read_voxels(partial, read_header(partial))
    except InputError as error:
        raise OSError("not all of the data arrived on the disk") from error
    with partial.open("rb+") as stream:
        os.fsync(stream.fileno())


def _one_volume(path: Path, header: VolumeHeader, array: np.ndarray) -> sitk.Image:
    if header.components > 1:
        raise InputError(
            found=f"a segmentation of 3D Slicer with {header.components} layers",
            expected="one number per voxel",
            action="export a label map in 3D Slicer (Segmentations > Export to files)",
            path=path,
        )
    if len(header.size) == 4:
        raise InputError(
            found=f"a 4-D image of {header.volumes} volumes",
            expected="one 3-D volume",
            action="split it into one file per sequence, or name the whole MSD folder",
            path=path,
        )
    if len(header.size) > 4:
        raise InputError(
            found=f"a {len(header.size)}-D image of size {header.size}",
            expected="one 3-D volume",
            action="export a single volume",
            path=path,
        )
    return _image(path, header, array)


def _read(path: Path) -> tuple[VolumeHeader, np.ndarray]:
    before = _state(path)
    header = read_header(path)
    array = read_voxels(path, header)
    if _state(path) != before:
        raise InputError(
            found="a file that changed while it was read",
            expected="one that is complete",
            action="wait until it is written and run again",
            path=path,
        )
    return header, array


def _image(path: Path, header: VolumeHeader, array: np.ndarray) -> sitk.Image:
    if array.dtype.kind == "f":
        bad = array.size - int(np.count_nonzero(np.isfinite(array)))
        if bad:
            raise not_finite(path, bad)
    image = header.grid.image_from(array)
    for key, value in header.entries.items():
        image.SetMetaData(key, value)
    return image


def _state(path: Path) -> tuple[int, int] | None:
    """Return what changes when a file is written; None for what the check will refuse."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _check_finite(image: sitk.Image, path: Path) -> None:
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.kind == "f":
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise not_finite(path, bad)
