"""The networks of other programs that are known here, and what may stand in their arguments."""

import inspect
from collections.abc import Mapping
from typing import Any

from scripted_models.bundle.description_parts import NetworkDescription
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.networks.monai_networks import ADOPTED

_CLASSES = {adopted.monai: name for name, adopted in ADOPTED.items()}
_CLASSES |= {"BasicUnet": "BasicUNet", "Unet": "MonaiUNet"}  # MONAI's other names of the same
_PLACES = ("", "monai.networks.nets.")
_SIZES = ("in_channels", "out_channels", "spatial_dims", "dimensions")
_IGNORED = ("img_size", "use_checkpoint")  # of SwinUNETR: checked before it runs, saves memory


def literal(value: object, where: str, source: ForeignSource) -> Any:
    """Return a value that is data; expressions, references and objects are refused.

    Raises:
        ModelError: so it is.
    """
    if isinstance(value, str) and value[:1] in ("$", "@", "%"):
        what = {"$": "the expression", "@": "the reference", "%": "the macro"}[value[0]]
        raise source.refusal(f"{what} {value[:80]!r} in '{where}'", "plain values there")
    if isinstance(value, Mapping):
        if marked := [key for key in value if not isinstance(key, str) or key.startswith("_")]:
            raise source.refusal(f"'{str(marked[0])[:40]}' in '{where}'", "plain values there")
        return {key: literal(part, f"{where}.{key}", source) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [literal(part, where, source) for part in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise source.refusal(f"a {type(value).__name__} in '{where}'", "plain values there")


def target_of(stated: object, where: str, source: ForeignSource) -> tuple[str, dict[str, Any]]:
    """Return the name of a class and its arguments from a table with '_target_'.

    Raises:
        ModelError: it is none, or an argument is no plain value.
    """
    if not isinstance(stated, Mapping) or not isinstance(stated.get("_target_"), str):
        raise source.refusal(f"no table with '_target_' as '{where}'", "one")
    arguments = {key: value for key, value in stated.items() if key != "_target_"}
    return stated["_target_"], literal(arguments, where, source)


def monai_network(stated: object, where: str, source: ForeignSource) -> NetworkDescription:
    """Return the network that a table of MONAI describes, all arguments stated.

    Raises:
        ModelError: one that is not known, of two dimensions, or with expressions.
    """
    target, arguments = target_of(stated, where, source)
    place, _, name = target.rpartition(".")
    if name not in _CLASSES or (place and f"{place}." not in _PLACES):
        known = ", ".join(sorted({adopted.monai for adopted in ADOPTED.values()}))
        raise source.refusal(f"the network {target[:80]!r}", f"one of {known} (MONAI)")
    if arguments.get("spatial_dims", arguments.get("dimensions", 3)) != 3:
        raise source.refusal(f"a {target[:80]} that is not of 3 dimensions", "one of volumes")
    for key in ("in_channels", "out_channels"):
        if not isinstance(arguments.get(key), int) or not 1 <= arguments[key] <= 16:
            raise source.refusal(f"no plain '{key}' of 1 to 16 in '{where}'", "one")
    own = {k: v for k, v in arguments.items() if k not in (*_SIZES, *_IGNORED)}
    sizes = {"in_channels": arguments["in_channels"], "num_classes": arguments["out_channels"]}
    registered = _CLASSES[name]
    return NetworkDescription(
        f"{registered}3D", {**sizes, **_defaults(registered, own, source), **own}
    )


def sizes_of(network: NetworkDescription) -> tuple[int, int]:
    """Return how many channels and outputs a network has."""
    channels, outputs = (network.arguments[key] for key in ("in_channels", "num_classes"))
    assert isinstance(channels, int)
    assert isinstance(outputs, int)
    return channels, outputs


def _defaults(name: str, own: Mapping[str, Any], source: ForeignSource) -> dict[str, Any]:
    """Return MONAI's values of the arguments that this program has other values for."""
    from monai.networks import nets  # slow to import

    parameters = inspect.signature(getattr(nets, ADOPTED[name].monai)).parameters
    found = {}
    for key in sorted(set(ADOPTED[name].arguments) - set(own)):
        if key not in parameters or parameters[key].default is inspect.Parameter.empty:
            raise source.refusal(f"no '{key}' of the network", "it")
        found[key] = literal(parameters[key].default, key, source)
    return found
