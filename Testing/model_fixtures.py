"""Model descriptions and spoilt model folders for the tests."""

import atexit
import hashlib
import json
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from scripted_models.bundle.description import ModelDescription, read_description
from scripted_models.bundle.model_folders import CHECKSUMS, MODEL_JSON, SHIPPED
from scripted_models.bundle.weights import write_model
from scripted_models.networks import build_network
from scripted_models.runtime.typed_tables import read_table


def described(**changes: Any) -> ModelDescription:
    """Return a description with the given keys, as plain tables; the rest is TwoPathCNN's.

    What needs certain labels is left out: labels are the most probable ones, none is replaced.
    """
    return read_table(ModelDescription, {**shipped_table(), **changes})


def shipped_table() -> dict[str, Any]:
    """Return the content of the shipped TwoPathCNN's model.json, without what needs all labels."""
    table = read_description(SHIPPED / "TwoPathCNN").to_table()
    steps = [s for s in table["postprocessing"] if not s["step"].startswith("replace_")]
    return {**table, "decision": {}, "postprocessing": steps}


def restate(folder: Path, **changes: Any) -> Path:
    """Change keys of a folder's model.json, whatever they become, and its checksum."""
    path = folder / MODEL_JSON
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")
    return renew_checksums(folder)


def renew_checksums(folder: Path) -> Path:
    """Write the checksums of a folder's files anew."""
    listing = folder / CHECKSUMS
    names = [line.split("  ")[1] for line in listing.read_text("utf-8").splitlines()]
    sums = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}" for n in names]
    listing.write_text("\n".join(sums) + "\n", "utf-8")
    return folder


@cache
def quick_model() -> str:
    """Return the folder of a model that needs four sequences and next to no time.

    For tests of what is before and after the network. It finds bright FLAIR and T1c.
    """
    folder = Path(tempfile.mkdtemp(prefix="quick_model"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    name = "ThresholdBaseline"
    stated = described(name="quick", network={"name": name, "arguments": {}})
    return str(write_model(folder / "quick", build_network(name), stated))
