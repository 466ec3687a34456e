"""From a folder of cases to the preprocessed cases of an experiment, split by patient."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.patients import patient_name, split_patients
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.training_space import TrainingSpace, resample
from scripted_models.labels import LabelCoding
from scripted_models.runtime.typed_tables import as_table
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.contrast_suppression import remove_enhancement
from scripted_models.tasks.voc.training_cases import Maker, voc_makers
from scripted_models.training import distributed
from scripted_models.training.cache import CaseCache, digest
from scripted_models.training.experiment_config import DataConfig, Experiment
from scripted_models.training.training_case import IGNORED, TrainingCase, make_target
from scripted_models.transforms.preprocessing import build_preprocessing, preprocess

PHANTOM_SEED = 100_000  # training phantoms never share a seed with those of `demo`
LOW_GRADE_SEED = 200_000


@dataclass(frozen=True)
class Split:
    """Names of the cases of each part; no patient stands in two of them."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def space_of(data: DataConfig) -> TrainingSpace:
    """Return the space that the cases are brought into."""
    return TrainingSpace(spacing_xyz_mm=(1.0, 1.0, data.slice_spacing_mm or None))


def usable_cases(folder: Path) -> dict[str, Case]:
    """Return the cases of a folder that have four images and a label map, by name."""
    return {c.name: c for c in find_cases(folder) if c.truth is not None and not c.missing}


def split_cases(data: DataConfig, names: list[str]) -> Split:
    """Split cases into training, validation and test, patient by patient.

    Args:
        data: lists of names, or shares of the patients, see `DataConfig`.
        names: usable cases.

    Raises:
        InputError: a named case is not there, or stands in two lists, or none is left for training.
    """
    listed = {"train": data.train, "validation": data.validation, "test": data.test}
    _refuse_unknown_or_double(listed, names)
    rest = sorted(set(names) - {name for part in listed.values() for name in part})
    parts = {"test": listed["test"], "validation": listed["validation"]}
    for part, every in (("test", data.test_every), ("validation", data.validation_every)):
        if every and not parts[part]:
            parts[part] = _draw(rest, every, data.split_seed)
            rest = [name for name in rest if name not in parts[part]]
    train = (listed["train"] or rest) if data.real else []
    if data.real and not train:
        raise InputError(
            f"Found {len(names)} cases with four images and a label map and none is left for training; "
            "expected at least one that neither validates nor tests."
        )
    return Split(tuple(train), tuple(parts["validation"]), tuple(parts["test"]))


def _draw(names: list[str], every: int, seed: int) -> list[str]:
    """Return the cases of one patient in `every`, of fewer patients those of one; a single one stays."""
    patients = len({patient_name(name) for name in names})
    return split_patients(names, min(every, patients), seed)[0] if patients > 1 else []


def _refuse_unknown_or_double(listed: dict[str, tuple[str, ...]], names: list[str]) -> None:
    every = [name for part in listed.values() for name in part]
    if unknown := sorted(set(every) - set(names)):
        raise InputError(
            f"The experiment names cases {unknown} that were not found with four images and a label "
            "map; check data.train, data.validation, data.test and the data folder."
        )
    if double := sorted({name for name in every if every.count(name) > 1}):
        raise InputError(
            f"Found {double} twice in data.train, data.validation and data.test, expected each case once; "
            "take it out of one."
        )


def load_cases(
    experiment: Experiment,
    folder: Path,
    cache: CaseCache,
    coding: LabelCoding | None = None,
    on_case: Callable[[str], None] = lambda name: None,
) -> tuple[list[TrainingCase], list[TrainingCase]]:
    """Find the cases of an experiment and open them, preprocessed.

    Of several processes each makes its share of the entries that are missing.

    Returns:
        Training cases (phantoms included) and validation cases, mapped from the cache; of VOC an image is a
        case of one slice.
    """
    if experiment.data.task == "voc":
        train, validation = voc_makers(experiment, folder)
    else:
        train, validation = _brain_makers(experiment, folder, coding)
    for name, key, make in distributed.share([*train, *validation]):
        on_case(name)
        cache.get(key, make)
    distributed.wait_for_all()
    return tuple([cache.get(key, make) for _, key, make in part] for part in (train, validation))


def _brain_makers(
    experiment: Experiment, folder: Path, coding: LabelCoding | None
) -> tuple[list[Maker], list[Maker]]:
    found = usable_cases(folder)
    split = split_cases(experiment.data, sorted(found))
    train, validation = (
        [_of_case(experiment, found[name], coding) for name in names]
        for names in (split.train, split.validation)
    )
    copied = _draw_names(split.train, experiment.data)
    copies = [_of_case(experiment, found[name], coding, enhances=False) for name in copied]
    return [*train, *copies, *_phantoms(experiment)], validation


def _draw_names(names: Sequence[str], data: DataConfig) -> list[str]:
    """Draw the cases of which a copy without enhancement trains, too."""
    order = np.random.default_rng(data.split_seed).permutation(len(names))
    return [sorted(names)[index] for index in order[: data.contrast_suppressed]]


def _phantoms(experiment: Experiment) -> list[Maker]:
    any_grade = range(PHANTOM_SEED, PHANTOM_SEED + experiment.data.phantoms)
    low_grade = range(LOW_GRADE_SEED, LOW_GRADE_SEED + experiment.data.low_grade_phantoms)
    return [
        *(_of_phantom(experiment, seed) for seed in any_grade),
        *(_of_phantom(experiment, seed, low_grade=True) for seed in low_grade),
    ]


def _of_case(
    experiment: Experiment, case: Case, coding: LabelCoding | None, enhances: bool = True
) -> Maker:
    case.require_images()
    coding = coding or case.coding
    sources = [case.images[m] for m in SEQUENCES]
    key = digest(
        [*(source.path for source in sources), case.truth],
        channels=[source.channel for source in sources],
        coding=coding.name if coding else "",
        preprocessing=as_table(experiment.preprocessing),
        **_upper(experiment),
        space=asdict(space_of(experiment.data)),
        name=case.name,
        **({} if enhances else {"enhances": False}),
    )
    return case.name, key, lambda: _prepare(case, experiment, coding, enhances)


def _upper(experiment: Experiment) -> dict[str, float]:
    share = experiment.data.upper_share
    return {"upper": share} if share < 1 else {}


def _of_phantom(experiment: Experiment, seed: int, low_grade: bool = False) -> Maker:
    grade = {"low_grade": True} if low_grade else {}
    merged = {"merged": True} if experiment.data.phantoms_merged else {}
    key = digest(
        [],
        phantom=seed,
        preprocessing=as_table(experiment.preprocessing),
        **_upper(experiment),
        **grade,
        **merged,
    )
    return f"phantom_{seed}", key, lambda: _prepare_phantom(seed, experiment, grade)


def _prepare(
    case: Case, experiment: Experiment, coding: LabelCoding | None, enhances: bool
) -> TrainingCase:
    labels, label_grid = case.read_truth(coding)
    images = {m: case.images[m].read() for m in SEQUENCES}
    for sequence, image in images.items():
        if difference := Grid.of(image).difference(label_grid):
            raise InputError(
                f"Case {case.name}: {sequence} and the label map lie on different grids ({difference}); "
                "resample them onto one grid."
            )
    space = space_of(experiment.data)
    moved = [space.to_training(images[m]) for m in SEQUENCES]
    truth = sitk.DICOMOrient(label_grid.image_from(labels), space.orientation)
    if space.resamples(label_grid):
        truth = resample(truth, Grid.of(moved[0]), sitk.sitkNearestNeighbor)
    image = np.stack([sitk.GetArrayFromImage(m) for m in moved])
    labels = sitk.GetArrayFromImage(truth)
    if not enhances:
        image, labels = remove_enhancement(image, labels)
    return _training_case(case.name, image, labels, experiment, coding.merged_necrosis)


def _prepare_phantom(seed: int, experiment: Experiment, grade: dict) -> TrainingCase:
    from scripted_models.cases.phantom.phantom_case import make_phantom

    phantom = make_phantom(seed, **grade)
    image = np.stack([phantom.volumes[m] for m in SEQUENCES])
    merged = experiment.data.phantoms_merged
    return _training_case(f"phantom_{seed}", image, phantom.labels, experiment, merged)


def _training_case(name, image, labels, experiment: Experiment, merged: bool) -> TrainingCase:
    done = preprocess(build_preprocessing(experiment.preprocessing), image, labels)
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
