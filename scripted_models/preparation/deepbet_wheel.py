"""Where the files of `deepbet` 1.0.2 lie, if it is installed; nothing of it is imported or read."""

import importlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

WHEEL, VERSION = "deepbet", "1.0.2"
INSTALL = f"pip install --no-deps {WHEEL}=={VERSION}"
BOX, BRAIN = "bbox_model.pt", "model.pt"
SHA256: Mapping[str, str] = {
    BOX: "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    BRAIN: "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}


def weight_files() -> dict[str, Path]:
    """Return where the two files lie; empty where the wheel is not installed."""
    importlib.invalidate_caches()  # pip works in another process
    try:
        installed = files(WHEEL) or []
    except PackageNotFoundError:
        return {}
    found = {file.name: Path(str(file.locate())) for file in installed if file.name in SHA256}
    return found if found.keys() == SHA256.keys() else {}


def is_installed() -> bool:
    """Tell whether brains can be extracted, without reading the weights."""
    return all(path.is_file() for path in weight_files().values()) and bool(weight_files())
