"""A diagram of a network with a row for each resolution, for networks that keep the image's size.

The way down and the way up of a U-Net become the two arms of a U.
"""

import inspect
import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path as Curve

from scripted_models.networks.slice_network import SegmentationNetwork
from scripted_models.reporting.figures.canvas import FAINT, INK, SLIDE_IN
from scripted_models.reporting.figures.flow_blocks import Block, blocks_of
from scripted_models.reporting.figures.flow_record import Operation, record
from scripted_models.reporting.figures.level_layout import (
    LARGEST_PT,
    LINE_EM,
    PAD_EM,
    SMALLEST_PT,
    Box,
    place_blocks,
)

_TOP_IN, _BOTTOM_IN, _LEFT_IN, _RIGHT_IN = 1.45, 0.65, 1.0, 0.35  # around the blocks
_ROOM_IN = (SLIDE_IN[0] - _LEFT_IN - _RIGHT_IN, SLIDE_IN[1] - _TOP_IN - _BOTTOM_IN)
_STEP_PT = 0.25
_MOST_LINES = (8, 7, 6, 5, 4)
_COLORS = {
    "image": ("#e6e9ed", "#8d99a6"),
    "layers": ("#e4f0fa", "#2f7fc1"),
    "layers of joined maps": ("#efe8fa", "#8a5fc7"),
    "output": ("#fdeedd", "#d9822b"),
}
_SKIP = "#8a5fc7"
Point = tuple[float, float]


def network_blocks(
    network: SegmentationNetwork, most_lines: int = 6, brief: bool = False
) -> list[Block]:
    """Return the blocks of a network; where it has no layers, one that says what it does.

    Args:
        network: is set to evaluation mode.
        most_lines, brief: see `blocks_of`.
    """
    return _blocks(network, record(network), most_lines, brief)


def _blocks(
    network: SegmentationNetwork,
    operations: Sequence[Operation],
    most_lines: int = 6,
    brief: bool = False,
) -> list[Block]:
    blocks = blocks_of(operations, most_lines, brief)
    if len(blocks) == 1:
        words = (inspect.getdoc(type(network)) or type(network).__name__).partition("\n")[0]
        blocks.append(Block(0, [0], network.num_classes, textwrap.wrap(words, 40)))
    blocks[0].lines = ["image", f"{network.input_channels} channels"]
    return blocks


def draw_levels(axes: Axes, network: SegmentationNetwork) -> None:
    """Draw the blocks of a network and the lines between them.

    Args:
        axes: of a slide, in inches.
        network: is set to evaluation mode.
    """
    blocks, boxes, points = _fitting(network)
    for index, block in enumerate(blocks):
        for source in block.inputs:
            skips = source in block.skips
            _draw_line(axes, _route(boxes, source, index), _SKIP if skips else FAINT)
    for index, (block, box) in enumerate(zip(blocks, boxes, strict=True)):
        _draw_box(axes, box, block, _kind(blocks, index), points)
    _write_levels(axes, blocks, boxes)
    _write_keys(axes, blocks)


def _fitting(network: SegmentationNetwork) -> tuple[list[Block], list[Box], float]:
    """Return blocks with the largest letters that the slide has room for."""
    operations = record(network)
    told = [_blocks(network, operations, lines) for lines in _MOST_LINES]
    for choices in (told, [_blocks(network, operations, brief=True)]):
        for step in range(round((LARGEST_PT - SMALLEST_PT) / _STEP_PT) + 1):
            points = LARGEST_PT - step * _STEP_PT
            for blocks in choices:
                boxes = place_blocks(blocks, points, _ROOM_IN)
                if boxes:
                    for box in boxes:
                        box.x, box.y = box.x + _LEFT_IN, box.y + _BOTTOM_IN
                    return blocks, boxes, points
    raise ValueError(f"{len(told[0])} blocks are too many for a slide")


def _kind(blocks: Sequence[Block], index: int) -> str:
    if index in (0, len(blocks) - 1):
        return "output" if index else "image"
    return "layers of joined maps" if blocks[index].skips else "layers"


def _route(boxes: Sequence[Box], source: int, target: int) -> list[Point]:
    """Return the corners of a line; in a row it passes above what lies between."""
    start, end = boxes[source], boxes[target]
    if abs(start.y - end.y) < 1e-6:
        between = [box for box in boxes[source + 1 : target] if box.y == start.y]
        if not between:
            return [(start.right, start.y), (end.left, end.y)]
        level = max(box.top for box in (*between, start, end)) + 0.13
        return [(start.x, start.top), (start.x, level), (end.x, level), (end.x, end.top)]
    if end.y < start.y and end.left > start.x:
        return [(start.x, start.bottom), (start.x, end.y), (end.left, end.y)]
    if end.y > start.y and end.x > start.right:
        return [(start.right, start.y), (end.x, start.y), (end.x, end.bottom)]
    low, high = max(start.left, end.left), min(start.right, end.right)
    x = ((low + high) / 2,) * 2 if low < high else (start.x, end.x)
    y = (start.bottom, end.top) if end.y < start.y else (start.top, end.bottom)
    return [(x[0], y[0]), (x[0], sum(y) / 2), (x[1], sum(y) / 2), (x[1], y[1])]


def _draw_line(axes: Axes, points: list[Point], color: str) -> None:
    axes.add_patch(
        FancyArrowPatch(
            path=Curve(points),
            arrowstyle="-|>",
            mutation_scale=13,
            linewidth=1.8,
            color=color,
            shrinkA=0,
            shrinkB=0,
            zorder=1,
            joinstyle="round",
        )
    )


def _draw_box(axes: Axes, box: Box, block: Block, kind: str, points: float) -> None:
    face, edge = _COLORS[kind]
    axes.add_patch(
        FancyBboxPatch(
            (box.left, box.bottom),
            box.width,
            box.height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=face,
            edgecolor=edge,
            linewidth=1.6,
            zorder=2,
        )
    )
    words = "\n".join(block.lines)
    axes.text(
        box.left + PAD_EM * points / 72,
        box.y,
        words,
        va="center_baseline" if len(block.lines) == 1 else "center",
        fontsize=points,
        linespacing=LINE_EM / 1.16,
        color=INK,
        zorder=3,
    )


def _write_levels(axes: Axes, blocks: Sequence[Block], boxes: Sequence[Box]) -> None:
    """Write the resolution of each row at its left."""
    for level, height in sorted({(b.level, box.y) for b, box in zip(blocks, boxes, strict=True)}):
        words = f"1/{2**level}" if level else "1"
        axes.text(0.4, height, words, va="center", fontsize=15, fontweight="bold", color=FAINT)
        axes.axhline(height, 0.95 / SLIDE_IN[0], 1, color="#eef1f4", linewidth=1, zorder=0)
    axes.text(0.4, SLIDE_IN[1] - _TOP_IN + 0.12, "resolution", fontsize=12, color=FAINT)


def _write_keys(axes: Axes, blocks: Sequence[Block]) -> None:
    """Write what the colors mean."""
    kinds = {_kind(blocks, index) for index in range(len(blocks))}
    keys: list[Patch | Line2D] = [
        Patch(facecolor=face, edgecolor=edge, label=kind)
        for kind, (face, edge) in _COLORS.items()
        if kind in kinds
    ]
    if any(block.skips for block in blocks):
        keys.append(Line2D([], [], color=_SKIP, linewidth=2, label="skip connection"))
    axes.legend(
        handles=keys,
        loc="lower left",
        ncols=len(keys),
        frameon=False,
        fontsize=13,
        bbox_to_anchor=(0.02, 0.005),
        handlelength=1.2,
    )
    axes.text(
        SLIDE_IN[0] - 0.3,
        0.24,
        "layer, kernel, channels",
        ha="right",
        fontsize=13,
        color=FAINT,
    )
