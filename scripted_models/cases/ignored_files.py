"""Files that discovery leaves out although their names look as if they belonged to a case."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scripted_models.errors import Phrase, phrases

_MOST_KINDS = 20  # of names, in one list of sentences

_ = phrases(__name__)


@dataclass(frozen=True)
class IgnoredFile:
    """A file that was left out.

    Attributes:
        path: of the file, of a DICOM series the first one.
        kind: its name, with "<case>" for the case's.
        why: a clause.
        title: what a DICOM series is called, "" for other files.
    """

    path: Path
    kind: str
    why: str
    title: str = ""


class HasIgnored(Protocol):
    """A case, as far as its ignored files matter."""

    @property
    def ignored(self) -> tuple[IgnoredFile, ...]:
        """Files that were left out."""


def ignored_file(path: Path, stem: str, why: str) -> IgnoredFile:
    """Return a file that was left out, with its kind of name.

    Args:
        path: of the file.
        stem: what the names of the case's files begin with; may be empty.
        why: a clause.
    """
    own = stem if path.name.lower().startswith(stem.lower()) else ""
    return IgnoredFile(path, f"<case>{path.name[len(own) :]}" if own else path.name, why)


def ignored_series(path: Path, case: str, title: str, why: str) -> IgnoredFile:
    """Return a DICOM series of a case that was left out; each is told of its own."""
    return IgnoredFile(path, f"{case}, {title}", why, title)


def tell_ignored(cases: Iterable[HasIgnored]) -> list[str]:
    """Return one sentence for each kind of name that was left out, with the number of files."""
    kinds: dict[tuple[str, str], list[IgnoredFile]] = {}
    for file in (file for case in cases for file in case.ignored):
        kind = file.kind if file.title else re.sub(r"(?<![tT])\d+", "#", file.kind)
        kinds.setdefault((kind, file.why), []).append(file)
    told = [_sentence(same) for same in kinds.values()]
    if len(told) > _MOST_KINDS:
        words = _("Files of {count} more kinds of names were ignored, too.")
        told[_MOST_KINDS:] = [words.format(count=len(told) - _MOST_KINDS)]
    return [str(sentence) for sentence in told]


def _sentence(files: Sequence[IgnoredFile]) -> Phrase:
    first, number = files[0], len({os.fspath(file.path) for file in files})
    if number == 1:
        shown = first.kind if first.title else first.path
        return _("{file} was ignored: {why}.").format(file=shown, why=first.why)
    words = _("{count} files such as {kind} were ignored: {why}.")
    return words.format(count=number, kind=first.kind, why=first.why)
