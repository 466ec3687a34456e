"""The training loop: two phases, early stopping, a checkpoint after every epoch.

Source: Havaei et al. 2017, "Two-phase training". Phase 1 trains all weights on labels drawn equally
often; phase 2 keeps everything but the output layer and trains that on labels as they occur. A run
that is stopped at any moment is resumed from its last finished epoch and ends with the same
weights, because all randomness of an epoch is derived from (seed, phase, epoch).
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from scripted_models.errors import InputError
from scripted_models.networks.havaei import set_output_bias
from scripted_models.networks.slice_network import SegmentationNetwork
from scripted_models.runtime.processor_cores import useful_threads
from scripted_models.runtime.progress import Progress
from scripted_models.training import distributed
from scripted_models.training.checkpoint import TrainingState, Weights, save_state
from scripted_models.training.experiment_config import Experiment, PhaseConfig
from scripted_models.training.first_checks import refuse_two_phases
from scripted_models.training.losses import (
    pixel_cross_entropy,
    region_dice_loss,
    weight_penalty,
)
from scripted_models.training.optimizer import bound_kernels, make_optimizer, rates, set_rates
from scripted_models.training.precision import MixedPrecision
from scripted_models.training.records import Row, write_records, write_snapshot
from scripted_models.training.sampling import (
    EpochPatches,
    Patch,
    PatchSampler,
    label_frequencies,
)
from scripted_models.training.task import Task
from scripted_models.training.training_case import TrainingCase

Cases = tuple[list[TrainingCase], list[TrainingCase]]  # those that train, those that validate


class PixelLogits(nn.Module):
    """A network with the choice of pixels: what one step evaluates.

    Args:
        network: what is trained.
        precision: what the hidden layers compute in; an output layer of its own computes in
            float32.
        only_output: evaluate the hidden layers without gradient (phase 2).
    """

    def __init__(self, network: SegmentationNetwork, precision: MixedPrecision, only_output: bool):
        super().__init__()
        self.network, self.precision, self.only_output = network, precision, only_output

    def forward(self, images: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, [D,] H, W) and flat output pixels (N, P) to logits (N * P, classes)."""
        network: Any = self.network
        with torch.set_grad_enabled(not self.only_output), self.precision.autocast():
            two = network.has_two_phases
            maps = network.features(images) if two else network(images)
        logits: torch.Tensor = network.output(maps.float()) if two else maps.float()
        logits = logits.flatten(2)  # (N, classes, pixels)
        index = chosen[:, None].expand(-1, logits.shape[1], -1)
        return logits.gather(2, index).transpose(1, 2).flatten(0, 1)


class Trainer:
    """Runs the phases of one experiment.

    Args:
        experiment: settings.
        network: what is trained, as it starts; in two phases only if it `has_two_phases`.
        cases: training and validation cases.
        task: scores the network after an epoch.
        folder: run folder for checkpoint, records and snapshots.
        progress: receives epochs and the remaining time.
        after_phase: called with the number of a phase when the network holds its final weights.
    """

    def __init__(
        self,
        experiment: Experiment,
        network: SegmentationNetwork,
        cases: Cases,
        task: Task,
        folder: Path,
        progress: Progress,
        after_phase: Callable[[int], None] = lambda phase: None,
    ):
        self.experiment, self.network, self.folder = experiment, network, Path(folder)
        self.settings = experiment.training
        self.train_cases, self.validation_cases = cases
        self.task = task
        self.progress, self.after_phase = progress, after_phase
        self.sampler = PatchSampler(self.train_cases, self.settings, network)
        self.device = next(network.parameters()).device
        self.precision = MixedPrecision(self.settings.precision, self.device)
        self.trainable = [p for p in network.parameters() if p.requires_grad]
        self.average: AveragedModel | None = None
        self.start = _copy(network.state_dict()) if self.settings.start_share else {}

    def run(self, state: TrainingState) -> TrainingState:
        """Train until all phases are done, from wherever the state stands.

        Raises:
            InputError: two phases of a network that has no output layer of its own, or a loss of
                NaN.
        """
        refuse_two_phases(self.settings, self.network)
        if self.settings.threads:
            threads, problem = useful_threads(self.settings.threads, "training.threads")
            if problem:
                self.progress.warning(problem.sentence, **problem.fields)
            torch.set_num_threads(threads)
        if state.network:
            self.network.load_state_dict(state.network)
        self.progress.skip(self._fraction(state, 0))
        for phase, settings in self._phases():
            if state.phase == phase:
                self._run_phase(state, settings)
        return state

    def _phases(self) -> list[tuple[int, PhaseConfig]]:
        both = [(1, self.settings.phase1), (2, self.settings.phase2)]
        return both[: self.settings.phases]

    def _run_phase(self, state: TrainingState, phase: PhaseConfig) -> None:
        optimizer = self._start_phase(state)
        step_module = distributed.parallel(
            PixelLogits(self.network, self.precision, only_output=state.phase == 2)
        )
        while state.epoch < phase.epochs and not self._is_stale(state, phase):
            started = time.monotonic()
            loss = self._train_epoch(state, phase, optimizer, step_module)
            scores = self._validate(loss)
            state.epoch += 1
            state.seconds += time.monotonic() - started
            row: Row = {"phase": state.phase, "epoch": state.epoch, "loss": loss, **scores}
            state.history.append(row)
            self._keep(state, scores["score"], phase)
            self._record(state, optimizer)
            self._report(row, time.monotonic() - started)
        self._finish_phase(state)

    def _start_phase(self, state: TrainingState) -> torch.optim.Optimizer:
        output = {id(p) for p in self._output.parameters()} if state.phase == 2 else set()
        for parameter in self.trainable:
            parameter.requires_grad_(state.phase == 1 or id(parameter) in output)
        with_bias = self.settings.output_bias == f"phase{state.phase}"
        if with_bias and not state.epoch and self.network.has_two_phases:
            self._add_label_frequencies()
        optimizer = make_optimizer(self.network, self.settings)
        if state.optimizer:
            optimizer.load_state_dict(state.optimizer)
        self.precision.load_state(state.scaler)
        if self.settings.average_decay:
            self.average = self._start_average(state)
        return optimizer

    def _start_average(self, state: TrainingState) -> AveragedModel:
        decay = get_ema_multi_avg_fn(self.settings.average_decay)
        average = AveragedModel(self.network, multi_avg_fn=decay)
        if state.average:
            average.load_state_dict(state.average)
        return average

    @property
    def _kept(self) -> SegmentationNetwork:
        """The network that is validated and kept: the moving average, or the trained one itself."""
        return cast(SegmentationNetwork, self.average.module) if self.average else self.network

    @property
    def _output(self) -> nn.Conv2d:
        """The output layer of a network that has two phases."""
        return cast(nn.Conv2d, self.network.output)

    def _add_label_frequencies(self) -> None:
        """Move the output bias from equal label frequencies to those of the brain (Bayes' rule)."""
        frequencies = label_frequencies(self.train_cases, self.settings.healthy_share)
        bias = cast(torch.Tensor, self._output.bias)
        before = bias.detach().clone()
        set_output_bias(self.network, frequencies.to(self.device))
        with torch.no_grad():
            bias += before

    def _train_epoch(
        self,
        state: TrainingState,
        phase: PhaseConfig,
        optimizer: torch.optim.Optimizer,
        module: nn.Module,
    ) -> float:
        patches = EpochPatches(
            self.sampler,
            state.phase,
            state.epoch,
            phase.steps_per_epoch,
            distributed.rank(),
            distributed.processes(),
        )
        loader = DataLoader(patches, self.settings.batch_size, num_workers=self.settings.workers)
        place = [self.settings.seed, state.phase, state.epoch, distributed.rank()]
        torch.manual_seed(int(np.random.default_rng(place).integers(2**62)))  # dropout
        self.network.train()
        total = 0.0
        for step, batch in enumerate(loader):
            set_rates(optimizer, *rates(phase, state.epoch * phase.steps_per_epoch + step))
            total += self._step(module, batch, optimizer)
            self.progress.update(self._fraction(state, step + 1))
        return distributed.mean(total / phase.steps_per_epoch)

    def _step(self, module: nn.Module, batch: Patch, optimizer: torch.optim.Optimizer) -> float:
        images, chosen, targets = (part.to(self.device, non_blocking=True) for part in batch)
        logits, targets = module(images, chosen), targets.flatten()
        loss = pixel_cross_entropy(logits, targets, self.settings.reduction)
        if self.settings.dice:
            loss = loss + self.settings.dice * region_dice_loss(
                logits, targets, self.settings.missed
            )
        optimizer.zero_grad(set_to_none=True)
        penalty = weight_penalty(self.network, self.settings.l1, self.settings.l2)
        self.precision.step(loss + penalty, optimizer)
        if self.settings.max_norm:
            bound_kernels((p for p in self.trainable if p.requires_grad), self.settings.max_norm)
        if self.average:
            self.average.update_parameters(self.network)
        value = loss.item()
        if not np.isfinite(value):
            raise InputError(
                found=f"a loss of {value} in training",
                expected="a finite number",
                action="lower the learning rate (training.phase1.learning_rate, "
                "training.phase2.learning_rate)",
            )
        return value

    def _validate(self, loss: float) -> dict[str, float]:
        if not self.validation_cases:
            return {"score": -loss}
        return self.task.validate(self._kept, self.validation_cases, self.experiment)

    def _keep(self, state: TrainingState, score: float, phase: PhaseConfig) -> None:
        """Keep the weights of this epoch if they are the best; without early stopping always."""
        if not phase.patience or not state.best_network or score > state.best_score:
            state.best_score, state.best_epoch = score, state.epoch
            state.best_network = _copy(self._kept.state_dict())

    def _is_stale(self, state: TrainingState, phase: PhaseConfig) -> bool:
        return bool(phase.patience) and state.epoch - state.best_epoch >= phase.patience

    def _record(self, state: TrainingState, optimizer: torch.optim.Optimizer) -> None:
        """Write checkpoint, records and snapshot of a finished epoch."""
        state.network = _copy(self.network.state_dict())
        state.patches_per_step = self.settings.batch_size * distributed.processes()
        state.optimizer = optimizer.state_dict()
        state.scaler = self.precision.state()
        state.average = _copy(self.average.state_dict()) if self.average else {}
        if distributed.rank() == 0:
            every = self.settings.snapshot_every
            if every and (state.epoch == 1 or state.epoch % every == 0):
                write_snapshot(
                    self.folder, state.phase, state.epoch, _copy(self._kept.state_dict())
                )
            save_state(self.folder, state)
            write_records(self.folder, state.history)

    def _finish_phase(self, state: TrainingState) -> None:
        if state.best_network:
            self.network.load_state_dict(state.best_network)
        if self.start and state.phase == self.settings.phases:
            self._mix_with_start()
        for parameter in self.trainable:
            parameter.requires_grad_(True)
        self.after_phase(state.phase)
        state.network = _copy(self.network.state_dict())
        state.phase += 1
        state.epoch, state.best_epoch, state.best_score = 0, 0, -float("inf")
        state.optimizer, state.scaler, state.average, state.best_network = {}, {}, {}, {}
        if distributed.rank() == 0:
            save_state(self.folder, state)
        distributed.wait_for_all()

    def _mix_with_start(self) -> None:
        """Take the weighted mean of the weights and those of the start; whole numbers stay."""
        share = self.settings.start_share
        for key, value in self.network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(self.start[key].to(value.device), share)

    def _fraction(self, state: TrainingState, step: int) -> float:
        phases = self._phases()
        totals = [settings.epochs * settings.steps_per_epoch for _, settings in phases]
        if state.phase > len(phases):
            return 1.0
        steps = sum(totals[: state.phase - 1]) + step
        steps += state.epoch * phases[state.phase - 1][1].steps_per_epoch
        return steps / max(sum(totals), 1)

    def _report(self, row: Row, seconds: float) -> None:
        values = ", ".join(f"{k} {v:.4f}" for k, v in row.items() if isinstance(v, float))
        text = f"phase {row['phase']} epoch {row['epoch']}: {values} ({seconds:.0f} s)"
        self.progress.message(text)


def _copy(state_dict: dict[str, Any]) -> Weights:
    return {key: value.detach().cpu().clone() for key, value in state_dict.items()}
