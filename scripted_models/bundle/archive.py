"""Copy a foreign model folder or zip file: plain files of the right names only, within bounds.

Nothing that a source says about itself is believed: names are matched against those of a model
folder, sizes are counted while reading, and links, special files and encrypted files are refused.
"""

import errno
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO

from scripted_models.bundle.model_folders import MAX_OTHER_BYTES, MAX_WEIGHTS_BYTES
from scripted_models.bundle.zip_files import open_zip
from scripted_models.errors import ModelError
from scripted_models.runtime.plain_files import open_file

MAX_ENTRIES = 100
_DIRECTORY_BYTES = 1 << 20  # what a zip file says about its files
_FILES = re.compile(
    r"LICENSE(\.txt|\.md)?|configs/[\w-]+\.json|models/(model\.pt|SHA256SUMS)|"
    r"docs/[\w-]+\.(md|txt|png|jpg)",
    re.ASCII,
)
_CLUTTER = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")  # put there by file managers
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flags of an entry: encrypted, strongly, with a masked header
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(IndexError, NotImplementedError, RuntimeError, ValueError),
)


@dataclass(frozen=True)
class _Entry:
    name: str  # with '/', as stated by the source
    open: Callable[[], IO[bytes]]


def copy_model(source: Path, target: Path) -> None:
    """Copy the files of a model folder.

    Args:
        source: folder or zip file; the files may lie in a single folder inside it.
        target: existing empty folder; the caller removes it after an error.

    Raises:
        ModelError: `source` is neither, is damaged, or holds anything but the files of a model
            folder.
    """
    if source.is_dir():
        _copy_entries(source, list(_folder_entries(source)), target)
        return
    try:
        with open_file(source) as stream:
            _copy_zip(source, stream, target)
    except _DAMAGE as error:
        raise _damaged(source, str(error)) from error
    except OSError as error:
        if error.filename is not None and Path(error.filename) != source:
            raise  # about the copy
        if error.errno == errno.EINVAL and error.filename is None:
            raise _damaged(source, str(error)) from error  # an offset before its start
        raise ModelError(
            found=f"no readable folder or file ({error.strerror})",
            expected="a model folder or a zip file of one",
            action="check the path",
            path=source,
        ) from error


def _copy_zip(source: Path, stream: BinaryIO, target: Path) -> None:
    if os.fstat(stream.fileno()).st_size > MAX_WEIGHTS_BYTES + MAX_OTHER_BYTES:
        raise _refusal(source, f"more than {(MAX_WEIGHTS_BYTES + MAX_OTHER_BYTES) >> 20} MiB")
    with open_zip(stream, _DIRECTORY_BYTES) as archive:
        _copy_entries(source, list(_zip_entries(source, archive)), target)


def _folder_entries(source: Path) -> Iterator[_Entry]:
    """Yield the files of a folder without following links."""
    waiting, seen = [source], 0
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for found in listing:
                path = Path(found.path)
                name = path.relative_to(source).as_posix()
                seen += 1
                if seen > MAX_ENTRIES:
                    raise _refusal(source, f"more than {MAX_ENTRIES} files and folders")
                if found.is_dir(follow_symlinks=False):
                    waiting.append(path)
                elif found.is_file(follow_symlinks=False):
                    yield _Entry(name, partial(open_file, path))
                else:
                    raise _refusal(source, f"the link or special file {_shown(name)}")


def _zip_entries(source: Path, archive: zipfile.ZipFile) -> Iterator[_Entry]:
    """Yield the files of a zip file; folders are checked and passed over."""
    if min((info.header_offset for info in archive.infolist()), default=0) > 0:
        # of a zip file cut short, the list of the weights (a zip file too) may be found instead
        raise zipfile.BadZipFile("it does not begin with its first file")
    if len(archive.infolist()) > MAX_ENTRIES:
        raise _refusal(source, f"more than {MAX_ENTRIES} files and folders")
    for info in archive.infolist():
        name = info.orig_filename.replace("\\", "/")
        is_folder = name.endswith("/")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.flag_bits & _ENCRYPTED:
            raise _refusal(source, f"the encrypted file {_shown(name)}")
        if kind not in (0, stat.S_IFDIR if is_folder else stat.S_IFREG):
            raise _refusal(source, f"the link or special file {_shown(name)}")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refusal(source, f"an unusual compression of {_shown(name)}")
        if name.startswith("/") or ":" in name or ".." in name.split("/"):
            raise _refusal(source, f"the path {_shown(name)} that leads elsewhere")
        if not is_folder:
            yield _Entry(name, partial(archive.open, info))


def _copy_entries(source: Path, entries: list[_Entry], target: Path) -> None:
    for name, entry in _by_place(source, entries).items():
        path = target / name
        path.parent.mkdir(exist_ok=True)
        limit = MAX_WEIGHTS_BYTES if name.endswith(".pt") else MAX_OTHER_BYTES
        with entry.open() as stream, path.open("xb") as copy:
            while chunk := stream.read(1 << 20):
                if copy.tell() + len(chunk) > limit:
                    raise _refusal(source, f"more than {limit >> 20} MiB in {name}")
                copy.write(chunk)


def _by_place(source: Path, entries: list[_Entry]) -> dict[str, _Entry]:
    """Return the entries by their path in a model folder."""
    wanted = [entry for entry in entries if not set(_CLUTTER) & set(entry.name.split("/"))]
    tops = {entry.name.partition("/")[0] for entry in wanted}
    inside = len(tops) == 1 and tops.isdisjoint({"configs", "models", "docs"})
    places: dict[str, _Entry] = {}
    for entry in wanted:
        name = entry.name.partition("/")[2] if inside else entry.name
        if not _FILES.fullmatch(name):
            raise _refusal(source, f"the file {_shown(entry.name)}")
        if name.lower() in map(str.lower, places):  # one file on Windows and macOS
            raise _refusal(source, f"{_shown(name)} twice")
        places[name] = entry
    if not places:
        raise _refusal(source, "no file")
    return places


def _shown(name: str) -> str:
    return repr(name[:80])


def _refusal(source: Path, found: str) -> ModelError:
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
