"""Voxels, grid and identity of DICOM series, and series that are named one by one."""

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_fixtures import Study, Writer, phantom_arrays, write_enhanced
from hypothesis import given, settings
from hypothesis import strategies as st
from model_fixtures import quick_model
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from scripted_models.cases.case import Case
from scripted_models.cases.dicom.attributes import read_attributes
from scripted_models.cases.dicom.named_series import named_source
from scripted_models.cases.dicom.stacks import stack_slices
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.geometry import Grid
from scripted_models.segmentation.case_inputs import CaseInputs

ARRAY = phantom_arrays()["t1"]
SMALL = np.arange(12 * 4 * 6, dtype=np.uint16).reshape(12, 4, 6)
NAMES = ("t1", "t1c", "t2", "flair")
PLAIN = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]


def values(source):
    return sitk.GetArrayFromImage(source.read())


@pytest.mark.parametrize("syntax", [*PLAIN, RLELossless], ids=lambda uid: uid.name)
def test_transfer_syntaxes(tmp_path, syntax):
    Writer(tmp_path / "s", syntax=syntax).sequence("t1", "t1", ARRAY)
    assert np.array_equal(values(named_source(tmp_path / "s")), ARRAY)


@pytest.mark.parametrize("compressor", ["JPEG", "JPEG2000"])
def test_compressed_by_gdcm(tmp_path, compressor):
    for path in Writer(tmp_path / "s").sequence("t1", "t1", ARRAY):
        image = sitk.ReadImage(str(path), sitk.sitkUInt16, "GDCMImageIO")
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetUseCompression(True)
        writer.SetCompressor(compressor)
        writer.SetFileName(str(tmp_path / "one.dcm"))
        writer.Execute(image)
        packed = pydicom.dcmread(tmp_path / "one.dcm")
        data = pydicom.dcmread(path)
        data.PixelData = packed.PixelData
        data["PixelData"].VR = "OB"
        data.file_meta.TransferSyntaxUID = packed.file_meta.TransferSyntaxUID
        pydicom.dcmwrite(path, data)
    assert np.array_equal(values(named_source(tmp_path / "s")), ARRAY)


@settings(max_examples=12, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-3, 3)] * 3),
    origin=st.tuples(*[st.floats(-200, 200)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 2)] * 2, st.floats(5, 7)),
    seed=st.integers(0, 99),
)
def test_any_orientation_and_order_of_files(tmp_path_factory, turn, origin, spacing, seed):
    turned = sitk.Euler3DTransform((0, 0, 0), *turn).GetMatrix()
    matrix = np.array(turned).reshape(3, 3)
    random = np.random.default_rng(seed)
    slopes = random.choice([0.5, 0.25, 1, 2, 3], len(SMALL))
    writer = Writer(tmp_path_factory.mktemp("s"), name="{slice}")
    writer.series(
        "t1",
        SMALL * 12,
        cosines=(*matrix[:, 0], *matrix[:, 1]),
        origin=origin,
        spacing=spacing,
        order=random.permutation(len(SMALL)),
        slopes=slopes,
    )
    source = named_source(writer.folder)
    image = source.read()
    expected = Grid((6, 4, 12), spacing, origin, tuple(matrix.ravel()))
    assert Grid.of(image).distance_mm(expected) < 0.01
    stored = np.rint(SMALL * 12 / slopes[:, None, None]).astype(np.uint16)
    assert np.allclose(sitk.GetArrayFromImage(image), stored * slopes[:, None, None])


class TestEnhanced:
    @pytest.mark.parametrize("slope", [None, 0.5])
    def test_frames_in_any_order(self, tmp_path, slope):
        slopes = None if slope is None else [slope] * len(ARRAY)
        path = tmp_path / "a" / "IM1"
        write_enhanced(Writer(tmp_path), path, ARRAY, range(30, -1, -1), slopes)
        source = named_source(path)
        assert np.array_equal(values(source), ARRAY * (slope or 1))
        assert source.series.grid.origin_lps_mm == (-120, -120, -75)
        assert read_attributes(path).echo_ms == 10

    def test_a_case_of_enhanced_files(self, tmp_path):
        writer = Writer(tmp_path)
        for name in ("Ax T1", "Ax T1 +C", "Ax T2", "Ax FLAIR"):
            write_enhanced(writer, tmp_path / name, ARRAY, range(31), description=name)
        (case,) = find_cases(tmp_path)
        assert not case.missing

    @pytest.mark.parametrize(
        ("order", "slopes", "why"),
        [
            ([*range(31), *range(31)], None, "4-D: 2 images at each of 31 places"),
            (range(31), np.linspace(0.5, 2, 31), "several scales of gray values"),
        ],
    )
    def test_what_is_no_volume(self, tmp_path, order, slopes, why):
        path = tmp_path / "a" / "IM1"
        write_enhanced(Writer(tmp_path), path, ARRAY, order, slopes)
        with pytest.raises(InputError, match=why):
            named_source(path)


def test_two_echoes_of_one_series_are_two_volumes(tmp_path):
    writer = Writer(tmp_path, name="{series}_{slice}")
    uid = "1.2.3"
    for echo, words in ((14, "pd"), (95, "t2")):
        writer.series(
            "PD and T2",
            ARRAY + len(words),
            SeriesInstanceUID=uid,
            EchoTime=echo,
            RepetitionTime=3500,
            ScanningSequence="SE",
        )
    images = [read_attributes(path) for path in sorted(tmp_path.iterdir())]
    assert "4-D" in stack_slices(images).why
    with pytest.raises(InputError, match="2 series of a volume"):
        named_source(tmp_path)


class TestDamage:
    @pytest.mark.parametrize("keep", [0.3, 0.9])
    def test_a_truncated_slice(self, tmp_path, keep):
        paths = Writer(tmp_path / "s").sequence("t1", "t1", ARRAY)
        source = named_source(tmp_path / "s")
        data = paths[9].read_bytes()
        paths[9].write_bytes(data[: int(len(data) * keep)])
        with pytest.raises(InputError, match="cannot be decoded") as caught:
            source.read()
        assert caught.value.path == str(paths[9])

    def test_a_slice_of_another_size(self, tmp_path):
        paths = Writer(tmp_path / "s").sequence("t1", "t1", ARRAY)
        source = named_source(tmp_path / "s")
        other = Writer(tmp_path / "o").series("t1", ARRAY[:1, :20])
        shutil.copy(other[0], paths[5])
        with pytest.raises(InputError, match="48x20 pixels"):
            source.read()

    def test_attributes_of_no_sense(self, tmp_path):
        def spoil(data, index):
            data.add_new("EchoTime", "DS", None)
            data.add_new(0x00201041, "LO", "far")
            data.ImageType = ""

        Writer(tmp_path / "s").sequence("t1", "t1\u0007\x1b[31m", ARRAY, each=spoil)
        assert "\x1b" not in named_source(tmp_path / "s").series.description


class TestIdentity:
    def test_any_file_of_the_series_counts(self, tmp_path):
        paths = Writer(tmp_path / "s").sequence("t1", "t1", ARRAY)
        case = Case("a", {"t1": named_source(tmp_path / "s")})
        inputs = CaseInputs.of(case)
        before = dict(inputs.contents)
        assert set(inputs.files.states) == set(paths)
        for path in (paths[0], paths[17], paths[-1]):
            data = path.read_bytes()
            path.write_bytes(data[:-2] + b"\7\7")
            assert CaseInputs.of(case).contents != before
            with pytest.raises(InputError, match="changed while it was read"):
                inputs.files.refuse_changes()
            path.write_bytes(data)
        assert CaseInputs.of(case).contents == before

    def test_the_names_of_the_files_say_nothing(self, tmp_path):
        paths = Writer(tmp_path / "s").sequence("t1", "t1", ARRAY)
        shutil.copytree(tmp_path / "s", tmp_path / "t")
        for number, path in enumerate(sorted((tmp_path / "t" / "SE001").iterdir())[::-1]):
            path.rename(path.parent / f"X{number}")
        pair = [CaseInputs.of(Case("a", {"t1": named_source(tmp_path / f)})) for f in "st"]
        assert len(paths) == 31
        assert pair[0].contents == pair[1].contents


class TestNamedSeries:
    def command(self, tmp_path, folder):
        names = {f"--{m}": str(folder / f"SE{n:03d}") for n, m in enumerate(NAMES, 1)}
        options = [word for pair in names.items() for word in pair]
        return ["segment", *options, "--output", str(tmp_path / "out"), "--model", quick_model()]

    def test_folders_of_series(self, tmp_path, capsys):
        writer = Writer(tmp_path / "in")
        for array in phantom_arrays().values():  # whatever they say
            writer.series("x", array, ImageType=["DERIVED", "SECONDARY"])
        assert main(self.command(tmp_path, writer.folder)) == 0
        (folder,) = (tmp_path / "out").iterdir()
        assert folder.name.startswith("dicom-")

    def test_several_patients_are_refused(self, tmp_path, capsys):
        writer = Writer(tmp_path / "in")
        for sequence, array in phantom_arrays().items():
            writer.study = Study("B" if sequence == "flair" else "A")
            writer.series("x", array)
        assert main(self.command(tmp_path, writer.folder)) == 2
        assert "series of 2 patients (t1, t1c, t2; flair)" in capsys.readouterr().err

    def test_several_dates_are_told(self, tmp_path, capsys):
        writer = Writer(tmp_path / "in")
        for sequence, array in phantom_arrays().items():
            writer.study = Study("A", "20200101" if sequence == "flair" else "20240117")
            writer.series("x", array)
        assert main(self.command(tmp_path, writer.folder)) == 0
        assert "flair of 20200101" in capsys.readouterr().err
