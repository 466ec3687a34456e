"""Images of PASCAL VOC as training cases of a single slice, and their validation."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from scripted_models.bundle.image_scales import IMAGE_SCALES, ImageScale
from scripted_models.errors import InputError
from scripted_models.evaluation.confusion import ConfusionMatrix
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.file_identity import WatchedFiles
from scripted_models.tasks.voc.classes import CLASSES, VOID
from scripted_models.tasks.voc.image_lists import VocImage, sbd_images, voc_images
from scripted_models.tasks.voc.masks import read_mask
from scripted_models.tasks.voc.picture_files import read_image
from scripted_models.tasks.voc.prediction import predict_picture, scaled
from scripted_models.training import distributed
from scripted_models.training.cache import digest
from scripted_models.training.experiment_config import DataConfig, Experiment
from scripted_models.training.task import CaseSource
from scripted_models.training.training_case import TrainingCase

VERSION = 2  # raise it when reading or scaling gives other values


def training_images(data: DataConfig, folder: Path) -> tuple[list[VocImage], list[VocImage]]:
    """Return the training and the validation images of an experiment.

    Raises:
        InputError: a list, picture or label map that is not there.
    """
    train = voc_images(folder, data.voc_train)
    validation = voc_images(folder, data.voc_validation) if data.voc_validation else []
    for split in ("train", "val") if data.sbd else ():
        known = [image.name for image in (*train, *validation)]
        train += sbd_images(Path(data.sbd), split, known)
    return train, validation


def picture_sources(
    experiment: Experiment, folder: Path
) -> tuple[list[CaseSource], list[CaseSource]]:
    """Return what makes the training and the validation cases of an experiment."""
    scale = IMAGE_SCALES[experiment.data.image_scale]
    train, validation = training_images(experiment.data, folder)
    return [_source(i, scale) for i in train], [_source(i, scale) for i in validation]


def _source(image: VocImage, scale: ImageScale) -> CaseSource:
    files = [image.picture, image.label_map]
    watched = WatchedFiles.of(files)
    contents = [watched.contents[path] for path in files]
    key = digest(contents, {"picture": VERSION}, scale=asdict(scale), name=image.name)

    def make() -> TrainingCase:
        made = _make(image, scale)
        watched.refuse_changes()
        return made

    return CaseSource(image.name, key, make, " ".join(contents))


def _make(image: VocImage, scale: ImageScale) -> TrainingCase:
    picture, mask = read_image(image.picture), read_mask(image.label_map)
    if picture.shape[:2] != mask.shape:
        raise InputError(
            found=f"a label map of {mask.shape} pixels for a picture of {picture.shape[:2]} (rows, "
            "columns)",
            expected="the same",
            action="get both again",
            path=image.label_map,
        )
    return TrainingCase.of(image.name, scaled(picture, scale)[:, None], mask[None], len(CLASSES))


def validate_pictures(network: SliceNetwork, cases: list[TrainingCase]) -> dict[str, float]:
    """Score a network on whole images; of several processes each takes its share.

    Returns:
        The four metrics over all images together, and the mean IU as 'score'.
    """
    was_training = network.training
    network.eval()
    mine = {i: _score(network, cases[i]) for i in distributed.share(range(len(cases)))}
    every = distributed.gather(mine)
    total = sum((every[i] for i in sorted(every)), start=ConfusionMatrix.empty(CLASSES))
    network.train(was_training)
    return {**total.summary, "score": total.summary["mean_iu"]}


def _score(network: SliceNetwork, case: TrainingCase) -> ConfusionMatrix:
    probabilities = predict_picture(network, np.asarray(case.image[:, 0]))
    truth = np.asarray(case.target[0])
    return ConfusionMatrix.of(truth, probabilities.argmax(axis=0), CLASSES, VOID)
