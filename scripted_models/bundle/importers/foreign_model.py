"""What was understood of a foreign model, and the model folder that is made of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripted_models.bundle.description import ModelDescription, Stage
from scripted_models.bundle.description_parts import NetworkDescription, Origin
from scripted_models.bundle.importers.answers import Understood
from scripted_models.bundle.skeleton import build_fitting
from scripted_models.bundle.state_dicts import Weights, as_types_of, shapes_of
from scripted_models.bundle.weights import write_model
from scripted_models.errors import ModelError
from scripted_models.images.training_space import TrainingSpace
from scripted_models.labels import LABELS
from scripted_models.networks import ENSEMBLES
from scripted_models.runtime.typed_tables import as_table, read_table
from scripted_models.sequences import SEQUENCES
from scripted_models.transforms.steps import (
    InsideBrain,
    KeepSequences,
    MarkBrain,
    PreprocessingStep,
)
from scripted_models.transforms.volume_networks import (
    NetworkOutputs,
    RegionOutputs,
    SlidingWindow,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ForeignModel:
    """A foreign model in the words of this program.

    Attributes:
        name: its own.
        summary: one line.
        network: with all arguments.
        weights: of each fold, mostly one, under the names of its own program.
        channels: sequences in the order of the network.
        outputs: what its outputs mean.
        made_for: when the scans are made that it is for; None where nothing says it.
        threshold: of regions, the probability from which on a voxel belongs to one.
        window: how it goes through volumes.
        space: of the volumes that trained it.
        steps: before the network, without those that all models have.
        origin: where it comes from.
        terms: text of its terms; may be empty.
    """

    name: str
    summary: str
    network: NetworkDescription
    weights: Sequence[Weights]
    channels: tuple[str, ...]
    outputs: NetworkOutputs
    made_for: Stage | None = None
    threshold: float = 0.5
    window: SlidingWindow
    space: TrainingSpace
    steps: Sequence[PreprocessingStep]
    origin: Origin
    terms: str = ""

    def describe(self) -> Mapping[str, Any]:
        """Return the table of its description."""
        regions = isinstance(self.outputs, RegionOutputs)
        stage = {"made_for": self.made_for} if self.made_for else {}
        kept = KeepSequences(names=self.channels, order="stated")
        table = {
            "format": 1,
            "name": self.name,
            "version": self.origin.version or "0.1.0",
            "summary": self.summary,
            **stage,
            "task": "brains",
            "network": _ensemble_of(self.network, len(self.weights)),
            "channels": SEQUENCES,
            "labels": {label: LABELS[label] for label in self.outputs.labels},
            "sliding_window": self.window,
            "outputs": self.outputs,
            "decision": dict.fromkeys(self.outputs.order, self.threshold) if regions else {},
            "training_space": as_table(self.space, defaults=True),
            "preprocessing": [MarkBrain(), *self.steps, kept],
            "postprocessing": [InsideBrain()],
            "origin": self.origin,
            "limits": _LIMITS,
        }
        plain: Mapping[str, Any] = as_table(table)
        return {**plain, "preprocessing": _steps(table["preprocessing"]), "postprocessing": _INSIDE}


def _ensemble_of(network: NetworkDescription, members: int) -> NetworkDescription:
    if members == 1:
        return network
    own = {"network": network.name, "members": members, **network.arguments}
    return NetworkDescription(ENSEMBLES[3], own)


_INSIDE = [{"step": "inside_brain"}]
_LIMITS = (
    "Trained elsewhere. What it was trained for, and how well it works, its authors must say; "
    "nothing was measured here."
)


def _steps(steps: Any) -> list[dict[str, Any]]:
    return [{"step": step.step, **as_table(step)} for step in steps]


def write_foreign(model: ForeignModel, folder: Path, understood: Understood) -> None:
    """Write the model folder of a foreign model.

    Args:
        model: what was understood.
        folder: existing and empty.
        understood: told about the network.

    Raises:
        ModelError: weights that do not fit the network, or a value that no model can have.
    """
    description = read_table(ModelDescription, model.describe(), ModelError)
    several = len(model.weights) > 1
    weights = {
        (f"members.{index}." if several else "") + f"trunk.{name}": value
        for index, of_fold in enumerate(model.weights)
        for name, value in of_fold.items()
    }
    network = build_fitting(description.network, shapes_of(weights))
    network.load_state_dict(as_types_of(weights, network.state_dict()), assign=True)
    count = sum(value.numel() for value in network.parameters()) // len(model.weights)
    folds = f"the mean of {len(model.weights)} with " if several else ""
    understood.tell("network", f"{model.network.name}, {folds}{count:,} parameters, weights fit")
    write_model(folder, network.eval(), description, terms=model.terms)


def checksum(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()
