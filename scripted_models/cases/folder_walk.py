"""The files below a folder, each folder once."""

import os
from collections.abc import Iterator
from pathlib import Path


def files_below(folder: Path) -> Iterator[Path]:
    """Give all files below a folder, in order; each folder once, whatever links lead to it.

    Names that begin with a dot are left out.
    """
    root = os.path.realpath(folder)
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        above = root != real and (root + os.sep).startswith(real.rstrip(os.sep) + os.sep)
        if real in seen or above:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(parent) / name
