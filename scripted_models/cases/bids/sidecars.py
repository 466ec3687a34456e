"""JSON sidecars of images: their fields, from the root of the data set down to the file's own."""

from pathlib import Path
from typing import Any

from scripted_models.cases.bids.data_set import BidsName
from scripted_models.cases.dicom.weighting import states_agent
from scripted_models.images.volume_files import volume_stem
from scripted_models.runtime.structured_text import read_json

_AGENTS = ("ContrastBolusIngredient", "ContrastBolusAgent")


def read_sidecar(path: Path, root: Path) -> dict[str, Any]:
    """Return the fields of an image by the inheritance principle: those nearer to it win.

    Args:
        path: of the image, below the root.
        root: of the data set.
    """
    own = BidsName.of(volume_stem(path))
    fields: dict[str, Any] = {}
    above = [folder for folder in path.parents if folder == root or root in folder.parents]
    for folder in reversed(above):
        fitting = [p for p in folder.glob(f"*{own.suffix}.json") if _fits(p, own)]
        for found in sorted(fitting, key=lambda p: len(p.name)):
            fields |= _fields(found)
    return fields


def contrast_agent(fields: dict[str, Any]) -> bool | None:
    """Tell whether the fields of an image state contrast medium, deny it, or say nothing."""
    said = [states_agent(str(fields[key])) for key in _AGENTS if fields.get(key) is not None]
    return next((answer for answer in said if answer is not None), None)


def _fits(sidecar: Path, image: BidsName) -> bool:
    name = BidsName.of(sidecar.name.removesuffix(".json"))
    return name.suffix == image.suffix and name.entities.items() <= image.entities.items()


def _fields(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
    except (OSError, ValueError):  # the validator of BIDS says so; nothing here depends on it
        return {}
    return content if isinstance(content, dict) else {}
