"""An exported model: a folder with the network's file, what is said about it, and its terms.

model.onnx or model.ts  the network; of a bundle the files that `bundle_for_monai` names
interface.json          what goes in and what comes out
README.md               the model card; of a bundle docs/README.md
LICENSE                 the terms of the weights
SHA256SUMS              checksums of the files above
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripted_models.bundle.card import card_text
from scripted_models.bundle.exporters import bundle_for_monai, onnx_file, torchscript_file
from scripted_models.bundle.exporters.interface import FILE as INTERFACE
from scripted_models.bundle.exporters.interface import Json, interface_of
from scripted_models.bundle.exporters.traced_network import TracedNetwork, traced
from scripted_models.bundle.model_folders import MAX_OTHER_BYTES
from scripted_models.bundle.monai_files import NO_TERMS, TERMS
from scripted_models.bundle.weights import Model, load_model
from scripted_models.runtime.atomic_files import new_folder
from scripted_models.runtime.file_identity import content_digest
from scripted_models.runtime.plain_files import read_text

CHECKSUMS, BUNDLE = "SHA256SUMS", "bundle"
_FILES: dict[str, tuple[str, Callable[[Path, TracedNetwork, Json], None]]] = {
    "onnx": (onnx_file.FILE, onnx_file.write_onnx),
    "torchscript": (torchscript_file.FILE, torchscript_file.write_torchscript),
}
_USE = """## This folder

`{file}` holds the network alone. What goes in and what comes out, and all steps before and after
it, says `{interface}`."""


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        folder: of the files.
        checksums: path inside the folder -> SHA-256.
    """

    folder: Path
    checksums: dict[str, str]


def export_model(name_or_path: str, kind: str, output: Path) -> Exported:
    """Write a model for other programs, whole or not at all.

    Args:
        name_or_path: of the model, see `load_model`; its files are verified first.
        kind: 'onnx', 'torchscript' or 'bundle'.
        output: folder to be made.

    Raises:
        InputError: something is at `output` already.
        ModelError: no such model, a damaged one, or one that cannot be exported so.
        ResourceError: a package is missing, or the folder cannot be written.
    """
    with new_folder(output) as folder:
        if kind == "onnx":
            onnx_file.require_onnx()
        model = load_model(name_or_path, task="brains" if kind == BUNDLE else None)
        window = model.description.sliding_window
        network = traced(model.network, window.size if window else ())
        if kind == BUNDLE:
            _write_bundle(folder, model, network)
        else:
            _write_network(folder, kind, model, network)
        (folder / TERMS).write_text(_terms(model), "utf-8")
        checksums = _checksums(folder)
    return Exported(output, checksums)


def _write_network(folder: Path, kind: str, model: Model, network: TracedNetwork) -> None:
    file, write = _FILES[kind]
    interface = interface_of(model, network, file)
    write(folder / file, network, interface)
    (folder / INTERFACE).write_text(json.dumps(interface, indent=2) + "\n", "utf-8")
    use = _USE.format(file=file, interface=INTERFACE)
    (folder / "README.md").write_text(card_text(model.description, model.network, use), "utf-8")


def _write_bundle(folder: Path, model: Model, network: TracedNetwork) -> None:
    bundle_for_monai.write_bundle(folder, model, network)
    (folder / "docs").mkdir()
    card = card_text(model.description, model.network, bundle_for_monai.use_of(model))
    (folder / "docs" / "README.md").write_text(card, "utf-8")


def _terms(model: Model) -> str:
    """Return the terms that lie in the model's folder."""
    try:
        return read_text(model.folder / TERMS, MAX_OTHER_BYTES)
    except (OSError, UnicodeDecodeError):
        return NO_TERMS


def _checksums(folder: Path) -> dict[str, str]:
    """Write the list of checksums, and return it."""
    sums = {
        path.relative_to(folder).as_posix(): content_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    lines = [f"{digest}  {name}\n" for name, digest in sums.items()]
    (folder / CHECKSUMS).write_text("".join(lines), "utf-8")
    return sums
