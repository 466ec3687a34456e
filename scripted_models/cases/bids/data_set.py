"""A BIDS data set: where it begins, which of its files count, and what their names say."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scripted_models.cases.bids.ignore_file import NAME as IGNORE_FILE
from scripted_models.cases.bids.ignore_file import IgnoreFile
from scripted_models.cases.naming import file_role, label_stem
from scripted_models.images.volume_files import volume_stem
from scripted_models.runtime.structured_text import read_json

DESCRIPTION = "dataset_description.json"
_DERIVATIVES = "derivatives"
_APART = (_DERIVATIVES, "sourcedata", "code", "stimuli", "phenotype")
_OTHER_TYPES = (
    *("beh", "dwi", "eeg", "emg", "fmap", "func", "ieeg", "meg", "micr", "motion", "mrs", "nirs"),
    *("perf", "pet"),
)
_INSIDE = ("sub-", "ses-", "anat")  # folders of which one may be searched alone


@dataclass(frozen=True)
class BidsName:
    """A file name in its parts.

    Attributes:
        entities: key -> label, in the order of the name.
        suffix: what follows the last "_", such as "T1w".
    """

    entities: dict[str, str]
    suffix: str

    @classmethod
    def of(cls, stem: str) -> "BidsName":
        """Read a name without extension."""
        *parts, suffix = stem.split("_")
        pairs = (part.partition("-") for part in parts)
        return cls({key: label for key, _sign, label in pairs}, suffix)

    def inherits_from(self, sidecar: str) -> bool:
        """Tell whether a JSON file holds for what has this name."""
        other = BidsName.of(sidecar.removesuffix(".json"))
        return other.suffix == self.suffix and other.entities.items() <= self.entities.items()

    @property
    def start(self) -> str:
        """The name before its suffix."""
        return "_".join(f"{key}-{label}" for key, label in self.entities.items())


@dataclass(frozen=True)
class BidsDataSet:
    """A data set.

    Attributes:
        root: its folder.
    """

    root: Path

    @cached_property
    def _ignore_file(self) -> IgnoreFile:
        return IgnoreFile(self.root)

    def why_apart(self, path: Path) -> str:
        """Say why a file below the root is none of a participant; "" where it is.

        An expert's label map may lie in derivatives/, the only place that BIDS has for it.
        """
        place = path.relative_to(self.root)
        if place.parts[0] in _APART:
            role = file_role(label_stem(volume_stem(path)))
            is_truth = role is not None and role.kind.startswith("truth")
            if place.parts[0] != _DERIVATIVES or not is_truth:
                return f"because {place.parts[0]}/ holds no images of participants"
        if path.parent.name in _OTHER_TYPES:
            return f"because {path.parent.name}/ holds no anatomical images"
        if self._ignore_file.ignores(place.as_posix()):
            return f"because {IGNORE_FILE} says so"
        return ""


def find_data_set(folder: Path) -> BidsDataSet | None:
    """Return the data set that a folder is, or whose participant or session it is; else None."""
    place = folder.absolute()
    while read_description(place).get("BIDSVersion") is None:
        if not place.name.startswith(_INSIDE):
            return None
        place = place.parent
    return BidsDataSet(place)


def read_description(folder: Path) -> dict[str, Any]:
    """Return what a folder's dataset_description.json holds; empty where there is none to read."""
    try:
        content = read_json(folder / DESCRIPTION)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
