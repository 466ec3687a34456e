"""Headers of MetaImage and NRRD: each field is taken as ITK takes it, or refused, or said."""

import numpy as np
import pytest
import SimpleITK as sitk
from volume_fixtures import RAMP, axis_directions, meta_image, nrrd, refusal, rotation

from scripted_models.geometry import Grid
from scripted_models.images.headers import header_doubts
from scripted_models.images.volume_files import read_channel, read_volume

DATA = RAMP.tobytes()
TURN = "0 1 0 0 0 1 1 0 0"


def same_as_itk(path):
    ours, theirs = read_volume(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
    assert Grid.of(ours).difference(Grid.of(theirs), 1e-3) == ""
    return " ".join(doubt.sentence for doubt in header_doubts(path))


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        ({"TransformMatrix": TURN, "Offset": "1 2 3", "ElementSpacing": "1 2 3"}, ""),
        ({"TransformMatrix": "0.707 0.707 0 -0.707 0.707 0 0 0 1", "ElementSpacing": "1 2 3"}, ""),
        ({"TransformMatrix": None, "Orientation": TURN}, ""),
        ({"TransformMatrix": None, "Rotation": TURN}, ""),
        ({"Offset": None, "Position": "1 2 3"}, ""),
        ({"Offset": None, "Origin": "1 2 3"}, ""),
        ({"Position": "0.0 0 0"}, ""),
        ({"ElementSpacing": None, "ElementSize": "1 2 3"}, ""),
        ({"ElementSize": "1 1 1"}, ""),
        ({"ElementSize": "2 2 2"}, "ElementSpacing is used"),
        ({"ElementSpacing": None}, "1 mm is taken"),
        ({"TransformMatrix": None}, "without TransformMatrix"),
        ({"BinaryDataByteOrderMSB": None}, ""),
        ({"BinaryDataByteOrderMSB": None, "ElementByteOrderMSB": "False"}, ""),
        ({"AnatomicalOrientation": "RAI"}, ""),
        ({"AnatomicalOrientation": "???"}, ""),
        ({"AnatomicalOrientation": "LPI"}, "AnatomicalOrientation LPI is not"[:24]),
        ({"ElementNumberOfChannels": "1"}, ""),
        ({"CenterOfRotation": "9 9 9"}, ""),
        ({"HeaderSize": "0"}, ""),
    ],
)
def test_meta_images(tmp_path, fields, doubt):
    said = same_as_itk(meta_image(tmp_path / "a.mha", DATA, **fields))
    assert doubt in said
    assert bool(said) == bool(doubt)


def test_byte_order_of_meta_images(tmp_path):
    big = RAMP.astype(">f4").tobytes()
    for key in ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"):
        fields = {"BinaryDataByteOrderMSB": None, key: "True"}
        same_as_itk(meta_image(tmp_path / "a.mha", big, **fields))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"Orientation": TURN}, "different values of TransformMatrix and Orientation"),
        ({"Position": "1 2 3"}, "different values of Offset and Position"),
        ({"ElementByteOrderMSB": "True"}, "different values of BinaryDataByteOrderMSB"),
        ({"elementspacing": "2 2 2"}, "the key 'elementspacing'"),
        ({"DistanceUnits": "cm"}, "a MetaImage in cm"),
        ({"ElementToIntensityFunctionSlope": "2"}, "scaled by 2 and 0"),
        ({"ElementNumberOfChannels": "3"}, "vector of 32-bit float pixels"),
        ({"BinaryData": "False"}, "written as text"),
        ({"ElementType": "MET_STRING"}, "MET_STRING voxels"),
        ({"CompressedData": "perhaps"}, "CompressedData = perhaps"),
        ({"TransformMatrix": "1 0 0 0 1 0 0 0 0"}, "axes of length 1 x 1 x 0"),
        ({"TransformMatrix": "9 0 0 0 1 0 0 0 1"}, "axes of length 9 x 1 x 1"),
        ({"TransformMatrix": "nan 0 0 0 1 0 0 0 1"}, "NaN"),
    ],
)
def test_meta_images_that_contradict_themselves(tmp_path, fields, word):
    assert word in refusal(meta_image(tmp_path / "a.mha", DATA, **fields))


def test_itk_writes_no_anatomical_orientation_that_is_doubted(tmp_path):
    rng = np.random.default_rng(0)
    for axes in (*axis_directions(), *(rotation(rng) for _ in range(40))):
        image = sitk.GetImageFromArray(RAMP)
        image.SetDirection(axes.ravel().tolist())
        sitk.WriteImage(image, str(tmp_path / "a.mha"))
        assert same_as_itk(tmp_path / "a.mha") == ""


AXES = {"space_directions": "(0,1,0) (0,0,2) (3,0,0)", "space_origin": "(1,2,3)"}
LONE = {"space": None, "space_directions": None, "space_origin": None}


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        ({"space": "left-posterior-superior", **AXES}, ""),
        ({"space": "LPS", **AXES}, ""),
        ({"space": "right-anterior-superior", **AXES}, ""),
        ({"space": "RAS", **AXES}, ""),
        ({"space": "LAS", **AXES}, ""),
        ({"space": "scanner-xyz", **AXES}, "of space 'scanner-xyz'"),
        ({"space": "3D-left-handed", **AXES}, "of space '3d-left-handed'"),
        ({"space": None, "space_dimension": "3", **AXES}, "without space,"),
        ({**LONE, "spacings": "1 2 3"}, "without space directions"),
        (LONE, "1 mm is taken"),
        ({"centerings": "node node node"}, ""),
        ({"kinds": "domain domain domain"}, ""),
        ({"kinds": "space space space", "measurement_frame": "(1,0,0) (0,1,0) (0,0,1)"}, ""),
        ({"space_units": '"mm" "mm" "mm"'}, ""),
        ({"thicknesses": "5 5 5"}, ""),
        ({"content": "head"}, ""),
        ({"endian": "big"}, ""),
    ],
)
def test_nrrd(tmp_path, fields, doubt):
    if "thicknesses" in fields or "measurement_frame" in fields:
        fields = {**fields, "space_directions": "(1,0,0) (0,1,0) (0,0,1)"}
    data = RAMP.astype(">f4").tobytes() if fields.get("endian") == "big" else DATA
    said = same_as_itk(nrrd(tmp_path / "a.nrrd", data, **fields))
    assert doubt in said
    assert bool(said) == bool(doubt)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"spacings": "1 1 1"}, "spacings beside space directions"),
        ({**LONE, "spacings": "1 1 1", "axis_mins": "5 6 7"}, "placed by axis mins"),
        ({"space": "left-posterior-superior-time"}, "of space 'left-posterior-superior-time'"),
        ({"space_units": '"m" "m" "m"'}, "an NRRD in 'm'"),
        ({**LONE, "spacings": "1 1 1", "units": '"cm" "cm" "cm"'}, "an NRRD in 'cm'"),
        ({"space_directions": "(1,0,0) (0,1,0)"}, "a vector for each axis"),
        ({"space_directions": "(1,0) (0,1) (1,1)"}, "a vector for each axis"),
        ({"space_directions": "(1,0,0) (0,1,0) (0,0,x)"}, "NaN"),
        ({"space_origin": None}, "origin"),
        ({"space_directions": "(1,0,0) (0.3,1,0) (0,0,1)"}, "sheared"),
        ({"dimension": "2"}, "of dimension 2"),
        ({"sizes": "4 3 0"}, "sizes 4 3 0"),
        ({"spcae": "RAS"}, "the line 'spcae: RAS'"),
        ({"endian": None}, "endian ''"),
        ({"encoding": "zip"}, "encoding 'zip'"),
        ({"type": "block"}, "type 'block'"),
        ({"line_skip": "1"}, "line skip 1"),
        ({"kinds": "list domain domain", "dimension": "3", **LONE}, "vector of 32-bit float"),
    ],
)
def test_nrrd_that_contradicts_itself(tmp_path, fields, word):
    assert word in refusal(nrrd(tmp_path / "a.nrrd", DATA, **fields))


def test_numbers_as_text(tmp_path):
    text = " ".join(f"{v:g}" for v in RAMP.ravel()).encode()
    same_as_itk(nrrd(tmp_path / "a.nrrd", text, encoding="ascii", endian=None))
    for spoilt in (text + b" 7", text[:-3], text[:-2] + b"x"):
        refusal(nrrd(tmp_path / "a.nrrd", spoilt, encoding="ascii"))
    over = text.replace(b"23", b"300")
    assert "no numbers of their type" in refusal(
        nrrd(tmp_path / "a.nrrd", over, encoding="ascii", type="uchar")
    )


def test_entries_of_an_nrrd_header_stay_with_the_image(tmp_path):
    path = nrrd(tmp_path / "a.nrrd", DATA)
    content = path.read_bytes().replace(b"type: float\n", b"type: float\nSegment0_Name:=core\n")
    path.write_bytes(content)
    assert read_volume(path).GetMetaData("Segment0_Name") == "core"


@pytest.mark.parametrize("position", [0, 3])
def test_layers_are_a_vector_wherever_their_axis_is(tmp_path, position):
    sizes, kinds = ["4", "3", "1"], ["domain"] * 3
    vectors = ["(1,0,0)", "(0,1,0)", "(0,0,1)"]
    for parts, part in ((sizes, "2"), (kinds, "list"), (vectors, "none")):
        parts.insert(position, part)
    fields = {"dimension": "4", "sizes": " ".join(sizes), "kinds": " ".join(kinds)}
    path = nrrd(tmp_path / "a.nrrd", DATA, space_directions=" ".join(vectors), **fields)
    assert "vector of 32-bit float pixels" in refusal(path)


def test_a_series_of_volumes_is_called_so(tmp_path):
    fields = {"dimension": "4", "sizes": "4 3 1 2", "kinds": "domain domain domain time"}
    fields["space_directions"] = "(1,0,0) (0,1,0) (0,0,1) none"
    path = nrrd(tmp_path / "a.nrrd", DATA, **fields)
    assert "a 4-D image of 2 volumes" in refusal(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_channel(path, 1))[0], RAMP[1])
