"""Postprocessing as a MONAI pipeline, recorded in the model folder like the preprocessing.

A pipeline works on a dictionary with ``labels``, uint8 (z, y, x); ``brain``, bool (z, y, x); and
``voxel_volume_ml``.

Source: Havaei et al. 2017, section 4.3, removes flat blobs near the skull by connected components
without printing a rule; the rule here is a smallest volume and a share of the largest component.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from monai.transforms import Compose, MapTransform

from scripted_models.preprocessing import build_step


class InsideBraind(MapTransform):
    """Set labels outside the brain mask to background."""

    def __init__(self, keys: Sequence[str] = ("labels",)):
        super().__init__(keys)

    def __call__(self, data: dict) -> dict:
        """Return the dictionary with masked 'labels'."""
        return {**data, "labels": np.where(data["brain"], data["labels"], 0).astype(np.uint8)}


class RemoveSmallComponentsd(MapTransform):
    """Remove 26-connected components of the complete tumour that are small.

    Args:
        min_volume_ml: components below this volume go.
        min_share: components below this share of the largest component go.
    """

    def __init__(self, min_volume_ml: float, min_share: float, keys: Sequence[str] = ("labels",)):
        super().__init__(keys)
        self.min_volume_ml, self.min_share = min_volume_ml, min_share

    def __call__(self, data: dict) -> dict:
        """Return the dictionary with cleaned 'labels'."""
        labels = data["labels"]
        mask = sitk.GetImageFromArray((labels > 0).astype(np.uint8))
        components = sitk.GetArrayFromImage(sitk.ConnectedComponent(mask, True))
        sizes = np.bincount(components.ravel())[1:]
        if not sizes.size:
            return data
        needed = max(self.min_volume_ml / data["voxel_volume_ml"], self.min_share * sizes.max())
        kept = np.concatenate([[False], sizes >= needed])
        return {**data, "labels": np.where(kept[components], labels, 0).astype(np.uint8)}


STEPS = {"inside_brain": InsideBraind, "remove_small_components": RemoveSmallComponentsd}


def build_postprocessing(steps: Sequence[dict]) -> Compose:
    """Build the pipeline that a list of steps describes.

    Raises:
        ModelError: unknown step or parameter.
    """
    return Compose([build_step(step, STEPS, "postprocessing") for step in steps])
