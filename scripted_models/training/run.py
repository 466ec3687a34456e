"""The training loop: two phases, early stopping, a checkpoint after every epoch.

Source: Havaei et al. 2017, section 4.2. Phase 1 trains all weights on labels drawn equally often;
phase 2 keeps everything but the output layer and trains that on labels as they occur. A run that
is stopped at any moment goes on from its last finished epoch and ends with the same weights, because
all randomness of an epoch is derived from (seed, phase, epoch).
"""

import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from scripted_models.config import Experiment, PhaseConfig
from scripted_models.networks.havaei import set_output_bias
from scripted_models.progress import Progress
from scripted_models.training.checkpoint import TrainingState, save_state
from scripted_models.training.losses import pixel_cross_entropy
from scripted_models.training.records import write_records
from scripted_models.training.sampling import (
    CropSampler,
    TrainingCase,
    label_frequencies,
    sample_pixels,
)
from scripted_models.training.validation import augment, validate

PHASES = (1, 2)


class Trainer:
    """Runs the phases of one experiment.

    Args:
        experiment: settings.
        network: with `features`, `output`, `margins`.
        cases: training and validation cases.
        folder: run folder for checkpoint and records.
        progress: receives epochs and the remaining time.
    """

    def __init__(
        self,
        experiment: Experiment,
        network: nn.Module,
        cases: tuple[list[TrainingCase], list[TrainingCase]],
        folder: Path,
        progress: Progress,
    ):
        self.experiment, self.network, self.folder = experiment, network, Path(folder)
        self.settings = experiment.training
        self.train_cases, self.validation_cases = cases
        self.progress = progress
        self.sampler = CropSampler(
            self.train_cases,
            self.settings.output_size,
            network.margins,
            self.settings.balance,
            self.settings.healthy_share,
        )
        self.device = next(network.parameters()).device
        self.average: AveragedModel | None = None

    def run(self, state: TrainingState) -> TrainingState:
        """Train until both phases are done, from wherever the state stands."""
        if self.settings.threads:
            torch.set_num_threads(self.settings.threads)
        if state.network:
            self.network.load_state_dict(state.network)
        self.progress.skip(self._fraction(state, 0))
        for phase in PHASES:
            if state.phase == phase:
                self._run_phase(state, getattr(self.settings, f"phase{phase}"))
        return state

    def _run_phase(self, state: TrainingState, phase: PhaseConfig) -> None:
        optimiser = self._start_phase(state)
        while state.epoch < phase.epochs and not self._is_stale(state, phase):
            started = time.monotonic()
            loss = self._train_epoch(state, phase, optimiser)
            scores = self._validate(loss)
            state.epoch += 1
            row = {"phase": state.phase, "epoch": state.epoch, "loss": loss, **scores}
            state.history.append(row)
            self._keep(state, scores["score"], phase)
            state.network = _copy(self.network.state_dict())
            state.optimiser = optimiser.state_dict()
            state.average = _copy(self.average.state_dict()) if self.average else {}
            save_state(self.folder, state)
            write_records(self.folder, state.history)
            self._report(row, time.monotonic() - started)
        self._finish_phase(state)

    def _start_phase(self, state: TrainingState) -> torch.optim.Optimizer:
        trained = self.network if state.phase == 1 else self.network.output
        equal_before = self.settings.balance == "labels"
        if state.phase == 2 and equal_before and not state.epoch:
            self._shift_output_bias()
        parameters = [p for p in trained.parameters() if p.requires_grad]
        optimiser = self._optimiser(parameters)
        if state.optimiser:
            optimiser.load_state_dict(state.optimiser)
        if self.settings.average_decay:
            self.average = self._start_average(state)
        return optimiser

    def _start_average(self, state: TrainingState) -> AveragedModel:
        decay = get_ema_multi_avg_fn(self.settings.average_decay)
        average = AveragedModel(self.network, multi_avg_fn=decay)
        if state.average:
            average.load_state_dict(state.average)
        return average

    @property
    def _kept(self) -> nn.Module:
        """The network that is validated and kept: the moving average, or the trained one itself."""
        return self.average.module if self.average else self.network

    def _shift_output_bias(self) -> None:
        """Move the output bias from equal label frequencies to those of the brain (Bayes' rule)."""
        frequencies = label_frequencies(self.train_cases, self.settings.healthy_share)
        bias = self.network.output.bias.detach().clone()
        set_output_bias(self.network, frequencies.to(self.device))
        with torch.no_grad():
            self.network.output.bias += bias

    def _optimiser(self, parameters: list) -> torch.optim.Optimizer:
        if self.settings.optimiser == "adam":
            groups = [{"params": [p], "rate_scale": adam_rate_scale(p)} for p in parameters]
            return torch.optim.Adam(groups, weight_decay=self.settings.l2)
        return torch.optim.SGD(parameters, lr=0.1, momentum=0.5, weight_decay=self.settings.l2)

    def _train_epoch(self, state: TrainingState, phase: PhaseConfig, optimiser) -> float:
        rng = np.random.default_rng([self.settings.seed, state.phase, state.epoch])
        torch.manual_seed(int(rng.integers(2**62)))  # dropout
        self.network.train()
        total = 0.0
        for step in range(phase.steps_per_epoch):
            done = (state.epoch * phase.steps_per_epoch + step) / (
                phase.epochs * phase.steps_per_epoch
            )
            _set_schedule(optimiser, phase, done)
            loss = self._loss(state.phase, rng)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if self.average:
                self.average.update_parameters(self.network)
            total += loss.item()
            self.progress.update(self._fraction(state, step + 1))
        return total / phase.steps_per_epoch

    def _loss(self, phase: int, rng: np.random.Generator) -> torch.Tensor:
        settings = self.settings
        images, targets = self.sampler.batch(settings.batch_size, phase == 1, rng)
        images, targets = augment(images, targets, settings.flip, settings.intensity_jitter, rng)
        balanced = phase == 1 and settings.balance == "labels"
        healthy_share = settings.healthy_share if phase == 2 else 0.0
        chosen = sample_pixels(targets, settings.pixels_per_step, balanced, rng, healthy_share)
        with torch.set_grad_enabled(phase == 1):
            features = self.network.features(images.to(self.device))
        logits = self.network.output(features).permute(0, 2, 3, 1).flatten(0, 2)
        target = targets.reshape(-1)[chosen].to(self.device)
        loss = pixel_cross_entropy(logits[chosen.to(self.device)], target)
        if settings.l1:
            weights = (
                p.abs().sum() for p in self.network.parameters() if p.requires_grad and p.dim() > 1
            )
            loss = loss + settings.l1 * sum(weights)
        return loss

    def _validate(self, loss: float) -> dict[str, float]:
        if not self.validation_cases:
            return {"score": -loss}
        return validate(self._kept, self.validation_cases, self.experiment.data.validation_slices)

    def _keep(self, state: TrainingState, score: float, phase: PhaseConfig) -> None:
        """Keep the weights of this epoch if they are the best, or in any case without early stopping."""
        if not phase.patience or not state.best_network or score > state.best_score:
            state.best_score, state.best_epoch = score, state.epoch
            state.best_network = _copy(self._kept.state_dict())

    def _is_stale(self, state: TrainingState, phase: PhaseConfig) -> bool:
        return bool(phase.patience) and state.epoch - state.best_epoch >= phase.patience

    def _finish_phase(self, state: TrainingState) -> None:
        if state.best_network:
            self.network.load_state_dict(state.best_network)
        state.network = _copy(self.network.state_dict())
        state.phase += 1
        state.epoch, state.best_epoch, state.best_score = 0, 0, -float("inf")
        state.optimiser, state.average, state.best_network = {}, {}, {}
        save_state(self.folder, state)

    def _fraction(self, state: TrainingState, step: int) -> float:
        phases = [self.settings.phase1, self.settings.phase2]
        totals = [p.epochs * p.steps_per_epoch for p in phases]
        before = sum(totals[: state.phase - 1])
        if state.phase > len(phases):
            return 1.0
        steps = before + state.epoch * phases[state.phase - 1].steps_per_epoch + step
        return steps / max(sum(totals), 1)

    def _report(self, row: dict, seconds: float) -> None:
        values = ", ".join(f"{k} {v:.4f}" for k, v in row.items() if isinstance(v, float))
        text = f"phase {row['phase']} epoch {row['epoch']}: {values} ({seconds:.0f} s)"
        self.progress.message(text)


def adam_rate_scale(weight: torch.Tensor) -> float:
    """Return the share of the learning rate that suits a layer under Adam.

    Adam moves every weight by about the learning rate, so a layer's output moves in proportion to its
    inputs; the rate of layers with more than 1000 inputs per unit is reduced by their number (the rule for
    widths of Yang et al. 2021, "Tensor Programs V"). The 21 x 21 output layer has 98,784.
    """
    inputs = weight[0].numel() if weight.dim() > 1 else 1
    return min(1.0, 1000 / inputs)


def _set_schedule(optimiser: torch.optim.Optimizer, phase: PhaseConfig, done: float) -> None:
    """Move learning rate and momentum linearly with the share of steps done."""
    for group in optimiser.param_groups:
        rate = phase.learning_rate + done * (phase.final_learning_rate - phase.learning_rate)
        group["lr"] = rate * group.get("rate_scale", 1.0)
        if "momentum" in group:
            group["momentum"] = phase.momentum + done * (phase.final_momentum - phase.momentum)


def _copy(state_dict: dict) -> dict:
    return {key: value.detach().cpu().clone() for key, value in state_dict.items()}
