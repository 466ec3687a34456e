"""A network with a dense CRF as its last layers, trained from end to end.

Source: Zheng et al. 2015, "Conditional random fields as recurrent neural networks", ICCV,
section 5.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from scripted_models.networks.crf import DenseCRF
from scripted_models.networks.slice_network import SliceNetwork

WIDTHS = 3  # standard deviations of the appearance Gaussian that one iteration reaches


class CRFRNN(SliceNetwork):
    """What a network says, then mean-field iterations that see its image.

    Args:
        unary: network for slices; its result is the field's unary potentials.
        crf: arguments of `DenseCRF`; the widths of intensity are in units of the network's input.
    """

    def __init__(self, unary: SliceNetwork, crf: Mapping[str, Any] | None = None):
        super().__init__()
        self.unary = unary
        self.in_channels, self.num_classes = unary.in_channels, unary.num_classes
        self.margins, self.output_stride = unary.margins, unary.output_stride
        self.context_slices, self.planes = unary.context_slices, unary.planes
        self.slice_step = unary.slice_step
        self.crf = DenseCRF(unary.num_classes, **{"intensity_width": 0.5, **(crf or {})})
        reach = math.ceil(WIDTHS * self.crf.position_width)
        self.receptive_field = unary.receptive_field + 2 * self.crf.test_iterations * reach

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, H, W) to logits (N, classes, H - margins, W - margins)."""
        logits: torch.Tensor = self.unary(x)
        exact = torch.promote_types(logits.dtype, torch.float32)
        low = self.margins[0]
        height, width = logits.shape[2:]
        own = x[:, self.context_slices :: 2 * self.context_slices + 1]  # without neighboring slices
        image = own[:, :, low : low + height, low : low + width]
        refined: torch.Tensor = self.crf(logits.to(exact), image.to(exact))
        return refined
