"""Files that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from scripted_models.errors import ResourceError

LOCK = ".writing.lock"
BEGUN = ".writing-"  # start of the names of what is not whole yet


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file beside its place, flush it to disk, then put it there in one step.

    Args:
        path: destination in an existing folder; text is written as UTF-8.
        content: bytes or text.

    Raises:
        ResourceError: the folder cannot be written.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        handle, partial = tempfile.mkstemp(prefix=BEGUN, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(partial, 0o644)
            os.replace(partial, path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ResourceError(
            path=path,
            found=f"no way to write the file ({error.strerror})",
            action="check that the folder exists, is writable and has space left",
        ) from error


def make_folder(path: Path) -> Path:
    """Create a folder with its parents; the folder may exist.

    Raises:
        ResourceError: it cannot be created.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ResourceError(
            path=path,
            found="a file",
            expected="a folder or a new name",
            action="choose another --output",
        ) from error
    except OSError as error:
        raise ResourceError(
            path=path,
            found=f"no way to make the folder ({error.strerror})",
            action="choose another --output",
        ) from error
    return path


@contextmanager
def only_writer(folder: Path) -> Iterator[Path]:
    """Make an output folder and keep other runs out of it; a folder made in vain goes again.

    The lock ends with the process, however that ends.

    Raises:
        ResourceError: the folder cannot be made or written, or another run writes there.
    """
    is_new = not Path(folder).exists()
    folder = make_folder(folder)
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise ResourceError(
            path=folder,
            found="another run that writes there",
            expected="a folder of one run",
            action="wait for it, or choose another --output",
        ) from error
    except OSError as error:
        raise ResourceError(
            path=folder,
            found=f"a folder that cannot be written ({error.strerror})",
            expected="one for results",
            action="choose another --output",
        ) from error
    try:
        _remove_remains(folder)
        yield folder
    finally:
        with suppress(OSError):  # on Windows the lock goes with its release
            (folder / LOCK).unlink()
        lock.release()
        if is_new:
            with suppress(OSError):  # it holds results
                folder.rmdir()


def _remove_remains(folder: Path, below: int = 0) -> None:
    """Remove what a run that was killed had begun to write.

    In subfolders, as deep as those of a model folder, only files go: a folder there may be one that
    another run writes into a cache. A subfolder with a lock belongs to a run of its own.
    """
    for path in folder.iterdir():
        is_folder = path.is_dir() and not path.is_symlink()
        if path.name.startswith(BEGUN):
            if not is_folder:
                path.unlink(missing_ok=True)
            elif not below:
                shutil.rmtree(path, ignore_errors=True)
        elif is_folder and below < 2 and not (path / LOCK).exists():
            _remove_remains(path, below + 1)


def write_together(folder: Path, contents: Mapping[str, str]) -> None:
    """Write files that belong together; former ones stay until all new ones are on the disk.

    Args:
        folder: of the files, made when absent.
        contents: file name -> text.

    Raises:
        ResourceError: the folder cannot be made or written, or another run writes there.
    """
    with (
        only_writer(folder) as folder,
        tempfile.TemporaryDirectory(prefix=BEGUN, dir=folder) as scratch,
    ):
        for name, text in contents.items():
            write_file(Path(scratch) / name, text)
        put_in_place(Path(scratch), folder, ())


def put_in_place(folder: Path, target: Path, stale: Iterable[Path]) -> None:
    """Move all files of a folder into another one of the same disk.

    The files that they replace go first. An old one beside a new one would be read wrongly,
    whatever stops the program in between.

    Args:
        folder: its files are moved.
        target: folder that exists; its other files stay.
        stale: files of the target that belong to a former run.
    """
    paths = sorted(folder.iterdir())
    for path in (*(target / path.name for path in paths), *stale):
        path.unlink(missing_ok=True)
    for path in paths:
        path.replace(target / path.name)
