"""Files of users, read as files: no pipe that waits for ever, no device without an end.

Every reader of a user's file opens it here, or asks here first. What is wrong is an `OSError` with
a reason in words, as for a file that is missing.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

LARGEST_TEXT = 64 << 20  # bytes of a list or table; the largest of the data sets known has 2 MiB
_FLAGS = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))


def require_file(path: Path | str) -> None:
    """Raise OSError unless a path leads to a plain file; nothing is opened for it."""
    try:
        _require_plain(os.stat(path).st_mode, path)
    except ValueError as error:  # a null character
        raise OSError(errno.EINVAL, str(error), str(path)) from error


def open_file(path: Path | str) -> BinaryIO:
    """Open a plain file for reading bytes.

    Raises:
        OSError: it cannot be opened, or is a folder, a pipe, a socket or a device.
    """
    require_file(path)  # opening a device can have effects of its own
    handle = os.open(path, os.O_RDONLY | _FLAGS)
    try:
        _require_plain(os.fstat(handle).st_mode, path)  # exchanged in between
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path | str, at_most: int) -> bytes:
    """Return the bytes of a plain file.

    Args:
        path: of the file.
        at_most: bytes that it may have; never more are read.

    Raises:
        OSError: as `open_file`, or more bytes than that.
    """
    with open_file(path) as stream:
        content = stream.read(at_most + 1)
    if len(content) > at_most:
        raise OSError(errno.EFBIG, f"It has more than {at_most >> 20} MiB", str(path))
    return content


def read_text(path: Path | str, at_most: int = LARGEST_TEXT) -> str:
    """Return the UTF-8 text of a plain file, without a byte order mark before it.

    Raises:
        OSError: as `read_bytes`.
        UnicodeDecodeError: it is not UTF-8.
    """
    return read_bytes(path, at_most).decode("utf-8-sig")


def _require_plain(mode: int, path: Path | str) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "It is a folder", str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "It is a pipe or device, not a file", str(path))
