"""The user's models: listed with the shipped ones, imported whole or not at all, removed."""

import json
import os
import shutil
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
from model_fixtures import described

from scripted_models.bundle import weights
from scripted_models.bundle.model_folders import SHIPPED, find_model, user_models_folder
from scripted_models.bundle.registry import import_model, list_models, remove_model
from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.errors import InputError, ModelError, ResourceError

DEFAULT = SHIPPED / "TwoPathCNN"
NAMES = ["default", "fast", "InputCascadeCNN", "TwoPathCNN"]
NO_NAMES = "default DEFAULT . .. ../up a/b a\\b /abs .hidden con NUL.x end. naïve -x"


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """The user's models folder, which is not there yet."""
    monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def folder(tmp_path):
    """A sound model folder that calls itself 'default'."""
    return shutil.copytree(DEFAULT, tmp_path / "made")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def printed(capsys, *arguments):
    assert main(["models", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


class TestPlace:
    @pytest.mark.parametrize(
        ("platform", "variables", "expected"),
        [
            ("linux", {"XDG_DATA_HOME": "/data"}, "/data/BrainTumorSeg/models"),
            ("linux", {"XDG_DATA_HOME": "data"}, "~/.local/share/BrainTumorSeg/models"),
            ("linux", {}, "~/.local/share/BrainTumorSeg/models"),
            ("darwin", {}, "~/Library/Application Support/BrainTumorSeg/models"),
            ("win32", {"LOCALAPPDATA": "/local"}, "/local/BrainTumorSeg/models"),
            ("win32", {}, "~/AppData/Local/BrainTumorSeg/models"),
            ("linux", {"SCRIPTED_MODELS_HOME": "/own"}, "/own/models"),
        ],
    )
    def test_it_follows_the_platform(self, monkeypatch, platform, variables, expected):
        for name in ("SCRIPTED_MODELS_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "platform", platform)
        assert user_models_folder() == Path(expected).expanduser()

    def test_a_user_without_home_is_told_what_to_set(self, monkeypatch):
        def no_home():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.delenv("SCRIPTED_MODELS_HOME")
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
        monkeypatch.setattr(Path, "home", no_home)
        with pytest.raises(ResourceError, match="SCRIPTED_MODELS_HOME"):
            user_models_folder()

    def test_a_home_that_cannot_be_written_is_named(self, folder, store):
        store.parent.write_text("a file in the way")
        with pytest.raises(ResourceError, match="SCRIPTED_MODELS_HOME"):
            import_model(folder, "mine")


class TestImport:
    @pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
    def test_the_copy_is_equal_and_the_source_unchanged(self, folder, store, tmp_path, packed):
        before = contents(folder)
        source = folder
        if packed:
            source = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "made"))
        model = import_model(source, "mine")
        assert (model.name, model.folder, model.user, model.problem) == (
            *("mine", store / "mine", True),
            None,
        )
        assert contents(store / "mine") == contents(folder) == before
        assert os.listdir(store) == ["mine"]

    def test_its_name_can_be_given_to_model(self, folder, monkeypatch, tmp_path):
        import_model(folder, "mine")
        (tmp_path / "mine").mkdir()
        monkeypatch.chdir(tmp_path)
        assert load_model("mine").folder == find_model("mine") == user_models_folder() / "mine"
        assert load_model("mine").name == "mine"
        with pytest.raises(ModelError, match=r"\['default', .*'mine'\]"):
            find_model("other")

    def test_without_a_name_it_keeps_its_own(self, tmp_path, small_network, store):
        stated = described(name="Run 2", network={"name": "TwoPathCNN", "arguments": {}})
        model = import_model(weights.write_model(tmp_path / "run", small_network, stated))
        assert model.folder == store / "Run 2"

    @pytest.mark.parametrize(
        "name",
        [
            *NO_NAMES.split(),
            *(None, "", "x" * 65, "end ", "a\nb"),
        ],
    )
    def test_a_name_that_is_taken_or_no_name_is_refused(self, folder, store, name):
        with pytest.raises(InputError, match="--name"):
            import_model(folder, name)
        assert not store.exists() or os.listdir(store) == []

    def test_a_model_is_never_replaced(self, folder, store, capsys):
        import_model(folder, "mine")
        before = contents(store)
        assert main(["models", "--import", str(folder), "--name", "Mine"]) == 2
        assert "already" in capsys.readouterr().err
        assert contents(store) == before

    def test_weights_that_do_not_load_are_refused_with_the_path_that_was_given(
        self, tmp_path, small_network, store, capsys
    ):
        stated = described(name="nan", network={"name": "TwoPathCNN", "arguments": {}})
        tensors = small_network.state_dict()
        broken = {**tensors, "output.bias": tensors["output.bias"] * float("nan")}
        network = type(small_network)()
        network.load_state_dict(broken)
        source = weights.write_model(tmp_path / "nan", network, stated)
        assert main(["models", "--import", str(source)]) == 3
        text = capsys.readouterr().err
        assert text.startswith(
            f"Error: {source}: found NaN or infinity in the weights ['output.bias']"
        )
        assert os.listdir(store) == []

    def test_a_changed_byte_is_refused(self, folder, store, capsys):
        path = folder / "models" / "model.pt"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        assert main(["models", "--import", str(folder), "--name", "mine"]) == 3
        assert "checksum" in capsys.readouterr().err
        assert os.listdir(store) == []

    def test_an_interrupted_import_leaves_nothing(self, folder, store, monkeypatch):
        def interrupted(name):
            raise KeyboardInterrupt

        monkeypatch.setattr(weights, "load_model", interrupted)
        assert main(["models", "--import", str(folder), "--name", "mine"]) == 130
        assert os.listdir(store) == []

    def test_what_a_killed_import_left_is_not_listed_and_goes_after_a_day(self, folder, store):
        for name, age_s in (("old", 2 * 86400), ("new", 60)):
            left = shutil.copytree(folder, store / f".unfinished-{name}")
            os.utime(left, (time.time() - age_s,) * 2)
        assert [model.name for model in list_models()] == NAMES
        import_model(folder, "mine")
        assert sorted(os.listdir(store)) == [".unfinished-new", "mine"]


class TestList:
    def test_shipped_ones_come_first_then_named_folders_then_the_users(self, folder, capsys):
        import_model(folder, "another")
        rows = printed(capsys, folder)
        assert [(row["name"], row["user"]) for row in rows] == [
            *((name, False) for name in (*NAMES, "TwoPathCNN")),
            ("another", True),
        ]
        assert [row["path"] for row in rows[: len(NAMES) + 1]] == [
            *(str(SHIPPED / n) for n in NAMES),
            str(folder),
        ]
        assert all(row["card"].startswith("# ") and not row["problem"] for row in rows)

    def test_a_broken_one_is_listed_with_its_problem(self, folder, store, capsys):
        import_model(folder, "sound")
        import_model(folder, "torn")
        (store / "torn" / "models" / "model.pt").write_bytes(b"")
        shutil.copytree(folder, store / "Default")
        (store / "empty").mkdir()
        (store / "notes.txt").write_text("no model")
        problems = {row["name"]: row["problem"] for row in printed(capsys) if row["user"]}
        assert list(problems) == ["Default", "empty", "sound", "torn"]
        assert problems["sound"] == ""
        for name, word in (("torn", "checksum"), ("empty", "SHA256SUMS"), ("Default", "shipped")):
            assert word in problems[name]
        assert main(["models"]) == 0
        assert "Not usable: " in capsys.readouterr().out

    def test_a_broken_folder_that_was_named_is_an_error(self, folder, capsys):
        (folder / "models" / "model.pt").write_bytes(b"")
        assert main(["models", str(folder)]) == 3
        assert "checksum" in capsys.readouterr().err

    def test_a_model_without_a_card_is_usable(self, folder, capsys):
        (folder / "docs" / "README.md").unlink()
        (row,) = [row for row in printed(capsys, folder) if row["path"] == str(folder)]
        assert row["card"] == ""


class TestRemove:
    def test_it_is_gone_and_the_others_stay(self, folder, store, capsys):
        import_model(folder, "a")
        import_model(folder, "b")
        assert printed(capsys, "--remove", "a") == {"removed": "a", "path": str(store / "a")}
        assert os.listdir(store) == ["b"]

    @pytest.mark.parametrize("name", ["default", "..", "../home/models/a", "", ".", "A/", "none"])
    def test_shipped_ones_and_other_folders_stay(self, folder, store, capsys, name):
        import_model(folder, "a")
        assert main(["models", "--remove", name]) == 3
        assert "expected one of ['a']" in capsys.readouterr().err
        with pytest.raises(ModelError):
            remove_model(str(store / "a"))
        assert (DEFAULT / "configs" / "model.json").is_file()
        assert os.listdir(store) == ["a"]

    def test_of_a_link_only_the_link_goes(self, folder, store):
        store.mkdir(parents=True)
        (store / "linked").symlink_to(folder)
        before = contents(folder)
        remove_model("linked")
        assert os.listdir(store) == []
        assert contents(folder) == before

    def test_a_broken_one_can_be_removed(self, store):
        (store / "empty").mkdir(parents=True)
        remove_model("empty")
        assert os.listdir(store) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["--name", "x"],
        ["f", "--import", "p"],
        ["f", "--remove", "n"],
        ["--remove", "n", "--name", "x"],
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, capsys):
    assert main(["models", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_imported_model_is_the_same_network(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents(folder).items():
            archive.writestr(name, content)
    import_model(tmp_path / "m.zip", "mine")
    shipped, mine = load_model("TwoPathCNN"), load_model("mine")
    assert shipped.checksum == mine.checksum
    weights = mine.network.state_dict()
    assert all(torch.equal(v, weights[k]) for k, v in shipped.network.state_dict().items())
