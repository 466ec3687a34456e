"""Images of PASCAL VOC as training cases of a single slice, and their validation."""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from scripted_models.bundle.image_scales import IMAGE_SCALES, ImageScale
from scripted_models.errors import InputError
from scripted_models.evaluation.confusion import VocScores, score
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.tasks.voc.classes import CLASSES
from scripted_models.tasks.voc.image_lists import VocImage, sbd_images, voc_images
from scripted_models.tasks.voc.masks import read_image, read_mask
from scripted_models.tasks.voc.prediction import predict_picture, scaled
from scripted_models.training import distributed
from scripted_models.training.cache import digest
from scripted_models.training.experiment_config import Experiment
from scripted_models.training.training_case import TrainingCase

Maker = tuple[str, str, Callable[[], TrainingCase]]  # name, key in the cache, function


def voc_makers(experiment: Experiment, folder: Path) -> tuple[list[Maker], list[Maker]]:
    """Return what makes the training and the validation cases of an experiment.

    Raises:
        InputError: a list, picture or label map that is not there, or settings for brains.
    """
    data = experiment.data
    if experiment.training.dice or experiment.preprocessing:
        raise InputError(
            "An experiment on VOC has no regions and no preprocessing steps, expected training.dice = 0 and "
            "preprocessing = []; set them."
        )
    scale = IMAGE_SCALES[data.image_scale]
    train = voc_images(folder, data.voc_train)
    validation = voc_images(folder, data.voc_validation) if data.voc_validation else []
    for split in ("train", "val") if data.sbd else ():
        known = [image.name for image in (*train, *validation)]
        train += sbd_images(Path(data.sbd), split, known)
    return [_maker(i, scale) for i in train], [_maker(i, scale) for i in validation]


def _maker(image: VocImage, scale: ImageScale) -> Maker:
    key = digest([image.picture, image.mask], scale=asdict(scale), name=image.name)
    return image.name, key, lambda: _make(image, scale)


def _make(image: VocImage, scale: ImageScale) -> TrainingCase:
    picture, mask = read_image(image.picture), read_mask(image.mask)
    if picture.shape[:2] != mask.shape:
        raise InputError(
            f"{image.mask}: found a label map of {mask.shape} pixels for a picture of {picture.shape[:2]} "
            "(rows, columns), expected the same; get both again."
        )
    return TrainingCase.of(image.name, scaled(picture, scale)[:, None], mask[None], len(CLASSES))


def validate_voc(network: SliceNetwork, cases: list[TrainingCase]) -> dict[str, float]:
    """Score a network on whole images; of several processes each takes its share.

    Returns:
        The four metrics over all images together, and the mean IU as 'score'.
    """
    was_training = network.training
    network.eval()
    mine = {i: _score(network, cases[i]).confusion for i in distributed.share(range(len(cases)))}
    total = VocScores(sum(distributed.gather(mine).values()))
    network.train(was_training)
    return {**total.summary, "score": total.summary["mean_iu"]}


def _score(network: SliceNetwork, case: TrainingCase) -> VocScores:
    probabilities = predict_picture(network, np.asarray(case.image[:, 0]))
    return score(np.asarray(case.target[0]), probabilities.argmax(axis=0))
