"""A file has exactly the bytes that its header announces, in every format, or it is refused."""

import bz2
import gzip
import struct
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from volume_fixtures import RAMP, meta_image, nrrd, refusal, write_nifti

from scripted_models.errors import InputError
from scripted_models.images.headers import header_doubts
from scripted_models.images.volume_files import read_volume

DATA = RAMP.tobytes()


def nii(folder, data):
    path = write_nifti(folder / "a.nii", RAMP)
    path.write_bytes(path.read_bytes()[:352] + data)
    return path


def nii_gz(folder, data):
    path = folder / "a.nii.gz"
    path.write_bytes(gzip.compress(nii(folder, data).read_bytes()))
    return path


def mhd(folder, data, **fields):
    (folder / "a.raw").write_bytes(data)
    return meta_image(folder / "a.mhd", b"", ElementDataFile="a.raw", **fields)


def nhdr(folder, data, **fields):
    (folder / "a.raw").write_bytes(data)
    return nrrd(folder / "a.nhdr", b"", data_file="a.raw", **fields)


def pair(folder, data):
    (folder / "a.img").write_bytes(data)
    return write_nifti(folder / "a.hdr", RAMP, magic=b"ni1\0", offset=0)


def packed_mha(folder, data):
    packed = zlib.compress(data)
    return meta_image(
        folder / "a.mha", packed, CompressedData="True", CompressedDataSize=str(len(packed))
    )


WRITERS = {
    "nii": nii,
    "nii.gz": nii_gz,
    "mha": lambda folder, data: meta_image(folder / "a.mha", data),
    "packed mha": packed_mha,
    "mhd": mhd,
    "nrrd": lambda folder, data: nrrd(folder / "a.nrrd", data),
    "gzip nrrd": lambda folder, data: nrrd(folder / "a.nrrd", gzip.compress(data), encoding="gzip"),
    "bzip2 nrrd": lambda folder, data: nrrd(
        folder / "a.nrrd", bz2.compress(data), encoding="bzip2"
    ),
    "hex nrrd": lambda folder, data: nrrd(
        folder / "a.nrrd", data.hex(" ").encode(), encoding="hex"
    ),
    "nhdr": nhdr,
    "hdr and img": pair,
}


def is_read(path):
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_volume(path)), RAMP)
    return True


@pytest.mark.parametrize("kind", WRITERS)
class TestEveryFormat:
    def test_the_exact_bytes_are_read(self, kind, tmp_path):
        path = WRITERS[kind](tmp_path, DATA)
        assert is_read(path)
        assert header_doubts(path) == ()

    @pytest.mark.parametrize("extra", [DATA, b"\1", DATA[4:8], b"\0" * 48, b"\0" * 600])
    def test_more_bytes_are_refused_with_both_sizes(self, kind, extra, tmp_path):
        said = refusal(WRITERS[kind](tmp_path, DATA + extra))
        assert f"found {96 + len(extra)} bytes of voxels, expected the 96 that its header" in said

    @pytest.mark.parametrize("missing", [1, 4, 95, 96])
    def test_fewer_bytes_are_refused(self, kind, missing, tmp_path):
        path = WRITERS[kind](tmp_path, DATA[:-missing])
        said = refusal(path)
        assert f"found {96 - missing} bytes" in said or "truncated" in said or "no gzip" in said

    def test_a_few_zeros_less_than_a_slice_are_padding(self, kind, tmp_path):
        assert is_read(WRITERS[kind](tmp_path, DATA + bytes(47)))


@given(st.integers(0, 400), st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_cut_or_grown_files_are_read_rightly_or_refused(tmp_path_factory, end, more):
    folder = tmp_path_factory.mktemp("bytes")
    for write in WRITERS.values():
        path = write(folder, DATA)
        path.write_bytes(path.read_bytes()[:end] + more)
        try:
            array = sitk.GetArrayFromImage(read_volume(path))
        except InputError:
            continue
        assert array.shape == RAMP.shape or path.suffix in (".mhd", ".nhdr", ".hdr")


class TestTails:
    @pytest.mark.parametrize("tail", [bytes(5), bytes(10_000)])
    def test_zeros_after_gzip_are_padding(self, tmp_path, tail):
        path = nii_gz(tmp_path, DATA)
        path.write_bytes(path.read_bytes() + tail)
        assert is_read(path)

    @pytest.mark.parametrize("kind", ["nii.gz", "packed mha", "gzip nrrd", "bzip2 nrrd"])
    def test_other_bytes_after_the_stream_are_named(self, tmp_path, kind):
        path = WRITERS[kind](tmp_path, DATA)
        path.write_bytes(path.read_bytes() + b"garbage")
        assert "found 7 bytes after the end of its compressed data" in refusal(path)

    def test_gzip_of_several_members_is_one_file(self, tmp_path):
        path, whole = tmp_path / "a.nii.gz", nii(tmp_path, DATA).read_bytes()
        path.write_bytes(gzip.compress(whole[:100]) + gzip.compress(whole[100:]))
        assert is_read(path)
        path.write_bytes(path.read_bytes() + gzip.compress(whole))
        assert f"found {96 + len(whole)} bytes of voxels" in refusal(path)


class TestCompressedMetaImage:
    """ITK gives stale memory for these: another image each time."""

    @pytest.mark.parametrize("size", [None, "0", "1", "10", "99999", "4294967295"])
    def test_a_misstated_size_gives_the_same_voxels_and_a_doubt(self, tmp_path, size):
        fields = {"CompressedData": "True", "CompressedDataSize": size}
        path = meta_image(tmp_path / "a.mha", zlib.compress(DATA), **fields)
        assert is_read(path)
        assert is_read(path)
        assert "CompressedDataSize" in header_doubts(path)[0].found

    @pytest.mark.parametrize("size", [None, "0", "right"])
    def test_a_gzip_stream_is_unpacked(self, tmp_path, size):
        packed = gzip.compress(DATA)
        fields = {"CompressedDataSize": str(len(packed)) if size == "right" else size}
        assert is_read(meta_image(tmp_path / "a.mha", packed, CompressedData="True", **fields))

    def test_several_streams_and_damage_are_refused(self, tmp_path):
        path = tmp_path / "a.mha"
        half = zlib.compress(DATA[:48])
        assert "bytes" in refusal(meta_image(path, half * 2, CompressedData="True"))
        raw = zlib.compress(DATA)[2:-4]
        assert "damaged" in refusal(meta_image(path, raw, CompressedData="True"))
        assert "damaged" in refusal(meta_image(path, DATA, CompressedData="True"))
        said = refusal(
            meta_image(path, zlib.compress(DATA), CompressedData="True", HeaderSize="-1")
        )
        assert "HeaderSize = -1" in said

    def test_voxels_in_another_file_are_unpacked_too(self, tmp_path):
        (tmp_path / "a.zraw").write_bytes(zlib.compress(DATA))
        fields = {"CompressedData": "True", "ElementDataFile": "a.zraw"}
        assert is_read(meta_image(tmp_path / "a.mhd", b"", **fields))


class TestPlaceOfTheVoxels:
    def test_the_last_bytes_of_a_file(self, tmp_path):
        assert is_read(mhd(tmp_path, b"header" + DATA, HeaderSize="-1"))
        assert is_read(mhd(tmp_path, b"header" + DATA, HeaderSize="6"))
        assert is_read(meta_image(tmp_path / "a.mha", DATA, HeaderSize="-1"))
        assert is_read(nhdr(tmp_path, b"header" + DATA, byte_skip="-1"))
        assert is_read(nrrd(tmp_path / "a.nrrd", b"header" + DATA, byte_skip="6"))

    @pytest.mark.parametrize("size", ["6", "-2", "x"])
    def test_other_header_sizes_are_named(self, tmp_path, size):
        said = refusal(meta_image(tmp_path / "a.mha", b"header" + DATA, HeaderSize=size))
        assert f"HeaderSize = {size}" in said
        assert "damaged" not in said

    @pytest.mark.parametrize(
        ("name", "word"),
        [
            ("LIST", "several files"),
            ("LIST 2", "several files"),
            ("a%03d.raw 1 2 1", "several files"),
            ("../a.raw", "another folder"),
            ("/etc/passwd", "another folder"),
            ("missing.raw", "no file missing.raw beside it"),
        ],
    )
    def test_voxels_elsewhere_are_named(self, tmp_path, name, word):
        assert word in refusal(meta_image(tmp_path / "a.mhd", b"", ElementDataFile=name))
        assert word in refusal(nrrd(tmp_path / "a.nhdr", b"", data_file=name))

    def test_an_img_file_is_read_through_its_header(self, tmp_path):
        pair(tmp_path, DATA)
        assert is_read(tmp_path / "a.img")
        (tmp_path / "a.hdr").unlink()
        with pytest.raises(InputError, match="no such file"):
            read_volume(tmp_path / "a.img")

    def test_analyze_says_that_it_does_not_know_left(self, tmp_path):
        path = pair(tmp_path, DATA)
        header = bytearray(path.read_bytes())
        header[252:] = bytes(96)
        struct.pack_into("<4f", header, 76, 0, 1, 2, 3)
        path.write_bytes(header)
        assert is_read(path)
        assert read_volume(path).GetSpacing() == (1, 2, 3)
        assert "does not say where left is" in header_doubts(path)[0].found

    def test_a_header_without_mark_is_no_nifti(self, tmp_path):
        for magic, word in ((b"\1\2\3\0", "no mark 'n+1'"), (b"ni1\0", "in an .img file")):
            assert word in refusal(write_nifti(tmp_path / "a.nii", RAMP, magic=magic))
