"""How many voxels of a label map change with threads, arithmetic and device.

Run: python benchmarks/reproducibility.py CASE [--models fast TwoPathCNN]

CASE is the folder of one case. It is segmented with two threads, then again in other ways; each row counts the
voxels whose label differs from the first result, beside the voxels that have a label there. A GPU has a row
where there is one; `float64` is for networks of small kernels (U-Nets) only.
"""

import argparse
import copy
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from scripted_models.bundle.weights import Model, load_model
from scripted_models.cases.discovery import find_cases
from scripted_models.inference.reference import with_plain_layers
from scripted_models.networks.layers import LargeConv2d
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import segment_case

THREADS = 2


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path)
    parser.add_argument("--models", nargs="+", default=["fast", "TwoPathCNN"])
    options = parser.parse_args(arguments)
    (case,) = find_cases(options.case)
    print(f"{case.name}, labels that differ from those of {THREADS} CPU threads in float32\n")
    print("| model | how | voxels that differ | voxels with a label |\n|---|---|---|---|")
    for name in options.models:
        first = labels(case, load_model(name), THREADS)
        for how, model, threads in ways(load_model(name)):
            differ = int(np.count_nonzero(labels(case, model, threads) != first))
            print(f"| {name} | {how} | {differ} | {np.count_nonzero(first)} |", flush=True)
    return 0


def ways(model: Model) -> Iterator[tuple[str, Model, int]]:
    """Yield other ways to evaluate a network: what is different, the model, and the threads."""
    yield "once more", model, THREADS
    for threads in sorted({1, os.cpu_count() or 1} - {THREADS}):
        yield f"threads: {threads}", model, threads
    if any(isinstance(layer, LargeConv2d) for layer in model.network.modules()):
        yield (
            "plain convolutions",
            replace(model, network=with_plain_layers(model.network)),
            THREADS,
        )
    else:
        yield "float64", replace(model, network=in_float64(model.network)), THREADS
    if torch.cuda.is_available():
        yield "GPU", replace(model, network=copy.deepcopy(model.network).to("cuda")), THREADS


def in_float64(network: nn.Module) -> nn.Module:
    """Copy a network that computes in float64 and gives float32."""
    exact = copy.deepcopy(network).double()
    inside = exact.forward
    exact.forward = lambda x: inside(x.double()).float()
    return exact


def labels(case, model: Model, threads: int) -> np.ndarray:
    """Segment a case with a number of threads."""
    torch.set_num_threads(threads)
    return segment_case(case, model, Progress()).labels


if __name__ == "__main__":
    sys.exit(main())
