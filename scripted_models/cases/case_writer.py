"""Corrected cases as training cases: the volumes, the labels and where they come from.

A folder of cases is read like any other: `case001/case001_t1.nii.gz` and so on, and the labels as
`case001_seg5.nii.gz`, a name that states the labels 0 to 4. What the model gave at first lies
beside them as `segmentation.nii.gz`, which is what `evaluate --predictions` looks for. Nothing
tells whose case it is: the name is a running number, and the files are made from arrays and grids,
so that no header of the volumes comes along.
"""

import json
import os
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models import __version__
from scripted_models.cases.label_maps import read_labels
from scripted_models.cases.label_statements import PREDICTION_STEM, PROVENANCE
from scripted_models.errors import InputError, ResourceError
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.checks import MAX_BRAIN_ML, STOP, Examined, voxel_findings
from scripted_models.images.training_space import resample
from scripted_models.images.volume_files import read_volume, write_labels, write_volume
from scripted_models.images.voxel_facts import look_at
from scripted_models.labels import CODINGS, NUM_CLASSES
from scripted_models.runtime.atomic_files import BEGUN, only_writer
from scripted_models.runtime.structured_text import read_json
from scripted_models.sequences import SEQUENCES

_CASE = re.compile(r"case(\d{3,})(?:_visit(\d+))?")
_LOST_SHARE = 0.1  # of a tumor, when its labels come onto the grid of the volumes
_LEAST_LOST_ML = 0.5

Volume = Path | tuple[np.ndarray, Grid]  # a file, or (z, y, x) and where it lies


@dataclass(frozen=True)
class Origin:
    """What made the first result.

    Attributes:
        model: name of the model; empty where there was none.
        weights_sha256: checksum of its weights.
    """

    model: str = ""
    weights_sha256: str = ""


@dataclass(frozen=True)
class StoredCase:
    """A case that was written.

    Attributes:
        name: of the case.
        folder: of its files.
        changed: voxels that the reader has changed; None without a first result.
        notes: sentences that the user should know.
    """

    name: str
    folder: Path
    changed: int | None
    notes: tuple[str, ...] = ()


def store_case(
    folder: Path,
    volumes: Mapping[str, Volume],
    labels: Volume,
    first_result: Volume | None = None,
    origin: Origin = Origin(),
    same_patient_as: str = "",
) -> StoredCase:
    """Store a corrected segmentation as a training case, whole or not at all.

    Args:
        folder: of the user's cases, made when absent; nothing in it is replaced.
        volumes: sequence -> prepared volume: the brain alone, on one grid, background 0.
        labels: the corrected ones; an array holds internal labels, a file says what it holds. On
            another grid, such as the native one, they are brought onto that of the volumes.
        first_result: what the model gave, likewise.
        origin: what made it.
        same_patient_as: a stored case of the same patient; the new one is named as a visit of it,
            so that no split divides them.

    Raises:
        InputError: volumes that are not prepared, differ in their grids or are stored already,
            labels that are none of 0 to 4 or lie elsewhere, an unknown `same_patient_as`.
        ResourceError: the folder cannot be written.
    """
    images = {m: plain_image(volumes[m]) for m in SEQUENCES if m in volumes}
    _check_volumes(images, set(volumes) - set(SEQUENCES))
    grid = Grid.of(next(iter(images.values())))
    corrected, moved = _labels_on(grid, labels, "the corrected labels")
    first = None if first_result is None else _labels_on(grid, first_result, "the first result")[0]
    changed = None if first is None else int(np.count_nonzero(first != corrected))
    digests = {m: look_at(sitk.GetArrayViewFromImage(image)).digest for m, image in images.items()}
    with only_writer(folder):
        _refuse_stored(folder, digests)
        name = _free_name(folder, same_patient_as)
        facts = {
            "case": name,
            "sequences": list(images),
            "coding": "internal",
            "labels_resampled": moved,
            "model": {"name": origin.model, "weights_sha256": origin.weights_sha256},
            "changed_by_reader": None if changed is None else changed > 0,
            "changed_voxels": changed,
            "volumes": digests,
            "date": time.strftime("%Y-%m-%d"),
            "version": __version__,
        }
        target = _write(folder, name, images, (corrected, first), facts)
    return StoredCase(name, target, changed, _notes(name, corrected, changed, tuple(images)))


def stored_by(folder: Path) -> Origin | None:
    """Return what gave the labels of a case that nobody has corrected; None for all other cases.

    Args:
        folder: of the case.
    """
    try:
        stated = read_json(folder / PROVENANCE)
        if stated["changed_by_reader"] is False:
            return Origin(str(stated["model"]["name"]), str(stated["model"]["weights_sha256"]))
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a case from elsewhere
    return None


def plain_image(volume: Volume) -> sitk.Image:
    """Return a volume as int16 or float32 with its place and nothing else."""
    if isinstance(volume, tuple):
        array, grid = volume
    else:
        read = read_volume(volume)
        array, grid = sitk.GetArrayFromImage(read), Grid.of(read)
    if array.shape != grid.shape_zyx:
        raise InputError(
            found=f"an array of {array.shape} voxels",
            expected=f"{grid.shape_zyx}, as its grid says",
            action="give the array in the order z, y, x",
        )
    whole = array.dtype.kind in "iub" and array.size and abs(array).max() < 2**15
    return grid.image_from(array.astype(np.int16 if whole else np.float32))


def _check_volumes(images: Mapping[str, sitk.Image], unknown: set[str]) -> None:
    """Refuse volumes that no training takes, or that show more than a brain."""
    if unknown or not images:
        raise InputError(
            found=f"the volumes {', '.join(sorted(unknown))}" if unknown else "no volume",
            expected=f"some of {', '.join(SEQUENCES)}",
            action="name the volumes by sequence",
        )
    grid = Grid.of(next(iter(images.values())))
    examined = {}
    for sequence, image in images.items():
        if difference := grid.difference(Grid.of(image), HARMLESS_MM):
            raise InputError(
                found=f"{sequence} on another grid ({difference})",
                expected="volumes on one grid",
                action="store the prepared volumes",
            )
        grid.put_on(image)
        examined[sequence] = Examined(sequence, look_at(sitk.GetArrayViewFromImage(image)), grid)
    for finding in voxel_findings(examined):
        if finding.severity == STOP:
            raise InputError.of(finding)
    for sequence, volume in examined.items():
        ml = volume.facts.foreground * grid.voxel_volume_ml
        if volume.facts.background != 0 or ml > MAX_BRAIN_ML:
            raise InputError(
                found=f"{sequence} with more than a brain ({ml:.0f} mL differ from its background "
                f"of {volume.facts.background:g})",
                expected="prepared volumes, whose background is 0 and which show no face",
                action="store the prepared volumes",
            )


def _labels_on(grid: Grid, volume: Volume, title: str) -> tuple[np.ndarray, bool]:
    """Return internal labels, uint8 (z, y, x), on a grid, and whether they were resampled.

    Raises:
        InputError: other labels, or a tumor that lies beyond the grid.
    """
    if isinstance(volume, tuple):
        labels, own = volume
        if labels.size and not (labels == np.clip(labels, 0, NUM_CLASSES - 1).astype(int)).all():
            raise InputError(
                found=f"values from {labels.min():g} to {labels.max():g} in {title}",
                expected="the labels 0 to 4",
                action="give internal labels",
            )
        labels = labels.astype(np.uint8)
    else:
        read = read_labels(volume, None, lambda: CODINGS["internal"])
        labels, own = read.labels, read.grid
    if grid.matches(own, HARMLESS_MM):
        return labels, False
    image = resample(own.image_from(labels), grid, sitk.sitkNearestNeighbor)
    moved = sitk.GetArrayFromImage(image)
    ml = [np.count_nonzero(a) * g.voxel_volume_ml for a, g in ((labels, own), (moved, grid))]
    if abs(ml[0] - ml[1]) > max(_LEAST_LOST_ML, _LOST_SHARE * ml[0]):
        raise InputError(
            found=f"{ml[1]:.1f} of the {ml[0]:.1f} mL of {title} where the volumes are",
            expected="labels and volumes of one place",
            action="store the labels with the volumes that they were drawn on",
        )
    return moved, True


def _free_name(folder: Path, same_patient_as: str) -> str:
    """Return the next name: another number, or another visit of a stored patient."""
    taken = [m for p in folder.iterdir() if (m := _CASE.fullmatch(p.name.lower()))]
    if not same_patient_as:
        return f"case{max((int(m[1]) for m in taken), default=0) + 1:03d}"
    first = _CASE.fullmatch(same_patient_as)
    visits = [int(m[2] or 1) for m in taken if first and int(m[1]) == int(first[1])]
    if first is None or not visits:
        raise InputError(
            found=f"no case '{same_patient_as[:80]}'",
            expected="a stored case of the same patient, such as case001",
            action="name one, or none",
            path=folder,
        )
    return f"case{first[1]}_visit{max(visits) + 1}"


def _refuse_stored(folder: Path, digests: Mapping[str, str]) -> None:
    """Refuse volumes that a case of the folder holds: a split could divide the two."""
    for path in sorted(folder.glob(f"*/{PROVENANCE}")):
        try:
            stored = read_json(path).get("volumes", {})
        except (OSError, ValueError, AttributeError):
            continue  # of no case of ours
        if isinstance(stored, dict) and set(digests.values()) & set(map(str, stored.values())):
            raise InputError(
                found=f"the same volumes in {path.parent.name}",
                expected="a case that is not stored yet",
                action=f"to store another correction of it, remove {path.parent.name} first",
                path=folder,
            )


def _write(
    folder: Path,
    name: str,
    images: Mapping[str, sitk.Image],
    labels: tuple[np.ndarray, np.ndarray | None],
    facts: Mapping[str, object],
) -> Path:
    """Write a case beside its place, then put it there as a whole."""
    target, (corrected, first) = folder / name, labels
    grid = Grid.of(next(iter(images.values())))
    try:
        with tempfile.TemporaryDirectory(prefix=BEGUN, dir=folder) as scratch:
            written = Path(scratch) / name
            written.mkdir()
            for sequence, image in images.items():
                write_volume(written / f"{name}_{sequence}.nii.gz", image)
            write_labels(written / f"{name}_seg5.nii.gz", corrected, grid)
            if first is not None:
                write_labels(written / f"{PREDICTION_STEM}.nii.gz", first, grid)
            text = json.dumps(facts, indent=2) + "\n"
            (written / PROVENANCE).write_text(text, encoding="utf-8")
            os.rename(written, target)
    except ResourceError as error:  # about a file that is gone by now
        raise error.at(target) from error
    except OSError as error:
        raise ResourceError(
            found=f"no way to write the case ({error.strerror})",
            action="check that the folder is writable and has space left",
            path=target,
        ) from error
    return target


def _notes(
    name: str, labels: np.ndarray, changed: int | None, sequences: tuple[str, ...]
) -> tuple[str, ...]:
    notes = []
    if not labels.any():
        notes.append(f"{name} has no tumor: it teaches the model to find none there.")
    if changed == 0:
        notes.append(f"{name} was stored as the model gave it: nothing was corrected.")
    if missing := [m for m in SEQUENCES if m not in sequences]:
        notes.append(f"{name} lacks {', '.join(missing)}: training needs all four sequences.")
    return tuple(notes)
