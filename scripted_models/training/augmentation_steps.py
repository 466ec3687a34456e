"""The steps of augmentation as data, each value with its bounds.

`augmentation` says what they do and builds them. Defaults are those of MONAI's transforms, but for
`prob`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from scripted_models.runtime.table_hints import Range
from scripted_models.runtime.typed_tables import UnfitError, read_value
from scripted_models.transforms.steps import SequenceName

Probability = Annotated[float, Range(0, 1)]
Deviation = Annotated[float, Range(0, 100)]  # of z-scores
Change = Annotated[float, Range(-100, 100)]
Voxels = Annotated[float, Range(0, 1000)]
Pair = tuple[Change, Change]
Sigmas = tuple[Annotated[float, Range(above=0, at_most=50)], ...]
Gammas = tuple[Annotated[float, Range(above=0, at_most=20)], ...]


@dataclass(frozen=True)
class Flip:
    """See `augmentation`."""

    step: Literal["flip"] = "flip"
    prob: Probability = 0.5
    axis: Literal["x", "y", "z"] = "x"


@dataclass(frozen=True)
class Rotate90:
    """See `augmentation`."""

    step: Literal["rotate90"] = "rotate90"
    prob: Probability = 0.5


@dataclass(frozen=True)
class Affine:
    """See `augmentation`."""

    step: Literal["affine"] = "affine"
    prob: Probability = 0.5
    rotate_degrees: Annotated[float, Range(0, 180)] = 0.0
    scale: Annotated[float, Range(at_least=0, below=1)] = 0.0
    shear: Annotated[float, Range(0, 2)] = 0.0
    translate: Voxels = 0.0


@dataclass(frozen=True, kw_only=True)
class IntensityJitter:
    """See `augmentation`."""

    step: Literal["intensity_jitter"] = "intensity_jitter"
    prob: Probability = 1.0
    std: Deviation


@dataclass(frozen=True, kw_only=True)
class ScaleIntensity:
    """See `augmentation`."""

    step: Literal["scale_intensity"] = "scale_intensity"
    prob: Probability = 0.5
    factors: Change | Pair

    def __post_init__(self) -> None:
        _check_order("factors", self.factors)


@dataclass(frozen=True, kw_only=True)
class ShiftIntensity:
    """See `augmentation`."""

    step: Literal["shift_intensity"] = "shift_intensity"
    prob: Probability = 0.5
    offsets: Change | Pair

    def __post_init__(self) -> None:
        _check_order("offsets", self.offsets)


@dataclass(frozen=True)
class GaussianNoise:
    """See `augmentation`."""

    step: Literal["gaussian_noise"] = "gaussian_noise"
    prob: Probability = 0.5
    mean: Change = 0.0
    std: Deviation = 0.1


@dataclass(frozen=True)
class GaussianSmooth:
    """See `augmentation`."""

    step: Literal["gaussian_smooth"] = "gaussian_smooth"
    prob: Probability = 0.5
    sigma_x: Sigmas = (0.25, 1.5)
    sigma_y: Sigmas = (0.25, 1.5)

    def __post_init__(self) -> None:
        _check_pair("sigma_x", self.sigma_x)
        _check_pair("sigma_y", self.sigma_y)


@dataclass(frozen=True)
class AdjustContrast:
    """See `augmentation`."""

    step: Literal["adjust_contrast"] = "adjust_contrast"
    prob: Probability = 0.5
    gamma: Gammas = (0.5, 4.5)

    def __post_init__(self) -> None:
        _check_pair("gamma", self.gamma)


@dataclass(frozen=True)
class BiasField:
    """See `augmentation`."""

    step: Literal["bias_field"] = "bias_field"
    prob: Probability = 0.5
    degree: Annotated[int, Range(1, 5)] = 3
    coeff_range: tuple[Annotated[float, Range(-1, 1)], ...] = (0.0, 0.1)

    def __post_init__(self) -> None:
        _check_pair("coeff_range", self.coeff_range)


@dataclass(frozen=True)
class DropSequences:
    """See `augmentation`."""

    step: Literal["drop_sequences"] = "drop_sequences"
    prob: Probability = 0.5
    keep: tuple[SequenceName, ...] = ("t1c", "flair")

    def __post_init__(self) -> None:
        if not self.keep or len(set(self.keep)) < len(self.keep):
            raise UnfitError("keep", self.keep, "sequences, at least one and each once")


AugmentationStep = (
    Flip
    | Rotate90
    | Affine
    | IntensityJitter
    | ScaleIntensity
    | ShiftIntensity
    | GaussianNoise
    | GaussianSmooth
    | AdjustContrast
    | BiasField
    | DropSequences
)


def check_steps(steps: Sequence[Mapping[str, Any]], where: str = "augmentation") -> None:
    """Check the steps of an experiment.

    Args:
        steps: tables with 'step' and its options.
        where: path of the list, for the error.

    Raises:
        UnfitError: an unknown step or option, or a value out of range.
    """
    read_value(tuple[AugmentationStep, ...], list(steps), where)


def _check_pair(key: str, values: Sequence[float]) -> None:
    if len(values) != 2:
        raise UnfitError(key, values, "two numbers, from and to")
    _check_order(key, values)


def _check_order(key: str, values: float | Sequence[float]) -> None:
    if isinstance(values, tuple) and values[0] > values[1]:
        raise UnfitError(key, values, "the smaller number first")
