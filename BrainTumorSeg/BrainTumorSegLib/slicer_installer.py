"""The `Installer` of a running Slicer: looks packages up on disk, asks, installs with pip.

PyTorch comes through the extension PyTorch, which picks the build for the GPU. MONAI and deepbet
come through Slicer's pip without their dependencies, so that Slicer's own NumPy stays as it is.
"""

import contextlib
import importlib
import io
import shutil
import sys
import sysconfig
from collections import deque
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from scripted_models.preparation.deepbet_wheel import WHEEL, is_installed

from .packages import TITLES, InstallationFailed, Package
from .translation import _

REQUESTER = _("Brain Tumor Segmentation")
LOG_LINES = 40
PYTORCH_MODULE = "PyTorchUtils"  # the scripted module in the extension PyTorch


class SlicerInstaller:
    """Installs into the Python of the running Slicer."""

    @property
    def python(self) -> str:
        """Path of PythonSlicer."""
        from .python_child import find_python

        return find_python()

    def package(self, name: str) -> Package:
        """Look a package up by its metadata and files; it is not imported."""
        importlib.invalidate_caches()  # pip works in another process
        loaded = str(getattr(sys.modules.get(name), "__version__", ""))
        try:
            version = metadata.version(name) or ""
        except metadata.PackageNotFoundError:
            return Package(loaded=loaded)
        except (KeyError, TypeError):  # a folder of metadata without its file
            version = ""
        module = PathFinder.find_spec(name)  # importlib.util's would take loaded modules
        whole = module is not None and module.origin is not None
        if name == WHEEL:
            whole = is_installed()  # its weights; the module is never imported
        return Package(version, broken=not (version and whole), loaded=loaded)

    def may_install(self) -> bool:
        """True with an application that runs no tests: there every question is answered yes."""
        import slicer

        app = getattr(slicer, "app", None)
        return app is not None and not app.testingEnabled()

    def has_pytorch_extension(self) -> bool:
        """True when the extension's module lies on the path."""
        return PathFinder.find_spec(PYTORCH_MODULE) is not None

    def has_nvidia_gpu(self) -> bool:
        """True when NVIDIA's driver tool is there."""
        return shutil.which("nvidia-smi") is not None

    def free_disk_gb(self) -> float:
        """Free space on the disk that holds Python's packages."""
        folder = Path(sysconfig.get_path("purelib"))
        there = next((f for f in (folder, *folder.parents) if f.is_dir()), None)
        return shutil.disk_usage(there).free / 1e9 if there else 0.0

    def ask(self, question: str) -> bool:
        """Show a dialog with OK and Cancel."""
        import slicer.util

        return slicer.util.confirmOkCancelDisplay(question, windowTitle=REQUESTER)

    def install(self, name: str, requirement: str) -> None:
        """Install PyTorch, MONAI or deepbet; Slicer's window stays alive meanwhile.

        Raises:
            InstallationFailed: with what was written.
        """
        with _Echo() as echo:
            try:
                if name == "torch":
                    _install_torch(requirement)
                else:
                    _install_alone(name, requirement)
            except Exception as error:  # pip, PyTorch Utils and import torch raise all kinds
                echo.write(f"\n{type(error).__name__}: {error}\n")
                raise InstallationFailed(echo.lines()) from error


def _install_torch(requirement: str) -> None:
    module = importlib.import_module(PYTORCH_MODULE)
    installed = module.PyTorchUtilsLogic().installTorch(
        askConfirmation=False, torchVersionRequirement=requirement
    )
    if installed is None:
        raise RuntimeError(f"PyTorch Utils did not install {TITLES['torch']}")


def _install_alone(name: str, requirement: str) -> None:
    # reinstalling fixes a broken installation, which pip would take for a good one
    arguments = ["--no-deps", "--force-reinstall", "--only-binary", name, f"{name}{requirement}"]
    try:
        from slicer.packaging import pip_install  # Slicer 5.12
    except ImportError:
        from slicer.util import pip_install  # Slicer 5.10

        pip_install(arguments)
    else:
        pip_install(arguments, show_progress=False, requester=REQUESTER)


class _Echo(io.TextIOBase):
    """Standard output that also remembers: Slicer prints what pip says and raises without it."""

    def __init__(self) -> None:
        super().__init__()
        self._said: deque[str] = deque(maxlen=100 * LOG_LINES)
        self._screen = sys.stdout
        self._redirect = contextlib.redirect_stdout(self)

    def __enter__(self) -> "_Echo":
        self._redirect.__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._redirect.__exit__(*exception)

    def write(self, text: str) -> int:
        """Pass text on and keep it."""
        self._said.append(text)
        self._screen.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass the request on."""
        self._screen.flush()

    def lines(self) -> list[str]:
        """Return the last lines that were written."""
        return "".join(self._said).splitlines()[-LOG_LINES:]
