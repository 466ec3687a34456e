"""A label map read with the meaning that is stated: by its file, by an option, or by its naming.

The file's own statement counts (`label_statements`). An option that contradicts it is refused, so
that neither is believed in silence. Without a statement the option counts, and without both what
the naming implies.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripted_models.cases.label_statements import Statement, stated_coding
from scripted_models.cases.mask_folders import decode_masks
from scripted_models.cases.slicer_segments import decode_segments, segment_notes
from scripted_models.errors import InputError, listed
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import read_label_map
from scripted_models.labels import (
    LABELS,
    NECROSIS,
    NON_ENHANCING,
    LabelCoding,
    decode_labels,
)


@dataclass(frozen=True)
class LabelMap:
    """A label map as internal labels.

    Attributes:
        labels: uint8 (z, y, x), 0-5.
        grid: where it lies.
        coding: that its file has.
        stated: the coding was stated by a file or an option, and not only implied.
        notes: sentences about how it was read.
    """

    labels: np.ndarray
    grid: Grid
    coding: LabelCoding
    stated: bool
    notes: tuple[str, ...] = ()


def read_labels(
    path: Path,
    chosen: LabelCoding | None,
    implied: Callable[[], LabelCoding],
    *,
    option: str = "--coding",
    predicted: bool = False,
) -> LabelMap:
    """Read a label map as internal labels.

    Args:
        path: the file, or a folder of masks (see `mask_folders`).
        chosen: coding of the option; None where it is not given.
        implied: gives the coding where neither file nor option state one, or refuses.
        option: its name, for messages.
        predicted: it is a prediction, see `stated_coding`.

    Raises:
        InputError: the file cannot be read, has unknown values or segments, or the option
            contradicts its statement.
    """
    statement = stated_coding(path, predicted)
    if statement and statement.segments:
        return _read_segments(path, statement, chosen, option)
    coding = chosen or (statement.coding if statement else implied())
    values, grid = read_label_map(path)
    if statement and chosen:
        _refuse_contradiction(values, chosen, statement, path, option)
    labels = decode_labels(values, coding, str(path), option)
    return LabelMap(labels, grid, coding, stated=bool(statement or chosen))


def _read_segments(
    path: Path, statement: Statement, chosen: LabelCoding | None, option: str
) -> LabelMap:
    decode = decode_masks if path.is_dir() else decode_segments
    labels, grid = decode(path, statement.segments)
    if chosen and path.is_file() and {segment.layer for segment in statement.segments} == {0}:
        values, _ = read_label_map(path)
        _refuse_contradiction(values, chosen, statement, path, option)
    notes = tuple(f"{path}: {note}." for note in segment_notes(statement.segments))
    return LabelMap(labels, grid, statement.coding, True, notes)


def _refuse_contradiction(
    values: np.ndarray, chosen: LabelCoding, statement: Statement, path: Path, option: str
) -> None:
    """Refuse an option where it means another label for a value that occurs."""
    stated = statement.coding.to_internal
    different = [
        f"{value} {_named(chosen.to_internal.get(value))} instead of {LABELS[stated[value]]}"
        for value in np.unique(values).tolist()
        if value in stated and not _agree(chosen.to_internal.get(value), stated[value])
    ]
    if different:
        raise InputError(
            found=f"{option} {chosen.name}, which calls the value {listed(different)}",
            expected=f"the meaning stated by {statement.by}",
            action=f"leave {option} out, or correct what is stated there",
            path=path,
        )


def _named(label: int | None) -> str:
    return "unknown" if label is None else LABELS[label]


def _agree(first: int | None, second: int) -> bool:
    """Tell whether two labels are one; data sets join necrosis and non-enhancing tumor."""
    return first == second or {first, second} == {NECROSIS, NON_ENHANCING}
