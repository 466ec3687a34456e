"""Losses of sampled pixels, for truths that sometimes merge two labels; weight penalties."""

import torch
from monai.losses import TverskyLoss
from torch import nn
from torch.nn import functional as F

from scripted_models.labels import REGIONS
from scripted_models.training.training_case import (
    IGNORED,
    MERGED_CORE,
    MERGED_LABELS,
    REGIONS_OF_TARGETS,
)

_SMOOTH = 0.5  # keeps the loss defined where a region is nowhere


def pixel_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, reduction: str = "pixels"
) -> torch.Tensor:
    """Negative log-likelihood of pixels.

    Where the truth only says "necrosis or non-enhancing", the likelihood is the sum of both
    probabilities, so a network learns the region from such cases and the split from the others.

    Args:
        logits: (P, classes).
        target: (P,) int64 with labels, MERGED_CORE, or IGNORED, which counts as a loss of 0.
        reduction: 'pixels', the mean over all; 'labeled', over those that are not ignored; or
            'sum'.

    Returns:
        Scalar.
    """
    log_probabilities = F.log_softmax(logits.float(), dim=1)
    classes = logits.shape[1]
    merged = [label for label in MERGED_LABELS if label < classes]
    either = log_probabilities[:, merged].logsumexp(dim=1, keepdim=True)
    table = torch.cat([log_probabilities, either], dim=1)
    # The column of an ignored pixel does not count.
    column = torch.where(target >= MERGED_CORE, classes, target)
    likelihoods = table.gather(1, column[:, None])[:, 0]
    total = -torch.where(target == IGNORED, 0.0, likelihoods).sum()
    if reduction == "sum":
        return total
    counted = int((target != IGNORED).sum()) if reduction == "labeled" else target.numel()
    return total / max(counted, 1)


def region_dice_loss(
    logits: torch.Tensor, target: torch.Tensor, missed: float = 0.5
) -> torch.Tensor:
    """Return 1 - the soft Dice of whole tumor, tumor core and enhancing tumor, over all pixels.

    Source: Milletari et al. 2016, "V-Net", 3DV, equation in section 3, with the squares left out;
    regions as in the BraTS challenge. With another share of missed pixels it is the index of
    Salehi et al. 2017, "Tversky loss function", equation 4, whose beta that is. A region has its
    labels' probabilities together, so merged truths do no harm. Ignored pixels have neither truth
    nor prediction.

    Args:
        logits: (P, classes).
        target: as for `pixel_cross_entropy`.
        missed: what a missed pixel costs, 0 to 1; one that is wrongly found costs the rest.

    Returns:
        Scalar, the mean over the regions.
    """
    counted = (target != IGNORED)[:, None]
    probabilities = logits.float().softmax(dim=1) * counted
    true, predicted = [], []
    for region, labels in REGIONS.items():
        true.append(torch.isin(target, target.new_tensor(REGIONS_OF_TARGETS[region])).float())
        predicted.append(probabilities[:, list(labels)].sum(dim=1))
    # One image with a channel for each region: (1, regions, P).
    loss = TverskyLoss(alpha=1 - missed, beta=missed, smooth_nr=_SMOOTH, smooth_dr=_SMOOTH)
    return loss(torch.stack(predicted)[None], torch.stack(true)[None])


def weight_penalty(network: nn.Module, l1: float, l2: float) -> torch.Tensor | float:
    """Return l1 |W|_1 + l2 |W|^2 over the weights that are being trained, biases left out.

    Source: Havaei et al. 2017, "Regularization"; the factors are found by grid search and not
        printed.
    """
    total: torch.Tensor | float = 0.0
    if not (l1 or l2):
        return total
    for weight in network.parameters():
        if weight.requires_grad and weight.dim() > 1:
            total = total + (l1 * weight.abs().sum() + l2 * weight.square().sum())
    return total
