"""How a stage of a network is drawn: a stack of maps or a box, words above, its size below."""

import math
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle
from matplotlib.patheffects import withStroke

from scripted_models.reporting.figures.canvas import INK
from scripted_models.reporting.figures.network_trace import IMAGE, JOINED, MAPS, NETWORK, Stage

OUTPUT = "output"  # of the whole network
COLORS = {
    IMAGE: "#8d99a6",
    MAPS: "#2f7fc1",
    JOINED: "#8a5fc7",
    NETWORK: "#fff3d6",
    OUTPUT: "#d9822b",
}
KIND_NAMES = {
    IMAGE: "image",
    MAPS: "maps",
    JOINED: "joined maps",
    NETWORK: "network inside",
    OUTPUT: "output",
}
_LINE_IN, _LETTERS_PT = 0.235, 13.5  # text at full size
_LETTER_IN, _BOLD_LETTER_IN = 0.108, 0.12
_SHEET_IN = 0.04  # from one sheet of a stack to the next
_GAP_IN = 0.06


def width_of(stage: Stage, image: Stage) -> float:
    """Return the width of a stage in inches at full size; that of maps follows their own."""
    if stage.kind == NETWORK:
        return 0.2 + 0.125 * len(stage.name)
    return 0.16 + 0.56 * math.sqrt(stage.shape[-1] / image.shape[-1])


@dataclass
class Symbol:
    """A stage as it is drawn; lengths in inches at full size.

    Attributes:
        stage: what is drawn.
        width: of the front sheet or box.
        color: key of COLORS.
    """

    stage: Stage
    width: float
    color: str

    @property
    def breadth(self) -> float:
        """Room from left to right, about that of the longest line."""
        words = max(map(len, self._words_above), default=0)
        return max(self.width, _LETTER_IN * words, _BOLD_LETTER_IN * len(self._size))

    @property
    def above(self) -> float:
        """Room above the center, with the words."""
        return self._height / 2 + self._depth + _GAP_IN + _LINE_IN * len(self._words_above)

    @property
    def below(self) -> float:
        """Room below the center, with the size."""
        return self._height / 2 + 2 * _GAP_IN + _LINE_IN

    @property
    def _height(self) -> float:
        return 0.7 if self.stage.kind == NETWORK else self.width

    @property
    def _sheets(self) -> int:
        """Sheets in the stack: more for more channels, in a box one for each copy."""
        if self.stage.kind == NETWORK:
            return min(4, self.stage.copies)
        return min(6, 1 + round(math.log2(self.stage.shape[0]) / 1.5))

    @property
    def _depth(self) -> float:
        return (self._sheets - 1) * _SHEET_IN

    @property
    def _size(self) -> str:
        return " × ".join(map(str, self.stage.shape))

    @property
    def _words_above(self) -> list[str]:
        stage = self.stage
        if stage.kind != NETWORK:
            return ", ".join(stage.operations).split(", ") if stage.operations else []
        copies = f"{stage.copies} × " if stage.copies > 1 else ""
        return [
            f"{copies}{stage.parameters:,}",
            "fixed parameters" if stage.is_fixed else "parameters",
        ]

    def entry(self, center: tuple[float, float], scale: float) -> tuple[float, float]:
        """Return where arrows end."""
        return center[0] - scale * self.width / 2, center[1]

    def exit(self, center: tuple[float, float], scale: float) -> tuple[float, float]:
        """Return where arrows begin."""
        return center[0] + scale * (self.width / 2 + self._depth), center[1]

    def draw(self, axes: Axes, center: tuple[float, float], scale: float) -> None:
        """Draw on axes whose unit is an inch."""
        x, y = center
        width, height = self.width * scale, self._height * scale
        for sheet in range(self._sheets - 1, -1, -1):
            shift = sheet * _SHEET_IN * scale
            corner = (x - width / 2 + shift, y - height / 2 + shift)
            axes.add_patch(self._sheet(corner, width, height, scale))
        if self.stage.kind == NETWORK:
            inside = [self.stage.name, *self.stage.operations]
            _write(axes, (x, y), inside, scale, va="center", fontweight="bold")
        upper = y + height / 2 + (self._depth + _GAP_IN) * scale
        _write(axes, (x, upper), self._words_above, scale, va="bottom")
        lower = y - height / 2 - _GAP_IN * scale
        _write(axes, (x, lower), [self._size], scale, va="top", fontweight="bold")

    def _sheet(
        self, corner: tuple[float, float], width: float, height: float, scale: float
    ) -> Patch:
        color = COLORS[self.color]
        if self.stage.kind != NETWORK:
            return Rectangle(
                corner, width, height, zorder=2, facecolor=color, edgecolor="white", linewidth=scale
            )
        return FancyBboxPatch(
            corner,
            width,
            height,
            zorder=2,
            facecolor=color,
            edgecolor=INK,
            boxstyle=f"round,pad=0,rounding_size={0.08 * scale}",
            linewidth=1.5 * scale,
        )


def _write(
    axes: Axes, place: tuple[float, float], lines: list[str], scale: float, **how: Any
) -> None:
    """Write centered lines that stay readable over an arrow."""
    halo = [withStroke(linewidth=4 * scale, foreground="white")] if how["va"] != "center" else []
    axes.text(
        *place,
        "\n".join(lines),
        ha="center",
        fontsize=_LETTERS_PT * scale,
        color=INK,
        linespacing=1.15,
        zorder=3,
        path_effects=halo,
        **how,
    )
