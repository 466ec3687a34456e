"""Visits of a scene as a table and folders that `scripted-models follow` reads."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer.util

from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels
from scripted_models.segmentation.result_folders import REPORT, SEGMENTATION

from .place_check import lies_on
from .resampling import covering_grid, resample, world_grid
from .review import inputs_of
from .scene_visits import SceneVisit
from .segment_masks import labels_on, whole_grid
from .slicer_types import VolumeNode
from .translation import _

TABLE, IMAGE = "visits.tsv", "image.nrrd"
COLUMNS = ("visit", "date", "folder", "steroids", "clinical", "confirmed", "radiotherapy")


@dataclass(frozen=True, eq=False)
class ExportedVisit:
    """A visit as it was when it was written.

    Attributes:
        name: number of the visit; dates and names of patients stay out of logs.
        visit: of the scene.
        labels: uint8 (z, y, x), internal labels.
        grid: of the labels in the world.
    """

    name: str
    visit: SceneVisit
    labels: np.ndarray
    grid: Grid


def export_visits(
    visits: Sequence[SceneVisit], folder: Path, radiotherapy: str = ""
) -> Iterator[ExportedVisit]:
    """Write each visit as `segment` leaves results, and the table of all; nodes stay as they are.

    Args:
        visits: with dates.
        folder: existing folder.
        radiotherapy: when it ended, as the user wrote it; may be empty.

    Yields:
        Each visit after it is written, so that a window can live between them.

    Raises:
        InputError: a transform bends a segmentation.
    """
    names = [_("Visit {number}").format(number=number + 1) for number in range(len(visits))]
    for name, visit in zip(names, visits, strict=True):
        grid = whole_grid(visit.node)
        exported = ExportedVisit(name, visit, labels_on(visit.node, grid), grid)
        _write(exported, folder / name)
        yield exported
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(COLUMNS)
        for name, visit in zip(names, visits, strict=True):
            said = visit.words
            told = said.steroids, said.clinical, said.confirmed
            rows.writerow((name, visit.date, name, *told, radiotherapy))


def _write(exported: ExportedVisit, folder: Path) -> None:
    folder.mkdir()
    visit = exported.visit
    write_labels(folder / SEGMENTATION, exported.labels, exported.grid)
    inputs: dict[str, str] = {}
    if visit.volume is not None:
        sitk.WriteImage(_image(visit.volume), str(folder / IMAGE), False)  # packing takes seconds
        inputs[_sequence_of(visit)] = str(folder / IMAGE)
    report = {
        "case": exported.name,
        "coding": "internal",
        "known_labels": list(visit.known),
        "inputs": inputs,
    }
    (folder / REPORT).write_text(json.dumps(report), encoding="utf-8")


def _sequence_of(visit: SceneVisit) -> str:
    """Return which sequence the volume is; where nobody knows, what segmentations are drawn on."""
    inputs = inputs_of(visit.node)
    return next((m for m, volume in inputs.items() if volume is visit.volume), "t1c")


def _image(volume: VolumeNode) -> sitk.Image:
    """Return a volume in the world, its own voxels where it lies on a proper grid."""
    grid = world_grid(volume) or covering_grid(volume)
    on_it = lies_on(volume, grid)
    array = slicer.util.arrayFromVolume(volume) if on_it else resample(volume, grid)
    return grid.image_from(array)
