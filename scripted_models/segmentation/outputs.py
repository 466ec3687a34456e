"""What a segmented case leaves on disk: label map, report, picture; they appear as one folder."""

import json
import platform
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from scripted_models import __version__
from scripted_models.bundle.weights import Model
from scripted_models.cases.case import Case
from scripted_models.errors import InputError, ResourceError
from scripted_models.images.volume_files import write_labels, write_volume
from scripted_models.labels import CODINGS, LABELS, LabelCoding, encode_labels, name_in_files
from scripted_models.measurement.diameters import Necrosis
from scripted_models.measurement.lesion_table import lesion_record
from scripted_models.pictures.render import picture_input, render_overlay, write_png
from scripted_models.preparation.doubts import PICTURE
from scripted_models.preparation.image_preparation import Prepared
from scripted_models.preparation.prepared_files import FACTS, facts_of, picture_of, write_prepared
from scripted_models.runtime.atomic_files import BEGUN_RESULT, make_folder
from scripted_models.segmentation.case_inputs import CaseInputs
from scripted_models.segmentation.dicom_export.exported_files import SEG_FILE, SR_FILE
from scripted_models.segmentation.dicom_output import write_dicom
from scripted_models.segmentation.quality_estimate import uncertainty
from scripted_models.segmentation.raw_cases import AUTOMATIC, PreparationOptions, is_as_asked
from scripted_models.segmentation.result import MEMORY_WORDS, Segmentation
from scripted_models.segmentation.result_folders import (
    OVERLAY,
    PREPARED,
    REPORT,
    SEGMENTATION,
    UNCERTAINTY,
    put_results,
    report_in,
)


@dataclass(frozen=True)
class OutputOptions:
    """What is written of a case.

    Attributes:
        coding: of the label map.
        probabilities: write those of all classes and the uncertainty, too.
        uncertainty: write the uncertainty alone.
        prepared: write raw volumes as they were prepared, brain mask and transforms, too.
        dicom: write a DICOM SEG and a DICOM SR, too; of cases from DICOM.
        necrosis: whether diameters may cross it, 'excluded' or 'included'.
    """

    coding: LabelCoding = CODINGS["internal"]
    probabilities: bool = False
    uncertainty: bool = False
    prepared: bool = False
    dicom: bool = False
    necrosis: Necrosis = "excluded"

    @property
    def shows_uncertainty(self) -> bool:
        """Whether the uncertainty of each voxel is written."""
        return self.probabilities or self.uncertainty


INTERNAL = OutputOptions()  # labels as inside the program, nothing more


@dataclass(frozen=True, eq=False)
class WrittenCase:
    """A case that was segmented and written.

    Attributes:
        case: the case.
        segmentation: what was found.
        folder: of the files.
        seconds: time per stage, that of writing included.
        files: "segmentation", "report", "overlay" and perhaps "prepared" -> where it is.
    """

    case: Case
    segmentation: Segmentation
    folder: Path
    seconds: Mapping[str, float]
    files: Mapping[str, Path]


def write_outputs(
    output: Path,
    case: Case,
    segmentation: Segmentation,
    model: Model,
    options: OutputOptions,
    inputs: CaseInputs | None = None,
    preparation: PreparationOptions = AUTOMATIC,
) -> WrittenCase:
    """Write the folder of one case; a new folder appears as a whole.

    Of a former result the report is replaced first, the label map last. So no label map ever lies
    beside the report of another one, and a folder of results always tells whose they are.

    Args:
        output: folder that receives the folder of the case.
        case: names the folder.
        segmentation: of the case.
        model: that made it.
        options: what to write.
        inputs: files of the case as they were before they were read; None: as they are now.
        preparation: what was asked for, which tells the series of a DICOM SEG.

    Raises:
        InputError: an input that has changed meanwhile, no series for a DICOM SEG, or another run
            has written or is writing the same folder.
        ResourceError: the folder cannot be written.
    """
    started = time.monotonic()
    inputs = inputs or CaseInputs.of(case)
    segmentation = replace(segmentation, necrosis=options.necrosis)
    target = make_folder(output) / case.name
    try:
        with tempfile.TemporaryDirectory(prefix=BEGUN_RESULT, dir=output) as scratch:
            folder = Path(scratch) / case.name
            folder.mkdir()
            _write_volumes(folder, segmentation, options)
            pictured = picture_input(segmentation.volumes, segmentation.labels, segmentation.grid)
            write_png(folder / OVERLAY, render_overlay(*pictured))
            if segmentation.prepared is not None:
                write_png(folder / PICTURE, picture_of(segmentation.prepared))
                if options.prepared:
                    _write_prepared(folder / PREPARED, segmentation.prepared, inputs)
            if options.dicom:
                write_dicom(folder, case, segmentation, preparation, model)
            seconds = {**segmentation.seconds, "write": round(time.monotonic() - started, 3)}
            report = case_report(case, inputs, segmentation, model, options.coding, seconds)
            (folder / REPORT).write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
            put_results(folder, target, case, inputs)
    except ResourceError as error:  # about a file that is gone by now
        raise error.at(target / Path(error.path or "").name) from error
    named = {"segmentation": SEGMENTATION, "report": REPORT, "overlay": OVERLAY}
    if options.prepared and segmentation.prepared is not None:
        named["prepared"] = PREPARED
    files = {kind: target / name for kind, name in named.items()}
    return WrittenCase(case, segmentation, target, seconds, files)


def is_written(
    output: Path,
    case: Case,
    model: Model,
    options: OutputOptions,
    inputs: CaseInputs,
    preparation: PreparationOptions = AUTOMATIC,
) -> bool:
    """Tell whether this model has segmented these inputs before, and written what is wanted.

    The content of the inputs decides, not their place or date. Edited results count as results.
    Reports without a word about preparation count as `AUTOMATIC`, those without lesions as measured
    in the usual way.
    """
    folder = Path(output) / case.name
    wanted = [SEGMENTATION, *([UNCERTAINTY] if options.shows_uncertainty else [])]
    wanted += [SEG_FILE, SR_FILE] if options.dicom else []
    report = report_in(folder)
    if report is None:
        return False
    if options.prepared and "preparation" in report:
        wanted.append(f"{PREPARED}/{FACTS}")
    if not all((folder / name).is_file() for name in wanted):
        return False
    return is_of(report, model, options, inputs, preparation)


def is_of(
    report: Mapping[str, object],
    model: Model,
    options: OutputOptions,
    inputs: CaseInputs,
    preparation: PreparationOptions,
) -> bool:
    """Tell whether a report is of these inputs, segmented by this model as it is wanted."""
    stated = report.get("model")
    if not isinstance(stated, dict) or not _identity(model).items() <= stated.items():
        return False
    if report.get("coding") != options.coding.name:
        return False
    if not is_as_asked(preparation, report.get("prepare")):
        return False
    lesions = report.get("lesions")
    measured = lesions.get("necrosis") if isinstance(lesions, dict) else INTERNAL.necrosis
    if measured != options.necrosis:
        return False
    try:
        return report.get("inputs_sha256") == inputs.contents
    except InputError:  # reading it will say why
        return False


def measurement_table(segmentation: Segmentation) -> dict[str, dict[str, object]]:
    """Return voxels and mL by label and region, with the diameters of the enhancing region."""
    ml = segmentation.volumes_ml
    table: dict[str, dict[str, object]] = {
        size.name: {"voxels": size.voxels, "volume_ml": ml[size.name]}
        for size in segmentation.sizes
    }
    if segmentation.diameters is not None:
        table["ET"].update(asdict(segmentation.diameters))
    return table


def _write_volumes(folder: Path, segmentation: Segmentation, options: OutputOptions) -> None:
    grid = segmentation.grid
    write_labels(folder / SEGMENTATION, encode_labels(segmentation.labels, options.coding), grid)
    if options.shows_uncertainty:
        doubt = uncertainty(segmentation.probabilities)
        write_volume(folder / UNCERTAINTY, grid.image_from(doubt))
    if not options.probabilities:
        return
    for label, values in zip(segmentation.known_labels, segmentation.probabilities, strict=True):
        write_volume(folder / f"probability_{name_in_files(label)}.nii.gz", grid.image_from(values))


def _write_prepared(folder: Path, prepared: Prepared, inputs: CaseInputs) -> None:
    folder.mkdir()
    facts = {"inputs": inputs.paths, "inputs_sha256": inputs.contents}
    write_prepared(folder, prepared, facts)


def case_report(
    case: Case,
    inputs: CaseInputs,
    segmentation: Segmentation,
    model: Model,
    coding: LabelCoding,
    seconds: Mapping[str, float],
) -> dict[str, object]:
    """Return the report of a case, as values for JSON."""
    promised = segmentation.estimated_dice
    return {
        "case": case.name,
        **({"date": case.date} if case.date else {}),
        "inputs": inputs.paths,
        "inputs_sha256": inputs.contents,
        "missing": list(case.missing),
        **inputs.origin,
        "model": _identity(model) | _origin(model),
        "labels": label_table(coding, segmentation.known_labels),
        "known_labels": list(segmentation.known_labels),
        "coding": coding.name,
        "volumes_ml": segmentation.volumes_ml,
        "measurements": measurement_table(segmentation),
        "lesions": lesion_record(segmentation.lesions),
        "estimated_dice": {region: round(dice, 4) for region, dice in promised.items()},
        "doubtful_slices": [index + 1 for index in segmentation.doubtful_slices],
        "grid": asdict(segmentation.grid),
        "prepare": segmentation.asked,
        **_preparation(segmentation),
        "device": segmentation.placement.reason,
        "form": segmentation.form,
        "memory_steps": [MEMORY_WORDS[rung] for rung in segmentation.memory_steps],
        "seconds": seconds,
        "warnings": segmentation.warnings,
        "versions": {
            "scripted_models": __version__,
            "torch": str(torch.__version__),
            "python": platform.python_version(),
        },
    }


def _preparation(segmentation: Segmentation) -> dict[str, object]:
    """Return how raw volumes were prepared, and the volumes on the grid of the network."""
    if segmentation.prepared is None:
        return {}
    volumes = {m: round(ml, 4) for m, ml in segmentation.working_volumes_ml.items()}
    facts = facts_of(segmentation.prepared)
    return {"preparation": {**facts, "volumes_ml_on_working_grid": volumes}}


def _identity(model: Model) -> dict[str, str]:
    """Return what tells a model from others, as reports of all versions have it."""
    return {
        "name": model.name,
        "weights_sha256": model.checksum,
        "method_sha256": model.method_checksum,
    }


def _origin(model: Model) -> dict[str, str]:
    """Return what a model is for, as far as it says so, and of a foreign one its own file."""
    origin, stage = model.description.origin, model.description.made_for
    return {
        **({"made_for": stage} if stage else {}),
        **({"imported_from": origin.format, "imported_sha256": origin.sha256} if origin else {}),
    }


def label_table(coding: LabelCoding, known: tuple[int, ...]) -> dict[str, str]:
    """Return what each value of a label map stands for."""
    table: dict[str, str] = {}
    for label in known:
        name, value = LABELS[label], str(coding.from_internal[label])
        table[value] = f"{table[value]} and {name}" if value in table else name
    return table
