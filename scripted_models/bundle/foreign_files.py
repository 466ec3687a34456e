"""The files of a stranger's folder or zip file, by name, within bounds.

Nothing that a source says about itself is believed: sizes are counted while reading, and links,
special files, encrypted files and paths that lead elsewhere are refused.
"""

import errno
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from scripted_models.bundle.zip_files import open_zip
from scripted_models.errors import ModelError
from scripted_models.runtime.plain_files import open_file

_DIRECTORY_BYTES = 1 << 20  # what a zip file says about its files
_CLUTTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")  # put there by file managers
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags of an entry: encrypted, strongly, with a masked header
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(IndexError, NotImplementedError, RuntimeError, ValueError),
)


@dataclass(frozen=True)
class Entry:
    """A file of a folder or zip file.

    Attributes:
        name: with '/', as stated by the source.
        open: opens it for reading.
    """

    name: str
    open: Callable[[], IO[bytes]]


@contextmanager
def opened_entries(source: Path, most_entries: int, most_bytes: int) -> Iterator[list[Entry]]:
    """Give the files of a folder or zip file, without those of file managers.

    Args:
        source: folder or zip file.
        most_entries: files and folders that it may hold.
        most_bytes: of a zip file.

    Raises:
        ModelError: neither of both, damaged, also where an entry is read inside, too large, or with
            an entry that is no plain file in its place.
    """
    if source.is_dir():
        yield without_clutter(_folder_entries(source, most_entries))
        return
    try:
        with open_file(source) as stream:
            if os.fstat(stream.fileno()).st_size > most_bytes:
                raise refusal(source, f"more than {most_bytes >> 20} MiB")
            with open_zip(stream, _DIRECTORY_BYTES) as archive:
                yield without_clutter(_zip_entries(source, archive, most_entries))
    except _DAMAGE as error:
        raise _damaged(source, str(error)) from error
    except OSError as error:
        if error.filename is not None and Path(error.filename) != source:
            raise  # about a copy
        if error.errno == errno.EINVAL and error.filename is None:
            raise _damaged(source, str(error)) from error  # an offset before its start
        raise ModelError(
            found=f"no readable folder or file ({error.strerror})",
            expected="a model folder or a zip file of one",
            action="check the path",
            path=source,
        ) from error


def without_clutter(entries: Iterator[Entry]) -> list[Entry]:
    """Return the entries that no file manager has put there."""
    return [entry for entry in entries if not set(_CLUTTER) & set(entry.name.split("/"))]


def read_entry(source: Path, entry: Entry, most: int) -> bytes:
    """Return the bytes of a file.

    Raises:
        ModelError: it has more than `most` bytes.
    """
    parts, count = [], 0
    with entry.open() as stream:
        while chunk := stream.read(1 << 20):
            count += len(chunk)
            if count > most:
                raise refusal(source, f"more than {most >> 20} MiB in {shown_name(entry.name)}")
            parts.append(chunk)
    return b"".join(parts)


def _folder_entries(source: Path, most: int) -> Iterator[Entry]:
    """Yield the files of a folder without following links."""
    waiting, seen = [source], 0
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for found in listing:
                path = Path(found.path)
                name = path.relative_to(source).as_posix()
                seen += 1
                if seen > most:
                    raise refusal(source, f"more than {most} files and folders")
                if found.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif found.is_file(follow_symlinks=False):
                    yield Entry(name, partial(open_file, path))
                else:
                    raise refusal(source, f"the link or special file {shown_name(name)}")


def _zip_entries(source: Path, archive: zipfile.ZipFile, most: int) -> Iterator[Entry]:
    """Yield the files of a zip file; folders are checked and passed over."""
    if min((info.header_offset for info in archive.infolist()), default=0) > 0:
        # of a zip file cut short, the list of the weights (a zip file too) may be found instead
        raise zipfile.BadZipFile("it does not begin with its first file")
    if len(archive.infolist()) > most:
        raise refusal(source, f"more than {most} files and folders")
    for info in archive.infolist():
        name = info.orig_filename.replace("\\", "/")
        is_folder = name.endswith("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.flag_bits & _ENCRYPTED:
            raise refusal(source, f"the encrypted file {shown_name(name)}")
        if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
            raise refusal(source, f"the link or special file {shown_name(name)}")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refusal(source, f"an unusual compression of {shown_name(name)}")
        if name.startswith("/") or ":" in name or ".." in name.split("/"):
            raise refusal(source, f"the path {shown_name(name)} that leads elsewhere")
        if not is_folder:
            yield Entry(name, partial(archive.open, info))


def shown_name(name: str) -> str:
    """Return a name as messages show it."""
    return repr(name[:80])


def refusal(source: Path, found: str) -> ModelError:
    """Return the error that a source holds what no model folder holds."""
    return ModelError(
        found=found,
        expected="only the files of a model folder (configs, models, docs, LICENSE)",
        action="nothing was imported, get the model again from a source you trust",
        path=source,
    )


def _damaged(source: Path, reason: str) -> ModelError:
    return ModelError(
        found=f"a damaged or incomplete file ({reason})",
        expected="a zip file of a model folder",
        action="get it again",
        path=source,
    )
