"""Long use: a batch of many cases, and Slicer's child started and cancelled many times.

    python Testing/load_runs.py --cases 200 --starts 100

prints what it saw. It exits with 1 if the last tenth of the batch needs a tenth more memory than
the first one, or if a process, a file or a thread was left behind.
"""

import argparse
import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

from fault_table import MODEL, NAMES, make_inputs
from slicer_fixtures import ROOT  # puts the module's library on the path

# isort: split
from BrainTumorSegLib.segmentation_process import SegmentationProcess

from scripted_models.cases.discovery import find_cases
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.batch import Batch
from scripted_models.segmentation.segmenter import Segmenter


def resident_mb() -> float:
    """Return the resident size of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("found no VmRSS in /proc/self/status; run this on Linux")


def batch(cases: int, folder: Path) -> bool:
    """Segment copies of one case in one run; tell whether memory stayed."""
    inputs = make_inputs(folder / "one")
    for number in range(cases):
        case = folder / "cases" / f"case{number:03d}"
        case.mkdir(parents=True)
        for name in NAMES:
            os.link(inputs.paths[name], case / f"{case.name}_{name}.nii.gz")
    sizes: list[float] = []
    segmenting = Batch(Segmenter.load(MODEL, "cpu"), folder / "out")
    started = time.monotonic()
    found = find_cases(folder / "cases")
    segmenting.run(found, Progress(), lambda written: sizes.append(resident_mb()))
    written = len(list((folder / "out").glob("*/segmentation.nii.gz")))
    tenth = max(1, cases // 10)
    first, last = max(sizes[:tenth]), max(sizes[-tenth:])
    print(f"batch: {written} of {cases} cases, {time.monotonic() - started:.0f} s")
    print(f"memory in MB: {first:.0f} in the first tenth, {last:.0f} in the last")
    print(f"memory in MB at most: {max(sizes):.0f}")
    return written == cases and last <= 1.1 * first


def children() -> set[str]:
    """Return the numbers of all processes below this one."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[1] == str(os.getpid()):
            found.add(stat.parent.name)
    return found


def starts(count: int, folder: Path, rng: random.Random) -> bool:
    """Start Slicer's child and cancel it at random moments; tell whether nothing is left."""
    inputs = make_inputs(folder / "one")
    before = (threading.active_count(), len(os.listdir("/proc/self/fd")), children())
    left = []
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for number in range(count):
        temporary = folder / f"temporary{number}"
        temporary.mkdir()
        command = [sys.executable, "-m", "scripted_models", *inputs.command(), "--progress", "json"]
        command[command.index("--output") + 1] = str(temporary / "out")
        process = SegmentationProcess(command, environment, temporary, 10.0)
        process.start()
        until = time.monotonic() + rng.uniform(0, 6)
        while time.monotonic() < until and process.running:
            process.poll()
            time.sleep(0.02)
        process.cancel()
        while process.outcome is None:
            process.poll()
            time.sleep(0.01)
        process.close()
        left += [temporary.name] if temporary.exists() else []
    time.sleep(0.5)
    after = (threading.active_count(), len(os.listdir("/proc/self/fd")), children())
    print(f"runner: {count} starts; threads {before[0]} -> {after[0]}, folders left {len(left)},")
    print(f"open files {before[1]} -> {after[1]}, children {len(before[2])} -> {len(after[2])}")
    return after == before and not left


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--starts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        rng = random.Random(options.seed)
        sound = [not options.starts or starts(options.starts, Path(name) / "starts", rng)]
        sound.append(not options.cases or batch(options.cases, Path(name) / "batch"))
    sys.exit(0 if all(sound) else 1)
