"""Which label maps of a folder were made from which picture, and by which model."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripted_models.bundle.weights import Model
from scripted_models.errors import InputError
from scripted_models.runtime.atomic_files import write_file
from scripted_models.runtime.file_identity import content_digest
from scripted_models.runtime.structured_text import read_json
from scripted_models.tasks.voc.image_lists import VocImage

RECORD = "predictions.json"
Entry = dict[str, Any]  # of one label map: its picture, and what made it


def entries_of(
    images: Sequence[VocImage], model: Model, scales: Sequence[float] = (1.0,), crf: bool = False
) -> dict[str, Entry]:
    """Return what decides the label map of each picture, by name; pictures are read.

    Args:
        images: pictures.
        model: predicts them.
        scales: sizes whose probabilities are averaged.
        crf: whether a CRF runs that the model does not have.
    """
    made_by = {
        "weights_sha256": model.checksum,
        "method_sha256": model.method_checksum,
        "scales": list(scales),
        "crf": crf,
    }
    return {
        image.name: {
            "picture": os.path.abspath(image.picture),
            "picture_sha256": content_digest(image.picture),
            **made_by,
        }
        for image in images
    }


@dataclass(frozen=True)
class PredictionRecord:
    """The record of a folder of label maps.

    Attributes:
        folder: holds NAME.png.
        made: name -> what decided its label map.
    """

    folder: Path
    made: Mapping[str, Entry]

    @classmethod
    def of(cls, folder: Path) -> "PredictionRecord":
        """Read the record of a folder; without one it is empty."""
        try:
            content = read_json(folder / RECORD)
        except (OSError, ValueError):
            content = {}
        stated = content.items() if isinstance(content, dict) else ()
        return cls(folder, {name: entry for name, entry in stated if isinstance(entry, dict)})

    def refuse_others(self, wanted: Mapping[str, Entry]) -> None:
        """Refuse to replace label maps of other pictures, or some that nobody knows.

        A picture that lies where it lay is the same one, which the user has changed.

        Raises:
            InputError: such a label map.
        """
        for name, entry in wanted.items():
            path = self._path(name)
            former = self.made.get(name)
            keys = ("picture", "picture_sha256")
            if not os.path.lexists(path) or any((former or {}).get(k) == entry[k] for k in keys):
                continue
            raise InputError(
                found=f"the label map of another picture, {former.get('picture')}"
                if former
                else f"a label map that {RECORD} does not know",
                expected="a place for a new one",
                action="choose another --output, or move it away",
                path=path,
            )

    def begin(self, wanted: Mapping[str, Entry]) -> list[str]:
        """Remove label maps that others than the wanted entries made, and record these.

        Whatever stops the program afterwards, what lies in the folder is what the record says.

        Returns:
            The names whose label maps are still to be made.
        """
        left = [name for name, entry in wanted.items() if not self._is_made(name, entry)]
        for name in left:
            self._path(name).unlink(missing_ok=True)
        record = {**self.made, **wanted}
        if record != self.made:
            write_file(self.folder / RECORD, json.dumps(record, indent=2) + "\n")
        return left

    def _is_made(self, name: str, entry: Entry) -> bool:
        def decides(one: Entry) -> Entry:
            return {key: value for key, value in one.items() if key != "picture"}

        return decides(self.made.get(name, {})) == decides(entry) and self._path(name).is_file()

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.png"
