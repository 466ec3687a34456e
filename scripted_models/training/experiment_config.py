"""Experiment files: TOML into frozen dataclasses, unknown keys refused with the nearest name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from scripted_models.bundle.description import CrfSettings, Decision, TaskName
from scripted_models.errors import InputError
from scripted_models.runtime.folder_names import is_device_name
from scripted_models.runtime.plain_files import read_text
from scripted_models.runtime.structured_text import parse_toml
from scripted_models.runtime.table_hints import Range
from scripted_models.runtime.typed_tables import UnfitError, as_table, read_table
from scripted_models.training.augmentation_steps import check_steps
from scripted_models.transforms.steps import (
    DEFAULT_POSTPROCESSING,
    DEFAULT_PREPROCESSING,
    PostprocessingStep,
    PreprocessingStep,
)
from scripted_models.transforms.volume_networks import SlidingWindow

HIGHEST_RATE_OF_SUMS, LOWEST_RATE_OF_MEANS = 1e-7, 1e-8
LEAST_SPACING_MM = 0.1  # of slices

# A name becomes a folder: one part of a path, on every system.
FOLDER_NAME = "a name for a folder: at most 100 letters, digits, spaces and . _ + -"
_NAME = re.compile(r"\w([\w .+-]{0,98}[\w+-])?")

MOST_THREADS, MOST_WORKERS = 1024, 64  # more stop a machine instead of being faster

Count = Annotated[int, Range(0, 100_000)]
Positive = Annotated[int, Range(1, 10_000_000)]
Factor = Annotated[float, Range(0, 1_000)]
RateFactor = Annotated[float, Range(0, 1e9)]
BelowOne = Annotated[float, Range(at_least=0, below=1)]
Rate = Annotated[float, Range(above=0, at_most=10)]  # of learning
Seed = Annotated[int, Range(0, 2**63 - 1)]


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
    task: TaskName = "brains"
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
    validation_every: Count = 5  # 0: none
    test_every: Count = 0  # 0: none
    split_seed: Seed = 0
    # Table (TSV or CSV) with the columns case and patient, where names do not tell the patient.
    patients: str = ""
    folds: Annotated[int, Range(0, 1_000)] = (
        0  # networks of an ensemble, each validated on another fold (BRATS 2015: 7)
    )
    voting: Literal["hard", "soft"] = "hard"  # of the ensemble; the paper's is "voted average"
    validation_slices: Positive = 8  # axial slices per validation case, spread over the brain
    # Distance of slices that cases are resampled to; 0: as it is.
    slice_spacing_mm: Annotated[float, Range(0, 20)] = 0.0
    # Of the brain's axial slices, counted from the top, which train.
    upper_share: Annotated[float, Range(above=0, at_most=1)] = 1.0
    phantoms: Count = 0  # procedural cases added to the training cases
    low_grade_phantoms: Count = 0  # and further ones, all of low grade
    # Necrosis and non-enhancing tumor of phantoms are one label, as in BraTS 2017 and later: how
    # they look is then learned from real cases alone.
    phantoms_merged: bool = False
    # Contrast-suppressed copies of training cases, each of another one: tumor cores are then also
    # learned from what the other sequences show.
    contrast_suppressed: Count = 0
    # Copies as worse scans show them: turned, shifted against each other, thick, blurred, shaded,
    # of another contrast, with another brain mask or a field of view that ends in the head.
    degraded: Count = 0
    # Copies with the tumor of another training case beside their own (CarveMix, TumorCP).
    transplanted: Count = 0
    real: bool = True  # false: of the cases none trains
    statement: str = ""  # attribution, written into the model card

    def __post_init__(self) -> None:
        if self.folds == 1 or self.folds < 0:
            raise UnfitError("folds", self.folds, "0 or at least 2")
        if 0 < self.slice_spacing_mm < LEAST_SPACING_MM:
            expected = f"0 or at least {LEAST_SPACING_MM}"
            raise UnfitError("slice_spacing_mm", self.slice_spacing_mm, expected)


@dataclass(frozen=True)
class PhaseConfig:
    """One phase (Havaei et al. 2017, "Two-phase training" and "Implementation details")."""

    epochs: Count = 55  # figure 6 shows 55 epochs of phase 1 and 10 of phase 2
    steps_per_epoch: Positive = 200
    schedule: Literal["linear", "literal"] = "linear"  # of the learning rate
    learning_rate: Rate = 0.005  # at the first step
    final_learning_rate: Annotated[float, Range(0, 10)] = 0.0005  # 'linear': at the last step
    decay: Annotated[float, Range(above=0, at_most=1)] = 0.1  # 'literal': factor after every epoch
    momentum: BelowOne = 0.5
    final_momentum: BelowOne = 0.9  # at the last step, reached linearly
    # Epochs without improvement before the phase stops and its best epoch is kept; 0: no early
    # stopping, the last epoch is kept.
    patience: Count = 10


@dataclass(frozen=True)
class TrainingConfig:
    """Sampling, optimizer and augmentation; the defaults are the paper's where it states them."""

    seed: Seed = 0
    threads: Annotated[int, Range(0, MOST_THREADS)] = 0  # 0 leaves the choice to torch
    workers: Annotated[int, Range(0, MOST_WORKERS)] = (
        0  # processes that draw patches beside the training one
    )
    precision: Literal["float32", "bfloat16", "float16"] = "float32"  # of hidden layers
    snapshot_every: Count = 0  # epochs between snapshots of the weights; 0: none
    batch_size: Annotated[int, Range(1, 65_536)] = 8  # patches of one step, of each process
    output_size: Annotated[int, Range(1, 2_048)] = (
        32  # edge of the patches' output in pixels or voxels; 1: the paper's patches
    )
    # Where patches lie: around the drawn pixel, also over the edge, or inside of the image as far
    # as they fit.
    patches: Literal["anywhere", "inside"] = "anywhere"
    pixels_per_patch: Annotated[int, Range(0, 10_000_000)] = 250  # that enter the loss; 0: all
    average_decay: BelowOne = 0.0  # of the moving average of the weights, which is kept; 0: none
    # Share of the weights at the start in those that are kept at the end, so that a network that is
    # trained further on other cases does not forget (Wortsman et al. 2022, "Robust fine-tuning of
    # zero-shot models", CVPR).
    start_share: BelowOne = 0.0
    # Phase 1. 'labels': of a patch only the label it was drawn for enters the loss, so that labels
    # are equally frequent and spread as in the brain, as with the paper's patches. 'patches': all
    # its pixels do, so that the shares around a tumor's edge stay as they are. 'none': patches are
    # drawn as in phase 2.
    balance: Literal["labels", "patches", "none"] = "labels"
    balance_cases: bool = True  # draw the case first, all equally often; false: voxels of all cases
    healthy_share: BelowOne = 0.0  # phase 2: share of healthy pixels (below 1); 0: as in the brain
    dice: Factor = 0.0  # factor of the regions' soft Dice beside the cross-entropy; paper: none
    # Of this Dice: what a missed pixel costs, one that is wrongly found costs the rest (Tversky).
    missed: Annotated[float, Range(above=0, below=1)] = 0.5
    # Of the cross-entropy: the mean over all chosen pixels, over those with a label, or the sum,
    # whose rate is smaller by the number of pixels (Long et al.'s release: 1e-10).
    reduction: Literal["pixels", "labeled", "sum"] = "pixels"
    # Factors of the learning rate of weights with this part of a name: { bias = 2.0, trunk = 0.1 }.
    rates: dict[str, RateFactor] = field(default_factory=dict)
    # When the logarithms of the label frequencies are added to the output bias: at the start, as
    # the paper's sentence says, or when the labels begin to be drawn with these frequencies.
    output_bias: Literal["phase1", "phase2", "zero"] = "phase2"
    optimizer: Literal["sgd", "adam"] = "sgd"  # the paper's is 'sgd'
    l1: Factor = 0.0  # factor of |W|_1; the paper's is not printed
    l2: Factor = 0.0  # factor of |W|^2; the paper's is not printed
    # Bound on the norm of every kernel; 0: none; the paper's is not printed.
    max_norm: Factor = 0.0
    augmentation: tuple[
        dict[str, Any], ...
    ] = ()  # steps of training/augmentation.py; the paper's are none
    phases: Literal[1, 2] = 2  # 1: phase 1 only
    phase1: PhaseConfig = field(default_factory=PhaseConfig)
    phase2: PhaseConfig = field(default_factory=lambda: PhaseConfig(epochs=10))

    def __post_init__(self) -> None:
        check_steps(self.augmentation)
        if self.optimizer == "sgd":
            self._check_rate("phase1.learning_rate", self.phase1.learning_rate)
            if self.phases == 2:
                self._check_rate("phase2.learning_rate", self.phase2.learning_rate)

    def _check_rate(self, key: str, rate: float) -> None:
        """Refuse a rate that belongs to the other reduction: it diverges, or learns nothing."""
        if self.reduction == "sum" and rate > HIGHEST_RATE_OF_SUMS:
            raise UnfitError(
                key,
                rate,
                f"at most {HIGHEST_RATE_OF_SUMS:g} with the summed loss (as with 1e-10 for "
                "pictures), because a sum is larger than a mean by the number of pixels",
            )
        if self.reduction != "sum" and 0 < rate < LOWEST_RATE_OF_MEANS:
            raise UnfitError(
                key,
                rate,
                f"at least {LOWEST_RATE_OF_MEANS:g} with the mean loss (as with 1e-4), or "
                'reduction = "sum"',
            )


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a training run."""

    name: str = "experiment"
    description: str = ""
    # Row of the papers' tables to stand beside, for example "TwoPathCNN*" or, of VOC, "FCN-8s".
    paper_row: str = ""
    network: NetworkConfig = field(default_factory=NetworkConfig)
    data: DataConfig = field(default_factory=DataConfig)
    # Steps before and after the network, as the model description has them.
    preprocessing: tuple[PreprocessingStep, ...] = DEFAULT_PREPROCESSING
    postprocessing: tuple[PostprocessingStep, ...] = DEFAULT_POSTPROCESSING
    training: TrainingConfig = field(default_factory=TrainingConfig)
    # How probabilities become labels, see transforms/region_thresholds.py; empty: the most
    # probable.
    decision: Decision = field(default_factory=dict)
    # Of a network of volumes: how it goes through one. Absent: cubes of the size of the patches.
    sliding_window: SlidingWindow | None = None
    crf: CrfSettings | None = None  # of probabilities
    weights: Literal["float32", "float16"] = "float32"  # of kernels in the model folder

    def __post_init__(self) -> None:
        if not is_folder_name(self.name):
            raise UnfitError("name", self.name, FOLDER_NAME)
        if self.training.start_share and not self.network.start:
            raise UnfitError(
                "training.start_share",
                self.training.start_share,
                "0 without a network to start from, or a model folder in 'network.start'",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain dictionaries, lists and numbers, those that equal their defaults too."""
        table: dict[str, Any] = as_table(self, defaults=True)
        return table


def is_folder_name(name: str) -> bool:
    """Tell whether a name can be a folder's, on every system."""
    return bool(_NAME.fullmatch(name)) and not is_device_name(name)


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file and apply `key.path=value` overrides (values in TOML notation).

    Raises:
        InputError: unreadable file, unknown key, value of the wrong type or out of range.
    """
    path = Path(path)
    try:
        content = parse_toml(read_text(path))
    except FileNotFoundError as error:
        raise InputError(
            found="no such file", expected="an experiment", action="check the path", path=path
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            found=f"no readable TOML ({error})",
            expected="an experiment",
            action="correct it",
            path=path,
        ) from error
    for override in overrides:
        _apply_override(content, override)
    return read_table(Experiment, content, InputError, path)


def _apply_override(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise InputError(
            found=f"--set {override}",
            expected="key=value",
            action="write it as in training.seed=1",
        )
    try:
        value = parse_toml(f"v = {text}")["v"]
    except ValueError:
        value = text
    *parents, last = key.strip().split(".")
    for parent in parents:
        content = content.setdefault(parent, {})
        if not isinstance(content, dict):
            raise InputError(
                found=f"a value in '{parent}'",
                expected=f"a table, for --set {override}",
                action="correct the key",
            )
    content[last] = value
