"""Folders of DICOM files become cases: which series is which, what is left out, and why."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_fixtures import NAMES, Study, Writer, only_case, phantom_arrays, reasons, taken
from model_fixtures import quick_model
from pydicom.dataset import Dataset

from scripted_models.cases.discovery import find_cases
from scripted_models.cases.ignored_files import tell_ignored
from scripted_models.cli import main
from scripted_models.errors import InputError

ARRAYS = phantom_arrays()


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path / "dvd")


@pytest.mark.parametrize("style", NAMES)
@pytest.mark.parametrize("name", ["SE{series:03d}/IM{slice:04d}.dcm", "A/B{series}/I{slice:05d}"])
def test_four_series_of_each_vendor(writer, style, name):
    writer.name = name
    writer.four(ARRAYS, style)
    case = only_case(writer)
    assert taken(case) == NAMES[style]
    for sequence, source in case.images.items():
        image = source.read()
        assert np.array_equal(sitk.GetArrayFromImage(image), ARRAYS[sequence])
        assert image.GetSpacing() == (5, 5, 5)
        assert image.GetOrigin() == (-120, -120, -75)


def test_all_files_of_four_series_in_one_folder(writer):
    writer.name = "{series}{slice:04d}"
    writer.four(ARRAYS)
    assert not only_case(writer).missing


@pytest.mark.parametrize("description", ["", "Series", "AX BRAIN"])
def test_attributes_alone_tell_sequences(writer, description):
    for sequence, array in ARRAYS.items():
        writer.sequence(sequence, description, array)
    case = only_case(writer)
    assert not case.missing
    assert [int(s.series.number) for s in case.images.values()] == [1, 2, 3, 4]


def test_the_name_of_the_protocol_stands_in_for_the_description(writer):
    writer.four({**ARRAYS}, each=lambda data, index: None)
    shutil.rmtree(writer.folder)
    for sequence, name in NAMES["ge"].items():
        writer.sequence(sequence, "", ARRAYS[sequence], ProtocolName=name, EchoTime=None)
    assert not only_case(writer).missing


def test_a_study_of_twelve_series_of_which_four_are_right(writer):
    full = ARRAYS["t1"]
    ep = {"ScanningSequence": ["EP", "SE"], "EchoTime": 90, "RepetitionTime": 6000}
    derived = ["DERIVED", "SECONDARY", "MPR"]
    writer.series("localizer", full[:9], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    writer.four(ARRAYS)
    writer.series("ep2d_diff_b1000", full, DiffusionBValue=1000.0, **ep)
    writer.series("ep2d_diff_ADC", full, ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"])
    writer.series("t1_mpr_cor_KM", full, ImageType=derived)
    writer.series("t1_SUB", full, ImageType=["DERIVED", "PRIMARY", "SUBTRACTION"])
    writer.series("ep2d_perf", full, **ep)
    writer.series("t2_swi", full, ScanningSequence="GR", EchoTime=20, RepetitionTime=28)
    writer.series("pd_tse", full, ScanningSequence="SE", EchoTime=12, RepetitionTime=3000)
    case = only_case(writer)
    assert taken(case) == NAMES["siemens"]
    told = reasons(case)
    assert len(told) == 8
    assert "localizer" in told["localizer"]
    assert told["ep2d_diff_b1000"] == "it is weighted for diffusion (b 1000)"
    assert told["t1_mpr_cor_KM"] == "it is derived (ImageType DERIVED\\SECONDARY\\MPR)"
    assert "echo-planar" in told["ep2d_perf"]
    assert "'swi'" in told["t2_swi"]
    assert "'pd'" in told["pd_tse"]


def broken_orders(data, index):
    if index == 7:
        data.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def sheared(data, index):
    data.ImagePositionPatient = [-120, -120 + index, -75 + 5 * index]


def far_away(data, index):
    data.ImagePositionPatient = [0, 0, 1e30 * index]


def no_place(data, index):
    del data.ImagePositionPatient


def of_odd_size(data, index):
    if index == 3:
        data.PixelSpacing = [4.0, 4.0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"order": [*range(12), *range(14, 31)]}, "missing or uneven: 5 to 15 mm apart"),
        ({"order": range(7)}, "7 slices over 35 mm are too few"),
        ({"order": [*range(31), *range(31)]}, "4-D: 2 images at each of 31 places"),
        ({"order": [*range(31), 4]}, "32 images at 31 places"),
        ({"each": broken_orders}, "several orientations"),
        ({"each": far_away}, "no usable numbers"),
        ({"each": sheared}, "tilt of 11.3 degrees"),
        ({"each": no_place}, "no position"),
        ({"each": of_odd_size}, "differ in size or pixel spacing"),
        ({"Modality": "CT"}, "its modality is CT"),
        ({"BodyPartExamined": "CSPINE"}, "another part of the body (CSPINE)"),
        ({"AngioFlag": "Y"}, "angiography"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, "no magnitude image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "mosaic"),
    ],
)
def test_what_is_no_volume_of_a_head_has_a_reason(writer, change, why):
    writer.four({m: a for m, a in ARRAYS.items()})
    writer.sequence("t2", "t2_other", ARRAYS["t2"], **change)
    case = only_case(writer)
    assert taken(case) == NAMES["siemens"]
    assert why in reasons(case)["t2_other"]
    assert "t2_other" in "\n".join(tell_ignored([case]))


@pytest.mark.parametrize(
    ("change", "chosen", "why"),
    [
        ({"spacing": (4.8, 4.8, 4.9)}, "another", "thinner slices (4.9 against 5 mm)"),
        ({"order": range(12)}, "t2_tse_tra_512", "it covers more (155 against 60 mm)"),
        ({"spacing": (4, 4, 5)}, "another", "finer pixels (4 against 5 mm)"),
        ({"AcquisitionTime": "120000"}, "another", "it is the later one"),
        ({"AcquisitionTime": "090000"}, "t2_tse_tra_512", "it is the later one"),
        ({}, "t2_tse_tra_512", "it comes first"),
    ],
)
def test_two_series_of_one_sequence(writer, change, chosen, why):
    writer.four(ARRAYS)
    writer.sequence("t2", "another T2", ARRAYS["t2"], **change)
    case = only_case(writer)
    assert case.images["t2"].series.description in (chosen, f"{chosen} T2")
    (said,) = reasons(case).values()
    assert said.endswith(why)


class TestOneDvd:
    def test_patients_and_studies_are_kept_apart(self, tmp_path):
        visits = [Study("A"), Study("A", "20240601"), Study("B")]
        for number, study in enumerate(visits):
            Writer(tmp_path / "DICOM" / str(number), study, name="{series}{slice:03d}").four(ARRAYS)
        (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
        (tmp_path / "AUTORUN.INF").write_text("[autorun]")
        (tmp_path / "VIEWER.EXE").write_bytes(bytes(1000))
        cases = find_cases(tmp_path)
        assert all(not case.missing for case in cases)
        assert {s.series.study_uid for c in cases for s in c.images.values()} == {
            visit.uid for visit in visits
        }
        starts = [case.name.rpartition("_")[0] for case in cases]
        assert len({start.partition("_")[0] for start in starts}) == 2
        assert len(set(starts)) == 3

    def test_an_image_that_lies_there_twice_counts_once(self, writer):
        writer.four(ARRAYS)
        shutil.copytree(writer.folder / "SE001", writer.folder / "copy")
        assert not only_case(writer).missing

    def test_one_number_for_all_images(self, writer):
        def anonymize(data, index):
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"

        writer.four(ARRAYS, each=anonymize)
        assert not only_case(writer).missing

    def test_damaged_and_other_files_are_told(self, writer):
        writer.four(ARRAYS)
        (writer.folder / "IMG").write_bytes(bytes(128) + b"DICM" + bytes(range(250)) * 4)
        assert "damaged DICOM file" in "\n".join(tell_ignored([only_case(writer)]))

    def test_a_copy_that_lacks_files_of_its_directory(self, writer):
        writer.name = "I{series}{slice:03d}"
        writer.four(ARRAYS)
        records = []
        for path in sorted(writer.folder.iterdir()):
            record = Dataset()
            record.ReferencedFileID = [path.name]
            records.append(record)
        records[0].ReferencedFileID = ["DEEP", "I9999"]
        directory = writer._head("", "1.2", 0)
        directory.DirectoryRecordSequence = records
        pydicom.dcmwrite(writer.folder / "DICOMDIR", directory, enforce_file_format=True)
        case = only_case(writer)
        assert not case.missing
        assert "1 of the 124 files that it lists are not there" in tell_ignored([case])[0]

    def test_no_series_of_a_head(self, writer):
        writer.series("T1", ARRAYS["t1"], Modality="CT")
        with pytest.raises(InputError, match=r"series 1 'T1': its modality is CT"):
            find_cases(writer.folder)


def test_without_pydicom_one_sentence(writer):
    writer.sequence("t1", "t1", ARRAYS["t1"])
    code = (
        "import sys; sys.modules['pydicom'] = None; from importlib import util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'pydicom' else find(name, *a)\n"
        "from scripted_models.cli import main; sys.exit(main(['cases', sys.argv[1]]))"
    )
    command = [sys.executable, "-c", code, str(writer.folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "31 DICOM file(s)" in done.stderr
    assert "pip install 'scripted-models[dicom]'" in done.stderr


def test_segment_from_dvd_to_report(writer, tmp_path, capsys):
    writer.four(ARRAYS)
    writer.series("localizer", ARRAYS["t1"][:3], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    out = tmp_path / "out"
    command = ["segment", str(writer.folder), "--output", str(out), "--model", quick_model()]
    assert main(command) == 0
    (folder,) = out.iterdir()
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report["dicom"]["study_uid"] == writer.study.uid
    assert report["dicom"]["series"]["flair"]["number"] == "4"
    image = sitk.ReadImage(str(folder / "segmentation.nii.gz"))
    assert image.GetOrigin() == (-120, -120, -75)
    said = capsys.readouterr()
    everything = said.out + said.err + (folder / "report.json").read_text(encoding="utf-8")
    assert "SECRETNAME" not in everything
    assert "MRN00417" not in said.out + said.err + folder.name
    assert "series 5 'localizer' was ignored: it is a localizer" in said.err
    main([*command, "--continue"])
    assert "segmented before" in capsys.readouterr().err
    last = sorted((writer.folder / "SE003").iterdir())[-1]
    last.write_bytes(last.read_bytes()[:-2] + b"\1\0")
    main([*command, "--continue"])
    assert "once more" in capsys.readouterr().err
