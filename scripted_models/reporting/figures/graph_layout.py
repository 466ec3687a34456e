"""Places of the nodes of a directed graph in columns, with lines that pass between the nodes.

Hand-written, as no library at hand lays out graphs. Sugiyama's way: a node's column is its longest
distance from the start. A line over several columns gets a waypoint in each. The order inside the
columns follows the neighbors' places.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

_ROUNDS = 60
_STRAIGHT = 8  # weight of a line between nodes that have no other line there


@dataclass(frozen=True)
class Layout:
    """Where nodes and lines lie.

    Columns are whole numbers, lanes any numbers with distance 1 or more.

    Attributes:
        places: (column, lane) of each node.
        lines: the points of each line, from a node to its user.
    """

    places: list[tuple[int, float]]
    lines: list[list[tuple[int, float]]]

    @property
    def columns(self) -> int:
        """Number of columns."""
        return 1 + max(column for column, _ in self.places)


def lay_out(inputs: Sequence[Sequence[int]]) -> Layout:
    """Place a graph.

    Args:
        inputs: for each node the nodes that it reads, all of them earlier in the list.
    """
    columns: list[int] = []
    for sources in inputs:
        columns.append(1 + max((columns[source] for source in sources), default=-1))
    count = len(columns)
    chains = []
    for node, sources in enumerate(inputs):
        for source in sources:
            waypoints = range(len(columns), len(columns) + columns[node] - columns[source] - 1)
            columns += range(columns[source] + 1, columns[node])
            chains.append([source, *waypoints, node])
    lanes = _lanes(columns, [pair for chain in chains for pair in pairwise(chain)])
    places = [(column, float(lane)) for column, lane in zip(columns, lanes, strict=True)]
    return Layout(places[:count], [[places[node] for node in chain] for chain in chains])


def _lanes(columns: list[int], pairs: list[tuple[int, int]]) -> np.ndarray:
    """Return a lane for each node: near the mean of its neighbors, 1 from others in its column."""
    leaving, arriving = Counter(s for s, _ in pairs), Counter(t for _, t in pairs)
    neighbors: defaultdict[int, list[int]] = defaultdict(list)
    for source, target in pairs:
        weight = _STRAIGHT if leaving[source] == arriving[target] == 1 else 1
        neighbors[source] += [target] * weight
        neighbors[target] += [source] * weight
    members = [np.flatnonzero(np.equal(columns, c)).tolist() for c in range(max(columns) + 1)]
    lanes = np.zeros(len(columns))
    for nodes in members:
        lanes[nodes] = np.arange(len(nodes)) - (len(nodes) - 1) / 2
    for done in range(_ROUNDS):
        for nodes in members if done % 2 else members[::-1]:
            wanted = np.array(
                [lanes[neighbors[node]].sum() / max(1, len(neighbors[node])) for node in nodes]
            )
            order = np.argsort(wanted, kind="stable")
            lanes[np.take(nodes, order)] = _apart(wanted[order])
    return lanes - (lanes.min() + lanes.max()) / 2


def _apart(wanted: np.ndarray) -> np.ndarray:
    """Return ascending places at least 1 apart, on average where they are wanted."""
    placed = wanted.copy()
    for index in range(1, len(placed)):
        placed[index] = max(placed[index], placed[index - 1] + 1)
    return placed + np.mean(wanted - placed)
