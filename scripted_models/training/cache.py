"""Preprocessed cases on disk: made once, mapped into memory, never stale.

An entry is named by a digest of everything that it depends on: the content of the case's files, the
preprocessing and its space, the label coding, the versions of the program's parts that read and
preprocess, and those of the libraries. A changed file is another entry, never an old one.

Whoever changes what a part computes raises its version number: `STEP_VERSIONS` of the preprocessing
steps, `VERSION` of what makes cases. `Testing/test_cache_versions.py` notices when that is
forgotten.
"""

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from scripted_models.errors import ResourceError
from scripted_models.runtime.atomic_files import BEGUN, make_folder
from scripted_models.training import distributed
from scripted_models.training.task import CaseSource
from scripted_models.training.training_case import TrainingCase

_LIBRARIES = ("monai", "numpy", "SimpleITK")
_ABANDONED_AFTER = 24 * 3600.0  # seconds; an entry is written within minutes


class CaseCache:
    """A folder of preprocessed cases.

    Args:
        folder: created when absent; may be shared by several runs at the same time. Entries that a
            killed run began more than a day ago go.
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
                found=f"no way to write the preprocessed case {case.name} ({error.strerror})",
                action="make room or name another folder with --cache",
                path=self.folder,
            ) from error


def open_cases(
    sources: Sequence[CaseSource],
    cache: CaseCache,
    on_case: Callable[[str], None] = lambda name: None,
) -> list[TrainingCase]:
    """Open preprocessed cases, mapped from the cache.

    Of several processes each makes its share of the entries that are missing.

    Args:
        sources: what makes them.
        cache: where they lie.
        on_case: told the name of each case that this process looks after.
    """
    for source in distributed.share(sources):
        on_case(source.name)
        cache.get(source.key, source.make)
    distributed.wait_for_all()
    return [cache.get(source.key, source.make) for source in sources]


def digest(contents: Sequence[str], versions: Mapping[str, int], **facts: object) -> str:
    """Return a digest of the content of files, of versions and facts, and of the libraries.

    Args:
        contents: digests of the files, see `runtime.file_identity`.
        versions: part of the program that has a hand in the result -> its version number.
        facts: whatever else decides the result, JSON values.
    """
    total = hashlib.blake2b(_libraries(), digest_size=20)
    total.update(json.dumps([dict(versions), facts, *contents], sort_keys=True).encode())
    return total.hexdigest()


@lru_cache(maxsize=1)
def _libraries() -> bytes:
    """Return the names and versions of the libraries behind a preprocessed case."""
    return json.dumps({name: importlib.metadata.version(name) for name in _LIBRARIES}).encode()
