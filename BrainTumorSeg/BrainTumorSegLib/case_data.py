"""The arrays behind a segmentation: its volumes, its labels as they are now, its first result."""

import base64
import zlib

import numpy as np
import SimpleITK as sitk
import slicer.util

from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.measurement.lesions import mean_x

from .resampling import resample, world_grid
from .review import grid_of_result, inputs_of
from .segment_masks import labels_on
from .slicer_types import SegmentationNode, VolumeNode
from .translation import _

EMPTY_SHARE = 0.1  # voxels of 0 that show a background without noise
FIRST_RESULT = "BrainTumorSeg.FirstResult"  # attribute: the label map, compressed


def keep_first_result(node: SegmentationNode, labels: np.ndarray) -> None:
    """Keep what a model gave, whatever is edited later; about 100 kB that go with the scene.

    Args:
        node: vtkMRMLSegmentationNode that was filled with it.
        labels: uint8 (z, y, x), internal labels.
    """
    packed = zlib.compress(np.ascontiguousarray(labels, np.uint8).tobytes(), 6)
    node.SetAttribute(FIRST_RESULT, base64.b64encode(packed).decode("ascii"))


def first_result_of(node: SegmentationNode) -> tuple[np.ndarray, Grid] | None:
    """Return what the model gave and its grid in the world; None where that is not known."""
    packed, grid = node.GetAttribute(FIRST_RESULT), grid_of_result(node)
    if not packed or grid is None:
        return None
    try:
        voxels = zlib.decompress(base64.b64decode(packed))
        return np.frombuffer(voxels, np.uint8).reshape(grid.shape_zyx), grid
    except (ValueError, zlib.error):
        return None


def labels_of(node: SegmentationNode) -> tuple[np.ndarray, Grid]:
    """Return what a segmentation holds now, on the grid of its reference volume.

    Returns:
        uint8 (z, y, x) with internal labels; the grid in the world.

    Raises:
        InputError: the volumes that it was made from are gone, or a transform bends the reference.
    """
    reference = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    grid = world_grid(reference) if reference is not None else None
    if not inputs_of(node) or grid is None:
        raise InputError(
            found=_("no volumes that it was made from"),
            expected=_("them in the scene, without a transform that bends the reference"),
            action=_("load them and segment again"),
            path=_("Segmentation '{name}'").format(name=node.GetName()),
        )
    return labels_on(node, grid), grid


def volumes_of(node: SegmentationNode, grid: Grid) -> dict[str, np.ndarray]:
    """Return copies of the volumes that a segmentation was made from, on a grid.

    Returns:
        Sequence -> (z, y, x).
    """
    return {sequence: _array_on(volume, grid) for sequence, volume in inputs_of(node).items()}


def head_middle_lps_mm(node: SegmentationNode) -> float | None:
    """Return the left-right position of the middle of the head that the reference volume shows.

    It is the mean of the voxels of the brain where the skull was stripped, else of the head.

    Returns:
        x in LPS, in the world; None where the volume is gone, bent by a transform or empty.
    """
    reference = node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole())
    if reference is None or reference.GetImageData() is None:
        return None
    values, grid = slicer.util.arrayFromVolume(reference), world_grid(reference)
    inside = values != 0
    if inside.mean() > 1 - EMPTY_SHARE:
        image = sitk.GetImageFromArray(np.asarray(values, np.float32))
        inside = sitk.GetArrayFromImage(sitk.OtsuThreshold(image, 0, 1)) > 0
    return mean_x(inside, grid) if grid is not None and inside.any() else None


def _array_on(volume: VolumeNode, grid: Grid) -> np.ndarray:
    """Return a volume's own voxels where they lie on the grid, so that a background of 0 stays."""
    own = world_grid(volume)
    if own is not None and own.matches(grid):
        return slicer.util.arrayFromVolume(volume).copy()
    return resample(volume, grid)
