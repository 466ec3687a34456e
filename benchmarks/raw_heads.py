"""Brain masks against others at hand, and CPU-seconds and memory of `segment`, on raw heads.

Run: python benchmarks/raw_heads.py CASE_FOLDER [--models fast default] [--threads 2]

Masks are files of the folder whose names end in `_SEQUENCE_mask` on the grid of the sequence. The
joined mask is scored on the grid of the reference. Each model segments the case in a process of
its own, `scripted-models segment`; CPU-seconds of it per stage and its peak memory are those that
the system counts, so other work on the machine does not matter, but for the wall time. For Linux.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import read_volume, volume_stem
from scripted_models.preparation.working_grids import moved_onto
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.raw_cases import PreparationOptions, prepare_case


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    options = _parse(arguments)
    cases = find_cases(options.case)
    if len(cases) != 1:
        raise InputError(
            path=options.case,
            found=f"{len(cases)} cases",
            expected="one raw case",
            action="name its folder",
        )
    given = masks_at_hand(options.case)
    if given:
        print_masks(cases[0], given)
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            print_cost(options.case, model, options.threads, folder)
    return 0


def masks_at_hand(folder: Path) -> dict[str, sitk.Image]:
    """Return sequence -> brain mask of files named like `..._t1c_mask.nii.gz`."""
    stems = {path: volume_stem(path).split("_") for path in sorted(folder.iterdir())}
    return {s[-2]: read_volume(path) for path, s in stems.items() if s[-1:] == ["mask"]}


def print_masks(case: Case, given: Mapping[str, sitk.Image]) -> None:
    """Print Dice, share of the other mask that is found, and share of ours that it has."""
    prepared = prepare_case(case, PreparationOptions("always"), Progress())
    own = dict(prepared.brains)
    native = Grid.of(prepared.native[prepared.reference])
    joined = moved_onto(prepared.brain, native)[0]
    print(f"{case.name}: brain masks of {prepared.extraction} against those at hand")
    print(f"{'':10} {'Dice':>7} {'found':>7} {'right':>7} {'mL':>7}")
    for name, mask in (*own.items(), ("joined", joined)):
        other = given.get(prepared.reference if name == "joined" else name)
        if other is None or other.GetSize() != mask.GetSize():
            continue
        a, b = (sitk.GetArrayViewFromImage(image) > 0.5 for image in (mask, other))
        both = int((a & b).sum())
        numbers = 2 * both / (a.sum() + b.sum()), both / b.sum(), both / a.sum()
        ml = np.count_nonzero(a) * Grid.of(mask).voxel_volume_ml
        print(f"{name:10} " + " ".join(f"{n:7.3f}" for n in numbers) + f" {ml:7.0f}")


def print_cost(case: Path, model: str, threads: int, output: str) -> None:
    """Segment a case in a process of its own and print what that took."""
    command = [sys.executable, "-m", "scripted_models", "segment", str(case), "--output", output]
    command += ["--model", model, "--threads", str(threads), "--progress", "json"]
    started = time.monotonic()
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    marks = [("start", 0.0)]
    if child.stdout is None:
        raise OSError("no pipe to the child")
    for line in child.stdout:
        event = json.loads(line)
        if event["event"] == "stage" and event["stage"] != marks[-1][0]:
            marks.append((event["stage"], cpu_seconds(child.pid)))
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise InputError(
            path=case,
            found=f"exit code {child.returncode} of segment",
            expected="0",
            action="see its message above",
        )
    total = used.ru_utime + used.ru_stime
    ends = [seconds for _, seconds in marks[1:]] + [total]
    stages: dict[str, float] = {}
    for (name, begun), end in zip(marks, ends, strict=True):
        stages[name] = stages.get(name, 0.0) + end - begun
    print(f"\n{case.name}, {model}, {threads} threads: {total:.1f} CPU-s, of these")
    print(", ".join(f"{name} {seconds:.1f}" for name, seconds in stages.items()))
    print(
        f"peak {used.ru_maxrss / 2**20:.2f} GiB; wall {time.monotonic() - started:.0f} s, of which"
    )
    print("other work on the machine takes its share", flush=True)


def cpu_seconds(pid: int) -> float:
    """Return the time that a running process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path, help="folder of one raw case")
    parser.add_argument("--models", nargs="*", default=["fast", "default"])
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
