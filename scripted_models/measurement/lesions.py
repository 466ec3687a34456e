"""Connected lesions of a segmented tumor, numbered by volume.

A lesion is a 26-connected component of the enhancing tumor; of the whole tumor where nothing
enhances. Components below `SMALLEST_ML` are left out and counted: they are 50 voxels of 1 mm, what
the BraTS challenges of 2023 and later ignore in gliomas, or a ball of 4.6 mm.

What makes a lesion measurable follows Wen et al. 2010 ("Updated response assessment criteria for
high-grade gliomas", J Clin Oncol 28(11):1963-1972): both diameters of an axial slice at least 10
mm, on two slices or more; where slices are thicker than 5 mm, at least twice their thickness. Gaps
count, too, so the distance of the slices stands for their thickness.

A cystic or surgical cavity is not measured there, and necrosis is none of the enhancing tumor:
lines do not cross them, unless asked. A lesion around a cavity is not measurable unless it has a
nodule of 10 mm. But two lines of 10 mm also fit along a bent rim, or into the slice that cuts off
the top of a shell. So the lesion must be as thick as the thinnest nodule that holds both lines: a
diamond with them as diagonals holds a ball of `NODULE` times their length. A lesion that is flat or
narrow without being bent around anything needs no such ball: `SOLID` of what it would hold with the
bays and holes of its slices filled suffices. One voxel may be missing, and holes below
`SMALLEST_ML` do not make a lesion thin.

The text of RANO 2.0 (Wen et al. 2023, J Clin Oncol 41(33)) was not at hand: it is taken to agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.labels import ENHANCING, region_mask
from scripted_models.measurement.diameters import (
    Diameters,
    Necrosis,
    Point,
    axial_axis,
    axial_diameters,
    bounding_box,
)
from scripted_models.measurement.inscribed_ball import (
    filled_slices,
    largest_ball_mm,
    without_pinholes,
)

Box = tuple[slice, ...]

MEASURABLE_MM = 10.0  # both diameters, at least
MEASURABLE_SLICES = 2
NODULE = 0.5**0.5  # thickness of the thinnest nodule with two lines of length 1
SMALLEST_ML = 0.05
SOLID = 2 / 3  # of the thickness of the filled lesion: it is no rim
BOTH_SHARE = 0.1  # of the voxels on the lesser side: the lesion is on both; heads are tilted


@dataclass(frozen=True)
class Lesion:
    """One connected lesion.

    Attributes:
        number: from 1, the largest first.
        region: 'ET', or 'WT' of a tumor without enhancement.
        voxels: how many.
        volume_ml: their volume.
        centroid_lps_mm: mean position of the voxels.
        side: 'left' or 'right' of the patient, 'both', or None where no brain was given.
        slices: axial slices that it touches.
        first_slice: index of the first one, along the grid's axis nearest to superior-inferior.
        last_slice: index of the last one.
        least_mm: what both diameters must reach.
        ball_mm: diameter of the largest ball inside, with holes below `SMALLEST_ML` filled.
        has_nodule: the ball is as large as that of a nodule, or the lesion is no rim.
        necrosis: whether lines may cross it; where they may, no nodule is asked for.
        diameters: the two diameters.
    """

    number: int
    region: str
    voxels: int
    volume_ml: float
    centroid_lps_mm: Point
    side: str | None
    slices: int
    first_slice: int
    last_slice: int
    least_mm: float
    ball_mm: float
    has_nodule: bool
    necrosis: Necrosis
    diameters: Diameters

    @property
    def shortcoming(self) -> str:
        """Why the lesion is not measurable; empty when it is."""
        if self.slices < MEASURABLE_SLICES:
            return f"on {self.slices} slice only"
        for name in ("longest", "perpendicular"):
            length = getattr(self.diameters, f"{name}_mm")
            if length < self.least_mm:
                return f"{name} diameter {length:.1f} mm, below {self.least_mm:g} mm"
        if self.necrosis == "excluded" and not self.has_nodule:
            return f"no nodule of {self.least_mm:g} mm: a rim, {self.ball_mm:.1f} mm thick at most"
        return ""

    @property
    def is_measurable(self) -> bool:
        """Whether diameters and nodule are large enough, and on at least two slices."""
        return not self.shortcoming


@dataclass(frozen=True, eq=False)
class Lesions:
    """The lesions of a label map.

    Attributes:
        region: of all of them; 'ET' also where there is no tumor at all.
        numbers: uint16 (z, y, x), number of the lesion of each voxel; 0 outside.
        items: the lesions, `items[number - 1]`.
        necrosis: whether lines may cross it, 'excluded' or 'included'.
        left_out: components below `SMALLEST_ML`.
        left_out_ml: their volume.
    """

    region: str
    numbers: np.ndarray = field(repr=False)
    items: tuple[Lesion, ...] = ()
    necrosis: Necrosis = "excluded"
    left_out: int = 0
    left_out_ml: float = 0.0


def find_lesions(
    labels: np.ndarray,
    grid: Grid,
    brain: np.ndarray | None = None,
    necrosis: Necrosis = "excluded",
) -> Lesions:
    """Find the connected lesions of a tumor.

    Args:
        labels: uint8 (z, y, x), internal labels.
        grid: their grid.
        brain: bool (z, y, x); tells the side of a lesion.
        necrosis: as for `axial_diameters`.
    """
    numbers = np.zeros(labels.shape, np.uint16)
    box = bounding_box(labels > 0)
    if box is None:
        return Lesions("ET", numbers, necrosis=necrosis)
    tumor = labels[box]
    region = "ET" if (tumor == ENHANCING).any() else "WT"
    mask = region_mask(tumor, region)
    parts = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.astype(np.uint8)), True)
    fewest = _fewest_voxels(grid)
    kept = sitk.RelabelComponent(parts, fewest, True)
    numbers[box] = sitk.GetArrayViewFromImage(kept)
    small = sitk.GetArrayViewFromImage(parts)[mask & (numbers[box] == 0)]
    middle_x = None if brain is None or not brain.any() else mean_x(brain, grid)
    start = [part.start for part in box]
    items = tuple(
        _lesion(numbers, number, _moved(inner, start), region, grid, middle_x, necrosis)
        for number, inner in _boxes(kept)
    )
    left_out_ml = len(small) * grid.voxel_volume_ml
    return Lesions(region, numbers, items, necrosis, len(np.unique(small)), left_out_ml)


def _fewest_voxels(grid: Grid) -> int:
    """Return how many voxels `SMALLEST_ML` are."""
    return int(np.ceil(SMALLEST_ML / grid.voxel_volume_ml * (1 - 1e-9)))


def least_diameter_mm(grid: Grid) -> float:
    """Return what both diameters of a measurable lesion must reach on a grid."""
    return max(MEASURABLE_MM, 2 * grid.spacing_xyz_mm[axial_axis(grid)])


def _boxes(numbers: sitk.Image) -> list[tuple[int, Box]]:
    """Return each number with its bounding box, slices (z, y, x)."""
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(numbers)
    found = []
    for number in shapes.GetLabels():
        box = shapes.GetBoundingBox(number)
        found.append((number, tuple(slice(box[a], box[a] + box[a + 3]) for a in (2, 1, 0))))
    return found


def _moved(box: Box, start: Sequence[int]) -> Box:
    return tuple(slice(s.start + at, s.stop + at) for s, at in zip(box, start, strict=True))


def _lesion(
    numbers: np.ndarray,
    number: int,
    box: Box,
    region: str,
    grid: Grid,
    middle_x: float | None,
    necrosis: Necrosis,
) -> Lesion:
    mask = numbers[box] == number
    start = [part.start for part in box[::-1]]
    x, y, z = _points_lps(np.argwhere(mask)[:, ::-1] + start, grid).T
    across = axial_axis(grid)
    used = start[across] + np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {2 - across})))
    origin_x, origin_y, origin_z = _points_lps(np.array([start]), grid)[0].tolist()
    inner = replace(grid, size_xyz=mask.shape[::-1], origin_lps_mm=(origin_x, origin_y, origin_z))
    found = axial_diameters(mask, inner, necrosis)
    if found is None:
        raise ValueError(f"no voxel has the number {number}")
    least_mm = least_diameter_mm(grid)
    ball_mm = largest_ball_mm(without_pinholes(mask, _fewest_voxels(grid) - 1), inner)
    return Lesion(
        number=number,
        region=region,
        voxels=len(x),
        volume_ml=len(x) * grid.voxel_volume_ml,
        centroid_lps_mm=(float(x.mean()), float(y.mean()), float(z.mean())),
        side=None if middle_x is None else side_of(x, middle_x),
        slices=len(used),
        first_slice=int(used[0]),
        last_slice=int(used[-1]),
        least_mm=least_mm,
        ball_mm=ball_mm,
        has_nodule=_has_nodule(mask, inner, ball_mm, least_mm),
        necrosis=necrosis,
        diameters=replace(found, slice_index=found.slice_index + start[across]),
    )


def _has_nodule(mask: np.ndarray, grid: Grid, ball_mm: float, least_mm: float) -> bool:
    """Tell whether a ball is as large as that of a nodule, or the lesion is no rim."""
    ball_mm += max(grid.spacing_xyz_mm)  # one voxel may be missing
    if ball_mm > NODULE * least_mm:
        return True
    filled = filled_slices(mask, 2 - axial_axis(grid))
    return ball_mm > SOLID * largest_ball_mm(filled, grid)


def side_of(x_lps_mm: np.ndarray, middle_x: float) -> str:
    """Return on which side of the middle voxels are; x grows to the patient's left."""
    left = float((x_lps_mm > middle_x).mean())
    if min(left, 1 - left) >= BOTH_SHARE:
        return "both"
    return "left" if left > 0.5 else "right"


def mean_x(brain: np.ndarray, grid: Grid) -> float:
    """Return the mean left-right position of the voxels of a brain, LPS, mm."""
    others = ((0, 1), (0, 2), (1, 2))  # of x, y and z
    counts = (np.count_nonzero(brain, axis=axes) for axes in others)
    mean_xyz = [np.average(np.arange(len(count)), weights=count) for count in counts]
    return float(_points_lps(np.array([mean_xyz]), grid)[0, 0])


def _points_lps(index_xyz: np.ndarray, grid: Grid) -> np.ndarray:
    axes = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    return np.asarray(index_xyz @ axes.T + grid.origin_lps_mm)
