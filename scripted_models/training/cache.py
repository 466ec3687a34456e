"""Preprocessed cases on disk: made once, mapped into memory, never stale.

An entry is named by a digest of everything that it depends on: the content of the case's files, the
preprocessing and its space, the label coding, the program's code that reads and preprocesses, and the
versions of the libraries that it uses. A changed file is another entry, never an old one.
"""

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from scripted_models.errors import ResourceError
from scripted_models.runtime.atomic_files import BEGUN, make_folder
from scripted_models.training.training_case import TrainingCase

_CODE = (
    "cases/discovery.py",
    "cases/phantom",
    "geometry.py",
    "images",
    "labels.py",
    "tasks",
    "training/training_case.py",
    "transforms/preprocessing.py",
)
_LIBRARIES = ("monai", "numpy", "SimpleITK")
_ABANDONED_AFTER = 24 * 3600.0  # seconds; an entry is written within minutes


class CaseCache:
    """A folder of preprocessed cases.

    Args:
        folder: created when absent; may be shared by several runs at the same time. Entries that a killed
            run began more than a day ago go.
    """

    def __init__(self, folder: Path):
        self.folder = make_folder(Path(folder))
        for begun in self.folder.glob(f"{BEGUN}*"):
            with suppress(OSError):  # another run removes it, too
                if time.time() - begun.lstat().st_mtime > _ABANDONED_AFTER:
                    shutil.rmtree(begun)

    def get(self, key: str, make: Callable[[], TrainingCase]) -> TrainingCase:
        """Open an entry, after making it if it is not there or damaged.

        Args:
            key: what `digest` returned for all that the entry depends on.
            make: called without arguments when needed.

        Raises:
            ResourceError: the folder cannot be written.
        """
        entry = self.folder / key
        try:
            return TrainingCase.open(entry)
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError):
            shutil.rmtree(entry, ignore_errors=True)
        self._put(entry, make())
        return TrainingCase.open(entry)

    def _put(self, entry: Path, case: TrainingCase) -> None:
        """Write an entry beside its place and put it there as a whole."""
        try:
            with tempfile.TemporaryDirectory(prefix=BEGUN, dir=self.folder) as scratch:
                written = Path(scratch) / "case"
                written.mkdir()
                case.save(written)
                try:
                    written.rename(entry)
                except OSError:  # another run was faster
                    if not entry.is_dir():
                        raise
        except OSError as error:
            raise ResourceError(
                f"{self.folder}: the preprocessed case {case.name} could not be written "
                f"({error.strerror}); make room or name another folder with --cache."
            ) from error


def digest(files: list[Path], **facts) -> str:
    """Return a digest of the content of files, of facts (JSON values), and of the program.

    Args:
        files: read whole.
        facts: whatever else decides the result.
    """
    total = hashlib.blake2b(_program(), digest_size=20)
    total.update(json.dumps(facts, sort_keys=True).encode())
    for path in files:
        total.update(_file_digest(path))
    return total.hexdigest()


def _file_digest(path: Path) -> bytes:
    with open(path, "rb") as stream:
        content = hashlib.blake2b()
        while block := stream.read(1 << 20):
            content.update(block)
    return content.digest()


@lru_cache(maxsize=1)
def _program() -> bytes:
    """Digest the code and the libraries behind a preprocessed case."""
    package = Path(__file__).parents[1]
    code = hashlib.blake2b()
    for name in _CODE:
        path = package / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            code.update(file.read_bytes())
    for library in _LIBRARIES:
        code.update(f"{library} {importlib.metadata.version(library)}".encode())
    return code.digest()
