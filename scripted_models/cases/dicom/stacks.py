"""From the slices of a series to one volume, or the reason why they are none."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scripted_models.cases.dicom.attributes import DicomImage, Frame
from scripted_models.errors import phrases
from scripted_models.geometry import Grid

MIN_SLICES = 8
MIN_EXTENT_MM = 50.0  # along the normal
_COSINES = 5e-3  # what rounding does to direction cosines
_SAME_PLACE_MM = 0.01
_EVEN = 0.05  # of the distance of slices: what rounding of positions does to it
_FAR_MM = 1e5  # no scanner is as large
_MAX_SHEAR = 0.01  # sideways for each mm along the normal: 0.6 degrees

_ = phrases(__name__)


@dataclass(frozen=True)
class Stack:
    """Slices in order, or why they are no volume.

    Attributes:
        frames: along the normal.
        grid: of the volume; None where there is none.
        why: a clause; "" where there is a volume.
    """

    frames: tuple[Frame, ...]
    grid: Grid | None
    why: str = ""


def split_images(images: Sequence[DicomImage]) -> list[list[DicomImage]]:
    """Part a series whose slices repeat, by echo time and type of image, where that explains it.

    A file of several frames is a volume of its own.
    """
    files = [[image] for image in images if len(image.frames) > 1]
    single = [image for image in images if len(image.frames) <= 1]
    parts: dict[tuple[object, ...], list[DicomImage]] = defaultdict(list)
    for image in single:
        parts[(image.image_type, round(image.echo_ms or 0, 1))].append(image)
    explained = len(parts) > 1 and _repeats(single) and not any(map(_repeats, parts.values()))
    return [*files, *(list(parts.values()) if explained else [single] if single else [])]


def stack_slices(images: Sequence[DicomImage]) -> Stack:
    """Put slices in order along their normal and judge whether they are a volume."""
    frames = [frame for image in images for frame in image.frames]
    if why := _no_slices(frames):
        return Stack(tuple(frames), None, why)
    cosines = np.median([frame.cosines for frame in frames], axis=0)
    row, column = cosines[:3], cosines[3:]
    row = row / np.linalg.norm(row)
    column = column - row * (row @ column)
    column = column / np.linalg.norm(column)
    normal = np.cross(row, column)
    positions = np.array([frame.position for frame in frames])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    ordered = tuple(frames[i] for i in order)
    steps = np.diff(positions @ normal)
    if why := _no_volume(positions, steps, normal):
        return Stack(ordered, None, why)
    first = ordered[0]
    rows_mm, columns_mm = first.spacing_mm or (1.0, 1.0)
    distance = round(float(steps.mean()), 6)
    direction = np.stack([row, column, normal], axis=1)
    grid = Grid(
        (first.size[1], first.size[0], len(ordered)),
        (columns_mm, rows_mm, distance),
        (float(positions[0][0]), float(positions[0][1]), float(positions[0][2])),
        tuple(float(value) for value in direction.ravel()),
    )
    return Stack(ordered, grid)


def _repeats(images: Sequence[DicomImage]) -> bool:
    """Tell whether two slices lie at one place."""
    places = Counter(
        (tuple(np.round(f.position or (), 2)), tuple(np.round(f.cosines or (), 2)))
        for image in images
        for f in image.frames
    )
    return any(count > 1 for count in places.values())


def _no_slices(frames: Sequence[Frame]) -> str:
    """Say what single slices lack or differ in."""
    if not frames:
        return _("it holds no image")
    if any(f.position is None or f.cosines is None or f.spacing_mm is None for f in frames):
        return _("its images tell no position, orientation or pixel spacing")
    spacings = np.array([frame.spacing_mm for frame in frames])
    numbers = [*spacings.ravel(), *(v for f in frames for v in (f.position or ()))]
    if not np.abs(numbers).max() < _FAR_MM or spacings.min() <= 0:  # nor NaN
        return _("its positions or pixel spacings are no usable numbers")
    if len({frame.size for frame in frames}) > 1 or np.ptp(spacings, axis=0).max() > 1e-3:
        return _("its images differ in size or pixel spacing")
    cosines = np.array([frame.cosines for frame in frames])
    lengths = np.linalg.norm(cosines.reshape(-1, 2, 3), axis=2)
    square = np.abs((cosines[:, :3] * cosines[:, 3:]).sum(axis=1)).max()
    if not np.isfinite(cosines).all() or np.abs(lengths - 1).max() > 0.02 or square > 0.02:
        return _("its orientation is no pair of directions at right angles")
    if np.abs(cosines - np.median(cosines, axis=0)).max() > _COSINES:
        return _("its images have several orientations")
    if len({frame.scale for frame in frames}) > 1:
        return _("its frames have several scales of gray values")
    return ""


def _no_volume(positions: np.ndarray, steps: np.ndarray, normal: np.ndarray) -> str:
    """Say what keeps slices in order from being a volume."""
    places = 1 + int(np.count_nonzero(steps > _SAME_PLACE_MM))
    if places < len(positions):
        if len(positions) % places == 0 and places > 1:
            words = _("it is 4-D: {count} images at each of {places} places")
            return words.format(count=len(positions) // places, places=places)
        words = _("it has {count} images at {places} places")
        return words.format(count=len(positions), places=places)
    extent = float(steps.sum()) * places / max(places - 1, 1)
    if places < MIN_SLICES or extent < MIN_EXTENT_MM:
        words = _("{count} slices over {extent} mm are too few for a head")
        return words.format(count=places, extent=f"{extent:.0f}")
    distance = float(np.median(steps))
    if np.abs(steps - distance).max() > max(_EVEN * distance, 0.02):
        words = _("slices are missing or uneven: {least} to {most} mm apart")
        return words.format(least=f"{steps.min():.3g}", most=f"{steps.max():.3g}")
    along = positions[-1] - positions[0]
    sideways = along - normal * (along @ normal)
    if float(np.linalg.norm(sideways)) > _MAX_SHEAR * float(along @ normal):
        angle = np.degrees(np.arctan2(np.linalg.norm(sideways), along @ normal))
        words = _("its slices are shifted against each other (tilt of {angle} degrees)")
        return words.format(angle=f"{angle:.1f}")
    return ""
