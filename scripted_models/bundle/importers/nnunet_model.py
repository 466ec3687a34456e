"""nnU-Net version 2: the folder of a trained model, `TRAINER__PLANS__CONFIGURATION`.

Read are `plans.json`, `dataset.json` and the `checkpoint_final.pth` of one fold. Source: nnU-Net
2.8, `predict_from_raw_data` and `label_handling`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from scripted_models.bundle.description_parts import NetworkDescription, Origin
from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.foreign_model import ForeignModel, checksum
from scripted_models.bundle.importers.foreign_words import channels_of, outputs_of
from scripted_models.bundle.importers.nnunet_labels import Targets, read_targets
from scripted_models.bundle.importers.nnunet_plans import Plans, read_plans
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.bundle.importers.space import space_of
from scripted_models.bundle.state_dicts import Weights, read_checkpoint
from scripted_models.errors import InputError
from scripted_models.transforms.volume_networks import SlidingWindow

_CHECKPOINT = re.compile(r"fold_(\d{1,2}|all)/checkpoint_final\.pth")
_TOLERANCE = 0.001  # of the spacing; less changes no number of voxels
_TERMS = ("LICENSE", "LICENSE.txt", "license.txt")
# Trainers that differ from nnU-Net's in losses, optimizers, augmentation and length alone.
_TRAINERS = re.compile(
    r"nnUNetTrainer(_\d{1,5}epochs?|NoMirroring|_onlyMirror01|DA5|DA5_10epochs|Adam|VanillaAdam|"
    r"CosAnneal|CELoss|DiceLoss|DiceCELoss_noSmooth|TopK10Loss|DiceTopK10Loss|NoDA)?"
)


class _Skipped:
    """In the place of numbers of NumPy, which stand in the log of a checkpoint and are not read."""

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        """Take the state of a NumPy type, which nothing needs."""


# The names of NumPy that the checkpoints hold; NumPy itself is not called.
_SAFE = tuple(
    (_Skipped, name)
    for name in ("numpy.dtype", "numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
)


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
    file = _checkpoint_of(source, answers, understood)
    content = source.read_weights(file)
    checkpoint = read_checkpoint(content, "network_weights", _SAFE)
    trainer, configuration = _identity(checkpoint.rest, source)
    stated = read_plans(plans, configuration, source)
    targets = read_targets(dataset, source)
    named = _channel_names(dataset, source)
    title = f"{stated.dataset or source.path.stem}, {trainer}, {configuration}"
    understood.tell("format", f"nnU-Net, {title}")
    network = _network(stated, len(named), targets)
    window = _mirrored(stated.window, checkpoint.rest, source)
    channels = channels_of(named, len(named), answers, understood)
    outputs = outputs_of(targets.seen, len(targets.seen), targets.regions, answers, understood)
    weights = _without(targets.unseen, _own_names(checkpoint.weights), source, understood)
    _tell(stated, window, understood)
    facts = f"{stated.dataset} {dataset.get('name', '')} {dataset.get('description', '')}"
    turned = "RAS" if stated.turned else ""
    space = space_of(turned, stated.spacing_xyz_mm, facts, answers, understood)
    space = replace(space, tolerance=_TOLERANCE, resampling="cubic")
    terms = next((term for term in _TERMS if term in source.names), "")
    understood.tell("terms", _terms_of(dataset, terms) or "none")
    return ForeignModel(
        name=stated.dataset or source.path.stem,
        summary=str(dataset.get("description", ""))[:200],
        network=network,
        weights=weights,
        channels=channels,
        outputs=outputs,
        window=window,
        space=space,
        steps=stated.steps,
        origin=Origin(
            format="nnU-Net",
            file=source.path.name,
            weights=file,
            sha256=checksum(content),
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


def _checkpoint_of(source: ForeignSource, answers: Answers, understood: Understood) -> str:
    """Return the file of the fold that is taken: the one that was asked for, all, or the first."""
    found = {
        match[1]: name
        for name in source.names
        if (match := _CHECKPOINT.fullmatch(name)) is not None
    }
    if not found:
        raise source.refusal("no fold_*/checkpoint_final.pth", "one")
    folds = sorted(found, key=lambda fold: (fold != "all", fold.zfill(2)))
    fold = answers.fold or folds[0]
    if fold not in found:
        raise InputError(
            found=f"--fold {fold}", expected=f"one of {', '.join(folds)}", action="correct it"
        )
    if len(folds) > 1:
        understood.note(
            f"of the folds {', '.join(folds)} fold {fold} is taken (--fold takes another); nnU-Net "
            "would average several"
        )
    return found[fold]


def _identity(rest: Mapping[Any, Any], source: ForeignSource) -> tuple[str, str]:
    """Return trainer and configuration.

    Raises:
        ModelError: not stated, or a trainer that may do what is not known here.
    """
    trainer, arguments = rest.get("trainer_name"), rest.get("init_args")
    if not isinstance(trainer, str) or not _TRAINERS.fullmatch(trainer):
        raise source.refusal(f"the trainer {str(trainer)[:80]!r}", "nnUNetTrainer, or a known form")
    stated = arguments.get("configuration") if isinstance(arguments, Mapping) else None
    if not isinstance(stated, str):
        raise source.refusal("a checkpoint without its 'configuration'", "it")
    return trainer, stated


def _channel_names(dataset: Mapping[str, Any], source: ForeignSource) -> list[str]:
    stated = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(stated, Mapping) or not 1 <= len(stated) <= 16:
        raise source.refusal("no 'channel_names' in dataset.json", "them")
    names = [stated.get(str(index)) for index in range(len(stated))]
    if not all(isinstance(name, str) for name in names):
        raise source.refusal("'channel_names' in dataset.json without an order", "'0', '1', ...")
    return [str(name) for name in names]


def _network(stated: Plans, channels: int, targets: Targets) -> NetworkDescription:
    sizes = {"in_channels": channels, "num_classes": len(targets.seen)}
    return replace(stated.network, arguments={**sizes, **stated.network.arguments})


def _mirrored(
    window: SlidingWindow, rest: Mapping[Any, Any], source: ForeignSource
) -> SlidingWindow:
    """Return the window with the axes along which it may be mirrored."""
    stated = rest.get("inference_allowed_mirroring_axes")
    axes = list(stated) if isinstance(stated, list | tuple) else []
    if stated is not None and not (len(set(axes)) == len(axes) and set(axes) <= {0, 1, 2}):
        raise source.refusal(f"mirroring along {str(stated)[:40]}", "some of 0, 1, 2")
    return replace(window, mirror=tuple(window.axes[axis] for axis in sorted(axes)))


def _own_names(weights: Weights) -> Weights:
    """Return weights without the names of what wrapped the network while it was trained."""
    return {key.removeprefix("module.").removeprefix("_orig_mod."): v for key, v in weights.items()}


def _without(
    unseen: tuple[int, ...], weights: Weights, source: ForeignSource, understood: Understood
) -> Weights:
    """Take outputs of regions that have no label here out of the output layers."""
    if not unseen:
        return weights
    understood.note(
        "its output for the resection cavity, which is no label here, is not used; where it would "
        "have overruled tumor, tumor stays"
    )
    cut = {}
    for key, value in weights.items():
        if key.startswith("decoder.seg_layers."):
            if not value.dim() or max(unseen) >= len(value):
                raise source.refusal(f"the tensor {key[:60]!r} of another shape", "its outputs")
            kept = [index for index in range(len(value)) if index not in unseen]
            value = value[torch.tensor(kept)]
        cut[key] = value
    return cut


def _tell(stated: Plans, window: SlidingWindow, understood: Understood) -> None:
    understood.tell("preprocessing", ", ".join(step.step for step in stated.steps))
    mirrored = f", mirrored along {', '.join(window.mirror)}" if window.mirror else ""
    understood.tell("windows", " x ".join(map(str, window.size)) + f" ({window.axes}){mirrored}")
