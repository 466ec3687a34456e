"""Where the voxels of a volume node lie in the world, and its values on another grid.

The border between Slicer's RAS and the package's LPS runs through this file.
"""

from collections.abc import Iterable

import numpy as np
import slicer
import slicer.util
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from scripted_models.errors import InputError
from scripted_models.geometry import Grid

from .slicer_types import ImageData, Transform, VolumeNode
from .translation import _

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
ORTHONORMAL_TOLERANCE = 1e-4  # cosines; scanners round direction cosines to about 1e-6
MAX_GROWTH = 8  # a proper grid around a warped volume may hold this many times its voxels
SAMPLES_PER_AXIS = 9  # points along each axis that show where a transform takes a volume


def ijk_to_ras(node: VolumeNode) -> np.ndarray:
    """Return the 4x4 matrix from voxel indices to the node's own RAS, without parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def parent_matrix(node: VolumeNode) -> np.ndarray | None:
    """Return the 4x4 matrix of all parent transforms to the world; None when one is not linear."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        return None
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ras_grid(matrix: np.ndarray, size_xyz: tuple[int, int, int]) -> Grid | None:
    """Return the grid of a 4x4 voxel-to-RAS matrix; None when its axes are not perpendicular."""
    lps = LPS_RAS @ matrix
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    if spacing.min() <= 0 or not np.all(np.isfinite(lps)):
        return None
    direction = lps[:3, :3] / spacing
    if np.abs(direction.T @ direction - np.eye(3)).max() > ORTHONORMAL_TOLERANCE:
        return None
    return _grid(size_xyz, spacing, lps[:3, 3], _nearest_axes(direction))


def ras_matrix(grid: Grid) -> np.ndarray:
    """Return the 4x4 matrix from voxel indices of a grid to RAS."""
    lps = np.eye(4)
    lps[:3, :3] = np.array(grid.direction).reshape(3, 3) * np.array(grid.spacing_xyz_mm)
    lps[:3, 3] = grid.origin_lps_mm
    return LPS_RAS @ lps


def world_grid(node: VolumeNode) -> Grid | None:
    """Return the grid of the node's voxels in the world; None when no proper grid holds them."""
    parent = parent_matrix(node)
    if parent is None:
        return None
    return ras_grid(parent @ ijk_to_ras(node), node.GetImageData().GetDimensions())


def covering_grid(node: VolumeNode) -> Grid:
    """Return a proper grid around a sheared or warped volume as it is seen in the world.

    Its axes and spacing are those of the affine map that fits best, its size covers all voxels.

    Raises:
        InputError: the transform blows the volume up or collapses it.
    """
    ijk, world = _sample_positions_lps(node)
    affine = np.linalg.lstsq(np.c_[ijk, np.ones(len(ijk))], world, rcond=None)[0]
    columns = affine[:3].T
    spacing = np.linalg.norm(columns, axis=0)
    if not np.all(np.isfinite(world)) or abs(np.linalg.det(columns)) < 1e-6:
        raise _bad_transform(node, _("which takes its voxels to no usable place"))
    axes = _nearest_axes(columns / spacing)
    along = world @ axes
    low, high = along.min(axis=0) + spacing / 2, along.max(axis=0) - spacing / 2
    size = np.maximum(np.ceil((high - low) / spacing - 1e-6).astype(int) + 1, 1)
    if np.prod(size.astype(float)) > MAX_GROWTH * np.prod(node.GetImageData().GetDimensions()):
        by = " x ".join(map(str, size))
        raise _bad_transform(node, _("which spreads it over {size} voxels").format(size=by))
    return _grid(size, spacing, axes @ low, axes)


def resample(node: VolumeNode, grid: Grid) -> np.ndarray:
    """Return the node's values on a grid in the world, linearly interpolated, 0 outside.

    All parent transforms are applied; the node stays as it is.

    Returns:
        float32 array (z, y, x).
    """
    array = np.ascontiguousarray(slicer.util.arrayFromVolume(node), np.float32)
    reslice = vtk.vtkImageReslice()
    reslice.SetInputData(_image_data(array))
    reslice.SetResliceTransform(_output_to_input(node, grid))
    reslice.SetInterpolationModeToLinear()
    reslice.SetOutputOrigin(0, 0, 0)
    reslice.SetOutputSpacing(1, 1, 1)
    reslice.SetOutputExtent(*(bound for n in grid.size_xyz for bound in (0, n - 1)))
    reslice.SetBackgroundLevel(0)
    reslice.Update()
    scalars = reslice.GetOutput().GetPointData().GetScalars()
    return vtk_to_numpy(scalars).reshape(grid.shape_zyx).copy()


def _output_to_input(node: VolumeNode, grid: Grid) -> Transform:
    """Voxel indices on the grid -> world -> the node's RAS -> its voxel indices."""
    to_ijk = np.linalg.inv(ijk_to_ras(node))
    parent = parent_matrix(node)
    if parent is not None:
        chain = vtk.vtkTransform()
        matrix = to_ijk @ np.linalg.inv(parent) @ ras_matrix(grid)
        chain.SetMatrix(slicer.util.vtkMatrixFromArray(matrix))
        return chain
    world_to_local = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        None, node.GetParentTransformNode(), world_to_local
    )
    chain = vtk.vtkGeneralTransform()
    chain.PostMultiply()
    chain.Concatenate(slicer.util.vtkMatrixFromArray(ras_matrix(grid)))
    chain.Concatenate(world_to_local)
    chain.Concatenate(slicer.util.vtkMatrixFromArray(to_ijk))
    chain.Update()
    return chain


def _sample_positions_lps(node: VolumeNode) -> tuple[np.ndarray, np.ndarray]:
    """Voxel indices spread over the volume and its outer faces, and their places in LPS."""
    size = node.GetImageData().GetDimensions()
    axes = [np.linspace(-0.5, n - 0.5, SAMPLES_PER_AXIS) for n in size]
    ijk = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    matrix = ijk_to_ras(node)
    local = ijk @ matrix[:3, :3].T + matrix[:3, 3]
    to_world = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(
        node.GetParentTransformNode(), None, to_world
    )
    world = np.array([to_world.TransformPoint(*point) for point in local])
    return ijk, world @ LPS_RAS[:3, :3]


def _nearest_axes(direction: np.ndarray) -> np.ndarray:
    """The perpendicular unit axes nearest to three given ones (polar decomposition, hand kept)."""
    left, _singular, right = np.linalg.svd(direction)
    return left @ right


def _grid(
    size: Iterable[float], spacing: Iterable[float], origin: Iterable[float], axes: np.ndarray
) -> Grid:
    nx, ny, nz = map(int, size)
    dx, dy, dz = map(float, spacing)
    x, y, z = map(float, origin)
    return Grid((nx, ny, nz), (dx, dy, dz), (x, y, z), tuple(map(float, axes.ravel())))


def _image_data(array: np.ndarray) -> ImageData:
    image = vtk.vtkImageData()
    image.SetDimensions(*array.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(array.ravel(), deep=True))
    return image


def _bad_transform(node: VolumeNode, what: str) -> InputError:
    found = _("the parent transform '{name}', {what}")
    return InputError(
        found=found.format(name=node.GetParentTransformNode().GetName(), what=what),
        action=_("check the transform or take the volume out of it"),
        path=_("Volume '{name}'").format(name=node.GetName()),
    )
