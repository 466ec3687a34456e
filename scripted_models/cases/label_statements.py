"""What a label map's own file, or one beside it, states about the meaning of its values.

In this order: the names of the files in a folder of masks, the segments of a Slicer segmentation,
the report of `segment` or the provenance of `case_writer`, a table of names beside the file (color
tables of 3D Slicer and ITK-SNAP, BIDS), `dataset.json` of the data set.
"""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripted_models.cases.label_names import Meaning, coding_of, meaning_of
from scripted_models.cases.mask_folders import mask_segments
from scripted_models.cases.slicer_segments import Segment, read_segments, segments_coding
from scripted_models.errors import InputError
from scripted_models.images.volume_files import volume_extension, volume_stem
from scripted_models.labels import CODINGS, LabelCoding
from scripted_models.runtime.plain_files import LARGEST_TEXT, read_bytes
from scripted_models.runtime.structured_text import read_json

PREDICTION_STEM = "segmentation"  # FOLDER/<case>/segmentation.nii.gz is what `segment` writes
PREDICTION_REPORT = "report.json"
PROVENANCE = "provenance.json"  # of a case that `case_writer` has stored
DATASET = "dataset.json"
# Folders of label maps whose dataset.json lies above, in MSD and nnU-Net.
_BELOW_DATASET = re.compile(
    r"labelst[rs]|gt_segmentations|validation(_raw)?|fold_(\d+|all)|crossval\w*"
)
_OF_ALL = "dseg.tsv"  # BIDS: of all label maps in the folder
_TABLES = (".ctbl", ".txt", ".label", ".csv", ".tsv")
_TABLE_ENDS = ("", ".labels", "_colortable", "-label_colortable", "-colortable", "_labels")
_COLOR_LINE = re.compile(r"(\d+)\s+(.+?)((?:\s+[\d.]+){4})\s*")
_SNAP_LINE = re.compile(r'(\d+)\s+(?:[\d.]+\s+){6}"(.*)"\s*')
_VALUE_TITLES, _NAME_TITLES = {"labelvalue", "index", "value", "label"}, {"name", "structure"}


@dataclass(frozen=True)
class Statement:
    """What a file states.

    Attributes:
        coding: of its values.
        by: who states it, for messages.
        segments: where the file is a Slicer segmentation.
    """

    coding: LabelCoding
    by: str
    segments: tuple[Segment, ...] = ()


def stated_coding(path: Path, predicted: bool = False) -> Statement | None:
    """Return what is stated about a label map; None where nothing is.

    Args:
        path: the label map, or a folder of masks (see `mask_folders`).
        predicted: it is a prediction; nnU-Net then numbers regions by `regions_class_order`.

    Raises:
        InputError: a statement that cannot be read.
    """
    if path.is_dir():
        masks = mask_segments(path)
        return Statement(segments_coding(masks, whole=False), "the names of its files", masks)
    if segments := read_segments(path):
        return Statement(segments_coding(segments), "its segment names", segments)
    if volume_stem(path) == PREDICTION_STEM:
        for report in map(path.with_name, (PREDICTION_REPORT, PROVENANCE)):
            if coding := _reported_coding(report):
                return Statement(coding, str(report))
    if (table := _table_beside(path)) and (meanings := _read_table(table)):
        of_one = table.name.lower() != _OF_ALL
        return Statement(coding_of(meanings, table.name, whole=of_one), str(table))
    folder = path.parent
    while _BELOW_DATASET.fullmatch(folder.name.lower()) and not (folder / DATASET).is_file():
        folder = folder.parent
    if not (folder / DATASET).is_file():
        return None
    coding = dataset_coding(read_dataset(folder / DATASET), predicted)
    return Statement(coding, str(folder / DATASET)) if coding else None


def read_dataset(path: Path) -> dict[str, Any]:
    """Read a `dataset.json` of MSD or nnU-Net; empty where it holds something else.

    Raises:
        InputError: it cannot be read as JSON.
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise InputError(
            found=f"no table of channels or labels ({error})",
            expected="JSON as MSD and nnU-Net write it",
            action="restore the file of the data set",
            path=path,
        ) from error
    return content if isinstance(content, dict) else {}


def dataset_coding(content: Mapping[str, Any], predicted: bool = False) -> LabelCoding | None:
    """Return the coding that the table `labels` of a data set states; None where it does not.

    The table goes from value to name (MSD) or from name to value (nnU-Net), or from a region's name
    to all values in it. Of names that are not known the value stays out of the coding.
    """
    labels = content.get("labels")
    if not isinstance(labels, Mapping):
        return None
    values: dict[Meaning, list[int]] = {}
    order = content.get("regions_class_order")
    named = [_entry(str(key), value) for key, value in labels.items()]
    regions = any(len(numbers) > 1 for _, numbers in named)
    if regions and predicted and isinstance(order, list):
        drawn = [n for n in named if n[1] != [0] and n[0].lower() != "ignore"]
        named = [(name, [n]) for (name, _), n in zip(drawn, order, strict=False) if _is_whole(n)]
    for name, numbers in named:
        if numbers and (meaning := meaning_of(name)):
            values.setdefault(meaning, []).extend(numbers)
    largest_first = sorted(values.items(), key=lambda item: -len(item[1]))
    meanings = {value: meaning for meaning, numbers in largest_first for value in numbers}
    told = any(meaning.label for meaning in meanings.values())
    return coding_of(meanings, DATASET) if told else None


def _entry(key: str, value: object) -> tuple[str, list[int]]:
    """Return name and values of one row, whichever way around it is written."""
    if isinstance(value, str) and not value.strip().isdecimal():
        return value, [int(key)] if key.strip().isdecimal() else []
    numbers = value if isinstance(value, list) else [value]
    return key, [int(float(str(number))) for number in numbers if _is_whole(number)]


def _is_whole(number: object) -> bool:
    if isinstance(number, str):
        return number.strip().isdecimal()
    if isinstance(number, bool) or not isinstance(number, (int, float)):
        return False
    return number >= 0 and number == number // 1


def _reported_coding(report: Path) -> LabelCoding | None:
    """Return the coding that a prediction's report states; None without such a report."""
    try:
        content = read_json(report)
        name = content.get("coding")
        return None if name is None else CODINGS[name]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise InputError(
            found=f"no label coding that can be read ({error})",
            expected=f"'coding' to be one of {sorted(CODINGS)}",
            action="segment the case again or state it with --prediction-coding",
            path=report,
        ) from error


def _table_beside(path: Path) -> Path | None:
    """Return the table of names that belongs to a label map: it is named like it, or both alone."""
    try:
        inside = sorted(path.parent.iterdir())
    except OSError:
        return None
    beside = [p for p in inside if p.suffix.lower() in _TABLES]
    if not beside:
        return None
    stem = volume_stem(path).lower()
    stems = {stem, stem.removesuffix("-label"), stem.removesuffix("_seg")}
    known = {start + end for start in stems for end in _TABLE_ENDS}
    named = [p for p in beside if p.stem.lower() in known]
    alone = [p for p in beside if p.suffix.lower() == ".ctbl" or p.name.lower() == _OF_ALL]
    volumes = [p for p in inside if volume_extension(p)]
    if not named and len(alone) == 1 and (len(volumes) == 1 or alone[0].name.lower() == _OF_ALL):
        return alone[0]
    return named[0] if named else None


def _read_table(path: Path) -> dict[int, Meaning]:
    """Read values and names; of names that are not known the value stays out."""
    try:
        lines = read_bytes(path, LARGEST_TEXT).decode("utf-8-sig").splitlines()
    except (OSError, ValueError):
        return {}
    named: list[tuple[str, str]] = []
    if path.suffix.lower() in (".csv", ".tsv"):
        named = _titled(lines)
    else:
        for line in lines:
            match = _SNAP_LINE.fullmatch(line.strip()) or _COLOR_LINE.fullmatch(line.strip())
            if match:
                named.append((match[1], match[2]))
    found = ((int(value), meaning_of(name)) for value, name in named if value.isdecimal())
    meanings = {value: meaning for value, meaning in found if meaning}
    return meanings if any(meaning.label for meaning in meanings.values()) else {}


def _titled(lines: list[str]) -> list[tuple[str, str]]:
    head = lines[0] if lines else ""
    rows = list(csv.reader(lines, delimiter=max("\t,;", key=head.count)))
    titles = [title.strip().lower() for title in rows[0]] if rows else []
    value = next((i for i, title in enumerate(titles) if title in _VALUE_TITLES), None)
    name = next((i for i, title in enumerate(titles) if title in _NAME_TITLES), None)
    if value is None or name is None:
        return []
    return [(row[value].strip(), row[name]) for row in rows[1:] if len(row) > max(value, name)]
