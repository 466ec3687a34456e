"""Places of the blocks of a network: a row for each resolution, columns in order of computation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from scripted_models.reporting.figures.flow_blocks import Block

LARGEST_PT, SMALLEST_PT = 15.0, 9.0
LINE_EM, PAD_EM = 1.25, 0.5  # in sizes of the letters
_BESIDE_EM, _ABOVE_EM = 1.6, 0.8  # between blocks beside and above each other
_STEP_EM = 2.5  # by which a block at another resolution is further to the right, at least


@dataclass
class Box:
    """A block as it is drawn; inches.

    Attributes:
        x, y: the center.
        width, height: of the whole.
    """

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """The left edge."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """The right edge."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """The upper edge."""
        return self.y + self.height / 2

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.y - self.height / 2


def place_blocks(
    blocks: Sequence[Block], points: float, room_in: tuple[float, float]
) -> list[Box] | None:
    """Place blocks in a room whose lower left corner is (0, 0), earlier ones further left.

    Args:
        blocks: in the order of computation.
        points: size of the letters.
        room_in: its width and height.

    Returns:
        A box for each block, or nothing where the room is too small.
    """
    em, (width, height) = points / 72, room_in
    boxes = [_box(block, em) for block in blocks]
    levels = sorted({block.level for block in blocks})
    first, last = (
        max(b.height for b, block in zip(boxes, blocks, strict=True) if block.level == level)
        for level in (levels[0], levels[-1])
    )
    row = (height - (first + last) / 2) / max(1, len(levels) - 1)
    if len(levels) == 1:
        first, row = height, 0.0
    for index, (box, block) in enumerate(zip(boxes, blocks, strict=True)):
        box.y = height - first / 2 - row * levels.index(block.level)
        box.x = _least_x(box, boxes[:index], em)
    inside = all(box.bottom >= -1e-6 and box.top <= height + 1e-6 for box in boxes)
    right = max(box.right for box in boxes)
    if not inside or right > width:
        return None
    _spread(boxes, width, right)
    return boxes


def _box(block: Block, em: float) -> Box:
    width = em * (max(map(_length_em, block.lines)) + 2 * PAD_EM)
    return Box(0.0, 0.0, width, em * (LINE_EM * len(block.lines) + 2 * PAD_EM))


@cache
def _length_em(line: str) -> float:
    """Return the length of a line in sizes of its letters."""
    size = 100
    length = text_to_path.get_text_width_height_descent(line, FontProperties(size=size), False)[0]
    return float(length) / size


def _least_x(box: Box, before: Sequence[Box], em: float) -> float:
    """Return the center furthest left that is free: right of all in the way, and of the last."""
    least = box.width / 2
    if before:
        least = max(least, before[-1].x + _STEP_EM * em)
    for other in before:
        apart = abs(box.y - other.y) - (box.height + other.height) / 2
        if apart < _ABOVE_EM * em:
            least = max(least, other.right + _BESIDE_EM * em + box.width / 2)
    return least


def _spread(boxes: Sequence[Box], width: float, right: float) -> None:
    """Use the whole width: every block moves by the same more than the one before it."""
    spare = (width - right) / max(1, len(boxes) - 1)
    for index, box in enumerate(boxes):
        box.x += spare * index
