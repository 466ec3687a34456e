"""PyTorch, MONAI and deepbet: which versions fit together, and what is asked of Slicer."""

import re
from dataclasses import dataclass
from typing import Protocol

from scripted_models.preparation.deepbet_wheel import VERSION, WHEEL

from .child_errors import ChildOutput
from .translation import _

TITLES = {"torch": "PyTorch", "monai": "MONAI", WHEEL: WHEEL}
# as in Resources/requirements.txt
REQUIREMENTS = {"torch": ">=2.2", "monai": ">=1.4", WHEEL: f"=={VERSION}"}
# PyTorch older than -> MONAI must be older than, as MONAI 1.5 and 1.6 require
MONAI_LIMITS = (("2.4.1", "1.5"), ("2.8", "1.6"))
TORCH_OF_NUMPY_2 = "2.3"  # PyTorch before that exchanges no arrays with NumPy 2


class InstallationFailed(ChildOutput):
    """What an `Installer` raises, with what was written meanwhile; not for the user."""


@dataclass(frozen=True)
class Package:
    """A package as it lies on disk and in memory.

    Attributes:
        version: installed version; empty when none is installed or its metadata do not tell.
        broken: its metadata are there, but not its module or not its version.
        loaded: version that this process has imported; empty when it has not.
    """

    version: str = ""
    broken: bool = False
    loaded: str = ""


@dataclass(frozen=True)
class Need:
    """A package to install.

    Attributes:
        package: 'torch', 'monai' or 'deepbet'.
        requirement: the versions that fit, as pip writes them.
        found: what is there instead, empty when nothing.
    """

    package: str
    requirement: str
    found: str = ""

    def __str__(self) -> str:
        title, versions = TITLES[self.package], in_words(self.requirement)
        if not self.found:
            return f"{title} {versions}"
        text = _("{title} {versions}, replaces {found}")
        return text.format(title=title, versions=versions, found=self.found)


class Installer(Protocol):
    """What is asked of Slicer."""

    @property
    def python(self) -> str:
        """Path of the Python that packages are installed into."""

    def package(self, name: str) -> Package:
        """Look a package up without importing it."""

    def may_install(self) -> bool:
        """False where nobody can be asked, and in Slicer's own tests."""

    def has_pytorch_extension(self) -> bool:
        """True when the module PyTorch Utils can be imported."""

    def has_nvidia_gpu(self) -> bool:
        """True when there is a driver for NVIDIA GPUs."""

    def free_disk_gb(self) -> float:
        """Free space where packages go."""

    def ask(self, question: str) -> bool:
        """Put a question to the user; True for yes."""

    def install(self, name: str, requirement: str) -> None:
        """Install a package; raises `InstallationFailed`."""


def version_key(version: str) -> tuple[tuple[int, ...], bool]:
    """Return what sorts versions as PEP 440 does, as far as releases and what precedes them go.

    '2.13.0+cpu' equals '2.13'; '2.2.0rc1' and '2.2.0.dev3' come before '2.2'.
    Hand-written because Slicer's Python comes without the library packaging.
    """
    numbers = re.match(r"\D?(\d+(?:\.\d+)*)(.*)", version.strip())
    if numbers is None:
        return ((0,), False)
    release = [int(part) for part in numbers[1].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    early = re.match(r"[-_.]?(a|b|c|rc|pre|dev)", numbers[2].partition("+")[0], re.IGNORECASE)
    return tuple(release), early is None


def monai_requirement(torch_version: str) -> str:
    """Return the MONAI versions for a PyTorch version (empty: unknown yet), as pip writes them."""
    for torch_limit, monai_limit in MONAI_LIMITS if torch_version else ():
        if version_key(torch_version) < version_key(torch_limit):
            return f"{REQUIREMENTS['monai']},<{monai_limit}"
    return REQUIREMENTS["monai"]


def fits(version: str, requirement: str) -> bool:
    """Tell whether a version is one that a requirement allows."""
    if requirement.startswith("=="):
        return version == requirement.removeprefix("==")
    low, below = _bounds(requirement)
    return version_key(low) <= version_key(version) and (
        not below or version_key(version) < version_key(below)
    )


def in_words(requirement: str) -> str:
    """Say '>=1.4,<1.5' as '1.4 or newer but below 1.5', and '==1.0' as '1.0'."""
    if requirement.startswith("=="):
        return requirement.removeprefix("==")
    low, below = _bounds(requirement)
    if below:
        return _("{version} or newer but below {limit}").format(version=low, limit=below)
    return _("{version} or newer").format(version=low)


def _bounds(requirement: str) -> tuple[str, str]:
    low, _comma, below = requirement.removeprefix(">=").partition(",<")
    return low, below
