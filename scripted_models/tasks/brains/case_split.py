"""Which cases of a folder train, validate and test: split by patient."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.ignored_files import tell_ignored
from scripted_models.cases.patients import patient_name, split_patients
from scripted_models.errors import InputError
from scripted_models.training.experiment_config import DataConfig, Experiment

_MOST_NAMES = 5  # of cases, in one sentence


@dataclass(frozen=True)
class Split:
    """Names of the cases of each part; no patient stands in two of them."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]


def usable_cases(folder: Path) -> dict[str, Case]:
    """Return the cases of a folder that have four images and a label map, by name."""
    return {c.name: c for c in find_cases(folder) if c.truth is not None and not c.missing}


def unused_cases(folder: Path) -> list[str]:
    """Return a sentence for each reason why cases of a folder are not used, and for ignored files.

    Raises:
        InputError: the folder does not exist or holds no case.
    """
    cases = find_cases(folder)
    lacks = {
        "ground truth": [case.name for case in cases if case.truth is None],
        "all four sequences": [case.name for case in cases if case.truth and case.missing],
    }
    told = [
        f"{len(names)} of {len(cases)} cases lack {what} and are not used: "
        f"{', '.join(names[:_MOST_NAMES])}{', ...' * (len(names) > _MOST_NAMES)}."
        for what, names in lacks.items()
        if names
    ]
    return [*told, *tell_ignored(cases)]


def split_cases(data: DataConfig, names: Sequence[str]) -> Split:
    """Split cases into training, validation and test, patient by patient.

    Args:
        data: lists of names, or shares of the patients, see `DataConfig`.
        names: usable cases.

    Raises:
        InputError: a named case is not there, or stands in two lists, or none is left for training.
    """
    listed = {"train": data.train, "validation": data.validation, "test": data.test}
    _refuse_unknown_or_double(listed, names)
    rest = sorted(set(names) - {name for part in listed.values() for name in part})
    drawn: dict[str, Sequence[str]] = {}
    for part, every in (("test", data.test_every), ("validation", data.validation_every)):
        drawn[part] = listed[part]
        if every and not listed[part]:
            drawn[part] = _draw(rest, every, data.split_seed)
            rest = [name for name in rest if name not in drawn[part]]
    train = (listed["train"] or rest) if data.real else []
    if data.real and not train:
        raise InputError(
            found=f"{len(names)} cases with four images and a label map, and none is left for "
            "training",
            expected="at least one that neither validates nor tests",
            action="add cases, or change data.validation and data.test",
        )
    return Split(tuple(train), tuple(drawn["validation"]), tuple(drawn["test"]))


def split_folds(experiment: Experiment, folder: Path) -> list[Experiment]:
    """Return the experiment of each of `data.folds`: it validates on the fold, the others train."""
    data = replace(experiment.data, folds=0)
    split = split_cases(data, sorted(usable_cases(folder)))
    names = [*split.train, *split.validation]
    parts = [
        tuple(sorted(part))
        for part in split_patients(names, experiment.data.folds, experiment.data.split_seed)
    ]
    return [
        replace(
            experiment,
            data=replace(
                data,
                train=tuple(sorted(set(names) - set(fold))),
                validation=fold,
                test=split.test,
            ),
        )
        for fold in parts
    ]


def _draw(names: list[str], every: int, seed: int) -> list[str]:
    """Return the cases of one patient in `every`, of fewer patients those of one.

    A single patient stays.
    """
    patients = len({patient_name(name) for name in names})
    return split_patients(names, min(every, patients), seed)[0] if patients > 1 else []


def _refuse_unknown_or_double(listed: dict[str, tuple[str, ...]], names: Sequence[str]) -> None:
    every = [name for part in listed.values() for name in part]
    if unknown := sorted(set(every) - set(names)):
        raise InputError(
            found=f"an experiment that names the cases {unknown}",
            expected="cases in the data folder, each with four images and a label map",
            action="check data.train, data.validation, data.test and the data folder",
        )
    if double := sorted({name for name in every if every.count(name) > 1}):
        raise InputError(
            found=f"{double} twice in data.train, data.validation and data.test",
            expected="each case once",
            action="take it out of one",
        )
