"""Foreign model folders and zip files: only plain model files get in, whatever the source says."""

import contextlib
import io
import os
import shutil
import stat
import struct
import zipfile

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from scripted_models.bundle import archive
from scripted_models.bundle.archive import copy_model
from scripted_models.bundle.model_folders import SHIPPED
from scripted_models.cli import main
from scripted_models.errors import ModelError

DEFAULT = SHIPPED / "TwoPathCNN"
FILES = {p.relative_to(DEFAULT).as_posix(): p for p in DEFAULT.rglob("*") if p.is_file()}
CONTENT = {name: path.read_bytes() for name, path in FILES.items()}
SEVERAL = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def zipped(files, compression=zipfile.ZIP_STORED, infos=()):
    """Return the bytes of a zip file of names and contents, plus pairs of ZipInfo and content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        for info, content in infos:
            archive.writestr(info, content)
    return buffer.getvalue()


def with_info(name, mode=0, content=b"/etc"):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return zipped(CONTENT, infos=[(info, content)])


def without_top(name):
    return zipped({k: v for k, v in CONTENT.items() if k != name})


def patched(content, offset_local, offset_central, value):
    """Return a zip file whose last entry states another number in both of its headers."""
    changed = bytearray(content)
    for signature, offset in ((b"PK\3\4", offset_local), (b"PK\1\2", offset_central)):
        struct.pack_into("<" + value[0], changed, changed.rindex(signature) + offset, value[1])
    return bytes(changed)


BOMB = zipped({**CONTENT, "docs/bomb.md": b"\0" * (5 << 20)}, zipfile.ZIP_DEFLATED)
SMALL = zipped({**CONTENT, "docs/last.md": b"last"})
BAD_ZIPS = {
    "absolute path": (zipped({**CONTENT, "/docs/x.md": b""}), "leads elsewhere"),
    "Windows path": (zipped({**CONTENT, "C:\\docs\\x.md": b""}), "leads elsewhere"),
    "path upwards": (zipped({**CONTENT, "../docs/x.md": b""}), "leads elsewhere"),
    "path upwards with backslashes": (zipped({**CONTENT, "..\\x.md": b""}), "leads elsewhere"),
    "path upwards in the wrapping folder": (
        zipped({f"../{name}": content for name, content in CONTENT.items()}),
        "leads elsewhere",
    ),
    "folder upwards": (zipped({**CONTENT, "docs/../../x/": b""}), "leads elsewhere"),
    "symbolic link": (with_info("docs/link.md", stat.S_IFLNK | 0o777), "link or special"),
    "pipe": (with_info("docs/pipe.md", stat.S_IFIFO | 0o644), "link or special"),
    "device": (with_info("docs/device.md", stat.S_IFBLK | 0o644), "link or special"),
    "same name in capitals": (zipped({**CONTENT, "docs/readme.md": b""}), "twice"),
    "same name": (with_info("docs/README.md", 0), "twice"),
    "program": (zipped({**CONTENT, "configs/run.py": b"raise SystemExit"}), "configs/run.py"),
    "second top folder": (zipped({**CONTENT, "other/docs/x.md": b""}), "other/docs/x.md"),
    "folder too deep": (zipped({f"a/b/{k}": v for k, v in CONTENT.items()}), "a/b/"),
    "control characters": (zipped({**CONTENT, "docs/\x1b[2J.md": b""}), "x1b"),
    "too many files": (
        zipped({**CONTENT, **{f"docs/{i}.md": b"" for i in range(100)}}),
        "more than 100 files",
    ),
    "bomb": (BOMB, "more than 4 MiB in docs/bomb.md"),
    "bomb of understated size": (patched(BOMB, 22, 24, ("I", 10)), "damaged"),
    "understated size": (patched(SMALL, 22, 24, ("I", 2)), "damaged"),
    "file before the zip": (b"MZ" + SMALL, "damaged"),
    "encrypted": (patched(SMALL, 6, 8, ("H", 1)), "encrypted"),
    "other compression": (zipped(CONTENT, zipfile.ZIP_LZMA), "unusual compression"),
    "unknown compression": (patched(SMALL, 8, 10, ("H", 77)), "unusual compression"),
    "truncated": (SMALL[:-1000], "damaged"),
    "first half": (SMALL[: len(SMALL) // 2], "damaged"),
    "no zip": (b"not a zip file", "damaged"),
    "empty file": (b"", "damaged"),
    "empty zip": (zipped({}), "no file"),
    "no weights": (without_top("models/model.pt"), "model.pt"),
    "no description": (without_top("configs/model.json"), "model.json"),
    "no checksums": (without_top("models/SHA256SUMS"), "SHA256SUMS"),
    "weights alone": (zipped({"model.pt": b""}), "model.pt"),
}


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder in which `models` of the user will lie; deep, so that ways upwards stay inside."""
    folder = tmp_path / "deep" / "home"
    folder.mkdir(parents=True)
    monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(folder))
    monkeypatch.chdir(folder)
    return folder


def refused(source, capsys):
    """Import through the command line and return the one sentence of the refusal."""
    assert main(["models", "--import", str(source), "--name", "mine"]) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "\x1b" not in said.err
    return said.err


class TestZip:
    @pytest.mark.parametrize("kind", BAD_ZIPS)
    def test_an_unsafe_or_broken_zip_is_refused_and_leaves_nothing(
        self, home, tmp_path, capsys, kind
    ):
        content, words = BAD_ZIPS[kind]
        (tmp_path / "model.zip").write_bytes(content)
        (home / "models").mkdir()
        before = tree(tmp_path)
        assert words in refused(tmp_path / "model.zip", capsys)
        assert tree(tmp_path) == before

    def test_too_large_weights_are_refused_while_reading(self, home, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr(archive, "MAX_WEIGHTS_BYTES", 1 << 20)
        (tmp_path / "m.zip").write_bytes(zipped(CONTENT, zipfile.ZIP_DEFLATED))
        assert "more than 1 MiB in models/model.pt" in refused(tmp_path / "m.zip", capsys)
        monkeypatch.setattr(archive, "MAX_OTHER_BYTES", 0)
        assert "more than 1 MiB" in refused(tmp_path / "m.zip", capsys)  # without opening it
        assert tree(home / "models") == []

    @pytest.mark.parametrize("top", ["", "model/", "a folder/", "..model/"])
    @pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    def test_a_sound_zip_gives_the_same_files(self, tmp_path, top, compression):
        files = {top + name: content for name, content in CONTENT.items()}
        folders = {top + "configs/": b"", "__MACOSX/" + top + "._x": b"", top + ".DS_Store": b""}
        (tmp_path / "m.zip").write_bytes(zipped({**folders, **files}, compression))
        (tmp_path / "target").mkdir()
        copy_model(tmp_path / "m.zip", tmp_path / "target")
        found = {
            p.relative_to(tmp_path / "target").as_posix(): p.read_bytes()
            for p in (tmp_path / "target").rglob("*")
            if p.is_file()
        }
        assert found == CONTENT

    def test_names_with_backslashes_are_those_of_windows(self, tmp_path):
        files = {"top\\" + name.replace("/", "\\"): content for name, content in CONTENT.items()}
        (tmp_path / "m.zip").write_bytes(zipped(files))
        (tmp_path / "target").mkdir()
        copy_model(tmp_path / "m.zip", tmp_path / "target")
        assert (tmp_path / "target" / "models" / "model.pt").is_file()

    @SEVERAL
    @given(
        names=st.lists(
            st.text("./\\:aLC é-", min_size=1, max_size=8)
            | st.from_regex(r"(\.\./|/|docs/|models/)?[a-c]{0,2}(\.md|/)", fullmatch=True),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    @example(names=["docs/a.md"])
    def test_whatever_the_names_only_model_files_appear(self, tmp_path_factory, names):
        folder = tmp_path_factory.mktemp("names")
        (folder / "m.zip").write_bytes(zipped(dict.fromkeys(names, b"x")))
        (folder / "in" / "target").mkdir(parents=True)
        try:
            copy_model(folder / "m.zip", folder / "in" / "target")
        except ModelError:
            assert names != ["docs/a.md"]
        files = [p for p in folder.rglob("*") if p.is_file() and p.name != "m.zip"]
        for path in files:
            inside = path.relative_to(folder / "in" / "target").as_posix()
            assert archive._FILES.fullmatch(inside)

    @SEVERAL
    @given(place=st.floats(0, 1), value=st.integers(0, 255), cut=st.booleans())
    def test_a_changed_or_missing_byte_gives_the_files_or_a_refusal(
        self, tmp_path_factory, place, value, cut
    ):
        files = {name: content for name, content in CONTENT.items() if name != "models/model.pt"}
        content = bytearray(zipped(files, zipfile.ZIP_DEFLATED))
        position = int(place * (len(content) - 1))
        content[position] = value
        folder = tmp_path_factory.mktemp("bytes")
        (folder / "m.zip").write_bytes(content[:position] if cut else content)
        (folder / "target").mkdir()
        with contextlib.suppress(ModelError):  # any other error is a failure
            copy_model(folder / "m.zip", folder / "target")
            assert {p.read_bytes() for p in folder.rglob("target/*/*")} <= set(files.values())


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path):
        return shutil.copytree(DEFAULT, tmp_path / "model")

    @pytest.mark.parametrize("target", ["file", "folder", "nothing"])
    def test_a_link_is_not_followed(self, home, folder, tmp_path, capsys, target):
        (tmp_path / "file").write_text("secret")
        (tmp_path / "folder").mkdir()
        (folder / "docs" / "link.md").symlink_to(tmp_path / target)
        assert "link or special file 'docs/link.md'" in refused(folder, capsys)
        assert tree(home / "models") == []

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders on this system")
    def test_a_pipe_is_not_waited_for(self, home, folder, capsys):
        os.mkfifo(folder / "docs" / "pipe.md")
        assert "link or special" in refused(folder, capsys)

    def test_a_folder_of_other_things_is_refused_soon(self, home, tmp_path, capsys):
        for number in range(101):
            (tmp_path / "many" / str(number)).mkdir(parents=True)
        assert "more than 100" in refused(tmp_path / "many", capsys)

    def test_a_program_beside_the_model_is_refused(self, home, folder, capsys):
        (folder / "setup.py").write_text("raise SystemExit")
        assert "setup.py" in refused(folder, capsys)

    def test_nothing_at_the_path_is_said(self, home, tmp_path, capsys):
        assert "No such file or directory" in refused(tmp_path / "none", capsys)

    def test_the_run_folder_around_a_model_will_do(self, folder, tmp_path):
        (tmp_path / "run").mkdir()
        folder.rename(tmp_path / "run" / "model")
        (tmp_path / "target").mkdir()
        copy_model(tmp_path / "run", tmp_path / "target")
        assert tree(tmp_path / "target") == tree(DEFAULT)
