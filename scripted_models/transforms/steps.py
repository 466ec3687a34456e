"""The steps of pre- and postprocessing as data, in a model folder or an experiment.

A table such as ``{"step": "clip_percentiles", "lower": 1, "upper": 99}`` becomes a frozen
dataclass. Reading needs neither PyTorch nor MONAI; `preprocessing` and `postprocessing` build the
transforms.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal, cast

from scripted_models.errors import ModelError, listed
from scripted_models.labels import ENHANCING, LABELS, NECROSIS, NON_ENHANCING
from scripted_models.runtime.table_hints import Choice, Range
from scripted_models.runtime.typed_tables import UnfitError, as_table, read_value, refusing
from scripted_models.sequences import SEQUENCES

SequenceName = Annotated[str, Choice(SEQUENCES)]
Percent = Annotated[float, Range(0, 100)]
Share = Annotated[float, Range(0, 1)]
Milliliters = Annotated[float, Range(0, 10_000)]
Millimeters = Annotated[float, Range(0, 1000)]


@dataclass(frozen=True)
class MarkBrain:
    """Mark the voxels that differ from 0 in any channel.

    Attributes:
        step: name of the step.
    """

    step: Literal["mark_brain"] = "mark_brain"


@dataclass(frozen=True, kw_only=True)
class ClipPercentiles:
    """Clip each channel to percentiles of its voxels.

    Attributes:
        step: name of the step.
        lower: percentile.
        upper: percentile above `lower`.
        region: whose percentiles: those of the brain, or of the whole volume.
    """

    step: Literal["clip_percentiles"] = "clip_percentiles"
    lower: Percent
    upper: Percent
    region: Literal["brain", "volume"] = "brain"

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise UnfitError("upper", self.upper, f"more than 'lower' = {self.lower:g}")


@dataclass(frozen=True)
class CorrectBiasField:
    """Divide channels by the bias field that N4 finds.

    Attributes:
        step: name of the step.
        channels: indices of the channels.
        shrink: take every so manyth voxel along each axis.
        iterations: at most so many at each resolution, from coarse to fine.
    """

    step: Literal["n4"] = "n4"
    channels: tuple[Annotated[int, Range(0, len(SEQUENCES) - 1)], ...] = (0, 1)
    shrink: Annotated[int, Range(1, 64)] = 4
    iterations: tuple[Annotated[int, Range(1, 1000)], ...] = (50, 50, 50, 10)

    def __post_init__(self) -> None:
        if not 1 <= len(self.iterations) <= 10:
            raise UnfitError("iterations", self.iterations, "1 to 10 resolutions")
        if len(set(self.channels)) < len(self.channels):
            raise UnfitError("channels", self.channels, "each channel once")


@dataclass(frozen=True)
class CropToBrain:
    """Cut the volume to the box around the brain.

    Attributes:
        step: name of the step.
        margin: voxels that stay around the brain.
    """

    step: Literal["crop_to_brain"] = "crop_to_brain"
    margin: Annotated[int, Range(0, 1000)] = 0


@dataclass(frozen=True)
class Standardize:
    """Give the voxels of each channel mean 0 and standard deviation 1.

    Attributes:
        step: name of the step.
        offset: becomes the mean of the brain.
        voxels: which ones: those of the channel that differ from 0, those of the brain and of holes
            in it (nnU-Net with a mask), or all (nnU-Net without); others stay 0.
    """

    step: Literal["zscore"] = "zscore"
    offset: Annotated[float, Range(-1000, 1000)] = 0.0
    voxels: Literal["nonzero", "brain", "all"] = "nonzero"


@dataclass(frozen=True, kw_only=True)
class KeepSequences:
    """Leave only some channels, or put them into another order.

    Attributes:
        step: name of the step.
        names: of the sequences that stay.
        order: of the channels: T1, T1c, T2, FLAIR as usual, or as the names are stated.
    """

    step: Literal["keep_sequences"] = "keep_sequences"
    names: tuple[SequenceName, ...]
    order: Literal["usual", "stated"] = "usual"

    def __post_init__(self) -> None:
        if not self.names or len(set(self.names)) < len(self.names):
            raise UnfitError("names", self.names, f"some of {list(SEQUENCES)}, each once")


@dataclass(frozen=True)
class InsideBrain:
    """Set labels outside of the brain to background.

    Attributes:
        step: name of the step.
    """

    step: Literal["inside_brain"] = "inside_brain"


@dataclass(frozen=True, kw_only=True)
class RemoveSmallComponents:
    """Remove small connected components of the whole tumor.

    Attributes:
        step: name of the step.
        min_volume_ml: components below this volume go.
        min_share: components below this share of the largest component go.
    """

    step: Literal["remove_small_components"] = "remove_small_components"
    min_volume_ml: Milliliters
    min_share: Share


@dataclass(frozen=True)
class RemoveFlatComponents:
    """Remove small or flat connected components of the whole tumor near the skull.

    Attributes:
        step: name of the step.
        min_share: components below this share of the largest component's voxels are small.
        max_thickness_mm: components up to this thickness are flat.
        surface_distance_mm: voxels up to this far below the surface of the brain are near the
            skull.
        surface_share: of a component's voxels that must be near the skull.
    """

    step: Literal["remove_flat_components"] = "remove_flat_components"
    min_share: Share = 0.01
    max_thickness_mm: Millimeters = 5.0
    surface_distance_mm: Millimeters = 5.0
    surface_share: Share = 0.5


@dataclass(frozen=True, kw_only=True)
class ReplaceSmallEnhancing:
    """Give enhancing tumor another label where the whole volume holds little of it, or in doubt.

    Attributes:
        step: name of the step.
        min_volume_ml: enhancing tumor below this volume is replaced.
        min_estimated_dice: and that whose estimated Dice is lower.
        label: internal label in its place.
    """

    step: Literal["replace_small_enhancing"] = "replace_small_enhancing"
    min_volume_ml: Milliliters
    min_estimated_dice: Share = 0.0
    label: Annotated[int, Range(0, ENHANCING - 1)] = 3


@dataclass(frozen=True)
class ReplaceNecrosisWithoutEnhancing:
    """Call necrosis non-enhancing tumor in lesions of the tumor core that do not enhance.

    Attributes:
        step: name of the step.
    """

    step: Literal["replace_necrosis_without_enhancing"] = "replace_necrosis_without_enhancing"


PreprocessingStep = (
    MarkBrain | ClipPercentiles | CorrectBiasField | CropToBrain | Standardize | KeepSequences
)
PostprocessingStep = (
    InsideBrain
    | RemoveSmallComponents
    | RemoveFlatComponents
    | ReplaceSmallEnhancing
    | ReplaceNecrosisWithoutEnhancing
)

DEFAULT_PREPROCESSING: tuple[PreprocessingStep, ...] = (
    MarkBrain(),
    ClipPercentiles(lower=1.0, upper=99.0),
    CropToBrain(),
    Standardize(),
)

DEFAULT_POSTPROCESSING: tuple[PostprocessingStep, ...] = (
    InsideBrain(),
    RemoveSmallComponents(min_volume_ml=0.5, min_share=0.05),
)


def read_preprocessing(
    steps: Sequence[PreprocessingStep | Mapping[str, object]],
) -> tuple[PreprocessingStep, ...]:
    """Return steps that are given as tables, or as what they become.

    Raises:
        ModelError: unknown step, unusable option, or an order that would give another result than
            it says.
    """
    with refusing(ModelError):
        read = read_value(tuple[PreprocessingStep, ...], as_table(list(steps)), "preprocessing")
        check_order(cast(tuple[PreprocessingStep, ...], read))
    return cast(tuple[PreprocessingStep, ...], read)


def read_postprocessing(
    steps: Sequence[PostprocessingStep | Mapping[str, object]],
) -> tuple[PostprocessingStep, ...]:
    """Return steps that are given as tables, or as what they become.

    Raises:
        ModelError: unknown step, unusable option, or an order that would give another result than
            it says.
    """
    with refusing(ModelError):
        read = read_value(tuple[PostprocessingStep, ...], as_table(list(steps)), "postprocessing")
        check_postprocessing(cast(tuple[PostprocessingStep, ...], read))
    return cast(tuple[PostprocessingStep, ...], read)


def options_of(step: PreprocessingStep | PostprocessingStep) -> dict[str, object]:
    """Return the options of a step, all of them."""
    return {f.name: getattr(step, f.name) for f in fields(step) if f.name != "step"}


def kept_sequences(steps: Sequence[PreprocessingStep]) -> tuple[str, ...]:
    """Return the sequences that reach the network after these steps, in its order."""
    kept: tuple[str, ...] = SEQUENCES
    for step in steps:
        if isinstance(step, KeepSequences):
            kept = (
                step.names
                if step.order == "stated"
                else tuple(name for name in kept if name in step.names)
            )
    return kept


def check_order(steps: Sequence[PreprocessingStep]) -> None:
    """Refuse an order of steps that would give another result than it says.

    Raises:
        UnfitError: of the key 'preprocessing'.
    """
    names = [step.step for step in steps]

    def require(holds: bool, expected: str) -> None:
        if not holds:
            raise UnfitError("preprocessing", names, expected, "change the order")

    require(names[:1] == ["mark_brain"], "'mark_brain' first, which must see the whole background")
    for index, step in enumerate(steps):
        if isinstance(step, CorrectBiasField):
            require("zscore" not in names[:index], "'n4' before 'zscore', for positive intensities")
        if isinstance(step, KeepSequences):
            require(
                index == len(names) - 1,
                "'keep_sequences' last, because the others count on four sequences",
            )
        if isinstance(step, ClipPercentiles) and step.region == "volume":
            require(
                "crop_to_brain" not in names[:index],
                "'clip_percentiles' of the whole volume before 'crop_to_brain'",
            )


def check_postprocessing(
    steps: Sequence[PostprocessingStep], known_labels: Collection[int] = tuple(LABELS)
) -> None:
    """Refuse steps that need labels which a model does not know, and an order that would deceive.

    Args:
        steps: the steps.
        known_labels: internal labels of the model.

    Raises:
        UnfitError: of the key 'postprocessing'.
    """
    for index, step in enumerate(steps):
        needed = _labels_of(step)
        if not needed <= set(known_labels):
            raise UnfitError(
                f"postprocessing[{index}].step",
                step.step,
                f"a model that knows {listed([LABELS[label] for label in sorted(needed)])}",
                "take the step out",
            )
        if isinstance(step, ReplaceNecrosisWithoutEnhancing) and index < len(steps) - 1:
            raise UnfitError(
                "postprocessing",
                [other.step for other in steps],
                f"'{step.step}' last, because the others may take enhancing tumor away",
                "change the order",
            )


def _labels_of(step: PostprocessingStep) -> set[int]:
    """Return the internal labels that a step cannot do without."""
    if isinstance(step, ReplaceNecrosisWithoutEnhancing):
        return {NECROSIS, NON_ENHANCING, ENHANCING}
    return {step.label} if isinstance(step, ReplaceSmallEnhancing) else set()
