"""Random changes of training patches, as data in the experiment file.

A list of steps such as ``{"step": "flip", "prob": 0.5, "axis": "x"}`` makes a pipeline of MONAI
transforms. Steps that move voxels move image and target alike; what comes in from outside is
background, and ignored in the target. Steps that change intensities draw for each channel anew
(`prob` included) and leave the background, voxels that are 0 in all channels, at 0. Intensities are
those after preprocessing, z-scores.

The paper's configuration has no steps: Havaei et al. 2017, section 4, tried flips and saw no gain.

=================  ================================================================================
flip               prob, axis: "x" (left and right), "y" or, of volumes, "z"
rotate90           prob; by 90, 180 or 270 degrees in the plane of x and y, where patches are square
affine             prob, rotate_degrees, scale, shear, translate (voxels): most to either side
intensity_jitter   prob, std of a normal scale (around 1) and of a normal shift (around 0)
scale_intensity    prob, factors
shift_intensity    prob, offsets
gaussian_noise     prob, mean, std
gaussian_smooth    prob, sigma_x, sigma_y (voxels)
adjust_contrast    prob, gamma
bias_field         prob, degree, coeff_range
drop_sequences     prob; channels become 0 as if missing; one of `keep` always stays
=================  ================================================================================

The six before the last are MONAI's transforms of the like name with its defaults, but for `prob`,
which is 0.5 in all steps except intensity_jitter, where it is 1. The bounds of all values stand in
`augmentation_steps`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from monai.data import get_track_meta, set_track_meta
from monai.transforms import (
    RandAdjustContrast,
    RandAffined,
    RandBiasField,
    RandFlipd,
    RandGaussianNoise,
    RandGaussianSmooth,
    Randomizable,
    RandomizableTransform,
    RandRotate90d,
    RandScaleIntensity,
    RandShiftIntensity,
)

from scripted_models.brain_mask import brain_mask
from scripted_models.errors import InputError
from scripted_models.runtime.typed_tables import refusing
from scripted_models.sequences import SEQUENCES
from scripted_models.training.augmentation_steps import check_steps

_MOVED = ("image", "target", "brain")
KEPT = ("t1c", "flair")  # without both, neither enhancing tumor nor edema can be told
Data = dict[str, Any]  # what the steps hand on


class JitterIntensity(RandomizableTransform):
    """Scale and shift an image by normally distributed numbers.

    Args:
        std: standard deviation of both.
        prob: of a change.
    """

    def __init__(self, std: float, prob: float = 1.0):
        super().__init__(prob)
        self.std = std

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Return the changed image."""
        self.randomize(None)
        scale, shift = self.R.normal(0.0, self.std, 2)
        return image * (1.0 + scale) + shift if self._do_transform else image


class DropSequences(Randomizable):
    """Set image channels to 0, all slices of them, as if these sequences were missing.

    Args:
        prob: of each channel.
        keep: names of sequences; where all of them would be dropped, one stays.
    """

    def __init__(self, prob: float = 0.5, keep: Sequence[str] = KEPT):
        self.prob, self.keep = prob, [SEQUENCES.index(name) for name in keep]

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with a changed copy of 'image', (channels * slices, [D,] H, W)."""
        stays = self.R.random(len(SEQUENCES)) >= self.prob
        stays[self.keep[self.R.randint(len(self.keep))]] |= not stays[self.keep].any()
        image = data["image"].unflatten(0, (len(SEQUENCES), -1))
        kept = torch.from_numpy(stays).reshape(-1, *(1,) * (image.dim() - 1))
        return {**data, "image": torch.where(kept, image, 0.0).flatten(0, 1)}


class PerChannel(Randomizable):
    """Give the slices of each image channel to a random transform, which draws for each anew.

    Args:
        kind: MONAI array transform.
        prob: of a change, for each channel.
        parameters: other arguments of the transform.
    """

    def __init__(self, kind: type[RandomizableTransform], prob: float = 0.5, **parameters: Any):
        self.transform: Any = kind(prob=prob, **parameters)

    def set_random_state(
        self, seed: int | None = None, state: np.random.RandomState | None = None
    ) -> "PerChannel":
        """Pass the source of randomness on."""
        self.transform.set_random_state(seed, state)
        return self

    def __call__(self, data: Data) -> Data:
        """Return the dictionary with a changed copy of 'image', (channels * slices, H, W)."""
        channels = data["image"].chunk(data["channels"])
        changed = [self.transform(channel) for channel in channels]
        return {**data, "image": torch.cat(changed)}


def _flip(dimensions: int, prob: float = 0.5, axis: str = "x") -> RandFlipd:
    return RandFlipd(_MOVED, prob, ("z", "y", "x")[-dimensions:].index(axis))


def _rotate90(dimensions: int, prob: float = 0.5) -> RandRotate90d:
    return RandRotate90d(_MOVED, prob, spatial_axes=(dimensions - 2, dimensions - 1))


def _affine(
    dimensions: int,
    prob: float = 0.5,
    rotate_degrees: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
    translate: float = 0.0,
) -> RandAffined:
    return RandAffined(
        _MOVED,
        prob=prob,
        rotate_range=(float(np.deg2rad(rotate_degrees)),) * (1 if dimensions == 2 else 3),
        scale_range=(scale,) * dimensions,
        shear_range=(shear,) * (dimensions * (dimensions - 1)),
        translate_range=(translate,) * dimensions,
        mode=("bilinear", "nearest", "nearest"),
        padding_mode="zeros",
    )


_THAT_MOVE = ("flip", "rotate90", "affine")
STEPS: dict[str, Callable[..., Any]] = {
    "flip": _flip,
    "rotate90": _rotate90,
    "affine": _affine,
    "intensity_jitter": partial(PerChannel, JitterIntensity, prob=1.0),
    "scale_intensity": partial(PerChannel, RandScaleIntensity),
    "shift_intensity": partial(PerChannel, RandShiftIntensity),
    "gaussian_noise": partial(PerChannel, RandGaussianNoise),
    "gaussian_smooth": partial(PerChannel, RandGaussianSmooth),
    "adjust_contrast": partial(PerChannel, RandAdjustContrast),
    "bias_field": partial(PerChannel, RandBiasField),
    "drop_sequences": DropSequences,
}


class Augmentation:
    """A pipeline of random steps; `build_augmentation` makes it.

    Args:
        steps: transforms of dictionaries with 'image', 'target' and 'brain', each (C, H, W), and
            'channels'.
        channels: image channels, each with the same number of slices.
    """

    def __init__(self, steps: Sequence[Any], channels: int = len(SEQUENCES)):
        self._steps, self._channels = steps, channels
        # All steps draw from one generator: seeding it takes 2 us, Compose.set_random_state 400 us
        # a step.
        self._random = np.random.RandomState()
        for step in steps:
            step.set_random_state(state=self._random)

    def __call__(
        self, image: np.ndarray, target: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Change a patch.

        Args:
            image: floats (channels * slices, H, W), of volumes (channels, D, H, W), array or CPU
                tensor; background is 0 in all.
            target: integers (h, w) or (d, h, w) from 0 to 255, centered in the image; 255 is
                ignored.
            seed: decides all that is random; the same seed gives the same bits.

        Returns:
            New arrays of the same shapes, float32 and the target's type.
        """
        image, target = np.asarray(image).astype(np.float32), np.asarray(target)
        if not self._steps:
            return image, target.copy()
        margins = [
            (full - part) // 2 for full, part in zip(image.shape[1:], target.shape, strict=True)
        ]
        window = tuple(slice(m, m + n) for m, n in zip(margins, target.shape, strict=True))
        coded = np.zeros((1, *image.shape[1:]), np.uint8)
        coded[0][window] = target.astype(np.uint8) + np.uint8(1)  # 255 becomes 0, as the padding
        data: Data = {
            "channels": self._channels,
            "image": torch.from_numpy(image),
            "target": torch.from_numpy(coded.astype(np.float32)),
            "brain": torch.from_numpy(brain_mask(image)[None].astype(np.float32)),
        }
        self._random.seed(seed % 2**32)
        with _plain_tensors():
            for step in self._steps:
                data = step(data)
        changed = torch.where(data["brain"] > 0, data["image"], 0.0).numpy()
        decoded = data["target"].numpy()[0][window].astype(np.uint8) - np.uint8(1)
        return changed, decoded.astype(target.dtype)


@contextmanager
def _plain_tensors() -> Iterator[None]:
    """Keep MONAI from recording metadata, which takes several times as long as the steps."""
    before = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(before)


def build_augmentation(
    steps: Sequence[Mapping[str, Any]], channels: int = len(SEQUENCES), dimensions: int = 2
) -> Augmentation:
    """Build the pipeline that a list of steps describes.

    Args:
        steps: as an experiment has them.
        channels: image channels of the patches.
        dimensions: of the patches, 2 or 3.

    Raises:
        InputError: unknown step or parameter, a value out of range, an axis that slices do not
            have, or sequences to drop from images that do not have all four.
    """
    if channels != len(SEQUENCES) and "drop_sequences" in [step.get("step") for step in steps]:
        raise InputError(
            found=f"the augmentation step 'drop_sequences' for a network of {channels} channels",
            expected=f"one of all {len(SEQUENCES)} sequences",
            action="take the step out",
        )
    with refusing(InputError):
        check_steps(steps)
    if dimensions == 2 and "z" in [step.get("axis") for step in steps]:
        raise InputError(
            found="the axis of the augmentation step 'flip' of slices, 'z'",
            expected="'x' or 'y'",
            action="change the axis",
        )
    return Augmentation([_build_step(step, dimensions) for step in steps], channels)


def _build_step(step: Mapping[str, Any], dimensions: int) -> Any:
    options = {key: value for key, value in step.items() if key != "step"}
    if step["step"] in _THAT_MOVE:
        options["dimensions"] = dimensions
    return STEPS[step["step"]](**options)
