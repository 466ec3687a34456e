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

import errno
import hashlib
import io
import os
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripted_models.errors import ModelError, ResourceError
from scripted_models.runtime.plain_files import open_file, read_text

SHIPPED = Path(__file__).parent / "shipped"
DEFAULT_MODEL = "default"
MODEL_JSON, WEIGHTS, CHECKSUMS, CARD = (
    "configs/model.json",
    "models/model.pt",
    "models/SHA256SUMS",
    "docs/README.md",
)
MAX_WEIGHTS_BYTES = 3 << 30  # five folds of nnU-Net's large residual network have 2.1 GB
MAX_OTHER_BYTES = 4 << 20  # the shipped descriptions have 15 kB
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
        # no error for links in a circle
        return os.path.realpath(folder.parent) == os.path.realpath(user_models_folder())
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


@dataclass(frozen=True)
class VerifiedFiles:
    """What was verified of a model folder; what is used of it is used from here.

    A file could be exchanged between its check and a second look at it.

    Attributes:
        folder: of the model.
        checksums: path inside the folder -> SHA-256.
        contents: path inside the folder -> the bytes that were verified, of the files asked for.
    """

    folder: Path
    checksums: Mapping[str, str]
    contents: dict[str, bytes]


def verify_files(folder: Path, keep: Collection[str] = ()) -> VerifiedFiles:
    """Compare every file that a prediction depends on with its checksum; each is read once.

    Args:
        folder: of the model.
        keep: names of the files whose content is wanted.

    Raises:
        ModelError: the list is absent, lacks a file, or a file differs.
    """
    stated, contents = _stated_checksums(folder), {}
    for name in CHECKED:
        path = Path(folder) / name
        if name not in stated or not path.exists():
            raise ModelError(
                found=f"no {name}",
                expected="all files of a model",
                action="get the complete model folder again",
                path=folder,
            )
        digest, content = _digest(path, name in keep)
        if digest != stated[name]:
            raise ModelError(
                found="another checksum",
                expected=f"that of {CHECKSUMS}",
                action="the file was damaged or changed, get the model folder again",
                path=path,
            )
        if name in keep:
            contents[name] = content
    return VerifiedFiles(Path(folder), {name: stated[name] for name in CHECKED}, contents)


def _stated_checksums(folder: Path) -> dict[str, str]:
    listing = Path(folder) / CHECKSUMS
    try:
        lines = read_text(listing, MAX_OTHER_BYTES).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(
            found="no readable list of checksums",
            action="get the complete model folder again",
            path=listing,
        ) from error
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: digest for digest, name in pairs}


def _digest(path: Path, is_kept: bool) -> tuple[str, bytes]:
    """Return the SHA-256 of a file, and its content if that is wanted."""
    limit = MAX_WEIGHTS_BYTES if path.name.endswith(".pt") else MAX_OTHER_BYTES
    digest, kept, count = hashlib.sha256(), io.BytesIO(), 0
    try:
        with open_file(path) as stream:
            while block := stream.read(1 << 20):
                count += len(block)
                if count > limit:
                    raise OSError(errno.EFBIG, f"It has more than {limit >> 20} MiB")
                digest.update(block)
                if is_kept:
                    kept.write(block)
    except OSError as error:
        raise ModelError(
            found=f"a file that cannot be used ({error.strerror})",
            expected="a file of a model",
            action="get the complete model folder again",
            path=path,
        ) from error
    return digest.hexdigest(), kept.getvalue()
