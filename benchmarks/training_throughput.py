"""Labels per second of training: the literal form, one patch per label, against dense patches.

Run: python benchmarks/training_throughput.py [--threads 2] [--precisions float32 bfloat16]

The literal form is the same network with `nn.Conv2d` and `nn.MaxPool2d` on patches of its
receptive field, each of which gives one label. A dense patch gives the label of every output
pixel. Both go through the step of `scripted_models.training`: forward, loss, backward, optimizer.
Labels of one patch are correlated, so patches per second stand beside them. Each setting is
measured in a process of its own, several times in turn with the others; its memory is the peak of
that process, PyTorch included (on a GPU that of PyTorch's allocator). Drawing the patches is not
in it, see `patch_sampling.py`. For Linux and macOS.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from scripted_models.inference.reference import with_plain_layers
from scripted_models.networks import NETWORKS, build_slice_network
from scripted_models.training.losses import pixel_cross_entropy
from scripted_models.training.precision import MixedPrecision
from scripted_models.training.trainer import PixelLogits


@dataclass(frozen=True)
class Setting:
    """What one process measures.

    Attributes:
        network, device, threads, seconds: as on the command line.
        plain: the literal form.
        channels_last: memory format of weights and images.
        edge: output pixels along the edge of a patch; 1 in the literal form.
        batch: patches per step.
        phase: 2 trains the output layer only.
        precision: of the hidden layers.
    """

    network: str
    device: str
    threads: int
    seconds: float
    plain: bool
    channels_last: bool
    edge: int
    batch: int
    phase: int
    precision: str

    @property
    def form(self) -> str:
        """Name of the row in the table."""
        if not self.plain:
            return f"dense patches, {self.edge} x {self.edge} out, batch {self.batch}"
        field = build_slice_network(self.network).receptive_field
        layout = ", channels last" if self.channels_last else ""
        return f"literal {field} x {field} patches, batch {self.batch}{layout}"

    @property
    def is_baseline(self) -> bool:
        """Whether the others of its phase are compared with it."""
        return self.plain and not self.channels_last and self.precision == "float32"


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    options = _parse(arguments)
    settings = _settings(options)
    forks = "forkserver" in multiprocessing.get_all_start_methods()  # not on Windows
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    context.set_forkserver_preload(
        ["__main__", "scripted_models.training.trainer", "torch._dynamo"]
    )
    visits: dict[Setting, list[tuple[float, float]]] = {setting: [] for setting in settings}
    for round_ in range(options.rounds):
        for setting in settings:
            with context.Pool(1) as pool:
                visits[setting].append(pool.apply(measure, (setting,)))
            place = f"round {round_ + 1}, phase {setting.phase}, {setting.precision}"
            print(f"{place}: {setting.form}", file=sys.stderr)
    _print_throughput(visits, options)
    return 0


def measure(setting: Setting) -> tuple[float, float]:
    """Return the median seconds of a training step and the peak memory in MiB of this process."""
    torch.set_num_threads(setting.threads)
    torch.manual_seed(0)
    step = _training_step(setting)
    step()
    times: list[float] = []
    end = time.perf_counter() + setting.seconds
    while not times or time.perf_counter() < end:
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return statistics.median(times), _peak_mib(setting.device)


def _training_step(setting: Setting) -> Callable[[], None]:
    device = torch.device(setting.device)
    layout = torch.channels_last if setting.channels_last else torch.contiguous_format
    network = build_slice_network(setting.network, initialization="he")
    network = with_plain_layers(network) if setting.plain else network
    network.to(device, memory_format=layout).train()
    if setting.phase == 2:
        network.requires_grad_(False)
        network.output.requires_grad_(True)
    precision = MixedPrecision(setting.precision, device)
    module = PixelLogits(network, precision, only_output=setting.phase == 2)
    trained = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-4, momentum=0.9)
    edge, batch = setting.edge, setting.batch
    whole = edge + sum(network.margins)
    images = torch.randn(batch, network.in_channels, whole, whole, device=device)
    images = images.contiguous(memory_format=layout)
    pixels = torch.arange(edge**2, device=device).expand(batch, -1)
    targets = torch.randint(network.num_classes, (batch * edge**2,), device=device)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        precision.step(pixel_cross_entropy(module(images, pixels), targets), optimizer)
        if device.type == "cuda":
            torch.cuda.synchronize()

    return step


def _peak_mib(device: str) -> float:
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    trained = sorted(name for name, entry in NETWORKS.items() if entry.trains)
    parser.add_argument("--network", choices=trained, default="TwoPathCNN")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[8, 16, 32, 64, 96],
        help="output pixels along the edge of the dense patches",
    )
    parser.add_argument("--batch", type=int, default=128, help="patches per step, literal form")
    parser.add_argument("--patches", type=int, default=4, help="dense patches per step")
    parser.add_argument("--phases", type=int, nargs="+", choices=(1, 2), default=[1, 2])
    precisions = ("float32", "bfloat16", "float16")
    parser.add_argument("--precisions", nargs="+", default=["float32"], choices=precisions)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="least time of one measurement")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> list[Setting]:
    common = (options.network, options.device, options.threads, options.seconds)
    literal = [(True, last, 1, options.batch) for last in (False, True)]
    dense = [(False, False, size, options.patches) for size in options.sizes]
    return [
        Setting(*common, *form, phase, precision)
        for phase in options.phases
        for precision in dict.fromkeys(["float32", *options.precisions])
        for form in (*literal, *dense)
    ]


def _print_throughput(visits: dict, options: argparse.Namespace) -> None:
    rates = {
        s: [s.batch * s.edge**2 / seconds for seconds, _ in found] for s, found in visits.items()
    }
    literal = {s.phase: rates[s] for s in visits if s.is_baseline}
    name = next(s.form for s in visits if s.is_baseline)
    place = f"{options.network} on {options.device}, {options.threads} threads"
    print(f"{place}; medians of {options.rounds} rounds; x: labels/s over those of")
    print(f"'{name}' in float32, in the same phase and round")
    print(f"phase  {'form':48} precision   labels/s       x  patches/s  peak MiB")
    for s in visits:
        rate = statistics.median(rates[s])
        ratio = statistics.median(a / b for a, b in zip(rates[s], literal[s.phase], strict=True))
        peak = max(mib for _, mib in visits[s])
        numbers = f"{rate:10.0f}  {ratio:6.1f}  {rate / s.edge**2:9.1f}  {peak:8.0f}"
        print(f"{s.phase:5}  {s.form:48} {s.precision:9} {numbers}")


if __name__ == "__main__":
    sys.exit(main())
