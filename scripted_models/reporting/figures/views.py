"""Sagittal, coronal and axial views through a tumor (Havaei et al. 2017, figures 8 and 9)."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from scripted_models.cases.case import Case
from scripted_models.cases.label_maps import read_labels
from scripted_models.evaluation.pairing import assumed_coding
from scripted_models.labels import CODINGS
from scripted_models.pictures.panels import fullest_index, tumor_of
from scripted_models.reporting.figures.panel_grid import TRUTH_TITLE, Cell, Painter, Row, draw_rows
from scripted_models.reporting.figures.shown_case import ShownCase
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import Segmenter
from scripted_models.sequences import TITLES

VIEWS = ("sagittal", "coronal", "axial")


def segmentation_by(
    segmenter: Segmenter, case: Case, shown: ShownCase, progress: Progress
) -> np.ndarray:
    """Segment a case and return its labels on the grid of the shown volumes."""
    result = segmenter.segment(case, progress.part(0.1, 0.95))
    return shown.placement.bring(result.labels, result.grid, case.name)


def segmentation_from(path: Path, case: Case, shown: ShownCase) -> np.ndarray:
    """Read a segmentation and return its labels on the grid of the shown volumes.

    Its coding is that which its file or one beside it states. Without one it is that of the case's
    ground truth, where both can only be the same.

    Raises:
        InputError: damaged, of an unclear coding, or on another grid than the images.
    """
    known = case.truth_coding() or CODINGS["internal"]
    read = read_labels(path, None, lambda: assumed_coding(case.name, path, known), predicted=True)
    return shown.placement.bring(read.labels, read.grid, path)


def draw_views(case: ShownCase, labels: np.ndarray, name: str) -> Figure:
    """Draw images, segmentation and ground truth in the three planes with most tumor.

    Args:
        case: the case.
        labels: segmentation on its grid, uint8 (z, y, x), internal labels.
        name: of the segmentation, for its column.
    """
    maps = {name: labels} | ({} if case.truth is None else {TRUTH_TITLE: case.truth})
    tumor = tumor_of(maps.values())
    painter = Painter(case, tumor)
    rows = []
    for plane in VIEWS:
        index, count = fullest_index(tumor, case.brain, plane)
        cells: list[Cell | None] = [
            Cell(painter.gray(m, plane, index), TITLES[m]) for m in ("t1c", "flair")
        ]
        cells += [
            Cell(painter.overlay("flair", m, plane, index), title) for title, m in maps.items()
        ]
        rows.append(Row(f"{plane} {index + 1}/{count}", cells))
    return draw_rows(rows, f"Views through the tumor: {case.name}")
