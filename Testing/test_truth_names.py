"""Which label maps are an expert's ground truth by their names, and what is said of the others."""

import json

import numpy as np
import pytest
from case_trees import SHAPE, values_of, write, write_images

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.ignored_files import tell_ignored
from scripted_models.cases.naming import file_role, left_out
from scripted_models.cli import main

CASE = "BraTS2021_00001"
TRUTHS = (
    "seg",
    "Seg",
    "segm",
    "truth",
    "GT",
    "label",
    "labels",
    "ground_truth",
    "tumor_seg",
    "tumour-segmentation",
    "expert_seg",
    "seg_manual",
    "manual_corrected_seg",
    "GlistrBoost_ManuallyCorrected",
    "seg5",
    "seg5_derived",
    "seg5_OTMultiClass",
    "desc-manual_dseg",
)
OTHERS = (
    "ventricles_seg",
    "tissue_seg",
    "wm_seg",
    "atlas_labels",
    "seg_pred",
    "seg_probability",
    "old_seg",
    "final_seg",
    "brain_seg",
    "seg_auto",
    "nnunet_seg",
    "aseg",
    "hemorrhage_seg",
    "seg_v1",
    "seg2",
    "seg_1",
    "segmentation",
    "predicted_labels",
    "GlistrBoost",
    "automated_approx_segm",
    "brain_segmentation",
    "synthseg",
    "dseg",
    "label-tumor_mask",
    "tumorMask",
    "tumor_mask",
    "t1_seg",
    "mask",
    "seg5_pred",
    "gtv",
    "lesion",
    "roi",
    "truth_old",
    "my_truth",
    "annotation_draft",
    "prediction",
    "tumor",
)


def plant(root, *names, coding="brats2021"):
    write_images(root, f"{CASE}/{CASE}_{{}}.nii.gz", "t1 t1ce t2 flair")
    for name in names:
        write(root / f"{name}.nii.gz", values_of(coding))
    return root


def truth_of(root):
    (case,) = (case for case in find_cases(root) if case.images)
    return case.truth


@pytest.mark.parametrize("name", TRUTHS)
@pytest.mark.parametrize("before", [f"{CASE}_", ""])
def test_known_forms_are_a_truth(name, before, tmp_path):
    assert truth_of(plant(tmp_path, f"{CASE}/{before}{name}")).name == f"{before}{name}.nii.gz"
    assert left_out(f"{before}{name}") == ""


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("before", [f"{CASE}_", f"{CASE}-", ""])
def test_other_label_maps_are_ignored_with_a_sentence(name, before, tmp_path):
    (case,) = find_cases(plant(tmp_path, f"{CASE}/{before}{name}"))
    assert case.truth is None
    (file,) = case.ignored
    assert file.path.name == f"{before}{name}.nii.gz"
    (sentence,) = tell_ignored([case])
    assert sentence.startswith(f"{file.path} was ignored: ")


@pytest.mark.parametrize("name", OTHERS)
def test_other_label_maps_beside_many_cases_and_alone(name, tmp_path):
    for number in (1, 2):
        write_images(tmp_path, f"flat/B{number}_{{}}.nii.gz")
        write(tmp_path / f"flat/B{number}_{name}.nii.gz", values_of("brats2021"))
    cases = find_cases(tmp_path)
    assert [(case.name, case.truth) for case in cases] == [("B1", None), ("B2", None)]
    assert len(tell_ignored(cases)) == 1
    assert [len(case.ignored) for case in cases] == [1, 1]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("PatientID_0003_Timepoint_1", "PatientID_0003_Timepoint_1_tumorMask"),
        ("RHUH-0001_0", "RHUH-0001_0_segmentations"),
        ("UCSF-PDGM-0004", "UCSF-PDGM-0004_tumor_segmentation"),
        ("UPENN-GBM-00001_11", "UPENN-GBM-00001_11_segm"),
        ("sub-01_ses-01", "sub-01_ses-01_space-T1w_desc-tumor_dseg"),
        ("HG_0001", "HG_0001_truth"),
        ("BRATS_HG0001", "BRATS_HG0001_atropos_truth_slice90"),
    ],
)
def test_forms_of_collections(stem, name):
    role = file_role(name)
    assert role.kind.startswith("truth")
    assert role.stem == stem


@pytest.mark.parametrize(
    "folder",
    ["predictions", "nnUNet_out", "results/a", "automated_segm", "swinunetr", "fold_0/validation"],
)
def test_a_folder_of_results_holds_no_truth(folder, tmp_path):
    (case,) = find_cases(plant(tmp_path, f"{folder}/{CASE}_seg"))
    assert case.truth is None
    assert "is a folder of results by its name" in tell_ignored([case])[0]


def test_images_in_a_folder_of_results_keep_their_truth(tmp_path):
    root = plant(tmp_path / "results", f"{CASE}/{CASE}_seg")
    assert truth_of(root.parent) == root / f"{CASE}/{CASE}_seg.nii.gz"


def test_labels_in_a_folder_of_their_own_are_a_truth(tmp_path):
    assert truth_of(plant(tmp_path, f"Labels/{CASE}_seg")).parent.name == "Labels"


def test_what_segment_writes_is_no_truth(tmp_path):
    root = plant(tmp_path, f"out/{CASE}/segmentation", f"{CASE}/segmentation")
    assert truth_of(root) is None


def test_one_line_tells_of_a_thousand_files(tmp_path):
    cases = []
    for number in range(12):
        write_images(tmp_path, f"X{number:03}_{{}}.nii.gz")
        write(tmp_path / f"X{number:03}_brain_mask.nii.gz", np.ones(SHAPE, np.uint8))
    cases = find_cases(tmp_path)
    (line,) = tell_ignored(cases)
    assert line.startswith("12 files such as <case>_brain_mask.nii.gz were ignored: ")


class TestCommands:
    def test_cases(self, tmp_path, capsys):
        root = plant(tmp_path, f"{CASE}/{CASE}_old_seg", f"{CASE}/{CASE}_t2_dsc")
        assert main(["cases", str(root)]) == 0
        text = capsys.readouterr().out
        assert "no ground truth" in text
        assert f"{CASE}_old_seg.nii.gz was ignored: no known form of name" in text
        assert f"{CASE}_t2_dsc.nii.gz was ignored: 'dsc' in the name says" in text
        assert main(["cases", str(root), "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)
        assert {file["path"].rpartition("_")[2] for file in told["ignored"]} == {
            "seg.nii.gz",
            "dsc.nii.gz",
        }

    def test_evaluate_scores_no_prediction_against_itself(self, tmp_path, capsys):
        root = plant(tmp_path / "data", f"{CASE}/{CASE}_seg_pred")
        write(tmp_path / f"pred/{CASE}.nii.gz", values_of("internal"))
        wanted = ["--truth", str(root), "--output", str(tmp_path / "out")]
        assert main(["evaluate", "--predictions", str(tmp_path / "pred"), *wanted]) == 2
        error = capsys.readouterr().err
        assert "no ground truth in any" in error
        assert "_seg_pred.nii.gz was ignored" in error

    def test_evaluate_tells_what_it_ignored(self, tmp_path, capsys):
        plant(tmp_path / "data", f"{CASE}/{CASE}_seg", f"{CASE}/{CASE}_wm_seg")
        write(tmp_path / f"pred/{CASE}/segmentation.nii.gz", values_of("brats2021"))
        folders = ["--predictions", str(tmp_path / "pred"), "--truth", str(tmp_path / "data")]
        assert main(["evaluate", *folders, "--output", str(tmp_path / "out")]) == 0
        assert "_wm_seg.nii.gz was ignored" in capsys.readouterr().err
        assert "_wm_seg.nii.gz was ignored" in (tmp_path / "out/comparison.md").read_text("utf-8")

    @pytest.mark.parametrize("coding", [[], ["--coding", "brats2021"]])
    def test_flat_truths_are_chosen_in_the_same_way(self, coding, tmp_path, capsys):
        for name in (f"{CASE}_seg", f"{CASE}_ventricles_seg", f"{CASE}_seg_pred"):
            write(tmp_path / f"truth/{name}.nii.gz", values_of("brats2021"))
        write(tmp_path / f"pred/{CASE}/segmentation.nii.gz", values_of("brats2021"))
        folders = ["--predictions", str(tmp_path / "pred"), "--truth", str(tmp_path / "truth")]
        assert main(["evaluate", *folders, "--output", str(tmp_path / "out"), *coding]) == 0
        assert capsys.readouterr().err.count("was ignored: ") == 2
        scored = json.loads((tmp_path / "out/metrics.json").read_text("utf-8"))["cases"]
        assert list(scored) == [CASE]

    @pytest.mark.parametrize("word", ["_pred", "_seg_pred", "-segmentation", "_labels_v2", "_seg"])
    def test_flat_predictions_may_say_more_by_their_names(self, word, tmp_path, capsys):
        plant(tmp_path / "data", f"{CASE}/{CASE}_seg")
        write(tmp_path / f"pred/{CASE}{word}.nii.gz", values_of("brats2021"))
        folders = ["--predictions", str(tmp_path / "pred"), "--truth", str(tmp_path / "data")]
        assert main(["evaluate", *folders, "--output", str(tmp_path / "out")]) == 0
        assert "1.00" in capsys.readouterr().out

    def test_a_result_as_truth_is_told(self, tmp_path, capsys):
        written = write(tmp_path / f"out/{CASE}/segmentation.nii.gz", values_of("internal"))
        written.with_name("report.json").write_text('{"coding": "internal"}', "utf-8")
        folders = ["--predictions", str(tmp_path / "out"), "--truth", str(tmp_path / "out")]
        assert main(["evaluate", *folders, "--output", str(tmp_path / "scores")]) == 0
        error = capsys.readouterr().err
        assert "1 cases is the same file as the prediction" in error
        assert "1 cases is what `segment` wrote, unchanged" in error

    def test_predictions_of_nnunet_as_truth_are_told(self, tmp_path, capsys):
        for side in ("truth", "pred"):
            write(tmp_path / f"{side}/{CASE}.nii.gz", values_of("internal"))
        (tmp_path / "truth/predict_from_raw_data_args.json").write_text("{}", "utf-8")
        folders = ["--predictions", str(tmp_path / "pred"), "--truth", str(tmp_path / "truth")]
        codings = ["--coding", "internal", "--output", str(tmp_path / "scores")]
        assert main(["evaluate", *folders, *codings]) == 0
        assert "which nnU-Net writes with its predictions" in capsys.readouterr().err

    def test_train_tells_which_cases_it_does_not_use(self, tmp_path, capsys):
        root = plant(tmp_path / "data", f"{CASE}/{CASE}_tissue_seg")
        arguments = ["--data", str(root), "--output", str(tmp_path / "run")]
        assert main(["train", "havaei2017/TwoPathCNN", *arguments]) == 2
        error = capsys.readouterr().err
        assert f"1 of 1 cases lack ground truth and are not used: {CASE}." in error
        assert "_tissue_seg.nii.gz was ignored" in error
