"""From what a network of volumes says of labels or regions to probabilities of labels."""

import numpy as np
import torch

from scripted_models.labels import EDEMA, ENHANCING
from scripted_models.networks.probabilities import class_probabilities
from scripted_models.transforms.volume_networks import (
    LabelOutputs,
    NetworkOutputs,
    RegionOutputs,
)


def label_probabilities(logits: torch.Tensor, outputs: NetworkOutputs) -> np.ndarray:
    """Return the probability of each label, in ascending order of the labels.

    Args:
        logits: float (outputs, ...).
        outputs: what they are logits of.

    Returns:
        float32 (labels, ...), which add up to 1.

    Raises:
        ModelError: NaN or infinite logits.
    """
    if isinstance(outputs, LabelOutputs):
        probabilities = class_probabilities(logits[None])[0].float()
        order = torch.tensor(outputs.order)
        parts = [probabilities[order == label].sum(dim=0) for label in outputs.labels]
        found: np.ndarray = torch.stack(parts).numpy()
        return found
    return _of_regions(logits, outputs)


def _of_regions(logits: torch.Tensor, outputs: RegionOutputs) -> np.ndarray:
    """Return the differences of regions that lie inside each other, see `RegionOutputs`."""
    class_probabilities(logits[None])  # refuses what is no number
    said = {name: logits[index].sigmoid() for index, name in enumerate(outputs.order)}
    enhancing = said["ET"]
    core = torch.maximum(said["TC"], enhancing)
    tumor = torch.maximum(said["WT"], core)
    of_label = {
        0: 1 - tumor,
        EDEMA: tumor - core,
        outputs.core: core - enhancing,
        ENHANCING: enhancing,
    }
    return torch.stack([of_label[label] for label in outputs.labels]).float().numpy()
