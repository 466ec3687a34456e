"""Time and memory of every network on a picture of 500 x 500 pixels and a slice of 240 x 240.

Run: python benchmarks/zoo.py [--threads 2] [--rounds 3] [--only FCN8s ...]

Each row is measured in a process of its own, evaluation mode, batch of one, random weights; its
memory is what the process needed beyond PyTorch, weights included. Ratios are to FCN-32s (VGG16)
as published. FCN pads the picture by 100 pixels, so that the smallest ones keep a score;
`pad_image = false` pads the maps of the deepest layers instead, which gives the same sizes. A
second table has the dense CRF per slice by filter. For Linux and macOS.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time

import torch

from scripted_models.inference.reference import with_plain_layers
from scripted_models.networks import build_network
from scripted_models.networks.crf import DenseCRF

BASELINE = "FCN32s"
PICTURE, SLICE = (3, 21, 500), (4, 5, 240)  # channels, classes, edge
ROWS: dict[str, tuple[str, dict]] = {
    "FCN32s": ("FCN32s", {}),
    "FCN32s, padded inside": ("FCN32s", {"pad_image": False}),
    "FCN32s, AlexNet": ("FCN32s", {"trunk": "AlexNet"}),
    "FCN32s, GoogLeNet": ("FCN32s", {"trunk": "GoogLeNet"}),
    "FCN16s": ("FCN16s", {}),
    "FCN8s": ("FCN8s", {}),
    "FCN8s, padded inside": ("FCN8s", {"pad_image": False}),
    "DilatedFrontEnd": ("DilatedFrontEnd", {}),
    "DilatedBasic": ("DilatedBasic", {}),
    "DilatedLarge": ("DilatedLarge", {}),
    "RefineNet-50": ("RefineNet", {}),
    "RefineNet-50, light": ("RefineNet", {"light": True}),
    "RefineNet-50, one block": ("RefineNet", {"blocks": "single"}),
    "RefineNet-50, 2-cascaded": ("RefineNet", {"blocks": "2-cascaded"}),
    "RefineNet-50, two scales": ("RefineNet", {"two_scales": True}),
    "RefineNet-101": ("RefineNet", {"depth": 101}),
    "RefineNet-152": ("RefineNet", {"depth": 152}),
    "UNet": ("UNet", {"context_slices": 0}),
    "TwoPathCNN": ("TwoPathCNN", {}),
    "TwoPathCNN, plain layers": ("TwoPathCNN", {}),
    "InputCascadeCNN": ("InputCascadeCNN", {}),
    "InputCascadeCNN, plain layers": ("InputCascadeCNN", {}),
    "CRFRNN (FCN8s)": ("CRFRNN", {}),
}
FIELDS = {  # row -> backend
    "permutohedral": "permutohedral",
    "window of 11 x 11": "window",
    "exact, 64 x 64 pixels": "exact",
}


def main(arguments: list[str] | None = None) -> int:
    """Print both tables."""
    options = _parse(arguments)
    names = [name for name in ROWS if not options.only or name in (*options.only, BASELINE)]
    context = multiprocessing.get_context("spawn")
    found = {}
    for name in names:
        for shape in (PICTURE, SLICE):
            with context.Pool(1) as pool:
                job = (measure, (name, shape, options.threads, options.rounds))
                found[name, shape] = pool.apply(*job)
        print(name, file=sys.stderr)
    print(f"{options.threads} threads, medians of {options.rounds}, ratios to {BASELINE}\n")
    print("| network | 500 x 500, s | ratio | GiB | 240 x 240, s | ratio | GiB |")
    print("|---|---|---|---|---|---|---|")
    for name in names:
        cells = []
        for shape in (PICTURE, SLICE):
            (seconds, memory), (base, _) = found[name, shape], found[BASELINE, shape]
            cells.append(f"{seconds:.2f} | {seconds / base:.2f} | {memory:.2f}")
        print(f"| {name} | {' | '.join(cells)} |")
    print("\n| CRF, 10 iterations | 240 x 240, 4 sequences, 5 classes, s | ratio |")
    print("|---|---|---|")
    times = {name: _crf_seconds(name, options) for name in FIELDS}
    for name, value in times.items():
        print(f"| {name} | {value:.2f} | {value / times['permutohedral']:.2f} |")
    return 0


def measure(
    name: str, shape: tuple[int, int, int], threads: int, rounds: int
) -> tuple[float, float]:
    """Return the median seconds of an image, and GiB."""
    torch.set_num_threads(threads)
    before = _peak()
    kind, arguments = ROWS[name]
    channels, classes, edge = shape
    network = build_network(kind, in_channels=channels, num_classes=classes, **arguments).eval()
    if name.endswith("plain layers"):
        network = with_plain_layers(network)
    size = edge + sum(network.margins)
    image = torch.randn(1, channels, size, size)
    times = []
    with torch.inference_mode():
        for _ in range(rounds + 1):  # the first one warms up
            started = time.perf_counter()
            network(image)
            times.append(time.perf_counter() - started)
    return statistics.median(times[1:]), (_peak() - before) / 2**30


def _crf_seconds(name: str, options: argparse.Namespace) -> float:
    torch.set_num_threads(options.threads)
    edge = 64 if FIELDS[name] == "exact" else SLICE[2]
    coarse = torch.randn(1, SLICE[0], edge // 8, edge // 8)
    image = torch.nn.functional.interpolate(coarse, (edge, edge), mode="bicubic")
    logits = torch.randn(1, SLICE[1], edge, edge)
    crf = DenseCRF(SLICE[1], FIELDS[name], position_width=5, intensity_width=0.5).eval()
    times = []
    with torch.inference_mode():
        for _ in range(options.rounds + 1):
            started = time.perf_counter()
            crf(logits, image)
            times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def _peak() -> int:
    """Return the peak of this process in bytes; macOS counts in them, Linux in KiB."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=ROWS, help=f"rows beside {BASELINE}")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
