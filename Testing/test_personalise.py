"""A model trained further on a user's cases: what trains, what is kept, and what is left behind."""

import os
import shutil
import signal
import time

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from personal_fixtures import (
    GRID,
    QUICK,
    START,
    events_of,
    personalise,
    store_cases,
    volumes_of,
    write_start,
)
from warm_processes import WarmProcess

from scripted_models.bundle.registry import list_models
from scripted_models.bundle.weights import load_model, stored_type
from scripted_models.cases.case_writer import store_case
from scripted_models.cli import main
from scripted_models.runtime.atomic_files import only_writer


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return write_start(tmp_path_factory.mktemp("models") / START)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    store_cases(folder, range(5))
    return folder


@pytest.fixture(scope="module")
def personal(tmp_path_factory, cases, start):
    """A model of the user's and what the run told, as JSON events."""
    folder = tmp_path_factory.mktemp("personal")
    child = WarmProcess(_command(cases, start, folder / "mine"), folder)
    assert child.wait() == 0, child.stderr + child.stdout
    return folder / "mine", events_of(child.stdout)


def _command(cases, start, output, *options):
    return [
        *("personalise", cases, "--model", start, "--output", output, "--device", "cpu"),
        *("--epochs", 2, "--threads", 1, "--progress", "json", "--set", *QUICK, *options),
    ]


def weights(folder):
    return load_model(str(folder)).network.state_dict()


def same(first, second):
    a, b = weights(first), weights(second)
    return all(torch.equal(a[key], b[key]) for key in a)


def result_of(events):
    (found,) = [event for event in events if event["event"] == "result"]
    return found


class TestBetter:
    def test_it_is_better_on_cases_that_did_not_train_it(self, personal):
        folder, events = personal
        result = result_of(events)
        assert result["better"] is True
        assert result["model"] == str(folder)
        assert len(result["held_out"]) == 1
        assert len(result["train"]) == 4
        assert not set(result["held_out"]) & set(result["train"])
        before, after = (
            np.mean(list(result[which].values())).item() for which in ("before", "after")
        )
        assert after > before + 0.1
        assert "| before | " in result["table"]

    def test_it_goes_on_as_the_start_model_does(self, personal, start):
        made, began = (load_model(str(folder)) for folder in (personal[0], start))
        assert made.description.method == began.description.method
        assert made.description.needs_one_of == began.description.needs_one_of
        assert stored_type(made) == stored_type(began) == "float16"
        assert not same(personal[0], start)

    def test_the_card_says_where_it_is_from(self, personal, start):
        folder, events = personal
        result, began = result_of(events), load_model(str(start))
        stated = load_model(str(folder)).description
        assert stated.name == "mine"
        assert set(result["train"]) < set(stated.training.train)
        assert not set(result["held_out"]) & set(stated.training.train)
        assert list(stated.dice_by_case) == result["held_out"]
        card = (folder / "docs" / "README.md").read_text("utf-8")
        for word in (START, began.checksum, *result["train"], *result["held_out"]):
            assert word in card
        assert "1 held-out case(s) say little" in card
        assert f"| WT | {result['after']['WT']:.2f}"[:-1] in card
        for path in (folder / "configs").iterdir():
            assert str(start.parent) not in path.read_text("utf-8")  # no place of this machine
            assert str(folder.parent) not in path.read_text("utf-8")

    def test_it_is_in_the_list_of_the_users_models(self, personal, monkeypatch):
        monkeypatch.setenv("SCRIPTED_MODELS_HOME", str(personal[0].parent))
        root = personal[0].parent / "models"
        root.mkdir()
        (root / ".mine.personalise").mkdir()  # of another run, which is not done
        (root / "mine").symlink_to(personal[0])
        listed = {model.name: model for model in list_models() if model.user}
        shutil.rmtree(root)
        assert set(listed) == {"mine"}
        assert listed["mine"].problem is None
        assert "Trained further from 'start'" in listed["mine"].card

    def test_it_tells_how_far_it_is_and_ends_with_nothing_beside_the_model(self, personal):
        folder, events = personal
        fractions = [event["fraction"] for event in events if "fraction" in event]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1
        assert {"read", "train", "network"} <= {e["stage"] for e in events if "stage" in e}
        assert {path.name for path in folder.parent.iterdir()} == {"mine", "stdout", "stderr"}
        told = [event["text"] for event in events if event["event"] == "warning"]
        assert any("1 held-out case(s) say little about others" in text for text in told)

    def test_segment_takes_it(self, personal, cases, tmp_path):
        command = ["segment", str(cases / "case001"), "--model", str(personal[0])]
        assert main([*command, "--output", str(tmp_path), "--progress", "none"]) == 0


def test_the_held_out_case_changes_nothing_that_is_learned(personal, cases, start, tmp_path):
    """With another label map in the held-out case the same weights come out."""
    (name,) = result_of(personal[1])["held_out"]
    shutil.copytree(cases, tmp_path / "cases")
    path = tmp_path / "cases" / name / f"{name}_seg5.nii.gz"
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    sitk.WriteImage(GRID.image_from(np.where(labels == 2, 1, labels)), str(path))
    assert personalise(tmp_path / "cases", start, tmp_path / "mine", "--threads", 1) == 0
    assert same(tmp_path / "mine", personal[0])


def test_killed_and_resumed_gives_the_same_bits(personal, cases, start, tmp_path):
    (tmp_path / "words").mkdir()
    child = WarmProcess(_command(cases, start, tmp_path / "mine"), tmp_path / "words")
    while child.poll() is None and not (tmp_path / ".mine.personalise" / "run" / "cases").exists():
        time.sleep(0.01)
    child.kill()
    child.wait()
    assert not (tmp_path / "mine").exists()
    assert personalise(cases, start, tmp_path / "mine", "--threads", 1, "--resume") == 0
    assert same(tmp_path / "mine", personal[0])
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "words"}


@pytest.mark.parametrize("epoch", [1, 2])
def test_cancelled_and_resumed_gives_the_same_bits(epoch, personal, cases, start, tmp_path, capsys):
    output, work = tmp_path / "mine", tmp_path / ".mine.personalise"
    (tmp_path / "words").mkdir()
    child = WarmProcess(_command(cases, start, output), tmp_path / "words")
    while child.poll() is None and _epochs(work) < epoch:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGTERM)
    if child.wait() == 0:
        pytest.skip("the run was faster than its cancellation")
    assert child.wait() == 130
    assert "continue it with --resume" in child.stdout
    assert not output.exists()
    assert personalise(cases, start, output, "--threads", 1) == 2
    assert "add --resume to continue it" in capsys.readouterr().err
    assert personalise(cases, start, output, "--seed", 3, "--resume") == 2
    assert "other facts than the run began with" in capsys.readouterr().err
    assert personalise(cases, start, output, "--threads", 1, "--resume") == 0
    assert same(output, personal[0])
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "words"}


def _epochs(work):
    records = work / "run" / "metrics.csv"
    return records.read_text().count("\n") - 1 if records.exists() else 0


def test_cancelled_before_the_first_epoch_nothing_is_left(cases, start, tmp_path):
    (tmp_path / "words").mkdir()
    child = WarmProcess(_command(cases, start, tmp_path / "mine"), tmp_path / "words")
    while child.poll() is None and not (tmp_path / ".mine.personalise" / "before").exists():
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGTERM)
    assert child.wait() == 130
    assert [path.name for path in tmp_path.iterdir()] == ["words"]


def test_another_run_at_the_same_place_is_left_alone(cases, start, tmp_path, capsys):
    work = tmp_path / ".mine.personalise"
    with only_writer(work):
        (work / "part").touch()
        assert personalise(cases, start, tmp_path / "mine", "--resume") == 4
        assert "another run that writes there" in capsys.readouterr().err
        assert (work / "part").exists()


class TestNotOffered:
    def test_what_a_wild_learning_rate_destroys(self, cases, personal, tmp_path, capsys):
        wild = [s for s in QUICK if "learning_rate" not in s and "start_share" not in s]
        wild += [
            *("training.phase1.learning_rate=9", "training.phase1.final_learning_rate=9"),
            "training.start_share=0.0",
        ]
        options = ["--progress", "json"]
        code = personalise(
            cases, personal[0], tmp_path / "worse", *options, settings=wild, epochs=1
        )
        assert code == 3
        events = events_of(capsys.readouterr().out)
        result = result_of(events)
        assert result["better"] is False
        assert result["model"] is None
        error = events[-1]
        assert (error["event"], error["code"]) == ("error", "not_better")
        for which in ("before", "after"):
            assert f"{np.mean(list(result[which].values())):.3f}" in error["text"]
        assert "no model was written, go on with 'mine'" in error["text"]
        assert list(tmp_path.iterdir()) == []

    def test_what_is_just_as_good(self, cases, start, tmp_path, capsys):
        """Nearly all of the former weights kept, and hardly any learning."""
        quiet = [s for s in QUICK if "learning_rate" not in s and "start_share" not in s]
        quiet += ["training.phase1.learning_rate=1e-7", "training.start_share=0.99"]
        quiet += ["training.phase1.final_learning_rate=1e-7", "training.phase1.steps_per_epoch=1"]
        assert personalise(cases, start, tmp_path / "same", settings=quiet, epochs=1) == 3
        assert "expected a better one" in capsys.readouterr().err
        assert list(tmp_path.iterdir()) == []


class TestRefused:
    def refused(self, capsys, words, *arguments, **settings):
        assert personalise(*arguments, **settings) == 2
        said = capsys.readouterr().err.strip().splitlines()
        assert words in said[-1]
        assert said[-1].startswith("Error: ")

    def test_too_few_cases(self, start, tmp_path, capsys):
        store_cases(tmp_path / "cases", range(2))
        volumes, labels = volumes_of(9)
        store_case(tmp_path / "cases", {"t1c": volumes["t1c"]}, (labels, GRID))
        words = (
            "2 of 3 case(s) with all four sequences and a label map (not case003), expected at "
            "least 3, of which one is held out; correct and store more cases."
        )
        self.refused(capsys, words, tmp_path / "cases", start, tmp_path / "mine")
        assert [path.name for path in tmp_path.iterdir()] == ["cases"]

    def test_one_patient(self, start, tmp_path, capsys):
        for seed in range(3):
            volumes, labels = volumes_of(seed)
            patient = "case001" if seed else ""
            store_case(tmp_path / "cases", volumes, (labels, GRID), same_patient_as=patient)
        self.refused(capsys, "3 cases of one patient", tmp_path / "cases", start, tmp_path / "mine")

    def test_nothing_corrected(self, start, tmp_path, capsys):
        store_cases(tmp_path / "cases", range(3), corrected=False)
        words = "were stored uncorrected, expected at least one other"
        self.refused(capsys, words, tmp_path / "cases", start, tmp_path / "mine")

    @pytest.mark.parametrize(("name", "words"), [("InputCascadeCNN", "made of several networks")])
    def test_a_model_of_several_networks(self, cases, tmp_path, capsys, name, words):
        self.refused(capsys, words, cases, name, tmp_path / "mine")

    def test_what_is_there_already(self, cases, start, tmp_path, capsys):
        (tmp_path / "mine").mkdir()
        self.refused(capsys, "something of that name", cases, start, tmp_path / "mine")
        self.refused(capsys, "a model among the cases", cases, start, cases / "mine")
        words = "the name of a shipped model"
        self.refused(capsys, words, cases, start, tmp_path / "Default")
        self.refused(capsys, "a name for a folder", cases, start, tmp_path / "a\nb")

    @pytest.mark.parametrize("setting", ["preprocessing=[]", "network.name=UNet", "data.test=[]"])
    def test_settings_of_the_start_model(self, cases, start, tmp_path, capsys, setting):
        settings = [*QUICK, setting]
        words = "all others are those of the start model"
        self.refused(capsys, words, cases, start, tmp_path / "mine", settings=settings)
        assert list(tmp_path.iterdir()) == []
