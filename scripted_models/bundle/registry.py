"""The models at hand: the shipped ones, and those of the user, which can be imported and removed.

Listing and removing need no PyTorch; an import loads the model once before it appears.
"""

import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripted_models.bundle.archive import copy_model
from scripted_models.bundle.description import (
    ModelDescription,
    parse_description,
    read_description,
)
from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.formats import foreign_source, import_foreign
from scripted_models.bundle.model_folders import (
    CARD,
    DEFAULT_MODEL,
    MAX_OTHER_BYTES,
    MODEL_JSON,
    is_user_model,
    shipped_models,
    user_models,
    user_models_folder,
    verify_files,
)
from scripted_models.errors import InputError, ModelError, Problem, ResourceError
from scripted_models.runtime.folder_names import is_device_name
from scripted_models.runtime.plain_files import read_bytes

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._-]{0,62}[A-Za-z0-9_-])?")
_UNFINISHED = ".unfinished-"
_DAY_S = 86400.0


@dataclass(frozen=True)
class StoredModel:
    """A model folder and what it says.

    Attributes:
        name: what `--model` takes.
        folder: where it lies.
        user: True for the user's own, which can be removed.
        description: what it says about itself; None when that is unusable.
        card: model card, Markdown; empty when there is none.
        problem: why it cannot be used; None for a sound one.
    """

    name: str
    folder: Path
    user: bool
    description: ModelDescription | None
    card: str
    problem: Problem | None


def list_models() -> list[StoredModel]:
    """Return the shipped models, the default first, then the user's by name, sound or not."""
    shipped = sorted(shipped_models(), key=lambda folder: folder.name != DEFAULT_MODEL)
    return [stored_model(folder) for folder in (*shipped, *user_models())]


def stored_model(folder: Path) -> StoredModel:
    """Describe a model folder; its checksums are verified, its weights are not loaded."""
    user = is_user_model(folder)
    description, problem = None, None
    try:
        files = verify_files(folder, (MODEL_JSON,))
        description = parse_description(files.contents[MODEL_JSON], folder / MODEL_JSON)
        if user and folder.name.lower() in _shipped_names():
            raise ModelError(
                found="the name of a shipped model",
                expected="another",
                action="import it again under another name (--name)",
                path=folder,
            )
    except ModelError as error:
        problem = error.problem
    name = folder.name if user or description is None else description.name
    return StoredModel(name, folder, user, description, _card(folder), problem)


def _card(folder: Path) -> str:
    try:
        return read_bytes(folder / CARD, MAX_OTHER_BYTES).decode("utf-8-sig", errors="replace")
    except OSError:
        return ""


def import_model(
    source: Path,
    name: str | None = None,
    answers: Answers | None = None,
    understood: Understood | None = None,
) -> StoredModel:
    """Copy a model into the user's models folder, whole and loadable or not at all.

    Args:
        source: model folder, or zip file of one, or a model of another program (docs/foreign-
            models.md); only read.
        name: new name; by default the one in its description.
        answers: of a model of another program, what its file does not say.
        understood: told what is understood of a model of another program.

    Raises:
        ModelError: `source` is not a sound model; nothing was imported.
        InputError: the name is taken or cannot be a folder's name, or the file does not say enough.
        ResourceError: the user's folder cannot be written.
    """
    if name is not None:
        _require_free(name)
    with _scratch() as scratch:
        folder = scratch / "model"
        folder.mkdir()
        try:
            _take(source, folder, answers or Answers(), understood or Understood())
            name = name or read_description(folder).name
            _require_free(name)
            _load_once(folder)
        except ModelError as error:
            raise _of_source(error, folder, source) from error
        target = user_models_folder() / name
        _move(folder, target)
    return stored_model(target)


def _take(source: Path, folder: Path, answers: Answers, understood: Understood) -> None:
    """Write a model into an empty folder: a copy, or what is made of one of another program."""
    foreign = foreign_source(source)
    if foreign is not None:
        import_foreign(foreign, folder, answers, understood)
    elif answers.are_given:
        raise InputError(
            found="answers for a model of another program, and a model of this one",
            expected="--import and --name alone",
            action="leave them out",
            path=source,
        )
    else:
        copy_model(source, folder)


def _of_source(error: ModelError, folder: Path, source: Path) -> ModelError:
    """Return an error about the copy in `folder` as one about its source."""
    path = Path(error.path or folder)
    return error.at(source / path.relative_to(folder)) if path.is_relative_to(folder) else error


def remove_model(name: str) -> Path:
    """Remove one of the user's models; of a link only the link.

    Returns:
        The folder that was removed.

    Raises:
        ModelError: the user has no model of that name.
        ResourceError: it could not be removed.
    """
    folders = {folder.name: folder for folder in user_models()}
    if name not in folders:
        raise ModelError(
            found=f"no model '{name}' among the user's",
            expected=f"one of {sorted(folders)}",
            action="shipped models and other folders are not removed",
        )
    folder = folders[name]
    if folder.is_symlink():
        folder.unlink()
        return folder
    with _scratch() as scratch:
        _move(folder, scratch / "model")
    return folder


def _shipped_names() -> list[str]:
    return [folder.name.lower() for folder in shipped_models()]


def _require_free(name: str) -> None:
    """Raise InputError unless a new model can have this name, on file systems without case too."""
    action = "give it another name (--name)"
    if not _NAME.fullmatch(name) or is_device_name(name):
        raise InputError(
            found=f"the name {name[:80]!r} for a model",
            expected="up to 64 letters, digits, spaces and . _ -",
            action=action,
        )
    if name.lower() in _shipped_names():
        raise InputError(
            found=f"the name '{name}' for a model",
            expected="one that no shipped model has",
            action=action,
        )
    if name.lower() in [folder.name.lower() for folder in user_models()]:
        raise InputError(
            found=f"a model named '{name}' already",
            expected="a new name",
            action=f"{action}, or remove that model first",
        )


@contextmanager
def _scratch() -> Iterator[Path]:
    """Give a hidden folder inside the user's models folder that is gone afterwards."""
    root = user_models_folder()
    try:
        root.mkdir(parents=True, exist_ok=True)
        scratch = tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=root)
    except OSError as error:
        raise ResourceError(
            found=f"a folder that cannot be written ({error.strerror})",
            expected="one for the user's models",
            action="set SCRIPTED_MODELS_HOME to another",
            path=root,
        ) from error
    for left in root.glob(_UNFINISHED + "*"):
        if time.time() - left.stat().st_mtime > _DAY_S:  # of a program that was killed
            shutil.rmtree(left, ignore_errors=True)
    with scratch as path:
        yield Path(path)


def _load_once(folder: Path) -> None:
    from scripted_models.bundle.weights import load_model  # PyTorch is needed here only

    load_model(str(folder))


def _move(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        raise ResourceError(
            found=f"a model folder that cannot be moved ({error.strerror})",
            expected="a free one",
            action="close programs that use it and try again",
            path=target.name,
        ) from error
