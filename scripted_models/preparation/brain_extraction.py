"""Where the brain is in a raw volume: the interface of extractors, and masks from probabilities."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import SimpleITK as sitk

from scripted_models.geometry import Grid
from scripted_models.images.voxel_facts import look_at


class BrainExtractor(Protocol):
    """Whatever finds the brain in one volume.

    Attributes:
        name: for reports.
    """

    name: str

    def probability(
        self, image: sitk.Image, cancelled: Callable[[], bool] = lambda: False
    ) -> sitk.Image:
        """Return the probability of brain, float32 on the grid of the image.

        Args:
            image: a head, any orientation and spacing.
            cancelled: asked often.

        Raises:
            Cancelled: `cancelled` returned true.
            ResourceError: the extractor is not installed, or too little memory.
        """
        ...


def brain_of(probability: sitk.Image) -> sitk.Image:
    """Return where a probability is above one half: the largest component, holes filled.

    Returns:
        uint8, 0 or 1, on the same grid; all 0 where nothing is that probable.
    """
    found = sitk.BinaryThreshold(probability, 0.5, 1e9, 0, 1) == 0
    parts = sitk.RelabelComponent(sitk.ConnectedComponent(found), sortByObjectSize=True)
    return sitk.BinaryFillhole(sitk.Cast(parts == 1, sitk.sitkUInt8))


def shown_part(image: sitk.Image) -> sitk.Image:
    """Return where a skull-stripped volume is not background, as a probability of its brain."""
    array = sitk.GetArrayViewFromImage(image)
    shown = array != look_at(array).background
    return Grid.of(image).image_from(shown.astype(np.float32))


def on_zero(image: sitk.Image) -> sitk.Image:
    """Return a skull-stripped volume with 0 as background; another one would bleed into the rim."""
    array = sitk.GetArrayViewFromImage(image)
    background = look_at(array).background
    if background == 0:
        return image
    return Grid.of(image).image_from(np.where(array == background, 0, array).astype(np.float32))


def volume_ml(mask: sitk.Image) -> float:
    """Return the volume of a mask of 0 and 1."""
    voxels = int(np.count_nonzero(sitk.GetArrayViewFromImage(mask)))
    return voxels * Grid.of(mask).voxel_volume_ml
