"""Checks on a file before its header is believed, and the errors of files that are damaged."""

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.images.payload import damaged_header

MAX_VOXELS = 2**29  # 512 Mi voxels, 2 GiB as float32; clinical head volumes are 100 times smaller


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Make an InputError of what goes wrong while a file is read or unpacked."""
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(
            found=f"data that is truncated or damaged ({error})",
            expected="a whole file",
            action="download or copy it again",
            path=path,
        ) from error


def check_voxel_count(path: Path, size: tuple[int, ...]) -> None:
    """Raise InputError when a header announces far more voxels than a head volume has."""
    if math.prod(size) > MAX_VOXELS * 4:
        found = f"a header that announces {'x'.join(map(str, size))} voxels"
        raise damaged_header(path, found, f"a head volume of at most {MAX_VOXELS} voxels")


def check_file_name(path: Path) -> None:
    """Raise InputError when a path is no valid text: SimpleITK ends the process on it."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            found="bytes in the path that are no valid UTF-8 text",
            expected="a readable name",
            action="rename the file or its folder",
            path=ascii(str(path)),
        ) from error


def check_is_file(path: Path) -> None:
    """Raise InputError where a path is no plain file with something in it."""
    check_file_name(path)
    try:
        problem = _kind_problem(path)
    except OSError as error:
        raise InputError(
            found=f"a file that cannot be opened ({error.strerror})",
            expected="a readable image",
            action="check its name and permissions",
            path=path,
        ) from error
    if problem:
        found, expected, action = problem
        raise InputError(found=found, expected=expected, action=action, path=path)


def not_finite(path: Path, count: int) -> InputError:
    """Return the error for a volume with NaN or infinite voxels."""
    return InputError(
        found=f"{count} voxels that are NaN or infinite",
        expected="numbers",
        action="repair the volume (for example by setting them to 0) before segmentation",
        path=path,
    )


def _kind_problem(path: Path) -> tuple[str, str, str] | None:
    """Return what was found, what was expected and what to do where a path is no file of bytes."""
    if path.is_dir():
        return "a folder", "an image file", "name the file itself"
    if not path.exists():
        return "no such file", "an image", "check the path"
    if not path.is_file():
        return "a device or pipe", "an image file", "name a plain file"
    with path.open("rb") as stream:
        empty = not stream.read(1)
    return ("an empty file", "an image", "copy or export it again") if empty else None
