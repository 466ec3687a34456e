"""Optimizers, their schedules, and the bound on the weights' magnitude.

Source: Havaei et al. 2017, "Implementation details" and "Regularization": stochastic gradient
descent, momentum from 0.5 to 0.9, learning rate from 0.005 "decreased by a factor at every epoch"
with a decay factor of 0.1, weights bounded in magnitude.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import nn

from scripted_models.errors import InputError
from scripted_models.training.experiment_config import PhaseConfig, TrainingConfig


def make_optimizer(network: nn.Module, settings: TrainingConfig) -> torch.optim.Optimizer:
    """Return the optimizer of what trains in a phase; `set_rates` gives it its rates.

    Raises:
        InputError: a factor for weights that the network does not have.
    """
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    factors = _factors([name for name, _ in network.named_parameters()], settings.rates)
    if settings.optimizer == "adam":
        scales = {name: adam_rate_scale(p) * factors[name] for name, p in named}
        return torch.optim.Adam([{"params": [p], "rate_scale": scales[name]} for name, p in named])
    by_factor: dict[float, list[nn.Parameter]] = defaultdict(list)
    for name, parameter in named:
        by_factor[factors[name]].append(parameter)
    groups = [{"params": group, "rate_scale": factor} for factor, group in by_factor.items()]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.5)


def _factors(names: Sequence[str], stated: Mapping[str, float]) -> dict[str, float]:
    """Return the factor of every weight: the product of those of the parts of its name."""
    parts = {part for name in names for part in name.split(".")}
    if unknown := sorted(set(stated) - parts):
        raise InputError(
            found=f"factors for {unknown} in training.rates",
            expected="parts of the names of weights, such as "
            f"{sorted(p for p in parts if not p.isdigit())[:8]}",
            action="fix them",
        )
    return {
        name: math.prod(factor for part, factor in stated.items() if part in name.split("."))
        for name in names
    }


def adam_rate_scale(weight: torch.Tensor) -> float:
    """Return the share of the learning rate that suits a layer under Adam.

    Adam moves every weight by about the learning rate, so a layer's output moves in proportion to
    its inputs; the rate of layers with more than 1000 inputs per unit is reduced by their number
    (the rule for widths of Yang et al. 2021, "Tensor Programs V"). The 21 x 21 output layer has
    98,784.
    """
    inputs = weight[0].numel() if weight.dim() > 1 else 1
    return min(1.0, 1000 / inputs)


def rates(phase: PhaseConfig, step: int) -> tuple[float, float]:
    """Return learning rate and momentum at a step of a phase, counted from 0.

    The momentum goes linearly over the phase. The learning rate does so too under 'linear', the
    reading that fits the paper's figure 6 (phases of 55 and 10 epochs); under 'literal' it is
    multiplied by `decay` after every epoch, as the sentence says.
    """
    done = step / (phase.epochs * phase.steps_per_epoch)
    momentum = phase.momentum + done * (phase.final_momentum - phase.momentum)
    if phase.schedule == "literal":
        return phase.learning_rate * phase.decay ** (step // phase.steps_per_epoch), momentum
    change = phase.final_learning_rate - phase.learning_rate
    return phase.learning_rate + done * change, momentum


def set_rates(optimizer: torch.optim.Optimizer, rate: float, momentum: float) -> None:
    """Give an optimizer the rates of a step."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate_scale", 1.0)
        if "momentum" in group:
            group["momentum"] = momentum


def bound_kernels(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale every kernel whose norm exceeds `max_norm` back to it; biases are left alone."""
    with torch.no_grad():
        for weight in parameters:
            if weight.dim() > 1:
                weight.copy_(torch.renorm(weight, 2, 0, max_norm))
