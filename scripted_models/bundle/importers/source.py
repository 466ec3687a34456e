"""The files of a foreign model: of a folder, of a zip file, or a file alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from scripted_models.bundle.foreign_files import (
    Entry,
    opened_entries,
    read_entry,
    refusal,
    shown_name,
)
from scripted_models.bundle.model_folders import MAX_OTHER_BYTES, MAX_WEIGHTS_BYTES
from scripted_models.errors import ModelError
from scripted_models.runtime.plain_files import open_file
from scripted_models.runtime.structured_text import parse_json

MOST_ENTRIES = 20_000  # folds of nnU-Net hold what they predicted
MOST_BYTES = 16 << 30  # of a zip file; only what is needed is read, within the limits of a file
_OF_TORCH = "data.pkl"  # a file of torch.save is a zip file, too


@dataclass(frozen=True)
class ForeignSource:
    """A folder, a zip file or a single file of weights.

    Attributes:
        path: of it.
        names: of its files, with '/', below `top`.
        top: folder inside of it that holds them, with '/' at its end; may be empty.
    """

    path: Path
    names: tuple[str, ...]
    top: str = ""

    @property
    def is_weights(self) -> bool:
        """True for a single file of weights."""
        return self.names == (self.path.name,) and not self.path.is_dir()

    def below(self, top: str) -> "ForeignSource":
        """Return the files of a folder inside of it."""
        names = tuple(name[len(top) :] for name in self.names if name.startswith(top))
        return replace(self, names=names, top=self.top + top)

    def read(self, name: str, most: int = MAX_OTHER_BYTES) -> bytes:
        """Return the bytes of a file.

        Raises:
            ModelError: it is not there, or has more than `most` bytes.
        """
        if self.is_weights:
            return read_entry(self.path, Entry(name, partial(open_file, self.path)), most)
        with opened_entries(self.path, MOST_ENTRIES, MOST_BYTES) as entries:
            found = [entry for entry in entries if _plain(entry.name) == self.top + name]
            if len(found) == 1:
                return read_entry(self.path, found[0], most)
        raise self.refusal(f"{'no' if not found else 'more than one'} {name}", "one")

    def read_weights(self, name: str) -> bytes:
        """Return the bytes of a file of weights, see `read`."""
        return self.read(name, MAX_WEIGHTS_BYTES)

    def table(self, name: str) -> Mapping[str, Any]:
        """Return the table of a JSON file.

        Raises:
            ModelError: it is not there, or no table in JSON.
        """
        try:
            content = parse_json(self.read(name))
        except ValueError as error:
            raise self.refusal(f"no readable {name} ({str(error)[:100]})", "JSON") from error
        if not isinstance(content, dict):
            raise self.refusal(f"a {name} that is no table", "one")
        return content

    def refusal(
        self, found: str, expected: str, action: str = "nothing was imported"
    ) -> ModelError:
        """Return the error that this model cannot be imported."""
        return ModelError(found=found, expected=expected, action=action, path=self.path)


def open_source(path: Path) -> ForeignSource:
    """Look at a folder, a zip file or a file of weights.

    Raises:
        ModelError: it is neither, or is damaged, or holds what leads elsewhere.
    """
    with opened_entries(path, MOST_ENTRIES, MOST_BYTES) as entries:
        names = tuple(_plain(entry.name) for entry in entries)
    if not path.is_dir() and sum(PurePosixPath(name).name == _OF_TORCH for name in names) == 1:
        return ForeignSource(path, (path.name,))
    if len({name.lower() for name in names}) < len(names):
        twice = next(name for name in names if [n.lower() for n in names].count(name.lower()) > 1)
        raise refusal(path, f"{shown_name(twice)} twice")
    return ForeignSource(path, names)


def _plain(name: str) -> str:
    return name.removeprefix("./")
