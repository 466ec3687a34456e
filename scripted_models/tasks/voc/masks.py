"""Label maps of images as files: PNG of VOC, .mat of SBD; pictures of them."""

import io
from pathlib import Path
from typing import Any

import numpy as np

from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import write_file
from scripted_models.runtime.plain_files import LARGEST_TEXT, read_bytes
from scripted_models.tasks.voc.classes import CLASSES, VOID, palette
from scripted_models.tasks.voc.label_colors import (
    classes_of_palette,
    classes_of_pixels,
    refuse_mask,
)
from scripted_models.tasks.voc.mat_files import read_struct_field
from scripted_models.tasks.voc.picture_files import (
    is_shallow_gray,
    opened_picture,
    pillow,
    refuse,
    refuse_transparency,
)


def read_mask(path: Path) -> np.ndarray:
    """Read a label map as indices, uint8 (H, W): 0 to 20, and 255 for void.

    A PNG tells the classes by the colors of VOC, in pixels or in a palette of any order, or by gray
    values that are indices; a .mat file is SBD's.

    Raises:
        InputError: not readable, colors of other data sets, or other indices.
    """
    path = Path(path)
    is_sbd = path.suffix.lower() == ".mat"
    indices = _read_sbd(path) if is_sbd else _read_png(path)
    wrong = np.setdiff1d(np.unique(indices), [*range(len(CLASSES)), VOID])
    if wrong.size:
        raise InputError(
            found=f"the indices {wrong[:5].tolist()}",
            expected=f"0 to {len(CLASSES) - 1}, and {VOID} for void",
            action="give a label map of VOC",
            path=path,
        )
    return indices.astype(np.uint8)


def _read_png(path: Path) -> np.ndarray:
    """Read what a PNG says of classes, integers (H, W)."""
    with opened_picture(path, "label map", "a PNG of classes", ("PNG", "JPEG")) as image:
        if image.format != "PNG":
            refuse(
                path,
                "a JPEG, which blurs the borders of classes into others",
                "a PNG",
                "export the label map again",
            )
        refuse_transparency(image, path)
        if is_shallow_gray(path):
            refuse(
                path,
                "gray values of fewer than 8 bits, which can be read as indices or as brightness",
                "8 bits of gray, or VOC's palette",
                "save it so",
            )
        if image.mode in ("P", "PA"):
            colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
            indices = np.array(image.getchannel(0) if image.mode == "PA" else image)
            return classes_of_palette(indices, colors, path)
        if image.mode in ("L", "LA", "I", "I;16", "I;16B"):  # the last three have 16 bits
            values = np.array(image.getchannel(0) if image.mode == "LA" else image)
            refuse_mask(values, path)
            return values
        return classes_of_pixels(np.array(image.convert("RGB")), path)


def _read_sbd(path: Path) -> np.ndarray:
    """Read GTcls.Segmentation (Hariharan et al. 2011, "Semantic contours from inverse ...")."""
    try:
        indices = read_struct_field(read_bytes(path, LARGEST_TEXT), "GTcls", "Segmentation")
    except (OSError, ValueError) as error:
        raise InputError(
            found=f"no GTcls.Segmentation ({error})",
            expected="a file of SBD's folder cls",
            action="get it again",
            path=path,
        ) from error
    if indices.ndim != 2:
        raise InputError(
            found=f"a label map of shape {indices.shape}",
            expected="rows and columns",
            action="get it again",
            path=path,
        )
    return indices


def write_mask(path: Path, indices: np.ndarray) -> None:
    """Write indices (H, W) as a PNG with the palette of VOC.

    Raises:
        ResourceError: the file cannot be written.
    """
    image = pillow().fromarray(np.ascontiguousarray(indices, np.uint8), mode="P")
    image.putpalette(palette().tobytes())
    write_file(path, _png(image))


def write_overlay(
    path: Path, picture: np.ndarray, indices: np.ndarray, share: float = 0.55
) -> None:
    """Write a picture under the colors of its label map, with outlines between the classes.

    Args:
        path: PNG to write.
        picture: uint8 (H, W, 3).
        indices: uint8 (H, W).
        share: of the colors; background and void stay as they are.

    Raises:
        InputError: sizes that differ.
        ResourceError: the file cannot be written.
    """
    if picture.shape[:2] != indices.shape:
        raise InputError(
            found=f"a picture of {picture.shape[:2]} and a label map of {indices.shape} pixels "
            "(rows, columns)",
            expected="the same size",
            action="predict at the picture's own size",
            path=path,
        )
    labeled = (indices > 0) & (indices != VOID)
    mixed = (1 - share) * picture + share * palette()[indices]
    out = np.where(labeled[..., None], mixed, picture).round().astype(np.uint8)
    edge = np.zeros(indices.shape, bool)
    for axis in (0, 1):
        changes = np.diff(indices.astype(np.int16), axis=axis) != 0
        before = tuple(slice(0, -1) if a == axis else slice(None) for a in (0, 1))
        edge[before] |= changes
    out[edge] = 255
    write_file(path, _png(pillow().fromarray(out)))


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
