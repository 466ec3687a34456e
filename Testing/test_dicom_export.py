"""SEG and SR of made label maps, read back by other readers than the library that wrote them."""

import dataclasses

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_fixtures import Writer, write_enhanced
from dicom_readers import frames_of, grid_of, groups_of, labels_of, number_of
from export_fixtures import (
    IMAGE,
    KNOWN,
    MIXED,
    MODEL,
    ORDERS,
    PLANES,
    SHAPE,
    export,
    export_seg,
    series_in,
    some_labels,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from scripted_models.cases.dicom.named_series import named_source
from scripted_models.errors import InputError
from scripted_models.measurement.lesions import find_lesions
from scripted_models.measurement.volumes import measure
from scripted_models.segmentation.dicom_export.codes import LABEL_PARTS, PARTS, parts_of
from scripted_models.segmentation.dicom_export.exported_files import check_series


@pytest.mark.parametrize("plane", PLANES)
def test_every_voxel_comes_back_where_it_was(tmp_path, plane):
    series = series_in(tmp_path / "in", cosines=PLANES[plane], order=ORDERS[plane])
    labels = some_labels()
    seg = export_seg(tmp_path / "seg.dcm", series, labels)
    assert np.array_equal(labels_of(seg, series.grid, KNOWN), labels)
    assert series.grid.matches(grid_of(seg, 12), 0.01)
    volume = highdicom.seg.segread(seg).get_volume(combine_segments=True)
    assert np.array_equal(on_grid(volume, series.grid), labels)


def on_grid(volume, grid):
    """Take a volume of highdicom at the centers of a grid's voxels, through physical space."""
    places = np.indices(grid.shape_zyx)[::-1].reshape(3, -1)
    axes = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    lps = axes @ places + np.reshape(grid.origin_lps_mm, (3, 1))
    indices = np.rint(volume.map_reference_to_indices(lps.T)).astype(int)
    inside = ((indices >= 0) & (indices < volume.array.shape)).all(axis=1)
    found = np.zeros(indices.shape[0], np.uint8)
    found[inside] = volume.array[tuple(indices[inside].T)]
    return found.reshape(grid.shape_zyx)


@settings(max_examples=5)
@given(
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 2)] * 2, st.floats(5, 7)),
    seed=st.integers(0, 99),
)
def test_any_orientation_and_spacing(tmp_path_factory, turn, spacing, seed):
    matrix = np.reshape(sitk.Euler3DTransform((0, 0, 0), *turn).GetMatrix(), (3, 3))
    folder = tmp_path_factory.mktemp("s")
    order = np.random.default_rng(seed).permutation(12)
    cosines = (*matrix[:, 0], *matrix[:, 1])
    series = series_in(folder / "in", cosines=cosines, spacing=spacing, order=order)
    labels = some_labels(seed)
    seg = export_seg(folder / "seg.dcm", series, labels)
    assert np.array_equal(labels_of(seg, series.grid, KNOWN), labels)


def test_every_frame_names_the_image_at_its_place(tmp_path):
    series = series_in(tmp_path / "in", cosines=PLANES["oblique"], order=MIXED)
    images = {}
    for path in series.files:
        data = pydicom.dcmread(path)
        images[data.SOPInstanceUID] = np.array(data.ImagePositionPatient, float)
    seg, sr = export(tmp_path / "out", series, some_labels())
    for frame in frames_of(seg):
        assert np.abs(images[frame.source[0]] - frame.origin).max() < 1e-4
    made = pydicom.dcmread(seg)
    (referenced,) = made.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == series.uid
    assert {i.ReferencedSOPInstanceUID for i in referenced.ReferencedInstanceSequence} == set(
        images
    )
    (evidence,) = pydicom.dcmread(sr).CurrentRequestedProcedureEvidenceSequence
    named = {
        item.ReferencedSOPInstanceUID
        for s in evidence.ReferencedSeriesSequence
        for item in s.ReferencedSOPSequence
    }
    assert named == {*images, made.SOPInstanceUID}


def test_frames_of_an_enhanced_file_in_any_order(tmp_path):
    order = list(np.random.default_rng(3).permutation(12))
    write_enhanced(Writer(tmp_path), tmp_path / "in" / "IM1", IMAGE, order)
    series = named_source(tmp_path / "in").series
    labels = some_labels()
    seg = export_seg(tmp_path / "seg.dcm", series, labels)
    assert np.array_equal(labels_of(seg, series.grid, KNOWN), labels)
    frames = frames_of(seg)
    uids = {frame.source[0] for frame in frames}
    assert uids == {pydicom.dcmread(series.files[0]).SOPInstanceUID}
    for frame in frames:
        assert frame.origin[2] == -75 + 5 * order[frame.source[1] - 1]


def test_segments_have_names_codes_colors_and_what_made_them(tmp_path):
    series = series_in(tmp_path / "in")
    seg = export_seg(tmp_path / "seg.dcm", series, some_labels())
    made = pydicom.dcmread(seg)
    assert made.SegmentationType == "BINARY"
    assert made.SegmentsOverlap == "NO"
    assert (made.Modality, made.FrameOfReferenceUID) == ("SEG", frame_uid(series))
    for segment, part in zip(made.SegmentSequence, LABEL_PARTS, strict=True):
        assert segment.SegmentLabel == part.name == segment.TrackingID
        (code,) = segment.SegmentedPropertyTypeCodeSequence
        found = (code.CodingSchemeDesignator, code.CodeValue, code.CodeMeaning)
        assert found == dataclasses.astuple(part.code)
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert segment.SegmentAlgorithmName == "scripted-models made"
        (algorithm,) = segment.SegmentationAlgorithmIdentificationSequence
        assert algorithm.AlgorithmVersion == "1.2"
        assert "weights_sha256=" + "ab" * 32 in algorithm.AlgorithmParameters
        lab = highdicom.color.CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue)
        assert np.abs(np.subtract(lab.to_rgb(), part.color_rgb)).max() <= 1
    assert len({segment.TrackingUID for segment in made.SegmentSequence}) == 5


def frame_uid(series):
    return pydicom.dcmread(series.files[0]).FrameOfReferenceUID


@pytest.mark.parametrize("known", [(0, 4), (0, 1, 2, 4), (0, 2, 3)])
def test_labels_that_a_model_does_not_know_are_no_segments(tmp_path, known):
    series = series_in(tmp_path / "in")
    labels = some_labels(labels=known)
    seg, _sr = export(tmp_path / "out", series, labels, known)
    names = [segment.SegmentLabel for segment in pydicom.dcmread(seg).SegmentSequence]
    assert names == [part.name for part in parts_of(known)]
    assert np.array_equal(labels_of(seg, series.grid, known), labels)


@pytest.mark.parametrize("present", [(), (4,), (1, 2), (5,)])
def test_labels_that_do_not_occur_are_segments_without_voxels(tmp_path, present):
    series = series_in(tmp_path / "in")
    labels = some_labels(labels=(0, *present)) if present else np.zeros(SHAPE, np.uint8)
    seg, sr = export(tmp_path / "out", series, labels)
    assert len(pydicom.dcmread(seg).SegmentSequence) == 5
    assert {f.segment for f in frames_of(seg) if f.mask.any()} == set(present)
    for part in LABEL_PARTS:
        volume = number_of(groups_of(sr)[part.name]["Volume"][0])[0]
        assert (volume > 0) == (part.labels[0] in present)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("report")
    series = series_in(tmp_path / "in", cosines=PLANES["oblique"])
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:9, 1:6, 1:7] = 2
    labels[3:8, 2:5, 2:6] = 4
    labels[5, 3, 3:5] = 1
    labels[11, 5, 7] = 4  # a second lesion of one voxel
    return series, labels, export(tmp_path / "out", series, labels, with_lesions=True)


class TestReport:
    def test_volumes_of_labels_and_regions(self, exported):
        series, labels, (_seg, sr) = exported
        groups = groups_of(sr)
        for size in measure(labels, series.grid):
            (item,) = groups[PARTS[size.name].name]["Volume"]
            value, unit = number_of(item)
            assert (value, unit) == (pytest.approx(size.volume_ml, abs=1e-4), "cm3")

    def test_labels_refer_to_their_segments(self, exported):
        _series, _labels, (seg, sr) = exported
        made, groups = pydicom.dcmread(seg), groups_of(sr)
        for segment in made.SegmentSequence:
            group = groups[segment.SegmentLabel]
            (item,) = group["Referenced Segment"]
            (reference,) = item.ReferencedSOPSequence
            assert reference.ReferencedSOPInstanceUID == made.SOPInstanceUID
            assert reference.ReferencedSegmentNumber == segment.SegmentNumber
            assert segment.TrackingUID == group["Tracking Unique Identifier"][0].UID

    def test_lesions_with_both_diameters_and_their_ends(self, exported):
        series, labels, (_seg, sr) = exported
        groups, lesions = groups_of(sr), find_lesions(labels, series.grid).items
        assert len(lesions) == 2
        for lesion in lesions:
            group = groups[f"Lesion {lesion.number}"]
            assert number_of(group["Volume"][0])[0] == pytest.approx(lesion.volume_ml, abs=1e-4)
            found = lesion.diameters
            for axis, length, ends in (
                ("Long axis", found.longest_mm, found.longest_ends_lps_mm),
                ("Short axis", found.perpendicular_mm, found.perpendicular_ends_lps_mm),
            ):
                (item,) = group[axis]
                assert number_of(item) == (pytest.approx(length, abs=0.01), "mm")
                (line,) = item.ContentSequence
                assert line.ReferencedFrameOfReferenceUID == frame_uid(series)
                first, last = np.reshape(line.GraphicData, (2, 3))
                assert np.allclose([first, last], ends, atol=1e-3)
                assert np.linalg.norm(last - first) == pytest.approx(length, abs=0.01)

    def test_every_group_names_model_version_and_checksum(self, exported):
        for group in groups_of(exported[2][1]).values():
            assert group["Algorithm Name"][0].TextValue == "scripted-models made"
            assert group["Algorithm Version"][0].TextValue == "1.2"
            told = [item.TextValue for item in group["Algorithm Parameters"]]
            assert "weights_sha256=" + "ab" * 32 in told

    def test_highdicom_finds_the_groups(self, exported):
        report = highdicom.sr.srread(exported[2][1])
        content = report.content
        assert len(content.get_volumetric_roi_measurement_groups()) == 5
        assert len(content.get_image_measurement_groups()) == 3 + 2


class TestPatient:
    def test_what_is_said_of_the_patient_is_what_the_source_says(self, tmp_path):
        own = {
            "PatientName": "Müller^Jürgen",
            "PatientSex": "M",
            "PatientBirthDate": "19500203",
            "PatientAge": "073Y",
            "AccessionNumber": "A7",
            "StudyID": "S1",
            "StudyTime": "101112",
            "SpecificCharacterSet": "ISO_IR 100",
        }
        series = series_in(tmp_path / "in", **own)
        for path in export(tmp_path / "out", series, some_labels()):
            made = pydicom.dcmread(path)
            assert {keyword: str(made.get(keyword)) for keyword in own} == own
            assert made.StudyInstanceUID == series.study_uid

    def test_nothing_is_added_to_a_source_that_says_nothing(self, tmp_path):
        def forget(data, index):
            data.PatientID = data.PatientName = ""
            del data.StudyDate

        series = series_in(tmp_path / "in", each=forget)
        for path in export(tmp_path / "out", series, some_labels()):
            made = pydicom.dcmread(path)
            words = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate")
            assert not any(made.get(word) for word in words)

    def test_private_elements_stay_behind(self, tmp_path):
        def add(data, index):
            data.private_block(0x0029, "VENDOR", create=True).add_new(1, "LO", "PRIVATEWORDS")

        series = series_in(tmp_path / "in", each=add, OperatorsName="OPERATOR^NAME")
        for path in export(tmp_path / "out", series, some_labels()):
            content = path.read_bytes()
            assert b"PRIVATEWORDS" not in content
            assert b"OPERATOR^NAME" not in content


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda d, i: d.pop("FrameOfReferenceUID"), "without FrameOfReferenceUID"),
        (lambda d, i: setattr(d, "FrameOfReferenceUID", f"1.2.{i}"), "several FrameOfReference"),
        (lambda d, i: d.pop("StudyInstanceUID"), "without StudyInstanceUID"),
        (lambda d, i: setattr(d, "SOPInstanceUID", "1.2.3"), "share one SOPInstanceUID"),
        (lambda d, i: setattr(d, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"), "SOP class"),
        (lambda d, i: setattr(d, "PatientSex", "W"), "that DICOM does not allow"),
    ],
)
def test_a_series_to_which_nothing_can_refer_is_one_sentence(tmp_path, change, why):
    series = series_in(tmp_path / "in", each=change)
    with pytest.raises(InputError) as raised:
        check_series(series, KNOWN, MODEL)
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "leave out --dicom-seg" in str(raised.value)


@pytest.mark.parametrize(
    ("sets", "name"),
    [
        ("ISO_IR 192", "Müller^Jürgen"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞"),
        (None, "Mono"),
    ],
)
def test_names_of_every_script_come_through_and_stay_out_of_the_log(tmp_path, recwarn, sets, name):
    series = series_in(tmp_path / "in", SpecificCharacterSet=sets, PatientName=name)
    recwarn.clear()
    for path in export(tmp_path / "out", series, some_labels()):
        assert pydicom.dcmread(path).PatientName == name
    assert not recwarn.list


@pytest.mark.parametrize("name", ["Modell Ä" * 20, "a\\b", "x" * 200])
def test_names_of_models_that_dicom_cannot_store(tmp_path, name):
    series = series_in(tmp_path / "in")
    algorithm = dataclasses.replace(MODEL, name=name)
    seg, _sr = export(tmp_path / "out", series, some_labels(), algorithm=algorithm)
    (told, *_others) = pydicom.dcmread(seg).SegmentSequence
    assert isinstance(told.SegmentAlgorithmName, str)  # a backslash would part it
    assert told.SegmentAlgorithmName.startswith("scripted-models ")


def test_rounded_cosines_and_positions_of_single_slices(tmp_path):
    """Some scanners round each slice anew; a SEG has one orientation."""

    def rounded(data, index):
        data.ImageOrientationPatient = [1, 1e-4 * (index % 3), 0, 0, 1, 0]

    series = series_in(tmp_path / "in", each=rounded)
    labels = some_labels()
    seg = export_seg(tmp_path / "seg.dcm", series, labels)
    assert np.array_equal(labels_of(seg, series.grid, KNOWN), labels)


def test_slices_that_are_thinner_than_their_distance(tmp_path):
    """The fixture says a thickness of 1 mm; voxels of the result are as deep as the distance."""
    series = series_in(tmp_path / "in", spacing=(1.5, 2.0, 6.0))
    seg = export_seg(tmp_path / "seg.dcm", series, some_labels())
    measures = pydicom.dcmread(seg).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (measures.SliceThickness, measures.SpacingBetweenSlices) == (6, 6)
    assert list(measures.PixelSpacing) == [2, 1.5]


def test_two_exports_of_one_result_have_identities_of_their_own(tmp_path):
    series = series_in(tmp_path / "in")
    seg = [export_seg(tmp_path / name, series, some_labels()) for name in ("a", "b")]
    assert len({pydicom.dcmread(path).SOPInstanceUID for path in seg}) == 2


@pytest.mark.parametrize("present", [(), (4,)])
def test_frames_that_end_within_a_byte(tmp_path, present):
    """The bits of all frames follow each other; ITK's reader does not know that."""
    series = series_in(tmp_path / "in", np.zeros((12, 7, 9), np.uint16))
    labels = some_labels(labels=(0, *present), shape=(12, 7, 9))
    seg = export_seg(tmp_path / "seg.dcm", series, labels)
    assert np.array_equal(labels_of(seg, series.grid, KNOWN), labels)
