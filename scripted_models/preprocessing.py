"""Preprocessing as a MONAI pipeline, written as data so that a model folder can replay it.

A pipeline is a list of steps such as ``{"step": "clip_percentiles", "lower": 1, "upper": 99}``. It works
on a dictionary with ``image``, float32 (C, z, y, x), to which ``mark_brain`` adds ``brain``, bool
(1, z, y, x), and ``crop_to_brain`` adds ``box_start`` and ``box_end`` for the way back.

Source of the default: Havaei et al. 2017, section 4.1. The paper's script takes the 1 % quantiles over the
whole volume, which clips the brightest 6 % of the brain; here they are taken inside the brain.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from monai.transforms import Compose, CropForegroundd, MapTransform, NormalizeIntensityd

from scripted_models.errors import InputError, ModelError
from scripted_models.modalities import MODALITIES

MIN_BRAIN_VOXELS = 100  # percentiles and standard deviation mean nothing below


class MarkBraind(MapTransform):
    """Add the brain mask: voxels that differ from 0 in any channel.

    Raises:
        InputError: fewer than 100 such voxels, or a channel that is constant inside.
    """

    def __init__(self, keys: Sequence[str] = ("image",), channels: Sequence[str] = MODALITIES):
        super().__init__(keys)
        self.channels = tuple(channels)

    def __call__(self, data: dict) -> dict:
        """Return the dictionary with 'brain', bool (1, z, y, x)."""
        image = data["image"]
        brain = (image != 0).any(axis=0, keepdims=True)
        if brain.sum() < MIN_BRAIN_VOXELS:
            raise InputError(
                f"Found {int(brain.sum())} voxels that differ from 0, expected a brain of at least "
                f"{MIN_BRAIN_VOXELS}; check that the volumes are not empty."
            )
        for name, channel in zip(self.channels, image, strict=True):
            inside = channel[brain[0]]
            if inside.min() == inside.max():
                raise InputError(
                    f"The {name} volume is constant ({inside.min():g}) inside the brain, expected an "
                    "MRI sequence; check that the right file was given."
                )
        return {**data, "brain": brain}


class ClipPercentilesd(MapTransform):
    """Clip each channel to percentiles of its non-zero voxels; zero stays zero."""

    def __init__(self, lower: float, upper: float, keys: Sequence[str] = ("image",)):
        super().__init__(keys)
        self.lower, self.upper = lower, upper

    def __call__(self, data: dict) -> dict:
        """Return the dictionary with a clipped copy of 'image'."""
        image = data["image"].copy()
        for channel in image:
            inside = channel != 0
            low, high = np.percentile(channel[inside], [self.lower, self.upper])
            channel[inside] = np.clip(channel[inside], low, high)
        return {**data, "image": image}


class N4BiasFieldd(MapTransform):
    """Divide channels by the bias field that N4 finds (Tustison et al. 2010).

    The field is estimated on a shrunken copy and applied at full resolution. Channels whose brain is
    thinner than four voxels after shrinking along any axis are left as they are.
    """

    def __init__(
        self, channels: Sequence[int] = (0, 1), shrink: int = 4, keys: Sequence[str] = ("image",)
    ):
        super().__init__(keys)
        self.channels, self.shrink = tuple(channels), shrink

    def __call__(self, data: dict) -> dict:
        """Return the dictionary with a corrected copy of 'image'."""
        image = data["image"].copy()
        if min(image.shape[1:]) >= 4 * self.shrink:
            for index in self.channels:
                image[index] = self._correct(image[index])
        return {**data, "image": image}

    def _correct(self, channel: np.ndarray) -> np.ndarray:
        inside = channel != 0
        shifted = channel - min(channel[inside].min() - 1.0, 0.0)  # N4 takes logarithms
        full = sitk.GetImageFromArray(shifted.astype(np.float32))
        mask = sitk.GetImageFromArray(inside.astype(np.uint8))
        factors = [self.shrink] * 3
        n4 = sitk.N4BiasFieldCorrectionImageFilter()
        n4.SetMaximumNumberOfIterations([50, 50, 50, 10])
        n4.Execute(sitk.Shrink(full, factors), sitk.Shrink(mask, factors))
        field = np.exp(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(full)))
        return np.where(inside, channel / field, 0.0).astype(np.float32)


def _crop_to_brain(margin: int = 0) -> CropForegroundd:
    return CropForegroundd(
        keys=("image", "brain", "labels"),
        source_key="brain",
        select_fn=lambda brain: brain > 0,
        margin=margin,
        allow_smaller=True,
        start_coord_key="box_start",
        end_coord_key="box_end",
        allow_missing_keys=True,
    )


def _zscore() -> NormalizeIntensityd:
    return NormalizeIntensityd(keys="image", nonzero=True, channel_wise=True)


STEPS = {
    "mark_brain": MarkBraind,
    "clip_percentiles": ClipPercentilesd,
    "n4": N4BiasFieldd,
    "crop_to_brain": _crop_to_brain,
    "zscore": _zscore,
}


def build_preprocessing(steps: Sequence[dict]) -> Compose:
    """Build the pipeline that a list of steps describes.

    Raises:
        ModelError: unknown step or parameter.
    """
    return Compose([build_step(step, STEPS, "preprocessing") for step in steps])


def build_step(step: dict, table: dict, pipeline: str):
    """Build one recorded step from the table of known ones."""
    parameters = {key: value for key, value in step.items() if key != "step"}
    name = step.get("step")
    if name not in table:
        raise ModelError(f"Unknown {pipeline} step '{name}'; expected one of {sorted(table)}.")
    try:
        return table[name](**parameters)
    except TypeError as error:
        raise ModelError(
            f"The {pipeline} step '{name}' cannot take {parameters} ({error})."
        ) from error


def preprocess(pipeline: Compose, image: np.ndarray, labels: np.ndarray | None = None) -> dict:
    """Run a pipeline.

    Args:
        pipeline: what `build_preprocessing` returned.
        image: float32 (C, z, y, x), 0 outside the brain.
        labels: optional uint8 (z, y, x), cropped like the image.

    Returns:
        Dictionary with NumPy arrays 'image', 'brain' (bool, (z, y, x)), 'labels' if given, and 'box',
        the slices of the crop inside the input.
    """
    data = {"image": image} if labels is None else {"image": image, "labels": labels[None]}
    try:
        result = pipeline(data)
    except RuntimeError as error:  # MONAI wraps whatever a step raises
        raise error.__cause__ if isinstance(error.__cause__, InputError) else error from error
    start = np.asarray(result.get("box_start", (0, 0, 0)))
    shape = np.asarray(result["image"]).shape[1:]
    out = {
        "image": np.asarray(result["image"], np.float32),
        "brain": np.asarray(result["brain"], bool)[0],
        "box": tuple(slice(int(s), int(s) + n) for s, n in zip(start, shape, strict=True)),
    }
    if labels is not None:
        out["labels"] = np.asarray(result["labels"], np.uint8)[0]
    return out
