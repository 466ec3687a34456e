"""What the colors of a label map mean: VOC's colors, or gray values that are indices.

Programs that save a palette PNG anew sort its palette and leave unused colors out. So it is not the
stored index that tells the class, but the color it stands for.
"""

from pathlib import Path

import numpy as np

from scripted_models.errors import InputError
from scripted_models.tasks.voc.classes import CLASSES, VOID, palette

UNKNOWN = -1  # in the place of a color that a palette lacks
_WEIGHTS = (1 << 16, 1 << 8, 1)
_GRAY_STEP = 0x010101  # between the codes of two neighboring gray values


def classes_of_palette(indices: np.ndarray, colors: np.ndarray, path: Path) -> np.ndarray:
    """Return the classes that the indices of a palette PNG stand for.

    The color decides, as soon as all colors in use are VOC's, or all are gray. The index itself
    decides where all classes in use have VOC's color at VOC's place, whatever is at void's place:
    many programs write only the colors of the classes.

    Args:
        indices: uint8 (H, W).
        colors: uint8 (n, 3) RGB, the palette of the file.
        path: of the file, for the error.

    Returns:
        uint8 (H, W); may hold indices beyond VOC's classes, where the file states these.

    Raises:
        InputError: colors of other data sets, whose indices mean nothing here, or one color for
            several indices in use.
    """
    used = np.unique(indices)
    codes = np.full(256, UNKNOWN, np.int64)
    codes[: len(colors)] = _codes(colors)
    if (codes == np.arange(256) * _GRAY_STEP).all():
        refuse_mask(indices, path)
        return indices
    if _in_place(used, codes):
        return indices
    _refuse_one_color(used, codes, path)
    table = np.zeros(256, np.uint8)
    table[used] = _classes(codes[used], path)
    return table[indices]


def classes_of_pixels(pixels: np.ndarray, path: Path) -> np.ndarray:
    """Return the classes that the colors of pixels stand for.

    Args:
        pixels: uint8 (H, W, 3) RGB.
        path: of the file, for the error.

    Returns:
        uint8 (H, W).

    Raises:
        InputError: other colors than VOC's.
    """
    used, places = np.unique(_codes(pixels), return_inverse=True)
    return _own_classes(used, path)[places.reshape(pixels.shape[:2])]


def refuse_mask(values: np.ndarray, path: Path) -> None:
    """Refuse gray values of 0 and 255 alone: a mask of an object, or of void without any class.

    Raises:
        InputError: nothing but these two.
    """
    if np.array_equal(np.unique(values), (0, VOID)):
        raise InputError(
            found="the gray values 0 and 255 alone, as a mask of an object has them",
            expected="indices of classes; 255 is void, which is not scored and trains nothing",
            action="write the class in the place of 255, or the map in the colors of VOC",
            path=path,
        )


def _refuse_one_color(used: np.ndarray, codes: np.ndarray, path: Path) -> None:
    """Refuse indices in use that look the same: classes may be in the indices alone."""
    known = used[codes[used] != UNKNOWN]
    colors, counts = np.unique(codes[known], return_counts=True)
    if counts.max(initial=0) > 1:
        alike = known[codes[known] == colors[counts > 1][0]]
        raise InputError(
            found=f"the indices {alike[:5].tolist()} in one color, {_words(int(codes[alike[0]]))}",
            expected="a color of its own for each class",
            action="save the label map with VOC's palette, or its indices as 8 bits of gray",
            path=path,
        )


def _in_place(used: np.ndarray, codes: np.ndarray) -> bool:
    """Tell whether the classes in use, one beside background at least, have VOC's colors."""
    classes = used[used < len(CLASSES)]
    known = np.isin(used, [*range(len(CLASSES)), VOID]).all()
    own = _codes(palette())
    return bool(known and classes.any() and (codes[classes] == own[classes]).all())


def _classes(codes: np.ndarray, path: Path) -> np.ndarray:
    """Return the class of each color of a palette, uint8."""
    is_gray = (codes >= 0) & (codes % _GRAY_STEP == 0)
    if np.isin(codes, _codes(palette())).all() or not is_gray.all():
        return _own_classes(codes, path)
    values = (codes // _GRAY_STEP).astype(np.uint8)
    refuse_mask(values, path)
    return values


def _own_classes(codes: np.ndarray, path: Path) -> np.ndarray:
    """Return the class of each color of VOC, uint8."""
    own = _codes(palette())
    strange = codes[~np.isin(codes, own)]
    if strange.size:
        raise InputError(
            found=f"colors that are not in the palette of VOC, such as {_words(int(strange[0]))}",
            expected="VOC's colors, or gray values that are indices",
            action="save the label map with VOC's palette, or its indices as 8 bits of gray",
            path=path,
        )
    order = np.argsort(own)
    return order[np.searchsorted(own[order], codes)].astype(np.uint8)


def _words(code: int) -> str:
    if code == UNKNOWN:
        return "an index without a color"
    return str(tuple(code // weight % 256 for weight in _WEIGHTS))


def _codes(colors: np.ndarray) -> np.ndarray:
    """Return one number for each RGB color, int64."""
    return colors.astype(np.int64) @ _WEIGHTS
