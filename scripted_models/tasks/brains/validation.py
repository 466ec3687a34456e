"""Validation after each epoch: a few whole slices of every validation case, or all of it."""

from collections.abc import Callable

import numpy as np

from scripted_models.inference import iterate_slices, predict_slice, predict_windows
from scripted_models.labels import REGIONS
from scripted_models.networks.slice_network import (
    SegmentationNetwork,
    SliceNetwork,
    VolumeNetwork,
)
from scripted_models.training import distributed
from scripted_models.training.training_case import IGNORED, REGIONS_OF_TARGETS, TrainingCase
from scripted_models.transforms.volume_networks import LabelOutputs, SlidingWindow

Counts = dict[str, np.ndarray]  # region -> pixels in both, predicted, true


def validate_slices(
    network: SliceNetwork, cases: list[TrainingCase], slices: int
) -> dict[str, float]:
    """Score a network; of several processes each takes its share of the cases.

    Args:
        network: its mode is restored afterwards.
        cases: validation cases.
        slices: axial slices per case, spread over the brain.

    Returns:
        'dice_WT', 'dice_TC', 'dice_ET' (mean over cases of the Dice over the chosen slices; 1 where
        truth and prediction are both empty) and their mean 'score'.
    """
    return _validate(network, cases, lambda case: _slice_counts(network, case, slices))


def validate_volumes(
    network: SegmentationNetwork, cases: list[TrainingCase], window: SlidingWindow | None
) -> dict[str, float]:
    """Score a network of volumes on whole cases, as `validate_slices` does.

    Args:
        network: its mode is restored afterwards.
        cases: validation cases.
        window: how it goes through a case.

    Raises:
        TypeError: a network that is not of volumes.
    """
    if not isinstance(network, VolumeNetwork) or window is None:
        raise TypeError(f"expected a network of volumes, not a {type(network).__name__}")
    return _validate(network, cases, lambda case: _volume_counts(network, case, window))


def _validate(
    network: SegmentationNetwork, cases: list[TrainingCase], count: Callable[[TrainingCase], Counts]
) -> dict[str, float]:
    was_training = network.training
    network.eval()
    mine = {i: _dice(count(cases[i])) for i in distributed.share(range(len(cases)))}
    dice = distributed.gather(mine)
    network.train(was_training)
    means = {
        f"dice_{region}": float(np.mean([dice[i][region] for i in sorted(dice)]))
        for region in REGIONS
    }
    return {**means, "score": float(np.mean(list(means.values())))}


def _dice(counts: Counts) -> dict[str, float]:
    return {
        region: float(2 * both / (predicted + true)) if predicted + true else 1.0
        for region, (both, predicted, true) in counts.items()
    }


def _slice_counts(network: SliceNetwork, case: TrainingCase, slices: int) -> Counts:
    brain = case.target != IGNORED
    counts = {region: np.zeros(3, np.int64) for region in REGIONS}
    for z in iterate_slices(brain, slices):
        rows, columns, probabilities = predict_slice(network, case.image, brain, z)
        predicted = np.where(brain[z, rows, columns], probabilities.argmax(axis=0), 0)
        _add(counts, predicted, case.target[z, rows, columns])
    return counts


def _volume_counts(network: VolumeNetwork, case: TrainingCase, window: SlidingWindow) -> Counts:
    outputs = LabelOutputs(order=tuple(range(network.num_classes)))
    image = np.array(case.image)  # from the disk
    probabilities = predict_windows(network, image, case.target != IGNORED, window, outputs)
    counts = {region: np.zeros(3, np.int64) for region in REGIONS}
    _add(counts, probabilities.argmax(axis=0), case.target)
    return counts


def _add(counts: Counts, predicted: np.ndarray, truth: np.ndarray) -> None:
    """Count pixels of each region that are in both, predicted and true."""
    for region, labels in REGIONS.items():
        p, t = np.isin(predicted, labels), np.isin(truth, REGIONS_OF_TARGETS[region])
        counts[region] += [np.sum(p & t), np.sum(p), np.sum(t)]
