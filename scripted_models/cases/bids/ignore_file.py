"""The file .bidsignore, written as a .gitignore: which files of a data set count as not there.

Hand-written, because a library for it would have to be installed into 3D Slicer.
"""

import re
from pathlib import Path

from scripted_models.runtime.plain_files import read_text

NAME = ".bidsignore"
_WILD = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
_PARTS = re.compile(r"\*\*/|/\*\*(?=$)|\*\*|\*|\?|\[[^]]+\]|.")


class IgnoreFile:
    """The patterns of a data set; the last one that fits a path decides.

    Args:
        root: folder of the data set; without the file nothing is ignored.
    """

    def __init__(self, root: Path):
        try:
            lines = read_text(root / NAME).splitlines()
        except (OSError, ValueError):
            lines = []
        stated = (line.rstrip() for line in lines)
        self._patterns = [_pattern(line) for line in stated if line and not line.startswith("#")]

    def ignores(self, path: str) -> bool:
        """Tell whether a path, relative to the root and with "/", is ignored."""
        fitting = [keeps for pattern, keeps in self._patterns if pattern.fullmatch(path)]
        return bool(fitting) and not fitting[-1]


def _pattern(line: str) -> tuple[re.Pattern[str], bool]:
    """Return a line as an expression for whole paths, and whether it keeps what fits."""
    keeps = line.startswith("!")
    line = line.removeprefix("!")
    anywhere = "" if "/" in line.rstrip("/") else "(?:.*/)?"
    inside = "/.*" if line.endswith("/") else "(?:/.*)?"
    parts = _PARTS.findall(line.strip("/"))
    body = "".join(_WILD.get(part) or _plain(part) for part in parts)
    return re.compile(f"{anywhere}{body}{inside}", re.DOTALL), keeps


def _plain(part: str) -> str:
    if len(part) > 1:  # one of some characters
        inner = part[1:-1].replace("\\", r"\\")
        return f"[^{inner[1:]}]" if inner.startswith("!") else f"[{inner}]"
    return re.escape(part)
