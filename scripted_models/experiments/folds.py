"""The folds of a cross-validation: parts of equal size, sites, or the groups of a table."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from scripted_models.cases.patient_table import patients_of, read_groups, some, unused_rows
from scripted_models.cases.patients import split_groups, split_patients, split_sites
from scripted_models.errors import InputError, listed
from scripted_models.experiments.cross_validation import BESIDE_FOLDS
from scripted_models.runtime.file_identity import doubles, same_on_any_disk
from scripted_models.tasks.brains.case_split import usable_cases
from scripted_models.training.experiment_config import FOLDER_NAME, is_folder_name


def folds_of(
    data: Path,
    number: int = 0,
    seed: int = 0,
    patients: str = "",
    groups: tuple[str, str] | None = None,
) -> dict[str, list[str]]:
    """Split the usable cases of a folder into folds.

    Args:
        data: folder of cases with label maps.
        number: of folds of about equal size, patient by patient; 0: each site is a fold, and a
            patient with cases of several sites is of the first of them.
        seed: of the split by number.
        patients: table of patients, see `patient_table.read_patients`; empty: names tell them.
        groups: table and column, see `patient_table.read_groups`; each group is a fold. Cases
            without a group are of their patient's, or of no fold if it has none.

    Returns:
        Name of a fold -> its cases.

    Raises:
        InputError: fewer patients than folds, a single site or group, or one whose name cannot be
            the folder of a fold.
    """
    names = sorted(usable_cases(data))
    patient_of = patients_of(names, patients).__getitem__
    if number:
        parts = split_patients(names, number, seed, patient_of)
        return {f"fold{index}": part for index, part in enumerate(parts, start=1)}
    if groups:
        return _folds_of_groups(names, Path(groups[0]), groups[1], patient_of)
    sites = split_sites(names, patient_of)
    if len(sites) < 2:
        raise InputError(
            path=data,
            found=f"cases of {len(sites)} site",
            expected="at least two, of which one is left out at a time",
            action="use --folds",
        )
    _refuse_taken_folders(sites, "site", data, "name the sites in a table (--groups)")
    return sites


def fold_warnings(
    data: Path, folds: Mapping[str, Sequence[str]], groups: tuple[str, str]
) -> Iterator[str]:
    """Give sentences about cases that are not tested as their row in a table of groups says.

    Args:
        data: as for `folds_of`.
        folds: what it returned.
        groups: as for `folds_of`.

    Raises:
        InputError: as `patient_table.read_groups`.
    """
    names, group_of = usable_cases(data), read_groups(Path(groups[0]), groups[1])
    yield from unused_rows(groups[0], group_of, names)
    if moved := _moved(folds, group_of):
        yield (
            f"The case(s) {some(moved)} are tested with another group than their own, because "
            "cases of one patient are of several groups and are tested with the first of them."
        )
    tested = {name for cases in folds.values() for name in cases}
    if others := sorted(set(names) - tested):
        yield (
            f"{len(others)} of {len(names)} cases are in no group, train or validate in every fold "
            f"and are never tested: {some(others)}."
        )


def _folds_of_groups(
    names: Sequence[str], table: Path, column: str, patient_of: Callable[[str], str]
) -> dict[str, list[str]]:
    group_of = read_groups(table, column)
    parts = split_groups(names, group_of, patient_of)
    if len(parts) < 2:
        raise _too_few_groups(names, parts, group_of, table)
    if wrong := [group for group in parts if not is_folder_name(group)]:
        raise InputError(
            path=table, found=f"a group {wrong[0]!r}", expected=FOLDER_NAME, action="rename it"
        )
    _refuse_taken_folders(parts, "group", table, "correct the table")
    return parts


def _too_few_groups(
    names: Sequence[str],
    parts: Mapping[str, Sequence[str]],
    group_of: Mapping[str, str],
    table: Path,
) -> InputError:
    """Say why fewer than two groups are left: no cases of others, or patients of several."""
    if moved := _moved(parts, group_of):
        return InputError(
            path=table,
            found=f"only the group '{next(iter(parts))}', because the patients of {some(moved)} "
            "have cases in it, too",
            expected="at least two groups with patients of their own",
            action="correct the groups, or name the patients in a table (--patients)",
        )
    return InputError(
        path=table,
        found=f"{len(parts)} of its groups among the {len(names)} usable cases of the data",
        expected="at least two, of which one is left out at a time",
        action="name cases as `scripted-models cases` lists them",
    )


def _moved(folds: Mapping[str, Sequence[str]], group_of: Mapping[str, str]) -> list[str]:
    """Return the cases with a group that are in the fold of another one."""
    return sorted(
        name
        for fold, cases in folds.items()
        for name in cases
        if (group_of.get(name) or fold) != fold
    )


def _refuse_taken_folders(folds: Iterable[str], kind: str, path: Path, action: str) -> None:
    """Refuse folds whose folders would be another folder of the output, on any system."""
    folds, taken = list(folds), set(map(same_on_any_disk, BESIDE_FOLDS))
    if wrong := [fold for fold in folds if same_on_any_disk(fold.split("/")[0]) in taken]:
        raise InputError(
            path=path,
            found=f"a {kind} {wrong[0]!r}",
            expected=f"another name than {listed(BESIDE_FOLDS)}, which are folders of the output",
            action=action,
        )
    if same := doubles(folds):
        alike = [fold for fold in same if same_on_any_disk(fold) == same_on_any_disk(same[0])]
        raise InputError(
            path=path,
            found=f"the {kind}s {listed([repr(fold) for fold in alike])}",
            expected="names that differ in more than capitals, because each becomes a folder",
            action=action,
        )
