"""The model folder with its weights: loaded after every check, written whole.

Loading verifies the checksums first and uses the bytes that were verified. It reads weights with
`weights_only=True` and strict keys, refuses NaN, and executes nothing.
"""

import hashlib
import io
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from monai.transforms import Compose

from scripted_models.bundle.card import card_text
from scripted_models.bundle.description import (
    ACTION,
    Decision,
    ModelDescription,
    TaskName,
    parse_description,
)
from scripted_models.bundle.model_folders import (
    CARD,
    CHECKSUMS,
    MODEL_JSON,
    WEIGHTS,
    find_model,
    is_user_model,
    verify_files,
)
from scripted_models.bundle.monai_files import monai_files
from scripted_models.bundle.skeleton import build_fitting
from scripted_models.bundle.state_dicts import as_types_of, read_state_dict, shapes_of
from scripted_models.errors import ModelError
from scripted_models.images.training_space import TrainingSpace
from scripted_models.networks.crf.dense_crf import DenseCRF
from scripted_models.networks.crf.refinement import build_crf
from scripted_models.networks.slice_network import (
    SegmentationNetwork,
    SliceNetwork,
    VolumeNetwork,
)
from scripted_models.runtime.atomic_files import make_folder, write_file
from scripted_models.runtime.typed_tables import read_table
from scripted_models.transforms.postprocessing import build_postprocessing
from scripted_models.transforms.preprocessing import build_preprocessing


@dataclass(frozen=True)
class Model:
    """A loaded model, ready to use.

    Attributes:
        folder: where it came from.
        description: what it says about itself.
        network: in evaluation mode, on the CPU at first.
        checksum: SHA-256 of the weights.
        preprocessing: pipeline before the network; empty for pictures.
        postprocessing: pipeline after it.
        crf: on the probabilities, or None.
    """

    folder: Path
    description: ModelDescription
    network: SegmentationNetwork
    checksum: str
    preprocessing: Compose
    postprocessing: Compose
    crf: DenseCRF | None

    @property
    def name(self) -> str:
        """Name of the model: of the user's own the one that it was imported under."""
        return self.folder.name if is_user_model(self.folder) else self.description.name

    @property
    def slice_network(self) -> SliceNetwork:
        """The network, where only one of slices will do.

        Raises:
            ModelError: it is one of volumes.
        """
        if isinstance(self.network, SliceNetwork):
            return self.network
        raise ModelError(
            found=f"the 3-D network '{self.description.network.name}'",
            expected="a network of slices",
            action="choose another model",
            path=self.folder,
        )

    @property
    def method_checksum(self) -> str:
        """SHA-256 of all that decides a result beside the weights."""
        method = json.dumps(self.description.method, sort_keys=True)
        return hashlib.sha256(method.encode()).hexdigest()

    @property
    def space(self) -> TrainingSpace:
        """Space the network was trained in."""
        return self.description.training_space

    @property
    def space_of_steps(self) -> TrainingSpace:
        """Space in which the steps before the network work, see `SlidingWindow.resampling`."""
        window = self.description.sliding_window
        if window is None or window.resampling == "linear":
            return self.space
        return replace(self.space, spacing_xyz_mm=(None, None, None))

    @property
    def known_labels(self) -> tuple[int, ...]:
        """Internal labels of the classes, in their order."""
        return self.description.known_labels

    @property
    def decision(self) -> Decision:
        """How probabilities become labels, see `transforms.region_thresholds`."""
        return self.description.decision


def load_model(name_or_path: str, task: TaskName | None = "brains") -> Model:
    """Load a model after verifying it.

    Args:
        name_or_path: a shipped name, a name of the user's, or a folder.
        task: what it must be for; None: any.

    Raises:
        ModelError: not found, damaged, or made for other channels, labels or networks.
    """
    folder = find_model(name_or_path)
    files = verify_files(folder, (MODEL_JSON, WEIGHTS))
    description = parse_description(files.contents[MODEL_JSON], folder / MODEL_JSON, task)
    try:
        # handed over, so that a large file is gone before the network is built
        network = _load_network(files.contents.pop(WEIGHTS), description)
    except ModelError as error:
        raise error.at(folder) from error
    return assemble_model(folder, description, network.eval(), files.checksums[WEIGHTS])


def assemble_model(
    folder: Path, description: ModelDescription, network: SegmentationNetwork, checksum: str
) -> Model:
    """Put a model together: build what its description says around a network."""
    settings, classes = description.crf, len(description.labels)
    steps = description.preprocessing
    return Model(
        folder=folder,
        description=description,
        network=network,
        checksum=checksum,
        preprocessing=build_preprocessing(steps) if steps else Compose([]),
        postprocessing=build_postprocessing(description.postprocessing),
        crf=build_crf(classes, settings.stated, description.task) if settings else None,
    )


def _load_network(content: bytes, description: ModelDescription) -> SegmentationNetwork:
    weights = read_state_dict(content)
    del content
    network = build_fitting(description.network, shapes_of(weights))
    _require_size(network, description)
    network.load_state_dict(as_types_of(weights, network.state_dict()))
    return network


def _require_size(network: SegmentationNetwork, description: ModelDescription) -> None:
    """Raise ModelError unless a network has the channels and classes of its description."""
    is_brains = description.task == "brains"
    seen = description.sequences if is_brains else description.channels
    if network.in_channels != len(seen):
        raise ModelError(
            found=f"a network of {network.in_channels} image channels",
            expected=f"one for each of {', '.join(seen)}",
            action=ACTION,
        )
    stated = description.network_outputs
    if network.num_classes != len(stated.order):
        raise ModelError(
            found=f"a network of {network.num_classes} classes",
            expected=f"one for each of the {len(stated.order)} "
            + ("regions" if stated.kind == "regions" else "labels"),
            action=ACTION,
        )
    _require_window(network, description)


def _require_window(network: SegmentationNetwork, description: ModelDescription) -> None:
    """Raise ModelError unless a network of volumes, and no other, has a window."""
    is_3d, window = isinstance(network, VolumeNetwork), description.sliding_window
    if is_3d == (window is not None):
        return
    raise ModelError(
        found=f"the {network.dimensions}-D network '{description.network.name}' "
        + ("without" if is_3d else "with")
        + " a 'sliding_window'",
        expected="one in a model of a 3-D network, and in no other",
        action=ACTION,
    )


def write_model(
    folder: Path,
    network: SegmentationNetwork,
    description: ModelDescription,
    kernels: torch.dtype = torch.float32,
    terms: str = "",
) -> Path:
    """Write a model folder.

    Args:
        folder: created when absent; files of the same names are replaced, checksums last.
        network: its state dict becomes the weights.
        description: content of model.json.
        kernels: type of the weights with more than one axis; all others are float32.
        terms: text of LICENSE, see `monai_files`.

    Returns:
        The folder.

    Raises:
        ModelError: a description that could not be read back.
    """
    folder = Path(folder)
    table = description.to_table()
    read_table(ModelDescription, table, ModelError, folder / MODEL_JSON)
    _require_window(network, description)
    for part in ("configs", "models", "docs"):
        make_folder(folder / part)
    buffer = io.BytesIO()
    torch.save({k: _stored(v, kernels) for k, v in network.state_dict().items()}, buffer)
    files: dict[str, bytes | memoryview] = {
        WEIGHTS: buffer.getbuffer(),
        MODEL_JSON: json.dumps(table, indent=2).encode() + b"\n",
        **monai_files(description, network, terms),
        CARD: card_text(description, network).encode(),
    }
    (folder / CHECKSUMS).unlink(missing_ok=True)
    for name, content in files.items():
        write_file(folder / name, content)
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in files.items()]
    write_file(folder / CHECKSUMS, "\n".join(sums) + "\n")
    return folder


def _stored(value: torch.Tensor, kernels: torch.dtype) -> torch.Tensor:
    value = value.detach().cpu().contiguous()
    return value.to(kernels) if value.dim() > 1 else value


def stored_type(model: Model) -> Literal["float32", "float16"]:
    """Return the type in which the folder of a model holds its kernels, see `write_model`."""
    content = verify_files(model.folder, (WEIGHTS,)).contents[WEIGHTS]
    types = {value.dtype for value in read_state_dict(content).values()}
    return "float16" if torch.float16 in types else "float32"
