"""What is put before every command of a child process, so that it can run on another machine.

A setting of the application holds it; docs/another-machine.md says what such a program must do.
"""

import os
import shlex
import shutil

from scripted_models.errors import ResourceError

from .translation import _

try:
    import slicer
except ImportError:  # what needs no Slicer has no settings either
    slicer = None

SETTING = "BrainTumorSeg/CommandPrefix"


def prefix_setting() -> str:
    """Return the setting as it is; empty when there is none."""
    app = getattr(slicer, "app", None)
    value = app.userSettings().value(SETTING) if app is not None else None
    if isinstance(value, list | tuple):  # Qt's reading of commas in a file edited by hand
        return ",".join(map(str, value))
    return str(value or "").strip()


def command_prefix() -> tuple[str, ...]:
    """Return program and arguments to put before a command; empty when nothing is set.

    Raises:
        ResourceError: it cannot be read, or its program is not there; names the setting.
    """
    setting = prefix_setting()
    try:
        parts = shlex.split(setting, posix=os.name != "nt")  # backslashes are paths on Windows
    except ValueError as error:
        raise ResourceError(
            found=_("a command prefix without its second quotation mark ({prefix})").format(
                prefix=setting
            ),
            action=correction(),
        ) from error
    if not parts:
        return ()
    first, *others = (part.strip('"') if os.name == "nt" else part for part in parts)
    program = shutil.which(os.path.expanduser(first))
    if program is None:
        raise ResourceError(
            found=_("no program '{name}' to put before the command").format(name=first),
            action=correction(),
        )
    return os.path.abspath(program), *others


def correction() -> str:
    """Return what the user is asked to do about a wrong prefix."""
    return _("correct or empty the setting {setting}").format(setting=SETTING)
