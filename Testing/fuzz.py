"""Give every reader spoilt files for a bounded time.

    python Testing/fuzz.py --minutes 5 [--only nii,zip] [--seed 0]

A reader may read or refuse with one sentence, within 20 seconds and 3 GiB.
Anything else is a finding, and the exit code is 1.
Its input goes into `Testing/corpus/`, and `test_corpus.py` reads these files from then on.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from fault_table import make_inputs
from PIL import Image
from scipy.io import savemat
from slicer_fixtures import ROOT  # puts the module's library on the path

# isort: split
from BrainTumorSegLib.protocol import parse_line

from scripted_models.bundle.archive import copy_model
from scripted_models.bundle.registry import shipped_models
from scripted_models.bundle.state_dicts import read_state_dict
from scripted_models.bundle.weights import load_model
from scripted_models.errors import ScriptedModelsError
from scripted_models.images.volume_files import read_label_map, read_volume
from scripted_models.tasks.voc.masks import read_mask
from scripted_models.tasks.voc.picture_files import read_image
from scripted_models.training.experiment_config import load_experiment

CORPUS = Path(__file__).parent / "corpus"
SECONDS, BYTES = 20, 3 * 2**30
WORDS = (
    *b"nan inf -1 0 99999999999999999999 1e309 ../../x".split(),
    b"$import os",
    b"\0" * 9,
    b"\xff" * 4,
    b"[[[[",
    b"{" * 50,
    b"\n",
    b"true",
    b"ElementDataFile = /etc/passwd\n",
)


def read_events(path: Path) -> None:
    """Read what a child of the Slicer module says."""
    for line in path.read_bytes().decode("utf-8", "replace").splitlines():
        parse_line(line)


def import_zip(path: Path) -> None:
    """Open a model of others, as `models --import` does."""
    with tempfile.TemporaryDirectory() as scratch:
        copy_model(path, Path(scratch) / "model")
        load_model(Path(scratch) / "model")


def read_description(path: Path) -> None:
    """Load a model whose description this is."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "model"
        shutil.copytree(small_model(), folder)
        (folder / "configs" / "model.json").write_bytes(path.read_bytes())
        sums = folder / "models" / "SHA256SUMS"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        lines = sums.read_text().splitlines()
        kept = [line for line in lines if not line.endswith("configs/model.json")]
        sums.write_text("\n".join([*kept, f"{digest}  configs/model.json", ""]))
        load_model(folder)


def read_weights(path: Path) -> None:
    """Read the weights of a model."""
    read_state_dict(path.read_bytes())


READERS: dict[str, Callable] = {
    ".nii": read_volume,
    ".nii.gz": read_volume,
    ".mha": read_volume,
    ".nrrd": read_label_map,
    ".mhd": read_volume,
    ".nhdr": read_volume,
    ".png": read_mask,
    ".jpg": read_image,
    ".mat": read_mask,
    ".toml": load_experiment,
    ".jsonl": read_events,
    ".json": read_description,
    ".zip": import_zip,
    ".pt": read_weights,
}


def small_model() -> Path:
    """Return the smallest shipped model."""
    return min(shipped_models(), key=lambda p: (p / "models" / "model.pt").stat().st_size)


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Return sound files of each kind."""
    image = make_inputs(folder).image("t1")[10:22, 10:20, 3:9]
    found: dict[str, list[bytes]] = {kind: [] for kind in READERS}
    for kind, compressed in (
        (".nii", 0),
        (".nii.gz", 1),
        (".mha", 0),
        (".mha", 1),
        (".nrrd", 0),
        (".nrrd", 1),
    ):
        for typed in (image, sitk.Cast(image, sitk.sitkUInt8)):
            path = folder / f"a{kind}"
            sitk.WriteImage(typed, str(path), useCompression=bool(compressed))
            found[kind].append(path.read_bytes())
    for kind, line, last in (
        (".mha", b"ElementDataFile = LOCAL", b"HeaderSize = -1\nElementDataFile = file.mhd"),
        (".nrrd", b"encoding: raw", b"encoding: raw\nbyte skip: -1\ndata file: file.nhdr"),
    ):  # headers that name themselves as the file whose last bytes are the voxels
        detached = [content.replace(line, last) for content in found[kind][:2]]
        found[".mhd" if kind == ".mha" else ".nhdr"] += detached
    for kind in (".png", ".jpg"):
        stream = io.BytesIO()
        mode = "L" if kind == ".png" else "RGB"
        Image.new(mode, (12, 9), 3 if mode == "L" else (1, 2, 3)).save(
            stream, kind[1:].replace("jpg", "jpeg")
        )
        found[kind].append(stream.getvalue())
    for compressed in (False, True):
        stream = io.BytesIO()
        content = {"Segmentation": np.zeros((5, 6), np.uint8), "Boundaries": np.eye(2)}
        savemat(stream, {"GTcls": content}, do_compression=compressed)
        found[".mat"].append(stream.getvalue())
    experiments = sorted((ROOT / "scripted_models" / "experiments" / "recipes").rglob("*.toml"))
    found[".toml"] = [path.read_bytes() for path in experiments]
    event = {"event": "progress", "stage": "network", "fraction": 0.5, "remaining_s": 3.0}
    found[".jsonl"].append((json.dumps(event) + "\n").encode() * 3)
    found[".json"].append((small_model() / "configs" / "model.json").read_bytes())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for path in sorted(p for p in small_model().rglob("*") if p.is_file()):
            archive.write(path, path.relative_to(small_model()).as_posix())
    found[".zip"].append(stream.getvalue())
    stream = io.BytesIO()
    torch.save({"a": torch.ones(3, 4), "b": torch.arange(5), "c": torch.zeros(2).half()}, stream)
    found[".pt"].append(stream.getvalue())
    return found


def mutated(content: bytes, rng: random.Random, kind: str) -> bytes:
    """Spoil a few places; of compressed files mostly what is inside."""
    if kind == ".nii.gz" and rng.random() < 0.7:
        return gzip.compress(mutated(gzip.decompress(content), rng, ".nii"), 1)
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        # headers stand in front, the directory of a zip file at the end
        reach = rng.choice((400, len(data), len(data)))
        place = rng.randrange(min(reach, len(data))) if data else 0
        place = (
            len(data) - 1 - place
            if kind in (".zip", ".pt") and rng.random() < 0.5 and data
            else place
        )
        how = rng.randrange(6)
        if how == 0 and data:
            data[place] ^= 1 << rng.randrange(8)
        elif how == 1 and data:
            data[place] = rng.choice((0, 1, 127, 128, 255))
        elif how == 2:
            del data[place : place + rng.choice((1, 4, 100))]
        elif how == 3:
            word = rng.choice(WORDS)
            data[place : place + (len(word) if rng.random() < 0.5 else 0)] = word
        elif how == 4:
            data[place:place] = data[place : place + rng.choice((1, 8, 64))]
        elif rng.random() < 0.3:
            del data[place:]
    return bytes(data)


def outcome(path: Path, kind: str) -> str:
    """Read a file; return 'read', 'refused', or what went wrong."""
    try:
        READERS[kind](path)
    except ScriptedModelsError as error:
        return "refused" if str(error).strip() and "\n" not in str(error) else f"sentence {error!r}"
    except Exception as error:  # anything else is what is looked for
        return f"{type(error).__name__}: {error}"
    return "read"


def in_child(path: Path, kind: str) -> str:
    """As `outcome`, in a process of its own with bounded time and memory."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_DATA, (BYTES, BYTES))
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        signal.alarm(SECONDS)
        os.write(writing, outcome(path, kind).encode("utf-8", "replace")[:1000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        said = stream.read().decode("utf-8", "replace")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said if code == 0 else f"ended by {signal.Signals(-code).name if code < 0 else code}"


def fuzz(minutes: float, kinds: list[str], seed: int) -> int:
    """Fuzz for some minutes; print the tally; return the number of findings."""
    rng, tally, found = random.Random(seed), Counter(), {}
    with tempfile.TemporaryDirectory() as scratch:
        sound = seeds(Path(scratch) / "seeds")
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            kind = rng.choice(kinds)
            path = Path(scratch) / f"file{kind}"
            path.write_bytes(mutated(rng.choice(sound[kind]), rng, kind))
            said = in_child(path, kind)
            known = said if said in ("read", "refused") else "finding"
            tally[kind, known] += 1
            sort = f"{kind} {said.split(':')[0]}"
            if known == "finding" and sort not in found:
                found[sort] = said
                CORPUS.mkdir(exist_ok=True)
                digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
                shutil.copy(path, CORPUS / f"{digest}{kind}")
                print(f"{kind}: {said[:300]}", flush=True)
    print("| kind | read | refused | findings |\n|---|---|---|---|")
    for kind in kinds:
        print(
            f"| {kind} | "
            + " | ".join(str(tally[kind, k]) for k in ("read", "refused", "finding"))
            + " |"
        )
    return len(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--only", default="", help="kinds, separated by commas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = [f".{k}" for k in options.only.split(",") if k] or list(READERS)
    sys.exit(1 if fuzz(options.minutes, chosen, options.seed) else 0)
