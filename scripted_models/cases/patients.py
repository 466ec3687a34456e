"""Which cases are of one patient, and splits that keep the cases of a patient together."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from scripted_models.cases.time_points import is_time_point, without_time_point
from scripted_models.errors import InputError

# Pattern (anywhere in the name, as folder names may stand before it) -> patient. What follows the
# pattern is the time point or scan. Two years are taken to number the same patients where they use
# the same numbers: TCIA from 2014 to 2019 (the site, TCIA02, came in 2018), 2021 and GLI of 2023.
# The patients of BRATS 2013 got other numbers in 2017 and cannot be matched with those of 2015.
_PATIENTS = (
    (r"brats(?:20)?1[789]_tcia\d*_0*(\d+)", r"brats_tcia_pat\1"),
    (r"brats(?:20)?1[789]_([0-9a-z]+_[0-9a-z]+)", r"Brats_\1"),
    (r"brats_tcia_pat_?0*(\d+)", r"brats_tcia_pat\1"),
    (r"brats_(2013_pat\d+)", r"brats_\1"),
    (r"brats2021_(\d+)", r"BraTS-GLI-\1"),
    (r"brats((?:-[a-z]+)+-\d+)", r"BraTS\1"),
    (r"brats20_[a-z]+_\d+", r"\g<0>"),
    # Other collections: BIDS, MU-Glioma-Post, UPENN-GBM and UCSF-PDGM, RHUH-GBM, LUMIERE and TCGA.
    (r"sub-[0-9a-z]+", r"\g<0>"),
    (r"patientid_\d+", r"\g<0>"),
    (r"upenn-gbm-\d+", r"\g<0>"),
    (r"ucsf-pdgm-0*(\d+)", r"UCSF-PDGM-\1"),  # also written with three digits
    (r"rhuh(?:-gbm)?-(\d+)", r"RHUH-GBM-\1"),
    (r"patient-\d+", r"\g<0>"),
    (r"tcga[-_.]([0-9a-z]{2})[-_.]([0-9a-z]{4})", r"TCGA-\1-\2"),
)
_SEPARATED = re.compile(r"^(.+?)[-_ .+]+([0-9A-Za-z]+)$|^(.*\d)([A-Za-z])$")
_YEAR_OR_DATE = re.compile(
    r"(?:19|20)\d\d|\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|"
    r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d"
)

Named = Callable[[str], str]  # case -> patient


def patient_name(case_name: str) -> str:
    """Return the patient behind a case of any BraTS year or of another collection.

    Time points, scans and the same patient in other years give one name. What a name of no known
    collection says of a time point or date is left out; any other name is its own patient (see
    `doubtful_cases`). In doubt two patients share a name, which costs a split nothing. BraTS 2020
    and MSD renamed the patients of earlier years without a trace in the name. Do not mix these
    releases: they cannot be told apart.

    Example:
        >>> patient_name("BraTS-GLI-00005-101"), patient_name("Brats18_CBICA_ABM_1")
        ('BraTS-GLI-00005', 'Brats_CBICA_ABM')
        >>> patient_name("UPENN-GBM-00001_21"), patient_name("p1_visit2")
        ('UPENN-GBM-00001', 'p1')
    """
    return _of_collection(case_name) or without_time_point(case_name)


def _of_collection(case_name: str) -> str | None:
    """Return the patient where the name is one of a known collection."""
    for pattern, patient in _PATIENTS:
        if match := re.search(rf"(?<![0-9a-z]){pattern}", case_name, re.IGNORECASE):
            return match.expand(patient)
    return None


def doubtful_cases(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of cases that may be of one patient, although no rule says so.

    Their names differ in the last part only, and what stands before it looks like a patient: it has
    a number, it is the whole name of another case's patient, or there are many of its kind. A
    single name with running numbers behind it does not, one with years or dates does. Names of
    nothing but a time point tell no patient at all.
    """
    unclear, patients = [], defaultdict(list)
    for name in sorted(set(names)):
        known = _of_collection(name) is not None
        patient = name if known else without_time_point(name)
        patients[patient.casefold()].append(name)
        if not known and patient == name:
            unclear.append(name)
    groups = defaultdict(list)
    for name in unclear:
        if found := _patient_and_rest(name, patients):
            groups[found[0].casefold()].append((name, found[1]))
    points = tuple(name for name in unclear if is_time_point(name, sure=True))
    many = 4 * len(groups) > sum(map(len, groups.values())) and len(groups) > 1
    doubts = [points] if len(points) > 1 else []
    for stem, group in groups.items():
        ends = [end for _, end in group]
        whole = [name for name in patients.get(stem, []) if re.search(r"\d", stem)]
        alike = many or re.search(r"\d", stem) or all(map(_YEAR_OR_DATE.fullmatch, ends))
        if whole or (len(group) > 1 and alike and not _is_numbered(ends, groups)):
            doubts.append(tuple(sorted([*whole, *(name for name, _ in group)])))
    return doubts


def _patient_and_rest(name: str, patients: Mapping[str, object]) -> tuple[str, str] | None:
    """Divide a name behind another patient's whole name, or else before its last part."""
    for sign in re.finditer(r"(?<=\d)[-_ .+]+", name):
        if name[: sign.start()].casefold() in patients:
            return name[: sign.start()], name[sign.end() :]
    if match := _SEPARATED.match(name):
        return match[1] or match[3], match[2] or match[4]
    return None


def _is_numbered(ends: Sequence[str], groups: Mapping[str, object]) -> bool:
    """Tell whether a name stands for a data set whose patients are numbered: GLIO2019_001."""
    numbered = all(end.isdecimal() and len(end) > 2 for end in ends)
    return len(groups) <= 2 and numbered and not all(map(_YEAR_OR_DATE.fullmatch, ends))


def site_name(case_name: str) -> str:
    """Return the institution or, where names do not tell it, the release that a case is of.

    BraTS 2017 to 2019 name the institution (or, as 2013, an earlier challenge). Any other name
    gives its letters before the first number, with the number if that is a year.

    Example:
        >>> site_name("Brats18_TCIA02_171_1"), site_name("BRATS_HG0001")
        ('TCIA02', 'BRATS_HG')
    """
    if match := re.search(r"brats(?:20)?1[789]_([0-9a-z]+)_", case_name, re.IGNORECASE):
        return match[1]
    match = re.match(r"[^0-9]*(?:20[0-9]{2}(?![0-9]))?", Path(case_name).name)
    return (match[0].strip("-_ ") if match else "") or case_name


def same_patient(names: Iterable[str], patient_of: Named = patient_name) -> dict[str, list[str]]:
    """Return the cases of each patient, whose name counts without regard to capitals."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        grouped[patient_of(name).casefold()].append(name)
    return {min(map(patient_of, cases)): cases for cases in grouped.values()}


def split_sites(names: Iterable[str], patient_of: Named = patient_name) -> dict[str, list[str]]:
    """Return the cases of each site; a patient with cases of several sites is of the first."""
    sites: dict[str, list[str]] = defaultdict(list)
    for cases in same_patient(names, patient_of).values():
        sites[min(map(site_name, cases))].extend(cases)
    return {site: sorted(cases) for site, cases in sorted(sites.items())}


def split_groups(
    names: Iterable[str], group_of: Mapping[str, str], patient_of: Named = patient_name
) -> dict[str, list[str]]:
    """Return the cases of each group; a patient with cases of several groups is of the first.

    A case without a group (none, or "") is of its patient's. Patients none of whose cases has a
    group are in none.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for cases in same_patient(names, patient_of).values():
        if named := sorted(group_of[case] for case in cases if group_of.get(case)):
            groups[named[0]].extend(cases)
    return {group: sorted(cases) for group, cases in sorted(groups.items())}


def split_patients(
    names: Sequence[str], parts: int, seed: int, patient_of: Named = patient_name
) -> list[list[str]]:
    """Split cases into parts of about equal size, all cases of a patient in one part.

    The parts depend on the names and the seed alone, not on the order or on a library's random
    numbers. Their sizes differ by no more than the number of cases of one patient.

    Args:
        names: case names, each once.
        parts: number of parts, at least 1.
        seed: other seeds give other parts.
        patient_of: names the patient of a case.

    Returns:
        The sorted cases of each part.

    Raises:
        InputError: there are fewer patients than parts.
        ValueError: `parts` is not positive.
    """
    if parts < 1:
        raise ValueError(f"{parts} parts; at least 1 is needed")
    patients = same_patient(names, patient_of)
    if len(patients) < parts:
        raise InputError(
            found=f"{len(patients)} patients",
            expected=f"at least {parts} for as many parts",
            action="add cases, ask for fewer parts, or name the patients in a table (--patients)",
        )
    largest_first = sorted(patients, key=lambda p: (-len(patients[p]), _drawn(seed, p)))
    split: list[list[str]] = [[] for _ in range(parts)]
    for patient in largest_first:
        min(split, key=len).extend(patients[patient])
    return [sorted(part) for part in split]


def _drawn(seed: int, patient: str) -> bytes:
    return hashlib.sha256(f"{seed} {patient}".encode()).digest()
