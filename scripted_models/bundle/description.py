"""What a model folder says about itself, read and checked without PyTorch.

Layout (a valid MONAI bundle plus ours)::

    configs/metadata.json   MONAI bundle description
    configs/inference.json  MONAI bundle configuration (never executed here)
    configs/model.json      network, channel order, preprocessing, label table, training data, scores
    models/model.pt         state dict
    models/SHA256SUMS       checksums of all files above and of the card
    docs/README.md          model card
    LICENSE

Shipped models lie in the package, the user's in a folder of the user (`user_models_folder`).
"""

import hashlib
import json
import math
import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from scripted_models.errors import ModelError, ResourceError
from scripted_models.images.checks import WARNING, Finding
from scripted_models.images.training_space import TrainingSpace
from scripted_models.labels import LABELS, REGIONS
from scripted_models.sequences import SEQUENCES, TITLES
from scripted_models.transforms.region_thresholds import ESTIMATED_DICE

SHIPPED = Path(__file__).parent / "shipped"
DEFAULT_MODEL = "default"
FORMAT_VERSION = 1
MODEL_JSON, WEIGHTS, CHECKSUMS, CARD = (
    "configs/model.json",
    "models/model.pt",
    "models/SHA256SUMS",
    "docs/README.md",
)
_CHECKED = ("configs/metadata.json", "configs/inference.json", MODEL_JSON, WEIGHTS)
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


def user_models_folder() -> Path:
    """Return the folder of the user's own models, which need not exist.

    It is `models` inside $SCRIPTED_MODELS_HOME or, without that variable, inside the folder that the
    system has for a user's data.

    Raises:
        ResourceError: the user has no home folder.
    """
    if stated := os.environ.get("SCRIPTED_MODELS_HOME"):
        return Path(stated).absolute() / "models"
    try:
        return _user_data_folder() / "BrainTumorSeg" / "models"
    except RuntimeError as error:
        raise ResourceError(
            "No home folder was found, expected one for the user's models; set SCRIPTED_MODELS_HOME to a "
            "folder."
        ) from error


def _user_data_folder() -> Path:
    if sys.platform == "win32":
        stated, usual = os.environ.get("LOCALAPPDATA", ""), ("AppData", "Local")
    elif sys.platform == "darwin":
        stated, usual = "", ("Library", "Application Support")
    else:
        stated, usual = os.environ.get("XDG_DATA_HOME", ""), (".local", "share")
    # the XDG specification has relative paths ignored
    return Path(stated) if os.path.isabs(stated) else Path.home().joinpath(*usual)


def find_model(name_or_path: str) -> Path:
    """Return the folder of a model: a shipped name, else a name in the user's folder, else a path.

    Raises:
        ModelError: none of them exists.
    """
    found = SHIPPED / name_or_path
    is_name = Path(name_or_path).name == name_or_path
    if is_name and not is_model_folder(found):
        found = user_models_folder() / name_or_path
    if not is_name or not is_model_folder(found):
        found = Path(name_or_path)
    if is_model_folder(found):
        return found
    names = [folder.name for folder in (*shipped_models(), *user_models())]
    raise ModelError(
        f"Model '{name_or_path}' not found; expected one of {names} or the path of a model folder (with "
        f"{MODEL_JSON})."
    )


def is_user_model(folder: Path) -> bool:
    """True when a folder lies in the user's models folder; its name is then the model's."""
    try:
        return folder.parent.resolve() == user_models_folder().resolve()
    except ResourceError:
        return False


def is_model_folder(folder: Path) -> bool:
    """True when a folder holds a model description, sound or not."""
    return (folder / MODEL_JSON).is_file()


def shipped_models() -> list[Path]:
    """Return the folders of the models that come with the package, the default one first."""
    folders = (path.parents[1] for path in SHIPPED.glob(f"*/{MODEL_JSON}"))
    return sorted(folders, key=lambda folder: (folder.name != DEFAULT_MODEL, folder.name.lower()))


def user_models() -> list[Path]:
    """Return the folders in the user's models folder, sound or not; hidden ones are unfinished."""
    root = user_models_folder()
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")


def read_description(folder: Path, layout: str = "brains") -> dict:
    """Read model.json without loading weights.

    Args:
        folder: of the model.
        layout: what the model must be for, 'brains' or 'voc'.

    Raises:
        ModelError: unreadable, incomplete, of another format version or layout, or made for other channels,
            labels or spaces than this program knows.
    """
    path = Path(folder) / MODEL_JSON
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not a readable model description ({error}).") from error
    stated = description if isinstance(description, dict) else {}
    wrong = [key for key, kind in _REQUIRED.items() if not isinstance(stated.get(key), kind)]
    if wrong or stated["format"] != FORMAT_VERSION:
        raise ModelError(
            f"{path}: found format {stated.get('format')} with unusable {', '.join(wrong) or 'version'}, "
            f"expected format {FORMAT_VERSION}; use a model folder written by this program."
        )
    found = description.get("layout", "brains")
    if found != layout:
        raise ModelError(
            f"{path}: found a model for {found}, expected one for {layout}; choose another."
        )
    if layout == "brains":
        _check_conventions(path, description)
    return description


def _check_conventions(path: Path, description: dict) -> None:
    """Raise ModelError unless channels, labels and space mean what they mean in this program."""
    table = {str(label): name for label, name in LABELS.items()}
    labels, channels = description["labels"], description["channels"]
    expected = ""
    if channels != list(SEQUENCES):
        expected = f"channels {channels}, expected {list(SEQUENCES)}"
    elif "0" not in labels or len(labels) < 2 or not labels.items() <= table.items():
        expected = f"labels {labels}, expected 0 and others of {table}"
    elif not _can_decide(description):
        expected = (
            f"decision {description['decision']} for labels {labels}, expected a share or '{ESTIMATED_DICE}' "
            f"for each of {list(REGIONS)} and labels of each region"
        )
    elif not _are_shares(description.get("check_below", {})):
        expected = f"check_below {description['check_below']}, expected regions with shares"
    elif not _are_sequences(description.get("needs_one_of", [])):
        expected = f"needs_one_of {description['needs_one_of']}, expected some of {list(SEQUENCES)}"
    elif not _are_sequences(description.get("sequences", [])):
        expected = f"sequences {description['sequences']}, expected some of {list(SEQUENCES)}"
    if expected:
        raise ModelError(f"{path}: found {expected}; use a model folder written by this program.")
    try:
        training_space(description)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path}: found a training space that cannot be used ({type(error).__name__}: {error}), "
            "expected orientation, spacing_xyz_mm and tolerance; get the model folder again."
        ) from error


def _can_decide(description: dict) -> bool:
    """Tell whether the regions can be decided as a description says, if it says how."""
    least, labels = description.get("decision", {}), set(description["labels"])
    stated = least.items() if isinstance(least, dict) else ()
    numbers = {region: share for region, share in stated if share != ESTIMATED_DICE}
    complete = {region for region, _ in stated} == set(REGIONS) and _are_shares(numbers)
    return least == {} or (complete and {"0", "2", "4"} <= labels and bool(labels & {"1", "3"}))


def _are_shares(value: object) -> bool:
    """Tell whether a value is a table of regions with a Dice each."""
    shares = value.items() if isinstance(value, dict) else [("", None)]
    return all(r in REGIONS and isinstance(x, int | float) and 0 <= x <= 1 for r, x in shares)


def _are_sequences(value: object) -> bool:
    return isinstance(value, list) and all(name in SEQUENCES for name in value)


def known_labels(description: dict) -> tuple[int, ...]:
    """Return the internal labels of a model in ascending order, which is that of its classes."""
    return tuple(sorted(int(label) for label in description["labels"]))


def needs_one_of(description: dict) -> tuple[str, ...]:
    """Return the sequences of which a model needs one, the others being optional; empty: it needs all."""
    return tuple(description.get("needs_one_of", ()))


def dice_with(description: dict, sequences: Collection[str]) -> dict[str, float]:
    """Return region -> mean Dice that a model stated for these sequences; empty when it states none."""
    stated = description.get("dice_by_sequences", {})
    return stated.get("+".join(m for m in SEQUENCES if m in sequences), {})


def missing_finding(description: dict, present: Collection[str]) -> Finding | None:
    """Say which sequences are missing and what that costs; None when all that the model uses are there."""
    used = description.get("sequences", SEQUENCES)
    missing = tuple(m for m in used if m not in present)
    if not missing:
        return None
    without, complete = dice_with(description, present), dice_with(description, SEQUENCES)
    cost = "the result is less certain, and by how much was not measured"
    if without and complete:
        both = [" / ".join(f"{dice[r]:.2f}" for r in REGIONS) for dice in (without, complete)]
        cost = f"in cross-validation the mean Dice of {' / '.join(REGIONS)} was {both[0]} instead of {both[1]}"
    found = f"no {' and no '.join(TITLES[m] for m in missing)}"
    return Finding(found=found, action=cost, severity=WARNING, slots=missing)


def training_space(description: dict) -> TrainingSpace:
    """Return the space that a network was trained in.

    Raises:
        KeyError, TypeError, ValueError: the description has no usable one.
    """
    stated = description["training_space"]
    spacing = tuple(None if mm is None else float(mm) for mm in stated["spacing_xyz_mm"])
    tolerance = float(stated["tolerance"])
    sizes = (1.0 if mm is None else mm for mm in spacing)
    usable = len(spacing) == 3 and all(0 < mm < math.inf for mm in sizes) and tolerance >= 0
    if not usable or not re.fullmatch("[LRAPSI]{3}", stated["orientation"]):
        raise ValueError(f"training space {stated}")
    return TrainingSpace(stated["orientation"], spacing, tolerance)


def verify_checksums(folder: Path) -> None:
    """Compare every file that a prediction depends on with its checksum.

    Raises:
        ModelError: the list is absent, lacks a file, or a file differs.
    """
    listing = Path(folder) / CHECKSUMS
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
                f"{path}: its checksum differs from {CHECKSUMS}; the file was damaged or changed, get the "
                "model folder again."
            )
