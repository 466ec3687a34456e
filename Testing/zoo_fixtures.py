"""Networks of the zoo without their memory, and their counts."""

import torch

SCALE = 1 / 32


def count(network):
    """Return the number of trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def on_meta(network, **arguments):
    """Build a network whose parameters have shapes and no values."""
    with torch.device("meta"):
        return network(**arguments)
