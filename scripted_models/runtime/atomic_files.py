"""Files that appear whole or not at all."""

import math
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from scripted_models.errors import InputError, ResourceError

LOCK = ".writing.lock"
BEGUN = ".writing-"  # start of the names of what is not whole yet
BEGUN_RESULT = ".writing_"  # the same of a case: several runs may share the folder, so it is left
_DEAD_S = 3600.0  # what a run has begun and not touched for so long; writing a case takes seconds


def write_file(path: Path, content: bytes | memoryview | str) -> None:
    """Write a file beside its place, flush it to disk, then put it there in one step.

    It gets the mode that `open` gives (the umask decides); one that it replaces hands its own on.

    Args:
        path: destination in an existing folder; text is written as UTF-8.
        content: bytes or text.

    Raises:
        ResourceError: the folder cannot be written.
    """
    path = Path(path)
    data = content.encode("utf-8") if isinstance(content, str) else content
    try:
        partial = path.parent / f"{BEGUN}{secrets.token_hex(8)}"
        try:
            with open(partial, "xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            replace_file(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ResourceError(
            path=path,
            found=f"no way to write the file ({error.strerror})",
            action="check that the folder exists, is writable and has space left",
        ) from error


def replace_file(new: Path, path: Path) -> None:
    """Move a file to its place in one step; one that is there hands its mode on.

    Raises:
        OSError: it cannot be moved.
    """
    _keep_mode(new, path)
    os.replace(new, path)


def _keep_mode(new: Path, old: Path) -> None:
    with suppress(OSError):  # there is none, or it is another user's
        new.chmod(stat.S_IMODE(old.stat().st_mode))


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
def new_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside a place, which takes that place when all is written, or goes again.

    Args:
        target: there must be nothing, or an empty folder.

    Raises:
        InputError: something is there.
        ResourceError: the folder cannot be made or written.
    """
    target = Path(os.path.abspath(target))
    if target.exists() and not (target.is_dir() and next(target.iterdir(), None) is None):
        raise InputError(
            found="something that is there already",
            expected="a new folder, or an empty one",
            action="choose another --output, or move it away",
            path=target,
        )
    parent = make_folder(target.parent)
    try:
        with tempfile.TemporaryDirectory(prefix=BEGUN, dir=parent) as scratch:
            folder = Path(scratch) / target.name
            folder.mkdir()
            yield folder
            if target.exists():
                target.rmdir()
            folder.rename(target)
    except OSError as error:
        raise _not_writable(target, error) from error


@contextmanager
def only_writer(folder: Path) -> Iterator[Path]:
    """Make an output folder and keep other runs out of it; a folder made in vain goes again.

    The lock ends with the process, however that ends.

    Raises:
        ResourceError: the folder cannot be made or written, or another run writes there.
    """
    is_new = not os.path.exists(folder)
    folder = make_folder(folder)
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise _held(folder) from error
    except OSError as error:
        raise _not_writable(folder, error) from error
    try:
        _remove_remains(folder)
        with suppress(OSError):  # writing will say why
            _remove_dead_results(folder)
        yield folder
    finally:
        with suppress(OSError):  # on Windows the lock goes with its release
            (folder / LOCK).unlink()
        lock.release()
        if is_new:
            with suppress(OSError):  # it holds results
                folder.rmdir()


@contextmanager
def one_of_writers(folder: Path) -> Iterator[Path]:
    """Make an output folder into which several runs write, each results of its own.

    It needs no lock, so that it works on every file system that machines share. What killed runs
    have begun goes after an hour, by the clock of the file system.

    Raises:
        ResourceError: the folder cannot be made or written, or a run writes there that wants to be
            the only one.
    """
    folder = make_folder(folder)
    if (folder / LOCK).exists():
        with held_where_possible(folder, 5.0):  # others may look at it, too
            pass
    try:
        _remove_dead_results(folder)
    except OSError as error:
        raise _not_writable(folder, error) from error
    yield folder


@contextmanager
def held_where_possible(folder: Path, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a folder; on a file system without locks, do without.

    Raises:
        ResourceError: another run holds it.
    """
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=wait_s)
    except filelock.Timeout as error:
        raise _held(folder) from error
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        with suppress(OSError):  # on Windows the lock goes with its release
            (folder / LOCK).unlink()
        lock.release()


def _remove_dead_results(folder: Path) -> None:
    """Remove results that were begun and not touched for an hour.

    Raises:
        OSError: the folder cannot be written.
    """
    with tempfile.NamedTemporaryFile(prefix=BEGUN_RESULT, dir=folder) as probe:
        now = os.stat(probe.name).st_mtime
    for begun in folder.glob(f"{BEGUN_RESULT}*"):
        if _last_change(begun) < now - _DEAD_S:
            shutil.rmtree(begun, ignore_errors=True)


def _last_change(path: Path) -> float:
    """Return when something in a folder was written last; now for what has gone meanwhile."""
    try:
        return max(os.lstat(part).st_mtime for part in (path, *path.rglob("*")))
    except OSError:
        return math.inf


def _held(folder: Path) -> ResourceError:
    return ResourceError(
        path=folder,
        found="another run that writes there",
        expected="a folder of one run",
        action="wait for it, or choose another --output",
    )


def _not_writable(folder: Path, error: OSError) -> ResourceError:
    return ResourceError(
        path=folder,
        found=f"a folder that cannot be written ({error.strerror or error})",
        expected="one for results",
        action="choose another --output",
    )


def _remove_remains(folder: Path, below: int = 0) -> None:
    """Remove what a run that was killed had begun to write.

    In subfolders, as deep as those of a model folder, only files go: a folder there may be one that
    another run writes into a cache. A subfolder with a lock belongs to a run of its own. What is
    closed to this user stays: a run that needs it says so.
    """
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        is_folder = entry.is_dir(follow_symlinks=False)
        if entry.name.startswith(BEGUN):
            if not is_folder:
                with suppress(OSError):
                    os.unlink(entry.path)
            elif not below:
                shutil.rmtree(entry.path, ignore_errors=True)
        elif is_folder and below < 2 and not os.path.exists(os.path.join(entry.path, LOCK)):
            _remove_remains(Path(entry.path), below + 1)


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
    for path in paths:
        _keep_mode(path, target / path.name)
    for path in (*(target / path.name for path in paths), *stale):
        path.unlink(missing_ok=True)
    for path in paths:
        path.replace(target / path.name)
