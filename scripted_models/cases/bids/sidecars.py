"""JSON sidecars of images: their fields, from the root of the data set down to the file's own."""

import os
from pathlib import Path
from typing import Any

from scripted_models.cases.bids.data_set import BidsName
from scripted_models.cases.dicom.weighting import states_agent
from scripted_models.images.volume_files import volume_stem
from scripted_models.runtime.structured_text import read_json

_AGENTS = ("ContrastBolusIngredient", "ContrastBolusAgent")


class Sidecars:
    """The JSON files of a data set; each folder is listed once.

    Args:
        root: folder of the data set.
        ignored: receives files that cannot be read, with the reason.
    """

    def __init__(self, root: Path, ignored: list[tuple[Path, str]]):
        self.root, self.ignored = root, ignored
        self._names: dict[Path, list[str]] = {}
        self._contents: dict[Path, dict[str, Any]] = {}

    def fields(self, path: Path) -> dict[str, Any]:
        """Return the fields of an image by the inheritance principle: those nearer to it win."""
        own = BidsName.of(volume_stem(path))
        fields: dict[str, Any] = {}
        above = [p for p in path.parents if p == self.root or self.root in p.parents]
        for folder in reversed(above):
            for name in sorted(filter(own.inherits_from, self._listed(folder)), key=len):
                fields |= self._read(folder / name)
        return fields

    def _read(self, path: Path) -> dict[str, Any]:
        if path not in self._contents:
            self._contents[path] = {}
            try:
                content = read_json(path)
                if not isinstance(content, dict):
                    raise ValueError("it is no JSON object")
                self._contents[path] = content
            except (OSError, ValueError) as error:
                self.ignored.append((path, f"it cannot be read ({error})"))
        return self._contents[path]

    def _listed(self, folder: Path) -> list[str]:
        if folder not in self._names:
            self._names[folder] = [n for n in os.listdir(folder) if n.endswith(".json")]
        return self._names[folder]


def contrast_agent(fields: dict[str, Any]) -> bool | None:
    """Tell whether the fields of an image state contrast medium, deny it, or say nothing."""
    said = [states_agent(str(fields[key])) for key in _AGENTS if fields.get(key) is not None]
    return next((answer for answer in said if answer is not None), None)
