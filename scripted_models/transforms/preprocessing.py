"""Preprocessing as a MONAI pipeline, written as data so that a model folder can replay it.

A pipeline is a list of steps such as ``{"step": "clip_percentiles", "lower": 1, "upper": 99}``. It
works on a dictionary with ``image``, float32 (C, z, y, x), to which ``mark_brain`` adds ``brain``,
bool (1, z, y, x), and ``crop_to_brain`` adds ``box_start`` and ``box_end`` for the way back.

Source: Havaei et al. 2017, section 4, clips the 1 % lowest and highest intensities, corrects the
bias field of T1 and T1c with N4 and standardizes each channel. The default leaves N4 out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
from monai.transforms import (
    Compose,
    CropForegroundd,
    MapTransform,
    NormalizeIntensityd,
    Transform,
)

from scripted_models.brain_mask import brain_mask
from scripted_models.errors import InputError
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.coverage import clear_uncovered
from scripted_models.transforms.steps import PreprocessingStep, options_of, read_preprocessing

Data = dict[str, Any]  # what the pipelines work on
LEAST_DEVIATION = 1e-8
MIN_BRAIN_VOXELS = 100  # percentiles and standard deviation mean nothing below


class MarkBraind(MapTransform):
    """Add the brain mask (see `scripted_models.brain_mask`), and clear what is not covered.

    Raises:
        InputError: fewer than 100 voxels of brain, or a channel that is constant inside and not
            one of 'missing'.
    """

    def __init__(self, keys: Sequence[str] = ("image",), channels: Sequence[str] = SEQUENCES):
        super().__init__(keys)
        self.channels = tuple(channels)

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with 'brain', bool (1, z, y, x), and 'image'."""
        image = np.asarray(data["image"])
        brain = brain_mask(image)[None]
        if brain.sum() < MIN_BRAIN_VOXELS:
            raise InputError(
                found=f"{int(brain.sum())} voxels that differ from 0",
                expected=f"a brain of at least {MIN_BRAIN_VOXELS}",
                action="check that the volumes are not empty",
            )
        for name, channel in zip(self.channels, image, strict=True):
            inside = channel[brain[0]]
            if inside.min() == inside.max() and name not in data.get("missing", ()):
                raise InputError(
                    found=f"the {name} volume constant ({inside.min():g}) inside the brain",
                    expected="an MRI sequence",
                    action="check that the right file was given",
                )
        spacing = data.get("spacing_zyx_mm", (1.0, 1.0, 1.0))
        return {**data, "image": clear_uncovered(image, brain[0], spacing), "brain": brain}


class ClipPercentilesd(MapTransform):
    """Clip each channel to percentiles of its voxels; zero stays zero.

    Args:
        lower: percentile, 0-100.
        upper: percentile above `lower`.
        region: 'brain' takes the percentiles of the non-zero voxels. 'volume' takes those of all
            voxels, as the published script of the paper's authors does: with 83 % background the
            low end then stays as it is, and the brightest 6 % of the brain are clipped, enhancing
            tumor among them.
        keys: for MONAI.

    Raises:
        InputError: a channel would be clipped to a single value.
    """

    def __init__(
        self, lower: float, upper: float, region: str = "brain", keys: Sequence[str] = ("image",)
    ):
        super().__init__(keys)
        self.lower, self.upper, self.region = lower, upper, region

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with a clipped copy of 'image'."""
        image = np.asarray(data["image"]).copy()
        for index, channel in enumerate(image):
            inside = channel != 0
            if not inside.any():  # a missing sequence
                continue
            counted = channel[inside] if self.region == "brain" else channel
            low, high = np.percentile(counted, [self.lower, self.upper])
            if not low < high:
                raise InputError(
                    found=f"both percentiles of channel {index} at {low:g}",
                    expected=f"an MRI sequence with a range of values in the {self.region}",
                    action="check the file or the clipping",
                )
            channel[inside] = np.clip(channel[inside], low, high)
        return {**data, "image": image}


class N4BiasFieldd(MapTransform):
    """Divide channels by the bias field that N4 finds (Tustison et al. 2010).

    The field is estimated on the positive voxels of a shrunken copy and applied at full resolution.
    A volume with fewer than four voxels along an axis is left as it is. The number of threads
    changes the last bits of the result.

    Args:
        channels: indices of the channels; the default, T1 and T1c, is the paper's.
        shrink: take every so manyth voxel along each axis, as long as four remain.
        iterations: at most so many at each resolution, from coarse to fine.
        keys: for MONAI.
    """

    def __init__(
        self,
        channels: Sequence[int] = (0, 1),
        shrink: int = 4,
        iterations: Sequence[int] = (50, 50, 50, 10),
        keys: Sequence[str] = ("image",),
    ):
        super().__init__(keys)
        self.channels, self.shrink, self.iterations = tuple(channels), shrink, tuple(iterations)

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with a corrected copy of 'image'."""
        image = np.asarray(data["image"]).copy()
        if min(image.shape[1:]) >= 4:
            for index in self.channels:
                if image[index].any():
                    image[index] /= self._field(image[index])
        return {**data, "image": image}

    def _field(self, channel: np.ndarray) -> np.ndarray:
        full = sitk.GetImageFromArray(channel)
        mask = sitk.GetImageFromArray((channel > 0).astype(np.uint8))  # N4 takes logarithms
        factors = [max(1, min(self.shrink, size // 4)) for size in full.GetSize()]
        n4 = sitk.N4BiasFieldCorrectionImageFilter()
        n4.SetMaximumNumberOfIterations(self.iterations)
        n4.Execute(sitk.Shrink(full, factors), sitk.Shrink(mask, factors))
        return np.exp(sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(full)))


class ShiftBraind(MapTransform):
    """Add a constant to all brain voxels, also to those that happen to be 0.

    Args:
        offset: the constant.
        keys: for MONAI.
    """

    def __init__(self, offset: float, keys: Sequence[str] = ("image",)):
        super().__init__(keys)
        self.offset = np.float32(offset)

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with a shifted copy of 'image'."""
        shifted = np.asarray(data["image"]) + self.offset * np.asarray(data["brain"], np.float32)
        return {**data, "image": shifted}


class KeepSequencesd(MapTransform):
    """Leave only some channels, or put them into another order, for networks that see them so.

    Args:
        names: of sequences.
        order: 'usual' keeps the order of `SEQUENCES`, 'stated' takes that of the names.
        keys: for MONAI.
    """

    def __init__(
        self, names: Sequence[str], order: str = "usual", keys: Sequence[str] = ("image",)
    ):
        super().__init__(keys)
        indices = [SEQUENCES.index(name) for name in names]
        self.indices = indices if order == "stated" else sorted(indices)

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with 'image' (names, z, y, x)."""
        return {**data, "image": data["image"][self.indices]}


def crop_to_brain(margin: int = 0) -> CropForegroundd:
    """Cut image, brain and labels to the box around the brain, and so many voxels around that."""
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


class StandardizeBraind(MapTransform):
    """Standardize the voxels of the brain and of holes in it, in each channel; others become 0.

    A missing sequence stays 0. Source: nnU-Net, `ZScoreNormalization` with a mask,
    `create_nonzero_mask`.
    """

    def __init__(self, keys: Sequence[str] = ("image",)):
        super().__init__(keys)

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with a standardized copy of 'image'."""
        image = np.asarray(data["image"])
        brain = _without_holes(np.asarray(data["brain"], bool)[0])
        result = np.zeros(image.shape, np.float32)
        for channel, target in zip(image, result, strict=True):
            inside = channel[brain]
            if inside.any():
                target[brain] = (inside - inside.mean()) / max(inside.std(), LEAST_DEVIATION)
        return {**data, "image": result}


def _without_holes(mask: np.ndarray) -> np.ndarray:
    """Return a mask with what it encloses."""
    filled = sitk.BinaryFillhole(sitk.GetImageFromArray(mask.astype(np.uint8)))
    return sitk.GetArrayFromImage(filled).astype(bool)


def standardize(offset: float = 0.0, voxels: str = "nonzero") -> Transform:
    """Standardize voxels of each channel; the brain's mean becomes `offset`.

    Background stays 0 unless all voxels are standardized. So with an offset it lies that many
    standard deviations below the mean brain, and crops may still be padded with 0.
    """
    if voxels == "brain":
        standardize: Transform = StandardizeBraind()
    else:
        nonzero = voxels == "nonzero"
        standardize = NormalizeIntensityd(keys="image", nonzero=nonzero, channel_wise=True)
    return Compose([standardize, ShiftBraind(offset)]) if offset else standardize


TRANSFORMS: dict[str, Callable[..., Transform]] = {
    "mark_brain": MarkBraind,
    "clip_percentiles": ClipPercentilesd,
    "n4": N4BiasFieldd,
    "crop_to_brain": crop_to_brain,
    "zscore": standardize,
    "keep_sequences": KeepSequencesd,
}

# Raise the number of a step when it gives other values: cases that were preprocessed before are
# then preprocessed again (training/cache.py).
STEP_VERSIONS = {
    "mark_brain": 2,
    "clip_percentiles": 1,
    "n4": 1,
    "crop_to_brain": 1,
    "zscore": 2,
    "keep_sequences": 1,
}


def build_preprocessing(steps: Sequence[PreprocessingStep | Mapping[str, object]]) -> Compose:
    """Build the pipeline that a list of steps describes.

    Args:
        steps: as `transforms.steps` has them, or as plain tables.

    Raises:
        ModelError: unknown step, unusable option, or an order that would give another result than
            it says.
    """
    read = read_preprocessing(steps)
    return Compose([TRANSFORMS[step.step](**options_of(step)) for step in read])


def standardizing(channels: Sequence[str]) -> Compose:
    """Build the usual steps but the cropping, for volumes of any channels.

    Args:
        channels: what messages call them.
    """
    return Compose([MarkBraind(channels=channels), ClipPercentilesd(1.0, 99.0), standardize()])


def preprocess(
    pipeline: Compose,
    image: np.ndarray,
    labels: np.ndarray | None = None,
    missing: Sequence[str] = (),
    spacing_zyx_mm: Sequence[float] = (1.0, 1.0, 1.0),
) -> Data:
    """Run a pipeline.

    Args:
        pipeline: what `build_preprocessing` returned.
        image: float32 (C, z, y, x), 0 outside the brain.
        labels: optional uint8 (z, y, x), cropped like the image.
        missing: sequences whose channels are 0 on purpose; they stay so.
        spacing_zyx_mm: of the voxels.

    Returns:
        Dictionary with NumPy arrays 'image', 'brain' (bool, (z, y, x)), 'labels' if given, and
        'box', the slices of the crop inside the input.
    """
    data: Data = {
        "image": image,
        "missing": tuple(missing),
        "spacing_zyx_mm": tuple(spacing_zyx_mm),
    }
    if labels is not None:
        data["labels"] = labels[None]
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
