"""Where NIfTI headers put a volume: the stated choice is the one that is taken, and it is said."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_fixtures import RAMP, refusal, rotation, write_nifti

from scripted_models.geometry import HARMLESS_MM, Grid
from scripted_models.images.headers import header_doubts
from scripted_models.images.volume_files import read_label_map, read_volume, write_labels

TO_LPS = np.diag([-1.0, -1.0, 1.0])
LAST = np.array([3, 2, 1])  # index of the last voxel of RAMP


def quaternion_matrix(b, c, d, qfac):
    """Return the rotation of a q-form as nifti1.h writes it."""
    a = np.sqrt(max(0, 1 - b * b - c * c - d * d))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c) * qfac],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b) * qfac],
            [2 * (b * d - a * c), 2 * (c * d + a * b), (a * a + d * d - c * c - b * b) * qfac],
        ]
    )


def stated_affine(path):
    """Parse a NIfTI-1 header by hand: s-form if its code is above 0, else q-form; RAS."""
    content = unpacked(path)
    q_code, s_code = struct.unpack_from("<2h", content, 252)
    pixdim = struct.unpack_from("<4f", content, 76)
    if s_code > 0:
        return np.array(struct.unpack_from("<12f", content, 280)).reshape(3, 4)
    assert q_code > 0
    b, c, d, *offset = struct.unpack_from("<6f", content, 256)
    matrix = quaternion_matrix(b, c, d, -1 if pixdim[0] < 0 else 1) * pixdim[1:]
    return np.column_stack([matrix, offset])


def unpacked(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def corners(matrix, offset):
    ends = np.array(np.meshgrid(*[(0, n) for n in LAST])).reshape(3, -1)
    return (matrix @ ends + np.reshape(offset, (3, 1))).T


def found_corners(path):
    grid = Grid.of(read_volume(path))
    matrix = np.reshape(grid.direction, (3, 3)) * grid.spacing_xyz_mm
    return corners(TO_LPS @ matrix, TO_LPS @ grid.origin_lps_mm)


def words(path):
    return " ".join(doubt.sentence for doubt in header_doubts(path))


def off_by(found, wanted):
    return np.linalg.norm(found - wanted, axis=1).max()


@given(
    seed=st.integers(0, 2**31),
    codes=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    factor=st.sampled_from([1, 1, 1, 2, 0.1, 1.2]),
    shear=st.sampled_from([0, 0, 5e-5, 4e-4, 0.1]),
    same=st.booleans(),
    version=st.sampled_from([1, 2]),
    order=st.sampled_from("<>"),
    unit=st.sampled_from([0, 2, 1, 3]),
)
@settings(max_examples=300, deadline=None)
def test_any_header_is_placed_by_the_stated_choice_or_refused(
    tmp_path_factory, seed, codes, factor, shear, same, version, order, unit
):
    rng = np.random.default_rng(seed)
    pixdim, offset = rng.uniform(0.5, 3, 3), rng.uniform(-90, 90, 3)
    versor = rng.normal(size=4)
    _, b, c, d = versor = versor / np.linalg.norm(versor) * np.sign(versor[0])
    qfac = rng.choice([-1, 1])
    q = quaternion_matrix(b, c, d, qfac) * pixdim
    axes = q / pixdim if same else rotation(rng)
    axes = axes @ np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    s, s_offset = axes * pixdim * factor, offset if same else rng.uniform(-90, 90, 3)
    mm = {1: 1000, 3: 0.001}.get(unit, 1)
    path = write_nifti(
        tmp_path_factory.mktemp("forms") / "a.nii",
        RAMP,
        version=version,
        order=order,
        pixdim=(qfac, *pixdim / mm),
        sform=(np.column_stack([s, s_offset]) / mm).tolist(),
        codes=codes,
        quaternion=(b, c, d, *offset / mm),
        units=unit,
    )
    place = {
        "s-form": corners(s, s_offset),
        "q-form": corners(q, offset),
        "neither": corners(TO_LPS * pixdim, np.zeros(3)),
    }
    q_code, s_code = codes
    sheared = s_code > 0 and shear == 0.1
    if sheared and not q_code:
        assert "sheared" in refusal(path)
        return
    apart = off_by(place["s-form"], place["q-form"]) > HARMLESS_MM
    rescaled = factor != 1
    chosen = "s-form"
    if not s_code:
        chosen = "q-form" if q_code else "neither"
    elif q_code and (sheared or (not rescaled and apart and s_code != 1)):
        chosen = "q-form"
    assert off_by(found_corners(path), place[chosen]) < 1e-3 + 10 * shear
    said = words(path)
    assert ("neither" in said) == (chosen == "neither")
    assert ("voxels of" in said) == (bool(s_code) and rescaled and not (sheared and q_code))
    both = bool(q_code and s_code) and not sheared and not rescaled
    assert ("mm apart" in said) == (both and apart)
    assert ("not quite perpendicular" in said) == (chosen == "s-form" and shear == 4e-4)
    assert ("eters, expected millimeters" in said) == (unit in (1, 3))
    if "by the" in said:
        assert f"by the {chosen}" in said


@pytest.mark.parametrize("codes", [(0, 1), (1, 0), (1, 1), (2, 2), (4, 1)])
def test_a_result_lies_where_the_input_does(tmp_path, codes):
    rng = np.random.default_rng(3)
    b, c, d = 0.1, -0.2, 0.3
    matrix = quaternion_matrix(b, c, d, 1) * [0.5, 0.9, 3]
    path = write_nifti(
        tmp_path / "a.nii.gz",
        RAMP,
        pixdim=(1, 0.5, 0.9, 3),
        sform=np.column_stack([matrix, [9, 8, 7]]).tolist(),
        codes=codes,
        quaternion=(b, c, d, 9, 8, 7),
    )
    labels, grid = read_label_map(path)
    write_labels(tmp_path / "b.nii.gz", rng.integers(0, 5, labels.shape), grid)
    np.testing.assert_allclose(stated_affine(tmp_path / "b.nii.gz"), stated_affine(path), atol=1e-4)
    assert header_doubts(path) == header_doubts(tmp_path / "b.nii.gz") == ()


def test_a_result_of_an_s_form_with_other_sizes_lies_on_the_s_form(tmp_path):
    sform = ((-2, 0, 0, 10), (0, -2, 0, 20), (0, 0, 2, 30))
    path = write_nifti(tmp_path / "a.nii", RAMP, sform=sform)
    assert "voxels of 2 x 2 x 2 mm and a pixdim of 1 x 1 x 1 mm" in words(path)
    labels, grid = read_label_map(path)
    assert grid.voxel_volume_ml == pytest.approx(0.008)
    write_labels(tmp_path / "b.nii", labels, grid)
    np.testing.assert_allclose(stated_affine(tmp_path / "b.nii"), sform, atol=1e-5)
    pixdim = struct.unpack_from("<3f", (tmp_path / "b.nii").read_bytes(), 80)
    assert pixdim == (2, 2, 2)


@pytest.mark.parametrize("axis", range(3))
def test_the_thickness_of_one_slice_is_compared_too(tmp_path, axis):
    """No corner moves with it, but the volume in mL does."""
    shape = [4, 3, 2]
    shape[axis] = 1
    sform = np.column_stack([np.diag([1.0, 1, 1]), [0, 0, 0]])
    sform[axis, axis] = 1.05
    array = np.ones(shape[::-1], "f4")
    path = write_nifti(tmp_path / "a.nii", array, sform=sform.tolist())
    assert "one voxel size" in words(path)
    assert read_volume(path).GetSpacing()[axis] == pytest.approx(1.05)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"codes": (1, 0), "quaternion": (0.9, 0.9, 0.9, 0, 0, 0)}, "length of 1.56"),
        ({"codes": (1, 0), "quaternion": (np.nan, 0, 0, 0, 0, 0)}, "NaN"),
        ({"sform": ((0, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0))}, "axis of length 0"),
        ({"sform": ((1, 1, 0, 0), (0, 0, 0, 0), (0, 0, 1, 0))}, "sheared"),
        ({"units": 1, "pixdim": (1, 1e30, 1, 1)}, ""),
    ],
)
def test_forms_that_cannot_be_used(tmp_path, fields, said):
    path = write_nifti(tmp_path / "a.nii", RAMP, **fields)
    if said:
        assert said in refusal(path)
    else:
        read_volume(path)  # the s-form counts


@pytest.mark.parametrize("shear", [2e-4, 5e-4, 2e-3])
def test_a_small_shear_gives_the_nearest_axes_and_says_how_far_corners_move(tmp_path, shear):
    sform = ((-1, shear, 0, 10), (0, -1, 0, 20), (0, 0, 1, 30))
    array = np.zeros((2, 240, 240), "u1")
    path = write_nifti(tmp_path / "a.nii", array, 2, sform=sform)
    (doubt,) = header_doubts(path)
    said = float(doubt.found.partition("corners ")[2].split()[0])
    grid = Grid.of(read_volume(path))
    axes = np.reshape(grid.direction, (3, 3))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    last = np.array([239, 239, 1])
    stated = TO_LPS @ np.array(sform)[:, :3] @ last
    moved = np.linalg.norm(axes * grid.spacing_xyz_mm @ last - stated)
    assert said == pytest.approx(shear * 239 / np.sqrt(2), rel=0.05)  # half of it for each axis
    assert moved <= said * 1.05 + 1e-6


def test_a_shear_that_moves_a_corner_by_more_than_half_a_millimeter_is_refused(tmp_path):
    sform = ((-1, 4e-3, 0, 10), (0, -1, 0, 20), (0, 0, 1, 30))
    path = write_nifti(tmp_path / "a.nii", np.zeros((2, 240, 240), "u1"), 2, sform=sform)
    assert "direction to 0.5 mm" in refusal(path)


def test_ordinary_headers_are_read_as_itk_does(tmp_path):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        image = sitk.GetImageFromArray(RAMP)
        image.SetDirection(rotation(rng).ravel().tolist())
        image.SetSpacing(rng.uniform(0.4, 3, 3).tolist())
        image.SetOrigin(rng.uniform(-99, 99, 3).tolist())
        path = tmp_path / f"a.{('nii', 'mha', 'nrrd')[seed % 3]}"
        sitk.WriteImage(image, str(path))
        theirs = Grid.of(sitk.ReadImage(str(path)))
        assert Grid.of(read_volume(path)).difference(theirs, 1e-4) == ""
        assert header_doubts(path) == ()
