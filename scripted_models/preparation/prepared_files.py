"""What a preparation leaves on disk: volumes, brain mask, transforms, a picture, its facts."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import permutations
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.images.volume_files import write_labels, write_volume
from scripted_models.pictures.check_pictures import render_alignment
from scripted_models.pictures.render import write_png
from scripted_models.preparation.brain_extraction import volume_ml
from scripted_models.preparation.doubts import PICTURE
from scripted_models.preparation.image_preparation import Prepared
from scripted_models.preparation.working_grids import moved_onto
from scripted_models.sequences import SEQUENCES

BRAIN_MASK, FACTS = "brain_mask.nii.gz", "preparation.json"


def write_prepared(folder: Path, prepared: Prepared, facts: Mapping[str, object]) -> None:
    """Write registered, stripped volumes, brain mask, transforms and a picture into a folder.

    The transforms are ITK's: they map points of the reference to points of a sequence, LPS mm.

    Args:
        folder: empty one.
        prepared: what is written.
        facts: JSON values about the inputs, which stand in `FACTS` before those of the preparation.

    Raises:
        ResourceError: the folder cannot be written.
    """
    for sequence in prepared.native:
        write_volume(folder / f"{sequence}.nii.gz", prepared.image_of(sequence))
    brain = sitk.GetArrayFromImage(prepared.brain)
    write_labels(folder / BRAIN_MASK, brain, prepared.working)
    for sequence in prepared.registrations:
        transform = prepared.transform_of(sequence) or sitk.Euler3DTransform()
        path = folder / transform_name(sequence, prepared.reference)
        sitk.WriteTransform(transform, str(path))
    write_png(folder / PICTURE, picture_of(prepared))
    text = json.dumps({**facts, **facts_of(prepared)}, indent=2) + "\n"
    (folder / FACTS).write_text(text, encoding="utf-8")


def transform_name(sequence: str, reference: str) -> str:
    """Return the name of the file with the transform of a sequence."""
    return f"{sequence}_to_{reference}.tfm"


def prepared_names() -> list[str]:
    """Return the names of all files that a preparation may leave."""
    volumes = [f"{sequence}.nii.gz" for sequence in SEQUENCES]
    transforms = [transform_name(*pair) for pair in permutations(SEQUENCES, 2)]
    return [*volumes, *transforms, BRAIN_MASK, FACTS, PICTURE]


def picture_of(prepared: Prepared) -> np.ndarray:
    """Return the picture to check registrations and brain mask, uint8 RGB (h, w, 3)."""
    grid = prepared.working
    moved = {
        m: moved_onto(image, grid, prepared.transform_of(m))[0]
        for m, image in prepared.native.items()
    }
    turned = {m: sitk.DICOMOrient(image, "LPS") for m, image in moved.items()}
    brain = sitk.DICOMOrient(prepared.brain, "LPS")
    return render_alignment(
        {m: sitk.GetArrayFromImage(image) for m, image in turned.items()},
        prepared.reference,
        sitk.GetArrayFromImage(brain) > 0,
        brain.GetSpacing(),
    )


def facts_of(prepared: Prepared) -> dict[str, object]:
    """Return what is known of a preparation, as values for JSON."""
    return {
        "reference": prepared.reference,
        "brain_extraction": prepared.extraction,
        "brain_ml": round(volume_ml(prepared.brain), 1),
        "brain_ml_of": {m: round(volume_ml(b), 1) for m, b in prepared.brains.items()},
        "working_grid": asdict(prepared.working),
        "registrations": {m: _registration(prepared, m) for m in prepared.registrations},
        "findings": [finding.sentence for finding in prepared.findings],
        "seconds": dict(prepared.seconds),
    }


def _registration(prepared: Prepared, sequence: str) -> Mapping[str, object]:
    found = prepared.registrations[sequence]
    overlaps = {"overlap_before": found.start_overlap, "overlap": found.overlap}
    return {
        "moved_mm": round(found.moved_mm, 2),
        "turned_degrees": round(found.degrees, 2),
        **{name: None if dice is None else round(dice, 4) for name, dice in overlaps.items()},
        "mutual_information_before": round(found.start_information, 4),
        "mutual_information": round(found.information, 4),
    }
