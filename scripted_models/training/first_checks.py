"""What is checked before the first step, so that no setting fails only after days of training."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from scripted_models.bundle.description import ModelDescription
from scripted_models.bundle.weights import Model, load_model, write_model
from scripted_models.errors import InputError, ModelError
from scripted_models.networks.crf.dense_crf import DenseCRF
from scripted_models.networks.crf.gaussian_filters import EXACT_LIMIT
from scripted_models.networks.slice_network import SegmentationNetwork
from scripted_models.runtime.typed_tables import read_table
from scripted_models.training.augmentation import build_augmentation
from scripted_models.training.experiment_config import Experiment, TrainingConfig
from scripted_models.training.optimizer import make_optimizer
from scripted_models.training.precision import MixedPrecision
from scripted_models.training.task import CaseSource
from scripted_models.training.training_case import TrainingCase

MOST_TRIED = 2  # patches; batch normalization wants more than one
_ROUNDS = 3  # of every step of augmentation on a made-up patch


def check_settings(experiment: Experiment, network: SegmentationNetwork) -> None:
    """Refuse settings that a network cannot be trained with.

    Args:
        experiment: settings.
        network: on its device.

    Raises:
        InputError: phases without epochs, two of them for a network without an output layer of its
            own, factors for weights that are not there, or patches that the network cannot take.
    """
    settings = experiment.training
    _refuse_empty_phases(settings)
    refuse_two_phases(settings, network)
    MixedPrecision(settings.precision, next(network.parameters()).device)
    make_optimizer(network, settings)
    _try_augmentation(settings, network)
    _try_patches(settings, network)


def refuse_two_phases(settings: TrainingConfig, network: SegmentationNetwork) -> None:
    """Refuse two phases of a network that has no output layer of its own.

    Raises:
        InputError: it has none.
    """
    if settings.phases == 2 and not network.has_two_phases:
        raise InputError(
            found=f"a {type(network).__name__}, which has no output layer to train alone",
            expected="training.phases = 1",
            action="set it",
        )


def check_sources(
    experiment: Experiment, train: Sequence[CaseSource], validation: Sequence[CaseSource]
) -> None:
    """Refuse a run without training cases, and early stopping without validation cases.

    Raises:
        InputError: so it is.
    """
    if not train:
        raise InputError(
            found="no training cases", expected="at least one", action="add cases, or phantoms"
        )
    settings = experiment.training
    phases = ("phase1", "phase2")[: settings.phases]
    stopping = [f"training.{p}.patience" for p in phases if getattr(settings, p).patience]
    if stopping and not validation:
        raise InputError(
            found=f"{' and '.join(stopping)} above 0 without validation cases",
            expected="early stopping by cases that do not train",
            action="set it to 0, which keeps the last epoch, or let cases validate",
        )


def check_cases(train: Sequence[TrainingCase], validation: Sequence[TrainingCase]) -> None:
    """Refuse cases without a single voxel to train or to score on.

    Raises:
        InputError: such a case validates, or all that train are so.
    """
    empty = [case.name for case in validation if not sum(case.sizes)]
    if not any(sum(case.sizes) for case in train):
        empty += [case.name for case in train]
    if empty:
        raise InputError(
            found=f"no voxel with a label after preprocessing ({', '.join(empty[:5])})",
            expected="some in every case",
            action="look at the cases, and at data.upper_share",
        )


def check_model(
    experiment: Experiment, network: SegmentationNetwork, described: ModelDescription
) -> None:
    """Write the model folder as it will be at the end, and load it as `segment` does.

    Args:
        experiment: names the type of the weights.
        network: as it starts.
        described: its description.

    Raises:
        InputError: what `segment` would refuse.
    """
    try:
        read_table(ModelDescription, described.to_table(), InputError)
        with tempfile.TemporaryDirectory() as folder:
            kernels = getattr(torch, experiment.weights)
            write_model(Path(folder), network, described, kernels)
            loaded = load_model(folder, described.task)
            _refuse_exact_fields(loaded)
    except ModelError as error:
        raise InputError(
            found=f"settings whose model could not be used: {error.found}",
            expected=error.expected,
            action="change them in the experiment",
        ) from error


def _refuse_exact_fields(model: Model) -> None:
    """Refuse a CRF whose filter takes a patch, but no whole slice or picture."""
    parts = [*model.network.modules(), model.crf]
    if any(isinstance(part, DenseCRF) and part.backend == "exact" for part in parts):
        raise InputError(
            found=f"a CRF with backend = 'exact', which is for at most {EXACT_LIMIT} pixels in all",
            expected="'permutohedral' or 'window'",
            action="change it in the experiment",
        )


def refuse_broken_weights(network: nn.Module, kernels: torch.dtype) -> None:
    """Refuse weights that are NaN or infinite, also in the type that is written.

    Raises:
        InputError: there are some.
    """
    for name, value in network.state_dict().items():
        stored = value.to(kernels) if value.dim() > 1 else value
        if value.is_floating_point() and not torch.isfinite(stored).all():
            raise InputError(
                found=f"NaN or infinity in the trained weights {name}",
                expected="finite numbers",
                action="lower the learning rate (training.phase1.learning_rate, "
                "training.phase2.learning_rate)",
            )


def _refuse_empty_phases(settings: TrainingConfig) -> None:
    for phase in ("phase1", "phase2")[: settings.phases]:
        if not getattr(settings, phase).epochs:
            raise InputError(
                found=f"training.{phase}.epochs = 0",
                expected="at least 1 epoch in each of the phases",
                action="raise it, or set training.phases = 1",
            )


def _try_augmentation(settings: TrainingConfig, network: SegmentationNetwork) -> None:
    """Change a made-up patch with every step."""
    steps = [{**step, "prob": 1.0} for step in settings.augmentation]
    augment = build_augmentation(steps, network.in_channels, network.dimensions)
    size = settings.output_size + 2 * max(network.margins)
    shape = (network.input_channels, *(size,) * network.dimensions)
    image = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    target = np.zeros((settings.output_size,) * network.dimensions, np.uint8)
    for seed in range(_ROUNDS if steps else 0):
        if not np.isfinite(augment(image, target, seed)[0]).all():
            raise InputError(
                found="steps in training.augmentation that make NaN or infinity of a patch",
                expected="finite intensities",
                action="choose smaller ranges",
            )


def _try_patches(settings: TrainingConfig, network: SegmentationNetwork) -> None:
    """Show a network a few of the patches that it will train on; it stays as it is."""
    size = settings.output_size + sum(network.margins)
    count = min(settings.batch_size, MOST_TRIED)
    shape = (count, network.input_channels, *(size,) * network.dimensions)
    device = next(network.parameters()).device
    kept = {name: value.clone() for name, value in network.named_buffers()}
    was_training = network.training
    try:
        with torch.no_grad():
            logits = network.train()(torch.zeros(shape, device=device))
    except (RuntimeError, ValueError, IndexError) as error:
        if isinstance(error, MemoryError) or "memory" in str(error):
            raise
        raise _unfit_patches(settings, network, str(error).splitlines()[0]) from error
    finally:
        network.train(was_training)
        for name, value in network.named_buffers():
            value.copy_(kept[name])
    if logits.shape[2:] != (settings.output_size,) * network.dimensions:
        found = " x ".join(map(str, logits.shape[2:]))
        raise _unfit_patches(settings, network, f"the output has {found}")


def _unfit_patches(settings: TrainingConfig, network: nn.Module, why: str) -> InputError:
    return InputError(
        found=f"training.output_size = {settings.output_size} and training.batch_size = "
        f"{settings.batch_size}, which a {type(network).__name__} cannot take ({why})",
        expected="patches of another size",
        action="raise training.output_size, or choose a multiple of the network's stride",
    )
