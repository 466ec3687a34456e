"""Methods side by side on axial slices of one case (Havaei et al. 2017, figure 7)."""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure

from scripted_models.bundle.weights import Model
from scripted_models.errors import InputError
from scripted_models.inference import iterate_slices
from scripted_models.reporting.figures.panel_grid import TRUTH_TITLE, Cell, Painter, Row, draw_rows
from scripted_models.reporting.figures.shown_case import ShownCase, SlicePredictor, tumor_mask
from scripted_models.sequences import TITLES

SHOWN = ("t1c", "flair")


def draw_methods(
    models: Sequence[Model],
    case: ShownCase,
    count: int,
    on_step: Callable[[float], None] = lambda fraction: None,
) -> Figure:
    """Draw images, the segmentation of every model, and the ground truth on axial slices.

    Args:
        models: of one training space, their networks on the device to use.
        case: read in that space.
        count: number of slices through the tumor.
        on_step: called with the fraction done.

    Raises:
        InputError: models of different training spaces.
    """
    for model in models[1:]:
        if model.space != models[0].space:
            raise InputError(
                path=model.folder,
                found=f"another training space than that of {models[0].folder}",
                expected="one space for one figure",
                action="draw them apart",
            )
    predictors = _predictors(models, case)
    tumor = tumor_mask(case, lambda z: predictors[0].labels(models[0].slice_network, z))
    painter = Painter(case, tumor)
    slices = list(iterate_slices(tumor if tumor.any() else case.brain, count))[::-1]
    rows = []
    for done, z in enumerate(slices):
        rows.append(_row(models, predictors, painter, z))
        on_step((done + 1) / len(slices))
    return draw_rows(rows, f"Methods side by side: {case.name}", slice_note(case))


def slice_note(case: ShownCase) -> str:
    """Say what the captions are, where the ground truth is known, and what is not done."""
    dice = "" if case.truth is None else "Dice of the whole tumor (WT) on the slice. "
    return f"{dice}Small components are not removed."


def _predictors(models: Sequence[Model], case: ShownCase) -> list[SlicePredictor]:
    """Return a predictor for each model; models that differ in their network alone share theirs."""
    made: dict[tuple[object, ...], SlicePredictor] = {}
    predictors = []
    for model in models:
        decision = tuple(sorted(model.decision.items()))
        key = (model.description.preprocessing, model.known_labels, decision)
        if key not in made:
            made[key] = SlicePredictor(model, case)
        predictors.append(made[key])
    return predictors


def _row(
    models: Sequence[Model], predictors: Sequence[SlicePredictor], painter: Painter, z: int
) -> Row:
    row = Row(f"slice {z + 1}")
    row.cells = [Cell(painter.gray(m, "axial", z), TITLES[m]) for m in SHOWN]
    for model, predictor in zip(models, predictors, strict=True):
        labels = predictor.labels(model.slice_network, z)
        row.cells.append(painter.slice_cell(labels, z, model.name))
    if painter.case.truth is not None:
        row.cells.append(
            Cell(painter.overlay("flair", painter.case.truth, "axial", z), TRUTH_TITLE)
        )
    return row
