"""Networks made from trained parts, and the description of what a run has made."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from scripted_models.bundle.description import (
    ModelDescription,
    NetworkDescription,
    TaskName,
    TrainingRecord,
)
from scripted_models.bundle.image_scales import IMAGE_SCALES
from scripted_models.bundle.weights import Model, load_model
from scripted_models.errors import InputError
from scripted_models.labels import LABELS
from scripted_models.networks import NETWORKS, build_network
from scripted_models.networks.crf_rnn import CRFRNN
from scripted_models.networks.weight_files import load_published
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.training_cases import space_of
from scripted_models.tasks.voc.classes import CLASSES
from scripted_models.training.augmentation import KEPT
from scripted_models.training.checkpoint import TrainingState
from scripted_models.training.experiment_config import Experiment, NetworkConfig
from scripted_models.transforms.steps import kept_sequences


def trains(experiment: Experiment) -> bool:
    """True when the network of an experiment has weights of its own to train.

    Raises:
        ModelError: unknown network.
    """
    name = experiment.network.name
    if name not in NETWORKS:
        build_network(name)  # says which are known
    return NETWORKS[name].trains


def make_network(experiment: Experiment) -> tuple[nn.Module, dict[str, Any]]:
    """Build the network and give it its trained parts, such as the first network of a cascade.

    Returns:
        The network, and the arguments that build it again.

    Raises:
        InputError: a part is not stated, of another kind, or made for other inputs.
        ModelError: a part cannot be loaded.
    """
    loaded = load_parts(experiment)
    config = experiment.network
    arguments = {name: dict(model.description.network.arguments) for name, model in loaded.items()}
    arguments.update(config.arguments)
    network = build_network(config.name, **arguments)
    _refuse_other_sizes(experiment, network)
    if config.start:
        _start_from(network, config.start, experiment.data.task)
    for name, model in loaded.items():
        getattr(network, name).load_state_dict(model.network.state_dict())
    arguments.pop("initialization", None)
    return network, arguments


def _refuse_other_sizes(experiment: Experiment, network: nn.Module) -> None:
    """Refuse a network whose channels and classes are not those of the data."""
    is_voc = experiment.data.task == "voc"
    kept = () if is_voc else kept_sequences(experiment.preprocessing)
    channels = 3 if is_voc else len(kept)
    classes = len(CLASSES) if is_voc else len(LABELS)
    if (network.in_channels, network.num_classes) != (channels, classes):
        images = "pictures" if is_voc else ", ".join(kept)
        raise InputError(
            f"The network {experiment.network.name} has {network.in_channels} image channels and "
            f"{network.num_classes} classes, expected {channels} (of {images}) and {classes}; set "
            f"in_channels = {channels} and num_classes = {classes} in network.arguments, or change "
            "the preprocessing."
        )


def _start_from(network: nn.Module, start: str, task: TaskName) -> None:
    """Take weights from a model folder, or published ones from a file."""
    if Path(start).is_file():
        load_published(network, Path(start))
        return
    model = load_model(start, task).network
    if isinstance(network, CRFRNN) and not isinstance(model, CRFRNN):
        network = network.unary
    given, own = model.state_dict(), network.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    if len(fitting) < len(given) / 2:
        raise InputError(
            f"network.start: found {len(fitting)} of {len(given)} weights of {start} with the names and shapes "
            f"of a {type(network).__name__}, expected half of them or more; name another model."
        )
    network.load_state_dict({**own, **fitting})


def load_parts(experiment: Experiment) -> dict[str, Model]:
    """Load the trained networks that an experiment's network is made from."""
    parts = NETWORKS[experiment.network.name].parts
    loaded = {name: _load_part(experiment.network, name, kind) for name, kind in parts.items()}
    for name, model in loaded.items():
        if model.description.preprocessing != experiment.preprocessing:
            raise InputError(
                f"network.parts.{name} was trained with other preprocessing ({model.folder}), expected that of "
                "the experiment; use the same steps for both."
            )
    return loaded


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


def join_parts(experiment: Experiment) -> tuple[nn.Module, ModelDescription]:
    """Join trained networks into one that is not trained itself; return it with its description."""
    network, arguments = make_network(experiment)
    names = _all_cases(list(load_parts(experiment).values()))
    return network, describe(experiment, arguments, names, TrainingState({}))


def join_folds(
    experiment: Experiment, folders: Sequence[Path]
) -> tuple[nn.Module, ModelDescription]:
    """Join the models of all folds into an ensemble that votes; return it with its description."""
    models = [load_model(str(folder)) for folder in folders]
    own = models[0].description.network
    arguments = {"network": own.name, "members": len(models), **own.arguments}
    if experiment.data.voting != "hard":
        arguments["voting"] = experiment.data.voting
    network = build_network("VotedEnsemble", **arguments)
    for member, model in zip(network.members, models, strict=True):
        member.load_state_dict(model.network.state_dict())
    description = describe(experiment, arguments, _all_cases(models), TrainingState({}))
    ensemble = NetworkDescription("VotedEnsemble", arguments)
    return network, replace(description, network=ensemble)


def _all_cases(models: Sequence[Model]) -> tuple[list[str], list[str]]:
    """Names of the cases that trained any of the models, and of those that only validated."""
    stated = [model.description.training for model in models]
    train = {name for one in stated for name in one.train}
    validation = {name for one in stated for name in one.validation}
    return sorted(train), sorted(validation - train)


def describe(
    experiment: Experiment,
    arguments: dict[str, Any],
    names: Sequence[Sequence[str]],
    state: TrainingState,
) -> ModelDescription:
    """Return the description of what a run has made.

    Args:
        experiment: settings.
        arguments: of the network.
        names: training and validation cases.
        state: of the run, finished or after a phase.
    """
    real = list(dict.fromkeys(name for name in names[0] if not name.startswith("phantom_")))
    epochs = (sum(row["phase"] == phase for row in state.history) for phase in (1, 2))
    training = TrainingRecord(
        statement=experiment.data.statement.strip(),
        train=tuple(real),
        contrast_suppressed=min(experiment.data.contrast_suppressed, len(real)),
        phantoms=experiment.data.phantoms + experiment.data.low_grade_phantoms,
        validation=tuple(names[1]),
        seed=experiment.training.seed,
        epochs=(next(epochs), next(epochs)),
        seconds=round(state.seconds, 1),
        validation_dice=_kept_dice(experiment, state),
    )
    make = _describe_pictures if experiment.data.task == "voc" else _describe_brains
    return make(
        experiment,
        name=experiment.name,
        summary=experiment.description,
        network=NetworkDescription(experiment.network.name, arguments),
        training_space=space_of(experiment.data),
        crf=experiment.crf,
        training=training,
    )


def _describe_pictures(experiment: Experiment, **common: Any) -> ModelDescription:
    scale = IMAGE_SCALES[experiment.data.image_scale]
    return ModelDescription(
        task="voc",
        channels=tuple(scale.colors),
        image_scale=scale,
        labels=dict(enumerate(CLASSES)),
        preprocessing=(),
        postprocessing=(),
        **common,
    )


def _describe_brains(experiment: Experiment, **common: Any) -> ModelDescription:
    return ModelDescription(
        task="brains",
        channels=SEQUENCES,
        needs_one_of=_needs_one_of(experiment),
        labels=LABELS,
        preprocessing=experiment.preprocessing,
        postprocessing=experiment.postprocessing,
        decision=experiment.decision,
        **common,
    )


def _needs_one_of(experiment: Experiment) -> tuple[str, ...]:
    """Say which sequence is needed where training left others out."""
    kept = kept_sequences(experiment.preprocessing)
    if len(kept) < len(SEQUENCES):
        return kept if len(kept) == 1 else ()
    dropped = [s for s in experiment.training.augmentation if s["step"] == "drop_sequences"]
    return tuple(dropped[0].get("keep", KEPT)) if dropped else ()


def _kept_dice(experiment: Experiment, state: TrainingState) -> dict[str, float]:
    """Return the validation scores of the epoch whose weights were kept."""
    if not state.history:
        return {}
    phase = state.history[-1]["phase"]
    rows = [row for row in state.history if row["phase"] == phase]
    early = getattr(experiment.training, f"phase{phase}").patience
    kept = max(rows, key=lambda row: row["score"]) if early else rows[-1]
    return {key[5:]: round(value, 4) for key, value in kept.items() if key.startswith("dice")}
