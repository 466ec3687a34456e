"""What the panel asks before its first run: to accept the terms of the networks, and to install.

Scripts that call `logic.segment`, and Slicer's own tests, are asked nothing.
"""

import slicer

from scripted_models.errors import Cancelled

from .dependencies import ensure
from .packages import Installer
from .slicer_installer import SlicerInstaller
from .translation import _

SETTING = "BrainTumorSeg/WeightsTerms"  # of the application
EDITION = "1"  # another one asks again: the terms have changed


def prepare_use(brain_extraction: bool) -> None:
    """Ask for what was not accepted or installed yet.

    Args:
        brain_extraction: skulls are to be stripped.

    Raises:
        DependencyError: a package cannot be installed or used.
        Cancelled: the user said no.
    """
    installer = SlicerInstaller()
    require_acceptance(installer)
    ensure(installer, brain_extraction)


def require_acceptance(installer: Installer) -> None:
    """Show the terms unless they were accepted before, or nobody can be asked; keep the answer.

    Args:
        installer: asks.

    Raises:
        Cancelled: the user does not accept them.
    """
    if not installer.may_install():
        return
    settings = slicer.app.userSettings()
    if str(settings.value(SETTING)) == EDITION:
        return
    if not installer.ask(_terms()):
        raise Cancelled(
            found=_("terms of the networks that were not accepted"),
            expected=_("that they are accepted before the first run"),
            action=_("press the button again to see them again"),
        )
    settings.setValue(SETTING, EDITION)


def _terms() -> str:
    return _(
        "The networks that come with this extension were trained on data of the BraTS challenges. "
        "The terms of these data hold for the networks, too:\n\n"
        "- Research only: no products, no services, no patient care.\n"
        "- The part from BRATS 2013 is under CC BY-NC-SA 3.0: name the source, "
        "no commercial use, share changes under the same license.\n\n"
        "The file LICENSE-WEIGHTS.md in the repository has them in full. "
        "Models of your own have the terms of their own data. "
        "No result is for diagnosis or treatment.\n\n"
        "Do you accept this? You are asked only once."
    )
