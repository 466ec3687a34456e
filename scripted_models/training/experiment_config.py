"""Experiment files: TOML into frozen dataclasses, unknown keys refused with the nearest name."""

import dataclasses
import difflib
import math
import re
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from scripted_models.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HIGHEST_RATE_OF_SUMS, LOWEST_RATE_OF_MEANS = 1e-7, 1e-8
Step = dict[str, Any]  # one step of a pipeline: its name under "step", and its options
Settings = TypeVar("Settings")

# A name becomes a folder: one part of a path, on every system.
_NAME = re.compile(r"\w([\w .+-]{0,98}[\w+-])?")
_DEVICES = re.compile(r"(con|prn|aux|nul|(com|lpt)[\d¹²³]) *(\..*)?", re.IGNORECASE)

DEFAULT_PREPROCESSING: tuple[Step, ...] = (
    {"step": "mark_brain"},
    {"step": "clip_percentiles", "lower": 1.0, "upper": 99.0},
    {"step": "crop_to_brain"},
    {"step": "zscore"},
)

DEFAULT_POSTPROCESSING: tuple[Step, ...] = (
    {"step": "inside_brain"},
    {"step": "remove_small_components", "min_volume_ml": 0.5, "min_share": 0.05},
)


@dataclass(frozen=True)
class NetworkConfig:
    """Network name and constructor arguments (see `scripted-models networks`)."""

    name: str = "TwoPathCNN"
    arguments: dict[str, Any] = field(default_factory=dict)
    # Trained networks inside it: name -> model folder.
    parts: dict[str, str] = field(default_factory=dict)
    # A model folder, whose weights of the same names and shapes are taken at the start (FCN-16s
    # begins as FCN-32s). Or a file of published weights for the trunk, see
    # networks/weight_files.py.
    start: str = ""


@dataclass(frozen=True)
class DataConfig:
    """Which cases train, which validate (after every epoch) and which only test.

    `train`, `validation` and `test` list case names. Where a list is empty, the cases are drawn by
    patient: of `test_every` patients one tests, of `validation_every` others one validates, all
    others train.
    """

    folder: str = ""
    layout: Literal["brains", "voc"] = "brains"
    # Of VOC: lists in ImageSets/Segmentation, or text files of names.
    voc_train: str = "train"  # "": all pictures with a label map
    voc_validation: str = "val"  # "": none
    sbd: str = ""  # folder of SBD; its images train that are in neither of the two lists above
    # Scored by a list of experiments; "seg11valid" needs `sbd`. "": all with a label map.
    voc_test: str = "val"
    image_scale: Literal["torchvision", "caffe", "symmetric"] = "torchvision"  # as weights have it
    # Of brains.
    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    validation_every: int = 5  # 0: none
    test_every: int = 0  # 0: none
    split_seed: int = 0
    folds: int = 0  # networks of an ensemble, each validated on another fold (BRATS 2015: 7)
    voting: Literal["hard", "soft"] = "hard"  # of the ensemble; the paper's is "voted average"
    validation_slices: int = 8  # axial slices per validation case, spread over the brain
    slice_spacing_mm: float = 0.0  # distance of slices that cases are resampled to; 0: as it is
    upper_share: float = 1.0  # of the brain's axial slices, counted from the top, which train
    phantoms: int = 0  # procedural cases added to the training cases
    low_grade_phantoms: int = 0  # and further ones, all of low grade
    # Necrosis and non-enhancing tumor of phantoms are one label, as in BraTS 2017 and later: how
    # they look is then learned from real cases alone.
    phantoms_merged: bool = False
    # Copies of training cases, of another one each, whose enhancement is taken out: tumor cores are
    # then also learned from what the other sequences show.
    contrast_suppressed: int = 0
    real: bool = True  # false: of the cases none trains
    statement: str = ""  # attribution, written into the model card

    def __post_init__(self) -> None:
        _require(self, validation_every=(0, None), test_every=(0, None), phantoms=(0, None))
        _require(self, low_grade_phantoms=(0, None), slice_spacing_mm=(0, None))
        _require(self, contrast_suppressed=(0, None))
        if not 0 < self.upper_share <= 1:
            raise _refusal("upper_share", self.upper_share, "above 0 and at most 1")
        if self.folds == 1 or self.folds < 0:
            raise _refusal("folds", self.folds, "0 or at least 2")


@dataclass(frozen=True)
class PhaseConfig:
    """One phase (Havaei et al. 2017, "Two-phase training" and "Implementation details")."""

    epochs: int = 55  # figure 6 shows 55 epochs of phase 1 and 10 of phase 2
    steps_per_epoch: int = 200
    schedule: Literal["linear", "literal"] = "linear"  # of the learning rate
    learning_rate: float = 0.005  # at the first step
    final_learning_rate: float = 0.0005  # 'linear': at the last step
    decay: float = 0.1  # 'literal': factor after every epoch
    momentum: float = 0.5
    final_momentum: float = 0.9  # at the last step, reached linearly
    # Epochs without improvement before the phase stops and its best epoch is kept; 0: no early
    # stopping, the last epoch is kept.
    patience: int = 10

    def __post_init__(self) -> None:
        _require(self, epochs=(0, None), steps_per_epoch=(1, None), patience=(0, None))


@dataclass(frozen=True)
class TrainingConfig:
    """Sampling, optimizer and augmentation; the defaults are the paper's where it states them."""

    seed: int = 0
    threads: int = 0  # 0 leaves the choice to torch
    workers: int = 0  # processes that draw patches beside the training one
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of hidden layers
    snapshot_every: int = 0  # epochs between snapshots of the weights; 0: none
    batch_size: int = 8  # patches of one step, of each process
    output_size: int = 32  # edge of the patches' output in pixels; 1: the paper's patches
    # Where patches lie: around the drawn pixel, also over the edge, or inside of the image as far
    # as they fit.
    patches: Literal["anywhere", "inside"] = "anywhere"
    pixels_per_patch: int = 250  # that enter the loss; 0: all
    average_decay: float = 0.0  # of the moving average of the weights, which is kept; 0: none
    # Share of the weights at the start in those that are kept at the end, so that a network that is
    # trained further on other cases does not forget (Wortsman et al. 2022, "Robust fine-tuning of
    # zero-shot models", CVPR).
    start_share: float = 0.0
    # Phase 1. 'labels': of a patch only the label it was drawn for enters the loss, so that labels
    # are equally frequent and spread as in the brain, as with the paper's patches. 'patches': all
    # its pixels do, so that the shares around a tumor's edge stay as they are. 'none': patches are
    # drawn as in phase 2.
    balance: Literal["labels", "patches", "none"] = "labels"
    balance_cases: bool = True  # draw the case first, all equally often; false: voxels of all cases
    healthy_share: float = 0.0  # phase 2: share of healthy pixels (below 1); 0: as in the brain
    dice: float = 0.0  # factor of the regions' soft Dice beside the cross-entropy; paper: none
    # Of the cross-entropy: the mean over all chosen pixels, over those with a label, or the sum,
    # whose rate is smaller by the number of pixels (Long et al.'s release: 1e-10).
    reduction: Literal["pixels", "labeled", "sum"] = "pixels"
    # Factors of the learning rate of weights with this part of a name: { bias = 2.0, trunk = 0.1 }.
    rates: dict[str, float] = field(default_factory=dict)
    # When the logarithms of the label frequencies are added to the output bias: at the start, as
    # the paper's sentence says, or when the labels begin to be drawn with these frequencies.
    output_bias: Literal["phase1", "phase2", "zero"] = "phase2"
    optimizer: Literal["sgd", "adam"] = "sgd"  # the paper's is 'sgd'
    l1: float = 0.0  # factor of |W|_1; the paper's is not printed
    l2: float = 0.0  # factor of |W|^2; the paper's is not printed
    max_norm: float = 0.0  # bound on the norm of every kernel; 0: none; the paper's is not printed
    augmentation: tuple[Step, ...] = ()  # steps of training/augmentation.py; the paper's are none
    phases: Literal[1, 2] = 2  # 1: phase 1 only
    phase1: PhaseConfig = field(default_factory=PhaseConfig)
    phase2: PhaseConfig = field(default_factory=lambda: PhaseConfig(epochs=10))

    def __post_init__(self) -> None:
        _require(self, batch_size=(1, None), output_size=(1, None), threads=(0, None))
        _require(self, workers=(0, None), snapshot_every=(0, None), pixels_per_patch=(0, None))
        _require(self, l1=(0, None), l2=(0, None), max_norm=(0, None), dice=(0, None))
        _require(self, average_decay=(0, 1), healthy_share=(0, 1), start_share=(0, 1))
        if not all(isinstance(x, int | float) and 0 <= x < math.inf for x in self.rates.values()):
            raise _refusal("rates", self.rates, "numbers from 0 on")
        if self.optimizer == "sgd":
            for phase in (self.phase1, self.phase2)[: self.phases]:
                self._check_rate(phase.learning_rate)

    def _check_rate(self, rate: float) -> None:
        """Refuse a rate that belongs to the other reduction: it diverges, or learns nothing."""
        if self.reduction == "sum" and rate > HIGHEST_RATE_OF_SUMS:
            reason = "a sum is larger than a mean by the number of pixels"
            limit = f"at most {HIGHEST_RATE_OF_SUMS:g} (as with 1e-10 for pictures): {reason}"
            raise _refusal("learning_rate", f"{rate:g} with the summed loss", limit)
        if self.reduction != "sum" and 0 < rate < LOWEST_RATE_OF_MEANS:
            limit = f'at least {LOWEST_RATE_OF_MEANS:g} (as with 1e-4), or reduction = "sum"'
            raise _refusal("learning_rate", f"{rate:g} with the mean loss", limit)


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a training run."""

    name: str = "experiment"
    description: str = ""
    # Row of the papers' tables to stand beside, for example "TwoPathCNN*" or, of VOC, "FCN-8s".
    paper_row: str = ""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    preprocessing: tuple[Step, ...] = DEFAULT_PREPROCESSING
    postprocessing: tuple[Step, ...] = DEFAULT_POSTPROCESSING
    training: TrainingConfig = field(default_factory=TrainingConfig)
    # See transforms/region_thresholds.py; empty: the most probable label.
    decision: dict[str, Any] = field(default_factory=dict)
    # Of probabilities, see networks/crf/refinement.py; empty: none.
    crf: dict[str, Any] = field(default_factory=dict)
    weights: Literal["float32", "float16"] = "float32"  # of kernels in the model folder

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or _DEVICES.fullmatch(self.name):
            raise InputError(
                found=f"name = {self.name!r}",
                expected="a name for a folder: at most 100 letters, digits, spaces and . _ + -",
                action="choose another name",
            )
        if self.training.start_share and not self.network.start:
            raise InputError(
                found=f"training.start_share = {self.training.start_share} without a network to "
                "start from",
                expected="0, or a model folder in network.start",
                action="change one of them",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers."""
        return dataclasses.asdict(self)


def _refusal(key: str, value: object, expected: str) -> InputError:
    return InputError(found=f"{key} = {value}", expected=expected, action="change it")


def _require(settings: object, **bounds: tuple[float, float | None]) -> None:
    """Refuse settings that are below their lower bound, or not below their upper bound."""
    for key, (low, high) in bounds.items():
        value = getattr(settings, key)
        if value < low or (high is not None and value >= high):
            limit = f"at least {low}" + ("" if high is None else f" and below {high}")
            raise _refusal(key, value, limit)


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file and apply `key.path=value` overrides (values in TOML notation).

    Raises:
        InputError: unreadable file, unknown key, value of the wrong type or out of range.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            found="no such experiment file", action="check the path", path=path
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            found=f"what cannot be read ({error})", expected="TOML", action="fix it", path=path
        ) from error
    for override in overrides:
        _apply_override(content, override)
    return _build(Experiment, content, str(path), "")


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise InputError(
            found=f"--set {override}",
            expected="key=value, for example training.seed=1",
            action="complete it",
        )
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text
    *parents, last = key.strip().split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise InputError(
                found=f"--set {override}, where '{parent}' is a value",
                expected="a table",
                action="correct the key",
            )
    content[last] = value


def _build(kind: type[Settings], content: Mapping[str, Any], source: str, where: str) -> Settings:
    fields = [f.name for f in dataclasses.fields(typing.cast(Any, kind))]
    hints = typing.get_type_hints(kind)
    for key in content:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, 1)
            raise InputError(
                found=f"the unknown key '{where}{key}'",
                expected=f"perhaps '{near[0]}'" if near else f"some of {sorted(fields)}",
                action="correct it",
                path=source,
            )
    values = {key: _convert(hints[key], content[key], source, where + key) for key in content}
    try:
        return kind(**values)
    except InputError as error:
        found = where + error.found
        raise InputError(
            found=found, expected=error.expected, action=error.action, path=source
        ) from error


def _convert(hint: Any, value: Any, source: str, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _build(hint, value, source, where + ".")
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(arguments[0], item, source, where) for item in value)
    if origin is Literal:
        if value in arguments:
            return value
        choices = " or ".join(repr(choice) for choice in arguments)
        raise _wrong_value(where, value, choices, source)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = origin if isinstance(hint, types.GenericAlias) else hint
    if isinstance(value, expected) and not (hint is int and isinstance(value, bool)):
        return value
    raise _wrong_value(where, value, getattr(expected, "__name__", str(expected)), source)


def _wrong_value(where: str, value: object, expected: str, source: str) -> InputError:
    found = f"{where} = {value!r}"
    return InputError(found=found, expected=expected, action="change it", path=source)
