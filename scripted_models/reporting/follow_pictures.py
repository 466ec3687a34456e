"""The difference picture of a follow-up: what grew, what shrank, on the slice with most change."""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from scripted_models.follow_up.alignment import brought
from scripted_models.follow_up.assessment import FollowUp
from scripted_models.geometry import Grid
from scripted_models.labels import REGION_NAMES, region_mask
from scripted_models.pictures.font import draw_text
from scripted_models.pictures.layout import beside, stack
from scripted_models.pictures.panels import (
    edges_of,
    frame,
    gray_panel,
    intensity_window,
    label_panel,
    tissue_mask,
)

SAME, GROWN, SHRUNK = 1, 2, 3
COLORS = {SAME: (160, 163, 170), GROWN: (227, 66, 52), SHRUNK: (66, 148, 255)}
_PANEL = 420
_FILL = 0.5


@dataclass(frozen=True, eq=False)
class Difference:
    """A picture and what it shows.

    Attributes:
        pixels: uint8 RGB (h, w, 3).
        caption: a sentence.
    """

    pixels: np.ndarray
    caption: str


def difference_picture(found: FollowUp) -> Difference | None:
    """Draw a panel for each visit after the baseline; None where no visit has a volume to draw on.

    Each panel is the axial slice of the reference with most change since the baseline.
    """
    reference = found.visits[found.reference]
    head = reference.read_head()
    if head is None:
        return None
    image = sitk.DICOMOrient(head.image, "LPS")
    grid, volume = Grid.of(image), sitk.GetArrayFromImage(image)
    masks = [
        region_mask(brought(visit.labels, visit.grid, alignment, grid), found.region)
        for visit, alignment in zip(found.visits, found.alignments, strict=True)
    ]
    brain = tissue_mask([volume])
    view = frame(brain, grid.spacing_xyz_mm, _PANEL)
    window = intensity_window(volume, brain)
    panels, told = [], []
    for index in range(found.baseline + 1, len(masks)):
        change = compared(masks[found.baseline], masks[index])
        place = _most_changed(change, view.box[0])
        gray = gray_panel(view, volume, window, "axial", place)
        panel = _colored(gray, label_panel(view, change, "axial", place))
        draw_text(panel, found.visits[index].name, 4, 4)
        panels.append(panel)
        told.append(f"{found.visits[index].name} (slice {place + 1})")
    rows = [beside(panels[i : i + 3]) for i in range(0, len(panels), 3)]
    return Difference(
        stack(rows),
        f"The {REGION_NAMES[found.region]} against the baseline "
        f"{found.visits[found.baseline].name}, on the axial slice of {reference.name} with most "
        f"change: red has grown, blue has shrunk, gray is unchanged. From left to right: "
        f"{', '.join(told)}. Patient right is image left.",
    )


def compared(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return what is the same, grown or shrunk, uint8 (z, y, x), 0 elsewhere.

    Args:
        before: bool (z, y, x).
        after: bool (z, y, x).
    """
    found = np.zeros(before.shape, np.uint8)
    found[before & after] = SAME
    found[after & ~before] = GROWN
    found[before & ~after] = SHRUNK
    return found


def _most_changed(change: np.ndarray, shown: slice) -> int:
    """Return the slice with most change, else with most tumor, else the middle one."""
    for hit in (change > SAME, change > 0):
        counts = hit[shown].sum(axis=(1, 2))
        if counts.any():
            return shown.start + int(np.argmax(counts))
    return (shown.start + shown.stop) // 2


def _colored(gray: np.ndarray, change: np.ndarray) -> np.ndarray:
    panel = gray.astype(np.float32)
    edges = edges_of(change)
    for kind, color in COLORS.items():
        area = change == kind
        panel[area] = (1 - _FILL) * panel[area] + _FILL * np.array(color)
        panel[area & edges] = color
    return np.round(panel).astype(np.uint8)
