"""Seconds, memory and error of a whole brain: plain convolution, boxes, our engine, SegResNet.

Run: python benchmarks/whole_brain.py [--case FOLDER] [--threads 1 2] [--networks NAME ...]

Forms, each measured in a process of its own and in turn with the others:

- patch-wise window: every brain voxel by its own patch; from --voxels voxels.
- plain whole slices: the network of `nn.Conv2d` and `nn.MaxPool2d` on padded slices, empty ones
  too; from --slices slices. This is the baseline of the ratios.
- plain boxes: the same on the brain box of each slice; from --slices slices, by their pixels.
- spectral: `scripted_models.inference.predict_volume`, everything, its preparation included, on the
  brain box, which `segment` crops a volume to.
- SegResNet: the architecture of MONAI's BraTS bundle (16 filters, 4 channels, 3 outputs, random
  weights) on the whole volume in one window; 'tuned' on the brain box in the channels-last layout.

Errors are those of the logits of --slices slices against float64, as a share of the largest logit.
Random weights, or those of a model by its name. For Linux and macOS.
"""

import argparse
import copy
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from machine import print_ceilings
from one_case import add_case_options, read_case
from torch import nn
from torch.nn import functional as F

from scripted_models.bundle.weights import load_model
from scripted_models.inference import brain_box, padded_window, predict_volume
from scripted_models.inference.reference import predict_voxels, with_plain_layers
from scripted_models.inference.spectral import SpectralNetwork
from scripted_models.networks import NETWORKS, build_slice_network
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.training.training_case import IGNORED

BASELINE = "plain whole slices"
FORMS = ("patch-wise window", BASELINE, "plain boxes", "spectral", "as shipped", "tuned")


def main(arguments: list[str] | None = None) -> int:
    """Print the tables."""
    options = _parse(arguments)
    volume = _volume(options)
    brain = volume[1]
    slices, shape = int(brain.any(axis=(1, 2)).sum()), " x ".join(map(str, brain.shape))
    print(f"{volume[2]}: {int(brain.sum())} brain voxels in {slices} slices,")
    print(f"in a volume of {shape} (z, y, x); medians of {options.rounds} rounds")
    forks = "forkserver" in multiprocessing.get_all_start_methods()  # not on Windows
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    context.set_forkserver_preload(["__main__", "monai", "scripted_models.inference.reference"])
    for threads in options.threads:
        seconds: dict[tuple, list[float]] = {}
        memory: dict[tuple, float] = {}
        for _ in range(options.rounds):
            for key, measurement in _measurements(options).items():
                with context.Pool(1) as pool:
                    taken, peak = pool.apply(measure, (measurement, volume, threads))
                seconds.setdefault(key, []).append(taken)
                memory[key] = max(peak, memory.get(key, 0))
                print(f"{threads} threads, {key[0]}, {key[1]}: {taken:.1f} s", file=sys.stderr)
        _print_times(seconds, memory, threads, options)
    for name in options.networks:
        _print_errors(name, volume, options)
    _print_growth(volume, options)
    print_ceilings(brain, max(options.threads))
    return 0


def measure(measurement: Callable, volume: tuple, threads: int) -> tuple[float, float]:
    """Return the seconds of a form for a volume, and the peak memory in GiB of this process."""
    torch.set_num_threads(threads)
    seconds = measurement(volume)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, peak / (2**30 if sys.platform == "darwin" else 2**20)


def _measurements(options: argparse.Namespace) -> dict[tuple, Callable]:
    """Return a function for each network and form."""
    table: dict[tuple, Callable] = {}
    for name in options.networks:
        table[name, "patch-wise window"] = partial(time_patchwise, name, options.voxels)
        table[name, BASELINE] = partial(time_whole_slices, name, options.slices)
        table[name, "plain boxes"] = partial(time_boxes, name, options.slices)
        table[name, "spectral"] = partial(time_engine, name)
    table["SegResNet", "as shipped"] = partial(time_segresnet, False)
    table["SegResNet", "tuned"] = partial(time_segresnet, True)
    return {key: table[key] for key in table if key[1] in options.forms}


def time_patchwise(name: str, voxels: int, volume: tuple) -> float:
    """Extrapolate the patch-wise window from some voxels of the largest slice."""
    image, brain, _ = volume
    z = int(brain.sum(axis=(1, 2)).argmax())
    chosen = np.random.default_rng(0).permutation(np.argwhere(brain[z]))[:voxels]
    network = with_plain_layers(make_network(name))
    predict_voxels(network, image[:, z], chosen[:8])
    return (
        _seconds(partial(predict_voxels, network, image[:, z], chosen)) * brain.sum() / len(chosen)
    )


def time_whole_slices(name: str, slices: int, volume: tuple) -> float:
    """Extrapolate whole slices from some of them."""
    image, brain, _ = volume
    network = with_plain_layers(make_network(name))
    everywhere = (slice(0, brain.shape[1]), slice(0, brain.shape[2]))
    windows = [
        padded_window(image[:, z], *everywhere, network.margins) for z in _spread(brain, slices)
    ]
    _run(network, windows[:1])
    return _seconds(partial(_run, network, windows)) * len(brain) / len(windows)


def time_boxes(name: str, slices: int, volume: tuple) -> float:
    """Extrapolate brain boxes from those of some slices, by the pixels of their windows."""
    image, brain, _ = volume
    network = with_plain_layers(make_network(name))
    windows = _windows(image, brain, network, slices)
    _run(network, windows[:1])
    pixels = sum(window.shape[1] * window.shape[2] for window in windows)
    everything = _windows(image, brain, network, len(brain))
    whole = sum(window.shape[1] * window.shape[2] for window in everything)
    return _seconds(partial(_run, network, windows)) * whole / pixels


def time_engine(name: str, volume: tuple) -> float:
    """Time what the product does, from the preprocessed volume to probabilities."""
    image, brain, _ = volume
    box = _brain_box(brain)
    inside = np.ascontiguousarray(image[(slice(None), *box)])
    return _seconds(partial(predict_volume, make_network(name), inside, brain[box]))


def time_segresnet(tuned: bool, volume: tuple) -> float:
    """Time the network that a user of MONAI would pick, after one run to warm up."""
    from monai.networks.nets import SegResNet

    image, brain, _ = volume
    network = SegResNet(
        init_filters=16,
        in_channels=4,
        out_channels=3,
        dropout_prob=0.2,
        blocks_down=(1, 2, 2, 4),
        blocks_up=(1, 1, 1),
    ).eval()
    if tuned:
        image = image[(slice(None), *_brain_box(brain))]
        network = network.to(memory_format=torch.channels_last_3d)
    pad = [n for size in image.shape[:0:-1] for n in (0, -size % 8)]
    x = F.pad(torch.from_numpy(np.ascontiguousarray(image))[None], pad)
    x = x.to(memory_format=torch.channels_last_3d) if tuned else x
    with torch.inference_mode():
        network(x)
        return _seconds(partial(network, x))


def _brain_box(brain: np.ndarray) -> tuple[slice, ...]:
    found = [np.flatnonzero(brain.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    return tuple(slice(int(line[0]), int(line[-1]) + 1) for line in found)


def make_network(name: str) -> SliceNetwork:
    """Build a network with random weights and logits of a trained one's size, or load a model."""
    if name not in NETWORKS:
        return load_model(name).network
    torch.manual_seed(0)
    network = build_slice_network(name, initialization="he")
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith("output.weight"):
                parameter.mul_(100)  # undo what the initialization does for training
    return network.eval()


def _spread(brain: np.ndarray, count: int) -> list[int]:
    occupied = np.flatnonzero(brain.any(axis=(1, 2)))
    return [
        int(z) for z in occupied[np.linspace(0, len(occupied) - 1, count + 2).astype(int)[1:-1]]
    ]


def _windows(
    image: np.ndarray, brain: np.ndarray, network: SliceNetwork, count: int
) -> list[np.ndarray]:
    occupied = int(brain.any(axis=(1, 2)).sum())
    chosen = _spread(brain, count) if count < occupied else np.flatnonzero(brain.any(axis=(1, 2)))
    return [padded_window(image[:, z], *brain_box(brain[z]), network.margins) for z in chosen]


def _run(network: nn.Module, windows: list[np.ndarray]) -> list[torch.Tensor]:
    with torch.inference_mode():
        return [network(torch.from_numpy(window)[None])[0] for window in windows]


def _seconds(work: Callable) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _print_times(seconds: dict, memory: dict, threads: int, options: argparse.Namespace) -> None:
    print(f"\n{threads} threads; x: '{BASELINE}' of the same network and round over this form")
    print("network          form                 seconds        x  peak GiB")
    for (name, form), taken in seconds.items():
        plain = seconds.get((name, BASELINE))
        ratio = ""
        if plain:
            ratio = f"{statistics.median(a / b for a, b in zip(plain, taken, strict=True)):.2f}"
        numbers = f"{statistics.median(taken):9.1f} {ratio:>8}  {memory[name, form]:8.2f}"
        print(f"{name:16} {form:18} {numbers}")
    if {"spectral", "as shipped", "tuned"} <= set(options.forms):
        print("time of the engine over that of SegResNet, as shipped and tuned:")
        for name in options.networks:
            ratios = [
                statistics.median(
                    a / b
                    for a, b in zip(
                        seconds[name, "spectral"], seconds["SegResNet", form], strict=True
                    )
                )
                for form in ("as shipped", "tuned")
            ]
            print(f"{name:16} {ratios[0]:6.2f} {ratios[1]:6.2f}")


def _print_errors(name: str, volume: tuple, options: argparse.Namespace) -> None:
    """Compare both forms with float64."""
    image, brain, _ = volume
    network = make_network(name)
    exact_network = copy.deepcopy(network).double()
    plain, spectral = with_plain_layers(network), SpectralNetwork(network)
    errors, differ, clear_differ, total = [0.0, 0.0], 0, 0, 0
    for z in _spread(brain, options.slices):
        box = brain_box(brain[z])
        window = padded_window(image[:, z], *box, network.margins)
        (exact,) = _run(exact_network, [window.astype(np.float64)])
        both = [_run(form, [window])[0] for form in (plain, spectral)]
        largest = exact.abs().max()
        errors = [
            max(e, float((y - exact).abs().max() / largest))
            for e, y in zip(errors, both, strict=True)
        ]
        inside = torch.from_numpy(brain[z][box])
        best = exact.topk(2, dim=0)
        clear = (best.values[0] - best.values[1])[inside] > 1e-4
        labels = [y.argmax(dim=0)[inside] for y in (*both, exact)]
        differ += int((labels[0] != labels[1]).sum())
        clear_differ += int((labels[1] != labels[2])[clear].sum())
        total += int(inside.sum())
    print(f"\n{name}: error against float64, plain {errors[0]:.1e}, spectral {errors[1]:.1e};")
    found = f"{differ} differ between plain and spectral, {clear_differ} from"
    print(f"labels of {total} brain voxels: {found}\nfloat64 where its margin exceeds 1e-4")


def _print_growth(volume: tuple, options: argparse.Namespace) -> None:
    image, brain, _ = volume
    name = options.networks[0]
    torch.set_num_threads(max(options.threads))
    print(f"\ngrowth, {name}, {max(options.threads)} threads:")
    print("brain voxels   seconds   seconds per million")
    for step in (3, 2, 1):
        small = np.ascontiguousarray(image[:, ::step, ::step, ::step])
        mask = np.ascontiguousarray(brain[::step, ::step, ::step])
        taken = time_engine(name, (small, mask, ""))
        voxels = int(mask.sum())
        print(f"{voxels:12}  {taken:8.1f}  {taken / voxels * 1e6:8.1f}")


def _volume(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, str]:
    """Return image, brain and name, the slices padded to the size of BraTS."""
    case = read_case(options)
    brain = case.target != IGNORED
    pads = [(0, 0), *((0, max(0, options.slice_edge - n)) for n in brain.shape[1:])]
    empty = (0, max(0, options.slices_of_volume - len(brain)))
    image = np.pad(case.image, [(0, 0), empty, *pads[1:]])
    return image, np.pad(brain, [empty, *pads[1:]]), case.name


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_case_options(parser)
    parser.add_argument(
        "--networks",
        nargs="+",
        default=["TwoPathCNN", "InputCascadeCNN", "default"],
        help="names of networks (random weights) or of models",
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--slices", type=int, default=3, help="timed of the plain forms")
    parser.add_argument("--slices-of-volume", type=int, default=155, help="empty ones included")
    parser.add_argument(
        "--slice-edge", type=int, default=240, help="least rows and columns of a slice"
    )
    parser.add_argument("--voxels", type=int, default=256, help="timed patch by patch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
