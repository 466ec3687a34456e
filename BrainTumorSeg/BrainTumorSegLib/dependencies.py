"""PyTorch, MONAI and deepbet in Slicer's Python: what is missing, and how it gets there.

Decisions only, without Slicer; what they ask of Slicer is an `Installer` (see `slicer_installer`).
Nothing is imported to be looked at. The network runs in a child process, and a package that this
process has loaded could be neither replaced nor removed.
"""

from collections.abc import Sequence

from scripted_models.preparation.deepbet_wheel import WHEEL

from . import dependency_errors as errors
from .packages import (
    REQUIREMENTS,
    TORCH_OF_NUMPY_2,
    InstallationFailed,
    Installer,
    Need,
    Package,
    fits,
    monai_requirement,
    version_key,
)
from .translation import _

DISK_GB, NVIDIA_DISK_GB = 2.0, 10.0  # PyTorch as downloaded and unpacked


def missing(installer: Installer, brain_extraction: bool = False) -> list[Need]:
    """Return what has to be installed, PyTorch first; empty when all is there and fits.

    Args:
        installer: looks packages up.
        brain_extraction: skulls are to be stripped, which needs deepbet.

    Raises:
        DependencyError: something is there that does not fit and that only the user can remove.
    """
    torch, needs = installer.package("torch"), []
    if not torch.version and not torch.broken:
        needs.append(Need("torch", REQUIREMENTS["torch"]))
    else:
        _check_torch(torch, installer)
    monai, requirement = installer.package("monai"), monai_requirement(torch.version)
    if monai.broken or not monai.version or not fits(monai.version, requirement):
        needs.append(Need("monai", requirement, _found(monai)))
    deepbet, requirement = installer.package(WHEEL), REQUIREMENTS[WHEEL]
    if brain_extraction and (deepbet.broken or not fits(deepbet.version, requirement)):
        needs.append(Need(WHEEL, requirement, _found(deepbet)))
    return needs


def _found(package: Package) -> str:
    return _("an incomplete installation") if package.broken else package.version


def ensure(installer: Installer, brain_extraction: bool = False) -> None:
    """Have everything installed that a run needs, after asking.

    Does nothing when it is there.

    Args:
        installer: looks packages up, asks and installs.
        brain_extraction: skulls are to be stripped.

    Raises:
        DependencyError: it cannot be installed or used.
        Declined: the user said no.
    """
    asked: set[str] = set()
    while needs := missing(installer, brain_extraction):
        unasked = [need for need in needs if need.package not in asked]
        if unasked:
            _check_can_install(unasked, installer)
            if not installer.ask(question(unasked, installer.has_nvidia_gpu())):
                raise errors.declined(unasked)
            asked |= {need.package for need in unasked}
        _install(needs[0], installer, brain_extraction)


def question(needs: Sequence[Need], nvidia: bool) -> str:
    """Return the question to the user: what would be downloaded and how large it is."""
    sizes = {
        "torch": _("about 0.2 GB"),
        "monai": _("about 2 MB"),
        WHEEL: _("about 15 MB, finds the brain in volumes with skull"),
    }
    if nvidia:
        sizes["torch"] = _("about 3 GB, with the libraries for the NVIDIA GPU")
    lines = "\n".join(f"- {need} ({sizes[need.package]})" for need in needs)
    return _(
        "The segmentation needs packages that do not come with Slicer:\n\n{packages}\n\n"
        "They are downloaded from the internet into Slicer's Python, which can take some minutes. "
        "No images are sent. Install them now?"
    ).format(packages=lines)


def _check_torch(torch: Package, installer: Installer) -> None:
    """Raise when the PyTorch that is there has to go first."""
    if torch.broken:
        raise errors.broken_torch(torch)
    if not fits(torch.version, REQUIREMENTS["torch"]):
        raise errors.old_torch(torch, REQUIREMENTS["torch"])
    numpy = installer.package("numpy").version
    old = version_key(torch.version) < version_key(TORCH_OF_NUMPY_2)
    if old and numpy and version_key(numpy) >= version_key("2"):
        raise errors.torch_of_numpy_1(torch, numpy, installer)


def _check_can_install(needs: Sequence[Need], installer: Installer) -> None:
    """Raise when asking would be in vain."""
    if not installer.may_install():
        raise errors.nobody_to_ask(needs, installer)
    if not any(need.package == "torch" for need in needs):
        return
    if not installer.has_pytorch_extension():
        raise errors.no_extension()
    if loaded := installer.package("torch").loaded:
        raise errors.torch_still_loaded(loaded)
    free = installer.free_disk_gb()
    needed = NVIDIA_DISK_GB if installer.has_nvidia_gpu() else DISK_GB
    if free < needed:
        raise errors.full_disk(free, needed)


def _install(need: Need, installer: Installer, brain_extraction: bool) -> None:
    try:
        installer.install(need.package, need.requirement)
    except InstallationFailed as failure:
        raise errors.installation_failed(need, failure.lines, installer) from failure
    if any(left.package == need.package for left in missing(installer, brain_extraction)):
        raise errors.not_there_afterwards(need)
