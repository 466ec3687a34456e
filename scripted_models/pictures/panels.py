"""Panels of pictures: one plane of a volume as gray levels or labels, cropped to the brain, scaled.

Arrays are (z, y, x) on an LPS grid. Panels follow the radiological convention: axial with anterior
up and patient right on the image left, coronal and sagittal with superior up, sagittal facing left.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from scripted_models.labels import LABELS, region_mask

# Chosen by simulating red-, green- and blue-blindness (Machado et al. 2009): every pair stays more
# than 20 CIELAB units apart. The luminance rises from necrosis to enhancing tumor; the cavity is
# darker than all of the tumor.
LABEL_COLORS: dict[int, tuple[int, int, int]] = {
    1: (227, 66, 52),
    2: (66, 148, 255),
    3: (60, 210, 150),
    4: (255, 214, 10),
    5: (165, 75, 135),
}
TRUTH_COLOR = (255, 255, 255)
PLANES = ("axial", "coronal", "sagittal")
_FILL = 0.42  # opacity of a label's area; its outline is opaque
_DIM = 0.8  # gray under a label is darkened, or bright FLAIR would bleach the color


@dataclass(frozen=True)
class Window:
    """Gray levels of one volume: `low` is black, `high` is white, `background` is black as well."""

    low: float
    high: float
    background: float | None


@dataclass(frozen=True)
class View:
    """The box of the volume that is shown and its scale; one scale serves all planes."""

    box: tuple[slice, slice, slice]
    spacing_xyz_mm: tuple[float, float, float]
    pixels_per_mm: float

    def plane(self, volume: np.ndarray, plane: str, index: int) -> np.ndarray:
        """Return the shown part of one plane of a whole volume, as displayed, in voxels."""
        return displayed_plane(volume[self.box], plane, index - self.box[_axis(plane)].start)

    def size_px(self, plane: str) -> tuple[int, int]:
        """Return height and width of a panel."""
        extents = [
            (part.stop - part.start) * step
            for part, step in zip(self.box, self.spacing_xyz_mm[::-1], strict=True)
        ]
        del extents[_axis(plane)]
        height, width = (max(1, round(extent * self.pixels_per_mm)) for extent in extents)
        return height, width


def displayed_plane(volume: np.ndarray, plane: str, index: int) -> np.ndarray:
    """Return one plane of a (z, y, x) LPS volume as it is displayed.

    Args:
        volume: array of shape (z, y, x); x to patient left, y to posterior, z to superior.
        plane: 'axial', 'coronal' or 'sagittal'.
        index: voxel index along the plane's normal.

    Returns:
        2-D array: axial (y, x), coronal (z reversed, x), sagittal (z reversed, y).
    """
    section = np.take(volume, index, axis=_axis(plane))
    return section if plane == "axial" else section[::-1]


def _axis(plane: str) -> int:
    return PLANES.index(plane)


def _stripped_background(volume: np.ndarray) -> float | None:
    """Return the constant around a skull-stripped brain, or None when there is no such constant."""
    corners = volume[np.ix_(*[[0, -1]] * 3)]
    value = float(np.median(corners))
    return value if np.mean(volume == value) > 0.05 else None


def tissue_mask(volumes: Iterable[np.ndarray]) -> np.ndarray:
    """Return where any (z, y, x) volume shows tissue, as a bool array; everywhere if none does.

    Around a stripped brain a volume is constant. Elsewhere tissue is brighter than the mean.
    It serves pictures of any volume; the brain mask of networks is another one.

    Args:
        volumes: at least one; all of one shape.
    """
    mask = np.any([_tissue(volume) for volume in volumes], axis=0)
    return mask if mask.any() else np.ones_like(mask)


def _tissue(volume: np.ndarray) -> np.ndarray:
    finite = np.isfinite(volume)
    background = _stripped_background(volume)
    if background is not None:
        return finite & (volume != background)
    return finite & (volume > (volume[finite].mean() if finite.any() else 0.0))


def intensity_window(volume: np.ndarray, brain: np.ndarray) -> Window:
    """Return the gray levels from the 1st to the 99.5th percentile inside the brain."""
    values = volume[brain & np.isfinite(volume)]
    low, high = np.percentile(values, [1, 99.5]) if values.size else (0.0, 0.0)
    return Window(float(low), float(high), _stripped_background(volume))


def frame(shown: np.ndarray, spacing_xyz_mm: tuple[float, float, float], panel_px: int) -> View:
    """Return the box of the shown voxels with a margin of 3 %; `panel_px` is its longest edge."""
    box = []
    for axis, size in enumerate(shown.shape):
        hit = np.flatnonzero(shown.any(axis=tuple(i for i in range(3) if i != axis)))
        margin = round(0.03 * (hit[-1] - hit[0] + 1))
        box.append(slice(int(max(0, hit[0] - margin)), int(min(size, hit[-1] + 1 + margin))))
    extents = [(p.stop - p.start) * s for p, s in zip(box, spacing_xyz_mm[::-1], strict=True)]
    z, y, x = box
    return View((z, y, x), spacing_xyz_mm, panel_px / max(extents))


def tumor_of(maps: Collection[np.ndarray]) -> np.ndarray:
    """Return where label maps (z, y, x) have tumor, bool; where there is none, any other label."""
    tumor = np.any([region_mask(labels, "WT") for labels in maps], axis=0)
    shown: np.ndarray = tumor if tumor.any() else np.any([labels > 0 for labels in maps], axis=0)
    return shown


def fullest_index(tumor: np.ndarray, brain: np.ndarray, plane: str) -> tuple[int, int]:
    """Return the slice with most tumor, else the middle of the brain, and the number of slices.

    Of several slices with equally much the middle one is taken.
    """
    others = tuple(i for i in range(3) if i != _axis(plane))
    counts = tumor.sum(axis=others)
    if counts.any():
        fullest = np.flatnonzero(counts == counts.max())
        return int(fullest[len(fullest) // 2]), len(counts)
    hit = np.flatnonzero(brain.any(axis=others))
    return int(hit[0] + hit[-1]) // 2, len(counts)


def spread_slices(mask: np.ndarray, shown: slice, count: int) -> list[int]:
    """Return up to `count` axial indices evenly over the mask's extent, widened where it is thin.

    Args:
        mask: bool (z, y, x), not empty, inside the shown slices.
        shown: axial slices that may be taken.
        count: number of slices wanted.
    """
    hit = np.flatnonzero(mask.any(axis=(1, 2)))
    count = min(count, shown.stop - shown.start)
    missing = max(0, count - int(hit[-1] - hit[0] + 1))
    first = min(max(shown.start, int(hit[0]) - missing // 2), shown.stop - count)
    last = max(int(hit[-1]), first + count - 1)
    return np.round(np.linspace(first, last, count)).astype(int).tolist()


def gray_panel(
    view: View, volume: np.ndarray, window: Window, plane: str, index: int
) -> np.ndarray:
    """Return a windowed panel, uint8 (h, w, 3)."""
    section = view.plane(volume, plane, index)
    hidden = ~np.isfinite(section)
    if window.background is not None:
        hidden |= section == window.background
    section = np.where(hidden, window.low, section).astype(np.float64)
    gray = (section - window.low) / max(window.high - window.low, 1e-12)
    gray = _resize(np.clip(gray, 0, 1), view.size_px(plane))
    return np.round(255 * gray).astype(np.uint8)[..., None].repeat(3, axis=2)


def label_panel(view: View, labels: np.ndarray, plane: str, index: int) -> np.ndarray:
    """Return a label panel; each pixel takes the label with the largest interpolated share."""
    section = view.plane(np.asarray(labels), plane, index)
    shares = [
        _resize((section == label).astype(np.float32), view.size_px(plane)) for label in LABELS
    ]
    return np.argmax(shares, axis=0)


def _resize(section: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resample a 2-D array linearly to (height, width), edges extended.

    Hand-written, as SimpleITK needs a grid for it and pictures do without torch.
    """
    for axis, pixels in enumerate(size):
        last = section.shape[axis] - 1
        at = np.clip((np.arange(pixels) + 0.5) * (last + 1) / pixels - 0.5, 0, last)
        low = at.astype(int)
        share = (at - low).reshape((-1, 1) if axis == 0 else (1, -1))
        upper = np.take(section, np.minimum(low + 1, last), axis)
        section = np.take(section, low, axis) * (1 - share) + upper * share
    return section


def edges_of(mask: np.ndarray) -> np.ndarray:
    """Return the pixels whose value differs from that of a 4-neighbor."""
    framed = np.pad(mask, 1, mode="edge")
    inner = framed[1:-1, 1:-1]
    edges = np.zeros(mask.shape, bool)
    for beside in (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:]):
        edges |= inner != beside
    return edges & (inner > 0)


def colored(gray: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the panel with translucent label areas and opaque label outlines."""
    panel = gray.astype(np.float32)
    edges = edges_of(labels)
    for label, color in LABEL_COLORS.items():
        area = labels == label
        panel[area] = (1 - _FILL) * _DIM * panel[area] + _FILL * np.array(color)
        panel[area & edges] = color
    return np.round(panel).astype(np.uint8)
