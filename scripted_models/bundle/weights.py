"""The model folder with its weights: loaded after every check, written whole.

Loading verifies the checksums first, reads weights with `weights_only=True` and strict keys, refuses
NaN, and executes nothing. `model_description` has the layout and all that needs no PyTorch.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from scripted_models.bundle.card import bundle_files, card_text
from scripted_models.bundle.description import (
    CARD,
    CHECKSUMS,
    FORMAT_VERSION,
    MODEL_JSON,
    WEIGHTS,
    find_model,
    is_user_model,
    known_labels,
    read_description,
    training_space,
    verify_checksums,
)
from scripted_models.errors import ModelError
from scripted_models.images.training_space import TrainingSpace
from scripted_models.networks import build_network
from scripted_models.networks.crf.refinement import build_crf
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.atomic_files import make_folder, write_file
from scripted_models.transforms.postprocessing import build_postprocessing
from scripted_models.transforms.preprocessing import build_preprocessing, kept_sequences

_METHOD = (
    "network",
    "labels",
    "training_space",
    "preprocessing",
    "postprocessing",
    "crf",
    "decision",
)


@dataclass(frozen=True)
class Model:
    """A loaded model.

    Attributes:
        folder: where it came from.
        description: content of model.json.
        network: in evaluation mode, on the CPU.
        checksum: SHA-256 of the weights.
    """

    folder: Path
    description: dict
    network: SliceNetwork
    checksum: str

    @property
    def name(self) -> str:
        """Name of the model: of the user's own the one that it was imported under."""
        return self.folder.name if is_user_model(self.folder) else self.description["name"]

    @property
    def method_checksum(self) -> str:
        """SHA-256 of all that decides a result beside the weights."""
        method = {key: self.description[key] for key in _METHOD if key in self.description}
        return hashlib.sha256(json.dumps(method, sort_keys=True).encode()).hexdigest()

    @property
    def space(self) -> TrainingSpace:
        """Space the network was trained in."""
        return training_space(self.description)

    @property
    def known_labels(self) -> tuple[int, ...]:
        """Internal labels of the classes, in their order."""
        return known_labels(self.description)


def load_model(name_or_path: str, layout: str = "brains") -> Model:
    """Load a model after verifying it.

    Args:
        name_or_path: a shipped name, a name of the user's, or a folder.
        layout: what it must be for, 'brains' or 'voc'.

    Raises:
        ModelError: not found, damaged, or made for other channels, labels or networks.
    """
    folder = find_model(name_or_path)
    verify_checksums(folder)
    description = read_description(folder, layout)
    network = _build(folder, description)
    content = (folder / WEIGHTS).read_bytes()
    network.load_state_dict(_read_weights(folder, network, content))
    return Model(folder, description, network.eval(), hashlib.sha256(content).hexdigest())


def _build(folder: Path, description: dict) -> SliceNetwork:
    """Build the network, and the pipelines once to see that they can be built."""
    stated, classes = description["network"], len(known_labels(description))
    try:
        if description.get("layout", "brains") == "brains":
            build_preprocessing(description["preprocessing"])
        build_postprocessing(description["postprocessing"])
        build_crf(classes, description.get("crf", {}), description.get("layout", "brains"))
        network = build_network(stated["name"], **stated["arguments"])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{folder}: found a description that cannot be used ({type(error).__name__}: {error}), expected "
            "one written by this program; get the model folder again."
        ) from error
    if description.get("layout", "brains") == "brains":
        seen = len(kept_sequences(description["preprocessing"]))
        if network.in_channels != seen:
            raise ModelError(
                f"{folder}: found a network of {network.in_channels} image channels, expected one for each of "
                f"the {seen} sequences that its preprocessing keeps; get the model folder again."
            )
    if network.num_classes != classes:
        raise ModelError(
            f"{folder}: found a network of {network.num_classes} classes, expected one for each of the "
            f"{classes} labels; get the model folder again."
        )
    return network


def _read_weights(folder: Path, network: SliceNetwork, content: bytes) -> dict:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as records:
            if any(record.compress_type for record in records.infolist()):
                raise ValueError("compressed records")  # could unpack to any size
        weights = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for foreign content
        raise ModelError(
            f"{folder}: the weights are not a plain state dict and were not loaded ({type(error).__name__}); "
            "get the model folder again from a source you trust."
        ) from error
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = (
        {key: tuple(value.shape) for key, value in weights.items()}
        if isinstance(weights, dict)
        else {}
    )
    if expected != found:
        wrong = sorted(set(expected.items()) ^ set(found.items()))[:3]
        raise ModelError(
            f"{folder}: the weights do not fit {type(network).__name__} (for example {wrong}); the "
            "folder mixes files of different models."
        )
    broken = [key for key, value in weights.items() if not torch.isfinite(value).all()]
    if broken:
        raise ModelError(f"{folder}: the weights {broken[:3]} hold NaN or infinity; train again.")
    return {key: value.float() for key, value in weights.items()}


def write_model(
    folder: Path, network: SliceNetwork, description: dict, kernels: torch.dtype = torch.float32
) -> Path:
    """Write a model folder.

    Args:
        folder: created when absent; files of the same names are replaced, checksums last.
        network: its state dict becomes the weights.
        description: content of model.json without 'format'.
        kernels: type of the weights with more than one axis; all others are float32.

    Returns:
        The folder.
    """
    folder = Path(folder)
    for part in ("configs", "models", "docs"):
        make_folder(folder / part)
    buffer = io.BytesIO()
    torch.save({k: _stored(v, kernels) for k, v in network.state_dict().items()}, buffer)
    description = {"format": FORMAT_VERSION, **description}
    files = {
        WEIGHTS: buffer.getvalue(),
        MODEL_JSON: json.dumps(description, indent=2).encode() + b"\n",
        **bundle_files(description, network),
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
