"""Label maps of images as files: palette PNG of VOC, .mat of SBD; pictures of them."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import write_file
from scripted_models.runtime.plain_files import LARGEST_TEXT, open_file, read_bytes
from scripted_models.tasks.voc.classes import CLASSES, VOID, palette
from scripted_models.tasks.voc.mat_files import read_struct_field

INSTALL = 'install it with: pip install "scripted-models[voc]"'


def read_mask(path: Path) -> np.ndarray:
    """Read a label map as indices, uint8 (H, W): 0 to 20, and 255 for void.

    A PNG holds indices, with a palette or as gray values, or the colors of the palette; a .mat file
    is SBD's.

    Raises:
        InputError: not readable, colors that the palette does not have, or other indices.
    """
    path = Path(path)
    indices = _read_sbd(path) if path.suffix == ".mat" else _read_picture(path)
    wrong = np.setdiff1d(np.unique(indices), [*range(len(CLASSES)), VOID])
    if wrong.size:
        raise InputError(
            found=f"the indices {wrong[:5].tolist()}",
            expected=f"0 to {len(CLASSES) - 1}, and {VOID} for void",
            action="give a label map of VOC",
            path=path,
        )
    return indices.astype(np.uint8)


def _read_picture(path: Path) -> np.ndarray:
    with _opened(path, "label map", "a PNG of indices") as image:
        if image.mode in ("P", "L"):
            return np.array(image, np.uint8)
        return _indices_of_colors(np.array(image.convert("RGB")), path)


@contextmanager
def _opened(path: Path, kind: str, expected: str) -> Iterator[Any]:
    """Open a picture file with Pillow, read whole."""
    image_module = _pillow()
    try:
        with open_file(path) as stream, image_module.open(stream) as image:
            image.load()
            yield image
    except InputError:
        raise
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise InputError(
            found=f"a {kind} that cannot be read ({error})",
            expected=expected,
            action="get the file again",
            path=path,
        ) from error


def _indices_of_colors(colors: np.ndarray, path: Path) -> np.ndarray:
    """Return the indices of colors (H, W, 3) that are all in the palette."""
    table = palette().astype(np.int64) @ (1 << 16, 1 << 8, 1)
    codes = colors.astype(np.int64) @ (1 << 16, 1 << 8, 1)
    order = np.argsort(table)
    places = np.searchsorted(table[order], codes).clip(max=255)
    indices = order[places]
    if (table[indices] != codes).any():
        raise InputError(
            found="colors that are not in the palette of VOC",
            expected="indices",
            action="save the label map as a palette PNG",
            path=path,
        )
    return indices.astype(np.uint8)


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
    image = _pillow().fromarray(np.ascontiguousarray(indices, np.uint8), mode="P")
    image.putpalette(palette().tobytes())
    write_file(path, _png(image))


def read_image(path: Path) -> np.ndarray:
    """Read a picture as RGB, uint8 (H, W, 3); a rotation in its EXIF data is not applied.

    Raises:
        InputError: not readable.
    """
    with _opened(path, "picture", "a JPEG or PNG") as image:
        return np.array(image.convert("RGB"))


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
    write_file(path, _png(_pillow().fromarray(out)))


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            found="no Pillow",
            expected="it for label maps and pictures of VOC",
            action=INSTALL,
        ) from error
    return Image
