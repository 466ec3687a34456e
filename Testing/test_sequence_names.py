"""The one reader of names: words of scanners, converters, scripts and public collections."""

import subprocess
import sys
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scripted_models.cases.name_words import (
    DOUBTFUL,
    GRADIENT_ECHO,
    KNOWN,
    NEUTRAL,
    OTHER,
    REGISTERED,
    TREATMENT,
    TREATMENT_PHRASES,
)
from scripted_models.cases.naming import file_role, left_out
from scripted_models.cases.sequence_names import read_name, read_names, settled
from scripted_models.sequences import BY_ALIAS, SEQUENCES

# '?' behind a sequence: only a hint; '?' alone: words that exclude each other; '-': none of the
# four, or nothing.
NAMES = {
    "t1": (
        "3DT1|Sag T1 FLAIR|AX T1 W/O|AX T1 WO|AX T1 WO CONTRAST|AX T1 -C|t1 tra nativ|"
        "t1_reg_t1c|p_t1_t1c_Warped|p01_t1_post_op|p01_t1_postop|p01_t1_post_surgery|"
        "p01_t1_post_RT|p01_t1_pre-op|rT1|wT1|T1_brain|T1_bet|t1_stripped|t1_n4|"
        "t1_bias_corrected|t1_resampled|t1_1mm|t1_norm|t1_to_t1c|t1_reg_t1c|t1_in_MNI|t12t2|"
        "T1W_TSE_TRA|T1 sans injection|T1 avant injection|T1 sans produit de contraste|"
        "T1 sin contraste|T1 S/C|T1 senza mdc|T1 basale|t1 vor Gabe von Gadovist|t1 ohne KM|"
        "t1 nach OP|T1平扫|T1 без контраста|UPENN-GBM-00001_11_T1_unstripped|"
        "PatientID_0003_Timepoint_1_brain_t1n|IXI002-Guys-0828-T1|sub-01_ses-post_T1w|"
        "sub-01_ses-02_ce-none_T1w|ReMIND-001_preop_T1|EGD-0265_T1|T1_Eq_1|T1_Tilt|AX T1a|"
        "t1_mprage_sag_p2_iso_1.0mm|T1_post_processed|t1_preprocessed|sub01_t1|sub-01_t1|"
        "SUB_001_T1|CT001_t1|PD01_T1|MD_t1|T1_without_gad_reg|patient_post_t1n|"
        "T1 3 months post RT|BraTS-MEN-RT-0000-1_t1n|S_T1_RESCALED_slice141|FG6692_t1|"
        "AX T1 IV-|T1 SE IV - FS|"
        "P01_T1_FLAIR|AX T1 FLAIR PRE|T1 w/o Gd|T1 NON CON|T1 noncon|T1 w out contrast|"
        "T1 pre gad|T1 SIN CONTRASTE|T1_SENSE_axial_3mm|t1_v2|t1_final|T1_axial_2019-05-03|"
        "MRI BRAIN WITHOUT AND WITH CONTRAST AX T1|MRI BRAIN WO W CONTRAST_AX_T1|seg001_t1|"
        "CT_017_t1|T1-weighted image|native T1|t1_tirm_tra_dark-fluid|T1FLAIR|T1_Nativ_FS|"
        "sub-01_space-MNI152NLin2009cAsym_desc-preproc_T1w|sub-01_rec-norm_T1w|"
        "sub-01_ses-preop_T1w|301_T1W_SE|T1_20190503093000_5|t1_axial_registered|"
        "T1_MPRAGE_PRE_GD|T1 VOR KM|T1 -|t1n|T1 SENZA MDC ASSIALE|T1 AX SIMPLE|"
        "T1 AX S/CONTRASTE|T1 SEM CONTRASTE|T1 PRÉ-CONTRASTE|T1 axial avant gado|"
        "T1 zonder contrast|T1 blanco|T1 no contrast|T1_No_Gd|T1-no-contrast|T1_WO_GD|T1_woGd|"
        "T1_withoutGd|T1 POST SURGERY AX|T1_3M_POST_RT|postop_t1|post-op-t1|T1_post_biopsy|"
        "T1_Brain_n4_1mm_reg|T1_brain_to_MNI_2mm|MNI_T1|t1_mpr_ns_sag_p2_iso|"
        "t1_mpr_sag_iso_MPR_Tra|t1_fl2d_tra_fs|T1 (1)|T1 Bias Corrected|T1-N4|AX T1 FS C-|"
        "OAx T1|T1W_FFE|T1_reg_T1_post|AX T1 WO GAD|PRE T1|T1_native_space|p_pre_contrast_t1|"
        "p_t1_precontrast|p_T1_noGd|p_t1_nongad|p_t1_non_enhanced|p_t1_nonenhanced|t1_w"
    ),
    "t1c": (
        "Ax T1 FLAIR +C|9_AX_T1_POSTa|AX_T1_GADa|AX T1 POSTCON|AX T1 POST CON|AX T1 W/ CONTRAST|"
        "AX T1 C+|AX T1 +GAD|t1 tra KM|T1 post Gd|post_contrast_t1|p_post_contrast_t1|t1c_n4|"
        "t1ce_in_MNI152_space|T1_injecté|T1 avec injection|T1 après gado|T1 con contraste|"
        "T1 C/C|T1 c/ contraste|T1 con mdc|T1 dopo mdc|t1 nach Gabe von Gadovist|t1 mit KM|"
        "t1 nach OP mit KM|T1增强|T1 с контрастом|UPENN-GBM-00001_11_T1GD|UCSF-PDGM-0004_T1c|"
        "PatientID_0003_Timepoint_1_brain_t1c|sub-01_ses-01_acq-postGd_T1w|"
        "sub-01_ses-02_ce-gadolinium_T1w|3D_AX_T1_postcontrast|CT1|CT1_r2s_bet_reg|"
        "TCGA-02-0006_1996.08.23_t1Gd|RHUH-0001_0_t1ce|CPTAC C3L-00016 AX T1 POST GD|"
        "t1_vibe_tra_fs_KM|WIP sT1W_3D_TFE_GD SENSE|Ax 3D T1 BRAVO +C|COR T1 FS POST|"
        "T1 SE AX +GAD|t1ce_preprocessed|t1_post_gd_n4_bet|T1Post|T1_Gd_1|patient_pre_t1c|"
        "T1 POST 5 MIN|AX T1 POST RT GD|T1-Gd|T1-CE|T1 CE|T1KM|3D T1 MPRAGE GADO|"
        "BraTS-MEN-RT-0000-1_t1c|AX T1 FLAIR POST|POSTCON T1|+C T1|T1 with Gd|T1 CON GADOLINIO|"
        "MRI_BRAIN_W_WO_CONTRAST_AX_T1_POST|T1MPRPOST|AXT1POSTGAD|T1-weighted post-contrast|"
        "T1 weighted with gadolinium|CT1_skull_strip|AxT1FLAIR+C|"
        "sub-01_acq-mprage_ce-Gd_run-02_T1w|T1 nach Kontrastmittelgabe|POST_T1_FLAIR|"
        "T1_GD_registered_to_T1|T1C_T1_Warped|T1_ax_+_KM|3D T1 TFE SAG GADO|T1 SE +G|t1wce|"
        "T1_CE_2mm|T1_MDC|T1 DOPO MDC ASSIALE|T1 AX CONTRASTADO|T1 AX C/CONTRASTE|"
        "T1 POS CONTRASTE|T1 PÓS-CONTRASTE|T1 apres injection de gadolinium|T1 GADO AXIAL|"
        "T1 met contrast|T1 na contrast|T1 IV contrast|T1_W_GD|T1W_GD|T1_wGd|T1_withGd|T1wC|"
        "t1_c|T1.C|T1POST_a|T1_postgd_1|T1 POST SURGERY AX +C|post_op_t1c|T1 POST BIOPSY GD|"
        "T1_post_contrast_post_op|reg_t1c|t1_space_sag_p2_iso_km|T1c [stripped]|AX T1 +C FLAIR|"
        "AX T1 IV+|T1_IV+|T1 IV+ GD|GD_trial_01_t1c|"
        "AX T1 FS C+|+C Ax T1 FSE|POST-CONTRAST: AX T1|T1 3D ISO C+ (MPR)|T1W_3D_TFE_ce|"
        "T1_post_Gd_reg_to_T1|T1_axial_post_contrast_fatsat_3mm_reg|ax t1 post fs|AX T1 W GAD|"
        "GAD T1|T1 POST_GAD_2|t1ce_native_space|p_t1_Gadolinium_enhanced|"
        "p_T1w_post_contrast_agent|t1gado|T1Gado|T1_c_e"
    ),
    "t2": (
        "Ax T2 PROPELLER|4_AX_T2|t2_reg_t1c|rT2|t22t1|sub-01_space-T1w_desc-preproc_T2w|"
        "T2_Crop_1|T2W_TSE_SENSE|Ax T2 FRFSE|sub-01_part-mag_T2w|T2 TSE SAG|t2_aligned_to_flair|"
        "t2_tse_rst_tra|T2 weighted_post_contrast"
    ),
    "flair": (
        "Ax T2 FLAIR|5_AX_FLAIR|flair_reg_t1c|wFLAIR|flair2t1c|FLAIR-in-T1c-space|"
        "reg_flair_to_t1c|flair_t1c_Warped|PatientID_0003_Timepoint_1_brain_t2f|"
        "sub-01_space-T1w_FLAIR|FLAIR_r2s_bet_reg|6_AX_FLAIRa|t2_spc_da-fl_sag_p2_iso|"
        "t2_tirm_tra_dark-fluid_fs|Sag CUBE FLAIR|FLAIR_2|t2-flair-brain|T2weightedFLAIR|"
        "FLAIR + C|sub-01_ce-gadolinium_FLAIR|FLAIR_brain_to_T1|FLAIR_rigid_T1c|"
        "FLAIR_coreg_to_T1|FLAIR coregistered with T1|flair_on_t1ce|FLAIR_into_T1|"
        "flair-to-t1c_bet|t2_tse_dark_fluid_tra|FLAIR registered|FLAIR_in_T1c_space_brain|"
        "flair_coregT1c|Ax T2 FLAIR FS +C|Ax T2/FLAIR|FLAIR_reg2t1c"
    ),
    "t1c?": (
        "GD_trial_01_t1|CE_P012_T1|"
        "AX T1 W/|T1 IV|T1-C|T1 with|T1 CON|MRI_BRAIN_W_CONTRAST_AX_T1|T1+|t1_vibe_dixon_tra_W|"
        "AX T1 W+"
    ),
    "-": (
        "p_t1_gd_sub|p_t2_dsc|p_t1_tof|p_t1_prob|p_t2_star|p_swi|p_t2map|p_T2_map|T2*w|"
        "AX T2* GRE|t1_subtraction|t1c_minus|UPENN-GBM-00001_11_DSC_ap-rCBV|"
        "UCSF-PDGM-0004_DTI_eddy_FA|UCSF-PDGM-0004_brain_parenchyma_segmentation|"
        "IXI002-Guys-0828-MRA|IXI002-Guys-0828-PD|sub-01_label-GM_probseg|"
        "sub-01_desc-brain_mask|sub-01_T2starw|sub-01_T1map|RHUH-0001_0_adc|T1_ph|T1_real|"
        "T1_imaginary|T1_ROI1|c1T1|wc1T1|y_T1|T1_jacobian|T1_warp|t1_deformation_field|"
        "T1_uncertainty|T1_pred|T1_bias_field|T1_template|atlas_T1|T1_MIP|t1_difference|sDWI|"
        "dDWI|T2W_FFE|SWIp|FILT_PHA: Ax SWAN|3Plane Loc|T1w_T2w_ratio|BraTS-MEN-RT-0000-1_gtv|"
        "S_templateT1_RESCALED_slice141|FG6692_hdbet_t1_mask|t1_sagittal_synthseg|t1_synthsr|"
        "CT_t1|ct_2_t1c|t1_1Warp|deltaT1|T1delta|dual_echo_t2|mean_t1|swi_t1|t2gre|rCBV_to_t1c|"
        "t1c-t1_sub|adc_2_t1|mask_to_t1c|seg2t1c|sub-01_part-phase_T2w|"
        "sub-01_from-T1w_to-MNI_mode-image_xfm|T1_post_op_mask|ADC (10^-6 mm²/s)|eADC|"
        "Ax DWI b=1000|T1 MTC|3D TOF T1|T2 FLAIR mask|FLAIR_lesion_mask|flair_lesions|T2_GRASE|"
        "T1 map MOLLI|T2 mapping|MRS T1|t1_average|T1_template_brain|p_t1_warp|"
        "p_t1_jacobian_det|p_t1_logJacobian|p_t1_bias_field|p_t1_biasfield|t1_pve_0|"
        "t1_posterior_1|t1_entropy|t1_diff_map|t1_residual|T1SEG|T1Mask|T1BrainMask|"
        "t1_brain_pveseg|t1_roi|MNI152_T1_1mm_template|T1_Jac|T1_warpfield|t1_defField|t1_csf|"
        "t1_gm|t1-wm-prob|t1_DWI_reg|t1_dti|T1_FA"
    ),
    "?": (
        "reg_t1c_flair|flair_t1|flair_t1c_reg|t1 mit und ohne KM|T1 +/- C|t1_t2|p_t1_t1c|"
        "T1 W/WO|T1 without and with contrast|T1 nativ und nach KM|t1c-t1|t1_from_t1c|"
        "T1 postcontrast_reg_to_pre|T1 post and pre|to_t1c|patient_to_t1c|rflair_t1|"
        "T1_T1c_T2_FLAIR|FLAIR_T1c_reg_FLAIR"
    ),
    "t1?": (
        "T1 привет|9_t1_mprage_tra_p2_iso_i00001|T1_zebra|T1 post 3 months|T1_masked|"
        "T1 post week12|T1_day1_post|p_t1_n4_bias"
    ),
    "t2?": ("T2_e1|T2_zebra"),
    "flair?": ("t2_tirm_cor"),
}
EACH_NAME = [(name, told) for told, names in NAMES.items() for name in names.split("|")]
PLAIN_WORDS = sorted(NEUTRAL - GRADIENT_ECHO)
words_of_scans = st.lists(st.sampled_from(PLAIN_WORDS), max_size=3)
aliases = st.sampled_from(sorted(BY_ALIAS))


def in_short(told):
    if told.sequence:
        return told.sequence + "?" * (told.rank < 2)
    return "?" if told.conflict else "-"


@pytest.mark.parametrize(("name", "told"), EACH_NAME)
def test_words_of_the_world(name, told):
    assert in_short(read_name(name)) == told


@pytest.mark.parametrize(("name", "told"), EACH_NAME)
def test_a_file_has_no_role_that_the_reader_denies(name, told):
    role = file_role(name)
    if told in ("-", "?"):
        assert role is None or role.kind.startswith("truth")
    elif role is not None:
        assert role.kind == told.rstrip("?")
        assert (role.told.rank < 2) == told.endswith("?")


@given(st.text(max_size=30), aliases, st.text(max_size=30))
def test_every_role_passes_the_reader(before, alias, after):
    name = f"{before}_{alias}_{after}"
    role, told = file_role(name), read_name(name)
    if role and role.kind in SEQUENCES and not role.second:
        assert (role.kind, role.told) == (told.sequence, told)
    if role is None and told.mentions and (told.other or told.conflict):
        assert left_out(name)


@given(words_of_scans, aliases, words_of_scans)
def test_words_of_scans_leave_no_doubt(before, alias, after):
    told = read_name("_".join([*before, alias, *after]))
    assert (told.sequence, told.rank > 1) == (BY_ALIAS[alias], True)


@given(aliases, st.sampled_from(sorted(OTHER)), words_of_scans, st.booleans())
def test_other_contrasts_and_derived_images_are_no_sequence(alias, other, words, capital):
    assume(not REGISTERED.intersection(words))  # 'T1c matched to the scout'
    name = "_".join(["p01", alias, *words, other])
    assert read_name(name.upper() if capital else name).sequence is None
    assert file_role(name) is None
    assert left_out(name)


@given(aliases, st.text("bcdfghjklmnpqrstvwxz", min_size=4, max_size=9))
def test_an_unknown_word_behind_a_sequence_is_a_doubt(alias, word):
    assume(word[:-1] not in KNOWN)  # a letter that converters add
    told = read_name(f"p_{alias}_{word}")
    assert told.sequence in (BY_ALIAS[alias], None)
    assert told.rank < 2 or word in KNOWN


@pytest.mark.parametrize("form", ["{}_reg_{}", "{}_to_{}", "{} registered to {}", "{}-in-{}-space"])
def test_registered_images_are_the_moving_ones(form):
    names = sorted(set(BY_ALIAS) - {"t1pre", "t1contrast"})
    for moving, fixed in permutations(names, 2):
        name = form.format(moving, fixed)
        assert read_name(name).sequence == BY_ALIAS[moving], name
        assert read_name(f"reg_{name}").sequence == BY_ALIAS[moving], name


@pytest.mark.parametrize(("moving", "fixed"), list(permutations(["t1", "t1c", "t2", "flair"], 2)))
def test_short_forms_of_registered_images(moving, fixed):
    assert read_name(f"p_{moving}2{fixed}").sequence == moving
    warped = read_name(f"p_{moving}_{fixed}_Warped")
    assert warped.sequence == (None if (moving, fixed) == ("t2", "flair") else moving)
    both = read_name(f"p_reg_{moving}_{fixed}")
    assert both.conflict or {moving, fixed} == {"t2", "flair"}


@pytest.mark.parametrize("word", sorted(TREATMENT))
@pytest.mark.parametrize("when", ["post", "pre", "nach", "vor"])
def test_a_treatment_is_no_contrast_medium(word, when):
    for name in (f"p01_t1_{when}_{word}", f"t1 {when}-{word}", f"{when}_{word}_t1"):
        told = read_name(name)
        assert (told.sequence, told.rank) == ("t1", 2), name
    assert read_name(f"p01_t1_{when}_{word}_gd").sequence == "t1c"


@pytest.mark.parametrize("word", sorted(TREATMENT_PHRASES))
def test_a_treatment_in_one_word(word):
    assert read_name(f"p01_{word}_t1") == read_name(f"p01_t1_{word}") == read_name("t1")


@pytest.mark.parametrize("sequence", ["t1", "t2", "flair", "t1ce", "T1_POST", "T1 GAD", "T1 KM"])
@pytest.mark.parametrize("letter", "abcd")
def test_letters_that_converters_add(sequence, letter):
    if sequence + letter not in BY_ALIAS:
        assert read_name(f"9_AX_{sequence}{letter}") == read_name(f"9_AX_{sequence}")


def test_letters_that_count_names_are_no_contrast_medium():
    names = [f"4_AX_T1{letter}" for letter in "abc"]
    found = settled({n: read_name(n) for n in names}, {n: n for n in names})
    assert [e.sequence for e in found.values()] == ["t1", "t1", "t1"]
    alone = settled({names[2]: read_name(names[2])}, {names[2]: names[2]})
    assert alone[names[2]].sequence == "t1c"


def test_a_word_that_all_volumes_share_leaves_no_doubt():
    def ranks(*names):
        found = settled({n: read_name(n) for n in names}, {n: n for n in names})
        return [found[n].rank for n in names]

    assert ranks("t1_xyz", "t1c_xyz", "t2_xyz") == [2, 2, 2]
    assert ranks("t1_xyz", "t2_xyz", "flair_xyz") == [1, 2, 2]  # may mean contrast medium
    assert ranks("t1_xyz", "t1c", "t2_xyz") == [1, 2, 1]
    assert ranks("t2_xyz") == [1]


def test_a_doubt_about_t1_stays_whatever_the_description_says():
    assert read_names("T1 xyz", "ax t1").rank == 1
    assert read_names("scan 3", "ax t1").rank == 2


@pytest.mark.parametrize("word", sorted(DOUBTFUL))
def test_doubtful_words(word):
    assert read_name(f"t2_{word}").doubt == word


def test_long_names_take_no_exponential_time():
    """In a process that is ended by force; it needs a few seconds."""
    code = """
from scripted_models.cases.name_words import KNOWN
from scripted_models.cases.naming import file_role
for number, word in enumerate(sorted(KNOWN)):
    sign, tail = (("", "q!"), ("_", ""), ("2", ""), ("", ""))[number % 4]
    file_role((word + sign) * (160 // (len(word) + len(sign))) + tail)
for sign in ("", " ", "-", "+", "/"):
    file_role(sign.join(sorted(KNOWN) * 3)), file_role("t1" + sign * 9000)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=200)
