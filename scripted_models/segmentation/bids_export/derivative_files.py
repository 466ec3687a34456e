"""The files of one case of a derivative, written into a folder that is moved to its place later."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.images.volume_files import write_labels, write_volume
from scripted_models.labels import encode_labels
from scripted_models.pictures.render import picture_input, render_overlay, write_png
from scripted_models.preparation.prepared_files import picture_of
from scripted_models.segmentation.bids_export.contents import (
    ABBREVIATIONS,
    LABEL_COLUMNS,
    Sidecar,
    label_rows,
    table_text,
)
from scripted_models.segmentation.bids_export.lesion_columns import LESION_COLUMNS, numbered_rows
from scripted_models.segmentation.bids_export.names import LESIONS, TUMOR
from scripted_models.segmentation.outputs import OutputOptions
from scripted_models.segmentation.result import Segmentation

REPORT = "Report"  # key of the sidecar of the label map


def write_tumor(
    folder: Path, sidecar: Sidecar, segmentation: Segmentation, options: OutputOptions
) -> None:
    """Write the label map with its table, and the probabilities where they are wanted."""
    grid, name = segmentation.grid, sidecar.names.file
    labels = encode_labels(segmentation.labels, options.coding)
    write_labels(folder / name(TUMOR, "dseg.nii.gz"), labels, grid)
    rows = label_rows(segmentation, options.coding)
    _write(folder / name(TUMOR, "dseg.tsv"), table_text(LABEL_COLUMNS, rows))
    if options.probabilities:
        volumes = [grid.image_from(values) for values in segmentation.probabilities]
        write_volume(folder / name(TUMOR, "probseg.nii.gz"), sitk.JoinSeries(volumes))
        order = [ABBREVIATIONS[label] for label in segmentation.known_labels]
        text = sidecar.text("Probability of each label, one after the other", LabelMap=order)
        _write(folder / name(TUMOR, "probseg.json"), text)


def write_lesions(folder: Path, sidecar: Sidecar, segmentation: Segmentation) -> None:
    """Write the lesions as a label map of their numbers, with a table of their sizes."""
    name, found = sidecar.names.file, segmentation.lesions
    numbers = segmentation.grid.image_from(found.numbers.astype(np.uint16))
    write_volume(folder / name(LESIONS, "dseg.nii.gz"), numbers)
    table = table_text(LESION_COLUMNS, numbered_rows(found))
    _write(folder / name(LESIONS, "dseg.tsv"), table)
    words = (
        "Connected lesions, numbered by volume; smaller parts that are left out: {left_out}; "
        "necrosis is {necrosis} where diameters are measured"
    )
    told = words.format(left_out=found.left_out, necrosis=found.necrosis)
    _write(folder / name(LESIONS, "dseg.json"), sidecar.text(told, **LESION_COLUMNS))


def write_pictures(folder: Path, sidecar: Sidecar, segmentation: Segmentation) -> None:
    """Write the picture of the result and, of raw volumes, that of their preparation."""
    pictured = picture_input(segmentation.volumes, segmentation.labels, segmentation.grid)
    write_png(folder / sidecar.names.file(TUMOR, "overlay.png"), render_overlay(*pictured))
    if segmentation.prepared is not None:
        name = sidecar.names.file(TUMOR, "preparation.png")
        write_png(folder / name, picture_of(segmentation.prepared))


def write_report(folder: Path, sidecar: Sidecar, report: Mapping[str, object]) -> None:
    """Write the sidecar of the label map, which also says what its table means."""
    words = "Tumor labels of the model '{name}' (SHA-256 of its weights: {weights_sha256})"
    model = report["model"]
    told = words.format_map(model) if isinstance(model, dict) else ""
    text = sidecar.text(told, **LABEL_COLUMNS, **{REPORT: dict(report)})
    _write(folder / sidecar.names.report, text)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
