"""From an experiment to a trained model folder."""

from pathlib import Path

import torch
from torch import nn

from scripted_models.config import Experiment, NetworkConfig
from scripted_models.errors import InputError
from scripted_models.files import make_folder
from scripted_models.inference import choose_device
from scripted_models.labels import LABELS, LabelCoding
from scripted_models.modalities import MODALITIES
from scripted_models.model_folder import Model, load_model, write_model
from scripted_models.networks import NETWORKS, build_network
from scripted_models.progress import Progress
from scripted_models.space import TrainingSpace
from scripted_models.training.checkpoint import FILE_NAME, TrainingState, load_state
from scripted_models.training.data import load_cases
from scripted_models.training.run import Trainer
from scripted_models.training.sampling import TrainingCase

MODEL = "model"


def train_experiment(
    experiment: Experiment,
    data: Path,
    output: Path,
    progress: Progress,
    resume: bool = False,
    device: str = "auto",
    coding: LabelCoding | None = None,
) -> Path:
    """Train a network, or go on training it.

    Args:
        experiment: settings.
        data: folder of cases with label maps.
        output: run folder; receives checkpoint.pt, metrics.csv and the model folder `model`.
        progress: told about cases and epochs.
        resume: go on from the checkpoint in `output`; from the start when there is none yet.
        device: 'auto', 'cpu' or 'cuda'.
        coding: overrules the label coding that the naming implies.

    Returns:
        The model folder.

    Raises:
        InputError: unusable data, or `output` holds another run and `resume` is not set.
    """
    plain = experiment.to_dict()
    plain.pop("postprocessing")  # replayed at inference only
    state = _first_state(Path(output), plain, resume, progress)
    torch.manual_seed(experiment.training.seed)
    network = make_network(experiment).to(choose_device(device)[0])
    progress.stage("read", 0.0)
    cases = load_cases(experiment, data, coding, lambda name: progress.message(f"reading {name}"))
    make_folder(output)
    progress.stage("train", 0.0)
    Trainer(experiment, network, cases, output, progress).run(state)
    description = describe(experiment, cases, state)
    return write_model(Path(output) / MODEL, network, description)


def _first_state(output: Path, plain: dict, resume: bool, progress: Progress) -> TrainingState:
    if not (output / FILE_NAME).exists():
        if resume:  # a run that was stopped in its first epoch
            progress.message(f"{output}: no checkpoint yet, the run starts from the beginning")
        return TrainingState(plain)
    if resume:
        return load_state(output, plain)
    raise InputError(
        f"{output}: holds a training run already; add --resume to go on or choose another --output."
    )


def make_network(experiment: Experiment) -> nn.Module:
    """Build the network and give it its trained parts, such as the first network of a cascade.

    Raises:
        InputError: a part is not stated or of another kind.
        ModelError: a part cannot be loaded.
    """
    config, parts = experiment.network, NETWORKS[experiment.network.name].parts
    loaded = {name: _load_part(config, name, kind) for name, kind in parts.items()}
    arguments = {name: model.description["network"]["arguments"] for name, model in loaded.items()}
    network = build_network(config.name, **{**arguments, **config.arguments})
    for name, model in loaded.items():
        getattr(network, name).load_state_dict(model.network.state_dict())
    return network


def _load_part(config: NetworkConfig, name: str, kind: str) -> Model:
    if name not in config.parts:
        raise InputError(
            f"{config.name} needs a trained {kind}: set network.parts.{name} to the path of its model folder."
        )
    model = load_model(config.parts[name])
    if not isinstance(model.network, NETWORKS[kind].build):
        raise InputError(
            f"network.parts.{name} is a {type(model.network).__name__}, expected a {kind}; name another folder."
        )
    return model


def describe(
    experiment: Experiment,
    cases: tuple[list[TrainingCase], list[TrainingCase]],
    state: TrainingState,
) -> dict:
    """Return the content of model.json for a finished run."""
    arguments = {k: v for k, v in experiment.network.arguments.items() if k != "initialisation"}
    space = TrainingSpace()
    rows = [row for row in state.history if row["phase"] == 2]
    early = experiment.training.phase2.patience
    kept = max(rows, key=_score, default={}) if early else (rows or [{}])[-1]
    return {
        "name": experiment.name,
        "summary": experiment.description,
        "network": {"name": experiment.network.name, "arguments": arguments},
        "channels": list(MODALITIES),
        "labels": {str(label): name for label, name in LABELS.items()},
        "training_space": {
            "orientation": space.orientation,
            "spacing_xyz_mm": list(space.spacing_xyz_mm),
            "tolerance": space.tolerance,
        },
        "preprocessing": list(experiment.preprocessing),
        "postprocessing": list(experiment.postprocessing),
        "training": {
            "statement": experiment.data.statement.strip(),
            "train": [c.name for c in cases[0] if not c.name.startswith("phantom_")],
            "phantoms": experiment.data.phantoms,
            "validation": [c.name for c in cases[1]],
            "seed": experiment.training.seed,
            "epochs": [sum(row["phase"] == phase for row in state.history) for phase in (1, 2)],
            "validation_dice": {
                k[5:]: round(v, 4) for k, v in kept.items() if k.startswith("dice")
            },
        },
    }


def _score(row: dict) -> float:
    return row["score"]
