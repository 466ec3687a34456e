"""From what a network of volumes says of labels or regions to probabilities of labels."""

import numpy as np
import torch

from scripted_models.labels import CAVITY, EDEMA, ENHANCING, RC
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
    """Return the differences of regions that lie inside each other, see `RegionOutputs`.

    Tumor and cavity share what there is: the one that is written first gets what the other leaves.
    So a probability that reaches 1/2 still does, unless the other one is written over it there.
    """
    class_probabilities(logits[None])  # refuses what is no number
    said = {name: logits[index].sigmoid() for index, name in enumerate(outputs.order)}
    nested = {"ET": said["ET"]}
    nested["TC"] = torch.maximum(said["TC"], nested["ET"])
    nested["WT"] = torch.maximum(said["WT"], nested["TC"])
    cavity = torch.zeros_like(said["ET"])
    if RC in said:
        over = [nested[region] for region in outputs.over_cavity]
        left = 1 - torch.stack([cavity, *over]).amax(dim=0)
        cavity = torch.minimum(said[RC], left)
        nested = {region: torch.minimum(p, 1 - cavity) for region, p in nested.items()}
    of_label = {
        0: 1 - cavity - nested["WT"],
        EDEMA: nested["WT"] - nested["TC"],
        outputs.core: nested["TC"] - nested["ET"],
        ENHANCING: nested["ET"],
        CAVITY: cavity,
    }
    return torch.stack([of_label[label] for label in outputs.labels]).float().numpy()
