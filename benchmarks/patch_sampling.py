"""What drawing a training patch costs, and whether it grows with the number of cases.

Run: python benchmarks/patch_sampling.py [--cases 1 10 100 1000]

Each case is mapped on its own from the files of one phantom, so reading from the disk is not in it.
The baseline of the ratios is the first number of cases.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from one_case import phantom_case

from scripted_models.networks.havaei import TwoPathCNN
from scripted_models.training.experiment_config import TrainingConfig
from scripted_models.training.sampling import PatchSampler
from scripted_models.training.training_case import TrainingCase


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--patches", type=int, default=300, help="patches drawn for each figure")
    parser.add_argument(
        "--phantom-size", type=int, nargs=3, default=(120, 120, 78), metavar=("X", "Y", "Z")
    )
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        phantom_case(options.phantom_size).save(Path(folder))
        found = {
            number: [patch_ms(Path(folder), number, phase, options.patches) for phase in (1, 2)]
            for number in options.cases
        }
    print(f"median ms to draw a patch (32 x 32 out); x: over those with {options.cases[0]} case(s)")
    print("cases  phase 1     x  phase 2     x")
    for number, both in found.items():
        ratios = np.divide(both, found[options.cases[0]])
        print(
            f"{number:5}"
            + "".join(f"  {ms:7.2f}  {x:4.2f}" for ms, x in zip(both, ratios, strict=True))
        )
    return 0


def patch_ms(folder: Path, cases: int, phase: int, patches: int) -> float:
    """Return the median milliseconds to draw a patch in a phase from so many cases."""
    opened = [TrainingCase.open(folder) for _ in range(cases)]
    sampler = PatchSampler(opened, TrainingConfig(), TwoPathCNN())
    times = []
    for index in range(patches):
        started = time.perf_counter()
        sampler.patch(phase, 0, 0, index)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
