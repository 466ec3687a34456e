"""What stands in the files of a derivative: tables and sidecars."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripted_models.labels import CAVITY, LABELS, LabelCoding
from scripted_models.pictures.panels import LABEL_COLORS
from scripted_models.runtime.printable_text import on_one_line
from scripted_models.segmentation.bids_export.derivative_description import RAW
from scripted_models.segmentation.bids_export.lesion_columns import INTEGER
from scripted_models.segmentation.bids_export.names import WORKING, DerivativeNames
from scripted_models.segmentation.outputs import label_table
from scripted_models.segmentation.result import Segmentation

ABBREVIATIONS = {0: "BG", 1: "NCR", 2: "ED", 3: "NET", 4: "ET", 5: "RC"}
_BACKGROUND, _LESION = 0, 7  # in the table of labels that BIDS has for all
LABEL_COLUMNS: Mapping[str, Mapping[str, object]] = {
    "index": {"Description": "value in the label map", **INTEGER},
    "name": {"Description": "what the value stands for"},
    "abbreviation": {"Description": "short form of the name"},
    "color": {"Description": "color for pictures"},
    "mapping": {
        "Description": "label of BIDS: 0 background, 7 lesion; it has none for a resection cavity",
        **INTEGER,
    },
    "volume_ml": {
        "Description": "volume in this segmentation",
        "Units": "mL",
        "Format": "number",
    },
}


@dataclass(frozen=True)
class Sidecar:
    """What all sidecars of a case share.

    Attributes:
        reference: path of the image on whose grid the result lies, below the root.
        sources: paths of all images.
        names: of the files.
    """

    reference: str
    sources: tuple[str, ...]
    names: DerivativeNames

    def text(self, description: str, **fields: object) -> str:
        """Return the JSON of a file."""
        shared: dict[str, object] = {
            "Description": description,
            "SpatialReference": uri(self.reference),
            "Sources": [uri(path) for path in self.sources],
            "Manual": False,
        }
        if self.names.resolution == WORKING:
            shared["Resolution"] = "voxels of 1 mm, on which the network saw the images"
        return json.dumps({**shared, **fields}, indent=2) + "\n"


def uri(path: str) -> str:
    """Return the BIDS URI of a file of the raw data set."""
    return f"bids:{RAW}:{path}"


def label_rows(segmentation: Segmentation, coding: LabelCoding) -> list[dict[str, object]]:
    """Return a row for each value of the label map."""
    rows: list[dict[str, object]] = []
    for value, name in sorted(label_table(coding, segmentation.known_labels).items()):
        labels = [k for k in segmentation.known_labels if str(coding.from_internal[k]) == value]
        ml = [segmentation.volumes_ml[LABELS[label]] for label in labels if label]
        color = LABEL_COLORS.get(labels[-1])
        rows.append(
            {
                "index": int(value),
                "name": name,
                "abbreviation": "+".join(ABBREVIATIONS[label] for label in labels),
                "color": None if color is None else "#{:02x}{:02x}{:02x}".format(*color),
                "mapping": None if CAVITY in labels else _LESION if any(labels) else _BACKGROUND,
                "volume_ml": round(sum(ml), 4) if ml else None,
            }
        )
    return rows


def table_text(columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as TSV; what is not there is "n/a"."""
    columns = list(columns)
    lines = [columns, *([_cell(row.get(name)) for name in columns] for row in rows)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "n/a"
    return str(value).lower() if isinstance(value, bool) else on_one_line(str(value))
