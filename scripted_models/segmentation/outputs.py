"""What `segment` writes for a case: label map, report, picture, appearing together as one folder."""

import json
import platform
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from scripted_models import __version__
from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.errors import ResourceError
from scripted_models.images.volume_files import write_labels, write_volume
from scripted_models.labels import LABELS, LabelCoding, encode_labels, region_mask
from scripted_models.pictures.render import render_overlay, write_png
from scripted_models.runtime.atomic_files import BEGUN, make_folder, put_in_place
from scripted_models.segmentation.quality_estimate import uncertainty
from scripted_models.segmentation.segmenter import Segmented
from scripted_models.segmentation.tumor_size import axial_diameters, measure

SEGMENTATION, REPORT, OVERLAY = "segmentation.nii.gz", "report.json", "overlay.png"
UNCERTAINTY = "uncertainty.nii.gz"


def write_outputs(
    output: Path,
    case: Case,
    result: Segmented,
    model: Model,
    device_reason: str,
    coding: LabelCoding,
    probabilities: bool = False,
) -> dict:
    """Write the folder of one case: label map, report, picture; a new folder appears as a whole.

    Returns:
        The report, as written to report.json.
    """
    started = time.monotonic()
    target = make_folder(output) / case.name
    try:
        with tempfile.TemporaryDirectory(prefix=BEGUN, dir=output) as scratch:
            folder = Path(scratch) / case.name
            folder.mkdir()
            write_labels(folder / SEGMENTATION, encode_labels(result.labels, coding), result.grid)
            if probabilities:
                for label, values in zip(result.known_labels, result.probabilities, strict=True):
                    image = result.grid.image_from(values)
                    write_volume(folder / f"probability_{LABELS[label]}.nii.gz", image)
                doubt = result.grid.image_from(uncertainty(result.probabilities))
                write_volume(folder / UNCERTAINTY, doubt)
            picture = render_overlay(*picture_input(result))
            write_png(folder / OVERLAY, picture)
            result.seconds["write"] = round(time.monotonic() - started, 3)
            report = _report(case, result, model, device_reason, coding)
            (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
            if target.exists():
                stale = [*target.glob("probability_*.nii.gz"), *target.glob(UNCERTAINTY)]
                put_in_place(folder, target, stale)
            else:
                folder.rename(target)
    except ResourceError as error:  # about a file that is gone by now
        raise ResourceError(str(error).replace(scratch, str(output))) from error
    return report


def is_written(
    output: Path, case: Case, model: Model, coding: LabelCoding, probabilities: bool
) -> bool:
    """Tell whether this model has segmented these inputs before; edited results count as results."""
    folder = Path(output) / case.name
    wanted = [folder / SEGMENTATION, *([folder / UNCERTAINTY] if probabilities else [])]
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        written_at = (folder / REPORT).stat().st_mtime
        is_newer = any(s.path.stat().st_mtime > written_at for s in case.images.values())
    except (OSError, ValueError):
        return False
    expected = {"inputs": _inputs(case), "model": _identity(model), "coding": coding.name}
    same = isinstance(report, dict) and expected.items() <= report.items()
    return same and not is_newer and all(path.is_file() for path in wanted)


def picture_input(result: Segmented, truth: np.ndarray | None = None) -> tuple:
    """Return volumes, labels, spacing and truth in LPS orientation, as `render_overlay` takes them."""

    def lps(array: np.ndarray) -> np.ndarray:
        return sitk.GetArrayFromImage(sitk.DICOMOrient(result.grid.image_from(array), "LPS"))

    blank = sitk.DICOMOrient(result.grid.image_from(result.labels), "LPS")
    volumes = {name: lps(volume) for name, volume in result.volumes.items()}
    return volumes, lps(result.labels), blank.GetSpacing(), None if truth is None else lps(truth)


def _label_table(coding: LabelCoding, known: tuple[int, ...]) -> dict[str, str]:
    table: dict[str, str] = {}
    for label in known:
        name, value = LABELS[label], coding.from_internal[label]
        table[str(value)] = f"{table[str(value)]} and {name}" if str(value) in table else name
    return table


def _measurements(result: Segmented) -> dict[str, dict]:
    """Voxels and mL by label and region, with the diameters of the enhancing region."""
    sizes = measure(result.labels, result.grid, result.known_labels)
    table: dict[str, dict] = {
        size.name: {"voxels": size.voxels, "volume_ml": round(size.volume_ml, 4)} for size in sizes
    }
    diameters = axial_diameters(region_mask(result.labels, "ET"), result.grid)
    if diameters is not None:
        table["ET"].update(asdict(diameters))
    return table


def _inputs(case: Case) -> dict[str, str]:
    return {m: str(source.path) for m, source in case.images.items()}


def _identity(model: Model) -> dict[str, str]:
    return {
        "name": model.name,
        "weights_sha256": model.checksum,
        "method_sha256": model.method_checksum,
    }


def _report(
    case: Case, result: Segmented, model: Model, device_reason: str, coding: LabelCoding
) -> dict:
    return {
        "case": case.name,
        "inputs": _inputs(case),
        "missing": list(case.missing),
        "model": _identity(model),
        "labels": _label_table(coding, result.known_labels),
        "known_labels": list(result.known_labels),
        "coding": coding.name,
        "volumes_ml": result.volumes_ml(),
        "measurements": _measurements(result),
        "estimated_dice": {k: round(v, 4) for k, v in result.estimated_dice.items()},
        "doubtful_slices": [index + 1 for index in result.doubtful_slices],
        "grid": {
            "size_xyz": result.grid.size_xyz,
            "spacing_xyz_mm": result.grid.spacing_xyz_mm,
            "origin_lps_mm": result.grid.origin_lps_mm,
            "direction": result.grid.direction,
        },
        "device": device_reason,
        "form": result.form,
        "memory_steps": result.memory_steps,
        "seconds": result.seconds,
        "warnings": result.warnings,
        "versions": {
            "scripted_models": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }
