"""Networks made from trained parts, and the description of what a run has made."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from torch import nn

from scripted_models.bundle.description import (
    ModelDescription,
    NetworkDescription,
    Region,
    TrainingRecord,
)
from scripted_models.bundle.weights import Model, load_model
from scripted_models.errors import InputError
from scripted_models.labels import REGIONS
from scripted_models.networks import ENSEMBLES, NETWORKS, build_network
from scripted_models.networks.crf_rnn import CRFRNN
from scripted_models.networks.slice_network import SegmentationNetwork
from scripted_models.networks.weight_files import load_published
from scripted_models.runtime.memory import is_shortage
from scripted_models.runtime.typed_tables import refusing
from scripted_models.training.checkpoint import TrainingState
from scripted_models.training.experiment_config import Experiment, NetworkConfig
from scripted_models.training.task import Task
from scripted_models.transforms.volume_networks import OUR_AXES, SlidingWindow


def trains(experiment: Experiment) -> bool:
    """True when the network of an experiment has weights of its own to train.

    Raises:
        ModelError: unknown network.
    """
    name = experiment.network.name
    if name not in NETWORKS:
        build_network(name)  # says which are known
    return NETWORKS[name].trains


def make_network(experiment: Experiment, task: Task) -> tuple[SegmentationNetwork, dict[str, Any]]:
    """Build the network and give it its trained parts, such as the first network of a cascade.

    Returns:
        The network, and the arguments that build it again.

    Raises:
        InputError: a part is not stated, of another kind, or made for other inputs.
        ModelError: a part cannot be loaded.
    """
    loaded = load_parts(experiment, task)
    config = experiment.network
    arguments = {name: dict(model.description.network.arguments) for name, model in loaded.items()}
    arguments.update(config.arguments)
    network = _build(config.name, arguments)
    _refuse_other_sizes(experiment, network, task)
    if config.start:
        _start_from(network, config.start, task)
    for name, model in loaded.items():
        getattr(network, name).load_state_dict(model.network.state_dict())
    arguments.pop("initialization", None)
    return network, arguments


def _build(name: str, arguments: dict[str, Any]) -> SegmentationNetwork:
    """Build a network; what PyTorch says of sizes below 0 is an error of the user's, too."""
    try:
        return build_network(name, **arguments)
    except (RuntimeError, ArithmeticError) as error:
        if is_shortage(error):
            raise
        raise InputError(
            found=f"network.arguments that a {name} cannot have ({str(error).splitlines()[0]})",
            expected="those that it takes",
            action="correct them",
        ) from error


def _refuse_other_sizes(experiment: Experiment, network: SegmentationNetwork, task: Task) -> None:
    """Refuse a network whose channels and classes are not those of the data."""
    channels, classes = task.channels(experiment), len(task.classes)
    if (network.in_channels, network.num_classes) != (len(channels), classes):
        raise InputError(
            found=f"{network.in_channels} image channels and {network.num_classes} classes in the "
            f"network {experiment.network.name}",
            expected=f"{len(channels)} ({', '.join(channels)}) and {classes}",
            action=f"set in_channels = {len(channels)} and num_classes = {classes} in "
            "network.arguments, or change the preprocessing",
        )


def _start_from(network: nn.Module, start: str, task: Task) -> None:
    """Take weights from a model folder, or published ones from a file."""
    if Path(start).is_file():
        load_published(network, Path(start))
        return
    model = load_model(start, task.name).network
    if isinstance(network, CRFRNN) and not isinstance(model, CRFRNN):
        network = network.unary
    given, own = model.state_dict(), network.state_dict()
    fitting = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
    if len(fitting) < len(given) / 2:
        raise InputError(
            found=f"{len(fitting)} of {len(given)} weights with the names and shapes of a "
            f"{type(network).__name__} in network.start",
            expected="half of them or more",
            action="name another model",
            path=start,
        )
    network.load_state_dict({**own, **fitting})


def load_parts(experiment: Experiment, task: Task) -> dict[str, Model]:
    """Load the trained networks that an experiment's network is made from."""
    parts = NETWORKS[experiment.network.name].parts
    loaded = {
        name: _load_part(experiment.network, name, kind, task) for name, kind in parts.items()
    }
    for name, model in loaded.items():
        if model.description.preprocessing != experiment.preprocessing:
            raise InputError(
                found=f"network.parts.{name}, trained with other preprocessing",
                expected="that of the experiment",
                action="use the same steps for both",
                path=model.folder,
            )
    return loaded


def _load_part(config: NetworkConfig, name: str, kind: str, task: Task) -> Model:
    if name not in config.parts:
        raise InputError(
            found=f"no network.parts.{name} for a {config.name}",
            expected=f"a trained {kind}",
            action="set it to the path of its model folder",
        )
    model = load_model(config.parts[name], task.name)
    if not isinstance(model.network, cast(type, NETWORKS[kind].build)):
        raise InputError(
            found=f"a {type(model.network).__name__} in network.parts.{name}",
            expected=f"a {kind}",
            action="name another folder",
            path=model.folder,
        )
    return model


def join_parts(experiment: Experiment, task: Task) -> tuple[SegmentationNetwork, ModelDescription]:
    """Join trained networks into one that is not trained itself; return it with its description."""
    network, arguments = make_network(experiment, task)
    names = _all_cases(list(load_parts(experiment, task).values()))
    return network, describe(experiment, task, arguments, names, TrainingState({}))


def join_folds(
    experiment: Experiment, task: Task, folders: Sequence[Path]
) -> tuple[SegmentationNetwork, ModelDescription]:
    """Join the models of all folds into an ensemble; return it with its description."""
    models = [load_model(str(folder), task.name) for folder in folders]
    own = models[0].description.network
    dimensions = NETWORKS[own.name].dimensions
    name = ENSEMBLES[dimensions]
    arguments = {"network": own.name, "members": len(models), **own.arguments}
    if experiment.data.voting != "hard" and dimensions == 2:
        arguments["voting"] = experiment.data.voting
    network = build_network(name, **arguments)
    members = cast(nn.ModuleList, network.members)
    for member, model in zip(members, models, strict=True):
        member.load_state_dict(model.network.state_dict())
    description = describe(experiment, task, arguments, _all_cases(models), TrainingState({}))
    return network, replace(description, network=NetworkDescription(name, arguments))


def _all_cases(models: Sequence[Model]) -> tuple[list[str], list[str]]:
    """Names of the cases that trained any of the models, and of those that only validated."""
    stated = [model.description.training for model in models]
    train = {name for one in stated for name in one.train}
    validation = {name for one in stated for name in one.validation}
    return sorted(train), sorted(validation - train)


def describe(
    experiment: Experiment,
    task: Task,
    arguments: dict[str, Any],
    names: Sequence[Sequence[str]],
    state: TrainingState,
) -> ModelDescription:
    """Return the description of what a run has made.

    Args:
        experiment: settings.
        task: says what channels and labels mean.
        arguments: of the network.
        names: training and validation cases.
        state: of the run, finished or after a phase.

    Raises:
        InputError: settings that a model cannot have.
    """
    real = list(dict.fromkeys(name for name in names[0] if not name.startswith("phantom_")))
    epochs = (sum(row["phase"] == phase for row in state.history) for phase in (1, 2))
    training = TrainingRecord(
        statement=experiment.data.statement.strip(),
        train=tuple(real),
        contrast_suppressed=min(experiment.data.contrast_suppressed, len(real)),
        degraded=experiment.data.degraded if real else 0,
        transplanted=experiment.data.transplanted if len(real) > 1 else 0,
        phantoms=experiment.data.phantoms + experiment.data.low_grade_phantoms,
        validation=tuple(names[1]),
        seed=experiment.training.seed,
        epochs=(next(epochs), next(epochs)),
        seconds=round(state.seconds, 1),
        validation_dice=_kept_dice(experiment, state),
    )
    with refusing(InputError):
        return ModelDescription(
            name=experiment.name,
            summary=experiment.description,
            task=task.name,
            network=NetworkDescription(experiment.network.name, arguments),
            crf=experiment.crf,
            sliding_window=window_of(experiment),
            training=training,
            **task.describe(experiment),
        )


def window_of(experiment: Experiment) -> SlidingWindow | None:
    """Return how the network of an experiment goes through a volume; None for one of slices.

    Raises:
        InputError: a window that the network cannot be trained for.
    """
    window, name = experiment.sliding_window, experiment.network.name
    entry = NETWORKS.get(name)
    if entry is None or entry.dimensions == 2:
        if window is None:
            return None
        found, expected = f"'sliding_window' for the 2-D network {name}", "none"
    elif experiment.data.task != "brains":
        found, expected = f"the 3-D network {name} for pictures", "one of slices"
    elif window is not None and window.axes != OUR_AXES:
        found, expected = f"'sliding_window.axes' = '{window.axes}'", f"'{OUR_AXES}', as it trains"
    else:
        return window or SlidingWindow(size=(experiment.training.output_size,) * 3)
    raise InputError(found=found, expected=expected, action="change the experiment")


def check_tables(experiment: Experiment, task: Task) -> None:
    """Refuse tables that no model of this task can have, before anything is built or trained.

    Raises:
        InputError: steps, decisions or a CRF that `segment` would refuse.
    """
    describe(experiment, task, experiment.network.arguments, ((), ()), TrainingState({}))


def _kept_dice(experiment: Experiment, state: TrainingState) -> dict[Region, float]:
    """Return the validation scores of the epoch whose weights were kept."""
    if not state.history:
        return {}
    phase = state.history[-1]["phase"]
    rows = [row for row in state.history if row["phase"] == phase]
    early = getattr(experiment.training, f"phase{phase}").patience
    kept = max(rows, key=lambda row: row["score"]) if early else rows[-1]
    scores = {region: kept.get(f"dice_{region}") for region in REGIONS}
    return {k: round(v, 4) for k, v in scores.items() if v is not None}
