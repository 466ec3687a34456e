"""The models of the Slicer module: what the panel shows, and imports by real child processes."""

import os
import shutil
import subprocess
import sys
import time
import zipfile

import pytest
from foreign_models import changed, monai_bundle, write_zip
from model_fixtures import described
from slicer_fixtures import MODULE

pytest.importorskip("slicer")
from BrainTumorSegLib import model_import, model_list
from BrainTumorSegLib.protocol import parse_line

from scripted_models.bundle.model_folders import SHIPPED
from scripted_models.bundle.registry import import_model as import_here
from scripted_models.bundle.weights import write_model
from scripted_models.cli import main
from scripted_models.errors import InputError, ModelError, ResourceError, ScriptedModelsError
from scripted_models.labels import LABELS
from scripted_models.networks import build_network

DEFAULT = SHIPPED / "TwoPathCNN"


@pytest.fixture(autouse=True)
def store(tmp_path, monkeypatch):
    """The user's models folder, which is not there yet."""
    monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def stand_in(tmp_path):
    """A function: the environment in which ``python -m scripted_models`` is the given code."""

    def environment(code):
        package = tmp_path / "stand_in" / "scripted_models"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("", encoding="utf-8")
        (package / "__main__.py").write_text(code, encoding="utf-8")
        return {**os.environ, "PYTHONPATH": str(package.parent), "PYTHONSAFEPATH": "1"}

    return environment


def four_class_model(folder, **changes):
    network = build_network("TwoPathCNN", num_classes=4)
    stated = described(
        name="four",
        network={"name": "TwoPathCNN", "arguments": {"num_classes": 4}},
        postprocessing=[{"step": "inside_brain"}],
        decision={},
        labels={str(k): LABELS[k] for k in (0, 1, 2, 4)},
        training_space={"orientation": "RAS", "spacing_xyz_mm": [1, 1, 2.5], "tolerance": 0.2},
        **changes,
    )
    return write_model(folder, network, stated)


class TestList:
    @pytest.mark.parametrize(
        ("name", "cases", "dice", "time"),
        [
            (
                "default",
                "47 cases and 14 phantoms",
                "WT 0.89, TC 0.78, ET 0.76; Networks of the same recipe",
                "10 s",
            ),
            (
                "fast",
                "47 cases and 14 phantoms",
                "WT 0.89, TC 0.78, ET 0.75; Networks of the same recipe",
                "9 s",
            ),
            (
                "InputCascadeCNN",
                "47 cases and 14 phantoms",
                "WT 0.85, TC 0.71, ET 0.61; A network of the same recipe",
                "18 s",
            ),
            (
                "TwoPathCNN",
                "47 cases and 14 phantoms",
                "WT 0.83, TC 0.69, ET 0.60; A network of the same recipe",
                "9 s",
            ),
        ],
    )
    def test_the_shipped_ones_say_what_their_cards_say(self, name, cases, dice, time):
        (entry,) = (entry for entry in model_list.list_models() if entry.name == name)
        assert (entry.folder, entry.user, entry.problem) == (SHIPPED / name, False, None)
        assert entry.card == (entry.folder / "docs" / "README.md").read_text(encoding="utf-8")
        summary, stage, trained_on, expected, score, seconds = entry.lines
        assert stage.startswith("Made for: scans before an operation. A resection cavity is not")
        assert summary == entry.description.summary
        assert trained_on.startswith(f"Trained on: {cases}: BraTS 2013-2021 challenge data")
        assert expected.startswith("Expects: T1, T1c, T2 and FLAIR of one patient")
        assert "skull-stripped" in expected
        assert "LPS orientation" in expected
        assert score.startswith(f"Dice: {dice}")
        assert seconds == f"Time: {time} per case (two CPU cores, 240 x 240 x 155 voxels)"

    def test_what_another_model_states_is_told(self, tmp_path):
        validated = {"train": [], "phantoms": 3, "validation_dice": {"WT": 0.5, "TC": 0.25}}
        seconds = {"CPU, 2 cores": 61.4, "GPU": 3}
        import_here(
            four_class_model(
                tmp_path / "m",
                **{"training": validated, "scores": {}, "seconds_per_case": seconds},
                made_for=None,
            )
        )
        entry = model_list.list_models()[-1]
        stage, trained_on, expected, score, seconds = entry.lines[-5:]
        assert stage.endswith("which is not stated. It does not tell the resection cavity.")
        assert trained_on == "Trained on: 3 phantoms"
        assert "RAS orientation at 1 x 1 x 2.5 mm" in expected
        told = "WT 0.50, TC 0.25; validation cases of the training, no held-out ones"
        assert score == f"Dice: {told}"
        assert seconds == "Time: 61 s per case (CPU, 2 cores), 3 s per case (GPU)"
        assert "CPU, 2 cores: 61 s per case." in entry.card

    def test_a_broken_one_is_there_with_its_problem_and_can_be_removed(self, store):
        shutil.copytree(DEFAULT, store / "torn")
        (store / "torn" / "models" / "model.pt").write_bytes(b"")
        entry = model_list.list_models()[-1]
        assert (entry.name, entry.user, entry.lines) == ("torn", True, ())
        assert "checksum" in entry.problem.sentence
        model_list.remove_model(entry)
        assert os.listdir(store) == []

    def test_a_shipped_one_is_not_removed_nor_a_folder_of_its_name(self, store):
        shutil.copytree(DEFAULT, store / "default")
        shipped, *_, hidden = model_list.list_models()
        with pytest.raises(ModelError, match="comes with the program"):
            model_list.remove_model(shipped)
        assert os.listdir(store) == ["default"]
        model_list.remove_model(hidden)
        assert os.listdir(store) == []

    def test_neither_torch_nor_qt_comes_into_the_process(self):
        code = (
            "import sys; from BrainTumorSegLib import model_list; model_list.list_models(); "
            "print([m for m in ('torch', 'monai', 'qt') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=MODULE, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


class TestImport:
    def test_a_child_imports_a_zip_while_the_caller_goes_on(self, store, tmp_path):
        four_class_model(tmp_path / "m")
        packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "m")
        waits = []
        entry = model_import.import_model(packed, on_wait=lambda: waits.append(time.monotonic()))
        assert entry == model_list.list_models()[-1]
        assert (entry.name, entry.folder, entry.user) == ("four", store / "four", True)
        assert len(waits) > 3

    def test_a_model_of_monai_and_the_question_of_another(self, store, tmp_path):
        files = monai_bundle()
        entry = model_import.import_model(write_zip(files, tmp_path / "zoo.zip"), "zoo")
        assert (entry.name, entry.problem) == ("zoo", None)
        name = "configs/metadata.json"
        files[name] = changed(files[name], "network_data_format", {})
        with pytest.raises(InputError, match="--channels"):
            model_import.import_model(write_zip(files, tmp_path / "other.zip"), "other")
        assert os.listdir(store) == ["zoo"]

    def test_the_sentence_of_the_child_is_raised(self, store, tmp_path):
        with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
            archive.writestr("../evil.md", "x")
        with pytest.raises(ModelError, match=r"bad\.zip: found the path '\.\./evil\.md'"):
            model_import.import_model(tmp_path / "bad.zip")
        with pytest.raises(InputError, match="no shipped model"):
            model_import.import_model(DEFAULT, "default")
        assert os.listdir(store) == []

    def test_the_command_tells_an_error_as_an_event_too(self, tmp_path, capsys):
        assert main(["models", "--import", str(tmp_path / "none.zip"), "--json"]) == 3
        out, err = capsys.readouterr()
        event = parse_line(out)
        assert (event.kind, event.code) == ("error", "model")
        assert "none.zip" in event.text
        assert event.text in err

    def test_an_import_that_the_caller_gives_up_can_tidy(self, stand_in, tmp_path):
        mark = tmp_path / "begun"
        environment = stand_in(
            "import pathlib, signal, sys, time\n"
            f"mark = pathlib.Path({str(mark)!r})\n"
            "signal.signal(signal.SIGTERM, lambda *_: (mark.write_text('tidied'), sys.exit(130)))\n"
            "mark.write_text('')\n"
            "time.sleep(600)\n"
        )

        def closed():
            if mark.exists():
                raise EOFError("the window was closed")

        with pytest.raises(EOFError, match="window"):
            model_import.import_model(tmp_path, environment=environment, on_wait=closed)
        assert mark.read_text() == "tidied" or os.name == "nt"

    def test_an_import_that_hangs_is_ended(self, stand_in, tmp_path):
        environment = stand_in("import time; time.sleep(600)")
        with pytest.raises(ResourceError, match=r"longer than 0\.2 s"):
            model_import.import_model(tmp_path, environment=environment, timeout_s=0.2)

    def test_a_child_that_crashes_or_cannot_start_is_told(self, stand_in, tmp_path):
        environment = stand_in("raise ValueError('no luck')")
        with pytest.raises(
            ScriptedModelsError, match=r"exit code 1, whose last words .* ValueError: no"
        ):
            model_import.import_model(tmp_path, environment=environment)
        with pytest.raises(ResourceError, match="cannot be started"):
            model_import.import_model(tmp_path, python=str(tmp_path / "none"))
