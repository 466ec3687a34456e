"""The checkpoints of nnU-Net: those of the folds that are taken, each read and then let go.

Source: nnU-Net 2.8, `nnUNetTrainer.save_checkpoint`, `predict_from_raw_data`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.bundle.model_folders import MAX_WEIGHTS_BYTES
from scripted_models.bundle.state_dicts import Weights, read_checkpoint
from scripted_models.errors import InputError

_CHECKPOINT = re.compile(r"fold_(\d{1,2}|all)/checkpoint_final\.pth")
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


@dataclass(frozen=True)
class Identity:
    """What all folds of a model must have in common.

    Attributes:
        trainer: its class.
        configuration: in the plans.
        mirror: axes of the network along which windows may be mirrored.
    """

    trainer: str
    configuration: str
    mirror: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Folds:
    """The folds that are taken.

    Attributes:
        identity: of them all.
        files: in their order.
        weights: of each.
        sha256: of the files, one after the other.
    """

    identity: Identity
    files: tuple[str, ...]
    weights: tuple[Weights, ...]
    sha256: str


def read_folds(source: ForeignSource, answers: Answers, understood: Understood) -> Folds:
    """Read the checkpoints of all folds, or that of the fold which the user names.

    Raises:
        ModelError: none, no plain weights, an unknown trainer, folds that do not fit each other, or
            more than a model folder may hold.
        InputError: no such fold.
    """
    files = _chosen(source, answers, understood)
    digest, weights, identities = hashlib.sha256(), [], []
    for file in files:
        content = source.read_weights(file)
        digest.update(content)
        checkpoint = read_checkpoint(content, "network_weights", _SAFE)
        del content
        identities.append(_identity(checkpoint.rest, source))
        weights.append(_own_names(checkpoint.weights))
        if sum(map(_bytes_of, weights)) > MAX_WEIGHTS_BYTES:
            most = f"at most {MAX_WEIGHTS_BYTES >> 20} MiB"
            raise source.refusal(f"more weights in {file} and before", most, "take one with --fold")
    if len(set(identities)) > 1:
        raise source.refusal("folds of different trainers or configurations", "those of one")
    return Folds(identities[0], tuple(files), tuple(weights), digest.hexdigest())


def _chosen(source: ForeignSource, answers: Answers, understood: Understood) -> list[str]:
    """Return the files of the folds that nnU-Net would take, or of the one that was asked for."""
    found = {m[1]: m[0] for name in source.names if (m := _CHECKPOINT.fullmatch(name)) is not None}
    if not found:
        raise source.refusal("no fold_*/checkpoint_final.pth", "one")
    folds = sorted(found, key=lambda fold: fold.zfill(3))  # 'all' last
    if answers.fold and answers.fold not in found:
        raise InputError(
            found=f"--fold {answers.fold}",
            expected=f"one of {', '.join(folds)}",
            action="correct it",
        )
    numbered = [fold for fold in folds if fold != "all"]
    taken = [answers.fold] if answers.fold else numbered or folds
    if len(folds) > 1:
        one = f"fold {taken[0]} is taken"
        several = f"the mean of {', '.join(taken)} is taken, as by nnU-Net (--fold takes one)"
        understood.note(f"of the folds {', '.join(folds)} {several if taken[1:] else one}")
    return [found[fold] for fold in taken]


def _identity(rest: Mapping[Any, Any], source: ForeignSource) -> Identity:
    trainer, arguments = rest.get("trainer_name"), rest.get("init_args")
    if not isinstance(trainer, str) or not _TRAINERS.fullmatch(trainer):
        raise source.refusal(f"the trainer {str(trainer)[:80]!r}", "nnUNetTrainer, or a known form")
    stated = arguments.get("configuration") if isinstance(arguments, Mapping) else None
    if not isinstance(stated, str):
        raise source.refusal("a checkpoint without its 'configuration'", "it")
    mirror = rest.get("inference_allowed_mirroring_axes") or ()
    sound = isinstance(mirror, list | tuple) and all(
        mirror.count(axis) == 1 and axis in (0, 1, 2) for axis in mirror
    )
    if not sound:
        raise source.refusal(f"mirroring along {str(mirror)[:40]}", "some of 0, 1, 2")
    return Identity(trainer, stated, tuple(sorted(mirror)))


def _own_names(weights: Weights) -> Weights:
    """Return weights without the names of what wrapped the network while it was trained."""
    return {key.removeprefix("module.").removeprefix("_orig_mod."): v for key, v in weights.items()}


def _bytes_of(weights: Weights) -> int:
    """Return the bytes of weights, of those with two names once."""
    places = {value.data_ptr(): value for value in weights.values()}
    return sum(value.numel() * value.element_size() for value in places.values())
