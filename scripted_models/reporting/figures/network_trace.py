"""What a network does, read from its code: a graph of feature maps and the operations between them.

The network is traced (torch.fx) and run once on a patch of its receptive field. Every convolution
or other layer with weights begins a new stage. What follows it without weights (maxout, pooling,
dropout) belongs to the same one. Networks inside a network stay closed where they are not trained
with it or stand there several times.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from scripted_models.networks.layers import DensePool, LargeConv2d, Maxout
from scripted_models.networks.slice_network import SliceNetwork

IMAGE, MAPS, JOINED, NETWORK = "image", "maps", "joined", "network"
_LEAVES = (nn.Conv2d, LargeConv2d, Maxout, DensePool, nn.Dropout)
_SIGNS = {
    "add": "+",
    "sub": "−",
    "mul": "×",
    "truediv": "÷",
    "getitem": "crop",
    "scatter_": "scatter",
}
_SILENT = {"clamp_min", "zeros_like", "contiguous"}  # of no interest to a reader


@dataclass
class Stage:
    """Feature maps and how they come about.

    Attributes:
        kind: IMAGE, MAPS, JOINED (made of several) or NETWORK (a closed one).
        shape: (C, H, W) of the maps.
        inputs: indices of the stages that they are made of.
        operations: in words, in order.
        name: class of a closed network.
        parameters: of a closed network.
        is_fixed: a closed network that is not trained.
        copies: how many equal networks, each with weights of its own, stand side by side.
    """

    kind: str
    shape: tuple[int, ...]
    inputs: list[int] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)
    name: str = ""
    parameters: int = 0
    is_fixed: bool = False
    copies: int = 1


@dataclass
class _Operation:
    """A node of the traced graph that makes or changes maps."""

    label: str
    shape: tuple[int, ...]
    inputs: list[int]
    kind: str  # 'image', 'weights', 'network', 'plain' or 'arithmetic'
    module: nn.Module | None = None  # of a closed network


class _Tracer(fx.Tracer):
    def __init__(self, closed: set[str]):
        super().__init__()
        self.closed = closed

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        known = isinstance(m, _LEAVES) or module_qualified_name in self.closed
        return known or super().is_leaf_module(m, module_qualified_name)


def trace_network(network: SliceNetwork) -> list[Stage]:
    """Return the stages of a network in the order of their computation; the first is the image.

    Args:
        network: is set to evaluation mode.
    """
    closed = _closed_networks(network)
    graph = _Tracer(closed).trace(network.eval())
    module = fx.GraphModule(network, graph)
    patch = torch.zeros(1, network.input_channels, network.receptive_field, network.receptive_field)
    with torch.no_grad():
        ShapeProp(module).propagate(patch.to(next(network.parameters())))
    return _stages(_joined_arithmetic(_operations(graph, network, closed)))


def _closed_networks(network: nn.Module) -> set[str]:
    """Return the names of the networks inside a network that are drawn as one block."""
    inner = {
        name: module
        for name, module in network.named_modules()
        if name and hasattr(module, "receptive_field")
    }
    kinds = Counter(type(module) for module in inner.values())
    return {
        name
        for name, module in inner.items()
        if kinds[type(module)] > 1 or not any(p.requires_grad for p in module.parameters())
    }


def _operations(graph: fx.Graph, network: nn.Module, closed: set[str]) -> list[_Operation]:
    """Return what makes or changes maps, without what a reader need not see."""
    found: list[_Operation] = []
    place: dict[fx.Node, int] = {}
    for node in graph.nodes:
        inputs = [place[n] for n in node.all_input_nodes if n in place]
        shape = getattr(node.meta.get("tensor_meta"), "shape", None)
        if node.op == "output" or shape is None or (not inputs and node.op != "placeholder"):
            continue
        operation = _operation(node, network, closed, inputs, tuple(shape[1:]))
        if operation.label or len(set(inputs)) != 1:
            found.append(operation)
            place[node] = len(found) - 1
        else:  # nothing to tell
            place[node] = inputs[0]
    return found


def _operation(
    node: fx.Node, network: nn.Module, closed: set[str], inputs: list[int], shape: tuple[int, ...]
) -> _Operation:
    if node.op == "placeholder":
        return _Operation("image", shape, inputs, "image")
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        if node.target in closed:
            return _Operation(type(module).__name__, shape, inputs, "network", module)
        kind = "weights" if any(p.dim() > 1 for p in module.parameters()) else "plain"
        return _Operation(_layer_label(module), shape, inputs, kind)
    name = node.target if isinstance(node.target, str) else node.target.__name__
    if name in ("cat", "concat"):
        return _Operation("concatenation", shape, inputs, "plain")
    kind = "plain" if name in ("softmax", "getitem") else "arithmetic"
    return _Operation(_arithmetic_label(name, node.args), shape, inputs, kind)


def _layer_label(module: nn.Module) -> str:
    """Return a layer in words; empty for one that does nothing."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        extras = [f"stride {module.stride[0]}"] * (module.stride[0] > 1)
        extras += [f"dilation {module.dilation[0]}"] * (module.dilation[0] > 1)
        name = "transposed conv" if isinstance(module, nn.ConvTranspose2d) else "conv"
        return ", ".join([f"{name} {_by(module.kernel_size)}", *extras])
    if isinstance(module, Maxout):
        return f"maxout {module.pieces}"
    if isinstance(module, DensePool):
        return f"max-pool {_by(module.size)}"
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        name = "max-pool" if isinstance(module, nn.MaxPool2d) else "mean-pool"
        stride = module.stride if isinstance(module.stride, int) else module.stride[0]
        return f"{name} {_by(module.kernel_size)}, stride {stride}"
    if isinstance(module, nn.Dropout):
        return f"dropout {module.p:g}" if module.p else ""
    return "" if isinstance(module, nn.Identity) else type(module).__name__


def _by(size: int | tuple[int, ...]) -> str:
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    return f"{height} × {width}"


def _arithmetic_label(name: str, arguments: tuple[object, ...]) -> str:
    if name in _SILENT:
        return ""
    label = _SIGNS.get(name, name)
    number = arguments[1] if len(arguments) > 1 else None
    return (
        f"{label} {number:g}"
        if name in ("mul", "truediv") and isinstance(number, (int, float))
        else label
    )


def _joined_arithmetic(operations: list[_Operation]) -> list[_Operation]:
    """Contract each connected group of arithmetic with one result into one operation.

    How a network adds and divides is told in a line; single steps would hide the layers.
    """
    group = _arithmetic_groups(operations)
    last = {name: index for index, name in enumerate(group)}
    place: dict[int, int] = {}  # group -> joined operation
    joined = []
    for index, name in enumerate(group):
        if index != last[name]:
            continue
        members = [operations[i] for i, other in enumerate(group) if other == name]
        sources = [group[source] for member in members for source in member.inputs]
        inputs = [place[source] for source in dict.fromkeys(sources) if source != name]
        label = ", ".join(dict.fromkeys(member.label for member in members if member.label))
        joined.append(replace(operations[index], label=label, inputs=inputs))
        place[name] = len(joined) - 1
    return joined


def _arithmetic_groups(operations: list[_Operation]) -> list[int]:
    """Return the group of each operation; all but arithmetic stand alone."""
    group = list(range(len(operations)))
    for index, operation in enumerate(operations):
        for source in operation.inputs:
            if operation.kind == operations[source].kind == "arithmetic":
                old, new = group[source], group[index]
                group = [new if name == old else name for name in group]
    last = {name: index for index, name in enumerate(group)}
    leaving = {  # results used outside before the group is done: joining it would make a circle
        group[source]
        for index, operation in enumerate(operations)
        for source in operation.inputs
        if group[source] != group[index] and source != last[group[source]]
    }
    return [index if name in leaving else name for index, name in enumerate(group)]


def _stages(operations: list[_Operation]) -> list[Stage]:
    """Gather operations: what changes maps without weights belongs to the stage before it."""
    users = Counter(s for operation in operations for s in dict.fromkeys(operation.inputs))
    stages: list[Stage] = []
    place: list[int] = []  # operation -> stage
    for operation in operations:
        inputs = list(dict.fromkeys(place[source] for source in operation.inputs))
        before = stages[inputs[0]] if len(set(operation.inputs)) == 1 else None
        alone = users[operation.inputs[0]] == 1 if operation.inputs else False
        is_plain = operation.kind in ("plain", "arithmetic")
        if before is not None and alone and is_plain and before.kind != IMAGE:
            before.operations.append(operation.label)
            before.shape = operation.shape
            place.append(inputs[0])
        else:
            stages.append(_stage(operation, inputs))
            place.append(len(stages) - 1)
    return _with_repeats(_with_copies(stages))


def _stage(operation: _Operation, inputs: list[int]) -> Stage:
    if operation.kind == "image":
        return Stage(IMAGE, operation.shape)
    if operation.module is not None:
        parameters = list(operation.module.parameters())
        return Stage(
            NETWORK,
            operation.shape,
            inputs,
            name=operation.label,
            parameters=sum(p.numel() for p in parameters),
            is_fixed=not any(p.requires_grad for p in parameters),
        )
    kind = JOINED if len(set(operation.inputs)) > 1 else MAPS
    return Stage(kind, operation.shape, inputs, [operation.label])


def _with_copies(stages: list[Stage]) -> list[Stage]:
    """Make one stage of closed networks that are equal and read the same maps."""
    kept: list[Stage] = []
    place: list[int] = []
    for stage in stages:
        stage.inputs = list(dict.fromkeys(place[source] for source in stage.inputs))
        equal = [i for i, other in enumerate(kept) if replace(other, copies=1) == stage]
        if stage.kind == NETWORK and equal:
            kept[equal[0]].copies += 1
        else:
            kept.append(stage)
        place.append(equal[0] if stage.kind == NETWORK and equal else len(kept) - 1)
    return kept


def _with_repeats(stages: list[Stage]) -> list[Stage]:
    """Make one stage of equal layers in a row that leave the number of maps as it is."""
    users = Counter(source for stage in stages for source in stage.inputs)
    kept: list[Stage] = []
    place: list[int] = []
    layers: dict[int, tuple[list[str], int]] = {}  # kept stage -> what may be repeated, how often
    for stage in stages:
        alone = stage.kind == MAPS and users[stage.inputs[0]] == 1
        stage.inputs = [place[source] for source in stage.inputs]
        target = stage.inputs[0] if alone else -1
        layer, count = layers.get(target, ([], 0))
        if layer and _repeats(stage, layer, kept[target]):
            rest = stage.operations[len(layer) :]
            stage.operations = [f"{count + 1} × ({', '.join(layer)})", *rest]
            stage.inputs = kept[target].inputs
            kept[target] = stage
            layers[target] = ([], 0) if rest else (layer, count + 1)
            place.append(target)
        else:
            kept.append(stage)
            place.append(len(kept) - 1)
            if stage.kind == MAPS:
                layers[len(kept) - 1] = (stage.operations, 1)
    return kept


def _repeats(stage: Stage, layer: list[str], before: Stage) -> bool:
    same = stage.operations[: len(layer)] == layer
    return same and stage.shape[0] == before.shape[0]
