"""What file names tell: sequence or truth, the case's part of the name, the label coding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted_models.cases.naming import FileRole, coding_from_name, file_role
from scripted_models.cases.sequence_names import sequence_from_name
from scripted_models.labels import CODINGS
from scripted_models.sequences import ALIASES, BY_ALIAS, name_tokens

ROLES = {
    # the challenges
    "BRATS_HG0001_T1C": ("t1c", "BRATS_HG0001"),
    "BRATS_HG0001_atropos_truth_slice90": ("truth_atropos", "BRATS_HG0001"),
    "SimBRATS_HG0001_truth": ("truth", "SimBRATS_HG0001"),
    "SimBRATS_HG0001_complete_truth": ("truth_tissue", "SimBRATS_HG0001"),
    "VSD.Brain.XX.O.MR_T1.54513": ("t1", ""),
    "VSD.Brain.XX.O.MR_T1c.54514": ("t1c", ""),
    "VSD.Brain_3more.XX.XX.OT.6560": ("truth", ""),
    "Brats18_2013_2_1_seg5_derived": ("truth5", "Brats18_2013_2_1"),
    "BraTS20_Training_001_t1ce": ("t1c", "BraTS20_Training_001"),
    "BraTS-GLI-00000-000-t1n": ("t1", "BraTS-GLI-00000-000"),
    "BraTS-GLI-00000-000-t1c": ("t1c", "BraTS-GLI-00000-000"),
    "BraTS-GLI-00000-000-t2w": ("t2", "BraTS-GLI-00000-000"),
    "BraTS-GLI-00000-000-t2f": ("flair", "BraTS-GLI-00000-000"),
    "BraTS-MEN-00004-000-seg": ("truth", "BraTS-MEN-00004-000"),
    "W39_1998.09.19_Segm": ("truth", "W39_1998.09.19"),
    # collections beside the challenges
    "UPENN-GBM-00001_11_T1GD": ("t1c", "UPENN-GBM-00001_11"),
    "UCSF-PDGM-0004_T1c_bias": ("t1c", "UCSF-PDGM-0004"),
    "sub-01_ses-01_ce-GD_T1w": ("t1c", "sub-01_ses-01"),
    "sub-01_ses-01_T1w": ("t1", "sub-01_ses-01"),
    # T1 with and without contrast medium
    "patient_T1_post_contrast": ("t1c", "patient"),
    "t1_ax_post_gd": ("t1c", ""),
    "T1 + Gd": ("t1c", ""),
    "T1+C": ("t1c", ""),
    "patient_post_t1": ("t1", "patient_post"),
    "T1_pre_contrast": ("t1", ""),
    "p_noncontrast_T1": ("t1", "p"),
    "p_T1_without_contrast": ("t1", "p"),
    # T2 and FLAIR
    "p_T2_FLAIR": ("flair", "p"),
    "p_FLAIR_T2": ("flair", "p"),
    "p_t2_tirm_tra_dark-fluid": ("flair", "p"),
    "p_t2_space_dark_fluid": ("flair", "p"),
    "p_t2_tse_tra": ("t2", "p"),
    # registered to another sequence
    "p_flair_to_t1": ("flair", "p"),
    "p_t2_in_T1c_space": ("t2", "p"),
    # the plane is no part of the case
    "p_ax_t1": ("t1", "p"),
    "p_axial_flair": ("flair", "p"),
}
NO_ROLE = (
    "",
    "segmentation",
    "probability_enhancing",
    "probabilities",
    "p_brain_mask",
    "p_t1_mask",
    "brainmask",
    "p_t1_seg",  # may be tissue
    "p_dwi",
    "p_adc",
    "t1000",
    "report",
    "test1",
    "BRATS_001",
    "Thumbs",
)


@pytest.mark.parametrize("name", ROLES)
def test_roles(name):
    assert file_role(name) == FileRole(*ROLES[name])


@pytest.mark.parametrize("name", NO_ROLE)
def test_names_that_tell_nothing(name):
    assert file_role(name) is None


@pytest.mark.parametrize("alias", BY_ALIAS)
@pytest.mark.parametrize("sign", ["_", "-", ".", " "])
def test_every_alias_behind_every_sign_in_any_case(alias, sign):
    for word in (alias, alias.upper(), alias.capitalize()):
        assert file_role(f"Case_07{sign}{word}") == FileRole(BY_ALIAS[alias], "Case_07")
        assert file_role(word) == FileRole(BY_ALIAS[alias], "")


def test_no_alias_stands_for_two_sequences():
    assert len(BY_ALIAS) == sum(map(len, ALIASES.values()))


@given(st.text(max_size=40))
def test_any_text_is_answered(name):
    role = file_role(name)
    assert role is None or name.startswith(role.stem)
    assert sequence_from_name(name) in (None, *ALIASES)
    assert coding_from_name(name, f"/a/{name}") in (None, *CODINGS)


@pytest.mark.parametrize(
    ("name", "sequence"),
    [
        ("FLAIR", "flair"),
        ("T1w", "t1"),
        ("t1gd", "t1c"),
        ("T2w", "t2"),
        ("x_t1ce", "t1c"),
        ("t1_t2", None),
        ("DWI", None),
        ("", None),
        ("at1", None),
    ],
)
def test_sequence_from_name(name, sequence):
    assert sequence_from_name(name) == sequence


def test_name_tokens():
    assert name_tokens("BraTS-GLI_00000.T1c (2)") == ["brats", "gli", "00000", "t1c", "2"]


@pytest.mark.parametrize(
    ("name", "path", "coding"),
    [
        ("BRATS_LG0012", "/x/BRATS_LG0012_T1.mha", "brats2012"),
        ("SimBRATS_HG0001", "/x/SimBRATS_HG0001_T1.mha", "brats2012"),
        ("HG_0001", "/x/HG/0001/VSD.Brain_3more.XX.XX.OT.1.mha", "brats2013"),
        ("HG_0001", "/Synthetic_Data/HG/0001/VSD.Brain_3more.XX.XX.OT.1.mha", "brats2012"),
        ("Brats17_TCIA_101_1", "/x/a.nii.gz", "brats2021"),
        ("BraTS2021_00000", "/x/a.nii.gz", "brats2021"),
        ("BraTS-GLI-00005-099", "/x/a.nii.gz", "brats2023"),
        ("BraTS-GLI-00005-100", "/x/a.nii.gz", "brats2024"),
        ("BraTS-GLI-00005-000", "/BraTS2024-GLI/a.nii.gz", "brats2024"),
        ("BraTS-GLI-00005-000", "/BraTS2024-BraTS-GLI-Data/a.nii.gz", "brats2024"),
        ("BraTS-MET-00001-000", "/BraTS2024-MET/a.nii.gz", "brats2023"),
        ("BraTS-PED-00001-000", "/BraTS2023-PED/a.nii.gz", "brats2023"),
        ("BraTS-PED-00001-000", "/BraTS-PEDs2024_Training/a.nii.gz", "brats2024ped"),
        ("BraTS-PED-00001-000", "/x/a.nii.gz", None),
        ("BraTS-XYZ-00001-000", "/x/a-t1c.nii.gz", None),
        ("patient", "/x/patient-t1n.nii.gz", "brats2023"),
        ("patient", "/x/patient_t1ce.nii.gz", "brats2021"),
        ("patient", "/x/patient_t1.nii.gz", None),
        ("patient", "/BraTS2021_00000/patient_t1.nii.gz", None),
    ],
)
def test_coding_from_name(name, path, coding):
    assert coding_from_name(name, path) == coding
