"""Which series is which: contrast medium, unknown words, and descriptions against times."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_fixtures import NAMES, Writer, only_case, phantom_arrays, reasons, taken

from scripted_models.cases.dicom.named_series import doubts_of_series
from scripted_models.errors import InputError

ARRAYS = phantom_arrays()


@pytest.fixture
def writer(tmp_path):
    return Writer(tmp_path / "dvd")


class TestContrastMedium:
    def test_t1_before_and_after_is_told_by_time(self, writer):
        for sequence in ("t2", "flair"):
            writer.sequence(sequence, sequence, ARRAYS[sequence])
        mprage = {"EchoTime": 3, "RepetitionTime": 2300, "InversionTime": 900}
        mprage["ScanningSequence"] = ["GR", "IR"]
        writer.sequence("t1", "mprage", ARRAYS["t1"], **mprage)
        writer.sequence("t1c", "mprage", ARRAYS["t1c"], **mprage)
        late = {"AcquisitionTime": "110000", "spacing": (4, 4, 4)}
        writer.sequence("t1", "sag t1", ARRAYS["t1"], **late)
        case = only_case(writer)
        assert {m: s.series.number for m, s in case.images.items()} == {
            **{"t2": "1", "flair": "2", "t1": "3", "t1c": "4"}
        }
        assert "only may be T1" in reasons(case)["sag t1"]

    def test_what_is_known_by_time_is_as_sure_as_by_words(self, writer):
        writer.four(ARRAYS)
        writer.sequence("t1", "T1 sag nativ", ARRAYS["t1"], spacing=(6, 6, 6))
        case = only_case(writer)
        assert taken(case)["t1"] == "t1_se_tra"
        assert reasons(case)["T1 sag nativ"].endswith("thinner slices (5 against 6 mm)")

    def test_without_a_word_two_t1_stay_open(self, writer):
        for sequence in ("t2", "flair", "t1", "t1c"):
            name = "AX T1" if "t1" in sequence else sequence
            writer.sequence(sequence, name, ARRAYS[sequence], ContrastBolusAgent=None)
        case = only_case(writer)
        assert case.missing == ("t1", "t1c")
        assert "with or without contrast medium" in case.guesses["t1"].why
        with pytest.raises(InputError, match="series 3 'AX T1' and series 4 'AX T1' may be T1"):
            case.require_images()

    @pytest.mark.parametrize("value", ["NO", "none", "NO CONTRAST", "WITHOUT", "PRE"])
    def test_an_agent_may_be_denied(self, writer, value):
        writer.four(ARRAYS, ContrastBolusAgent=None)
        writer.sequence("t1", "mprage", ARRAYS["t1"], ContrastBolusAgent=value, spacing=(4, 4, 4))
        assert only_case(writer).images["t1"].series.description == "mprage"

    def test_an_agent_of_all_series_says_nothing(self, writer):
        for sequence in ("t2", "flair", "t1", "t1c"):
            name = "AX T1" if "t1" in sequence else sequence
            writer.sequence(sequence, name, ARRAYS[sequence], ContrastBolusAgent="GADOVIST")
        assert only_case(writer).missing == ("t1", "t1c")

    def test_words_of_the_description_count_beside_it(self, writer):
        writer.four(ARRAYS, "ge", ContrastBolusAgent="GADOVIST")
        assert not only_case(writer).missing  # T1 was before T1c
        shutil.rmtree(writer.folder)
        for sequence, name in NAMES["ge"].items():
            late = {"AcquisitionTime": "110000"} if sequence == "t1" else {}
            writer.sequence(sequence, name, ARRAYS[sequence], ContrastBolusAgent="GD", **late)
        assert only_case(writer).missing == ("t1",)
        writer.sequence("t1", "Ax T1 pre", ARRAYS["t1"], ContrastBolusAgent="GADOVIST")
        assert only_case(writer).images["t1"].series.description == "Ax T1 pre"


def test_description_and_times_that_exclude_each_other(writer):
    writer.four(ARRAYS)
    writer.sequence("flair", "t2_tse", ARRAYS["t2"], spacing=(4, 4, 4))
    case = only_case(writer)
    assert taken(case) == NAMES["siemens"]
    assert "TI 2500 FLAIR" in reasons(case)["t2_tse"]


class TestWordsOfNoKnownMeaning:
    def test_another_part_of_the_body(self, writer):
        writer.four(ARRAYS)
        for words in ("T2 SPINE", "t2_space_iac", "T2 tse HWS sag", "T2 ORBITS"):
            writer.sequence("t2", words, ARRAYS["t2"], spacing=(4, 4, 4))
        case = only_case(writer)
        assert taken(case) == NAMES["siemens"]
        assert all("another part of the body" in why for why in reasons(case).values())

    def test_confirmed_by_times_they_are_told(self, writer):
        names = {**NAMES["philips"], "flair": "FLAIR qqq"}
        for sequence, name in names.items():
            writer.sequence(sequence, name, ARRAYS[sequence])
        case = only_case(writer)
        assert not case.missing
        (doubt,) = doubts_of_series(case)
        assert "says FLAIR, but what 'qqq' means is not known; make sure" in doubt
        writer.sequence("flair", "FLAIR", ARRAYS["flair"], spacing=(6, 6, 6))
        assert only_case(writer).images["flair"].series.description == "FLAIR"

    def test_words_that_change_the_image_stay_open(self, writer):
        words = "T2 DIXON water"
        writer.four(ARRAYS)
        writer.sequence("t2", words, ARRAYS["t2"], spacing=(4, 4, 4))
        assert taken(only_case(writer)) == NAMES["siemens"]
        assert "only may be T2" in reasons(only_case(writer))[words]
        shutil.rmtree(writer.folder / "SE003")
        case = only_case(writer)
        assert case.missing == ("t2",)
        assert case.guesses["t2"].confidence == "likely"

    def test_a_word_of_all_series_means_nothing(self, writer):
        for sequence, name in NAMES["ge"].items():
            writer.sequence(sequence, f"{name} Klinikum", ARRAYS[sequence])
        assert not only_case(writer).missing


def test_a_prepared_gradient_echo_in_3d_is_a_t1(writer):
    prepared = {"ScanningSequence": "GR", "SequenceVariant": ["SP", "MP"], "EchoTime": 4}
    for sequence, name in NAMES["philips"].items():
        own = {**prepared, "RepetitionTime": 8, "MRAcquisitionType": "3D"} if "1" in name else {}
        writer.sequence(sequence, "3D" if own else name, ARRAYS[sequence], **own)
    case = only_case(writer)
    assert {m: s.series.number for m, s in case.images.items()} == {
        **{"t1": "1", "t1c": "2", "t2": "3", "flair": "4"}
    }


def test_the_echo_of_t2_in_a_series_of_two(writer):
    for sequence in ("t1", "t1c", "flair"):
        writer.sequence(sequence, NAMES["ge"][sequence], ARRAYS[sequence])
    writer.name = "dual/{series}_{slice}"
    double = {"SeriesInstanceUID": "1.2.3", "RepetitionTime": 3500, "ScanningSequence": "SE"}
    for echo in (14, 95):
        writer.series("Ax PD and T2", ARRAYS["t2"] + echo, EchoTime=echo, **double)
    case = only_case(writer)
    assert not case.missing
    image = sitk.GetArrayFromImage(case.images["t2"].read())
    assert np.array_equal(image, ARRAYS["t2"] + 95)
