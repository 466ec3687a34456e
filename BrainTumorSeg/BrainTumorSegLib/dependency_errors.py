"""What the user reads when PyTorch, MONAI or deepbet cannot be used or installed."""

import re
from collections.abc import Sequence

from scripted_models.errors import Cancelled, ResourceError
from scripted_models.preparation.deepbet_wheel import WHEEL

from .packages import TITLES, TORCH_OF_NUMPY_2, Installer, Need, Package, in_words
from .translation import _
from .words import listed

# what pip, urllib3 and the systems' resolvers say when there is no way to the server
NO_CONNECTION = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|"
    r"SSLError|CERTIFICATE_VERIFY_FAILED|getaddrinfo failed|name resolution|"
    r"Name or service not known|nodename nor servname|Network is unreachable|No route to host|"
    r"Connection (refused|reset|aborted)|urlopen error",
    re.IGNORECASE,
)
LONGEST_LINE = 300


class DependencyError(ResourceError):
    """PyTorch, MONAI or deepbet cannot be used or installed.

    After a failed installation its cause is an `InstallationFailed` with what was written.
    """


class RestartNeeded(DependencyError):  # noqa: N818 - a state, as Cancelled
    """Slicer has to be started anew before anything can be installed or used."""


class Declined(Cancelled):
    """The user does not want packages to be installed."""


def titles(needs: Sequence[Need]) -> str:
    """Return the names of packages, as in "PyTorch and MONAI"."""
    return listed([TITLES[need.package] for need in needs])


def declined(needs: Sequence[Need]) -> Declined:
    """Return the error about a question that was answered with no."""
    if [need.package for need in needs] == [WHEEL]:
        return Declined(
            found=_("no consent to install {packages}").format(packages=titles(needs)),
            expected=_("consent, because a skull has to be stripped"),
            action=_(
                "press Segment again to be asked again, choose stripped volumes, "
                "or uncheck 'Prepare raw volumes'"
            ),
        )
    return Declined(
        found=_("no consent to install {packages}").format(packages=titles(needs)),
        expected=_("consent, because the segmentation needs them"),
        action=_("press Segment again to be asked again"),
    )


def broken_torch(torch: Package) -> DependencyError:
    """Return the error about a PyTorch whose files are incomplete."""
    return DependencyError(
        found=_("PyTorch {version} with missing files").format(
            version=torch.version or _("of unknown version")
        ),
        expected=_("a whole installation"),
        action=_removal(torch),
    )


def old_torch(torch: Package, requirement: str) -> DependencyError:
    """Return the error about a PyTorch that is too old."""
    return DependencyError(
        found=_("PyTorch {version}").format(version=torch.version),
        expected=in_words(requirement),
        action=_removal(torch),
    )


def torch_of_numpy_1(torch: Package, numpy: str, installer: Installer) -> DependencyError:
    """Return the error about a PyTorch that cannot exchange arrays with the installed NumPy."""
    command = f'"{installer.python}" -m pip install "numpy<2"'
    return DependencyError(
        found=_("PyTorch {version}, which cannot work with NumPy {numpy}").format(
            version=torch.version, numpy=numpy
        ),
        expected=_("NumPy below 2, or PyTorch {version} or newer").format(version=TORCH_OF_NUMPY_2),
        action=_("run {command} and restart Slicer").format(command=command),
    )


def nobody_to_ask(needs: Sequence[Need], installer: Installer) -> DependencyError:
    """Return the error about packages that are missing in a test or without the application."""
    return DependencyError(
        found=_("no fitting {packages} in Slicer's Python").format(packages=titles(needs)),
        expected=_("them there, because nothing is installed in tests"),
        action=_("run {command} or start Slicer normally").format(
            command=_command(needs, installer)
        ),
    )


def no_extension() -> DependencyError:
    """Return the error about the missing extension PyTorch."""
    return DependencyError(
        found=_("neither PyTorch nor the extension PyTorch"),
        expected=_("the extension, which chooses the right PyTorch for this computer"),
        action=_("install it in the Extensions Manager, restart Slicer and segment again"),
    )


def torch_still_loaded(version: str) -> RestartNeeded:
    """Return the error about a PyTorch that is in memory but no longer on the disk."""
    return RestartNeeded(
        found=_("PyTorch {version} in memory although it was removed").format(version=version),
        action=_("restart Slicer and segment again"),
    )


def full_disk(free_gb: float, needed_gb: float) -> DependencyError:
    """Return the error about a disk without room for PyTorch."""
    return DependencyError(
        found=_("{free} GB left on the disk of Slicer's Python").format(free=f"{free_gb:.1f}"),
        expected=_("{needed} GB for PyTorch").format(needed=f"{needed_gb:.0f}"),
        action=_("make room on the disk and segment again"),
    )


def not_there_afterwards(need: Need) -> RestartNeeded:
    """Return the error about a package that an installation left nothing of."""
    return RestartNeeded(
        found=_("no {package} after its installation").format(package=TITLES[need.package]),
        expected=in_words(need.requirement),
        action=_("restart Slicer and segment again"),
    )


def installation_failed(need: Need, lines: Sequence[str], installer: Installer) -> DependencyError:
    """Return the error about an installation, from what it wrote."""
    package = TITLES[need.package]
    if any(NO_CONNECTION.search(line) for line in lines):
        command = _command([need], installer, "--no-index --find-links FOLDER ")
        return DependencyError(
            found=_("no connection to download {package}").format(package=package),
            expected=_("a way to the Python Package Index and that of PyTorch"),
            action=_(
                "connect this computer, set HTTPS_PROXY for a proxy, "
                "or put the wheel files into a folder and run {command}"
            ).format(command=command),
        )
    return DependencyError(
        found=_("a failed installation of {package} ({reason})").format(
            package=package, reason=_last_words(lines)
        ),
        expected=in_words(need.requirement),
        action=_("read the details of this message"),
    )


def _removal(torch: Package) -> str:
    if torch.loaded:
        return _(
            "restart Slicer, open the module PyTorch Utils, press Uninstall PyTorch, "
            "restart again and segment"
        )
    return _(
        "open the module PyTorch Utils, press Uninstall PyTorch, restart Slicer and segment again"
    )


def _command(needs: Sequence[Need], installer: Installer, source: str = "") -> str:
    """Return the commands that install packages.

    What does not need PyTorch to come along comes without its own requirements: MONAI alone without
    NumPy and PyTorch, deepbet always without those of its window.
    """
    together = [need for need in needs if need.package != WHEEL]
    if len(together) < len(needs) and together:
        apart = [need for need in needs if need.package == WHEEL]
        return listed([_command(part, installer, source) for part in (together, apart)])
    alone = "" if any(need.package == "torch" for need in needs) else "--no-deps "
    packages = " ".join(f'"{need.package}{need.requirement}"' for need in needs)
    return f'"{installer.python}" -m pip install {source}{alone}{packages}'


def _last_words(lines: Sequence[str]) -> str:
    said = [line.strip() for line in lines if line.strip()] or [_("it said nothing")]
    last = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1])
    return last[:LONGEST_LINE]
