"""What a file is: its content. Name, place and date say nothing of it."""

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripted_models.errors import InputError
from scripted_models.runtime.plain_files import open_file

State = tuple[int, int, int]  # size, time of the last change in ns, number on the disk
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class WatchedFiles:
    """Files as they were when they were looked at; they must not change until they are used.

    Attributes:
        states: file -> its state then, None where it cannot be seen.
    """

    states: Mapping[Path, State | None]

    @classmethod
    def of(cls, paths: Iterable[Path]) -> "WatchedFiles":
        """Look at files; none is read yet."""
        return cls({Path(path): file_state(path) for path in paths})

    @cached_property
    def contents(self) -> dict[Path, str]:
        """File -> SHA-256, see `content_digest`; read once.

        Raises:
            InputError: a file that cannot be read, or has changed.
        """
        found = {path: _readable_digest(path) for path in self.states}
        self.refuse_changes()
        return found

    def refuse_changes(self) -> None:
        """Make sure that nobody has written the files since they were looked at.

        Raises:
            InputError: somebody has.
        """
        for path, state in self.states.items():
            if file_state(path) != state:
                raise InputError(
                    found="a file that changed while it was read",
                    expected="one that is complete",
                    action="wait until it is written and run again",
                    path=path,
                )


def _readable_digest(path: Path) -> str:
    try:
        return content_digest(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            found=f"a file that cannot be read ({reason})",
            expected="a readable one",
            action="check its name and permissions",
            path=path,
        ) from error


def content_digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Reading takes about 2 ms for each MB.

    Raises:
        OSError: it cannot be read, or is no ordinary file.
    """
    total = hashlib.sha256()
    with open_file(path) as stream:
        while block := stream.read(_BLOCK_BYTES):
            total.update(block)
    return total.hexdigest()


def file_state(path: Path) -> State | None:
    """Return what changes when a file is written; None where it cannot be seen."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def is_same_file(first: Path, second: Path) -> bool:
    """Tell whether two paths name one file, through links of both kinds, too."""
    if os.path.realpath(first) == os.path.realpath(second):
        return True
    try:
        return os.path.samefile(first, second)
    except (OSError, ValueError):
        return False


def same_on_any_disk(name: str) -> str:
    """Return what two names of files share that are one name on some system.

    macOS and Windows take no notice of capitals, macOS not of how letters with accents are put
    together, Windows not of blanks and dots at the end.
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()).rstrip(" .")


def doubles(names: Iterable[str]) -> list[str]:
    """Return the names that are also the name of another one on some system, in order."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(same_on_any_disk(name), []).append(name)
    return sorted(name for group in groups.values() if len(group) > 1 for name in group)
