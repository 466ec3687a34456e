"""A network as a graph of operations: traced once, then compared with itself at another size.

A trace keeps what Python decided while it ran. So the graph is shown two other images of another
size; where it then says something else, it is refused. A network that says so serves one size only.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from scripted_models.errors import ModelError
from scripted_models.networks.slice_network import SegmentationNetwork

LEAST_EDGE = {2: 32, 3: 8}  # pixels along an axis of what is traced of a network that pads
CLOSE = 1e-4  # of the largest logit; the same operations may be joined otherwise


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
        window: along the axes of a network of volumes, what it sees at a time; that is traced of
            one that serves one size only.

    Raises:
        ModelError: the network says why it cannot be traced, or its trace says something else.
    """
    for layer in network.modules():
        if why := getattr(layer, "untraceable", ""):
            raise _refusal(str(why))
    first, second = _sizes(network)
    size, compared = first, (2, *second)
    if network.one_size:
        size = tuple(window) or first
        compared = (1, *size)
    graph = _traced(network, size)
    if not _agrees(graph, network, compared):
        raise _refusal("its trace serves the traced image alone")
    return TracedNetwork(graph, _image(network, (1, *size)), not network.one_size)


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
    least = LEAST_EDGE[network.dimensions]
    multiples = getattr(network, "multiples", (1,) * network.dimensions)
    *others, last = (max(multiple, least) for multiple in multiples)
    first = (*others, 2 * last)  # more than one pixel of the lowest level, as norms of images need
    return first, tuple(edge + 1 for edge in first)


def _traced(network: SegmentationNetwork, size: Sequence[int]) -> torch.jit.ScriptModule:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what becomes a constant: that is compared
        image = _image(network, (1, *size))
        graph: torch.jit.ScriptModule = torch.jit.trace(network, image, check_trace=False)
    return graph


def _agrees(
    graph: torch.jit.ScriptModule, network: SegmentationNetwork, shape: Sequence[int]
) -> bool:
    """Compare on images of a shape, the number of images first."""
    images = _image(network, shape, seed=1)
    with torch.no_grad():
        expected = network(images)
        try:
            found = graph(images)
        except RuntimeError:  # sizes that became constants
            return False
    if found.shape != expected.shape:
        return False
    allowed = CLOSE * float(expected.abs().max())
    return bool((found - expected).abs().max() <= allowed)


def _image(network: SegmentationNetwork, shape: Sequence[int], seed: int = 0) -> torch.Tensor:
    images, *size = shape
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((images, network.input_channels, *size), generator=generator)
