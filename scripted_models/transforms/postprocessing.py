"""Postprocessing as a MONAI pipeline, recorded in the model folder like the preprocessing.

A pipeline works on a dictionary with ``labels``, uint8 (z, y, x); ``brain``, bool (z, y, x);
``enhancing``, the probability of enhancing tumor, float32 (z, y, x); ``voxel_volume_ml``; and
``spacing_zyx_mm``.

Source: Havaei et al. 2017, section 4, removes flat blobs near the skull by connected components
without printing a rule. `RemoveFlatComponentsd` is such a rule; `RemoveSmallComponentsd` looks at
volumes alone.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import SimpleITK as sitk
from monai.transforms import Compose, MapTransform, generate_spatial_bounding_box

from scripted_models.labels import ENHANCING, NECROSIS, NON_ENHANCING, region_mask
from scripted_models.transforms.preprocessing import Data
from scripted_models.transforms.region_thresholds import expected_dice
from scripted_models.transforms.steps import (
    PostprocessingStep,
    options_of,
    read_postprocessing,
)


class InsideBraind(MapTransform):
    """Set labels outside the brain mask to background."""

    def __init__(self, keys: Sequence[str] = ("labels",)):
        super().__init__(keys)

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with masked 'labels'."""
        return {**data, "labels": np.where(data["brain"], data["labels"], 0).astype(np.uint8)}


class RemoveSmallComponentsd(MapTransform):
    """Remove 26-connected components of the complete tumor that are small.

    Args:
        min_volume_ml: components below this volume go.
        min_share: components below this share of the largest component go.
    """

    def __init__(self, min_volume_ml: float, min_share: float, keys: Sequence[str] = ("labels",)):
        super().__init__(keys)
        self.min_volume_ml, self.min_share = min_volume_ml, min_share

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with cleaned 'labels'."""
        labels = data["labels"]
        components = sitk.GetArrayFromImage(_components(labels))
        sizes = np.bincount(components.ravel())[1:]
        if not sizes.size:
            return data
        needed = max(self.min_volume_ml / data["voxel_volume_ml"], self.min_share * sizes.max())
        kept = np.concatenate([[False], sizes >= needed])
        return {**data, "labels": np.where(kept[components], labels, 0).astype(np.uint8)}


class ReplaceSmallEnhancingd(MapTransform):
    """Call enhancing tumor something else where the whole volume holds little of it, or in doubt.

    A few enhancing voxels are mostly vessels or noise in a tumor that does not enhance, and one of
    them costs the whole Dice of such a case. Source: Isensee et al. 2021, "nnU-Net for brain tumor
    segmentation", BrainLes 2020, who call it necrosis and choose the volume on their training
    cases. More of it that is nowhere likely is a tumor that does not enhance, too; what measures
    that is `expected_dice`.

    Args:
        min_volume_ml: enhancing tumor below this volume is replaced.
        min_estimated_dice: and that whose estimated Dice is lower.
        label: by this internal label.
        keys: for MONAI.
    """

    def __init__(
        self,
        min_volume_ml: float,
        min_estimated_dice: float = 0.0,
        label: int = 3,
        keys: Sequence[str] = ("labels",),
    ):
        super().__init__(keys)
        self.min_volume_ml, self.min_dice = min_volume_ml, min_estimated_dice
        self.label = label

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with changed 'labels'."""
        enhancing = data["labels"] == ENHANCING
        much = enhancing.sum() * data["voxel_volume_ml"] >= self.min_volume_ml
        if much and expected_dice(enhancing, data["enhancing"]) >= self.min_dice:
            return data
        return {**data, "labels": np.where(enhancing, np.uint8(self.label), data["labels"])}


class ReplaceNecrosisWithoutEnhancingd(MapTransform):
    """Call necrosis non-enhancing tumor in each lesion without any enhancing tumor.

    A lesion is a 26-connected component of the tumor core. In BRATS 2013 necrosis is what lies
    inside an enhancing rim, and non-enhancing tumor the rest of the core. Later years join both, so
    that a network learns to call everything necrosis. No region changes. Source: Menze et al. 2015,
    "The multimodal brain tumor image segmentation benchmark", IEEE TMI 34, annotation protocol.
    """

    def __init__(self, keys: Sequence[str] = ("labels",)):
        super().__init__(keys)

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with changed 'labels', and 'replaced_necrosis_ml'."""
        labels = data["labels"]
        lesions = sitk.GetArrayFromImage(_components(region_mask(labels, "TC")))
        enhancing = np.bincount(lesions[labels == ENHANCING], minlength=lesions.max() + 1) > 0
        replaced = (labels == NECROSIS) & ~enhancing[lesions]
        return {
            **data,
            "labels": np.where(replaced, np.uint8(NON_ENHANCING), labels),
            "replaced_necrosis_ml": float(replaced.sum() * data["voxel_volume_ml"]),
        }


class RemoveFlatComponentsd(MapTransform):
    """Remove 26-connected components of the tumor that are small or flat, and near the skull.

    The largest component always stays. The edge of the volume is not taken for a surface of the
    brain, nor is a hole inside the brain mask. On four validation cases the shipped network's flat
    false components at the skull were 1 to 6 mm thick, with at least 95 % of their voxels near it.

    Args:
        min_share: components below this share of the largest component's voxels are small.
        max_thickness_mm: components up to this thickness are flat. The thickness is that of a box
            with the same second moments, along its shortest side; a sheet that bends with the skull
            counts as thicker than it is.
        surface_distance_mm: voxels up to this far below the surface of the brain mask are near the
            skull.
        surface_share: a component is near the skull when at least this share of its voxels is.
        keys: for MONAI.
    """

    def __init__(
        self,
        min_share: float = 0.01,
        max_thickness_mm: float = 5.0,
        surface_distance_mm: float = 5.0,
        surface_share: float = 0.5,
        keys: Sequence[str] = ("labels",),
    ):
        super().__init__(keys)
        self.min_share, self.max_thickness_mm = min_share, max_thickness_mm
        self.surface_distance_mm, self.surface_share = surface_distance_mm, surface_share

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with cleaned 'labels'."""
        labels, spacing = data["labels"], data["spacing_zyx_mm"][::-1]
        image = _components(labels, spacing)
        components = sitk.GetArrayFromImage(image)
        sizes = np.bincount(components.ravel())
        sizes[0] = 0
        suspicious = sizes < self.min_share * sizes.max()
        suspicious |= _thickness_mm(image, len(sizes)) <= self.max_thickness_mm
        suspicious &= sizes < sizes.max()
        suspicious[0] = False
        if not suspicious.any():
            return data
        near = _near_surface(data["brain"], spacing, self.surface_distance_mm)
        at_surface = np.bincount(components[near], minlength=len(sizes))
        removed = suspicious & (at_surface >= self.surface_share * sizes)
        return {**data, "labels": np.where(removed[components], 0, labels).astype(np.uint8)}


def _components(
    labels: np.ndarray, spacing_xyz_mm: Sequence[float] = (1.0, 1.0, 1.0)
) -> sitk.Image:
    """Number the 26-connected components of what is not 0 from 1."""
    mask = sitk.GetImageFromArray((labels > 0).astype(np.uint8))
    mask.SetSpacing([float(step) for step in spacing_xyz_mm])
    return sitk.ConnectedComponent(mask, True)


def _thickness_mm(components: sitk.Image, count: int) -> np.ndarray:
    """Return the thickness of each component, at its number; background is infinitely thick.

    A box of side a has the second moment a^2 / 12. SimpleITK's moments are those of the voxels'
    centers; a voxel adds its own.
    """
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.ComputePerimeterOff()
    statistics.Execute(components)
    thickness = np.full(count, np.inf)
    for label in statistics.GetLabels():
        axes = np.reshape(statistics.GetPrincipalAxes(label), (3, 3))
        voxel = ((axes * components.GetSpacing()) ** 2).sum(axis=1)
        squares = 12 * np.array(statistics.GetPrincipalMoments(label)) + voxel
        thickness[label] = np.sqrt(squares.min())
    return thickness


def _near_surface(
    brain: np.ndarray, spacing_xyz_mm: Sequence[float], distance_mm: float
) -> np.ndarray:
    """Mark the voxels outside of the brain and close below its surface, bool (z, y, x)."""
    start, end = generate_spatial_bounding_box(brain[None], margin=1, allow_smaller=True)
    box = tuple(slice(int(s), int(e)) for s, e in zip(start, end, strict=True))
    mask = sitk.GetImageFromArray(brain[box].astype(np.uint8))
    mask.SetSpacing([float(step) for step in spacing_xyz_mm])
    depth = sitk.SignedMaurerDistanceMap(
        sitk.BinaryFillhole(mask),
        insideIsPositive=True,
        squaredDistance=False,
        useImageSpacing=True,
    )
    near = np.ones(brain.shape, bool)
    near[box] = sitk.GetArrayViewFromImage(depth) <= distance_mm
    return near


TRANSFORMS: dict[str, Callable[..., MapTransform]] = {
    "inside_brain": InsideBraind,
    "remove_small_components": RemoveSmallComponentsd,
    "remove_flat_components": RemoveFlatComponentsd,
    "replace_small_enhancing": ReplaceSmallEnhancingd,
    "replace_necrosis_without_enhancing": ReplaceNecrosisWithoutEnhancingd,
}


def build_postprocessing(steps: Sequence[PostprocessingStep | Mapping[str, object]]) -> Compose:
    """Build the pipeline that a list of steps describes.

    Args:
        steps: as `transforms.steps` has them, or as plain tables.

    Raises:
        ModelError: unknown step, unusable option, or an order that would give another result than
            it says.
    """
    read = read_postprocessing(steps)
    return Compose([TRANSFORMS[step.step](**options_of(step)) for step in read])
