"""What a model says about itself: `configs/model.json`, read and checked without PyTorch.

`docs/model-description.schema.json` shows the same as JSON Schema.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from scripted_models.bundle.description_parts import (
    NONE,
    CrfSettings,
    Decision,
    Dice,
    Name,
    NetworkDescription,
    NotNegative,
    Origin,
    Region,
    RegionScores,
    TrainingRecord,
)
from scripted_models.bundle.image_scales import ImageScale
from scripted_models.bundle.model_folders import MAX_OTHER_BYTES, MODEL_JSON
from scripted_models.errors import ModelError
from scripted_models.images.training_space import TrainingSpace
from scripted_models.labels import CAVITY, LABELS, RC, REGIONS
from scripted_models.runtime.plain_files import read_bytes
from scripted_models.runtime.structured_text import parse_json
from scripted_models.runtime.table_hints import Complete
from scripted_models.runtime.typed_tables import UnfitError, as_table, read_table
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.steps import (
    PostprocessingStep,
    PreprocessingStep,
    SequenceName,
    check_order,
    check_postprocessing,
    kept_sequences,
)
from scripted_models.transforms.volume_networks import (
    LabelOutputs,
    NetworkOutputs,
    RegionOutputs,
    SlidingWindow,
)

FORMAT_VERSION: Literal[1] = 1
ACTION = "get the model folder again"

TaskName = Literal["brains", "voc"]
Stage = Literal["before operation", "after operation"]
_METHOD = (
    *("network", "labels", "training_space", "preprocessing", "postprocessing"),
    *("crf", "decision", "sliding_window", "outputs"),
)
_SETS = {
    "+".join(chosen) for n in range(len(SEQUENCES)) for chosen in combinations(SEQUENCES, n + 1)
}


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """The content of model.json.

    Attributes:
        format: version of the format.
        name: of the model.
        version: of the model.
        summary: one line.
        made_for: of brains, when the scans were made that the model is for; none: not known.
        task: what the model is for, brains or PASCAL VOC.
        network: the network.
        channels: what the channels of an input are, in their order.
        needs_one_of: of brains, the sequences of which one is needed, the others being optional;
            none: all that the network sees are needed.
        image_scale: of pictures, what the weights expect.
        labels: internal label -> name, of all labels that the model gives.
        sliding_window: how a network of volumes goes through a volume; none for one of slices.
        outputs: what the outputs of the network mean; none: logits of the labels, ascending.
        training_space: where the network was trained.
        preprocessing: steps before the network.
        postprocessing: steps after it.
        crf: dense CRF on the probabilities; none if absent.
        decision: region -> least probability, or 'estimated_dice', from which on a voxel belongs to
            it; empty: each voxel gets its most probable label.
        training: how the network was trained.
        origin: of a model that another program trained, where it comes from; else none.
        scores: cases and protocol -> region -> mean scores.
        dice_by_case: case -> region -> Dice.
        dice_by_sequences: sequences, such as 't1c+flair' -> region -> mean Dice.
        check_below: region -> estimated Dice below which the user is asked to check.
        limits: what the model is not for.
        failures: case -> why it is one of the worst.
        seconds_per_case: device and size -> seconds.
        memory_gib_per_case: device and size -> GiB.
    """

    format: Literal[1] = FORMAT_VERSION
    name: Name
    version: Name = "0.1.0"
    summary: str = ""
    made_for: Stage | None = None
    task: TaskName
    network: NetworkDescription
    channels: tuple[str, ...]
    needs_one_of: tuple[SequenceName, ...] = ()
    image_scale: ImageScale | None = None
    labels: Mapping[int, str]
    sliding_window: SlidingWindow | None = None
    outputs: NetworkOutputs | None = None
    training_space: Annotated[TrainingSpace, Complete()]
    preprocessing: tuple[PreprocessingStep, ...]
    postprocessing: tuple[PostprocessingStep, ...]
    crf: CrfSettings | None = None
    decision: Decision = field(default_factory=lambda: NONE)
    training: TrainingRecord = field(default_factory=TrainingRecord)
    origin: Origin | None = None
    scores: Mapping[str, Mapping[Region, RegionScores]] = field(default_factory=lambda: NONE)
    dice_by_case: Mapping[str, Dice] = field(default_factory=lambda: NONE)
    dice_by_sequences: Mapping[str, Dice] = field(default_factory=lambda: NONE)
    check_below: Dice = field(default_factory=lambda: NONE)
    limits: str = ""
    failures: Mapping[str, str] = field(default_factory=lambda: NONE)
    seconds_per_case: Mapping[str, NotNegative] = field(default_factory=lambda: NONE)
    memory_gib_per_case: Mapping[str, NotNegative] = field(default_factory=lambda: NONE)

    def __post_init__(self) -> None:
        if self.task == "brains":
            _check_brains(self)
        else:
            _check_pictures(self)

    @property
    def sequences(self) -> tuple[str, ...]:
        """Of brains, the sequences that the network sees."""
        return kept_sequences(self.preprocessing)

    @property
    def known_labels(self) -> tuple[int, ...]:
        """Internal labels in ascending order, which is that of the classes."""
        return tuple(sorted(self.labels))

    @property
    def network_outputs(self) -> NetworkOutputs:
        """What the outputs of the network mean."""
        return self.outputs or LabelOutputs(order=self.known_labels)

    @property
    def method(self) -> dict[str, Any]:
        """The plain table of all that decides a result beside the weights."""
        return {key: value for key, value in self.to_table().items() if key in _METHOD}

    def to_table(self) -> dict[str, Any]:
        """Return the content of model.json, without what equals its default."""
        table: dict[str, Any] = as_table(self)
        return table

    def dice_with(self, sequences: Collection[str]) -> Dice:
        """Return the mean Dice stated for these sequences, empty when none is."""
        return self.dice_by_sequences.get("+".join(m for m in SEQUENCES if m in sequences), NONE)


def _check_brains(stated: ModelDescription) -> None:
    """Raise UnfitError unless channels, labels and steps mean what they mean in this program."""
    labels = dict(stated.labels)
    if stated.channels != SEQUENCES:
        raise UnfitError("channels", list(stated.channels), f"{list(SEQUENCES)}")
    if 0 not in labels or len(labels) < 2 or not labels.items() <= LABELS.items():
        raise UnfitError("labels", labels, f"0 and others of {LABELS}")
    check_order(stated.preprocessing)
    check_postprocessing(stated.postprocessing, stated.known_labels)
    one_of = list(stated.needs_one_of)
    if not set(one_of) <= set(stated.sequences) or len(set(one_of)) < len(one_of):
        raise UnfitError("needs_one_of", one_of, f"some of {list(stated.sequences)}, each once")
    for key in stated.dice_by_sequences:
        if key not in _SETS:
            raise UnfitError(
                "dice_by_sequences", key, "sequences in their order, such as 't1c+flair'"
            )
    decided = [*REGIONS, RC] if CAVITY in labels else list(REGIONS)
    tells = {0, 2, 4} <= set(labels) and {1, 3} & set(labels)
    if stated.decision and not (set(stated.decision) == set(decided) and tells):
        raise UnfitError(
            "decision", dict(stated.decision), f"all of {decided}, and labels of each region"
        )
    _check_outputs(stated)
    window = stated.sliding_window
    if window is not None and window.resampling == "cubic" and stated.crf is not None:
        raise UnfitError("sliding_window.resampling", "cubic", "'linear' with a 'crf'")
    if stated.image_scale is not None:
        raise UnfitError("image_scale", stated.image_scale, "none for brains")


def _check_outputs(stated: ModelDescription) -> None:
    """Raise UnfitError unless the outputs tell the labels, and regions are decided as such."""
    outputs, labels = stated.outputs, stated.known_labels
    if outputs is not None and stated.sliding_window is None:
        raise UnfitError("outputs", outputs.kind, "none without a 'sliding_window'")
    if outputs is not None and outputs.labels != labels:
        raise UnfitError("labels", list(labels), f"{list(outputs.labels)}, as its outputs have it")
    if isinstance(outputs, RegionOutputs) and not stated.decision:
        raise UnfitError("decision", {}, "the least probability of each region", "state it")


def _check_pictures(stated: ModelDescription) -> None:
    if stated.image_scale is None or stated.channels != tuple(stated.image_scale.colors):
        raise UnfitError("channels", list(stated.channels), "the colors of an 'image_scale'")
    if sorted(stated.labels) != list(range(len(stated.labels))) or len(stated.labels) < 2:
        raise UnfitError("labels", dict(stated.labels), "classes from 0 on")
    brains_only = ("made_for", "decision", "dice_by_sequences", "sliding_window", "outputs")
    for key in ("preprocessing", "postprocessing", *brains_only):
        if getattr(stated, key):
            raise UnfitError(key, as_table(getattr(stated, key)), "none for pictures")


def read_description(folder: Path, task: TaskName = "brains") -> ModelDescription:
    """Read model.json without loading weights, and without asking whether it was changed.

    Args:
        folder: of the model.
        task: what the model must be for.

    Raises:
        ModelError: unreadable, of another format version or task, or a value that does not fit.
    """
    path = Path(folder) / MODEL_JSON
    try:
        content = read_bytes(path, MAX_OTHER_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error
    return parse_description(content, path, task)


def parse_description(
    content: bytes, path: Path, task: TaskName | None = "brains"
) -> ModelDescription:
    """Return the description in the bytes of a model.json.

    Args:
        content: of the file.
        path: of the file, for errors.
        task: what the model must be for; None: any.

    Raises:
        ModelError: as `read_description`.
    """
    try:
        table = parse_json(content)
        description = read_table(ModelDescription, table, ModelError, path, ACTION)
    except ValueError as error:
        raise _unreadable(path, error) from error
    if task and description.task != task:
        raise ModelError(
            found=f"a model for {description.task}",
            expected=f"one for {task}",
            action="choose another",
            path=path,
        )
    return description


def _unreadable(path: Path, error: Exception) -> ModelError:
    reason = error.strerror if isinstance(error, OSError) else error
    return ModelError(
        found=f"no readable model description ({reason})",
        expected="JSON written by this program",
        action=ACTION,
        path=path,
    )
