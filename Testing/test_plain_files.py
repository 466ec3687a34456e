"""Files of strangers: what is no file is refused at once, what is ambiguous is not guessed."""

import ast
import json
import os
import signal
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripted_models.runtime.plain_files import open_file, read_bytes, read_text, require_file
from scripted_models.runtime.structured_text import DEEPEST, parse_json, parse_toml, read_json

PACKAGE = Path(__file__).resolve().parent.parent / "scripted_models"
posix = pytest.mark.skipif(os.name != "posix", reason="needs pipes and devices of POSIX")


@pytest.fixture(autouse=True)
def no_waiting():
    """A reader that waits for a pipe fails the test instead of stopping all tests."""
    if hasattr(signal, "SIGALRM"):
        signal.alarm(20)
    yield
    if hasattr(signal, "SIGALRM"):
        signal.alarm(0)


def make(kind, folder):
    path = folder / kind
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        server = socket.socket(socket.AF_UNIX)
        os.chdir(folder)  # the name of a socket is short
        server.bind(kind)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "terminal":
        path.symlink_to("/dev/ptmx")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(kind)
    return path


@posix
@pytest.mark.parametrize(
    "kind", ["pipe", "socket", "device", "terminal", "folder", "loop", "absent"]
)
@pytest.mark.parametrize(
    "read", [open_file, lambda path: read_bytes(path, 9), read_text, read_json, require_file]
)
def test_what_is_no_file_is_refused(kind, read, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = make(kind, tmp_path)
    with pytest.raises(OSError, match=kind):
        read(path)


def test_a_file_that_becomes_a_pipe_between_the_looks(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"x")
    opened = os.open

    def exchange(name, *arguments):
        path.unlink()
        os.mkfifo(path)
        return opened(name, *arguments)

    monkeypatch.setattr(os, "open", exchange)
    with pytest.raises(OSError, match="pipe"):
        open_file(path)


def test_no_more_bytes_than_allowed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_bytes(path, 5) == b"12345"
    with pytest.raises(OSError, match="more than"):
        read_bytes(path, 4)
    os.truncate(path, 1 << 40)  # of holes
    with pytest.raises(OSError, match="more than"):
        read_text(path, 1 << 20)


def test_a_null_character_is_no_fault(tmp_path):
    with pytest.raises(OSError, match="null"):
        open_file(f"{tmp_path}/a\0b")


def test_a_byte_order_mark_is_no_content(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_text(path) == "{}"
    assert read_json(path) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1, "a": 2}', "'a' twice"),
        ('{"b": {"a": 1, "a": 1}}', "'a' twice"),
        ("NaN", "the number NaN"),
        ("[-Infinity]", "the number -Infinity"),
        ('"\\ud800"', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ("[" * 10**6, "inside each other"),
        ("[" * (DEEPEST + 2) + "]" * (DEEPEST + 2), "inside each other"),
        ('{"a":' * 10**5 + "1" + "}" * 10**5, "inside each other"),
        ("1" * 10**6, "digits"),
        ("{", "Expecting"),
        ("", "Expecting"),
        (b"\xff\xfe{\0", "codec"),
    ],
)
def test_json_that_programs_read_differently(text, words):
    with pytest.raises(ValueError, match=words):
        parse_json(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
        lambda part: st.lists(part) | st.dictionaries(st.text(), part),
        max_leaves=20,
    )
)
def test_all_other_json_is_read(value):
    text = json.dumps(value)
    if "Infinity" not in text:
        assert parse_json(text) == value
        assert parse_json(b"\xef\xbb\xbf" + text.encode()) == value


@pytest.mark.parametrize("text", ["a = " + "[" * 10**5, "[" + "a." * 10**4 + "a]", "a = {" * 10**4])
def test_toml_of_any_depth(text):
    with pytest.raises(ValueError, match=" "):
        parse_toml(text)


# Who may open a file without asking: what the system or the program itself has written just now,
# and the readers of volumes, whose checks look at the kind of the file first (`images.integrity`).
OWN_FILES = {
    "runtime/plain_files.py",
    "runtime/structured_text.py",
    "runtime/memory.py",  # /proc
    "runtime/standard_streams.py",
    "runtime/atomic_files.py",
    "pictures/render.py",  # its own scratch file
    "training/training_case.py",  # the cache
    "training/cache.py",
    "reporting/figures/canvas.py",
    "tasks/voc/mat_files.py",
}
OPENING = {"read_text", "read_bytes", "open", "load", "loads", "fromfile", "memmap", "genfromtxt"}
HANDED_ON = ("stream", "content", "buffer", "line", "text", "io.BytesIO(content)", "self", "info")


def test_readers_take_the_one_way():
    """A reader that opens the path itself waits for a pipe for ever."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name in OWN_FILES or name.startswith("images/"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and opens(node):
                found.append(f"{name}:{node.lineno}: {ast.unparse(node)}")
    assert found == [], "open it with runtime.plain_files"


def opens(node):
    function, arguments = node.func, [ast.unparse(part) for part in node.args]
    if isinstance(function, ast.Name):
        return function.id == "open"
    if not isinstance(function, ast.Attribute) or function.attr not in OPENING:
        return False
    owner = ast.unparse(function.value)
    if {"'x'", "'xb'"} & set(arguments) or owner == "entry":  # writes, or has been opened so
        return False
    if function.attr == "load":
        return owner in ("torch", "np", "json") and not arguments[0].startswith(HANDED_ON)
    if function.attr == "open":
        is_ours = owner[:1].isupper() or owner in ("archive", "image_module")
        return not is_ours and not (arguments and arguments[0].startswith(HANDED_ON))
    return function.attr != "loads" or owner == "tomllib"
