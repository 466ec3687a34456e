"""MONAI without the packages that it merely can use: they take longer to import than MONAI itself.

MONAI imports ignite, SciPy's signals and matplotlib wherever they are installed, as in Slicer or
beside other work. Nothing here needs them through MONAI; who needs one of them imports it himself.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

OPTIONAL = ("ignite", "matplotlib", "scipy.signal")


def import_monai_alone() -> None:
    """Let the next import of MONAI in this process find none of `OPTIONAL`.

    For a process of our own only: MONAI's parts that need these packages then say that they are
    not installed.
    """
    if "monai" not in sys.modules:
        sys.meta_path.insert(0, _MonaiFinder())


class _MonaiFinder(MetaPathFinder):
    """Finds MONAI once, as it lies, and wraps its loader."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "monai":
            return None
        sys.meta_path.remove(self)
        spec = find_spec("monai")
        if spec is not None and spec.loader is not None:
            spec.loader = _LoneLoader(spec.loader)
        return spec


class _LoneLoader(Loader):
    """Loads as another loader does, while packages are hidden."""

    def __init__(self, loader: Loader):
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _hidden(OPTIONAL):
            self._loader.exec_module(module)

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)


@contextmanager
def _hidden(names: Sequence[str]) -> Iterator[None]:
    """Make packages that are not yet imported impossible to import for a while."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: not to be found
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
