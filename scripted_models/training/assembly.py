"""Networks made from trained parts, and the description of what a run has made."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from torch import nn

from scripted_models.bundle.weights import Model, load_model
from scripted_models.errors import InputError
from scripted_models.labels import LABELS
from scripted_models.networks import NETWORKS, build_network
from scripted_models.networks.crf_rnn import CRFRNN
from scripted_models.networks.weight_files import IMAGE_SCALES, load_published
from scripted_models.sequences import SEQUENCES
from scripted_models.tasks.brains.training_cases import space_of
from scripted_models.tasks.voc.classes import CLASSES
from scripted_models.training.augmentation import KEPT
from scripted_models.training.checkpoint import TrainingState
from scripted_models.training.experiment_config import Experiment, NetworkConfig
from scripted_models.transforms.preprocessing import kept_sequences


def trains(experiment: Experiment) -> bool:
    """True when the network of an experiment has weights of its own to train.

    Raises:
        ModelError: unknown network.
    """
    name = experiment.network.name
    if name not in NETWORKS:
        build_network(name)  # says which are known
    return NETWORKS[name].trains


def make_network(experiment: Experiment) -> tuple[nn.Module, dict]:
    """Build the network and give it its trained parts, such as the first network of a cascade.

    Returns:
        The network, and the arguments that build it again.

    Raises:
        InputError: a part is not stated, of another kind, or made for other inputs.
        ModelError: a part cannot be loaded.
    """
    loaded = load_parts(experiment)
    config = experiment.network
    arguments = {name: model.description["network"]["arguments"] for name, model in loaded.items()}
    arguments.update(config.arguments)
    network = build_network(config.name, **arguments)
    _refuse_other_sizes(experiment, network)
    if config.start:
        _start_from(network, config.start, experiment.data.layout)
    for name, model in loaded.items():
        getattr(network, name).load_state_dict(model.network.state_dict())
    arguments.pop("initialization", None)
    return network, arguments


def _refuse_other_sizes(experiment: Experiment, network: nn.Module) -> None:
    """Refuse a network whose channels and classes are not those of the data."""
    kept = kept_sequences(experiment.preprocessing)
    is_voc = experiment.data.layout == "voc"
    channels = 3 if is_voc else len(kept or SEQUENCES)
    classes = len(CLASSES) if is_voc else len(LABELS)
    if (network.in_channels, network.num_classes) != (channels, classes):
        images = "pictures" if is_voc else ", ".join(kept or SEQUENCES)
        raise InputError(
            f"The network {experiment.network.name} has {network.in_channels} image channels and "
            f"{network.num_classes} classes, expected {channels} (of {images}) and {classes}; set "
            f"in_channels = {channels} and num_classes = {classes} in network.arguments, or change the "
            "preprocessing."
        )


def _start_from(network: nn.Module, start: str, layout: str) -> None:
    """Take weights from a model folder, or published ones from a file."""
    if Path(start).is_file():
        load_published(network, Path(start))
        return
    model = load_model(start, layout).network
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
        if list(model.description["preprocessing"]) != list(experiment.preprocessing):
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


def join_parts(experiment: Experiment) -> tuple[nn.Module, dict]:
    """Join trained networks into one that is not trained itself; return it with its description."""
    network, arguments = make_network(experiment)
    names = _all_cases(list(load_parts(experiment).values()))
    return network, describe(experiment, arguments, names, TrainingState({}))


def join_folds(experiment: Experiment, folders: Sequence[Path]) -> tuple[nn.Module, dict]:
    """Join the models of all folds into an ensemble that votes; return it with its description."""
    models = [load_model(str(folder)) for folder in folders]
    own = models[0].description["network"]
    arguments = {"network": own["name"], "members": len(models), **own["arguments"]}
    if experiment.data.voting != "hard":
        arguments["voting"] = experiment.data.voting
    network = build_network("VotedEnsemble", **arguments)
    for member, model in zip(network.members, models, strict=True):
        member.load_state_dict(model.network.state_dict())
    description = describe(experiment, arguments, _all_cases(models), TrainingState({}))
    return network, {**description, "network": {"name": "VotedEnsemble", "arguments": arguments}}


def _all_cases(models: Sequence[Model]) -> tuple[list[str], list[str]]:
    """Names of the cases that trained any of the models, and of those that only validated."""
    stated = [model.description["training"] for model in models]
    train = {name for one in stated for name in one["train"]}
    validation = {name for one in stated for name in one["validation"]}
    return sorted(train), sorted(validation - train)


def describe(
    experiment: Experiment,
    arguments: dict,
    names: Sequence[Sequence[str]],
    state: TrainingState,
) -> dict:
    """Return the content of model.json.

    Args:
        experiment: settings.
        arguments: of the network.
        names: training and validation cases.
        state: of the run, finished or after a phase.
    """
    space = space_of(experiment.data)
    real = list(dict.fromkeys(name for name in names[0] if not name.startswith("phantom_")))
    return {
        "name": experiment.name,
        "summary": experiment.description,
        "network": {"name": experiment.network.name, "arguments": arguments},
        **(_voc(experiment) if experiment.data.layout == "voc" else _brains(experiment)),
        "training_space": {
            "orientation": space.orientation,
            "spacing_xyz_mm": list(space.spacing_xyz_mm),
            "tolerance": space.tolerance,
        },
        "preprocessing": list(experiment.preprocessing),
        "postprocessing": list(experiment.postprocessing),
        **({"crf": dict(experiment.crf)} if experiment.crf else {}),
        **({"decision": dict(experiment.decision)} if experiment.decision else {}),
        "training": {
            "statement": experiment.data.statement.strip(),
            "train": real,
            "contrast_suppressed": min(experiment.data.contrast_suppressed, len(real)),
            "phantoms": experiment.data.phantoms + experiment.data.low_grade_phantoms,
            "validation": list(names[1]),
            "seed": experiment.training.seed,
            "epochs": [sum(row["phase"] == phase for row in state.history) for phase in (1, 2)],
            "seconds": round(state.seconds, 1),
            "validation_dice": _kept_dice(experiment, state),
        },
    }


def _voc(experiment: Experiment) -> dict:
    """Return what a description says of pictures and their classes."""
    scale = IMAGE_SCALES[experiment.data.image_scale]
    return {
        "layout": "voc",
        "channels": list(scale.colors),
        "image_scale": asdict(scale),
        "labels": {str(index): name for index, name in enumerate(CLASSES)},
    }


def _brains(experiment: Experiment) -> dict:
    """Return what a description says of sequences and labels."""
    return {
        "channels": list(SEQUENCES),
        **_optional_sequences(experiment),
        "labels": {str(label): name for label, name in LABELS.items()},
    }


def _optional_sequences(experiment: Experiment) -> dict[str, list[str]]:
    """Say which sequences are used, and which one is needed where training left others out."""
    kept = kept_sequences(experiment.preprocessing)
    if len(kept) < len(SEQUENCES):
        return {"sequences": list(kept), **({"needs_one_of": list(kept)} if len(kept) == 1 else {})}
    dropped = [s for s in experiment.training.augmentation if s["step"] == "drop_sequences"]
    return {"needs_one_of": list(dropped[0].get("keep", KEPT))} if dropped else {}


def _kept_dice(experiment: Experiment, state: TrainingState) -> dict[str, float]:
    """Return the validation scores of the epoch whose weights were kept."""
    if not state.history:
        return {}
    phase = state.history[-1]["phase"]
    rows = [row for row in state.history if row["phase"] == phase]
    early = getattr(experiment.training, f"phase{phase}").patience
    kept = max(rows, key=lambda row: row["score"]) if early else rows[-1]
    return {key[5:]: round(value, 4) for key, value in kept.items() if key.startswith("dice")}
