"""What dense prediction gains over the patch-wise sliding window, on one slice of real size.

Run: python benchmarks/dense_prediction.py [--case FOLDER] [--voxels 256]

The baseline, 'patch-wise window', classifies each brain voxel of the slice by its own patch, with
the network built of `nn.Conv2d` and `nn.MaxPool2d`. It is timed on some voxels drawn at random and
extrapolated to all brain voxels. Dense prediction is timed as the program runs it, on the box of
the slice's brain.
"""

import argparse
import statistics
import sys
import time

import numpy as np
import torch
from one_case import add_case_options, read_case, tumor_slices

from scripted_models.inference import predict_slice
from scripted_models.inference.reference import predict_voxels, with_plain_layers
from scripted_models.networks import NETWORKS, build_slice_network
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.training.training_case import IGNORED


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    case = read_case(options)
    z = tumor_slices(case, 1)[0]
    plane, brain = np.ascontiguousarray(case.image[:, z]), case.target[z] != IGNORED
    everywhere = np.argwhere(brain)
    voxels = np.random.default_rng(0).permutation(everywhere)[: options.voxels]
    shape = " x ".join(map(str, brain.shape))
    print(f"{case.name}, slice {z}: {len(everywhere)} brain voxels in {shape}; medians of")
    print(
        f"{options.rounds} rounds, {options.threads} threads on {options.device}; patch by patch:"
    )
    print(f"extrapolated from {len(voxels)} of these voxels, batches of {options.batch}")
    print("network           patch-wise s  dense s       x  largest difference of a probability")
    for name in options.networks:
        network = make_network(name, options.device)
        patchwise, dense, difference = compare(network, plane, brain, voxels, options)
        whole = [seconds * len(everywhere) / len(voxels) for seconds in patchwise]
        ratio = statistics.median(a / b for a, b in zip(whole, dense, strict=True))
        times = f"{statistics.median(whole):13.1f}  {statistics.median(dense):7.2f}"
        print(f"{name:16} {times}  {ratio:6.0f}  {difference:.1e}")
    return 0


def make_network(name: str, device: str) -> SliceNetwork:
    """Build a network with random weights whose probabilities differ clearly between voxels."""
    torch.manual_seed(0)
    network = build_slice_network(name, initialization="he")
    with torch.no_grad():
        network.get_parameter("output.weight").mul_(100)  # undo the initialization for training
    return network.eval().to(device)


def compare(
    network: SliceNetwork,
    plane: np.ndarray,
    brain: np.ndarray,
    voxels: np.ndarray,
    options: argparse.Namespace,
) -> tuple[list[float], list[float], float]:
    """Time both forms in turn.

    Returns:
        Seconds of each round for `voxels`, patch by patch; for the whole slice, densely; and the
        largest difference of a probability at `voxels`.
    """
    plain = with_plain_layers(network)
    predict_voxels(plain, plane, voxels[: options.batch], options.batch)
    patchwise, dense = [], []
    for _ in range(options.rounds):
        started = time.perf_counter()
        single = predict_voxels(plain, plane, voxels, options.batch)
        between = time.perf_counter()
        rows, columns, box = predict_slice(network, plane[:, None], brain[None], 0)
        patchwise.append(between - started)
        dense.append(time.perf_counter() - between)
    at_voxels = box[:, voxels[:, 0] - rows.start, voxels[:, 1] - columns.start].T
    return patchwise, dense, float(np.abs(single - at_voxels).max())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_case_options(parser)
    trained = sorted(name for name, entry in NETWORKS.items() if entry.trains)
    usual = ["TwoPathCNN", "InputCascadeCNN"]
    parser.add_argument("--networks", nargs="+", choices=trained, default=usual)
    parser.add_argument("--voxels", type=int, default=256, help="timed patch by patch")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
