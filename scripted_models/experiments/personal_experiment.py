"""The experiment that trains a finished model further on a few cases of its user.

It is the shipped recipe of the model's network, from the model's weights on, with a small learning
rate. Three things keep it from forgetting: phantoms are trained again beside the cases, the epochs
are few, and the weights that are kept are the mean of those before and after (Wortsman et al. 2022,
"Robust fine-tuning of zero-shot models", CVPR).
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scripted_models.bundle.weights import Model, stored_type
from scripted_models.errors import InputError
from scripted_models.images.training_space import TrainingSpace
from scripted_models.inference import choose_device
from scripted_models.labels import TUMOR_LABELS
from scripted_models.networks import NETWORKS
from scripted_models.training.experiment_config import Experiment, NetworkConfig, load_experiment
from scripted_models.training.precision import quick_precision

RECIPES = Path(__file__).parent / "recipes" / "shipped"
DEFAULT_RECIPE = "default"
EPOCHS = 16  # of 100 steps; about 60 s each for `default` on one core
SETTINGS = (
    "training.phase1.learning_rate=0.0003",
    "training.phase1.final_learning_rate=0.00003",
    "training.start_share=0.5",
)
_MAY_CHANGE = (
    "training.",
    "data.phantoms",
    "data.low_grade_phantoms",
    "data.degraded",
    "data.transplanted",
    "data.patients",
)
MOST_PHANTOMS = 14  # as many as have trained `default`


def personal_experiment(
    start: Model,
    train: Sequence[str],
    held_out: Sequence[str],
    device: str,
    overrides: Sequence[str],
) -> Experiment:
    """Return the experiment that trains a model further.

    Args:
        start: the model.
        train: names of the cases that train.
        held_out: names of those that do not.
        device: 'auto', 'cpu' or 'cuda'.
        overrides: settings as `--set` has them, of training, copies and phantoms.

    Raises:
        InputError: a model that is made of several networks or knows other labels, or an override
            of a setting that the model decides.
    """
    refuse_unfit(start)
    refuse_other_overrides(overrides)
    recipe = _recipe(start, len(train), device, overrides)
    stated = start.description
    network, spacing = stated.network, stated.training_space.spacing_xyz_mm[2] or 0.0
    data = replace(
        recipe.data,
        train=tuple(train),
        test=tuple(held_out),
        slice_spacing_mm=spacing,
        statement=stated.training.statement,
    )
    return replace(
        recipe,
        name="personal",
        description="",
        network=NetworkConfig(
            network.name, dict(network.arguments), start=str(start.folder.resolve())
        ),
        data=data,
        preprocessing=stated.preprocessing,
        postprocessing=stated.postprocessing,
        decision=stated.decision,
        crf=stated.crf,
        weights=stored_type(start),
    )


def _recipe(start: Model, cases: int, device: str, overrides: Sequence[str]) -> Experiment:
    """Return the shipped recipe of a network with the settings for a few cases."""
    phantoms = min(cases, MOST_PHANTOMS)
    own = (
        f"network.start={json.dumps(str(start.folder.resolve()))}",
        f"training.precision={quick_precision(choose_device(device)[0])}",
        f"training.phase1.epochs={EPOCHS}",
        f"data.phantoms={phantoms // 2}",
        f"data.low_grade_phantoms={phantoms - phantoms // 2}",
        f"data.degraded={cases}",
        f"data.transplanted={cases}",
        *SETTINGS,
    )
    return load_experiment(recipe_of(start.description.network.name), [*own, *overrides])


def refuse_unfit(start: Model) -> None:
    """Refuse a model that is not trained as one network on our five labels.

    Raises:
        InputError: so it is.
    """
    stated = start.description
    entry = NETWORKS[stated.network.name]
    space = stated.training_space
    if not entry.trains or entry.parts:
        found = f"a {entry.name}, which is made of several networks or is not trained"
        expected = "a model of one network, such as 'default'"
    elif stated.sliding_window is not None:
        found = f"a {entry.name}, which is a network of volumes"
        expected = "a model of slices, such as 'default'"
    elif dict(stated.labels) != TUMOR_LABELS:
        found = f"a model that knows the labels {', '.join(stated.labels.values())} alone"
        expected = f"one for {', '.join(TUMOR_LABELS.values())}"
    elif space != TrainingSpace(spacing_xyz_mm=(1.0, 1.0, space.spacing_xyz_mm[2])):
        found = f"a model for voxels of {space.spacing_xyz_mm} mm"
        expected = "one for slices of 1 mm"
    else:
        return
    raise InputError(
        found=found, expected=expected, action="choose another with --model", path=start.folder
    )


def refuse_other_overrides(overrides: Sequence[str]) -> None:
    """Refuse settings that the start model decides, or the split of the cases.

    Raises:
        InputError: such a setting.
    """
    for override in overrides:
        if not override.strip().startswith(_MAY_CHANGE):
            raise InputError(
                found=f"--set {override}",
                expected=f"settings that begin with {', '.join(_MAY_CHANGE)}; all others are "
                "those of the start model",
                action="leave it out",
            )


def recipe_of(network: str) -> Path:
    """Return the shipped recipe of a network, of an unknown one that of the default model."""
    recipes = {load_experiment(path).network.name: path for path in sorted(RECIPES.glob("*.toml"))}
    return recipes.get(network, RECIPES / f"{DEFAULT_RECIPE}.toml")
