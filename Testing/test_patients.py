"""Patients behind cases, and splits that keep them together."""

import re
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.patients import patient_name, site_name, split_patients
from scripted_models.errors import InputError

PATIENTS = {
    # alone in their year
    "BRATS_HG0001": "BRATS_HG0001",
    "SimBRATS_HG0001": "SimBRATS_HG0001",
    "HG_0001": "HG_0001",
    "BraTS20_Training_001": "BraTS20_Training_001",
    "BRATS_001": "BRATS_001",
    "Phantom_00007": "Phantom_00007",
    "patient_2_1": "patient_2_1",
    # scans and time points
    "brats_2013_pat0001_1": "brats_2013_pat0001",
    "LGG_brats_2013_pat0015_1": "brats_2013_pat0015",
    "brats_tcia_pat153_0181": "brats_tcia_pat153",
    "Brats18_2013_2_1": "Brats_2013_2",
    "BraTS-GLI-00005-100": "BraTS-GLI-00005",
    "BraTS-GLI-00005-101": "BraTS-GLI-00005",
    "BraTS-MET-00086-000": "BraTS-MET-00086",
    "BraTS-MEN-RT-0001-1": "BraTS-MEN-RT-0001",
    "BraTS-GoAT-00003": "BraTS-GoAT-00003",
    # several years
    "Brats17_CBICA_ABM_1": "Brats_CBICA_ABM",
    "Brats18_CBICA_ABM_1": "Brats_CBICA_ABM",
    "BraTS19_CBICA_ABM_1": "Brats_CBICA_ABM",
    "Brats18_WashU_S036_1": "Brats_WashU_S036",
    "Brats17_TCIA_171_1": "brats_tcia_pat171",
    "Brats18_TCIA02_171_1": "brats_tcia_pat171",
    "brats_tcia_pat171_0001": "brats_tcia_pat171",
    "BraTS2021_00006": "BraTS-GLI-00006",
    "BraTS-GLI-00006-000": "BraTS-GLI-00006",
}

SITE_OF = {
    "Brats17_CBICA_ABM_1": "CBICA",
    "BraTS19_TCIA02_171_1": "TCIA02",
    "Brats18_2013_2_1": "2013",
    "BraTS2021_00006": "BraTS2021",
    "BraTS-GLI-00005-100": "BraTS-GLI",
    "BRATS_HG0001": "BRATS_HG",
    "Phantom_00007": "Phantom",
    "00012": "00012",
}

SITES = st.sampled_from(["2013", "CBICA", "TCIA01", "TMC", "WashU"])
IDS = st.from_regex(r"[A-Z]{3}|[1-9][0-9]{0,2}", fullmatch=True)
NAMES = st.one_of(
    st.builds("BraTS-GLI-{:05d}-{:03d}".format, st.integers(0, 9), st.integers(100, 104)),
    st.builds("Brats{}_{}_{}_1".format, st.integers(17, 19), SITES, IDS),
    st.builds("Phantom_{:05d}".format, st.integers(0, 30)),
)
COHORTS = st.lists(NAMES, min_size=1, max_size=40, unique=True)


@pytest.mark.parametrize("case", PATIENTS)
def test_patient_of_a_case(case):
    assert patient_name(case) == PATIENTS[case]


@pytest.mark.parametrize("case", SITE_OF)
def test_site_of_a_case(case):
    assert site_name(case) == SITE_OF[case]


@given(NAMES)
def test_a_patient_keeps_the_name_in_every_year_and_folder(name):
    assume(not name.startswith("Phantom"))
    renamed = re.sub(r"^Brats1\d", "BraTS2017", name)
    assert patient_name(renamed) == patient_name(name)
    assert patient_name(f"HGG_{name}") == patient_name(name)


@given(COHORTS, st.integers(1, 7), st.integers(0, 1000), st.randoms())
def test_parts_hold_every_case_once_and_every_patient_whole(names, parts, seed, random):
    size = Counter(map(patient_name, names))
    assume(len(size) >= parts)
    split = split_patients(names, parts, seed)
    assert sorted(name for part in split for name in part) == sorted(names)
    patients = [{patient_name(name) for name in part} for part in split]
    assert sum(map(len, patients)) == len(size)
    assert max(map(len, split)) - min(map(len, split)) <= max(size.values())
    assert all(split)
    assert split_patients(random.sample(names, len(names)), parts, seed) == split


def test_seeds_give_other_parts_and_stay_as_they_are():
    names = [f"BraTS2021_{number:05d}" for number in range(12)]
    drawn = {str(split_patients(names, 3, seed)) for seed in range(20)}
    assert len(drawn) == 20
    assert split_patients(names[:5], 2, 1) == [
        ["BraTS2021_00002", "BraTS2021_00003", "BraTS2021_00004"],
        ["BraTS2021_00000", "BraTS2021_00001"],
    ]


def test_fewer_patients_than_parts_are_refused():
    with pytest.raises(InputError, match="Found 1 patients, expected at least 2"):
        split_patients(["BraTS-GLI-00005-100", "BraTS-GLI-00005-101"], 2, 0)
    with pytest.raises(ValueError, match="0 parts"):
        split_patients(["a"], 0, 0)


@pytest.mark.real_data
def test_real_cases_are_all_of_different_patients(real_data):
    names = [case.name for case in find_cases(real_data / "brats")]
    assert len({patient_name(name) for name in names}) == len(names)
    sizes = [len(part) for part in split_patients(names, 3, 0)]
    assert max(sizes) - min(sizes) <= 1
