"""Validation after each epoch: a few whole slices of every validation case."""

import numpy as np

from scripted_models.inference import iterate_slices, predict_slice
from scripted_models.labels import REGIONS
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.training import distributed
from scripted_models.training.training_case import IGNORED, REGIONS_OF_TARGETS, TrainingCase


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
    was_training = network.training
    network.eval()
    mine = {i: _case_dice(network, cases[i], slices) for i in distributed.share(range(len(cases)))}
    dice = distributed.gather(mine)
    network.train(was_training)
    means = {
        f"dice_{region}": float(np.mean([dice[i][region] for i in sorted(dice)]))
        for region in REGIONS
    }
    return {**means, "score": float(np.mean(list(means.values())))}


def _case_dice(network: SliceNetwork, case: TrainingCase, slices: int) -> dict[str, float]:
    counts = _case_counts(network, case, slices)
    return {
        region: float(2 * both / (predicted + true)) if predicted + true else 1.0
        for region, (both, predicted, true) in counts.items()
    }


def _case_counts(network: SliceNetwork, case: TrainingCase, slices: int) -> dict[str, np.ndarray]:
    brain = case.target != IGNORED
    counts = {region: np.zeros(3, np.int64) for region in REGIONS}
    for z in iterate_slices(brain, slices):
        rows, columns, probabilities = predict_slice(network, case.image, brain, z)
        inside = brain[z, rows, columns]
        predicted = np.where(inside, probabilities.argmax(axis=0), 0)
        truth = case.target[z, rows, columns]
        for region, labels in REGIONS.items():
            p, t = np.isin(predicted, labels), np.isin(truth, REGIONS_OF_TARGETS[region])
            counts[region] += [np.sum(p & t), np.sum(p), np.sum(t)]
    return counts
