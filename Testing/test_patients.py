"""Patients behind cases, and splits that keep them together."""

import re
from collections import Counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.patients import (
    doubtful_cases,
    patient_name,
    same_patient,
    site_name,
    split_patients,
    split_sites,
)
from scripted_models.cases.time_points import is_time_point
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
    # other collections
    "sub-01_ses-1": "sub-01",
    "sub-01_ses-postop": "sub-01",
    "siteA_sub-01_ses-1": "sub-01",
    "PatientID_0003_Timepoint_1": "PatientID_0003",
    "Patient-001_week-000-1": "Patient-001",
    "Patient-001_week-044": "Patient-001",
    "UPENN-GBM-00001_11": "UPENN-GBM-00001",
    "UPENN-GBM-00001_21": "UPENN-GBM-00001",
    "UCSF-PDGM-0004_FU001d": "UCSF-PDGM-4",
    "UCSF-PDGM-004": "UCSF-PDGM-4",
    "RHUH-GBM-0001_0": "RHUH-GBM-0001",
    "RHUH-0001_2": "RHUH-GBM-0001",
    "TCGA-08-0406_2000.01.15": "TCGA-08-0406",
    "TCGA_08_0406_20000115": "TCGA-08-0406",
    "OAS30001_MR_d0129": "OAS30001",
    # not known, but the time point is told
    "p1_20200131": "p1",
    "2020-01-31_p1": "p1",
    "p1_15-03-2019": "p1",
    "John_Doe_visit_1": "John_Doe",
    "gbm-007-pre-rt": "gbm-007",
    "Preop_001": "001",
    "followup_001": "001",
    "p1v2": "p1",
    # no time point
    "scan_001": "scan_001",
    "MRI_scan_001": "MRI_scan_001",
    "W39": "W39",
    "20200131": "20200131",
    "case_12": "case_12",
    "HGG_0021": "HGG_0021",
}
TIME_POINTS = (  # noqa: SIM905 - so many are read more easily in lines
    "20200131 2020-01-31 2020.01.31 2020_01_31 20200131T101500 31-01-2020 2020-01 ses-1 ses-preop "
    " session2 visit1 visit_2 visit-03 Visit4 tp1 TP_2 Timepoint_1 timepoint-2 "
    "time_point_3 week-000 week-000-1 week_12 wk3 month6 M06 day30 d0129 baseline Baseline "
    "followup follow-up follow_up_2 fu FU1 FU001d preop postop pre-op post_op postop_1 "
    "early_postop intraop pre post scan1 scan_2 rescan exam3 mri2 t0 T1 v1 V02 initial "
    "recurrence progression pre-rt post_treatment year2 "
    "Jan2019 12Mar2019 3-Okt-2020 praeop präop präoperative"
).split()

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


@given(
    st.from_regex(r"(p|pat|Patient|subj|GBM|S-|case-)[0-9]{1,5}", fullmatch=True),
    st.sampled_from(TIME_POINTS),
    st.sampled_from("_- ."),
    st.sampled_from(["", "HGG_", "study "]),
)
def test_any_time_point_behind_a_patient_is_not_part_of_the_name(patient, point, sign, above):
    name = f"{above}{patient}{sign}{point}"
    assert patient_name(name) == f"{above}{patient}"
    assert patient_name(name.upper()).casefold() == patient_name(name).casefold()


@pytest.mark.parametrize("number", [1, 12, 31])
def test_the_number_of_a_patient_is_no_day(number):
    assert patient_name(f"case-{number}_Jan2019") == f"case-{number}"


@pytest.mark.parametrize("point", TIME_POINTS)
def test_a_time_point_alone_is_one(point):
    assert is_time_point(point)
    assert patient_name(point) == point
    assert not is_time_point(f"p1_{point}")


@given(st.text(alphabet="p1_-. vTist0230", max_size=200))
def test_any_name_has_a_patient(name):
    assert patient_name(name) in name or not name


DOUBTS = [
    (["p1_a", "p1_b", "p2_a"], [("p1_a", "p1_b")]),
    (["p1a", "p1b", "q7"], [("p1a", "p1b")]),
    (["patient_2_1", "patient_2_2"], [("patient_2_1", "patient_2_2")]),
    (["JD_1", "JD_2", "AB_1", "CX_1"], [("JD_1", "JD_2")]),
    (["p1", "p1_blurred", "p2"], [("p1", "p1_blurred")]),
    (["p1_visit1", "p1_Kontrolle", "p2"], [("p1_Kontrolle", "p1_visit1")]),
    (["x12_foo_bar", "x12_0001", "X12_visit1"], [("X12_visit1", "x12_0001", "x12_foo_bar")]),
    (["EGD-0001", "EGD-0001_2"], [("EGD-0001", "EGD-0001_2")]),
    (["Doe_2019", "Doe_2020"], [("Doe_2019", "Doe_2020")]),
    (["p12_190102", "p12_200305"], [("p12_190102", "p12_200305")]),
    (["preop", "postop"], [("postop", "preop")]),
    (["scan_001", "scan_002"], []),
    ([f"GLIO_{i:06}" for i in range(1, 30)], []),
    ([f"case_{i}" for i in range(20)], []),
    ([f"GLIO2019_{i:03}" for i in range(20)], []),
    ([f"{grade}_{i:04}" for i in range(30) for grade in ("HGG", "LGG")], []),
    ([f"BraTS20_Training_{i:03}" for i in range(30)], []),
    ([f"Brats18_CBICA_A{i}_1" for i in range(30)], []),
    ([f"p{i}_visit{k}" for i in range(9) for k in (1, 2)], []),
    ([f"Phantom_{i:05}" for i in range(9)], []),
]


@pytest.mark.parametrize(("names", "groups"), DOUBTS, ids=[names[0] for names, _ in DOUBTS])
def test_cases_that_may_be_of_one_patient(names, groups):
    assert doubtful_cases(names) == groups


@given(COHORTS)
def test_sites_keep_patients_whole(names):
    sites = split_sites(names)
    assert sorted(name for site in sites.values() for name in site) == sorted(names)
    of = [{patient_name(name).casefold() for name in site} for site in sites.values()]
    assert sum(map(len, of)) == len(set().union(*of))


def test_years_of_one_patient_are_one_site():
    assert split_sites(["Brats17_TCIA_171_1", "Brats18_TCIA02_171_1"]) == {
        "TCIA": ["Brats17_TCIA_171_1", "Brats18_TCIA02_171_1"]
    }


def test_capitals_make_no_other_patient():
    assert len(same_patient(["sub-A1_ses-1", "SUB-a1_ses-2"])) == 1


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
