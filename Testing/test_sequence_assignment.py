"""Which loosely named volume is T1, T1c, T2 or FLAIR: by names, by voxels, and in folders."""

import json
from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.phantom.phantom_case import make_phantom
from scripted_models.cases.sequence_assignment import Candidate, assign_sequences
from scripted_models.cases.sequence_names import read_name, read_names
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.images.contrast import MARGIN, Comparison, look_at
from scripted_models.sequences import SEQUENCES

# What scanners and people write: sequence with rank (3 'without contrast medium', 2 stated,
# 1 hinted at), 'other' for none of the four, 'clash' for words that exclude each other, '-' for
# nothing.
NAMES = {
    "t1 2": (
        "t1_se_tra|t1_mprage_sag_p2_iso|Ax T1 FLAIR|AxT1|eT1W_SE|T1W_IR|t1_fl3d_sag|sub-01_T1w|"
        "T1 w/o|BRAIN W WO CONTRAST AX T1|T1 post op|t1 post treatment|T1 preop|T1 SPACE"
    ),
    "t1 3": (
        "T1 C-|T1 -C|t1 nativ|t1 se vor KM|T1 without gad|T1 w/o contrast|PRE AX T1|t1n|"
        "T1_pre_contrast|T1 non-contrast|T1 unenhanced|T1 sans gado|AX FSPGR PRE"
    ),
    "t1 1": "MPRAGE|3D BRAVO|FSPGR 3D|vibe_tra|IRSPGR",
    "t1c 2": (
        "MR_AX_T1_MPRAGE_POST|MPRAGE +C|Ax T1 FSE+C|AXT1POST|sT1W_3D_TFE_GD|T1 C+|T1 + Gd|t1ce|"
        "T1_C|t1_vibe_fs_cor_KM|t1 se tra nach KM|5: t1_mprage_tra_post_Dotarem|POST AX T1|"
        "Ax T1 FLAIR +C|T1 enhanced|BRAIN W/WO CONTRAST AX T1 POST|T1 post-op +Gd|"
        "sub-01_ce-gadolinium_T1w|T1 mdc"
    ),
    "t1c 1": "patient_post_t1|post gado axial",
    "t2 2": (
        "ax t2 tse|t2_tse_tra_512|T2W_TSE|T2 PROPELLER|AX T2 POST|T2 in T1 space|t2_blade_cor"
    ),
    "flair 2": (
        "Sag 3D FLAIR SPACE|T2 FLAIR|AXT2FLAIR|t2_tirm_tra_dark-fluid|t2_space_da-fl_sag|t2f|"
        "CUBE T2 FLAIR|3D_Brain_VIEW_FLAIR|FLAIR_to_T1|AX FLAIR POST"
    ),
    "flair 1": "tirm tra|spcir_sag",
    "other": (
        "ADC|ep2d_diff_trace|DWI b1000|b0|T2*|t2_star|t2_fl2d_hemo|AX T2 GRE|SWI|Ax T2 STIR|"
        "localizer|TOF_3D|CT|PET FDG|perf_T1_dce|rCBV|T1 map|T2 map|phase contrast|T1_seg|"
        "brain_mask|T1 label|probability_t1|PD T2 dual"
    ),
    "clash": "T1 T2|T1 pre and post|T1 with gad without contrast",
    "-": "|vol0001|T12 spine|t1000|series 4|tfl3d1_16ns|AX post|MPR",
}
EACH_NAME = [(name, told) for told, names in NAMES.items() for name in names.split("|")]
FILES = {
    "t1": "AX T1 SE pre.nii.gz",
    "t1c": "MR_AX_T1_MPRAGE_POST.nii.gz",
    "t2": "ax t2 tse.nii.gz",
    "flair": "Sag 3D FLAIR SPACE.nrrd",
}
PLAIN = {"t1": "ax t1", "t1c": "ax t1 +c", "t2": "ax t2", "flair": "ax flair"}


def in_short(told):
    if told.other or told.conflict:
        return "other" if told.other else "clash"
    return f"{told.sequence} {told.rank}" if told.sequence else "-"


def assign(*names, voxels=None, group=""):
    """Assign names; `voxels` maps names to arrays."""
    reads = {name: (lambda name=name: voxels[name]) for name in voxels or ()}
    return assign_sequences(Candidate(n, n, group=group, read=reads.get(n)) for n in names)


def keys(guesses):
    return {sequence: guess.key for sequence, guess in guesses.items()}


@cache
def head():
    return make_phantom(4, (80, 80, 52)).volumes


class TestNames:
    @pytest.mark.parametrize(("name", "told"), EACH_NAME)
    def test_words_of_scanners_and_people(self, name, told):
        assert in_short(read_name(name)) == told

    @given(st.text(max_size=30), st.text(max_size=30))
    def test_any_text_is_answered_with_at_most_one_sequence(self, name, description):
        told = read_names(name, description)
        assert (told.sequence in SEQUENCES) == bool(told.rank)
        assert (told.sequence is None) or not (told.other or told.conflict)

    @pytest.mark.parametrize(
        ("name", "description", "told"),
        [
            ("volume", "Ax T1 +C", "t1c 2"),
            ("T1", "t1_mprage KM", "t1c 2"),
            ("T1 post", "t1_mprage", "t1c 2"),
            ("MPRAGE", "t1 se", "t1 2"),
            ("T1", "T1 pre", "t1 3"),
            ("T1 pre", "T1 +C", "clash"),
            ("T2", "t2_tirm_dark-fluid", "clash"),
            ("T2", "ADC", "other"),
            ("T2", "T2", "t2 2"),
        ],
    )
    def test_the_more_specific_of_name_and_description_counts(self, name, description, told):
        assert in_short(read_names(name, description)) == told


class TestAssignment:
    def test_all_four_by_name_are_sure(self):
        guesses = assign(*PLAIN.values(), "ADC", "ax t1 mask")
        assert keys(guesses) == PLAIN
        assert {guess.confidence for guess in guesses.values()} == {"sure"}

    @pytest.mark.parametrize("sequence", SEQUENCES)
    def test_two_that_look_alike_leave_the_sequence_open_and_are_named(self, sequence):
        second = PLAIN[sequence].replace("ax", "sag")
        told = assign(*PLAIN.values(), second)[sequence]
        assert (told.key, told.confidence) == (None, "")
        assert PLAIN[sequence] in told.reason
        assert second in told.reason

    def test_a_t1_that_denies_contrast_medium_goes_before_one_that_is_silent(self):
        assert assign("t1 pre", "t1 mprage", "t1 post")["t1"].key == "t1 pre"

    def test_a_method_alone_is_only_likely(self):
        told = assign("MPRAGE", "ax t1 +c", "ax t2", "ax flair")["t1"]
        assert (told.key, told.confidence) == ("MPRAGE", "likely")

    def test_words_that_exclude_each_other_are_told(self):
        told = assign("t1 t2", "ax flair")["t2"]
        assert told.key is None
        assert "'t1 t2' ('T1' and 'T2')" in told.reason

    def test_only_one_group_is_used(self):
        a = [Candidate(("a", m), name, group="a") for m, name in PLAIN.items()]
        b = [Candidate(("b", m), name, group="b") for m, name in PLAIN.items()]
        assert keys(assign_sequences([*a, *b[:3]])) == {m: ("a", m) for m in SEQUENCES}
        for both in ([*a, *b], [*a[:2], *b[2:]]):
            guesses = assign_sequences(both)
            assert set(keys(guesses).values()) == {None}
            assert "2 patients or studies" in guesses["t1"].reason

    def test_groups_without_a_sequence_do_not_count(self):
        a = [Candidate(m, name, group="a") for m, name in PLAIN.items() if m != "t2"]
        assert assign_sequences([*a, Candidate("ct", "CT", group="b")])["t1"].key == "t1"

    def test_no_volume(self):
        assert all(guess.reason for guess in assign_sequences([]).values())


class TestVoxels:
    def test_swapped_names_are_opened_with_the_contradiction(self):
        volumes = {PLAIN[m]: head()[m] for m in SEQUENCES}
        assert keys(assign(*volumes, voxels=volumes)) == PLAIN
        volumes["ax t1"], volumes["ax t2"] = volumes["ax t2"], volumes["ax t1"]
        guesses = assign(*volumes, voxels=volumes)
        assert keys(guesses) == {**PLAIN, "t1": None, "t2": None}
        assert "'ax t1' is T1 by its name but looks like T2" in guesses["t1"].reason

    def test_two_silent_t1_are_told_apart_by_enhancement(self):
        volumes = {"t1 a": head()["t1c"], "t1 b": head()["t1"]}
        guesses = assign(*volumes, voxels=volumes)
        assert (guesses["t1"].key, guesses["t1c"].key) == ("t1 b", "t1 a")
        assert guesses["t1"].confidence == guesses["t1c"].confidence == "likely"

    def test_a_stated_t1_stays_sure_beside_a_method_with_enhancement(self):
        volumes = {"ax t1 se": head()["t1"], "MPRAGE": head()["t1c"]}
        guesses = assign(*volumes, voxels=volumes)
        assert (guesses["t1"].key, guesses["t1"].confidence) == ("ax t1 se", "sure")
        assert (guesses["t1c"].key, guesses["t1c"].confidence) == ("MPRAGE", "likely")

    def test_a_copy_is_not_taken_for_contrast_medium(self):
        volumes = {"t1 a": head()["t1"], "t1 b": head()["t1"]}
        assert assign(*volumes, voxels=volumes)["t1c"].key is None

    @pytest.mark.parametrize("sequence", ["t1", "t1c", "t2"])
    def test_the_last_volume_takes_the_last_place_when_it_looks_so(self, sequence):
        names = {**PLAIN, sequence: "scan"}
        volumes = {names[m]: head()[m] for m in SEQUENCES}
        guess = assign(*volumes, voxels=volumes)[sequence]
        assert (guess.key, guess.confidence) == ("scan", "likely")
        noise = np.where(
            head()["t1"] > 0, np.random.default_rng(0).random(head()["t1"].shape) + 1, 0
        )
        assert assign(*volumes, voxels={**volumes, "scan": noise})[sequence].key is None

    def test_without_voxels_the_last_volume_is_left_out(self):
        assert assign("ax t1", "ax t1 +c", "ax t2", "scan")["flair"].key is None

    def test_voxels_are_read_once_and_not_of_what_the_name_rules_out(self):
        asked = []
        candidates = [
            Candidate(n, n, read=lambda n=n: asked.append(n) or head()["t1"])
            for n in (*PLAIN.values(), "ADC", "t1 seg", "sag t2 map")
        ]
        assign_sequences(candidates)
        assert sorted(asked) == sorted(PLAIN.values())

    def test_a_file_that_cannot_be_read_leaves_the_names(self):
        def broken():
            raise InputError("broken")

        guesses = assign_sequences(Candidate(m, name, read=broken) for m, name in PLAIN.items())
        assert keys(guesses) == {m: m for m in SEQUENCES}

    @pytest.mark.parametrize("kind", ["whole head", "constant", "not finite", "2-D", "empty"])
    def test_what_is_no_stripped_brain_is_not_judged(self, kind):
        array = {
            "whole head": np.random.default_rng(0).random((20, 20, 20)),
            "constant": np.pad(np.ones((8, 8, 8)), 4),
            "not finite": np.where(head()["t1"] > 0, np.nan, 0),
            "2-D": np.ones((5, 5)),
            "empty": np.zeros((0, 5, 5)),
        }[kind]
        assert look_at(array) is None

    def test_scale_and_offset_of_gray_values_do_not_matter(self):
        one = Comparison({m: look_at(head()[m]) for m in SEQUENCES})
        other = Comparison({m: look_at(head()[m] * 7.5 - 900) for m in SEQUENCES})
        order = {m: m for m in SEQUENCES}
        assert one.score(order) == pytest.approx(other.score(order), abs=1e-3)

    def test_volumes_on_other_grids_are_not_compared(self):
        looks = {m: look_at(head()[m]) for m in SEQUENCES}
        looks["t2"] = look_at(head()["t2"][:-1])
        looks["flair"] = look_at(np.roll(head()["flair"], 20, axis=1))
        assert Comparison(looks).keys == ("t1", "t1c")

    @pytest.mark.real_data
    def test_patients_are_recognized_without_names(self, real_data):
        cases = sorted(find_cases(real_data / "brats"), key=lambda case: case.name)
        for case in cases[:: max(1, len(cases) // 3)][:3]:
            looks = {m: look_at(sitk.GetArrayFromImage(case.images[m].read())) for m in SEQUENCES}
            comparison = Comparison(looks)
            order = {m: m for m in SEQUENCES}
            best, lead = comparison.best_order(order, SEQUENCES)
            assert best == order
            assert lead > MARGIN
            assert all(comparison.fits(order, m) for m in SEQUENCES)


class TestFolders:
    @staticmethod
    def plant(folder, names):
        folder.mkdir(exist_ok=True)
        for name in names:
            array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
            sitk.WriteImage(sitk.GetImageFromArray(array), str(folder / name))
        return folder

    def test_a_loosely_named_patient_is_a_case_with_its_labels(self, tmp_path):
        folder = self.plant(tmp_path / "anna", [*FILES.values(), "seg.nii.gz", "ADC.nii.gz"])
        (case,) = find_cases(tmp_path)
        case.require_images()
        assert case.name == "anna"
        assert {m: s.path.name for m, s in case.images.items()} == FILES
        assert case.truth == folder / "seg.nii.gz"

    def test_a_likely_file_is_listed_with_its_reason_and_not_used(self, tmp_path, capsys):
        names = {**FILES, "t1": "MPRAGE.nii.gz"}
        folder = self.plant(tmp_path / "anna", names.values())
        assert main(["cases", str(folder)]) == 0
        text = capsys.readouterr().out
        assert "anna  missing t1  no ground truth" in text
        assert "t1     likely  MPRAGE.nii.gz: 'MPRAGE' hints at T1" in text
        assert "flair  sure    Sag 3D FLAIR SPACE.nrrd: " in text
        assert main(["cases", str(folder), "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)
        assert told["missing"] == ["t1"]
        assert told["guesses"]["t1"]["path"] == str(folder / "MPRAGE.nii.gz")
        assert told["guesses"]["t1"]["confidence"] == "likely"
        assert main(["segment", str(folder), "--output", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert "no sure t1 ('MPRAGE' hints at T1" in error
        assert "--t1 --t1c --t2 --flair" in error

    def test_an_open_sequence_says_why(self, tmp_path, capsys):
        self.plant(tmp_path / "anna", [*FILES.values(), "sag t2 tse.nii.gz"])
        assert main(["cases", str(tmp_path)]) == 0
        told = capsys.readouterr().out
        assert "t2     open    'ax t2 tse' and 'sag t2 tse' all look like T2 by their names" in told

    @pytest.mark.parametrize(
        "files",
        [
            "p1_t1 p2_t1ce p2_t2 p2_flair p2_t1",
            "anna_t1 anna_flair bert_t2 bert_t1ce",
            "anna_t1 bert_t1ce bert_t2 bert_t1",
            "p1_t1 p2_t1ce p3_t2 p4_flair",
        ],
    )
    def test_sequences_of_several_patients_are_not_mixed(self, files, tmp_path):
        self.plant(tmp_path, [f"{name}.nii.gz" for name in files.split()])
        found = [case.name for case in find_cases(tmp_path)]
        assert found == sorted({name.split("_")[0] for name in files.split()})

    def test_volumes_without_telling_names_are_no_case(self, tmp_path):
        self.plant(tmp_path, ["a.nii.gz", "b.nii.gz", "c.nii.gz", "d.nii.gz"])
        with pytest.raises(InputError, match="found no volumes named by sequence"):
            find_cases(tmp_path)
