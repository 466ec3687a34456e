"""A diagram of a network, drawn from its code, for a slide."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch
from matplotlib.path import Path as Curve

from scripted_models.networks.slice_network import SegmentationNetwork, SliceNetwork
from scripted_models.reporting.figures.canvas import FAINT, INK, SLIDE_IN, new_figure
from scripted_models.reporting.figures.graph_layout import Layout, lay_out
from scripted_models.reporting.figures.level_diagram import draw_levels
from scripted_models.reporting.figures.network_trace import Stage, trace_network
from scripted_models.reporting.figures.stage_symbol import (
    COLORS,
    KIND_NAMES,
    OUTPUT,
    Symbol,
    width_of,
)

_TOP_IN, _BOTTOM_IN, _SIDE_IN = 1.3, 0.55, 1.05  # around the graph
_WAYPOINT_IN = 0.1
_LARGEST, _WIDEST = 1.35, 1.3  # scale of symbols, stretch of the distance between lanes


def draw_architecture(name: str, network: SegmentationNetwork, source: str = "") -> Figure:
    """Draw a network from left to right on a 16:9 slide.

    Of networks that see a pixel's patch without padding, the maps of one patch are drawn; of
    others, the layers at each resolution. Of an ensemble of the latter one member is drawn.

    Args:
        name: of the network.
        network: is set to evaluation mode.
        source: paper and section.
    """
    figure = new_figure()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, SLIDE_IN[0])
    axes.set_ylim(0, SLIDE_IN[1])
    axes.set_axis_off()
    if isinstance(network, SliceNetwork) and any(network.margins):
        _write_title(axes, name, network, source)
        _draw_stages(axes, trace_network(network))
        return figure
    members = list(getattr(network, "members", ()))
    _write_title(axes, name, network, source, len(members))
    draw_levels(axes, members[0] if members else network)
    return figure


def _draw_stages(axes: Axes, stages: list[Stage]) -> None:
    _draw_graph(axes, stages, lay_out([stage.inputs for stage in stages]))
    kinds = {stage.kind for stage in stages[:-1]} | {OUTPUT}
    keys = [
        Patch(facecolor=COLORS[kind], edgecolor=INK, label=KIND_NAMES[kind])
        for kind in COLORS
        if kind in kinds
    ]
    axes.legend(
        handles=keys,
        loc="lower left",
        ncols=len(keys),
        frameon=False,
        fontsize=14,
        bbox_to_anchor=(0.02, 0.005),
        handlelength=1,
    )
    axes.text(
        SLIDE_IN[0] - 0.3,
        0.24,
        "channels × height × width of one patch",
        ha="right",
        fontsize=13,
        color=FAINT,
    )


def _write_title(
    axes: Axes, name: str, network: SegmentationNetwork, source: str, members: int = 0
) -> None:
    counts = [(p.numel(), p.requires_grad) for p in network.parameters()]
    trained = sum(count for count, trains in counts if trains)
    fixed = sum(count for count, trains in counts if not trains)
    facts = [f"{trained:,} trainable parameters", f"{fixed:,} fixed"][: 2 if fixed else 1]
    facts.append(
        "receptive field " + " × ".join([f"{network.receptive_field}"] * network.dimensions)
    )
    facts += [f"one of {members} such networks"] * bool(members)
    axes.text(0.4, SLIDE_IN[1] - 0.25, name, va="top", fontsize=28, fontweight="bold", color=INK)
    axes.text(0.4, SLIDE_IN[1] - 0.85, "   ·   ".join(facts), va="top", fontsize=17, color=INK)
    axes.text(
        SLIDE_IN[0] - 0.3, SLIDE_IN[1] - 0.3, source, va="top", ha="right", fontsize=12, color=FAINT
    )


def _draw_graph(axes: Axes, stages: list[Stage], layout: Layout) -> None:
    symbols = [Symbol(stage, width_of(stage, stages[0]), stage.kind) for stage in stages]
    used = {source for stage in stages for source in stage.inputs}
    for index, symbol in enumerate(symbols):
        if index not in used:
            symbol.color = OUTPUT
    column = (SLIDE_IN[0] - 2 * _SIDE_IN) / max(1, layout.columns - 1)
    scale, lane, middle = _fit(symbols, layout, column)

    def point(place: tuple[int, float]) -> tuple[float, float]:
        return _SIDE_IN + place[0] * column, middle - place[1] * lane

    ends = dict(zip(layout.places, symbols, strict=True))
    for line in layout.lines:
        points = [point(place) for place in line]
        points[0] = ends[line[0]].exit(points[0], scale)
        points[-1] = ends[line[-1]].entry(points[-1], scale)
        _draw_line(axes, points, scale)
    for symbol, place in zip(symbols, layout.places, strict=True):
        symbol.draw(axes, point(place), scale)


def _fit(symbols: Sequence[Symbol], layout: Layout, column: float) -> tuple[float, float, float]:
    """Choose how large symbols are drawn, and where, so that none touches another.

    Args:
        symbols: one for each place.
        layout: their places.
        column: distance of columns in inches.

    Returns:
        Scale of the symbols, distance of lanes in inches, and height of lane 0 in inches.
    """
    room = {place: (s.above, s.below) for place, s in zip(layout.places, symbols, strict=True)}
    columns: defaultdict[int, set[tuple[float, float, float]]] = defaultdict(set)
    for place in [*layout.places, *(place for line in layout.lines for place in line)]:
        columns[place[0]].add((place[1], *room.get(place, (_WAYPOINT_IN, _WAYPOINT_IN))))
    pairs = [pair for members in columns.values() for pair in pairwise(sorted(members))]
    lane = max(((a[2] + b[1]) / (b[0] - a[0]) for a, b in pairs), default=0.0)
    everything = [one for members in columns.values() for one in members]
    span = max(one[0] for one in everything) - min(one[0] for one in everything)
    height = SLIDE_IN[1] - _TOP_IN - _BOTTOM_IN

    def reach(lane: float) -> tuple[float, float]:
        upper = max(above - place * lane for place, above, _ in everything)
        return upper, max(below + place * lane for place, _, below in everything)

    breadth = [0.0] * layout.columns
    for (number, _), symbol in zip(layout.places, symbols, strict=True):
        breadth[number] = max(breadth[number], symbol.breadth)
    widest = max((sum(pair) / 2 for pair in pairwise(breadth)), default=1.0)
    scale = min(_LARGEST, column / widest, height / sum(reach(lane)))
    spare = height / scale - sum(reach(lane))
    lane = min(_WIDEST * lane, lane + spare / max(span, 1.0))
    upper, lower = reach(lane)
    return scale, lane * scale, _BOTTOM_IN + height / 2 - scale * (upper - lower) / 2


def _draw_line(axes: Axes, points: list[tuple[float, float]], scale: float) -> None:
    """Draw an arrow through points, level at each of them."""
    vertices, codes = [points[0]], [Curve.MOVETO]
    for (left, start), (right, end) in pairwise(points):
        bend = (left + right) / 2
        vertices += [(bend, start), (bend, end), (right, end)]
        codes += [Curve.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(vertices, codes),
            arrowstyle="-|>",
            mutation_scale=18 * scale,
            linewidth=2.2 * scale,
            color=FAINT,
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
    )
