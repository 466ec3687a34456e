"""Labels and regions in `dataset.json` of nnU-Net, in the order of the network's outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripted_models.bundle.importers.foreign_words import region_of
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.labels import RC, REGIONS


@dataclass(frozen=True)
class Targets:
    """What the outputs of a network are called.

    Attributes:
        regions: whether they are regions, each with a sigmoid.
        names: of the outputs, in their order.
    """

    regions: bool
    names: tuple[str, ...]


def read_targets(dataset: Mapping[str, Any], source: ForeignSource) -> Targets:
    """Read the labels of a data set.

    Raises:
        ModelError: none, or regions that do not lie inside each other, one written over the other.
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
    known = {region: name for name in names if (region := region_of(name))}
    if len(known) == len(names) and set(known) >= set(REGIONS):
        if [region for region in known if region != RC] != list(REGIONS):
            raise source.refusal(f"the regions {', '.join(names)[:80]}", "WT, TC, ET in this order")
        whole, core, enhancing = (inside[known[region]] for region in REGIONS)
        if not whole > core > enhancing:
            raise source.refusal("regions that do not lie inside each other", "ET in TC in WT")
        if RC in known and names[-1] != known[RC] and whole & inside[known[RC]]:
            raise source.refusal("a resection cavity inside of the whole tumor", "it beside WT")
    return Targets(True, tuple(names))


def _values(value: object, source: ForeignSource) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not values or not all(type(part) is int and 0 <= part < 256 for part in values):
        raise source.refusal(f"the label {str(value)[:40]}", "whole numbers")
    return values
