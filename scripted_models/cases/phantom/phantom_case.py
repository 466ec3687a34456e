"""A phantom, a head with a glioma: four sequences and their labels, from nothing but a seed.

It stands in for patients where none are at hand. A seed means the same head at every size. The same
seed and size give the same bits.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripted_models.cases.phantom.anatomy import HEAD_BOX_MM, Head
from scripted_models.cases.phantom.glioma import Glioma
from scripted_models.cases.phantom.scanner import Scanner, Scene
from scripted_models.cases.phantom.shapes import mesh_points
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import write_labels, write_volume

VERSION = 1  # raise it when a seed gives another head: cached training phantoms are then made again
FULL_SIZE_XYZ = (240, 240, 155)  # the BraTS grid, 1 mm
SMALLEST_XYZ = (24, 24, 8)
LARGEST = 512
_FILE_NAMES = {"t1": "t1", "t1c": "t1ce", "t2": "t2", "flair": "flair"}  # as in BraTS 2021


@dataclass(frozen=True)
class Phantom:
    """One artificial case.

    Attributes:
        grid: grid of all volumes.
        volumes: sequence -> float32 (z, y, x); at least 1 in the brain, 0 outside.
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
        low_grade: make a low-grade glioma: little or no enhancement, perhaps hardly any edema,
            fluid that FLAIR shows dark. Of the others about every seventh lacks enhancement.

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
    shape = (len(axes[2]), len(axes[1]), len(axes[0]))
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

    Files: `Phantom_<seed>_{t1,t1ce,t2,flair}.nii.gz` (int16), `_seg5.nii.gz` (labels 0-4, uint8).

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
    (nx, ny, nz), (fx, fy, fz) = size_xyz, FULL_SIZE_XYZ
    spacing = (fx / nx, fy / ny, fz / nz)
    first = [(s - 1) / 2 for s in spacing]
    return Grid((nx, ny, nz), spacing, (first[0], first[1] - 239.0, first[2]))


def _check(seed: int, size_xyz: tuple[int, int, int]) -> None:
    whole = len(size_xyz) == 3 and all(isinstance(n, int | np.integer) for n in size_xyz)
    fits = whole and all(low <= n <= LARGEST for low, n in zip(SMALLEST_XYZ, size_xyz, strict=True))
    if not fits:
        raise InputError(
            found=f"the phantom size {tuple(size_xyz)}",
            expected=f"whole numbers from {SMALLEST_XYZ} to {(LARGEST,) * 3}",
            action=f"choose a size in this range, for example {FULL_SIZE_XYZ}",
        )
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(
            found=f"the phantom seed {seed!r}",
            expected="a whole number of 0 or more",
            action="choose one",
        )


def _box_axes(grid: Grid) -> tuple[tuple[slice, ...], list[np.ndarray]]:
    """Return the part of the grid with brain: slices (z, y, x) and coordinates x, y, z."""
    slices, axes = [], []
    for n, step, (low, high) in zip(grid.size_xyz, grid.spacing_xyz_mm, HEAD_BOX_MM, strict=True):
        centers = (np.arange(n) + 0.5) * step - 0.5
        kept = np.flatnonzero((centers >= low - step) & (centers <= high + step))
        slices.append(slice(kept[0], kept[-1] + 1))
        axes.append(centers[kept].astype(np.float32))
    return tuple(slices[::-1]), axes


def _brain_points(head: Head, axes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the grid's points (3, n) inside the brain, and the mask of all points."""
    points, masks = [], []
    for z in np.array_split(axes[2], -(-len(axes[2]) // 16)):  # in slabs, to spare memory
        mesh = mesh_points([axes[0], axes[1], z])
        masks.append(head.outside_mm(mesh) < 0)
        points.append(mesh[:, masks[-1]])
    return np.concatenate(points, axis=1), np.concatenate(masks)


def _unbox(values: np.ndarray, box: tuple[slice, ...], grid: Grid) -> np.ndarray:
    whole = np.zeros(grid.shape_zyx, values.dtype)
    whole[box] = values
    return whole
