"""Files that appear whole or not at all."""

import os
import secrets
import shutil
import stat
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
