"""Volumes: what is written comes back, and damaged files are refused with a sentence that helps."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_fixtures import RAMP, grid_from_seed, grids, refusal, write_nifti

from scripted_models.errors import InputError, ResourceError
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import (
    EXTENSIONS,
    read_channel,
    read_label_map,
    read_volume,
    volume_extension,
    volume_stem,
    write_labels,
    write_volume,
)

DTYPES = ("uint8", "int16", "uint16", "int32", "float32", "float64")


def random_values(shape: tuple, dtype: str, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return (rng.normal(size=shape) * 1000).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


@settings(max_examples=25, deadline=None)
@given(grid=grids, dtype=st.sampled_from(DTYPES), extension=st.sampled_from(EXTENSIONS))
def test_written_volumes_come_back_on_their_grid(grid, dtype, extension):
    values = random_values(grid.shape_zyx, dtype, grid.size_xyz[0])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"volume{extension}"
        write_volume(path, grid.image_from(values))
        image = read_volume(path)
        assert [p.name for p in Path(folder).iterdir()] == [path.name]
    back = sitk.GetArrayFromImage(image)
    assert back.dtype == values.dtype
    np.testing.assert_array_equal(back, values)
    assert Grid.of(image).difference(grid, 1e-3) == ""


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_grid_of_full_size_survives(tmp_path, extension):
    direction = grid_from_seed(2).direction  # oblique
    grid = Grid((240, 240, 155), (0.9375, 0.9375, 1.2), (-119.53, 87.41, -63.2), direction)
    corners = sitk.Image(grid.size_xyz, sitk.sitkUInt8)
    corners.SetSpacing(grid.spacing_xyz_mm)
    corners.SetOrigin(grid.origin_lps_mm)
    corners.SetDirection(grid.direction)
    write_volume(tmp_path / f"a{extension}", corners)
    assert Grid.of(read_volume(tmp_path / f"a{extension}")).difference(grid, 1e-3) == ""


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_truncated_files_are_refused_wherever_they_end(tmp_path, extension):
    path = tmp_path / f"whole{extension}"
    write_volume(
        path, grid_from_seed(2).image_from(random_values(grid_from_seed(2).shape_zyx, "int16", 1))
    )
    whole = path.read_bytes()
    for end in {
        *range(0, len(whole), max(1, len(whole) // 60)),
        *range(len(whole) - 12, len(whole)),
    }:
        path.write_bytes(whole[:end])
        refusal(path)
    path.write_bytes(whole)
    read_volume(path)


def packed_part(path: Path) -> range:
    content = path.read_bytes()
    starts = {".mha": b"ElementDataFile = LOCAL\n", ".nrrd": b"\n\n"}
    mark = starts.get(volume_extension(path))
    # behind the gzip header, whose time stamp and flags carry no voxels
    first = content.index(mark) + len(mark) + (10 if ".nrrd" in path.name else 0) if mark else 10
    return range(first, len(content))


@pytest.mark.parametrize("extension", [".nii.gz", ".mha", ".nrrd"])
def test_one_flipped_byte_in_compressed_voxels_is_refused(tmp_path, extension):
    path = tmp_path / f"a{extension}"
    values = np.repeat(random_values((8, 10, 1), "int16", 3), 30, axis=2)
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path), useCompression=True)
    read_volume(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for place in rng.choice(packed_part(path), 40, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        refusal(path)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_single_voxel_that_is_no_number_is_reported(tmp_path, extension, bad):
    values = RAMP.copy()
    values[1, 2, 3] = bad
    path = tmp_path / f"a{extension}"
    sitk.WriteImage(sitk.GetImageFromArray(values), str(path))
    assert "1 voxels that are NaN or infinite" in refusal(path)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_nan_is_not_written(tmp_path, extension):
    with pytest.raises(InputError, match="NaN"):
        write_volume(tmp_path / f"a{extension}", sitk.GetImageFromArray(RAMP * np.nan))
    assert list(tmp_path.iterdir()) == []


def test_other_kinds_of_pixels_and_dimensions(tmp_path):
    path = tmp_path / "a.nii"
    assert "complex" in refusal(write_nifti(path, RAMP.astype("c8"), 32))
    assert "5-D" in refusal(write_nifti(path, np.zeros((2, 1, 2, 3, 4), "f4")))
    assert "4-D image of 2 volumes" in refusal(write_nifti(path, np.stack([RAMP, RAMP])))
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(read_volume(write_nifti(path, RAMP[None]))), RAMP
    )
    for extension in (".mha", ".nrrd", ".nii.gz"):
        single = sitk.GetImageFromArray(RAMP[None], isVector=False)
        sitk.WriteImage(single, str(tmp_path / f"s{extension}"))
        assert read_volume(tmp_path / f"s{extension}").GetSize() == RAMP.shape[::-1]
        vector = sitk.GetImageFromArray(np.zeros((2, 3, 4, 3), "u1"), isVector=True)
        sitk.WriteImage(vector, str(tmp_path / f"v{extension}"))
        assert "vector" in refusal(tmp_path / f"v{extension}")


def test_sheared_and_mirrored_meta_images(tmp_path):
    image = sitk.GetImageFromArray(RAMP)
    image.SetDirection((1, 0.01, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    assert "sheared" in refusal(tmp_path / "a.mha")
    image.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    assert read_volume(tmp_path / "a.mha").GetDirection()[0] == -1


@pytest.mark.parametrize("spacing", ["0 1 1", "nan 1 1", "-1 1 1", "1 inf 1", "x 1 1"])
def test_spacing_of_meta_images(tmp_path, spacing):
    path = tmp_path / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(RAMP), str(path))
    content = path.read_bytes().replace(
        b"ElementSpacing = 1 1 1", f"ElementSpacing = {spacing}".encode()
    )
    path.write_bytes(content)
    assert "spacing" in refusal(path)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_2d_images_become_one_slice(tmp_path, extension):
    flat = sitk.GetImageFromArray(RAMP[0])
    flat.SetSpacing((2, 3))
    flat.SetOrigin((4, 5))
    flat.SetDirection((0, 1, -1, 0))
    sitk.WriteImage(flat, str(tmp_path / f"a{extension}"))
    expected = Grid((4, 3, 1), (2, 3, 1), (4, 5, 0), (0, 1, 0, -1, 0, 0, 0, 0, 1))
    assert Grid.of(read_volume(tmp_path / f"a{extension}")).difference(expected) == ""


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("content", [b"", b"x", b"hello\n" * 200, b"NDims = 3\n", b"NRRD0004\n"])
def test_files_that_are_no_image(tmp_path, extension, content):
    path = tmp_path / f"a{extension}"
    path.write_bytes(content)
    refusal(path)


def test_wrong_extensions(tmp_path):
    for written, named in [("a.nii", "b.nii.gz"), ("a.nii.gz", "b.nii"), ("a.mha", "b.nrrd")]:
        write_volume(tmp_path / written, sitk.GetImageFromArray(RAMP))
        os.replace(tmp_path / written, tmp_path / named)
        refusal(tmp_path / named)
    (tmp_path / "a.png").write_bytes(b"x")
    assert "unknown file type" in refusal(tmp_path / "a.png")


def test_paths_that_are_no_file(tmp_path):
    assert "a folder" in refusal(tmp_path)
    assert "no such file" in refusal(tmp_path / "a.nii")
    assert "cannot be opened" in refusal(tmp_path / ("x" * 300 + ".nii"))
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    assert "no such file" in refusal(tmp_path / "loop.nii")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.nii")
        assert "pipe" in refusal(tmp_path / "pipe.nii")
    with pytest.raises(InputError, match="UTF-8"):
        read_volume(tmp_path / os.fsdecode(b"\xff.mha"))
    with pytest.raises(InputError, match="UTF-8"):
        write_volume(tmp_path / os.fsdecode(b"\xff.mha"), sitk.GetImageFromArray(RAMP))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_files_without_permission(tmp_path):
    path = tmp_path / "a.nii"
    write_volume(path, sitk.GetImageFromArray(RAMP))
    path.chmod(0)
    assert "permissions" in refusal(path)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_names_with_blanks_and_foreign_letters(tmp_path, extension):
    path = tmp_path / " Köpfe 脑 (1)" / f" a b.c{extension}"
    path.parent.mkdir()
    write_volume(path, sitk.GetImageFromArray(RAMP))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(path)), RAMP)
    assert volume_stem(path) == " a b.c"


def test_extensions_of_names():
    assert volume_extension(Path("A.NII.GZ")) == ".nii.gz"
    assert volume_stem(Path("VSD.Brain.XX.O.MR_T1.684.mha")) == "VSD.Brain.XX.O.MR_T1.684"
    assert volume_extension(Path("report.json")) is None


def test_failed_writing_leaves_nothing_and_keeps_the_old_file(tmp_path):
    image = sitk.GetImageFromArray(RAMP)
    with pytest.raises(InputError, match="extension"):
        write_volume(tmp_path / "a.png", image)
    with pytest.raises(ResourceError, match="no way to write the file"):
        write_volume(tmp_path / "missing" / "a.nii", image)
    (tmp_path / "taken.nii").mkdir()
    with pytest.raises(ResourceError):
        write_volume(tmp_path / "taken.nii", image)
    assert [p.name for p in tmp_path.iterdir()] == ["taken.nii"]


_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np, SimpleITK as sitk
from scripted_models.errors import ResourceError
from scripted_models.images.volume_files import EXTENSIONS, write_volume
image = sitk.GetImageFromArray(np.random.default_rng(0).normal(size=(8, 100, 100)))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
for extension in EXTENSIONS:
    try:
        write_volume(Path(sys.argv[1], "a" + extension), image)
    except ResourceError:
        print(extension)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="limits of file size are POSIX")
def test_a_full_disk_is_noticed(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, tmp_path],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.stdout.split() == list(EXTENSIONS)
    assert list(tmp_path.iterdir()) == []


def test_label_maps_are_whole_numbers(tmp_path):
    path = tmp_path / "a.nii.gz"
    for values in (RAMP, RAMP.astype("u2"), RAMP + 4e-4):
        write_volume(path, sitk.GetImageFromArray(values))
        labels, grid = read_label_map(path)
        assert labels.dtype == np.uint8
        assert grid.size_xyz == (4, 3, 2)
        np.testing.assert_array_equal(labels, RAMP)
    for values, word in (
        (RAMP + 0.4, "fractional"),
        (RAMP - 1, "-1"),
        (RAMP.astype("i2") + 300, "323"),
    ):
        write_volume(path, sitk.GetImageFromArray(values))
        assert word in refusal(path, read_label_map)


def test_labels_that_do_not_fit_are_not_wrapped(tmp_path):
    for wrong in (np.full((2, 3, 4), 300), np.full((2, 3, 4), -1), np.full((2, 3, 4), 3.9)):
        with pytest.raises(ValueError, match="no whole numbers"):
            write_labels(tmp_path / "a.nii", wrong, Grid((4, 3, 2)))
    write_labels(tmp_path / "a.nii", RAMP > 3, Grid((4, 3, 2)))
    assert read_label_map(tmp_path / "a.nii")[0].sum() == 20


@pytest.mark.parametrize("seed", [1, 2])
def test_channels_of_a_4d_file_lie_where_the_file_says(tmp_path, seed):
    grid = grid_from_seed(seed)
    volumes = [grid.image_from(random_values(grid.shape_zyx, "float32", n)) for n in range(3)]
    sitk.WriteImage(sitk.JoinSeries(volumes), str(tmp_path / "a.nii.gz"))
    for channel, volume in enumerate(volumes):
        image = read_channel(tmp_path / "a.nii.gz", channel)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(volume))
        assert Grid.of(image).difference(grid) == ""
    assert "4-D" in refusal(tmp_path / "a.nii.gz", lambda path: read_channel(path, 3))


def test_real_slices_and_their_masks_share_a_grid(real_data):
    folder = real_data / "brats2013-2d"
    if not folder.is_dir():
        pytest.skip(f"no slices in {folder}")
    for case in sorted(folder.glob("BRATS_*")):
        grids_found = [Grid.of(read_volume(path)) for path in sorted(case.glob("*.nii.gz"))]
        assert len(grids_found) == 6
        assert grids_found[0].size_xyz[2] == 1
        assert all(grid.matches(grids_found[0]) for grid in grids_found)
