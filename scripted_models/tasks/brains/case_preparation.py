"""From cases and phantoms to what trains and validates: read, resampled, preprocessed."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.case import Case
from scripted_models.cases.phantom import phantom_case
from scripted_models.errors import InputError
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.headers import volume_parts
from scripted_models.images.training_space import TrainingSpace, resample
from scripted_models.labels import CAVITY, CODINGS, LabelCoding
from scripted_models.runtime.file_identity import WatchedFiles
from scripted_models.runtime.typed_tables import as_table
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.case_split import split_cases, usable_cases
from scripted_models.tasks.brains.training_copies import VERSIONS, Copy, changed, draw_copies
from scripted_models.training.cache import digest
from scripted_models.training.experiment_config import DataConfig, Experiment
from scripted_models.training.task import CaseSource
from scripted_models.training.training_case import IGNORED, TrainingCase, make_target
from scripted_models.transforms.preprocessing import STEP_VERSIONS, build_preprocessing, preprocess

VERSION = 2  # raise it when reading, moving into the space or the target gives other values
PHANTOM_SEED = 100_000  # training phantoms never share a seed with those of `demo`
LOW_GRADE_SEED = 200_000


def space_of(data: DataConfig) -> TrainingSpace:
    """Return the space that the cases are brought into."""
    return TrainingSpace(spacing_xyz_mm=(1.0, 1.0, data.slice_spacing_mm or None))


def case_sources(
    experiment: Experiment, folder: Path, coding: LabelCoding | None
) -> tuple[list[CaseSource], list[CaseSource]]:
    """Return what makes the training cases, phantoms included, and the validation cases.

    Raises:
        InputError: no cases, or lists of cases that cannot be.
    """
    found = usable_cases(folder)
    split = split_cases(experiment.data, sorted(found))
    train, validation = (
        [_case_source(experiment, found[name], coding) for name in names]
        for names in (split.train, split.validation)
    )
    copies = [
        _case_source(experiment, found[name], coding, copy, found.get(copy.donor))
        for name, copy in draw_copies(split.train, experiment.data)
    ]
    return [*train, *copies, *_phantoms(experiment)], validation


def _phantoms(experiment: Experiment) -> list[CaseSource]:
    any_grade = range(PHANTOM_SEED, PHANTOM_SEED + experiment.data.phantoms)
    low_grade = range(LOW_GRADE_SEED, LOW_GRADE_SEED + experiment.data.low_grade_phantoms)
    return [
        *(_phantom_source(experiment, seed) for seed in any_grade),
        *(_phantom_source(experiment, seed, low_grade=True) for seed in low_grade),
    ]


def _versions(experiment: Experiment, **others: int) -> dict[str, int]:
    """Return the versions of all that has a hand in a preprocessed case."""
    steps = {str(step.step): STEP_VERSIONS[step.step] for step in experiment.preprocessing}
    return {"case": VERSION, **steps, **others}


def _case_source(
    experiment: Experiment,
    case: Case,
    coding: LabelCoding | None,
    copy: Copy | None = None,
    donor: Case | None = None,
) -> CaseSource:
    cases = [case] if donor is None else [case, donor]
    files = [path for c in cases for path in _files_of(c)]
    watched = WatchedFiles.of(files)
    contents = [watched.contents[path] for path in files]
    read_as = [
        {
            "channels": [c.images[sequence].channel for sequence in SEQUENCES],
            "coding": _identity(c.truth_coding(coding)),
        }
        for c in cases
    ]
    key = digest(
        contents,
        _versions(experiment, **(VERSIONS[copy.kind] if copy else {})),
        read_as=read_as,
        copy=asdict(copy) if copy else None,
        preprocessing=as_table(experiment.preprocessing, defaults=True),
        upper_share=experiment.data.upper_share,
        space=asdict(space_of(experiment.data)),
        name=case.name,
    )

    def make() -> TrainingCase:
        prepared = _prepare(case, experiment, coding, copy, donor)
        watched.refuse_changes()
        return prepared

    identity = [*contents, read_as, asdict(copy) if copy else None]
    return CaseSource(case.name, key, make, json.dumps(identity))


def _files_of(case: Case) -> list[Path]:
    case.require_images()
    truth = volume_parts(case.truth) if case.truth else ()
    return [*(part for m in SEQUENCES for part in case.images[m].files), *truth]


def _identity(coding: LabelCoding | None) -> str:
    """Return what tells a coding from others: its name, and its values if a data set states it."""
    if coding is None or CODINGS.get(coding.name) is coding:
        return coding.name if coding else ""
    return f"{coding.name} {sorted(coding.to_internal.items())} {coding.merged_necrosis}"


def _phantom_source(experiment: Experiment, seed: int, low_grade: bool = False) -> CaseSource:
    key = digest(
        [],
        _versions(experiment, phantom=phantom_case.VERSION),
        phantom=seed,
        preprocessing=as_table(experiment.preprocessing, defaults=True),
        upper_share=experiment.data.upper_share,
        low_grade=low_grade,
        merged=experiment.data.phantoms_merged,
    )
    name = f"phantom_{seed}"
    return CaseSource(name, key, lambda: _prepare_phantom(name, seed, experiment, low_grade), name)


def _prepare(
    case: Case,
    experiment: Experiment,
    coding: LabelCoding | None,
    copy: Copy | None,
    donor: Case | None,
) -> TrainingCase:
    read = _read(case, experiment, coding)
    image, labels, merged = read.image, read.labels, read.merged
    if copy is not None:
        other = None if donor is None else _read(donor, experiment, coding)
        pair = None if other is None else (other.image, other.labels)
        image, labels = changed(copy, image, labels, pair)
        merged = merged or (other is not None and other.merged)
    return _training_case(case.name, image, labels, experiment, merged, read.spacing_zyx_mm)


@dataclass(frozen=True, eq=False)
class _Read:
    """A case in the training space: (4, z, y, x), internal labels, and how they are coded."""

    image: np.ndarray
    labels: np.ndarray
    merged: bool
    spacing_zyx_mm: tuple[float, float, float]


def _read(case: Case, experiment: Experiment, coding: LabelCoding | None) -> _Read:
    truth = case.read_truth_map(coding)
    label_grid = truth.grid
    images = {sequence: case.images[sequence].read() for sequence in SEQUENCES}
    for sequence, volume in images.items():
        if difference := Grid.of(volume).difference(label_grid, HARMLESS_MM):
            raise InputError(
                found=f"{sequence} and the label map of case {case.name} on different grids "
                f"({difference})",
                expected="one grid",
                action="resample them onto one",
            )
        label_grid.put_on(volume)
    space = space_of(experiment.data)
    moved = [space.to_training(images[sequence]) for sequence in SEQUENCES]
    known = np.where(truth.labels == CAVITY, np.uint8(0), truth.labels)  # networks here know none
    label_image = sitk.DICOMOrient(label_grid.image_from(known), space.orientation)
    if space.resamples(label_grid):
        label_image = resample(label_image, Grid.of(moved[0]), sitk.sitkNearestNeighbor)
    return _Read(
        image=np.stack([sitk.GetArrayFromImage(volume) for volume in moved]),
        labels=sitk.GetArrayFromImage(label_image),
        merged=truth.coding.merged_necrosis,
        spacing_zyx_mm=Grid.of(moved[0]).spacing_xyz_mm[::-1],
    )


def _prepare_phantom(name: str, seed: int, experiment: Experiment, low_grade: bool) -> TrainingCase:
    phantom = phantom_case.make_phantom(seed, low_grade=low_grade)
    image = np.stack([phantom.volumes[sequence] for sequence in SEQUENCES])
    merged = experiment.data.phantoms_merged
    return _training_case(name, image, phantom.labels, experiment, merged)


def _training_case(
    name: str,
    image: np.ndarray,
    labels: np.ndarray,
    experiment: Experiment,
    merged: bool,
    spacing_zyx_mm: Sequence[float] = (1.0, 1.0, 1.0),
) -> TrainingCase:
    steps = build_preprocessing(experiment.preprocessing)
    done = preprocess(steps, image, labels, spacing_zyx_mm=spacing_zyx_mm)
    target = make_target(done["labels"], done["brain"], merged)
    target[: lower_slices(done["brain"], experiment.data.upper_share)] = IGNORED
    return TrainingCase.of(name, done["image"], target)


def lower_slices(brain: np.ndarray, upper_share: float) -> int:
    """Return how many slices lie below the upper share of the brain's.

    Args:
        brain: bool (z, y, x), z from the feet up.
        upper_share: above 0, at most 1.
    """
    found = np.flatnonzero(brain.any(axis=(1, 2)))
    return int(found[0] + round(len(found) * (1 - upper_share))) if upper_share < 1 else 0
