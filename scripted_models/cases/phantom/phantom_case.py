"""A procedural head with a glioma: four sequences and their true labels, from nothing but a seed.

Stands in for patients where none are at hand. A seed means the same head at every size; the same seed
and size give the same bits.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.phantom.anatomy import CENTER_MM, Head, Noise, Tissue, smooth_union
from scripted_models.cases.phantom.signal import Scanner, Scene
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels, write_volume

VERSION = 1  # raise it when a seed gives another head: cached training phantoms are then made again
FULL_SIZE_XYZ = (240, 240, 155)  # the BraTS grid, 1 mm
SMALLEST_XYZ = (24, 24, 8)
LARGEST = 512
_FILE_NAMES = {"t1": "t1", "t1c": "t1ce", "t2": "t2", "flair": "flair"}  # as in BraTS 2021
_BOX_MM = ((38, 202), (28, 228), (0, 154))  # where a head can be
_PLAN_MM = 3.0  # grid on which the glioma's volumes are set


@dataclass(frozen=True)
class Phantom:
    """One artificial case.

    Attributes:
        grid: grid of all volumes.
        volumes: 't1', 't1c', 't2', 'flair' -> float32 (z, y, x); at least 1 in the brain, 0 outside.
        labels: uint8 (z, y, x), internal labels 0-4.
    """

    grid: Grid
    volumes: dict[str, np.ndarray]
    labels: np.ndarray


def make_phantom(
    seed: int, size_xyz: tuple[int, int, int] = FULL_SIZE_XYZ, low_grade: bool = False
) -> Phantom:
    """Make the head of a seed.

    Args:
        seed: non-negative whole number.
        size_xyz: voxels; the field of view stays 240 x 240 x 155 mm.
        low_grade: make a low-grade glioma: little or no enhancement, a core that may be nearly the whole
            tumor, fluid that FLAIR shows dark. Of the others about every seventh lacks enhancement.

    Raises:
        InputError: the size is outside 24x24x8 to 512x512x512, or the seed is negative.
    """
    _check(seed, size_xyz)
    grid = phantom_grid(size_xyz)
    streams = [np.random.default_rng([seed, part]) for part in range(4)]
    head = Head(streams[0])
    glioma = Glioma(streams[1], head, low_grade)
    box, axes = _box_axes(grid)
    points, inside = _brain_points(head, axes)
    shape = tuple(len(axis) for axis in axes)[::-1]
    index = np.unravel_index(np.flatnonzero(inside), shape)
    tissue = head.tissue(points, glioma.pushed(points), float(np.mean(grid.spacing_xyz_mm)))
    labels, strength = glioma.labels(points, tissue)
    scene = Scene(points, index, shape, grid.spacing_xyz_mm, tissue, labels, strength)
    boxed = Scanner(streams[2], streams[3], low_grade).scan(scene)
    label_box = np.zeros(shape, np.uint8)
    label_box[index] = labels
    volumes = {name: _unbox(values, box, grid) for name, values in boxed.items()}
    return Phantom(grid, volumes, _unbox(label_box, box, grid))


def write_phantom_case(
    folder: Path,
    seed: int,
    size_xyz: tuple[int, int, int] = FULL_SIZE_XYZ,
    low_grade: bool = False,
) -> Path:
    """Write a phantom as a case folder in the manner of BraTS 2021 and return the folder.

    Files: `Phantom_<seed>_{t1,t1ce,t2,flair}.nii.gz` (int16) and `_seg5.nii.gz` (labels 0-4, uint8).

    Raises:
        InputError: as `make_phantom`.
        ResourceError: the folder cannot be written.
    """
    phantom = make_phantom(seed, size_xyz, low_grade)
    name = f"Phantom_{seed:05d}"
    case = Path(folder) / name
    case.mkdir(parents=True, exist_ok=True)
    for sequence, suffix in _FILE_NAMES.items():
        values = np.rint(phantom.volumes[sequence]).clip(0, 32767).astype(np.int16)
        write_volume(case / f"{name}_{suffix}.nii.gz", phantom.grid.image_from(values))
    write_labels(case / f"{name}_seg5.nii.gz", phantom.labels, phantom.grid)
    return case


def phantom_grid(size_xyz: tuple[int, int, int]) -> Grid:
    """Return the grid of the BraTS field of view with the given number of voxels."""
    spacing = tuple(full / n for full, n in zip(FULL_SIZE_XYZ, size_xyz, strict=True))
    first = [(s - 1) / 2 for s in spacing]
    return Grid(tuple(size_xyz), spacing, (first[0], first[1] - 239.0, first[2]))


def _check(seed: int, size_xyz: tuple[int, int, int]) -> None:
    whole = len(size_xyz) == 3 and all(isinstance(n, int | np.integer) for n in size_xyz)
    fits = whole and all(low <= n <= LARGEST for low, n in zip(SMALLEST_XYZ, size_xyz, strict=True))
    if not fits:
        raise InputError(
            f"Phantom size {tuple(size_xyz)} cannot be made: expected three whole numbers from "
            f"{SMALLEST_XYZ} to {(LARGEST,) * 3} voxels; choose a size in this range, for example "
            f"{FULL_SIZE_XYZ}."
        )
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(
            f"Phantom seed {seed!r} cannot be used: expected a whole number of 0 or more; choose one."
        )


def _box_axes(grid: Grid) -> tuple[tuple[slice, ...], list[np.ndarray]]:
    """Return the part of the grid that can hold brain: slices (z, y, x) and coordinates x, y, z."""
    slices, axes = [], []
    for n, step, (low, high) in zip(grid.size_xyz, grid.spacing_xyz_mm, _BOX_MM, strict=True):
        centers = (np.arange(n) + 0.5) * step - 0.5
        kept = np.flatnonzero((centers >= low - step) & (centers <= high + step))
        slices.append(slice(kept[0], kept[-1] + 1))
        axes.append(centers[kept].astype(np.float32))
    return tuple(slices[::-1]), axes


def _mesh(axes: list[np.ndarray]) -> np.ndarray:
    """Return all points (3, n) of the grid spanned by coordinates x, y, z; x changes fastest."""
    z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
    return np.stack([x.ravel(), y.ravel(), z.ravel()])


def _brain_points(head: Head, axes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the grid's points (3, n) inside the brain and the mask of all points that chose them."""
    points, masks = [], []
    for z in np.array_split(axes[2], -(-len(axes[2]) // 16)):  # in slabs, to spare memory
        mesh = _mesh([axes[0], axes[1], z])
        masks.append(head.outside_mm(mesh) < 0)
        points.append(mesh[:, masks[-1]])
    return np.concatenate(points, axis=1), np.concatenate(masks)


def _unbox(values: np.ndarray, box: tuple[slice, ...], grid: Grid) -> np.ndarray:
    whole = np.zeros(grid.shape_zyx, values.dtype)
    whole[box] = values
    return whole


class Glioma:
    """A random glioma: lobed core with rim, and edema that spreads along white matter.

    Args:
        rng: draws place, volume, shape and composition.
        head: the head that it grows in.
        low_grade: as for `make_phantom`.
    """

    def __init__(self, rng: np.random.Generator, head: Head, low_grade: bool = False):
        self.head = head
        self._draw_sizes(rng)
        if low_grade:
            self._draw_low_grade(rng)
        self.core_ml = self.whole_ml * self.core_share
        self.radius_mm = float((self.core_ml * 750 / np.pi) ** (1 / 3))
        self.center = self._draw_center(rng)
        self._draw_lobes(rng)
        self.push_mm = float(rng.uniform(0.1, 0.3) * self.radius_mm)
        self.shape, self.detail = Noise(rng, 24), Noise(rng, 10, band=True)
        self.rim, self.sector, self.fingers = Noise(rng, 14), Noise(rng, 20), Noise(rng, 7)
        self._plan()

    def _draw_sizes(self, rng: np.random.Generator) -> None:
        """Draw volumes in ml; shares center on those of BRATS 2013 (Havaei et al. 2017, section 3)."""
        self.whole_ml = float(3.5 * (150 / 3.5) ** rng.beta(1.8, 1.2))
        self.low_grade = bool(rng.random() < 0.15)
        self.core_share = rng.uniform(0.25, 0.7) if self.low_grade else rng.uniform(0.2, 0.6)
        self.dull_share = rng.uniform(0.05, 0.35)  # of the core: does not enhance where not dead
        self.necrosis_share = rng.uniform(0.03, 0.2) if self.low_grade else rng.uniform(0.08, 0.55)
        self.fade = rng.uniform(0.2, 0.6)  # loss of contrast at the edge of the edema

    def _draw_low_grade(self, rng: np.random.Generator) -> None:
        """Draw anew what differs: a large core, fluid in half of them, enhancing spots in a third."""
        self.low_grade = bool(rng.random() < 2 / 3)
        self.core_share = rng.uniform(0.35, 0.97)
        self.dull_share = rng.uniform(0.9, 0.995)
        self.necrosis_share = rng.uniform(0.02, 0.5) * (rng.random() < 0.5)

    def _draw_center(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a point of the cerebrum, not too close to the surface nor in a ventricle."""
        reach = np.array((60, 75, 50))
        tries = (rng.uniform(-reach, reach, (600, 3)) + CENTER_MM).T.astype(np.float32)
        tissue = self.head.tissue(tries, tries, 1.0)
        local = self.head.local(tries)
        deep = (tissue.depth_mm > 10) & (tissue.depth_mm < 40) & (tissue.csf < 0.3)
        good = deep & (np.abs(local[0]) > 16) & (local[2] > -12 - 0.3 * np.clip(local[1], 0, None))
        good &= (tissue.ventricle_mm > 3) & ((local[2] > 0) | (local[1] < 40))
        return tries[:, np.flatnonzero(good)[0]]

    def _draw_lobes(self, rng: np.random.Generator) -> None:
        """Draw one to three ellipsoids near the center, as (offset, radii and axes matrix)."""
        count = 1 + int((rng.random(2) < (0.5, 0.25)).sum())
        self.lobes = []
        for number in range(3):
            turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
            stretch = np.exp(rng.normal(0, 0.18, 3))
            size = 1.0 if number == 0 else rng.uniform(0.5, 0.8)
            offset = rng.standard_normal(3) * 0.7 * self.radius_mm * (number > 0)
            if number < count:
                matrix = (turn * stretch / size).astype(np.float32)
                self.lobes.append((offset.astype(np.float32), matrix, size))

    def pushed(self, points: np.ndarray) -> np.ndarray:
        """Return where the tissue at points (3, n) lay before the mass pushed it away."""
        offset = points - self.center[:, None]
        r = np.sqrt((offset**2).sum(0)) + np.float32(1e-3)
        shift = self.push_mm * np.exp(-((r / (2.2 * self.radius_mm)) ** 2)) * r / (r + 5)
        return points - offset * (shift / r).astype(np.float32)

    def _core_field(self, points: np.ndarray, tissue: Tissue) -> np.ndarray:
        """Return about the distance in mm to the core's surface, before its volume is set."""
        offset = points - self.center[:, None]
        field = None
        for shift, matrix, size in self.lobes:
            moved = (matrix.T @ (offset - shift[:, None])).astype(np.float32)
            lobe = (np.sqrt((moved**2).sum(0)) - self.radius_mm) * np.float32(size)
            field = lobe if field is None else smooth_union(field, lobe, 0.4 * self.radius_mm)
        zoom = np.float32(24 / max(8.0, 0.9 * self.radius_mm))
        field += 0.20 * self.radius_mm * self.shape(offset * zoom)
        field += min(1.2, 0.08 * self.radius_mm) * self.detail(points)
        field += 2 * np.clip(3 - tissue.depth_mm, 0, None) + 2 * np.clip(
            -tissue.ventricle_mm, 0, None
        )
        return field + self._barrier_mm(points)

    def _barrier_mm(self, points: np.ndarray) -> np.ndarray:
        """Return a penalty behind the falx (but for the callosum) and below the tentorium."""
        local = self.head.local(self.pushed(points))
        side = np.sign(self.head.local(self.center[:, None])[0, 0])
        inner = np.sqrt(((local[1] + 1) / 50) ** 2 + ((local[2] + 2) / 27) ** 2)
        falx = np.clip(2 - side * local[0], 0, None) * np.where(inner < 1.0, 0.7, 4)
        return falx + 4 * np.clip(np.minimum(-19 - local[2], local[1] - 20), 0, None)

    def _plan(self) -> None:
        """Set the thresholds that give the drawn volumes, on a coarse grid around the head."""
        axes = [np.arange(low, high, _PLAN_MM, dtype=np.float32) for low, high in _BOX_MM]
        mesh = _mesh(axes)
        inside = self.head.outside_mm(mesh) < -1
        points = mesh[:, inside]
        tissue = self.head.tissue(points, self.pushed(points), _PLAN_MM)
        voxel_ml = _PLAN_MM**3 / 1000
        field = self._core_field(points, tissue)
        self.core_level = _level(field, self.core_ml / voxel_ml)
        core = field < self.core_level
        self.necrosis_level = _level(
            self._necrosis_field(points[:, core], field[core]),
            self.necrosis_share * core.sum(),
        )
        sector = self.sector(points[:, core])
        self.dull_level = np.inf if self.low_grade else float(np.quantile(sector, self.dull_share))
        self.plan_shape = tuple(len(axis) for axis in axes)[::-1]
        self.plan_low = np.array([axis[0] for axis in axes], np.float32)
        self.arrival = self._arrival(inside, points, tissue, core)
        times = self.arrival.ravel()[inside][~core & (tissue.csf < 0.5)]
        self.edema_level = _level(times, (self.whole_ml - self.core_ml) / voxel_ml)

    def _necrosis_field(self, points: np.ndarray, field: np.ndarray) -> np.ndarray:
        """Return a field that is lowest where the core dies first: deep, in irregular patches."""
        zoom = np.float32(14 / max(5.0, 0.7 * self.radius_mm))
        return field + 0.22 * self.radius_mm * self.rim(points * zoom)

    def _arrival(self, inside, points, tissue, core) -> np.ndarray:
        """Return when fluid from the core arrives, as the way through white matter in mm."""
        white = np.clip(1 - tissue.csf - tissue.gray, 0, 1)
        speed = (white + 0.15 * tissue.gray + 0.02) * np.exp(0.5 * self.fingers(points))
        speed /= 1 + self._barrier_mm(points)
        lattice = np.full(self.plan_shape, 1e-3, np.float32)
        lattice.ravel()[inside] = speed
        seeds = np.zeros(self.plan_shape, bool)
        seeds.ravel()[inside] = core
        march = sitk.FastMarchingImageFilter()
        march.SetTrialPoints([tuple(int(i) for i in p[::-1]) for p in np.argwhere(seeds)])
        march.SetStoppingValue(60.0)
        image = sitk.GetImageFromArray(lattice)
        image.SetSpacing((_PLAN_MM,) * 3)
        return np.minimum(sitk.GetArrayFromImage(march.Execute(image)), 200).astype(np.float32)

    def labels(self, points: np.ndarray, tissue: Tissue) -> tuple[np.ndarray, np.ndarray]:
        """Return labels (n,) uint8 and the strength (n,) with which tumor replaces tissue.

        The shares of CSF and gray matter in `tissue` are not changed.
        """
        labels = np.zeros(points.shape[1], np.uint8)
        strength = np.zeros(points.shape[1], np.float32)
        time = self._sample_arrival(points)
        wet = (time < self.edema_level) & (tissue.csf < 0.5) & (tissue.depth_mm > 1)
        labels[wet] = 2
        fade = np.clip(time[wet] / np.float32(self.edema_level), 0, 1)
        strength[wet] = (1 - self.fade * fade**2) * (1 - 0.6 * tissue.csf[wet])
        near = np.flatnonzero(time < 2 * _PLAN_MM)
        part = Tissue(*(getattr(tissue, name)[near] for name in tissue.__dataclass_fields__))
        field = self._core_field(points[:, near], part)
        core = field < self.core_level
        where = near[core]
        labels[where] = np.where(self.sector(points[:, where]) < self.dull_level, 3, 4)
        dead = self._necrosis_field(points[:, where], field[core]) < self.necrosis_level
        labels[where[dead]] = 1
        strength[where] = 1
        return labels, strength

    def _sample_arrival(self, points: np.ndarray) -> np.ndarray:
        """Interpolate the arrival time linearly at points (3, n)."""
        places = (points - self.plan_low[:, None]) / np.float32(_PLAN_MM)
        last = np.array(self.plan_shape[::-1], np.float32)[:, None] - np.float32(1.001)
        places = np.clip(places, 0, last)
        low = places.astype(np.int32)
        part = places - low
        _, ny, nx = self.plan_shape
        total, flat = 0, self.arrival.ravel()
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod([p if c else 1 - p for c, p in zip(corner, part, strict=True)], axis=0)
            x, y, z = (axis + c for axis, c in zip(low, corner, strict=True))
            total = total + weight * flat[(z * ny + y) * nx + x]
        return total


def _level(field: np.ndarray, count: float) -> float:
    """Return the value below which about `count` elements of the field lie."""
    return float(np.quantile(field, min(1.0, max(count, 1.0) / field.size)))
