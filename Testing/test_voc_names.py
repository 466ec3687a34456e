"""Lists of image names as editors, VOC's kit and other programs write them."""

import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_voc import make_voc

from scripted_models.errors import InputError
from scripted_models.tasks.voc.image_lists import voc_images
from scripted_models.tasks.voc.name_lists import names_of
from scripted_models.training.experiment_config import load_experiment

NAMES = ["2007_000032", "b", "ü.1"]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32"]


def write(folder, content):
    path = folder / "list.txt"
    path.write_bytes(content)
    return path


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(ENCODINGS),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    st.sampled_from(
        [
            "{0}",
            "{0} ",
            "\t{0}",
            "{0}.jpg",
            "{0}.PNG",
            "{0}   1",
            "/JPEGImages/{0}.jpg /SegmentationClass/{0}.png",
            "VOC2012\\JPEGImages\\{0}.jpg",
        ]
    ),
)
def test_any_encoding_ends_of_lines_and_way_to_name_a_file(tmp_path_factory, encoding, end, form):
    text = end.join(form.format(name) for name in NAMES) + end
    path = write(tmp_path_factory.mktemp("lists"), text.encode(encoding))
    assert names_of(path) == NAMES


def test_joined_lists_with_marks_inside(tmp_path):
    part = "a\r\n".encode("utf-8-sig")
    assert names_of(write(tmp_path, part + part.replace(b"a", b"b"))) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a  1\nb -1\n", "-1 says that a picture does not show the class"),
        (b"a  1\nb  0\n", "lists of a class"),
        (b"a 1\na 2\n", "lists of a class"),
        (b"a.jpg b.png\n", "one name without blanks"),
        (b"my picture.jpg\n", "one name without blanks"),
        (b"a\na.jpg\n", "stand there again"),
        (b"\r\n \n", "0 names"),
        (codecs.BOM_UTF8, "0 names"),
        ("a\nb\n".encode("utf-16-le"), "UTF-16 without"),
        (b"caf\xe9\n", "no readable list"),
    ],
)
def test_what_is_no_list_of_names_is_refused(content, words, tmp_path):
    with pytest.raises(InputError, match=words):
        names_of(write(tmp_path, content))


def test_a_list_with_a_mark_names_pictures(tmp_path):
    folder = make_voc(tmp_path, ["a", "b"])
    path = write(tmp_path, codecs.BOM_UTF8 + b"b\r\na\r\n")
    assert [image.name for image in voc_images(folder, str(path))] == ["b", "a"]


def test_two_pictures_of_one_name_are_refused_and_capitals_are_read(tmp_path):
    folder = make_voc(tmp_path, ["a", "b"])
    maps = folder / "SegmentationClass"
    (maps / "b.png").rename(maps / "b.PNG")
    (maps / "._a.png").write_bytes(b"of another system")
    assert [image.name for image in voc_images(folder)] == ["a", "b"]
    (folder / "JPEGImages" / "a.png").write_bytes((maps / "a.png").read_bytes())
    with pytest.raises(InputError, match=r"several files of one name \(a\.jpg, a\.png\)"):
        voc_images(folder)


def test_an_experiment_with_a_mark_is_read(tmp_path):
    path = tmp_path / "e.toml"
    path.write_bytes(codecs.BOM_UTF8 + b'name = "mine"\r\n')
    assert load_experiment(path).name == "mine"
