"""Model folders: where they lie, what is in them, and whether their files are whole.

Layout (a valid MONAI bundle plus ours)::

    configs/metadata.json   MONAI bundle description
    configs/inference.json  MONAI bundle configuration (never executed here)
    configs/model.json      the model description, see `description`
    models/model.pt         state dict
    models/SHA256SUMS       checksums of all files above and of the card
    docs/README.md          model card
    LICENSE

Shipped models lie in the package, the user's in a folder of the user (`user_models_folder`).
"""

import hashlib
import os
import sys
from pathlib import Path

from scripted_models.errors import ModelError, ResourceError

SHIPPED = Path(__file__).parent / "shipped"
DEFAULT_MODEL = "default"
MODEL_JSON, WEIGHTS, CHECKSUMS, CARD = (
    "configs/model.json",
    "models/model.pt",
    "models/SHA256SUMS",
    "docs/README.md",
)
CHECKED = ("configs/metadata.json", "configs/inference.json", MODEL_JSON, WEIGHTS)


def user_models_folder() -> Path:
    """Return the folder of the user's own models, which need not exist.

    It is `models` inside $SCRIPTED_MODELS_HOME or, without that variable, inside the folder that
    the system has for a user's data.

    Raises:
        ResourceError: the user has no home folder.
    """
    if stated := os.environ.get("SCRIPTED_MODELS_HOME"):
        return Path(stated).absolute() / "models"
    try:
        return _user_data_folder() / "BrainTumorSeg" / "models"
    except RuntimeError as error:
        raise ResourceError(
            found="no home folder",
            expected="one for the user's models",
            action="set SCRIPTED_MODELS_HOME to a folder",
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
        found=f"no model '{name_or_path}'",
        expected=f"one of {names} or the path of a model folder (with {MODEL_JSON})",
        action="check the name",
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


def verify_checksums(folder: Path) -> dict[str, str]:
    """Compare every file that a prediction depends on with its checksum.

    Returns:
        Path inside the folder -> SHA-256, as verified.

    Raises:
        ModelError: the list is absent, lacks a file, or a file differs.
    """
    listing = Path(folder) / CHECKSUMS
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            found="no readable list of checksums",
            action="get the complete model folder again",
            path=listing,
        ) from error
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    stated = {name: digest for digest, name in pairs}
    for name in CHECKED:
        path = Path(folder) / name
        if name not in stated or not path.is_file():
            raise ModelError(
                found=f"no {name}",
                expected="all files of a model",
                action="get the complete model folder again",
                path=folder,
            )
        if _sha256(path) != stated[name]:
            raise ModelError(
                found="another checksum",
                expected=f"that of {CHECKSUMS}",
                action="the file was damaged or changed, get the model folder again",
                path=path,
            )
    return {name: stated[name] for name in CHECKED}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
