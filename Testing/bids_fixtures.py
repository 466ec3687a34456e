"""Small BIDS data sets, and the validator of BIDS."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from scripted_models.cli import main
from scripted_models.inference import choose_device
from scripted_models.labels import LABELS, TUMOR_LABELS
from scripted_models.segmentation.bids_export.derivative_description import PROGRAM
from scripted_models.segmentation.raw_cases import AUTOMATIC
from scripted_models.segmentation.result import Segmentation

MODEL = ("--model", "fast", "--device", "cpu", "--progress", "none")
START = "sub-01_ses-a_ce-gadolinium_seg"
TUMOR, LESIONS = f"{START}-glioma", f"{START}-lesions"
SUFFIXES = {"t1": "T1w", "t1c": "ce-gadolinium_T1w", "t2": "T2w", "flair": "FLAIR"}


def describe(root: Path, **fields) -> Path:
    """Make a folder a BIDS data set."""
    root.mkdir(parents=True, exist_ok=True)
    content = {"Name": "made", "BIDSVersion": "1.11.1", "DatasetType": "raw", **fields}
    (root / "dataset_description.json").write_text(json.dumps(content), encoding="utf-8")
    (root / "README").write_text("Made for a test.\n", encoding="utf-8")
    return root


def put(root: Path, place: str, size_xyz=(6, 5, 4), spacing_xyz_mm=(1.0, 1.0, 1.0), **sidecar):
    """Write an image of noise into a data set, perhaps with a JSON file beside it."""
    path = root / f"{place}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(len(place)).integers(1, 99, size_xyz[::-1])
    image = sitk.GetImageFromArray(voxels.astype(np.int16))
    image.SetSpacing(spacing_xyz_mm)
    sitk.WriteImage(image, str(path))
    if sidecar:
        (root / f"{place}.json").write_text(json.dumps(sidecar), encoding="utf-8")
    return path


def write_session(root: Path, subject: str, session: str = "", seed: int = 0) -> Path:
    """Write four sequences of a disc with a round tumor that networks find; returns the folder."""
    parts = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    folder, rng = root.joinpath(*parts, "anat"), np.random.default_rng(seed)
    folder.mkdir(parents=True)
    _z, y, x = np.indices((6, 40, 40))
    brain, away = np.hypot(y - 20, x - 20) < 18, np.hypot(y - 16, x - 24)
    bright = {"t1c": away < 4, "t2": away < 8, "flair": away < 8}
    for sequence, end in SUFFIXES.items():
        gray = np.where(brain, 100 + 10 * rng.standard_normal(brain.shape), 0).clip(0)
        gray[bright.get(sequence, away < 0)] += 60
        image = sitk.GetImageFromArray(gray.astype(np.int16))
        sitk.WriteImage(image, str(folder / f"{'_'.join(parts)}_{end}.nii.gz"))
    return folder


def validator_errors(root: Path, *options: str) -> list[str]:
    """Return code and place of each error that the validator of BIDS finds; it needs no network."""
    package = pytest.importorskip("bids_validator_deno", reason="no validator of BIDS here")
    folders = [Path(sys.executable).parent, Path(package.__file__).parents[4] / "bin"]
    program = shutil.which("bids-validator-deno", path=os.pathsep.join(map(str, folders)))
    command = [str(program), str(root), "--format", "json", "--ignoreWarnings", *options]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if not done.stdout.startswith("{"):
        pytest.skip(f"bids-validator-deno does not run here: {done.stderr[-300:]}")
    found = json.loads(done.stdout)
    parts = [found, *found.get("derivativesSummary", {}).values()]
    issues = [issue for part in parts for issue in part["issues"]["issues"]]
    return [f"{i['code']} {i.get('location', '')}" for i in issues if i["severity"] == "error"]


def segment(root, *options):
    output = root / "derivatives" / PROGRAM
    return main(["segment", str(root), "--bids", "--output", str(output), *MODEL, *options])


def files_of(folder):
    """Return content by path of all files below a folder, but of running times."""
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return {name: _timeless(path) for name, path in found.items()}


def _timeless(path):
    if path.suffix != ".json":
        return path.read_bytes()
    content = json.loads(path.read_text(encoding="utf-8"))
    content.get("Report", {}).pop("seconds", None)
    return content


def segmented_set(root):
    """Write two sessions and a second subject, with the derivative of the first subject."""
    describe(root)
    for seed, (subject, session) in enumerate((("01", "a"), ("01", "b"), ("02", ""))):
        write_session(root, subject, session, seed)
    (root / "sub-01/sub-01_sessions.tsv").write_text(
        "session_id\tacq_time\nses-a\t2020-01-02T03:04:05\nses-b\tn/a\n"
    )
    assert segment(root, "--participant-label", "01", "--probabilities") == 0
    return root


def made(labels, grid, known=tuple(TUMOR_LABELS)):
    """A segmentation with these labels."""
    return Segmentation(
        labels=labels,
        probabilities=np.eye(len(LABELS), dtype=np.float32)[labels].transpose(3, 0, 1, 2)[
            list(known)
        ],
        known_labels=known,
        grid=grid,
        volumes={"t1c": np.ones(labels.shape, np.float32)},
        problems=(),
        estimated_dice={},
        doubtful_slices=(),
        placement=choose_device("cpu"),
        form="direct",
        memory_steps=(),
        seconds={},
        asked=AUTOMATIC.asked,
    )
