"""What a network does to an image, recorded while it runs once without computing anything.

Tensors on PyTorch's meta device have shapes and no values. So control flow on shapes, which
torch.fx cannot trace, needs no care, and large volumes cost nothing.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from scripted_models.networks.crf import DenseCRF
from scripted_models.networks.slice_network import SegmentationNetwork

IMAGE, LAYER, JOIN = "image", "layer", "join"
_PIXELS = {2: 1024, 3: 128}  # along an axis; so many that padding does not look like another level
_CONVOLUTIONS = {"conv": "conv", "conv_transpose": "up-conv"}
_POOLS = {"max_pool": "max-pool", "avg_pool": "mean-pool"}
_JOINS = {"cat": "concatenation", "concat": "concatenation", "mul": "product"}
_ATTENTION = "BasicLayer"  # of MONAI's SwinUNETR, whose maps have their channels last


@dataclass(frozen=True)
class Operation:
    """A layer, or maps joined.

    Attributes:
        kind: IMAGE, LAYER or JOIN (of several maps).
        label: in words.
        channels: of its result.
        level: how often the resolution was halved, along the last axis.
        inputs: the operations whose results it reads.
    """

    kind: str
    label: str
    channels: int
    level: int
    inputs: tuple[int, ...]


def record(network: SegmentationNetwork) -> list[Operation]:
    """Run a network once on an image without values.

    Args:
        network: is set to evaluation mode; its weights are not touched.

    Returns:
        What the result is made of, in the order of computation. The first is the image.
    """
    size = (_PIXELS[network.dimensions],) * network.dimensions
    image = torch.empty(1, network.input_channels, *size, device="meta")
    tensors = (*network.named_parameters(), *network.named_buffers())
    weights = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    recorder = _Recorder(image)
    with ExitStack() as stack:
        for module in network.eval().modules():
            if _closed_label(module):
                _close(module, recorder, stack)
        stack.enter_context(torch.no_grad())
        stack.enter_context(recorder)
        result = functional_call(network, weights, (image,))
    return _used(recorder.operations, recorder.place.get(id(result), 0))


class _Recorder(TorchFunctionMode):
    """Notes which operations tensors come from."""

    def __init__(self, image: torch.Tensor):
        super().__init__()
        self.operations = [Operation(IMAGE, "image", image.shape[1], 0, ())]
        self.place = {id(image): 0}  # tensor -> operation
        self.alive = [image]  # so that no other tensor gets its id
        self.is_closed = False  # inside a module that is one operation

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        read, results = self.read(args, kwargs), list(_tensors(result))
        if read and results and not self.is_closed:
            name = func.__name__.strip("_")
            self.note(read, results, _label(name, args, kwargs, read[0], results[0]), name)
        return result

    def read(self, *values: object) -> list[torch.Tensor]:
        """Return those of the arguments that come from the image."""
        return [tensor for tensor in _tensors(values) if id(tensor) in self.place]

    def note(
        self, read: list[torch.Tensor], results: list[torch.Tensor], label: str, name: str = ""
    ) -> None:
        """Note a layer, or several maps joined; all else is of no interest to a reader."""
        inputs = tuple(dict.fromkeys(self.place[id(tensor)] for tensor in read))
        place = inputs[0]
        if label or len(inputs) > 1:
            before, maps, place = self.operations[inputs[0]], results[0], len(self.operations)
            halvings = round(math.log2(read[0].shape[-1] / maps.shape[-1]))
            kind, label = (LAYER, label) if label else (JOIN, _JOINS.get(name, "sum"))
            level = before.level + halvings
            self.operations.append(Operation(kind, label, maps.shape[1], level, inputs))
        self.place |= {id(tensor): place for tensor in results}
        self.alive += results


def _tensors(values: object) -> Iterator[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, Mapping):
        yield from _tensors(list(values.values()))
    elif isinstance(values, (list, tuple)):
        for value in values:
            yield from _tensors(value)


def _label(
    name: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    source: torch.Tensor,
    result: torch.Tensor,
) -> str:
    """Return a layer in words; empty for what is none."""
    kind = name.rstrip("d").rstrip("23")
    if kind in _CONVOLUTIONS:
        return _convolution_label(_CONVOLUTIONS[kind], args, kwargs)
    if kind in _POOLS:
        size = args[1] if len(args) > 1 else kwargs["kernel_size"]
        sizes = size if isinstance(size, (tuple, list)) else (size,) * (source.dim() - 2)
        return f"{_POOLS[kind]} {_by(sizes)}"
    if name == "interpolate" and result.shape[-1] != source.shape[-1]:
        return "interpolation"
    return ""


def _convolution_label(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    names = ["input", "weight", "bias", "stride", "padding"]
    names += ["dilation"] if name == "conv" else ["output_padding", "groups", "dilation"]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    words = [f"{name} {_by(given['weight'].shape[2:])}"]
    for option in ("stride", "dilation") if name == "conv" else ():
        steps = given.get(option, 1)
        step = steps if isinstance(steps, int) else steps[-1]
        words += [f"{option} {step}"] * (step > 1)
    return ", ".join(words)


def _by(sizes: Sequence[int]) -> str:
    """Return sizes along axes in words, of cubes as a power."""
    if len(sizes) == 3 and len(set(sizes)) == 1:
        return f"{sizes[0]}³"
    return "×".join(map(str, sizes))


def _closed_label(module: nn.Module) -> str:
    """Return a module that is one operation in words; empty for all others."""
    if isinstance(module, DenseCRF):
        return f"dense CRF, {module.test_iterations} iterations"
    if type(module).__name__ == _ATTENTION:
        blocks = list(module.get_submodule("blocks").children())
        return f"{len(blocks)} × attention in windows"
    return ""


def _close(module: nn.Module, recorder: _Recorder, stack: ExitStack) -> None:
    """Let a module be one operation; a dense CRF, which needs values, does not run."""

    def enter(*_: object) -> None:
        recorder.is_closed = True

    def leave(_: nn.Module, inputs: tuple[Any, ...], result: torch.Tensor) -> None:
        recorder.is_closed = False
        recorder.note(recorder.read(inputs), [result], _closed_label(module))

    for handle in (
        module.register_forward_pre_hook(enter),
        module.register_forward_hook(leave),
    ):
        stack.callback(handle.remove)
    if isinstance(module, DenseCRF):
        stack.callback(delattr, module, "forward")
        module.forward = lambda logits, *_: torch.empty_like(logits)  # type: ignore[method-assign]


def _used(operations: list[Operation], output: int) -> list[Operation]:
    """Return the operations that the result is made of, without the others."""
    used = {output, 0}
    for index in range(output, -1, -1):
        if index in used:
            used.update(operations[index].inputs)
    place = {old: new for new, old in enumerate(sorted(used))}
    return [
        Operation(o.kind, o.label, o.channels, o.level, tuple(place[i] for i in o.inputs))
        for o in (operations[index] for index in sorted(used))
    ]
