"""A run is resumed with the cases that it began with, or not at all."""

import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from test_first_checks import EXPERIMENT
from training_fixtures import write_small_case
from voc_fixtures import write_experiment, write_voc

from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.training.checkpoint import load_state, save_state
from scripted_models.training.data_record import changes

NAMES = [f"Brats18_{name}_1_1" for name in "ABCD"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A data folder of four patients and a run with an epoch, drawn split and all."""
    root = tmp_path_factory.mktemp("begun")
    for seed, name in enumerate(NAMES):
        write_small_case(root / "data", name, seed)
    text = EXPERIMENT.replace('validation = ["Brats18_C_1_1"]', "validation_every = 2")
    (root / "e.toml").write_text(text)
    assert train(root) == 0
    return root


@pytest.fixture
def root(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "copy")
    return tmp_path / "copy"


def train(root, *options, data="data", run="run"):
    start = ["train", str(root / "e.toml"), "--data", str(root / data)]
    return main([*start, "--output", str(root / run), "--progress", "none", *options])


def refused(root, capsys):
    before = (root / "run" / "checkpoint.pt").read_bytes()
    assert train(root, "--resume") == 2
    assert (root / "run" / "checkpoint.pt").read_bytes() == before
    said = capsys.readouterr().err
    assert "other data than the run began with" in said
    assert said.count("\n") == 1
    return said


def test_more_cases(root, capsys):
    for seed in range(4, 9):
        write_small_case(root / "data", f"Brats18_S{seed}_1_1", seed)
    assert "new in" in refused(root, capsys)


def test_fewer_cases(root, capsys):
    gone = load_model(str(root / "run" / "model")).description.training.train[0]
    shutil.rmtree(root / "data" / gone)
    assert gone in refused(root, capsys)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_replaced_labels_whatever_their_date(part, root, capsys):
    name = getattr(load_model(str(root / "run" / "model")).description.training, part)[0]
    path = root / "data" / name / f"{name}_seg.nii.gz"
    date = path.stat().st_mtime - 1e6
    image = sitk.ReadImage(str(path))
    changed = sitk.GetImageFromArray(np.where(sitk.GetArrayFromImage(image) == 4, 2, 4))
    changed.CopyInformation(image)
    sitk.WriteImage(sitk.Cast(changed, sitk.sitkUInt8), str(path))
    os.utime(path, (date, date))
    assert f"other content in 1 ({name})" in refused(root, capsys)


def test_the_same_data_elsewhere(root):
    (root / "data").rename(root / "moved")
    assert train(root, "--resume", data="moved") == 0


def test_another_coding(root, capsys):
    assert train(root, "--resume", "--coding", "brats2023") == 2
    assert "other content in 4" in capsys.readouterr().err


def test_a_checkpoint_of_a_former_version_goes_on_with_a_word(root, capsys):
    experiment = load_state_of(root).experiment
    state = load_state(root / "run", experiment)
    state.cases = {}
    save_state(root / "run", state)
    shutil.rmtree(root / "data" / NAMES[0])
    start = ["train", str(root / "e.toml"), "--data", str(root / "data"), "--resume"]
    assert main([*start, "--output", str(root / "run"), "--progress", "json"]) == 0
    assert "did not note its cases" in capsys.readouterr().out


def load_state_of(root):
    import torch

    from scripted_models.training.checkpoint import TrainingState

    return TrainingState(**torch.load(root / "run" / "checkpoint.pt", weights_only=True))


def test_a_case_that_changes_sides_is_named():
    before = {"train": [["a", "1"], ["b", "2"]], "validation": [["c", "3"]]}
    after = {"train": [["a", "1"], ["c", "3"]], "validation": [["b", "2"]]}
    assert changes(before, after) == [
        "b no longer belongs to train but to validation",
        "c no longer belongs to validation but to train",
    ]


def test_replaced_pictures(tmp_path, capsys):
    voc = write_voc(tmp_path / "VOC2012")
    path = write_experiment(tmp_path)
    start = ["train", str(path), "--data", str(voc), "--output", str(tmp_path / "run")]
    assert main([*start, "--progress", "none"]) == 0
    maps = voc / "SegmentationClass"
    (maps / "a.png").write_bytes((maps / "b.png").read_bytes())
    assert main([*start, "--progress", "none", "--resume"]) == 2
    assert "other content in 1 (a)" in capsys.readouterr().err


class TestFolders:
    """Nothing of the user's is lost where a run writes."""

    def test_the_data_folder_is_no_run_folder(self, root, capsys):
        assert train(root, run="data") == 2
        assert "in the place of the data" in capsys.readouterr().err
        assert sorted(path.name for path in (root / "data").iterdir()) == NAMES

    @pytest.mark.parametrize("name", ["metrics.csv", "model/mine.txt"])
    def test_files_of_others_stay(self, name, root, capsys):
        path = root / "new" / name
        path.parent.mkdir(parents=True)
        path.write_text("mine")
        assert train(root, run="new") == 2
        assert "without the checkpoint of a run" in capsys.readouterr().err
        assert path.read_text() == "mine"

    def test_scores_do_not_replace_the_records_of_a_run(self, root, capsys):
        before = (root / "run" / "metrics.csv").read_bytes()
        options = ["--truth", str(root / "data"), "--predictions", str(root / "data")]
        start = ["evaluate", *options, "--output", str(root / "run"), "--progress", "none"]
        assert main(start) == 2
        assert "whose metrics.csv" in capsys.readouterr().err
        assert (root / "run" / "metrics.csv").read_bytes() == before
