"""Which cases are of one patient, and splits that keep the cases of a patient together."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

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
)


def patient_name(case_name: str) -> str:
    """Return the patient behind a case of any BraTS year; an unknown name is its own patient.

    Time points, scans and the same patient in other years give one name. In doubt two patients
    share a name, which costs a split nothing. BraTS 2020 and MSD renamed the patients of earlier
    years without a trace in the name. Do not mix these releases: they cannot be told apart.

    Example:
        >>> patient_name("BraTS-GLI-00005-101"), patient_name("Brats18_CBICA_ABM_1")
        ('BraTS-GLI-00005', 'Brats_CBICA_ABM')
    """
    for pattern, patient in _PATIENTS:
        if match := re.search(rf"(?<![0-9a-z]){pattern}", case_name, re.IGNORECASE):
            return match.expand(patient)
    return case_name


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


def split_patients(names: Sequence[str], parts: int, seed: int) -> list[list[str]]:
    """Split cases into parts of about equal size, all cases of a patient in one part.

    The parts depend on the names and the seed alone, not on the order or on a library's random
    numbers. Their sizes differ by no more than the number of cases of one patient.

    Args:
        names: case names, each once.
        parts: number of parts, at least 1.
        seed: other seeds give other parts.

    Returns:
        The sorted cases of each part.

    Raises:
        InputError: there are fewer patients than parts.
        ValueError: `parts` is not positive.
    """
    if parts < 1:
        raise ValueError(f"{parts} parts; at least 1 is needed")
    patients = defaultdict(list)
    for name in names:
        patients[patient_name(name)].append(name)
    if len(patients) < parts:
        raise InputError(
            found=f"{len(patients)} patients",
            expected=f"at least {parts} for as many parts",
            action="add cases or ask for fewer parts",
        )
    largest_first = sorted(patients, key=lambda p: (-len(patients[p]), _drawn(seed, p)))
    split: list[list[str]] = [[] for _ in range(parts)]
    for patient in largest_first:
        min(split, key=len).extend(patients[patient])
    return [sorted(part) for part in split]


def _drawn(seed: int, patient: str) -> bytes:
    return hashlib.sha256(f"{seed} {patient}".encode()).digest()
