"""Lists of image names in text files, as VOC's kit, editors and other programs write them."""

import codecs
import re
from collections import Counter
from pathlib import Path, PurePosixPath

from scripted_models.errors import InputError
from scripted_models.runtime.plain_files import LARGEST_TEXT, read_bytes

SUFFIXES = (".jpg", ".jpeg", ".png", ".mat")
_MARKS = (  # at the start of a file -> encoding; those of UTF-32 start as those of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MARK = "\ufeff"  # also inside, where lists were joined
_CLASS_MARK = re.compile(r"[+-]?\d+")


def names_of(path: Path) -> list[str]:
    """Read a list of names, one on each line; folders and extensions of files are left out.

    A second column may repeat the name, as lists of pictures with their label maps do, or be 1.

    Args:
        path: text in UTF-8, or in UTF-16 with a byte order mark; any ends of lines.

    Raises:
        InputError: not there, empty, a name twice, or columns that say something else, such as the
            1 and -1 of VOC's lists of a class.
    """
    path = Path(path)
    lines = re.split(r"[\r\n]+", _text(path).replace(_MARK, ""))
    rows = [line.split() for line in lines if line.strip()]
    _refuse_class_list(rows, path)
    names = [_name(row, path) for row in rows]
    if double := sorted(name for name, count in Counter(names).items() if count > 1):
        raise InputError(
            found=f"{len(names)} names, of which {', '.join(double[:5])} stand there again",
            expected="each once",
            action="correct the list",
            path=path,
        )
    if not names:
        raise InputError(
            found="0 names", expected="at least one", action="correct the list", path=path
        )
    return names


def _text(path: Path) -> str:
    try:
        content = read_bytes(path, LARGEST_TEXT)
        encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
        text = content.decode(encoding)
        if "\0" in text:
            raise ValueError("bytes of 0, as UTF-16 without a byte order mark has them")
    except (OSError, ValueError) as error:
        raise InputError(
            found=f"no readable list of images ({error})",
            expected="text in UTF-8",
            action="name another, or save it as UTF-8",
            path=path,
        ) from error
    return text


def _refuse_class_list(rows: list[list[str]], path: Path) -> None:
    """Refuse VOC's lists of a class: 1 says that the picture shows it, 0 that it hardly does."""
    marks = {row[1] for row in rows if len(row) == 2 and _CLASS_MARK.fullmatch(row[1])}
    if marks - {"1"}:
        raise InputError(
            found=f"a second column with {', '.join(sorted(marks))}, as VOC's lists of a class "
            "have it: -1 says that a picture does not show the class",
            expected="a list of the images that are meant",
            action="keep the lines that end in 1, or name a list of ImageSets/Segmentation",
            path=path,
        )


def _name(row: list[str], path: Path) -> str:
    """Return the name of a line: its first column, which further ones may only repeat."""
    name, *others = map(_stem, row)
    if any(other not in (name, "1") for other in others):
        raise InputError(
            found=f"the line '{' '.join(row)[:80]}'",
            expected="one name without blanks, or a picture and its label map of the same name",
            action="correct the list",
            path=path,
        )
    return name


def _stem(text: str) -> str:
    name = PurePosixPath(text.replace("\\", "/")).name
    suffix = next((end for end in SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] or text
