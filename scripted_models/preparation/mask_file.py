"""A brain mask that the user gives, in the place of an extractor."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.errors import InputError
from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.volume_files import read_volume


@dataclass(frozen=True, eq=False)
class GivenMask:
    """A brain mask, and which volume it belongs to.

    Attributes:
        sequence: the one in whose space it lies.
        brain: float32 on its own grid, 0 or 1.
        is_on_its_grid: its grid is that of a volume; otherwise it is taken for the reference's.
        others: sequences whose grid is that of the mask, too.
    """

    sequence: str
    brain: sitk.Image
    is_on_its_grid: bool
    others: tuple[str, ...] = ()


def read_mask(path: Path, images: Mapping[str, sitk.Image], reference: str) -> GivenMask:
    """Read a mask for one of several volumes: of the one on whose grid it lies.

    Args:
        path: volume file, 0 outside of the brain.
        images: sequence -> volume.
        reference: sequence that is asked first, and taken where no grid is that of the mask.

    Raises:
        InputError: no volume, an empty mask, or one that is no mask.
    """
    image = read_volume(path)
    values = sitk.GetArrayFromImage(image)
    inside = values != 0
    shown = values[inside]
    if not 0 < len(shown) < values.size or shown.min() != shown.max():
        raise InputError(
            path=path,
            found="a volume with other values than 0 and one more",
            expected="a brain mask: 0 outside, 1 inside",
            action="give a mask in the space of the reference sequence",
        )
    grid = Grid.of(image)
    order = [reference, *(m for m in images if m != reference)]
    same = [m for m in order if Grid.of(images[m]).matches(grid, HARMLESS_MM)]
    brain = grid.image_from(inside.astype(np.float32))
    return GivenMask(same[0] if same else reference, brain, bool(same), tuple(same[1:]))
