"""Preprocessing as a MONAI pipeline, written as data so that a model folder can replay it.

A pipeline is a list of steps such as ``{"step": "clip_percentiles", "lower": 1, "upper": 99}``. It works
on a dictionary with ``image``, float32 (C, z, y, x), to which ``mark_brain`` adds ``brain``, bool
(1, z, y, x), and ``crop_to_brain`` adds ``box_start`` and ``box_end`` for the way back.

Source: Havaei et al. 2017, section 4, clips the 1 % lowest and highest intensities, corrects the bias field
of T1 and T1c with N4 and standardizes each channel. The default leaves N4 out.
"""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk
from monai.transforms import Compose, CropForegroundd, MapTransform, NormalizeIntensityd

from scripted_models.errors import InputError, ModelError
from scripted_models.sequences import SEQUENCES

MIN_BRAIN_VOXELS = 100  # percentiles and standard deviation mean nothing below


class MarkBraind(MapTransform):
    """Add the brain mask: voxels that differ from 0 in any channel.

    Raises:
        InputError: fewer than 100 such voxels, or a channel that is constant inside and not one of 'missing'.
    """

    def __init__(self, keys: Sequence[str] = ("image",), channels: Sequence[str] = SEQUENCES):
        super().__init__(keys)
        self.channels = tuple(channels)

    def __call__(self, data: dict) -> dict:
        """Return the dictionary with 'brain', bool (1, z, y, x)."""
        image = np.asarray(data["image"])
        brain = (image != 0).any(axis=0, keepdims=True)
        if brain.sum() < MIN_BRAIN_VOXELS:
            raise InputError(
                f"Found {int(brain.sum())} voxels that differ from 0, expected a brain of at least "
                f"{MIN_BRAIN_VOXELS}; check that the volumes are not empty."
            )
        for name, channel in zip(self.channels, image, strict=True):
            inside = channel[brain[0]]
            if inside.min() == inside.max() and name not in data.get("missing", ()):
                raise InputError(
                    f"The {name} volume is constant ({inside.min():g}) inside the brain, expected an "
                    "MRI sequence; check that the right file was given."
                )
        return {**data, "brain": brain}


class ClipPercentilesd(MapTransform):
    """Clip each channel to percentiles of its voxels; zero stays zero.

    Args:
        lower: percentile, 0-100.
        upper: percentile above `lower`.
        region: 'brain' takes the percentiles of the non-zero voxels. 'volume' takes those of all voxels,
            as the published script of the paper's authors does: with 83 % background the low end then
            stays as it is, and the brightest 6 % of the brain are clipped, enhancing tumor among them.
        keys: for MONAI.

    Raises:
        ValueError: percentiles or region other than these.
        InputError: a channel would be clipped to a single value.
    """

    def __init__(
        self, lower: float, upper: float, region: str = "brain", keys: Sequence[str] = ("image",)
    ):
        super().__init__(keys)
        if not 0 <= lower < upper <= 100:
            raise ValueError(f"expected 0 <= lower < upper <= 100, not {lower} and {upper}")
        if region not in ("brain", "volume"):
            raise ValueError(f"expected the region 'brain' or 'volume', not {region!r}")
        self.lower, self.upper, self.region = lower, upper, region

    def __call__(self, data: dict) -> dict:
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
                    f"Both percentiles of channel {index} are {low:g}, expected an MRI sequence with a "
                    f"range of values in the {self.region}; check the file or the clipping."
                )
            channel[inside] = np.clip(channel[inside], low, high)
        return {**data, "image": image}


class N4BiasFieldd(MapTransform):
    """Divide channels by the bias field that N4 finds (Tustison et al. 2010).

    The field is estimated on the positive voxels of a shrunken copy and applied at full resolution. A
    volume with fewer than four voxels along an axis is left as it is. The number of threads changes the
    last bits of the result.

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

    def __call__(self, data: dict) -> dict:
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

    def __call__(self, data: dict) -> dict:
        """Return the dictionary with a shifted copy of 'image'."""
        shifted = np.asarray(data["image"]) + self.offset * np.asarray(data["brain"], np.float32)
        return {**data, "image": shifted}


class KeepSequencesd(MapTransform):
    """Leave only some channels, for networks that see fewer than four sequences.

    Args:
        names: of sequences, kept in the order of `SEQUENCES`.

    Raises:
        ValueError: no name, or an unknown one.
    """

    def __init__(self, names: Sequence[str], keys: Sequence[str] = ("image",)):
        super().__init__(keys)
        if not names or set(names) - set(SEQUENCES):
            raise ValueError(f"expected 'names' to be some of {list(SEQUENCES)}")
        self.indices = [index for index, name in enumerate(SEQUENCES) if name in names]

    def __call__(self, data: dict) -> dict:
        """Return the dictionary with 'image' (names, z, y, x)."""
        return {**data, "image": data["image"][self.indices]}


def kept_sequences(steps: Sequence[dict]) -> tuple[str, ...]:
    """Return the sequences that reach the network after these steps."""
    stated = [step["names"] for step in steps if step["step"] == "keep_sequences"]
    return tuple(m for m in SEQUENCES if all(m in names for names in stated))


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


def _zscore(offset: float = 0.0) -> NormalizeIntensityd | Compose:
    """Standardize the non-zero voxels of each channel; the brain's mean becomes `offset`.

    Background stays 0, so with an offset it lies that many standard deviations below the mean brain, and
    crops may still be padded with 0.
    """
    standardize = NormalizeIntensityd(keys="image", nonzero=True, channel_wise=True)
    return Compose([standardize, ShiftBraind(offset)]) if offset else standardize


STEPS = {
    "mark_brain": MarkBraind,
    "clip_percentiles": ClipPercentilesd,
    "n4": N4BiasFieldd,
    "crop_to_brain": _crop_to_brain,
    "zscore": _zscore,
    "keep_sequences": KeepSequencesd,
}

# Raise the number of a step when it gives other values: cases that were preprocessed before are then
# preprocessed again (training/cache.py).
STEP_VERSIONS = {
    "mark_brain": 1,
    "clip_percentiles": 1,
    "n4": 1,
    "crop_to_brain": 1,
    "zscore": 1,
    "keep_sequences": 1,
}


def build_preprocessing(steps: Sequence[dict]) -> Compose:
    """Build the pipeline that a list of steps describes.

    Raises:
        ModelError: unknown step or parameter, or an order that would give another result than it says.
    """
    pipeline = Compose([build_step(step, STEPS, "preprocessing") for step in steps])
    _check_order(steps)
    return pipeline


def _check_order(steps: Sequence[dict]) -> None:
    names = [step["step"] for step in steps]
    if names[:1] != ["mark_brain"]:
        raise ModelError(
            f"The preprocessing starts with {names[:1] or 'nothing'}, expected 'mark_brain', which must "
            "see the background before other steps change it; put it first."
        )
    for index, step in enumerate(steps):
        if step["step"] == "n4":
            _require_before("zscore", "it needs positive intensities", names, index)
        if step["step"] == "keep_sequences" and index != len(names) - 1:
            raise ModelError(
                f"Found the preprocessing step '{names[index + 1]}' after 'keep_sequences', expected this one "
                "last, because the others count on four sequences; change the order."
            )
        if step.get("region") == "volume":
            _require_before("crop_to_brain", "it counts the whole volume", names, index)


def _require_before(other: str, reason: str, names: list[str], index: int) -> None:
    if other in names[:index]:
        raise ModelError(
            f"Found the preprocessing step '{names[index]}' after '{other}', expected it before, "
            f"because {reason}; change the order."
        )


def build_step(step: dict, table: dict, pipeline: str):
    """Build one recorded step from the table of known ones.

    Raises:
        ModelError: unknown step or parameter.
    """
    parameters = {key: value for key, value in step.items() if key != "step"}
    name = step.get("step")
    if name not in table:
        raise ModelError(
            f"Unknown {pipeline} step '{name}', expected one of {sorted(table)}; correct its name."
        )
    try:
        return table[name](**parameters)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"The {pipeline} step '{name}' cannot take {parameters} ({error}); correct it."
        ) from error


def preprocess(
    pipeline: Compose,
    image: np.ndarray,
    labels: np.ndarray | None = None,
    missing: Sequence[str] = (),
) -> dict:
    """Run a pipeline.

    Args:
        pipeline: what `build_preprocessing` returned.
        image: float32 (C, z, y, x), 0 outside the brain.
        labels: optional uint8 (z, y, x), cropped like the image.
        missing: sequences whose channels are 0 on purpose; they stay so.

    Returns:
        Dictionary with NumPy arrays 'image', 'brain' (bool, (z, y, x)), 'labels' if given, and 'box',
        the slices of the crop inside the input.
    """
    data = {"image": image, "missing": tuple(missing)}
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
