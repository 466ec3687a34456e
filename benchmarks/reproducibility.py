"""How many voxels of a label map change with threads, arithmetic and device.

Run: python benchmarks/reproducibility.py CASE [--models fast TwoPathCNN]

CASE is the folder of one case. It is segmented with two threads, then again in other ways; each
row counts the voxels whose label differs from the first result, beside the voxels that have a
label there. A GPU has a row where there is one; `float64` is for networks of small kernels
(U-Nets) only.
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

from scripted_models.bundle.weights import Model, load_model
from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.inference.reference import with_plain_layers
from scripted_models.networks.layers import LargeConv2d
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation.segmenter import Segmenter

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
        first = labels(case, Segmenter.load(name, "cpu"), THREADS)
        for how, segmenter, threads in ways(load_model(name)):
            differ = int(np.count_nonzero(labels(case, segmenter, threads) != first))
            print(f"| {name} | {how} | {differ} | {np.count_nonzero(first)} |", flush=True)
    return 0


def ways(model: Model) -> Iterator[tuple[str, Segmenter, int]]:
    """Yield other ways to evaluate a network: what is different, the segmenter, and the threads."""
    plain = Segmenter(model, "cpu")
    yield "once more", plain, THREADS
    for threads in sorted({1, os.cpu_count() or 1} - {THREADS}):
        yield f"threads: {threads}", plain, threads
    if any(isinstance(layer, LargeConv2d) for layer in model.network.modules()):
        how, network = "plain convolutions", with_plain_layers(model.network)
    else:
        how, network = "float64", in_float64(model.network)
    yield how, Segmenter(replace(model, network=network), "cpu"), THREADS
    if torch.cuda.is_available():
        copied = replace(model, network=copy.deepcopy(model.network))
        yield "GPU", Segmenter(copied, "cuda"), THREADS


def in_float64(network: SliceNetwork) -> SliceNetwork:
    """Copy a network that computes in float64 and gives float32."""
    exact = copy.deepcopy(network).double()
    inside = exact.forward
    exact.forward = lambda x: inside(x.double()).float()
    return exact


def labels(case: Case, segmenter: Segmenter, threads: int) -> np.ndarray:
    """Segment a case with a number of threads."""
    torch.set_num_threads(threads)
    return segmenter.segment(case, Progress()).labels


if __name__ == "__main__":
    sys.exit(main())
