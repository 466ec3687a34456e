"""Which format a foreign model has, and its importer."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.source import ForeignSource, open_source

_MARKS = {  # a file that only this format has -> its importer
    "configs/metadata.json": "monai_bundle",
    "labels.csv": "auto3dseg",
    "plans.json": "nnunet_model",
}


def foreign_source(path: Path) -> ForeignSource | None:
    """Look at a source; None when it is no model of another program.

    Raises:
        ModelError: it is no folder or file that can be read, or holds what leads elsewhere.
    """
    source = open_source(path)
    names = ["/" + name for name in source.names]
    if any(name.endswith(("/configs/model.json", "/models/SHA256SUMS")) for name in names):
        return None  # a model folder of this program, whole or not
    is_foreign = source.is_weights or any(_tops(source, mark) for mark in _MARKS)
    return source if is_foreign else None


def import_foreign(
    source: ForeignSource, folder: Path, answers: Answers, understood: Understood
) -> None:
    """Write a model folder of ours from a model of another program.

    Args:
        source: the model.
        folder: existing and empty.
        answers: what the user says of it.
        understood: told what is understood.

    Raises:
        ModelError: it cannot be used; the error says why.
        InputError: the user must say more, or said what does not fit.
    """
    from scripted_models.bundle.importers.foreign_model import write_foreign  # PyTorch

    importer, inside = _importer_of(source)
    write_foreign(importer.read(inside, answers, understood), folder, understood)


def _importer_of(source: ForeignSource) -> tuple[ModuleType, ForeignSource]:
    """Return the importer of a source, and the files that it reads."""
    if source.is_weights:
        return import_module(f"{__package__}.auto3dseg"), source
    found = [(name, top) for mark, name in _MARKS.items() for top in _tops(source, mark)]
    if len(found) != 1:
        shown = ", ".join(top.rstrip("/") or "." for _, top in found)[:200]
        raise source.refusal(f"{len(found)} models ({shown})", "one", "import one of these folders")
    ((name, top),) = found
    return import_module(f"{__package__}.{name}"), source.below(top)


def _tops(source: ForeignSource, mark: str) -> list[str]:
    """Return the folders that hold a file, with '/' at their end."""
    return [n.removesuffix(mark) for n in source.names if ("/" + n).endswith("/" + mark)]
