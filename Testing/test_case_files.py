"""Files of one case together: time points, words that all share, doubtful files, two truths."""

import numpy as np
import pytest
from case_trees import SHAPE, write

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.ignored_files import tell_ignored
from scripted_models.errors import InputError
from scripted_models.labels import CODINGS

FOUR = "t1 t1c t2 flair"


@pytest.fixture
def plant(tmp_path):
    """Write files of a folder and return the cases."""

    def write_files(names: str, folder: str = "x"):
        for name in names.split():
            write(tmp_path / folder / f"{name}.nii.gz", np.ones(SHAPE, np.int16))
        return find_cases(tmp_path)

    return write_files


def images(case):
    return {m: source.path.name.removesuffix(".nii.gz") for m, source in case.images.items()}


def each(form: str, words: str = FOUR) -> str:
    return " ".join(form.format(word) for word in words.split())


def test_pre_and_post_are_time_points_where_all_files_have_them(plant):
    post, pre = plant(f"{each('p_pre_{}')} {each('p_post_{}')}")
    assert (post.name, pre.name) == ("p_post", "p_pre")
    for case in (post, pre):
        assert images(case) == {m: f"{case.name}_{m}" for m in FOUR.split()}


def test_pre_and_post_are_contrast_medium_where_t1_alone_has_them(plant):
    (case,) = plant("p_pre_t1 p_post_t1 p_t2 p_flair")
    assert images(case) == {"t1": "p_pre_t1", "t2": "p_t2", "flair": "p_flair"}
    assert (case.guesses["t1c"].key.name, case.guesses["t1c"].confidence) == (
        "p_post_t1.nii.gz",
        "likely",
    )


def test_post_alone_leaves_t1_to_the_user(plant):
    (case,) = plant("p_post_t1 p_post_t2 p_post_flair")
    assert images(case) == {"t2": "p_post_t2", "flair": "p_post_flair"}
    with pytest.raises(InputError, match=r"no sure t1, t1c .*may be with contrast medium"):
        case.require_images()


def test_t1_flair_may_be_a_flair_at_time_point_1(plant):
    found = {case.name: case for case in plant("P_T0_T1 P_T0_T1c P_T0_T2 P_T1_FLAIR")}
    assert set(images(found["P_T0"])) == {"t1", "t1c", "t2"}
    assert images(found["P"]) == {}
    assert "what 'T1' means is not known" in found["P"].guesses["t1"].reason


def test_a_word_of_all_files_is_no_doubt(plant):
    (case,) = plant(each("p_{}_klinikum"))
    assert images(case) == {m: f"p_{m}_klinikum" for m in FOUR.split()}


def test_an_unknown_word_behind_t1_may_mean_contrast_medium(plant):
    (case,) = plant(each("p_{}_klinikum", "t1 t2 flair"))
    assert images(case) == {"t2": "p_t2_klinikum", "flair": "p_flair_klinikum"}
    assert "what 'klinikum' means is not known" in case.guesses["t1"].reason


def test_plain_files_go_before_doubtful_ones_which_are_told(plant):
    (case,) = plant(f"{each('p_{}')} {each('p_{}_bias')}")
    assert images(case) == {m: f"p_{m}" for m in FOUR.split()}
    assert case.guesses == {}
    assert len(tell_ignored([case])) == 4
    assert "what 'bias' means is not known" in tell_ignored([case])[0]


def test_doubtful_files_alone_are_taken_where_all_share_the_word(plant):
    (case,) = plant(each("p_{}_bias"))
    case.require_images()


def test_two_doubtful_files_of_a_sequence_are_both_named(plant):
    (case,) = plant("p_t1c p_t2 p_flair p_t1_foo p_t1_bar")
    assert case.guesses["t1"].key is None
    assert "'p_t1_bar' and 'p_t1_foo' all look like T1" in case.guesses["t1"].reason


@pytest.mark.parametrize(
    ("names", "right"),
    [
        ("t1c t1_t1c_Warped t2_t1c_Warped flair_t1c_Warped", FOUR),
        ("t1c t1_t1c_Warped t1_t1c_1Warp t1_t1c_1InverseWarp t1_t1c_InverseWarped", "t1 t1c"),
        ("rT1 rT2 rFLAIR T1c c1T1 c2T1 y_T1", FOUR),
        ("T1 T2 FLAIR CT1 T1_pve_0 T1_seg T1_mixeltype", FOUR),
        (f"{each('sub-01_{}', 'T1w ce-gd_T1w T2w FLAIR')} sub-01_acq-tof_T1w sub-01_T2starw", FOUR),
        ("2_Ax_T1a 2_Ax_T1b 2_Ax_T1c 3_T2 4_FLAIR", "t2 flair"),
        ("S1_T1 S1_T1_GD S1_T2 S1_FLAIR S1_T1_GD_SUB S1_rCBV S1_SWI S1_T2_MAP", FOUR),
    ],
)
def test_folders_of_programs(names, right, plant):
    (case,) = plant(names)
    assert set(case.images) == set(right.split())
    assert case.problems == ()


@pytest.mark.parametrize("names", ["seg p_seg", "p_seg p_truth", "seg label"])
def test_two_truths_are_a_question(names, plant):
    (case,) = plant(f"{each('p_{}')} {names}", folder="p")
    (problem,) = case.problems
    assert problem.kind == "truth"
    with pytest.raises(InputError, match="found 2 files for the ground truth"):
        case.read_truth(CODINGS["brats2021"])


@pytest.mark.parametrize("strange", ["old_seg", "ventricles_seg", "anna_old_seg", "bert_seg"])
def test_a_loosely_named_patient_takes_no_strange_truth(strange, plant):
    names = f"AX_T1_SE_pre MR_AX_T1_MPRAGE_POST ax_t2_tse Sag_3D_FLAIR {strange}"
    (case,) = plant(names, folder="anna")
    assert len(case.images) == 4
    assert case.truth is None
    assert len(case.ignored) == 1


def test_a_folder_without_cases_says_what_was_left_out(plant):
    with pytest.raises(InputError, match=r"found no volumes.*p_t1_prob\.nii\.gz: 'prob' in the"):
        plant("p_t1_prob p_adc")
