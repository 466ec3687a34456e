"""Validation after each epoch: a few whole slices of every validation case."""

import numpy as np
import torch
from torch import nn

from scripted_models.inference import iterate_slices, predict_slice
from scripted_models.labels import REGIONS
from scripted_models.training.sampling import IGNORED, MERGED_CORE, TrainingCase

_TRUTH = {region: (*labels, MERGED_CORE) for region, labels in REGIONS.items()}
_TRUTH["enhancing"] = REGIONS["enhancing"]


def validate(network: nn.Module, cases: list[TrainingCase], slices: int) -> dict[str, float]:
    """Score a network.

    Args:
        network: its mode is restored afterwards.
        cases: validation cases.
        slices: axial slices per case, spread over the brain.

    Returns:
        'dice_complete', 'dice_core', 'dice_enhancing' (mean over cases of the Dice over the chosen
        slices; 1 where truth and prediction are both empty) and their mean 'score'.
    """
    was_training = network.training
    network.eval()
    dice = {region: [] for region in REGIONS}
    for case in cases:
        counts = _case_counts(network, case, slices)
        for region, (both, predicted, true) in counts.items():
            dice[region].append(2 * both / (predicted + true) if predicted + true else 1.0)
    network.train(was_training)
    means = {f"dice_{region}": float(np.mean(values)) for region, values in dice.items()}
    return {**means, "score": float(np.mean(list(means.values())))}


def _case_counts(network: nn.Module, case: TrainingCase, slices: int) -> dict[str, np.ndarray]:
    brain = case.target != IGNORED
    counts = {region: np.zeros(3, np.int64) for region in REGIONS}
    for z in iterate_slices(brain, slices):
        rows, columns, probabilities = predict_slice(network, case.image[:, z], brain[z])
        inside = brain[z, rows, columns]
        predicted = np.where(inside, probabilities.argmax(axis=0), 0)
        truth = case.target[z, rows, columns]
        for region, labels in REGIONS.items():
            p, t = np.isin(predicted, labels), np.isin(truth, _TRUTH[region])
            counts[region] += [np.sum(p & t), np.sum(p), np.sum(t)]
    return counts


def augment(
    images: torch.Tensor, targets: torch.Tensor, flip: bool, jitter: float, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mirror crops left-right at random and change the scale and offset of each channel.

    Args:
        images: (N, C, H, W); zeros (background) keep their value.
        targets: (N, h, w).
        flip: mirror every second crop on average.
        jitter: standard deviation of scale (around 1) and offset (around 0), in z-score units.
        rng: source of all randomness.
    """
    if flip:
        chosen = torch.from_numpy(rng.random(len(images)) < 0.5)
        images = torch.where(chosen[:, None, None, None], images.flip(-1), images)
        targets = torch.where(chosen[:, None, None], targets.flip(-1), targets)
    if jitter:
        scale, offset = rng.normal(0, jitter, (2, *images.shape[:2], 1, 1)).astype(np.float32)
        changed = images * torch.from_numpy(1 + scale) + torch.from_numpy(offset)
        images = torch.where(images != 0, changed, images)
    return images, targets
