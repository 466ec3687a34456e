"""A segmented case as DICOM: which series its result lies on, and what is written of it."""

from pathlib import Path

from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.errors import InputError
from scripted_models.geometry import HARMLESS_MM
from scripted_models.images.dicom_series import DicomSeries
from scripted_models.preparation.needs import REFERENCES
from scripted_models.segmentation.dicom_export.algorithm import Algorithm
from scripted_models.segmentation.dicom_export.exported_files import check_series, write_objects
from scripted_models.segmentation.raw_cases import PreparationOptions
from scripted_models.segmentation.result import Segmentation
from scripted_models.sequences import SEQUENCES

_WITHOUT = "leave out --dicom-seg"


def refuse_without_series(case: Case, preparation: PreparationOptions, model: Model) -> None:
    """Raise InputError where the result of a case cannot be a DICOM object; before the work."""
    series = series_of_result(case, preparation)
    check_series(series, model.known_labels, algorithm_of(model))


def series_of_result(case: Case, preparation: PreparationOptions) -> DicomSeries:
    """Return the series on whose grid the result of a case will lie.

    Raises:
        InputError: it will lie on no series.
    """
    if preparation.result_grid == "working":
        raise InputError(
            found="--dicom-seg with --result-grid working",
            expected="the grid of a series, to which a DICOM SEG can refer",
            action="leave one of both out",
        )
    asked = (preparation.result_grid, preparation.reference)
    named = [m for m in asked if m in SEQUENCES]
    wanted = [*named, *(m for m in REFERENCES if m in case.images), REFERENCES[0]][0]
    source = case.images.get(wanted)
    if source is None or source.series is None:
        raise InputError(
            path=f"Case {case.name}",
            found=f"no {wanted}" if source is None else f"{source.path.name} as {wanted}",
            expected=f"a DICOM series as {wanted}, to which a DICOM SEG can refer",
            action=f"{_WITHOUT}, or give DICOM files",
        )
    return source.series


def write_dicom(
    folder: Path,
    case: Case,
    segmentation: Segmentation,
    preparation: PreparationOptions,
    model: Model,
) -> None:
    """Write SEG and SR of a segmented case into a folder.

    Raises:
        InputError: its result lies on no series.
    """
    series = series_of_result(case, preparation)
    if difference := series.grid.difference(segmentation.grid, HARMLESS_MM):
        raise InputError(
            path=f"Case {case.name}",
            found=f"a result on another grid than {series.title} ({difference})",
            expected="the grid of a series",
            action=_WITHOUT,
        )
    write_objects(
        folder,
        segmentation.labels,
        segmentation.known_labels,
        {size.name: size.volume_ml for size in segmentation.sizes},
        segmentation.lesions.items,
        series,
        algorithm_of(model),
    )


def algorithm_of(model: Model) -> Algorithm:
    """Return a model as DICOM identifies it."""
    return Algorithm(model.name, model.description.version, model.checksum, model.method_checksum)
