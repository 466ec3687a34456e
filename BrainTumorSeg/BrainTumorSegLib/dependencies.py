"""PyTorch and MONAI in Slicer's Python: what is missing, what fits together, how it gets there.

Decisions only, without Slicer; what they ask of Slicer is an `Installer` (see `slicer_installer`).
Nothing is imported to be looked at: the network runs in a child process, and a package that this process
has loaded could be neither replaced nor removed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from scripted_models.errors import Cancelled, ResourceError

TITLES = {"torch": "PyTorch", "monai": "MONAI"}
REQUIREMENTS = {"torch": ">=2.2", "monai": ">=1.4"}  # as in Resources/requirements.txt
# PyTorch older than -> MONAI must be older than; from the requirements that MONAI 1.5 and 1.6 state
MONAI_LIMITS = (("2.4.1", "1.5"), ("2.8", "1.6"))
TORCH_OF_NUMPY_2 = "2.3"  # PyTorch before that exchanges no arrays with NumPy 2
DOWNLOADS = {"torch": "about 0.2 GB", "monai": "about 2 MB"}
NVIDIA_DOWNLOAD = "about 3 GB, with the libraries for the NVIDIA GPU"
DISK_GB, NVIDIA_DISK_GB = 2.0, 10.0  # PyTorch as downloaded and unpacked
LOG_LINES = 40
# what pip, urllib3 and the systems' resolvers say when there is no way to the server
NO_CONNECTION = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|SSLError|"
    r"CERTIFICATE_VERIFY_FAILED|getaddrinfo failed|name resolution|Name or service not known|"
    r"nodename nor servname|Network is unreachable|No route to host|Connection (refused|reset|aborted)|"
    r"urlopen error",
    re.IGNORECASE,
)


class DependencyError(ResourceError):
    """PyTorch or MONAI cannot be used or installed; the text says what to do.

    Attributes:
        log: last lines of the program that installs, for the details of a dialog.
    """

    def __init__(self, text: str, log: Sequence[str] = ()):
        super().__init__(text)
        self.log = tuple(log)[-LOG_LINES:]


class RestartNeeded(DependencyError):  # noqa: N818 - a state, as Cancelled
    """Slicer has to be started anew before anything can be installed or used."""


class Declined(Cancelled):
    """The user does not want packages to be installed."""


class InstallationFailed(Exception):  # noqa: N818 - an answer of an Installer, not for the user
    """What an `Installer` raises; `log` are the lines that were written meanwhile."""

    def __init__(self, log: Sequence[str]):
        super().__init__("the installation failed")
        self.log = tuple(log)


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
        package: 'torch' or 'monai'.
        requirement: the versions that fit, as pip writes them.
        found: what is there instead, empty when nothing.
    """

    package: str
    requirement: str
    found: str = ""

    def __str__(self) -> str:
        replaces = f", replaces {self.found}" if self.found else ""
        return f"{TITLES[self.package]} {in_words(self.requirement)}{replaces}"


class Installer(Protocol):
    """What is asked of Slicer."""

    python: str
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


def version_key(version: str) -> tuple:
    """Return what sorts versions as PEP 440 does, as far as releases and what precedes them go.

    '2.13.0+cpu' equals '2.13'; '2.2.0rc1' and '2.2.0.dev3' come before '2.2'.
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


def in_words(requirement: str) -> str:
    """Say '>=1.4,<1.5' as '1.4 or newer but below 1.5'."""
    low, below = _bounds(requirement)
    return f"{low} or newer" + (f" but below {below}" if below else "")


def missing(installer: Installer) -> list[Need]:
    """Return what has to be installed, PyTorch first; empty when all is there and fits.

    Raises:
        DependencyError: something is there that does not fit and that only the user can remove.
    """
    torch, needs = installer.package("torch"), []
    if not torch.version and not torch.broken:
        needs.append(Need("torch", REQUIREMENTS["torch"]))
    else:
        _check_torch(torch, installer)
    monai, requirement = installer.package("monai"), monai_requirement(torch.version)
    if monai.broken or not monai.version or not _fits(monai.version, requirement):
        found = "an incomplete installation" if monai.broken else monai.version
        needs.append(Need("monai", requirement, found))
    return needs


def ensure(installer: Installer) -> None:
    """Have everything installed that the network needs, after asking; does nothing when it is there.

    Raises:
        DependencyError: it cannot be installed or used; the text tells the next step.
        Declined: the user said no.
    """
    asked: set[str] = set()
    while needs := missing(installer):
        unasked = [need for need in needs if need.package not in asked]
        if unasked:
            _check_can_install(unasked, installer)
            if not installer.ask(question(unasked, installer.has_nvidia_gpu())):
                raise Declined(
                    f"Nothing was installed, as you wished, but the segmentation needs {_titles(unasked)}; "
                    "press Segment again when packages may be installed."
                )
            asked |= {need.package for need in unasked}
        _install(needs[0], installer)


def question(needs: Sequence[Need], nvidia: bool) -> str:
    """Return the question to the user: what would be downloaded and how large it is."""
    sizes = {**DOWNLOADS, "torch": NVIDIA_DOWNLOAD if nvidia else DOWNLOADS["torch"]}
    lines = "\n".join(f"- {need} ({sizes[need.package]})" for need in needs)
    return (
        f"The segmentation needs packages that do not come with Slicer:\n\n{lines}\n\n"
        "They are downloaded from the internet into Slicer's Python, which can take some minutes. "
        "No images are sent. Install them now?"
    )


def _bounds(requirement: str) -> tuple[str, str]:
    low, _, below = requirement.removeprefix(">=").partition(",<")
    return low, below


def _fits(version: str, requirement: str) -> bool:
    low, below = _bounds(requirement)
    return version_key(low) <= version_key(version) and (
        not below or version_key(version) < version_key(below)
    )


def _check_torch(torch: Package, installer: Installer) -> None:
    """Raise when the PyTorch that is there has to go first."""
    remove = (
        "open the module PyTorch Utils, press Uninstall PyTorch, restart Slicer and segment again"
    )
    if torch.loaded:
        remove = f"restart Slicer, {remove}"
    if torch.broken:
        raise DependencyError(
            f"PyTorch {torch.version or 'of unknown version'} is registered in Slicer's Python but its "
            f"files are incomplete, expected a whole installation; {remove}."
        )
    if not _fits(torch.version, REQUIREMENTS["torch"]):
        raise DependencyError(
            f"PyTorch {torch.version} is installed, expected {in_words(REQUIREMENTS['torch'])}; "
            f"{remove}."
        )
    numpy = installer.package("numpy").version
    old = version_key(torch.version) < version_key(TORCH_OF_NUMPY_2)
    if old and numpy and version_key(numpy) >= version_key("2"):
        raise DependencyError(
            f"PyTorch {torch.version} cannot exchange arrays with the installed NumPy {numpy}, expected "
            f"NumPy below 2 or PyTorch {TORCH_OF_NUMPY_2} or newer (there is none for Macs with Slicer "
            f'for Intel); run "{installer.python}" -m pip install "numpy<2" and restart Slicer.'
        )


def _check_can_install(needs: Sequence[Need], installer: Installer) -> None:
    """Raise when asking would be in vain."""
    if not installer.may_install():
        raise DependencyError(
            f"Slicer's Python has no fitting {_titles(needs)} and nothing is installed in tests or "
            f"without the application; run {_command(needs, installer)} or start Slicer normally."
        )
    if not any(need.package == "torch" for need in needs):
        return
    if not installer.has_pytorch_extension():
        raise DependencyError(
            "PyTorch is not installed and the extension PyTorch, which chooses the right one for this "
            "computer, was not found; install 'PyTorch' in the Extensions Manager, restart Slicer and "
            "segment again."
        )
    if loaded := installer.package("torch").loaded:
        raise RestartNeeded(
            f"PyTorch {loaded} is still loaded although it was removed from disk, so that no other can be "
            "installed; restart Slicer and segment again."
        )
    free, needed = (
        installer.free_disk_gb(),
        NVIDIA_DISK_GB if installer.has_nvidia_gpu() else DISK_GB,
    )
    if free < needed:
        raise DependencyError(
            f"The disk of Slicer's Python has {free:.1f} GB left, expected {needed:.0f} GB for PyTorch; "
            "free some space and segment again."
        )


def _install(need: Need, installer: Installer) -> None:
    try:
        installer.install(need.package, need.requirement)
    except InstallationFailed as failure:
        raise DependencyError(_failure(need, failure.log, installer), failure.log) from failure
    if any(left.package == need.package for left in missing(installer)):
        raise RestartNeeded(
            f"{TITLES[need.package]} was installed but is not found, expected {in_words(need.requirement)}; "
            "restart Slicer and segment again."
        )


def _failure(need: Need, log: Sequence[str], installer: Installer) -> str:
    if any(NO_CONNECTION.search(line) for line in log):
        return (
            f"{TITLES[need.package]} could not be downloaded because there is no connection to the "
            "server, expected a way to the Python Package Index and that of PyTorch; connect this computer, "
            "set HTTPS_PROXY when there is a proxy, or put the wheel files into a folder and run "
            f"{_command([need], installer, '--no-index --find-links FOLDER ')}."
        )
    said = [line.strip() for line in log if line.strip()] or ["nothing"]
    last = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1])
    return (
        f"{TITLES[need.package]} could not be installed, expected {in_words(need.requirement)}; the "
        f"installation said last: {last[:300]}"
    )


def _command(needs: Sequence[Need], installer: Installer, source: str = "") -> str:
    """Return the command that installs packages; MONAI alone comes without NumPy and PyTorch."""
    alone = "--no-deps " if [need.package for need in needs] == ["monai"] else ""
    packages = " ".join(f'"{need.package}{need.requirement}"' for need in needs)
    return f'"{installer.python}" -m pip install {source}{alone}{packages}'


def _titles(needs: Sequence[Need]) -> str:
    return " and ".join(TITLES[need.package] for need in needs)
