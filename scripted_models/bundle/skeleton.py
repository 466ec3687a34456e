"""A network built as a description says, without allocating more than its weights need.

It is built on PyTorch's meta device first, where tensors have shapes and no values, and only built
for real when every shape is that of the weights at hand.
"""

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.modules import module as hooks
from torch.overrides import TorchFunctionMode

from scripted_models.bundle.description import ACTION, NetworkDescription
from scripted_models.errors import ModelError
from scripted_models.networks import NETWORKS, NetworkEntry, build_network
from scripted_models.networks.slice_network import SegmentationNetwork
from scripted_models.runtime.typed_tables import read_value, refusing, shown

FEWEST_LAYERS, LAYERS_PER_TENSOR = 1000, 20  # that building may register
Shapes = dict[str, tuple[int, ...]]


def build_fitting(stated: NetworkDescription, shapes: Shapes) -> SegmentationNetwork:
    """Build a network whose tensors have given shapes.

    Args:
        stated: its name and arguments.
        shapes: of the weights, by name.

    Returns:
        The network with values of its own.

    Raises:
        ModelError: it cannot be built, or its tensors have other names or shapes.
    """
    with refusing(ModelError, action=ACTION):
        check_arguments(stated.name, stated.arguments)
    most = FEWEST_LAYERS + LAYERS_PER_TENSOR * len(shapes)
    with torch.device("meta"), _NoValues(), _at_most(most):
        skeleton = _build(stated)
    expected = {key: tuple(value.shape) for key, value in skeleton.state_dict().items()}
    if expected != shapes:
        wrong = sorted(set(expected.items()) ^ set(shapes.items()))[:3]
        raise ModelError(
            found=f"weights that do not fit {stated.name} (for example {shown(wrong)})",
            expected="those of this network",
            action="the folder mixes files of different models",
        )
    return _build(stated)


class _NoValues(TorchFunctionMode):
    """Leave out `normal_`, which on the meta device does nothing but import PyTorch's compiler."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        return args[0] if func is torch.Tensor.normal_ else func(*args, **(kwargs or {}))


def _build(stated: NetworkDescription) -> SegmentationNetwork:
    try:
        return build_network(stated.name, **stated.arguments)
    except ModelError:
        raise
    except Exception as error:  # networks raise many kinds for arguments they cannot take
        why = str(error) if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}"
        why = why.partition("\n")[0][:200]
        raise ModelError(
            found=f"the arguments {shown(dict(stated.arguments))} for {stated.name} ({why})",
            expected="those that it takes",
            action=ACTION,
        ) from error


def check_arguments(
    name: str, arguments: Mapping[str, Any], where: str = "network.arguments"
) -> None:
    """Compare arguments with the type hints of the network that takes them.

    Raises:
        UnfitError: an argument of another type, also true where a number is meant.
        ModelError: unknown network.
    """
    if name not in NETWORKS:
        build_network(name)  # says which are known
    entry = NETWORKS[name]
    named = inspect.signature(entry.build).parameters.values()
    hints = {p.name: p.annotation for p in named if p.kind is not p.VAR_KEYWORD}
    for key, value in arguments.items():
        if key in entry.parts and isinstance(value, Mapping):
            check_arguments(entry.parts[key], value, f"{where}.{key}")
        elif key in hints and hints[key] is not inspect.Parameter.empty:
            read_value(hints[key], value, f"{where}.{key}")
        elif (inner := _inner(entry, arguments)) and key != "network":
            check_arguments(inner, {key: value}, where)


def _inner(entry: NetworkEntry, arguments: Mapping[str, Any]) -> str:
    """Return the name of the network that gets the arguments which an outer one has no name for."""
    chosen = inspect.signature(entry.build).parameters.get("network")
    if chosen is not None:
        return str(arguments.get("network", chosen.default))
    return next(iter(entry.parts.values()), "")


@contextmanager
def _at_most(most: int) -> Iterator[None]:
    """Raise RuntimeError in this thread once more layers and tensors are registered than `most`."""
    count, thread = 0, threading.get_ident()

    def register(*_: object) -> None:
        nonlocal count
        count += threading.get_ident() == thread
        if count > most:
            raise RuntimeError("more layers than its weights are for")

    handles = [
        hooks.register_module_module_registration_hook(register),
        hooks.register_module_parameter_registration_hook(register),
        hooks.register_module_buffer_registration_hook(register),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
