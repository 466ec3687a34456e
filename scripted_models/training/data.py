"""From case folders to preprocessed training cases."""

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.discovery import Case, find_cases
from scripted_models.config import Experiment
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.labels import LabelCoding
from scripted_models.modalities import MODALITIES
from scripted_models.preprocessing import build_preprocessing, preprocess
from scripted_models.space import TrainingSpace, resample
from scripted_models.training.sampling import TrainingCase, make_target

PHANTOM_SEED = 100_000  # training phantoms never share a seed with those of `demo`


def split_cases(experiment: Experiment, cases: list[Case]) -> tuple[list[Case], list[Case]]:
    """Return training and validation cases, patient-wise.

    Raises:
        InputError: a named case is missing, has no truth, or stands in both lists.
    """
    data = experiment.data
    usable = {case.name: case for case in cases if case.truth is not None and not case.missing}
    unknown = [name for name in (*data.train, *data.validation) if name not in usable]
    if unknown:
        raise InputError(
            f"The experiment names cases {unknown} that were not found with four images and a label "
            "map; check data.train, data.validation and the data folder."
        )
    names = sorted(usable)
    validation = list(data.validation) or names[:: data.validation_every][: len(names) - 1]
    train = list(data.train) or [name for name in names if name not in validation]
    both = sorted(set(train) & set(validation))
    if both or not train:
        raise InputError(
            f"Found {len(train)} training cases and {both or 'none'} in both lists; expected at "
            "least one training case and none that also validates."
        )
    return [usable[name] for name in train], [usable[name] for name in validation]


def load_cases(
    experiment: Experiment, folder, coding: LabelCoding | None = None, on_case=lambda name: None
) -> tuple[list[TrainingCase], list[TrainingCase]]:
    """Find, read and preprocess all cases of an experiment.

    Returns:
        Training cases (phantoms included) and validation cases.
    """
    pipeline = build_preprocessing(experiment.preprocessing)
    train, validation = split_cases(experiment, find_cases(folder))

    def prepare(case: Case) -> TrainingCase:
        on_case(case.name)
        return _prepare(case, pipeline, coding)

    prepared = [prepare(case) for case in train], [prepare(case) for case in validation]
    for seed in range(PHANTOM_SEED, PHANTOM_SEED + experiment.data.phantoms):
        on_case(f"phantom {seed}")
        prepared[0].append(_prepare_phantom(seed, pipeline))
    return prepared


def _prepare(case: Case, pipeline, coding: LabelCoding | None) -> TrainingCase:
    case.require_images()
    labels, label_grid = case.read_truth(coding)
    images = {m: case.images[m].read() for m in MODALITIES}
    for modality, image in images.items():
        if difference := Grid.of(image).difference(label_grid):
            raise InputError(
                f"Case {case.name}: {modality} and the label map lie on different grids ({difference}); "
                "resample them onto one grid."
            )
    space = TrainingSpace()
    moved = [space.to_training(images[m]) for m in MODALITIES]
    truth = sitk.DICOMOrient(label_grid.image_from(labels), space.orientation)
    if space.resamples(label_grid):
        truth = resample(truth, Grid.of(moved[0]), sitk.sitkNearestNeighbor)
    image = np.stack([sitk.GetArrayFromImage(m) for m in moved])
    merged = (coding or case.coding).merged_necrosis
    return _training_case(case.name, image, sitk.GetArrayFromImage(truth), pipeline, merged)


def _prepare_phantom(seed: int, pipeline) -> TrainingCase:
    from scripted_models.phantom.case import make_phantom

    phantom = make_phantom(seed)
    image = np.stack([phantom.volumes[m] for m in MODALITIES])
    return _training_case(f"phantom_{seed}", image, phantom.labels, pipeline, merged=False)


def _training_case(name: str, image, labels, pipeline, merged: bool) -> TrainingCase:
    done = preprocess(pipeline, image, labels)
    return TrainingCase(name, done["image"], make_target(done["labels"], done["brain"], merged))
