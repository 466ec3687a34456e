"""A network as a graph of operations: traced once, then compared with itself at another size.

A trace keeps what Python decided while it ran. So the graph is shown a second image of another size
and another batch; where it then says something else, it serves the size of its trace alone.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scripted_models.errors import ModelError
from scripted_models.networks.slice_network import SegmentationNetwork, VolumeNetwork

LEAST_EDGE = 32  # pixels of the traced slice of a network that pads
CLOSE = 1e-3  # of the largest logit; the same operations may be joined otherwise


@dataclass(frozen=True, eq=False)
class TracedNetwork:
    """A network without its Python.

    Attributes:
        graph: maps (N, C, ...) to logits.
        example: the image that it was traced with.
        any_size: whether it serves other sizes and batches than that of the example.
    """

    graph: torch.jit.ScriptModule
    example: torch.Tensor
    any_size: bool

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels of the example along each axis."""
        return tuple(self.example.shape[2:])


def traced(network: SegmentationNetwork, window: Sequence[int] = ()) -> TracedNetwork:
    """Trace a network.

    Args:
        network: in evaluation mode, on the CPU.
        window: along the axes of a network of volumes, what it sees at a time; that is traced where
            the graph serves one size only.

    Raises:
        ModelError: the network says why it cannot be traced, or its trace says something else.
    """
    for layer in network.modules():
        if why := getattr(layer, "untraceable", ""):
            raise _refusal(str(why))
    first, second = _sizes(network)
    found = _traced(network, first)
    if _agrees(found, network, (2, network.input_channels, *second)):
        return TracedNetwork(found, _image((1, network.input_channels, *first)), True)
    size = tuple(window) or first
    found = _traced(network, size)
    shape = (1, network.input_channels, *size)
    if not isinstance(network, VolumeNetwork) or not _agrees(found, network, shape):
        raise _refusal("its trace serves the traced image alone")
    return TracedNetwork(found, _image(shape), False)


def _refusal(why: str) -> ModelError:
    return ModelError(
        found=f"a network that cannot be exported ({why})",
        expected="one whose operations do not depend on the values of an image",
        action="use it in this program, or export another model",
    )


def _sizes(network: SegmentationNetwork) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the size to trace, and another one to compare."""
    if not network.pads:
        edge = sum(network.margins) + 4
        return (edge, edge + 3), (edge + 7, edge + 1)
    least = 1 if isinstance(network, VolumeNetwork) else LEAST_EDGE
    multiples = getattr(network, "multiples", (1,) * network.dimensions)
    *others, last = (max(multiple, least) for multiple in multiples)
    first = (*others, 2 * last)  # more than one pixel of the lowest level, as norms of images need
    return first, tuple(edge + 3 + 5 * axis for axis, edge in enumerate(first))


def _traced(network: SegmentationNetwork, size: Sequence[int]) -> torch.jit.ScriptModule:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what becomes a constant: that is compared
        image = _image((1, network.input_channels, *size))
        graph: torch.jit.ScriptModule = torch.jit.trace(network, image, check_trace=False)
    return graph


def _agrees(
    graph: torch.jit.ScriptModule, network: SegmentationNetwork, shape: Sequence[int]
) -> bool:
    image = _image(shape, seed=1)
    with torch.no_grad():
        expected = network(image)
        try:
            found = graph(image)
        except RuntimeError:  # sizes that became constants
            return False
    if found.shape != expected.shape:
        return False
    allowed = CLOSE * float(expected.abs().max())
    return bool((found - expected).abs().max() <= allowed)


def _image(shape: Sequence[int], seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(tuple(shape), generator=generator)
