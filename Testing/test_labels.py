"""Label codings of the BraTS years, checked against tables written by hand."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from scripted_models.errors import InputError
from scripted_models.images.volume_files import read_label_map
from scripted_models.labels import (
    CODINGS,
    LABELS,
    REGIONS,
    decode_labels,
    encode_labels,
    known_regions,
    region_mask,
)

# Values of the data sets, and below each what it means: 0 nothing, 1 necrosis, 2 edema,
# 3 non-enhancing, 4 enhancing tumor, 5 resection cavity.
MEANINGS = {
    "internal": ("012345", "012345"),
    "brats2013": ("01234", "01234"),
    "brats2012": ("012", "024"),
    "brats2012sim": ("0123456", "0000240"),
    "brats2021": ("0124", "0124"),
    "brats2023": ("0123", "0124"),
    "brats2024": ("01234", "01245"),
    "brats2024ped": ("01234", "04312"),
    "msd": ("0123", "0214"),
    "atropos": ("01234567", "00001234"),
}
WRITTEN = {  # what internal labels 0-4, or 0-5, become in the codings that can be written
    "internal": "012345",
    "brats2013": "01234",
    "brats2021": "01214",
    "brats2023": "01213",
    "brats2024": "012134",
    "msd": "02123",
}
label_maps = st_numpy.arrays(
    np.uint8, st_numpy.array_shapes(min_dims=1, max_dims=3, max_side=6), elements=st.integers(0, 4)
)


def digits(text: str) -> np.ndarray:
    return np.array([int(digit) for digit in text], np.uint8)


def refusal(values, coding="brats2021") -> str:
    with pytest.raises(InputError) as caught:
        decode_labels(np.asarray(values), CODINGS[coding], "case_seg.nii.gz")
    return str(caught.value)


def test_every_coding_has_a_table_here():
    assert set(CODINGS) == set(MEANINGS)
    assert {name for name, coding in CODINGS.items() if coding.from_internal} == set(WRITTEN)
    assert all(coding.name == name for name, coding in CODINGS.items())


@pytest.mark.parametrize("coding", MEANINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_decode_all_values(coding, dtype):
    values, meaning = map(digits, MEANINGS[coding])
    grid = np.resize(values, (3, 4, 5)).astype(dtype)
    decoded = decode_labels(grid, CODINGS[coding], "seg")
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, np.resize(meaning, (3, 4, 5)))
    assert np.array_equal(grid, np.resize(values, (3, 4, 5)))  # the input is left alone


@pytest.mark.parametrize("coding", MEANINGS)
def test_any_other_value_is_refused(coding):
    known = set(digits(MEANINGS[coding][0]).tolist())
    for value in sorted(set(range(256)) - known):
        with pytest.raises(InputError):
            decode_labels(np.array([0, value], np.uint8), CODINGS[coding], "seg")


@pytest.mark.parametrize("value", [-1, 256, 257, 260, 1.5, 3.999, np.nan, np.inf])
def test_values_that_a_cast_to_bytes_would_hide(value):
    assert f"{value:g}" in refusal([0, 1, value])


def test_refusal_says_found_expected_and_what_to_do():
    message = refusal(np.array([0, 3, 7, 9]))
    assert message.startswith("case_seg.nii.gz: found the label(s) 3, 7, 9, ")
    assert "expected only [0, 1, 2, 4] of coding 'brats2021'" in message
    assert "another coding with --coding (" in message


def test_refusal_names_the_codings_that_know_all_values():
    fitting = refusal([0, 1, 2, 3]).split("known to ")[1]
    assert "brats2023" in fitting
    assert "msd" in fitting
    assert "brats2021" not in fitting
    assert "(none knows all values)" in refusal([0, 99])


def test_refusal_of_an_image_stays_short():
    message = refusal(np.arange(4000))
    assert "the label(s) 3, 5, 6, 7, 8, expected" in message
    assert len(message) < 500


def test_empty_and_one_voxel_maps():
    assert decode_labels(np.zeros((0, 4, 4), np.int16), CODINGS["msd"], "seg").shape == (0, 4, 4)
    assert decode_labels(np.uint8(3), CODINGS["brats2023"], "seg") == 4
    assert encode_labels(np.zeros((0, 2), np.uint8), CODINGS["msd"]).shape == (0, 2)


@pytest.mark.parametrize("coding", WRITTEN)
def test_encode_table(coding):
    written = encode_labels(np.arange(len(WRITTEN[coding]), dtype=np.uint8), CODINGS[coding])
    assert written.dtype == np.uint8
    assert np.array_equal(written, digits(WRITTEN[coding]))


@pytest.mark.parametrize("coding", WRITTEN)
@given(labels=label_maps)
def test_round_trip_keeps_what_the_coding_can_say(coding, labels):
    again = decode_labels(encode_labels(labels, CODINGS[coding]), CODINGS[coding], "seg")
    expected = np.where(labels == 3, 1, labels) if CODINGS[coding].merged_necrosis else labels
    assert np.array_equal(again, expected)
    for region in REGIONS:
        assert np.array_equal(region_mask(again, region), region_mask(labels, region))


@pytest.mark.parametrize("coding", WRITTEN)
def test_files_survive_a_round_trip(coding):
    values = digits(MEANINGS[coding][0])
    decoded = decode_labels(values, CODINGS[coding], "seg")
    assert np.array_equal(encode_labels(decoded, CODINGS[coding]), values)


@pytest.mark.parametrize("coding", sorted(set(MEANINGS) - set(WRITTEN)))
def test_codings_that_lose_too_much_are_not_written(coding):
    with pytest.raises(InputError, match="can be read but not written") as caught:
        encode_labels(np.zeros(3, np.uint8), CODINGS[coding])
    assert all(name in str(caught.value) for name in WRITTEN)


@pytest.mark.parametrize("labels", [[0, 6], [255], [-1, 2]])
@pytest.mark.parametrize("coding", ["internal", "brats2021", "brats2012"])
def test_encode_refuses_labels_out_of_range(labels, coding):
    with pytest.raises(ValueError, match="only 0-5 are internal"):
        encode_labels(np.array(labels, np.int16), CODINGS[coding])


@pytest.mark.parametrize("coding", ["brats2013", "brats2021", "brats2023", "msd"])
def test_a_cavity_is_not_written_where_no_number_means_it(coding):
    with pytest.raises(InputError, match="no number for the label resection cavity") as caught:
        encode_labels(np.array([0, 5], np.uint8), CODINGS[coding])
    assert "choose internal or brats2024" in str(caught.value)


def test_the_cavity_belongs_to_no_region_of_the_tumor():
    labels = np.arange(6)
    assert not any(region_mask(labels, region)[5] for region in REGIONS)
    assert np.flatnonzero(region_mask(labels, "RC")).tolist() == [5]
    assert {name for name, coding in CODINGS.items() if "RC" in coding.scored} == {
        "internal",
        "brats2024",
    }


def test_regions_of_the_paper():
    labels = np.arange(5)
    assert region_mask(labels, "WT").tolist() == [False, True, True, True, True]
    assert region_mask(labels, "TC").tolist() == [False, True, False, True, True]
    assert region_mask(labels, "ET").tolist() == [False, False, False, False, True]
    assert list(LABELS) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(KeyError):
        region_mask(labels, "edema")


@given(labels=label_maps)
def test_regions_lie_within_each_other(labels):
    complete, core, enhancing = (region_mask(labels, name) for name in REGIONS)
    assert complete.dtype == bool
    assert not (core & ~complete).any()
    assert not (enhancing & ~core).any()
    assert np.array_equal(complete & ~core, labels == 2)


@pytest.mark.parametrize(
    ("coding", "complete", "core", "enhancing"),
    [  # of the data sets' own definitions, in their own values
        ("brats2012", {1, 2}, {2}, None),
        ("brats2012sim", {4, 5}, {5}, None),
        ("brats2013", {1, 2, 3, 4}, {1, 3, 4}, {4}),
        ("brats2021", {1, 2, 4}, {1, 4}, {4}),
        ("brats2023", {1, 2, 3}, {1, 3}, {3}),
        ("brats2024", {1, 2, 3}, {1, 3}, {3}),
        ("brats2024ped", {1, 2, 3, 4}, {1, 2, 3}, {1}),
        ("msd", {1, 2, 3}, {2, 3}, {3}),
    ],
)
def test_regions_of_each_data_set(coding, complete, core, enhancing):
    values = digits(MEANINGS[coding][0])
    labels = decode_labels(values, CODINGS[coding], "seg")
    assert set(values[region_mask(labels, "WT")].tolist()) == complete
    assert set(values[region_mask(labels, "TC")].tolist()) == core
    assert ("ET" in CODINGS[coding].regions) == (enhancing is not None)
    if enhancing:
        assert set(values[region_mask(labels, "ET")].tolist()) == enhancing


@pytest.mark.parametrize(
    "coding", ["brats2012", "brats2012sim", "brats2021", "brats2023", "brats2024", "msd"]
)
def test_codings_say_what_they_lose(coding):
    assert CODINGS[coding].note


@pytest.mark.parametrize("pixels", [sitk.sitkFloat32, sitk.sitkFloat64])
def test_float_label_maps(tmp_path, pixels):
    values = np.resize(digits("0124"), (3, 4, 4)).astype(np.float64)
    path = tmp_path / "a_seg.nii.gz"
    sitk.WriteImage(sitk.Cast(sitk.GetImageFromArray(values), pixels), str(path))
    read, grid = read_label_map(path)
    assert grid.shape_zyx == (3, 4, 4)
    assert np.array_equal(decode_labels(read, CODINGS["brats2021"], "seg"), values)
    values[0, 0, 0] = 0.5  # as after resampling with linear interpolation
    sitk.WriteImage(sitk.Cast(sitk.GetImageFromArray(values), pixels), str(path))
    with pytest.raises(InputError, match="fractional values from 0 to 4, expected whole"):
        read_label_map(path)


@pytest.mark.parametrize(
    ("labels", "regions"),
    [
        ((0, 1, 2, 3, 4), ("WT", "TC", "ET")),
        ((0, 2, 3, 4), ("WT", "TC", "ET")),
        ((0, 1, 3, 4), ("TC", "ET")),
        ((0, 2, 4), ("ET",)),
        ((0, 2), ()),
    ],
)
def test_a_region_needs_all_its_parts(labels, regions):
    assert known_regions(labels) == regions
