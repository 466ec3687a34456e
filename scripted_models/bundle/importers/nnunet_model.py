"""nnU-Net version 2: the folder of a trained model, `TRAINER__PLANS__CONFIGURATION`.

Read are `plans.json`, `dataset.json` and the `checkpoint_final.pth` of the folds (`nnunet_folds`).
Source: nnU-Net 2.8, `predict_from_raw_data` and `label_handling`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scripted_models.bundle.description_parts import NetworkDescription, Origin
from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.foreign_model import ForeignModel
from scripted_models.bundle.importers.foreign_words import channels_of, outputs_of
from scripted_models.bundle.importers.nnunet_folds import read_folds
from scripted_models.bundle.importers.nnunet_labels import Targets, read_targets
from scripted_models.bundle.importers.nnunet_plans import Plans, read_plans
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.bundle.importers.space import space_of
from scripted_models.bundle.importers.stage import stage_of
from scripted_models.transforms.volume_networks import SlidingWindow

_TOLERANCE = 0.001  # of the spacing; less changes no number of voxels
_TERMS = ("LICENSE", "LICENSE.txt", "license.txt")


def read(source: ForeignSource, answers: Answers, understood: Understood) -> ForeignModel:
    """Read a trained model.

    Args:
        source: its files, plans.json at the top.
        answers: of the user.
        understood: told what is understood.

    Raises:
        ModelError: something that is not known here, or no plain weights.
        InputError: a question that the user must answer.
    """
    plans, dataset = source.table("plans.json"), source.table("dataset.json")
    folds = read_folds(source, answers, understood)
    trainer, configuration = folds.identity.trainer, folds.identity.configuration
    named = _channel_names(dataset, source)
    stated = read_plans(plans, configuration, len(named), source)
    targets = read_targets(dataset, source)
    title = f"{stated.dataset or source.path.stem}, {trainer}, {configuration}"
    understood.tell("format", f"nnU-Net, {title}")
    network = _network(stated, len(named), targets)
    mirror = tuple(stated.window.axes[axis] for axis in folds.identity.mirror)
    window = replace(stated.window, mirror=mirror)
    channels = channels_of(named, len(named), answers, understood)
    outputs = outputs_of(targets.names, len(targets.names), targets.regions, answers, understood)
    _tell(stated, window, understood)
    facts = f"{stated.dataset} {dataset.get('name', '')} {dataset.get('description', '')}"
    turned = "RAS" if stated.turned else ""
    space = space_of(turned, stated.spacing_xyz_mm, facts, answers, understood)
    space = replace(space, tolerance=_TOLERANCE)
    terms = next((term for term in _TERMS if term in source.names), "")
    understood.tell("terms", _terms_of(dataset, terms) or "none")
    return ForeignModel(
        name=stated.dataset or source.path.stem,
        summary=str(dataset.get("description", ""))[:200],
        network=network,
        weights=folds.weights,
        channels=channels,
        outputs=outputs,
        made_for=stage_of(outputs, facts, understood),
        window=window,
        space=space,
        steps=stated.steps,
        origin=Origin(
            format="nnU-Net",
            file=source.path.name,
            weights=", ".join(folds.files)[:200],
            sha256=folds.sha256,
            source=f"{title}, {str(dataset.get('reference', ''))[:200]}".rstrip(", "),
            license=terms or _terms_of(dataset, ""),
            notes=tuple(understood.notes),
        ),
        terms=source.read(terms).decode("utf-8", "replace")
        if terms
        else str(dataset.get("licence", dataset.get("license", ""))),
    )


def _terms_of(dataset: Mapping[str, Any], file: str) -> str:
    stated = dataset.get("licence", dataset.get("license", ""))
    return file or (f"'{stated[:80]}' (dataset.json)" if isinstance(stated, str) and stated else "")


def _channel_names(dataset: Mapping[str, Any], source: ForeignSource) -> list[str]:
    stated = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(stated, Mapping) or not 1 <= len(stated) <= 16:
        raise source.refusal("no 'channel_names' in dataset.json", "them")
    names = [stated.get(str(index)) for index in range(len(stated))]
    if not all(isinstance(name, str) for name in names):
        raise source.refusal("'channel_names' in dataset.json without an order", "'0', '1', ...")
    return [str(name) for name in names]


def _network(stated: Plans, channels: int, targets: Targets) -> NetworkDescription:
    sizes = {"in_channels": channels, "num_classes": len(targets.names)}
    return replace(stated.network, arguments={**sizes, **stated.network.arguments})


def _tell(stated: Plans, window: SlidingWindow, understood: Understood) -> None:
    understood.tell("preprocessing", ", ".join(step.step for step in stated.steps))
    mirrored = f", mirrored along {', '.join(window.mirror)}" if window.mirror else ""
    understood.tell("windows", " x ".join(map(str, window.size)) + f" ({window.axes}){mirrored}")
