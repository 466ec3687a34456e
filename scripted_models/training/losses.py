"""Cross-entropy over sampled pixels, for truths that sometimes merge two labels."""

import torch
from torch.nn import functional as F

from scripted_models.training.sampling import MERGED_CORE

_MERGED_LABELS = [1, 3]


def pixel_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean negative log-likelihood of pixels.

    Where the truth only says "necrosis or non-enhancing", the likelihood is the sum of both
    probabilities, so a network learns the region from such cases and the split from the others.

    Args:
        logits: (P, classes).
        target: (P,) int64 with labels 0-4 or MERGED_CORE.

    Returns:
        Scalar.
    """
    log_probabilities = F.log_softmax(logits, dim=1)
    merged = log_probabilities[:, _MERGED_LABELS].logsumexp(dim=1, keepdim=True)
    table = torch.cat([log_probabilities, merged], dim=1)
    return -table.gather(1, target.clamp_max(MERGED_CORE)[:, None]).mean()
