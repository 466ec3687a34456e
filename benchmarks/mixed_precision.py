"""What half precision does to logits, labels and gradients, and the output layer's part in it.

Run: python benchmarks/mixed_precision.py [--case FOLDER] [--device cuda]

A trained model is evaluated on windows of one case, in the middle of the tumor of the slices with
the most of it, in several ways, and compared with the same weights in float64 on the CPU:

- everything in float32;
- hidden layers in half precision, output layer in float32: what training does
  (`training.precision`);
- everything in half precision, output layer as the project evaluates it, row by row;
- everything in half precision, output layer as one convolution, which sums in float32 and rounds
  once.

The last but one is also shown with hidden layers in float32. Logit errors are divided by the
largest logit; the share of changed labels is that of the brain; gradient errors are norms over the
norm of the gradient of the mean loss over the brain, for the hidden layers together and the output
layer's weights. On a GPU PyTorch computes float32 convolutions in TF32 unless told otherwise, here
as in training.
"""

import argparse
import copy
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from one_case import add_case_options, read_case, tumor_slices
from torch import nn

from scripted_models.bundle.weights import load_model
from scripted_models.inference import brain_box, padded_window
from scripted_models.inference.reference import with_plain_layers
from scripted_models.networks.slice_network import SliceNetwork
from scripted_models.training.losses import pixel_cross_entropy
from scripted_models.training.training_case import IGNORED, TrainingCase

Window = tuple[np.ndarray, torch.Tensor]  # what `evaluate` takes
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
# As training scales the loss for float16, whose smallest number is 6e-8; exact otherwise.
LOSS_SCALE = 2.0**12


@dataclass(frozen=True)
class Form:
    """One way to evaluate the network.

    Attributes:
        hidden, output: precision of the hidden layers and of the output layer; None is that of the
            weights.
        plain: the output layer is one convolution.
    """

    hidden: torch.dtype | None
    output: torch.dtype | None
    plain: bool = False

    def describe(self) -> str:
        """Return the name of the row."""
        hidden, output = (
            str(d or torch.float32).removeprefix("torch.") for d in (self.hidden, self.output)
        )
        return f"{hidden:10} {output}{', one convolution' if self.plain else ''}"


@dataclass(frozen=True)
class Result:
    """What a form makes of a window."""

    logits: torch.Tensor  # (classes, brain voxels)
    hidden_gradient: torch.Tensor
    output_gradient: torch.Tensor


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    case, network = read_case(options), load_model(options.model).network
    windows = [
        _inputs(case, z, options.size, network.margins) for z in tumor_slices(case, options.slices)
    ]
    exact = copy.deepcopy(network).double()
    references = [evaluate(exact, Form(None, None), *inputs) for inputs in windows]
    network.to(options.device)
    brain = sum(int((target != IGNORED).sum()) for _, target in windows)
    size = f"{len(windows)} windows of {options.size} x {options.size}, {brain} brain voxels"
    print(f"model {options.model} on {options.device}, {case.name}: {size}")
    print(
        "hidden     output                      logit error: largest     rms  labels changed  "
        "gradient error: hidden  output"
    )
    for form in _forms(options.precisions):
        print(f"{form.describe():37}", _row(network, form, windows, references))
    return 0


def evaluate(network: SliceNetwork, form: Form, window: np.ndarray, target: torch.Tensor) -> Result:
    """Evaluate one window: logits at the brain's voxels, and gradients of their mean loss.

    Args:
        network: its weights decide the precision of everything that `form` leaves open.
        form: how.
        window: float32 (C, H, W) with the network's margins.
        target: int64 (voxels,), IGNORED outside the brain.
    """
    two_phases: Any = network  # has `features` and `output`
    weight = network.get_parameter("output.weight")
    output = nn.Sequential(two_phases.output)
    output = with_plain_layers(output) if form.plain else output
    image = torch.from_numpy(window)[None].to(weight)
    with _autocast(weight.device, form.hidden):
        features = two_phases.features(image)
    if form.output is None:
        features = features.to(weight.dtype)
    with _autocast(weight.device, form.output):
        logits = output(features)[0].flatten(1)
    inside = (target != IGNORED).to(weight.device)
    logits = logits[:, inside]
    loss = pixel_cross_entropy(logits.T, target.to(weight.device)[inside])
    hidden = [p for name, p in network.named_parameters() if not name.startswith("output.")]
    *gradients, last = torch.autograd.grad(
        loss * LOSS_SCALE, [*hidden, output.get_parameter("0.weight")]
    )
    flat = torch.cat([g.flatten() for g in gradients])
    return Result(*(part.detach().double().cpu() for part in (logits, flat, last)))


def _autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def _forms(precisions: list[str]) -> list[Form]:
    forms = [Form(None, None)]
    for half in (DTYPES[name] for name in precisions):
        forms += [
            Form(half, None),
            Form(half, half),
            Form(half, half, plain=True),
            Form(None, half),
        ]
    return forms


def _inputs(case: TrainingCase, z: int, size: int, margins: tuple[int, int]) -> Window:
    """Cut a window of `size` output pixels, centered on the tumor as far as the slice reaches."""
    target = case.target[z]
    box = brain_box((target > 0) & (target != IGNORED))
    starts = [
        min(max((part.start + part.stop - size) // 2, 0), max(length - size, 0))
        for part, length in zip(box, target.shape, strict=True)
    ]
    rows, columns = (slice(a, min(a + size, n)) for a, n in zip(starts, target.shape, strict=True))
    labels = torch.from_numpy(target[rows, columns].astype(np.int64)).flatten()
    return padded_window(case.image[:, z], rows, columns, margins), labels


def _row(network: SliceNetwork, form: Form, windows: list[Window], references: list[Result]) -> str:
    """Compare a form with the reference over all windows."""
    found = [evaluate(network, form, *inputs) for inputs in windows]
    logits, exact = (torch.cat([s.logits for s in each], dim=1) for each in (found, references))
    error = (logits - exact) / exact.abs().max()
    changed = (logits.argmax(0) != exact.argmax(0)).double().mean().item()
    gradients = [
        _relative(*(torch.stack([getattr(s, part) for s in each]) for each in (found, references)))
        for part in ("hidden_gradient", "output_gradient")
    ]
    return (
        f"{error.abs().max():.1e}  {error.square().mean().sqrt():.1e}  {changed:13.3%}  "
        f"{gradients[0]:.1e}  {gradients[1]:.1e}"
    )


def _relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).norm() / exact.norm())


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_case_options(parser)
    parser.add_argument(
        "--model", default="TwoPathCNN", help="shipped name or path of a model folder"
    )
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument(
        "--size", type=int, default=48, help="edge of the windows' output in pixels"
    )
    parser.add_argument("--precisions", nargs="+", choices=sorted(DTYPES), default=sorted(DTYPES))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
