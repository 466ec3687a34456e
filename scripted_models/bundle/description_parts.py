"""The parts of a model's description: its network, a CRF, how it was trained, what it scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal

from scripted_models.labels import SCORED
from scripted_models.runtime.table_hints import Choice, Pattern, Range
from scripted_models.runtime.typed_tables import as_table
from scripted_models.transforms.steps import Share

Region = Annotated[str, Choice(tuple(SCORED))]
Dice = Mapping[Region, Share]
Decision = Mapping[Region, Share | Literal["estimated_dice"]]
Count = Annotated[int, Range(0, 10**9)]
NotNegative = Annotated[float, Range(at_least=0)]
Width = Annotated[float, Range(at_least=1e-3, at_most=10_000)]  # as `DenseCRF` takes it
Weight = Annotated[float, Range(0, 10_000)]
Name = Annotated[str, Pattern(r"[^\x00-\x1f\x7f]{1,200}", "1 to 200 characters on one line")]


NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True)
class NetworkDescription:
    """The network.

    Attributes:
        name: in the registry of networks.
        arguments: that build it.
    """

    name: Name
    arguments: Mapping[str, object]


@dataclass(frozen=True)
class CrfSettings:
    """A dense CRF on the probabilities; what is not stated is as usual for the task.

    Attributes:
        backend: of the appearance filter.
        appearance_weight: of the Gaussian of position and intensity.
        smoothness_weight: of the Gaussian of position alone.
        position_width: of the first Gaussian, in mm (pixels of pictures).
        intensity_width: of the first Gaussian, in standard deviations (values from 0 to 255 of
            pictures).
        smoothness_width: of the second Gaussian, in mm (pixels of pictures).
        iterations: while training.
        test_iterations: otherwise.
        window: how many pixels the backend 'window' reaches along every axis.
    """

    backend: Literal["exact", "permutohedral", "window"] | None = None
    appearance_weight: Weight | None = None
    smoothness_weight: Weight | None = None
    position_width: Width | None = None
    intensity_width: Width | None = None
    smoothness_width: Width | None = None
    iterations: Annotated[int, Range(0, 100)] | None = None
    test_iterations: Annotated[int, Range(0, 100)] | None = None
    window: Annotated[int, Range(1, 100)] | None = None

    @property
    def stated(self) -> dict[str, Any]:
        """The settings that are not as usual."""
        settings: dict[str, Any] = as_table(self)
        return settings


@dataclass(frozen=True)
class RegionScores:
    """Means over cases for one region.

    Attributes:
        dice: Dice coefficient.
        sensitivity: share of the true voxels that are found.
        ppv: share of the found voxels that are true.
        hd95_mm: 95th percentile of the Hausdorff distance.
    """

    dice: Share
    sensitivity: Share | None = None
    ppv: Share | None = None
    hd95_mm: NotNegative | None = None


@dataclass(frozen=True)
class TrainingRecord:
    """How the network was trained.

    Attributes:
        statement: attribution of the data.
        train: names of the cases that trained.
        contrast_suppressed: copies of training cases whose enhancement was taken out.
        degraded: copies as worse scans show them.
        transplanted: copies with the tumor of another training case.
        phantoms: procedural cases that trained.
        validation: names of the cases that were scored after every epoch.
        seed: of all random numbers.
        epochs: of the two phases.
        steps: of the two phases.
        seconds: time of the epochs.
        validation_dice: mean Dice of the validation cases by region.
        note: what else a reader must know.
    """

    statement: str = ""
    train: tuple[str, ...] = ()
    contrast_suppressed: Count = 0
    degraded: Count = 0
    transplanted: Count = 0
    phantoms: Count = 0
    validation: tuple[str, ...] = ()
    seed: int | None = None
    epochs: tuple[Count, Count] = (0, 0)
    steps: tuple[Count, Count] | None = None
    seconds: NotNegative = 0.0
    validation_dice: Dice = field(default_factory=lambda: NONE)
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where the weights of a model come from that another program trained.

    Attributes:
        format: of the file.
        file: name of the file or folder that was imported.
        weights: the file of weights in it; of several folds all of them.
        sha256: of that file of weights, as it was imported; of several one after the other.
        version: that its authors gave it.
        authors: as stated there.
        copyright: as stated there.
        source: as stated there, of the data and publications.
        license: name of the file with its terms, whose text is in LICENSE; empty if there was none.
        notes: what was decided at the import, and what was left out.
    """

    format: Literal["MONAI bundle", "Auto3DSeg", "nnU-Net"]
    file: Name
    weights: Name
    sha256: Annotated[str, Pattern(r"[0-9a-f]{64}", "64 hexadecimal digits")]
    version: str = ""
    authors: str = ""
    copyright: str = ""
    source: str = ""
    license: str = ""
    notes: tuple[str, ...] = ()
