"""Which cases of a folder train, validate and test: split by patient."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scripted_models.cases.case import Case
from scripted_models.cases.discovery import find_cases
from scripted_models.cases.ignored_files import tell_ignored
from scripted_models.cases.patient_table import patient_warnings, patients_of, some
from scripted_models.cases.patients import split_patients
from scripted_models.errors import InputError
from scripted_models.labels import CODINGS
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
    return usable(find_cases(folder))


def usable(cases: Iterable[Case]) -> dict[str, Case]:
    """Return those cases that have four images and a label map, by name."""
    return {c.name: c for c in cases if c.truth is not None and not c.missing}


def unused_cases(cases: Sequence[Case]) -> list[str]:
    """Return a sentence for each reason why cases are not used, and for ignored files."""
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

    A case that no list names is left out where a list names another case of its patient.

    Args:
        data: lists of names, or shares of the patients, see `DataConfig`.
        names: usable cases.

    Raises:
        InputError: a named case is not there, or stands in two lists, its patient does, or none is
            left for training.
    """
    patients = patients_of(names, data.patients)
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    _refuse_unknown_or_double(parts, names)
    rest = _of_other_patients(names, [name for part in parts.values() for name in part], patients)
    drawn: dict[str, Sequence[str]] = {}
    for part, every in (("test", data.test_every), ("validation", data.validation_every)):
        drawn[part] = parts[part]
        if every and not parts[part]:
            drawn[part] = _draw(rest, every, data.split_seed, patients)
            rest = [name for name in rest if name not in drawn[part]]
    train = (parts["train"] or rest) if data.real else []
    if data.real and not train:
        raise InputError(
            found=f"{len(names)} cases with four images and a label map, and none is left for "
            "training",
            expected="at least one that neither validates nor tests",
            action="add cases, or change data.validation and data.test",
        )
    split = Split(tuple(train), tuple(drawn["validation"]), tuple(drawn["test"]))
    _refuse_divided_patients(split, patients)
    return split


def split_folds(experiment: Experiment, folder: Path) -> list[Experiment]:
    """Return the experiment of each of `data.folds`: it validates on the fold, the others train."""
    data, found = replace(experiment.data, folds=0), sorted(usable_cases(folder))
    split = split_cases(data, found)
    names = [*split.train, *split.validation]
    patient_of = patients_of(found, data.patients).__getitem__
    folds = split_patients(names, experiment.data.folds, experiment.data.split_seed, patient_of)
    return [
        replace(
            experiment,
            data=replace(
                data,
                train=tuple(sorted(set(names) - set(fold))),
                validation=tuple(sorted(fold)),
                test=split.test,
            ),
        )
        for fold in folds
    ]


def split_warnings(data: DataConfig, folder: Path, parted: bool = False) -> Iterator[str]:
    """Give sentences about cases that no part of a split uses, or whose patient is in doubt.

    Args:
        data: as for `split_cases`.
        folder: of the cases.
        parted: the cases are split into folds, too.

    Raises:
        InputError: as `split_cases`.
    """
    found = find_cases(folder)
    names = sorted(usable(found))
    yield from unused_cases(found)  # they may be why a split is refused
    split = split_cases(data, names)
    parts = [part for part in (split.train, split.validation, split.test) if part]
    spare = sorted(set(names) - {name for part in parts for name in part})
    if data.real and not data.train and spare:
        yield (
            f"The case(s) {some(spare)} are left out, because other cases of the same patients "
            "are named for another part."
        )
    used = usable(found)
    yield from (note for part in parts for name in part for note in used[name].truth_notes())
    yield from _cavity_notes([used[name] for part in parts for name in part])
    if len(parts) > 1 or parted or data.folds:
        yield from patient_warnings(names, data.patients)


def _cavity_notes(cases: Sequence[Case]) -> Iterator[str]:
    """Say of how many cases a resection cavity is not learned, where their coding has one."""
    codings = [case.truth_coding() for case in cases]
    own = CODINGS["internal"]  # of all cases that are stored here, with a cavity or without
    if count := sum(c.tells_cavity for c in codings if c is not None and c is not own):
        yield (
            f"The ground truth of {count} cases may hold a resection cavity. It trains as "
            "background: networks that are trained here do not tell it."
        )


def _of_other_patients(
    names: Sequence[str], taken: Sequence[str], patients: Mapping[str, str]
) -> list[str]:
    """Return the sorted cases of patients who have none among `taken`."""
    known = {patients[name].casefold() for name in taken}
    return sorted(name for name in names if patients[name].casefold() not in known)


def _draw(names: list[str], every: int, seed: int, patients: Mapping[str, str]) -> list[str]:
    """Return the cases of one patient in `every`, of fewer patients those of one.

    A single patient stays.
    """
    count = len({patients[name].casefold() for name in names})
    if count < 2:
        return []
    return split_patients(names, min(every, count), seed, patients.__getitem__)[0]


def _refuse_divided_patients(split: Split, patients: Mapping[str, str]) -> None:
    """Refuse lists that put one patient into two parts."""
    part_of: dict[str, tuple[str, str]] = {}
    for part in ("train", "validation", "test"):
        for name in getattr(split, part):
            other, first = part_of.setdefault(patients[name].casefold(), (part, name))
            if other != part:
                raise InputError(
                    found=f"cases of patient {patients[name]} for two parts: {first} in "
                    f"data.{other} and {name} in data.{part}",
                    expected="all cases of a patient in one",
                    action="list them together; if they are of different patients, say so in the "
                    "table of data.patients",
                )


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
