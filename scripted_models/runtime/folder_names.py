"""Names that can be those of folders, on this system and on others."""

import re
import sys
from pathlib import PurePosixPath, PureWindowsPath

_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[\d¹²³]) *(\..*)?", re.IGNORECASE)


def is_device_name(name: str) -> bool:
    """Tell whether Windows takes a name for that of a device, as it does "nul" and "COM1.txt"."""
    return bool(_DEVICES.fullmatch(name))


def can_be_folder(name: str, platform: str = sys.platform) -> bool:
    """Tell whether a name makes one folder of that very name; control characters are not judged.

    Args:
        name: without folders above it.
        platform: the system, as in `sys.platform`.
    """
    if name in ("", ".", "..") or PurePosixPath(name).name != name:
        return False
    if platform != "win32":
        return True
    is_one = PureWindowsPath(name).name == name and not set(name) & set('<>:"|?*')
    return is_one and not name.endswith((" ", ".")) and not is_device_name(name)
