"""From one spacing to another and back, as nnU-Net goes there: by the number of voxels.

The voxels of a box become others that fill the same box. Images are resampled with cubic splines,
logits linearly; across thick slices both take the nearest one. SimpleITK's splines end in another
way than those of nnU-Net (scikit-image), so edges are drawn out before.

Source: nnU-Net 2.8, `default_resampling`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

if TYPE_CHECKING:  # descriptions of models are read without PyTorch
    import torch

THICK = 3.0  # times the smallest spacing; slices above are not mixed
_EDGE = 12  # voxels, beyond which a spline's memory is below 1e-6

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class SpacingChange:
    """The way of a volume to the spacing of a network.

    Attributes:
        before_zyx_mm: spacing of the volume.
        after_zyx_mm: spacing of the network.
    """

    before_zyx_mm: Triple
    after_zyx_mm: Triple

    def forth(self, image: np.ndarray) -> np.ndarray:
        """Resample an image with cubic splines that stay within its range.

        Args:
            image: float32 (C, z, y, x).

        Returns:
            The same of other sides; the image itself where rounding leaves them as they are.
        """
        shape = self._shape_after(image.shape[1:])
        if shape == image.shape[1:]:
            return image
        axis = _thick_axis(self.before_zyx_mm, self.after_zyx_mm)
        resampled = [_splines(channel, shape, axis) for channel in image]
        return np.stack(resampled).astype(np.float32)

    def back(self, logits: "torch.Tensor", shape: Sequence[int]) -> "torch.Tensor":
        """Resample logits linearly.

        Args:
            logits: float32 (outputs, z, y, x).
            shape: sides before.

        Returns:
            float32 (outputs, *shape).
        """
        from torch.nn import functional as F

        if tuple(shape) == tuple(logits.shape[1:]):
            return logits
        axis = _thick_axis(self.after_zyx_mm, self.before_zyx_mm)
        if axis is None:
            return F.interpolate(logits[None], tuple(shape), mode="trilinear")[0]
        slices = logits.movedim(axis + 1, 1)
        inner = [n for place, n in enumerate(shape) if place != axis]
        flat = F.interpolate(slices, tuple(inner), mode="bilinear")
        chosen = _nearest(slices.shape[1], shape[axis]).tolist()
        return flat[:, chosen].movedim(1, axis + 1)

    def _shape_after(self, shape: Sequence[int]) -> tuple[int, ...]:
        spacings = zip(shape, self.before_zyx_mm, self.after_zyx_mm, strict=True)
        return tuple(max(1, round(before / after * n)) for n, before, after in spacings)


def _thick_axis(first: Triple, second: Triple) -> int | None:
    """Return the axis of thick slices of one spacing or, if it has none, of the other."""
    for spacing in (first, second):
        if max(spacing) / min(spacing) > THICK:
            return spacing.index(max(spacing)) if spacing.count(max(spacing)) == 1 else None
    return None


def _splines(channel: np.ndarray, shape: Sequence[int], axis: int | None) -> np.ndarray:
    """Resample (z, y, x); slices along an axis each on their own, and then the nearest counts."""
    if axis is None:
        return _spline(channel, shape)
    inner = [n for place, n in enumerate(shape) if place != axis]
    slices = np.stack([_spline(part, inner) for part in np.moveaxis(channel, axis, 0)])
    return np.moveaxis(slices[_nearest(len(slices), shape[axis])], 0, axis)


def _spline(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    image = sitk.GetImageFromArray(np.pad(array.astype(np.float64), _EDGE, mode="edge"))
    steps = [old / new for old, new in zip(array.shape, shape, strict=True)][::-1]
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize([int(n) for n in reversed(shape)])
    filter_.SetTransform(sitk.Transform(array.ndim, sitk.sitkIdentity))
    filter_.SetOutputSpacing(steps)
    filter_.SetOutputOrigin([_EDGE + (step - 1) / 2 for step in steps])
    filter_.SetOutputDirection(np.eye(array.ndim).ravel().tolist())
    filter_.SetInterpolator(sitk.sitkBSpline)
    found = sitk.GetArrayFromImage(filter_.Execute(image))
    return np.clip(found, array.min(), array.max())


def _nearest(before: int, after: int) -> np.ndarray:
    """Return for each of the slices after which one before it is the nearest."""
    places = np.floor((np.arange(after) + 0.5) * (before / after)).astype(np.int64)
    return np.minimum(places, before - 1)
