"""How a segmentation comes about: a slice after epochs of both phases (Havaei et al., figure 6)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from scripted_models.bundle.weights import Model
from scripted_models.errors import InputError
from scripted_models.pictures.panels import fullest_index
from scripted_models.reporting.figures.methods import slice_note
from scripted_models.reporting.figures.panel_grid import TRUTH_TITLE, Cell, Painter, Row, draw_rows
from scripted_models.reporting.figures.shown_case import ShownCase, SlicePredictor, tumor_mask
from scripted_models.runtime.plain_files import open_file
from scripted_models.sequences import TITLES
from scripted_models.training.records import SNAPSHOTS

_COLUMNS = 6  # epochs of one phase that are shown


@dataclass(frozen=True)
class Snapshot:
    """Weights of one epoch of a run."""

    phase: int
    epoch: int
    path: Path


def find_snapshots(run: Path) -> list[Snapshot]:
    """Return the snapshots of a run in their order.

    Raises:
        InputError: none.
    """
    found = []
    for path in (run / SNAPSHOTS).glob("phase*_epoch*.pt"):
        if match := re.fullmatch(r"phase(\d+)_epoch(\d+)", path.stem):
            found.append(Snapshot(int(match[1]), int(match[2]), path))
    if not found:
        raise InputError(
            path=run,
            found="no snapshots of the weights",
            expected=f"some in {SNAPSHOTS}/",
            action="train with --set training.snapshot_every=5",
        )
    return sorted(found, key=lambda one: (one.phase, one.epoch))


def draw_progression(
    run: Path,
    model: Model,
    case: ShownCase,
    z: int | None = None,
    on_step: Callable[[float], None] = lambda fraction: None,
) -> Figure:
    """Draw the segmentation of an axial slice after epochs of both phases, and the ground truth.

    Args:
        run: run folder with snapshots.
        model: of that run; its network takes the weights of the snapshots and keeps the last.
        case: read in the space of the model.
        z: index of the slice; None takes the one with most tumor.
        on_step: called with the fraction done.

    Raises:
        InputError: no snapshots, or they are not of this network.
    """
    predictor = SlicePredictor(model, case)
    snapshots = find_snapshots(run)
    tumor = tumor_mask(case, lambda z: predictor.labels(model.slice_network, z))
    if z is None:
        z, _ = fullest_index(tumor, case.brain, "axial")
    painter = Painter(case, tumor)
    phases = sorted({snapshot.phase for snapshot in snapshots})
    chosen = {phase: _spread([s for s in snapshots if s.phase == phase]) for phase in phases}
    rows, done = [], 0
    for phase, own in chosen.items():
        row = Row(f"phase {phase}")
        for snapshot in own:
            _load(model, snapshot)
            labels = predictor.labels(model.slice_network, z)
            row.cells.append(painter.slice_cell(labels, z, f"epoch {snapshot.epoch}"))
            done += 1
            on_step(done / sum(map(len, chosen.values())))
        rows.append(row)
    _add_references(rows, painter, z)
    title = f"{model.name} while it learns: {case.name}, slice {z + 1}"
    return draw_rows(rows, title, slice_note(case))


def _spread(snapshots: list[Snapshot]) -> list[Snapshot]:
    """Return at most as many as a row has columns, evenly, with the first and the last."""
    picks = np.linspace(0, len(snapshots) - 1, min(_COLUMNS, len(snapshots)))
    return [snapshots[round(pick)] for pick in picks]


def _load(model: Model, snapshot: Snapshot) -> None:
    try:
        with open_file(snapshot.path) as stream:
            weights = torch.load(stream, map_location="cpu", weights_only=True)
        model.network.load_state_dict(weights)
    except Exception as error:  # torch raises many kinds for foreign content
        raise InputError(
            path=snapshot.path,
            found=f"no weights of {type(model.network).__name__} ({type(error).__name__})",
            expected="a snapshot of this run",
            action="train again into an empty folder",
        ) from error


def _add_references(rows: list[Row], painter: Painter, z: int) -> None:
    """Put the image before each row and the ground truth, if any, behind it."""
    width = max(len(row.cells) for row in rows)
    truth = painter.case.truth
    for row in rows:
        row.cells.insert(0, Cell(painter.gray("flair", "axial", z), TITLES["flair"]))
        if truth is not None:
            row.cells += [None] * (width + 1 - len(row.cells))
            row.cells.append(Cell(painter.overlay("flair", truth, "axial", z), TRUTH_TITLE))
