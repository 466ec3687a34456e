"""The one step from what a network gives to class probabilities."""

import torch

from scripted_models.errors import ModelError


def class_probabilities(logits: torch.Tensor, origin: str = "the network") -> torch.Tensor:
    """Return the softmax of logits, once they are known to be numbers.

    A NaN would become background further on, and "no tumor was found" would look like a result.

    Args:
        logits: (N, classes, ...), any floating dtype.
        origin: what made them, for the message.

    Returns:
        Probabilities of the same shape and dtype.

    Raises:
        ModelError: NaN or infinite logits.
    """
    if not torch.isfinite(logits).all():
        raise ModelError(
            found=f"NaN or infinite values from {origin}",
            expected="finite numbers",
            action="the model does not suit these images, or its weights are damaged; "
            "take another model",
        )
    return logits.softmax(dim=1)
