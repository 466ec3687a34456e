"""Kill training, segmentation, batches and evaluation at random moments, then look at what is left.

After every kill each file must be whole, the inputs as they were, and the same command (with
--resume or --continue) must end with the result of a run that was never stopped, bit for bit.

    python Testing/kill_runs.py --minutes 10

prints a table and exits with 1 if anything was lost. Needs fork, so Linux or macOS.
"""

import argparse
import csv
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from fault_table import MODEL, NAMES, make_inputs
from PIL import Image

# Imported before the forks, so that children start at once:
import scripted_models.segmentation.batch
import scripted_models.training.training_run  # noqa: F401
from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.images.volume_files import read_volume

EXPERIMENT = """
name = "tiny"
[data]
validation_every = 3
validation_slices = 1
[network]
name = "TwoPathCNN"
arguments = { initialization = "he", dropout = 0.5 }
[training]
seed = 5
threads = 1
batch_size = 1
output_size = 4
pixels_per_patch = 20
average_decay = 0.9
[training.phase1]
epochs = 4
steps_per_epoch = 2
[training.phase2]
epochs = 3
steps_per_epoch = 2
"""


class Job:
    """A command, the folder it writes, and how to resume after a kill.

    Args:
        command: arguments of the program.
        again: arguments that are added when a killed run is started again.
    """

    def __init__(self, name: str, command: list[str], output: Path, again: tuple[str, ...] = ()):
        self.name, self.command, self.output, self.again = name, command, output, again
        self.expected, self.seconds = {}, 0.0

    def prepare(self) -> None:
        """Run once without a kill; keep what must come out."""
        started = time.monotonic()
        if code := finish(start(self.command, silent=False)):
            raise SystemExit(f"{self.name} ends with exit code {code} already without a kill")
        self.seconds = time.monotonic() - started
        self.expected = results(self.output)

    def fresh(self) -> None:
        """Remove all that the job has written."""
        for path in sorted(self.output.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


def start(command: list[str], silent: bool = True) -> int:
    """Fork a child that runs a command; return its process number."""
    child = os.fork()
    if child:
        return child
    os.setsid()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    if silent:
        os.dup2(nowhere, 2)
    os._exit(main([*command, "--progress", "none"]))


def finish(child: int) -> int:
    """Wait for a child; return its exit code, or minus the number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill(job: Job, command: list[str], rng: random.Random) -> tuple[int, str]:
    """Start a command, kill it at a random moment; return its exit code and the signal's name."""
    child = start(command)
    time.sleep(rng.uniform(0, 1.05 * job.seconds))
    how = rng.choice([signal.SIGKILL, signal.SIGTERM])
    os.kill(child, how)
    return finish(child), how.name


def problems(folder: Path) -> list[str]:
    """Return what is wrong with the files of a folder; names with a leading dot are not results."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if any(part.startswith(".writing") for part in path.relative_to(folder).parts):
            continue
        try:
            check(path)
        except Exception as error:  # whatever it is, the file is not whole
            found.append(f"{path}: {type(error).__name__} {error}")
    return found


def check(path: Path) -> None:
    """Raise when a file is not whole."""
    if path.name.endswith(".nii.gz"):
        read_volume(path)
    elif path.suffix == ".json":
        json.loads(path.read_text(encoding="utf-8"))
    elif path.suffix == ".csv":
        rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        if len({len(row) for row in rows}) > 1:
            raise ValueError("rows of different lengths")
    elif path.suffix == ".png":
        with Image.open(path) as image:
            image.load()
    elif path.suffix == ".pt":
        torch.load(path, weights_only=True)
    elif path.name == "SHA256SUMS":
        load_model(path.parents[1])


def results(folder: Path) -> dict[str, str]:
    """Return the checksums of all that has to come out the same: labels, weights, scores."""
    wanted = ("segmentation.nii.gz", "model.pt", "metrics.csv", "overlay.png")
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.name in wanted
    }


def attack(job: Job, rng: random.Random, tally: Counter) -> list[str]:
    """Kill a job up to five times, then let it finish; return what went wrong."""
    job.fresh()
    command, wrong = job.command, []
    for _ in range(rng.randint(1, 5)):
        kept = {p: p.stat().st_mtime_ns for p in job.output.glob("[!.]*/segmentation.nii.gz")}
        code, how = kill(job, command, rng)
        tally[job.name, "finished first" if code == 0 else how] += 1
        if code not in (0, 130, -signal.SIGKILL, -signal.SIGTERM):
            wrong.append(f"exit code {code} after {how}")
        wrong += problems(job.output)
        if job.again:
            wrong += [f"{p} was made twice" for p, t in kept.items() if p.stat().st_mtime_ns != t]
        if code == 0:
            break
        command = [*job.command, *job.again]
    if code and (code := finish(start(command))):
        wrong.append(f"exit code {code} when started again")
    if results(job.output) != job.expected:
        wrong.append("the results differ from those of a run that was not killed")
    hidden = [p.name for p in job.output.rglob(".writing*")]
    return [*wrong, *(f"{name} is left at the end" for name in hidden)]


def make_jobs(root: Path) -> list[Job]:
    """Write three small cases with labels; return a job of each kind."""
    from scripted_models.cases.phantom.phantom_case import write_phantom_case

    inputs = make_inputs(root / "one")
    files = [text for m in NAMES for text in (f"--{m}", str(inputs.paths[m]))]
    for seed in (1, 2, 3):
        write_phantom_case(root / "cases", seed, (24, 24, 8))
    (root / "tiny.toml").write_text(EXPERIMENT)
    model, cases = ["--model", MODEL], str(root / "cases")
    first = root / "predictions"
    finish(start(["segment", cases, *model, "--output", str(first)]))

    def job(name: str, command: list[str], *again: str) -> Job:
        output = root / f"out-{name}"
        return Job(name, [*command, "--output", str(output)], output, again)

    train = ["train", str(root / "tiny.toml"), "--data", cases, "--cache", str(root / "cache")]
    return [
        job("segment", ["segment", *files, *model]),
        job("batch", ["segment", cases, *model], "--continue"),
        job("evaluate", ["evaluate", "--predictions", str(first), "--truth", cases]),
        job("train", train, "--resume"),
    ]


def run(minutes: float, seed: int) -> int:
    """Attack for some minutes; print the tally; return how many attacks lost something."""
    rng, tally, lost = random.Random(seed), Counter(), 0
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        jobs = make_jobs(Path(folder))
        untouched = {p: p.read_bytes() for p in Path(folder).glob("[oc][na]*/**/*.nii.gz")}
        for job in jobs:
            job.prepare()
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            job = rng.choice(jobs)
            wrong = attack(job, rng, tally)
            wrong += [f"{p} was changed" for p, b in untouched.items() if p.read_bytes() != b]
            tally[job.name, "attacks"] += 1
            lost += bool(wrong)
            for text in wrong:
                print(f"{job.name}: {text}")
        kinds = ("attacks", "SIGKILL", "SIGTERM", "finished first")
        print("| job | seconds alone | " + " | ".join(kinds) + " |")
        print("|---|---|" + "---|" * len(kinds))
        for job in jobs:
            counts = " | ".join(str(tally[job.name, kind]) for kind in kinds)
            print(f"| {job.name} | {job.seconds:.1f} | {counts} |")
    print(f"{lost} attacks lost something (seed {seed})")
    return lost


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.exit(1 if run(options.minutes, options.seed) else 0)
