"""First-layer filters of the local and the global path (Havaei et al. 2017, figure 5)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import nn

from scripted_models.bundle.weights import Model
from scripted_models.errors import InputError
from scripted_models.labels import LABELS
from scripted_models.networks.cascades import CascadeCNN
from scripted_models.networks.ensembles import VotedEnsemble
from scripted_models.networks.havaei import GlobalPath, LocalPath
from scripted_models.networks.layers import Maxout
from scripted_models.reporting.figures.canvas import DPI, FAINT, INK, new_figure
from scripted_models.sequences import TITLES

_FILTER_IN = 0.26
_MARGIN_IN, _NAMES_IN = 0.3, 1.6
_NOTE = (
    "A column is a filter, the pieces of a map side by side: black negative, gray 0, "
    "white positive, one scale per filter"
)
_GRAY = colormaps["gray"].with_extremes(bad="white")
_KINDS = {LocalPath: "local path", GlobalPath: "global path"}


@dataclass(frozen=True)
class FilterBank:
    """First-layer filters of one path.

    Attributes:
        path: 'local path' or 'global path'.
        weights: float32 (maps, pieces, channels, k, k).
        channels: name of each input channel.
        part: which part of the network, empty for all of it.
    """

    path: str
    weights: np.ndarray
    channels: tuple[str, ...]
    part: str

    def title(self, shown: int) -> str:
        """Say in words what is drawn when that many maps are shown."""
        maps, pieces, _, size, _ = self.weights.shape
        part = f" of {self.part}" if self.part else ""
        count = (
            f"{maps} maps"
            if shown == maps
            else f"the {shown} of {maps} maps with the largest weights"
        )
        return f"{self.path}{part}, {size} × {size}: {count}, {pieces} maxout pieces each"


def find_filters(model: Model) -> list[FilterBank]:
    """Return the filters of the paths that a network has.

    Of a cascade these are the second network's, of a voted ensemble the first member's.

    Raises:
        InputError: a network without local and global path.
    """
    network: nn.Module = model.network
    part = ""
    if isinstance(network, VotedEnsemble):
        part = f"member 1 of {len(network.members)}"
        network = network.members[0]
    if isinstance(network, CascadeCNN):
        network, part = network.second, "the second network"
    banks = [
        _bank(module, model, part)
        for module in network.modules()
        if isinstance(module, tuple(_KINDS))
    ]
    if not banks:
        raise InputError(
            path=model.folder,
            found=f"a {type(network).__name__}, which has no local and global path",
            expected="a network that has one",
            action="choose another model",
        )
    return banks


def _bank(path: nn.Module, model: Model, part: str) -> FilterBank:
    layer = next(module for module in path.modules() if isinstance(module, nn.Conv2d))
    pieces = next(module for module in path.modules() if isinstance(module, Maxout)).pieces
    weights = layer.weight.detach().numpy()
    weights = weights.reshape(pieces, -1, *weights.shape[1:]).swapaxes(0, 1)
    names = [TITLES[name] for name in model.description.channels]
    if weights.shape[2] > len(names):  # probabilities of a first network
        names += [f"P({LABELS[label]})" for label in model.known_labels]
    return FilterBank(_KINDS[type(path)], weights, tuple(names), part)


def draw_filters(banks: Sequence[FilterBank], name: str) -> Figure:
    """Draw filters, those of the maps with the largest weights first, as many as find room.

    A column is a filter, its pieces beside it; the rows are the input channels. Black is negative,
    white positive and mid-gray 0; each filter has a scale of its own, which its channels share.

    Args:
        banks: at least one.
        name: of the model.
    """
    figure = new_figure()
    width, height = figure.get_size_inches()
    figure.text(
        _MARGIN_IN / width,
        1 - 0.25 / height,
        f"First-layer filters: {name}",
        va="top",
        fontsize=22,
        fontweight="bold",
        color=INK,
    )
    figure.text(
        1 - _MARGIN_IN / width,
        0.12 / height,
        _NOTE,
        ha="right",
        va="bottom",
        fontsize=12,
        color=FAINT,
    )
    top, share = height - 0.85, (height - 0.85 - 0.4) / len(banks)
    for index, bank in enumerate(banks):
        _draw_bank(figure, bank, top - index * share, share)
    return figure


def _draw_bank(figure: Figure, bank: FilterBank, top: float, share: float) -> None:
    """Draw filters of a bank below the height `top` in a strip `share` high, both in inches."""
    width, height = figure.get_size_inches()
    _, pieces, channels, size, _ = bank.weights.shape
    rows, columns = channels * (size + 1), pieces * (size + 1) + 1  # cells of a column of filters
    room = (width - _NAMES_IN - _MARGIN_IN, share - 0.5)
    cell = max(1, int(min(_FILTER_IN / size, room[1] / rows) * DPI)) / DPI  # whole pixels
    step = (rows + 3) * cell
    across = max(1, int(room[0] / (columns * cell)))
    blocks = min(max(1, int((room[1] + 3 * cell) / step)), -(-len(bank.weights) // across))
    strongest = np.argsort(-np.square(bank.weights).sum(axis=(1, 2, 3, 4)), kind="stable")
    shown = strongest[: blocks * across]
    figure.text(
        _MARGIN_IN / width, top / height, bank.title(len(shown)), va="top", fontsize=16, color=INK
    )
    for block in range(blocks):
        picture = _mosaic(bank.weights[shown[block * across : (block + 1) * across]])
        lower = top - 0.42 - block * step - rows * cell
        size_in = (picture.shape[1] * cell, rows * cell)
        axes = figure.add_axes(
            (_NAMES_IN / width, lower / height, size_in[0] / width, size_in[1] / height)
        )
        axes.imshow(picture, cmap=_GRAY, vmin=-1, vmax=1, interpolation="nearest", aspect="auto")
        axes.set_frame_on(False)
        axes.set_xticks([])
        axes.set_yticks((np.arange(channels) + 0.5) * (size + 1) - 1, bank.channels)
        axes.tick_params(length=0, labelsize=13 if channels < 6 else 11, labelcolor=INK)


def _mosaic(weights: np.ndarray) -> np.ndarray:
    """Return filters (maps, pieces, channels, k, k) in one masked array, a channel in each row."""
    maps, _, channels, size, _ = weights.shape
    scale = np.abs(weights).max(axis=(2, 3, 4), keepdims=True)
    filters = weights / np.maximum(scale, np.finfo(np.float32).tiny)
    filters = np.pad(filters, [(0, 0)] * 3 + [(0, 1), (0, 1)], constant_values=np.nan)
    strips = filters.transpose(2, 3, 0, 1, 4).reshape(channels * (size + 1), maps, -1)
    strips = np.pad(strips, [(0, 0), (0, 0), (0, 1)], constant_values=np.nan)
    return np.ma.masked_invalid(strips.reshape(len(strips), -1))
