"""The model folder: weights, and everything else that a prediction needs, as data.

Layout (a valid MONAI bundle plus ours)::

    configs/metadata.json   MONAI bundle description
    configs/inference.json  MONAI bundle configuration (never executed here)
    configs/model.json      network, channel order, preprocessing, label table, training data, scores
    models/model.pt         state dict
    models/SHA256SUMS       checksums of all files above and of the card
    docs/README.md          model card
    LICENSE

Loading verifies the checksums first, reads weights with `weights_only=True` and strict keys, refuses
NaN, and executes nothing.
"""

import hashlib
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from scripted_models.errors import ModelError
from scripted_models.files import make_folder, write_file
from scripted_models.labels import LABELS
from scripted_models.modalities import MODALITIES
from scripted_models.model_card import bundle_files, card_text
from scripted_models.networks import build_network
from scripted_models.postprocessing import build_postprocessing
from scripted_models.preprocessing import build_preprocessing
from scripted_models.space import TrainingSpace

SHIPPED = Path(__file__).parent / "models"
DEFAULT_MODEL = "default"
FORMAT_VERSION = 1
_CHECKED = (
    "configs/metadata.json",
    "configs/inference.json",
    "configs/model.json",
    "models/model.pt",
)
_REQUIRED = {
    "format": int,
    "name": str,
    "network": dict,
    "channels": list,
    "labels": dict,
    "training_space": dict,
    "preprocessing": list,
    "postprocessing": list,
}
_LABEL_TABLE = {str(label): name for label, name in LABELS.items()}


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
    network: nn.Module
    checksum: str

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.description["name"]

    @property
    def space(self) -> TrainingSpace:
        """Space the network was trained in."""
        return _space(self.description)


def find_model(name_or_path: str) -> Path:
    """Return the folder of a shipped model's name or of a path.

    Raises:
        ModelError: neither exists.
    """
    for folder in (SHIPPED / name_or_path, Path(name_or_path)):
        if (folder / "configs" / "model.json").is_file():
            return folder
    raise ModelError(
        f"Model '{name_or_path}' not found; expected one of {[m.name for m in shipped_models()]} or the "
        "path of a model folder (with configs/model.json)."
    )


def shipped_models() -> list[Path]:
    """Return the folders of the models that come with the package."""
    return sorted(path.parents[1] for path in SHIPPED.glob("*/configs/model.json"))


def read_description(folder: Path) -> dict:
    """Read model.json without loading weights.

    Raises:
        ModelError: unreadable, incomplete, or of another format version.
    """
    path = Path(folder) / "configs" / "model.json"
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable model description ({error}).") from error
    stated = description if isinstance(description, dict) else {}
    wrong = [key for key, kind in _REQUIRED.items() if not isinstance(stated.get(key), kind)]
    if wrong or stated["format"] != FORMAT_VERSION:
        raise ModelError(
            f"{path}: found format {stated.get('format')} with unusable {', '.join(wrong) or 'version'}, "
            f"expected format {FORMAT_VERSION}; use a model folder written by this program."
        )
    return description


def load_model(name_or_path: str) -> Model:
    """Load a model after verifying it.

    Raises:
        ModelError: not found, damaged, or made for other channels, labels or networks.
    """
    folder = find_model(name_or_path)
    verify_checksums(folder)
    description = read_description(folder)
    _check_conventions(folder, description)
    network = _build(folder, description)
    content = (folder / "models" / "model.pt").read_bytes()
    network.load_state_dict(_read_weights(folder, network, content))
    return Model(folder, description, network.eval(), hashlib.sha256(content).hexdigest())


def _check_conventions(folder: Path, description: dict) -> None:
    """Raise ModelError unless channels and labels mean what they mean in this program."""
    expected = {"channels": list(MODALITIES), "labels": _LABEL_TABLE}
    for key, value in expected.items():
        if description[key] != value:
            raise ModelError(
                f"{folder}: found {key} {description[key]}, expected {value}; use a model folder written "
                "by this program."
            )


def _build(folder: Path, description: dict) -> nn.Module:
    """Build the network, and the pipelines and the space once to see that they can be built."""
    stated = description["network"]
    try:
        build_preprocessing(description["preprocessing"])
        build_postprocessing(description["postprocessing"])
        _space(description)
        return build_network(stated["name"], **stated["arguments"])
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"{folder}: found a description that cannot be used ({type(error).__name__}: {error}), expected "
            "one written by this program; get the model folder again."
        ) from error


def _space(description: dict) -> TrainingSpace:
    stated = description["training_space"]
    spacing = tuple(None if mm is None else float(mm) for mm in stated["spacing_xyz_mm"])
    if len(spacing) != 3 or not re.fullmatch("[LRAPSI]{3}", stated["orientation"]):
        raise ValueError(f"training space {stated}")
    return TrainingSpace(stated["orientation"], spacing, float(stated["tolerance"]))


def _read_weights(folder: Path, network: nn.Module, content: bytes) -> dict:
    try:
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


def verify_checksums(folder: Path) -> None:
    """Compare every file listed in SHA256SUMS with its checksum.

    Raises:
        ModelError: the list is absent, lacks a file, or a file differs.
    """
    listing = Path(folder) / "models" / "SHA256SUMS"
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            f"{listing}: not readable; get the complete model folder again."
        ) from error
    stated = dict(reversed(line.split("  ", 1)) for line in lines if "  " in line)
    for name in _CHECKED:
        path = Path(folder) / name
        if name not in stated or not path.is_file():
            raise ModelError(f"{folder}: {name} is missing; get the complete model folder again.")
        if hashlib.sha256(path.read_bytes()).hexdigest() != stated[name]:
            raise ModelError(
                f"{path}: its checksum differs from models/SHA256SUMS; the file was damaged or changed, "
                "get the model folder again."
            )


def write_model(folder: Path, network: nn.Module, description: dict) -> Path:
    """Write a model folder.

    Args:
        folder: created when absent; files of the same names are replaced, checksums last.
        network: its state dict becomes the weights.
        description: content of model.json without 'format'.

    Returns:
        The folder.
    """
    folder = Path(folder)
    for part in ("configs", "models", "docs"):
        make_folder(folder / part)
    buffer = io.BytesIO()
    torch.save({k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}, buffer)
    description = {"format": FORMAT_VERSION, **description}
    files = {
        "models/model.pt": buffer.getvalue(),
        "configs/model.json": json.dumps(description, indent=2).encode() + b"\n",
        **bundle_files(description, network),
        "docs/README.md": card_text(description).encode(),
    }
    (folder / "models" / "SHA256SUMS").unlink(missing_ok=True)
    for name, content in files.items():
        write_file(folder / name, content)
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in files.items()]
    write_file(folder / "models" / "SHA256SUMS", "\n".join(sums) + "\n")
    return folder
