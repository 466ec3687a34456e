"""Discovery of nnU-Net's layout, MSD with many cases, folders of sequences; what is left out."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from case_trees import GRAY, LAYOUTS, SHAPE, YEAR_2021, plant, plant_msd, write, write_images

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.skipped_files import skipped_files
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.labels import CODINGS
from scripted_models.sequences import SEQUENCES

NNUNET = {
    "channel_names": {"0": "T2", "1": "T1CE", "2": "FLAIR", "3": "T1"},
    "labels": {"background": 0, "NCR": 1, "ED": 2, "ET": 3},
    "file_ending": ".nii.gz",
}
ORDER = ("t2", "t1c", "flair", "t1")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def gray(sequence: str) -> np.ndarray:
    return np.full(SHAPE, GRAY[sequence], np.int16)


def plant_nnunet(root: Path, cases=("BraTS_001",), part="imagesTr", ending=".nii.gz") -> Path:
    for name in cases:
        for channel, sequence in enumerate(ORDER):
            write(root / part / f"{name}_{channel:04d}{ending}", gray(sequence))
        write(root / f"labels{part[-2:]}" / f"{name}{ending}", np.full(SHAPE, 3, np.uint8))
    (root / "dataset.json").write_text(json.dumps(NNUNET))
    return root


def check_images(case) -> None:
    case.require_images()
    for sequence in SEQUENCES:
        assert (sitk.GetArrayFromImage(case.images[sequence].read()) == GRAY[sequence]).all()


class TestNnunet:
    @pytest.mark.parametrize("part", ["imagesTr", "imagesTs"])
    @pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
    @pytest.mark.parametrize("above", ["", "nnUNet_raw/Dataset137_BraTS", "Task001"])
    def test_cases(self, root, part, ending, above):
        names = ("BraTS_001", "case_0000", "x_12")
        plant_nnunet(root / above, names, part, ending)
        cases = find_cases(root)
        assert [case.name for case in cases] == sorted(names)
        for case in cases:
            check_images(case)
            assert case.truth == root / above / f"labels{part[-2:]}" / f"{case.name}{ending}"
            assert case.coding is CODINGS["brats2023"]
            assert (case.read_truth()[0] == 4).all()
        assert skipped_files(root, cases) == []

    def test_a_channel_that_is_not_there(self, root):
        plant_nnunet(root, ("a", "b"))
        (root / "imagesTr/a_0002.nii.gz").unlink()
        first, second = find_cases(root)
        assert first.missing == ("flair",)
        check_images(second)

    def test_unknown_channels_and_labels_are_left_open(self, root):
        content = NNUNET | {"labels": {"background": 0, "lesion A": 1}}
        content["channel_names"] = {"0": "T2", "1": "ADC", "2": "CT", "3": "T1"}
        plant_nnunet(root)
        (root / "dataset.json").write_text(json.dumps(content))
        (case,) = find_cases(root)
        assert list(case.images) == ["t2", "t1"]
        with pytest.raises(InputError, match="does not tell the label coding"):
            case.read_truth()
        said = [problem.sentence for problem in skipped_files(root, [case])]
        assert len(said) == 1
        assert "imagesTr/BraTS_001_0001.nii.gz, imagesTr/BraTS_001_0002.nii.gz" in said[0]

    def test_two_channels_of_one_name(self, root):
        plant_nnunet(root)
        content = NNUNET | {"channel_names": {"0": "T1", "1": "T1w"}}
        (root / "dataset.json").write_text(json.dumps(content))
        with pytest.raises(InputError, match="channels 0 and 1 both named T1, expected one"):
            find_cases(root)

    def test_without_the_description(self, root):
        plant_nnunet(root)
        (root / "dataset.json").unlink()
        with pytest.raises(InputError, match=r"numbered as nnU-Net does .*dataset\.json"):
            find_cases(root)


class TestMsd:
    def test_four_digits(self, root):
        folder = plant_msd(root)
        whole = sitk.ReadImage(str(folder / "imagesTr/BRATS_001.nii.gz"))
        for part, name in (("imagesTr", "1000"), ("imagesTr", "1001"), ("imagesTs", "2000")):
            sitk.WriteImage(whole, str(folder / part / f"BRATS_{name}.nii.gz"))
        write(folder / "labelsTr/BRATS_1000.nii.gz", np.full(SHAPE, 1, np.uint8))
        cases = {case.name: case for case in find_cases(root)}
        assert {f"BRATS_{n}" for n in ("001", "002", "485", "1000", "1001", "2000")} == set(cases)
        for case in cases.values():
            check_images(case)
        assert (cases["BRATS_1000"].read_truth()[0] == 2).all()

    def test_labels_of_another_table(self, root):
        folder = plant_msd(root)
        content = json.loads((folder / "dataset.json").read_text())
        content["labels"] = {"0": "background", "1": "necrosis", "2": "edema", "3": "enhancing"}
        (folder / "dataset.json").write_text(json.dumps(content))
        case = find_cases(root)[0]
        assert case.coding.name == "brats2023"
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(case.truth)))
        assert np.array_equal(case.read_truth()[0], np.where(values == 3, 4, values))
        with pytest.raises(InputError, match=r"--coding msd, which calls the value 1 edema"):
            case.read_truth(CODINGS["msd"])

    def test_another_data_set_without_labels_states_nothing(self, root):
        folder = plant_msd(root)
        content = json.loads((folder / "dataset.json").read_text()) | {"name": "Gliomas"}
        (folder / "dataset.json").write_text(json.dumps(content))
        assert find_cases(root)[0].coding is None


class TestFoldersOfSequences:
    @pytest.mark.parametrize("words", ["T1 T1ce T2 FLAIR", "t1n t1c t2w t2f", "T1w T1gd T2w Flair"])
    def test_of_several_patients(self, root, words):
        for sequence, word in zip(SEQUENCES, words.split(), strict=True):
            for name in ("p1", "p2"):
                write(root / word / f"{name}.nii.gz", gray(sequence))
        write(root / "seg" / "p1.nii.gz", np.ones(SHAPE, np.uint8))
        cases = find_cases(root)
        assert [case.name for case in cases] == ["p1", "p2"]
        for case in cases:
            check_images(case)
        assert [case.truth is not None for case in cases] == [True, False]

    @pytest.mark.parametrize("names", ["img img img img", "a b c d", "12 13 14 15"])
    def test_of_each_patient(self, root, names):
        for patient in ("p1", "p2/visit1", "p2/visit2"):
            for sequence, name in zip(SEQUENCES, names.split(), strict=True):
                write(root / patient / sequence.upper() / f"{name}.nii.gz", gray(sequence))
        cases = find_cases(root)
        assert [case.name for case in cases] == ["p1", "p2_visit1", "p2_visit2"]
        for case in cases:
            check_images(case)

    @pytest.mark.parametrize("patients", [("p1",), ("p1", "p2")])
    def test_with_a_folder_for_each_patient_in_them(self, root, patients):
        for number, sequence in enumerate(SEQUENCES):
            for patient in patients:
                write(root / sequence.upper() / patient / f"{number}.nii.gz", gray(sequence))
        cases = find_cases(root)
        assert tuple(case.name for case in cases) == patients
        for case in cases:
            check_images(case)

    @pytest.mark.parametrize("extension", [".mhd", ".hdr", ".nhdr"])
    def test_pairs_of_files(self, root, extension):
        for sequence in SEQUENCES:
            write(root / f"p1/p1_{sequence}{extension}", gray(sequence))
        (case,) = find_cases(root)
        check_images(case)
        assert skipped_files(root, [case]) == []

    def test_names_that_tell_it_too(self, root):
        for sequence in SEQUENCES:
            for name in ("p1", "p2"):
                write(root / sequence / f"{name}_{sequence}.nii.gz", gray(sequence))
        cases = find_cases(root)
        assert [case.name for case in cases] == ["p1", "p2"]
        for case in cases:
            check_images(case)

    def test_masks_and_label_maps_among_them_are_no_sequence(self, root):
        for sequence in SEQUENCES:
            write(root / "p1" / sequence / "image.nii.gz", gray(sequence))
            write(root / "p1" / sequence / "image_mask.nii.gz", gray(sequence))
            write(root / "p1" / sequence / "image_seg.nii.gz", gray(sequence))
        cases = [case for case in find_cases(root) if case.images]
        assert [case.name for case in cases] == ["p1"]
        check_images(cases[0])

    def test_two_files_for_a_sequence_are_a_problem(self, root):
        for sequence in SEQUENCES:
            write(root / "p1" / sequence / f"run_{sequence.upper()}.nii.gz", gray(sequence))
        write(root / "p1" / "t1" / "other.nii.gz", gray("t1"))
        case = next(case for case in find_cases(root) if len(case.images) == 4)
        with pytest.raises(InputError, match="2 files for t1"):
            case.require_images()


class TestTimePointsInFolders:
    @pytest.mark.parametrize(
        "points",
        ["week-000-1 week-044", "2020-01-31 20210203", "baseline followup", "ses-1 ses-2"],
    )
    def test_the_patient_is_part_of_the_name(self, root, points):
        first, second = points.split()
        for folder in (f"Patient-001/{first}", f"Patient-001/{second}", f"Patient-002/{first}"):
            write_images(root, folder + "/{}.nii.gz", YEAR_2021)
        assert [case.name for case in find_cases(root)] == sorted(
            (f"Patient-001_{first}", f"Patient-001_{second}", f"Patient-002_{first}")
        )
        (case,) = find_cases(root / "Patient-001" / second)
        assert case.name == f"Patient-001_{second}"

    def test_stems_that_tell_no_patient(self, root):
        for folder in ("P1/2020-01-31", "P1/2021-02-28", "P2/2021-02-28", "P3/scan1", "P4/scan1"):
            write_images(root, folder + "/image_{}.nii.gz", YEAR_2021)
        names = [case.name for case in find_cases(root)]
        assert [name[:2] for name in names] == ["P1", "P1", "P2", "P3", "P4"]

    def test_vague_names_beside_equal_ones(self, root):
        for folder in ("P1/T0", "P1/T1x", "P2/T0", "P1/first", "HGG/p7", "LGG/p7", "HGG/p8"):
            write_images(root, folder + "/scan_{}.nii.gz", YEAR_2021)
        names = {case.name for case in find_cases(root)}
        assert len(names) == 7


class TestLeftOut:
    def test_dicom_is_named(self, root):
        for series, name in (("T1", "IM1.dcm"), ("FLAIR", "I0001"), ("old", "IMG1")):
            path = root / "PAT1" / series / name
            path.parent.mkdir(parents=True)
            head = bytes(128) + b"DICM" if series != "old" else b"\x08\x00\x05\x00CS"
            path.write_bytes(head + bytes(300))
        with pytest.raises(InputError, match=r"DICOM files of no T1.*damaged DICOM file"):
            find_cases(root)
        plant(root, LAYOUTS["2021"])
        (case,) = find_cases(root)
        (problem,) = skipped_files(root, [case])
        assert "DICOM files in 3 folder(s), which were left out (" in problem.sentence

    def test_each_volume_that_is_in_no_case_has_a_reason(self, root):
        plant(root, LAYOUTS["2021"])
        folder = root / "a/BraTS2021_00000"
        for name in ("brain_mask", "BraTS2021_00000_adc", "thing", "probability_edema"):
            write(folder / f"{name}.nii.gz", np.ones(SHAPE, np.uint8))
        cases = find_cases(root)
        said = "\n".join(problem.sentence for problem in skipped_files(root, cases))
        ignored = {file.path.name for case in cases for file in getattr(case, "ignored", ())}
        for name in ("brain_mask", "BraTS2021_00000_adc", "thing", "probability_edema"):
            assert f"{name}.nii.gz" in said or f"{name}.nii.gz" in ignored
        assert "_t1.nii.gz" not in said

    def test_types_that_are_not_read(self, root):
        plant(root, LAYOUTS["2021"])
        for name in ("T1.mgz", "all.zip", "p.nii.bz2"):
            (root / name).write_bytes(b"x")
        (problem,) = skipped_files(root, find_cases(root))
        assert "3 volume(s) left out because files of their type are not read" in problem.sentence

    def test_a_data_set_in_a_folder_with_a_date(self, root):
        plant(root / "2020-01-31", LAYOUTS["flat"])
        assert [case.name for case in find_cases(root)] == ["BraTS2021_00000"]

    def test_the_command_says_so(self, root, capsys):
        plant(root, LAYOUTS["2021"])
        for number in range(9):
            write(root / f"b/thing{number}.nii.gz", np.ones(SHAPE, np.uint8))
        assert main(["cases", str(root)]) == 0
        told = capsys.readouterr()
        assert "Warning: " in told.err
        assert "9 volume(s) left out because their names tell no sequence" in told.err
        assert main(["cases", str(root), "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)) == 1
