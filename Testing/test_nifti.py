"""Reading of NIfTI files: both versions, byte orders, and headers that cannot be true."""

import numpy as np
import pytest
import SimpleITK as sitk
from volume_fixtures import RAMP, refusal, write_nifti

from scripted_models.errors import InputError
from scripted_models.images.volume_files import (
    read_volume,
)


def test_any_flipped_byte_of_a_nifti_header_gives_a_volume_or_a_sentence(tmp_path):
    path = write_nifti(tmp_path / "a.nii", RAMP)
    whole = path.read_bytes()
    for place in [*range(0, 8), *range(39, 124), *range(250, 330, 3), *range(340, 352)]:
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            assert sitk.GetArrayFromImage(read_volume(path)).size <= RAMP.size
        except InputError as error:
            assert str(error).startswith(f"{path}: found ")  # noqa: PT017


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_both_nifti_versions_in_both_byte_orders(tmp_path, version, order, name):
    sform = ((0, 0, -2, 30), (1.5, 0, 0, -40), (0, 1, 0, 50))
    path = write_nifti(
        tmp_path / name,
        RAMP.astype("i2"),
        4,
        version=version,
        order=order,
        slope=2,
        inter=10,
        pixdim=(1, 1.5, 1, 2),
        sform=sform,
    )
    image = read_volume(path)
    np.testing.assert_allclose(sitk.GetArrayFromImage(image), RAMP * 2 + 10)
    assert image.GetSpacing() == pytest.approx((1.5, 1, 2))
    assert image.GetOrigin() == pytest.approx((-30, 40, 50))  # RAS in the file, LPS here
    assert image.GetDirection() == pytest.approx((0, 0, 1, -1, 0, 0, 0, 1, 0))


def test_nan_in_nifti_2_is_reported(tmp_path):
    values = RAMP.copy()
    values[0, 0, 0] = np.nan
    assert "NaN" in refusal(write_nifti(tmp_path / "a.nii.gz", values, version=2, order=">"))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"pixdim": (1, 1, 0, 1)}, "spacing 1 x 0 x 1"),
        ({"pixdim": (1, 1, np.nan, 1)}, "spacing 1 x nan"),
        ({"pixdim": (1, -1, 1, 1)}, "spacing -1"),
        ({"sform": ((1, 0.1, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0))}, "sheared"),
        ({"sform": ((1, 0, 0, np.nan), (0, 1, 0, 0), (0, 0, 1, 0))}, "origin"),
        ({"dim": (3, 32000, 3, 2)}, "768000"),
        ({"dim": (3, 32000, 32000, 32000)}, "announces"),
        ({"dim": (3, 4, -3, 2)}, "size"),
        ({"dim": (0, 4, 3, 2)}, "size"),
        ({"offset": np.nan}, "first voxel"),
        ({"offset": 0}, "first voxel"),
        ({"offset": 400}, "bytes of voxels"),
        ({"datatype": 7}, "voxel type"),
        ({"slope": 1e38}, "scale of 1e+38"),
        ({"slope": 1e-40}, "scale of"),
        ({"slope": 1, "inter": 1e30}, "scale of 1 and 1e+30"),
    ],
)
def test_nifti_headers_that_cannot_be_true(tmp_path, fields, word):
    integers = "slope" in fields
    fields = {"datatype": 4 if integers else 16, **fields}
    path = write_nifti(tmp_path / "a.nii", RAMP.astype("i2") if integers else RAMP, **fields)
    assert word in refusal(path)


def test_2d_nifti_keeps_its_place_in_space(tmp_path):
    sagittal = ((0, 0, 1.0, 5), (1, 0, 0, 6), (0, 1, 0, 7))
    image = read_volume(write_nifti(tmp_path / "a.nii.gz", RAMP[0], sform=sagittal))
    assert image.GetSize() == (4, 3, 1)
    assert image.GetOrigin() == (-5, -6, 7)
    assert image.GetDirection() == pytest.approx((0, 0, -1, -1, 0, 0, 0, 1, 0))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image)[0], RAMP[0])
