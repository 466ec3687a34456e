"""Text for a bug report: versions and machine, nothing about patients or the user.

It is for developers and stays English.
"""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import slicer

import scripted_models
from scripted_models.bundle.model_folders import shipped_models, user_models, user_models_folder
from scripted_models.errors import ResourceError

from . import package_parent
from .command_prefix import prefix_setting

PACKAGES = ("torch", "monai", "deepbet", "numpy", "SimpleITK")


def diagnostics() -> str:
    """Return a line for everything that helps to understand a fault: 'what: value'."""
    return "\n".join(f"{what}: {value}" for what, value in _facts())


def _facts() -> Iterator[tuple[str, str]]:
    yield "BrainTumorSeg", f"{scripted_models.__version__} ({_place()})"
    yield "Slicer", _slicer_version()
    yield "System", platform.platform()
    yield "Python", platform.python_version()
    for name in PACKAGES:
        yield name, _version(name)
    yield "Processors", str(os.cpu_count())
    yield "Memory", _memory()
    yield "NVIDIA driver", "found" if shutil.which("nvidia-smi") else "not found"
    yield "Command prefix", "set" if prefix_setting() else "none"
    yield "Models", _models()


def _place() -> str:
    installed = package_parent() == Path(__file__).resolve().parent.parent
    return "installed extension" if installed else "source tree"


def _slicer_version() -> str:
    app = getattr(slicer, "app", None)
    if app is None:
        return f"no application, slicer-core {_version('slicer-core')}"
    return f"{app.applicationVersion}, revision {app.revision}"


def _version(name: str) -> str:
    """Version by metadata, else by a module that is loaded anyhow; nothing is imported for it."""
    importlib.invalidate_caches()
    try:
        return metadata.version(name) or "unknown"
    except (KeyError, TypeError):
        return "unknown"
    except metadata.PackageNotFoundError:
        return getattr(sys.modules.get(name), "__version__", "not installed")


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return "unknown"


def _models() -> str:
    try:
        folder, count = user_models_folder(), len(user_models())
    except (ResourceError, OSError) as error:
        shipped, reason = len(shipped_models()), type(error).__name__
        return f"{shipped} shipped; the user's folder cannot be read ({reason})"
    try:
        place = (Path("~") / folder.relative_to(Path.home())).as_posix()
    except (RuntimeError, ValueError):
        place = "a folder outside the home folder"
    return f"{len(shipped_models())} shipped, {count} in {place}"
