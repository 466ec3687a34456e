"""Picture files as arrays, refused where reading them would change what they say.

Pillow converts without a word: it cuts 16 bits to 8, spreads 4 bits over 8, drops transparency,
takes the first of several pictures and leaves EXIF's orientation to the caller.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from scripted_models.errors import InputError, ScriptedModelsError
from scripted_models.runtime.plain_files import open_file

INSTALL = 'install it with: pip install "scripted-models[voc]"'
_ORIENTATION, _UPRIGHT = 0x0112, 1
_TURNED = range(2, 9)
_PNG_START = b"\x89PNG\r\n\x1a\n"
_GRAY = 0  # color type of a PNG


def read_image(path: Path) -> np.ndarray:
    """Read a picture as RGB, uint8 (H, W, 3).

    Raises:
        InputError: not readable, or its conversion would lose something: an orientation in EXIF
            data, 16 bits, CMYK, transparency, several pictures in one file.
    """
    path = Path(path)
    with opened_picture(path, "picture", "a JPEG or PNG", ("JPEG", "PNG")) as image:
        if png_depth(path) == 16:
            refuse(path, "a picture of 16 bits", "8 bits for each color", "save it with 8 bits")
        if image.mode not in ("RGB", "RGBA", "L", "LA", "P", "PA", "1"):
            refuse(
                path,
                f"a picture in {image.mode} colors, which turn into others in RGB",
                "RGB or 8 bits of gray",
                "save it as RGB",
            )
        refuse_transparency(image, path)
        return np.array(image.convert("RGB"))


@contextmanager
def opened_picture(path: Path, kind: str, expected: str, formats: Sequence[str]) -> Iterator[Any]:
    """Open a picture file with Pillow, read whole.

    Args:
        path: a file; pipes and devices are refused.
        kind: what it is, for the error.
        expected: what it should be.
        formats: names of Pillow's formats that are read.

    Raises:
        InputError: not readable, of another format, several pictures in one file, or an orientation
            in EXIF data.
    """
    module = pillow()
    try:
        with open_file(path) as stream, warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow tells damaged EXIF data in no other way
            image = module.open(stream, formats=formats)
            image.load()
            _refuse_several(image, path)
            _refuse_orientation(image, path)
        with image:
            yield image
    except ScriptedModelsError:
        raise
    except module.UnidentifiedImageError:
        refuse(
            path, f"a {kind} that cannot be read as {' or '.join(formats)}", expected, "convert it"
        )
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise InputError(
            found=f"a {kind} that cannot be read ({error})",
            expected=expected,
            action="get the file again",
            path=path,
        ) from error


def refuse_transparency(image: Any, path: Path) -> None:
    """Refuse a picture that is transparent anywhere; opaque alpha loses nothing.

    Raises:
        InputError: a transparent pixel.
    """
    if "transparency" not in image.info and image.mode not in ("RGBA", "LA", "PA"):
        return
    least, _ = image.convert("RGBA").getchannel("A").getextrema()
    if least < 255:
        refuse(path, "transparent pixels", "opaque ones", "save it without transparency")


def png_depth(path: Path) -> int:
    """Return the bits of a sample of a PNG, 8 for other formats; Pillow's modes do not tell."""
    return _png_facts(path)[0]


def is_shallow_gray(path: Path) -> bool:
    """Tell whether a PNG holds gray values of fewer than 8 bits."""
    depth, color_type = _png_facts(path)
    return depth < 8 and color_type == _GRAY


def _png_facts(path: Path) -> tuple[int, int]:
    """Return depth and color type of a PNG (its specification, section 11.2.2, "IHDR")."""
    with open_file(path) as stream:
        start = stream.read(26)
    return (start[24], start[25]) if start.startswith(_PNG_START) else (8, -1)


def _refuse_several(image: Any, path: Path) -> None:
    # The further pictures of a phone's JPEG ("MPO") are previews and depth.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        refuse(path, f"{image.n_frames} pictures in one file", "one", "save the one you mean")


def _refuse_orientation(image: Any, path: Path) -> None:
    """Refuse a picture that viewers turn: a label map may be drawn on either side of it."""
    try:
        orientation = image.getexif().get(_ORIENTATION, _UPRIGHT)
    except Exception as error:  # whatever Pillow raises for damaged metadata
        raise InputError(
            found=f"EXIF data that cannot be read ({error})",
            expected="readable ones, because they may say that the picture is turned",
            action="save the picture again without them",
            path=path,
        ) from error
    if orientation in _TURNED:
        refuse(
            path,
            f"the orientation {orientation} in EXIF data: viewers show the picture turned or "
            "mirrored, and a label map may belong to either",
            "a picture that is stored as it is shown",
            "turn the pixels, for example with 'mogrify -auto-orient' or 'exiftran -a', and check "
            "its label map",
        )


def refuse(path: Path, found: str, expected: str, action: str) -> NoReturn:
    """Raise InputError about a picture file."""
    raise InputError(found=found, expected=expected, action=action, path=path)


def pillow() -> Any:
    """Return Pillow's module `Image`.

    Raises:
        InputError: it is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            found="no Pillow",
            expected="it for label maps and pictures of VOC",
            action=INSTALL,
        ) from error
    return Image
