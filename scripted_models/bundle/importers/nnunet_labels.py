"""Labels and regions in `dataset.json` of nnU-Net, in the order of the network's outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripted_models.bundle.importers.foreign_words import is_cavity, region_of
from scripted_models.bundle.importers.source import ForeignSource

_INSIDE_OUT = ("WT", "TC", "ET")  # as they are written one over the other


@dataclass(frozen=True)
class Targets:
    """What the outputs of a network are called.

    Attributes:
        regions: whether they are regions, each with a sigmoid.
        seen: names of the outputs that are used, in their order.
        unseen: places of the others, among regions only.
    """

    regions: bool
    seen: tuple[str, ...]
    unseen: tuple[int, ...] = ()


def read_targets(dataset: Mapping[str, Any], source: ForeignSource) -> Targets:
    """Read the labels of a data set.

    Raises:
        ModelError: none, or regions that do not lie inside each other.
    """
    stated = dataset.get("labels")
    if not isinstance(stated, Mapping) or not 2 <= len(stated) <= 16:
        raise source.refusal("no 'labels' in dataset.json", "them")
    if all(isinstance(value, str) for value in stated.values()):  # of version 1: '0': name
        stated = {name: int(key) for key, name in stated.items() if key.isdigit()}
    own = {name: _values(value, source) for name, value in stated.items() if name != "ignore"}
    if any(isinstance(value, list | tuple) for value in stated.values()):
        return _regions(dataset, own, source)
    ordered = sorted(own, key=lambda name: own[name])
    if [own[name] for name in ordered] != [(index,) for index in range(len(own))]:
        raise source.refusal("labels that do not count from 0", "0, 1, 2 and so on")
    return Targets(False, tuple(ordered))


def _regions(
    dataset: Mapping[str, Any], own: Mapping[str, tuple[int, ...]], source: ForeignSource
) -> Targets:
    """Return regions, which have outputs in the order in which they are stated."""
    inside = {name: set(values) for name, values in own.items() if values != (0,)}
    names = list(inside)
    order = dataset.get("regions_class_order")
    if not isinstance(order, list) or len(order) != len(names):
        raise source.refusal("no 'regions_class_order' for all regions in dataset.json", "it")
    unseen = tuple(index for index, name in enumerate(names) if is_cavity(name))
    seen = tuple(name for name in names if not is_cavity(name))
    known = [region_of(name) for name in seen]
    if all(known):
        if tuple(known) != _INSIDE_OUT:
            raise source.refusal(f"the regions {', '.join(seen)[:80]}", "WT, TC, ET in this order")
        whole, core, enhancing = (inside[name] for name in seen)
        if not whole > core > enhancing:
            raise source.refusal("regions that do not lie inside each other", "ET in TC in WT")
    return Targets(True, seen, unseen)


def _values(value: object, source: ForeignSource) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values or not all(type(part) is int and 0 <= part < 256 for part in values):
        raise source.refusal(f"the label {str(value)[:40]}", "whole numbers")
    return values
