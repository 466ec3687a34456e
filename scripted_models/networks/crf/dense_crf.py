"""The fully connected conditional random field, by mean-field iterations.

Sources: Krahenbuhl & Koltun 2011, "Efficient inference in fully connected CRFs with Gaussian edge
potentials", NIPS, equations 2-3 and algorithm 1; Zheng et al. 2015, "Conditional random fields as
recurrent neural networks", ICCV, section 4 (weights of classes and compatibilities are learned).
"""

from collections.abc import Sequence

import torch
from torch import nn

from scripted_models.networks.crf.gaussian_filters import (
    FILTERS,
    NORMALIZATIONS,
    Filter,
    gaussian_filter,
    normalized,
)

MOST = 100  # iterations, and pixels of a window
# Standard deviations: cells of the lattice have whole numbers, and kernels have to be kept.
LEAST_WIDTH, MOST_WIDTH = 1e-3, 1e4
MOST_WEIGHT = 1e6


class DenseCRF(nn.Module):
    """Makes neighbors of similar intensity agree on a label.

    Each iteration filters the probabilities with two Gaussians: one of position and intensity
    (appearance), one of position alone (smoothness). It weights them by class, asks of each label
    the compatibilities with the others as a price, and subtracts it from the logits. A new field
    has the Potts model, in which different labels cost 1, and the same weights for all classes.

    Args:
        num_classes: classes.
        backend: of the appearance filter, one of `FILTERS`.
        appearance_weight, smoothness_weight: of the two Gaussians.
        position_width, intensity_width: standard deviations of the appearance Gaussian, in pixels
            (mm where the spacing is given) and in units of the image.
        smoothness_width: of the other one.
        iterations: while training (Zheng et al. 2015, section 7.1: 5).
        test_iterations: otherwise (10 there).
        window: how many pixels the backend 'window' reaches along every axis.
        normalization: of both Gaussians, see `gaussian_filters.normalized`; the published weights
            of Zheng et al. need 'after'.

    Raises:
        ValueError: a setting out of its range, or an unknown backend or normalization.

    Attributes:
        untraceable: why no trace of it serves another image.
    """

    untraceable = "the filters of its CRF are made anew for the size and the values of each image"

    def __init__(
        self,
        num_classes: int,
        backend: str = "permutohedral",
        appearance_weight: float = 10.0,
        smoothness_weight: float = 3.0,
        position_width: float = 80.0,
        intensity_width: float = 13.0,
        smoothness_width: float = 3.0,
        iterations: int = 5,
        test_iterations: int = 10,
        window: int = 5,
        normalization: str = "symmetric",
    ):
        super().__init__()
        if backend not in FILTERS:
            raise ValueError(f"'backend' is {backend!r}, expected one of {sorted(FILTERS)}")
        if normalization not in NORMALIZATIONS:
            raise ValueError(
                f"'normalization' is {normalization!r}, expected one of {list(NORMALIZATIONS)}"
            )
        widths = (position_width, intensity_width, smoothness_width)
        if not all(LEAST_WIDTH <= width <= MOST_WIDTH for width in widths):
            raise ValueError(
                f"found widths {widths}, expected numbers from {LEAST_WIDTH:g} to {MOST_WIDTH:g}"
            )
        if max(abs(appearance_weight), abs(smoothness_weight)) > MOST_WEIGHT:
            raise ValueError(f"found a weight beyond {MOST_WEIGHT:g}")
        counts = (iterations, test_iterations, window)
        if not all(isinstance(n, int) and 0 <= n <= MOST for n in counts) or window == 0:
            raise ValueError(
                f"found {iterations} and {test_iterations} iterations and a window of {window}, "
                f"expected whole numbers up to {MOST}, the window from 1 on"
            )
        self.num_classes, self.backend, self.window = num_classes, backend, window
        self.normalization = normalization
        self.position_width, self.intensity_width, self.smoothness_width = widths
        self.iterations, self.test_iterations = iterations, test_iterations
        self.appearance_weights = nn.Parameter(torch.full((num_classes,), float(appearance_weight)))
        self.smoothness_weights = nn.Parameter(torch.full((num_classes,), float(smoothness_weight)))
        self.compatibility = nn.Parameter(1 - torch.eye(num_classes))

    def forward(
        self, logits: torch.Tensor, image: torch.Tensor, spacing: Sequence[float] = ()
    ) -> torch.Tensor:
        """Return logits (B, num_classes, *S) after the iterations.

        Args:
            logits: (B, num_classes, *S), of any number of axes S.
            image: (B, F, *S), the intensities.
            spacing: distance of pixels along each of the axes S in mm; none: 1.

        Raises:
            ValueError: shapes that do not fit.
        """
        if logits.shape[1] != self.num_classes or logits.shape[2:] != image.shape[2:]:
            raise ValueError(
                f"found logits {tuple(logits.shape)} and an image {tuple(image.shape)}, expected "
                f"(B, {self.num_classes}, *S) and (B, F, *S)"
            )
        spacing = spacing or (1.0,) * (logits.dim() - 2)
        done = [self._mean_field(*pair, spacing) for pair in zip(logits, image, strict=True)]
        return torch.stack(done)

    def _mean_field(
        self, logits: torch.Tensor, image: torch.Tensor, spacing: Sequence[float]
    ) -> torch.Tensor:
        unary = logits.flatten(1).T  # (N, classes)
        appearance, smoothness = self._filters(unary, image, spacing)
        result = unary
        for _ in range(self.iterations if self.training else self.test_iterations):
            q = result.softmax(dim=1)
            messages = self.appearance_weights * appearance(q)
            messages = messages + self.smoothness_weights * smoothness(q)
            result = unary - messages @ self.compatibility.T
        return result.T.view(logits.shape)

    @torch.no_grad()
    def _filters(
        self, unary: torch.Tensor, image: torch.Tensor, spacing: Sequence[float]
    ) -> tuple[Filter, Filter]:
        shape = image.shape[1:]
        axes = [
            torch.arange(n, device=image.device) * step / self.position_width
            for n, step in zip(shape, spacing, strict=True)
        ]
        positions = torch.stack(torch.meshgrid(*axes, indexing="ij")).to(image.dtype)
        appearance = FILTERS[self.backend](positions, image / self.intensity_width, self.window)
        widths = [self.smoothness_width / step for step in spacing]
        smoothness = gaussian_filter(shape, widths, image.device)
        how = self.normalization
        return normalized(appearance, unary, how), normalized(smoothness, unary, how)
