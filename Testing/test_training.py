"""Whole training runs that are stopped, killed and resumed."""

import contextlib
import csv
import io
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook
from training_fixtures import make_case
from warm_processes import WarmProcess

from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.errors import InputError
from scripted_models.networks.havaei import TwoPathCNN
from scripted_models.runtime.progress import Progress
from scripted_models.tasks.brains.brains_task import BrainsTask
from scripted_models.training.checkpoint import TrainingState, load_state, save_state
from scripted_models.training.experiment_config import (
    Experiment,
    PhaseConfig,
    TrainingConfig,
    load_experiment,
)
from scripted_models.training.trainer import Trainer

EXPERIMENT = """
name = "tiny"
[data]
validation_every = 3
validation_slices = 1
contrast_suppressed = 1
degraded = 1
transplanted = 1
[network]
name = "TwoPathCNN"
arguments = { initialization = "he", dropout = 0.5 }
[training]
seed = 5
threads = 1
batch_size = 1
output_size = 4
pixels_per_patch = 20
augmentation = [{ step = "flip" }, { step = "intensity_jitter", std = 0.1 }]
average_decay = 0.9
[training.phase1]
epochs = 3
steps_per_epoch = 2
learning_rate = 0.001
[training.phase2]
epochs = 2
steps_per_epoch = 2
learning_rate = 0.001
"""


@pytest.fixture
def experiment(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(EXPERIMENT)
    return path


def train(experiment, data, output, *options):
    """Run the command in this process; its exit code and its words."""
    said = io.StringIO()
    start = ["train", str(experiment), "--data", str(data), "--output", str(output)]
    with contextlib.redirect_stderr(said):
        code = main([*start, "--progress", "none", *options])
    return SimpleNamespace(returncode=code, stderr=said.getvalue())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, phantom_folder):
    folder = tmp_path_factory.mktemp("uninterrupted")
    (folder / "tiny.toml").write_text(EXPERIMENT)
    done = train(folder / "tiny.toml", phantom_folder, folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def weights(run):
    return load_model(str(run / "model")).network.state_dict()


def assert_same_weights(first, second):
    a, b = weights(first), weights(second)
    assert all(torch.equal(a[key], b[key]) for key in a)


class TestRuns:
    def test_a_run_leaves_a_model_and_its_records(self, uninterrupted):
        rows = list(csv.DictReader((uninterrupted / "metrics.csv").open()))
        assert [(r["phase"], r["epoch"]) for r in rows] == [
            ("1", "1"),
            ("1", "2"),
            ("1", "3"),
            ("2", "1"),
            ("2", "2"),
        ]
        assert all(np.isfinite(float(r["loss"])) for r in rows)
        model = load_model(str(uninterrupted / "model"))
        stated = model.description.training
        assert len(stated.train) == 2
        assert {*stated.train, *stated.validation} == {f"Phantom_0000{i}" for i in (1, 2, 3)}
        assert stated.contrast_suppressed == 1
        card = (uninterrupted / "model" / "docs" / "README.md").read_text(encoding="utf-8")
        assert "whose enhancement was taken out: 1. As worse scans show them: 1. With the" in card
        assert (stated.degraded, stated.transplanted) == (1, 1)
        assert stated.seconds > 0
        first = load_model(str(uninterrupted / "model_phase1"))
        assert first.description.training.epochs == (3, 0)
        ended, before = model.network.state_dict(), first.network.state_dict()
        changed = {key for key in ended if not torch.equal(ended[key], before[key])}
        assert changed == {"output.weight", "output.bias"}

    @pytest.mark.parametrize("wait_for_epochs", [1, 4])
    def test_killed_and_resumed_gives_the_same_bits(
        self, experiment, phantom_folder, uninterrupted, tmp_path, wait_for_epochs
    ):
        run = tmp_path / "run"
        command = ["train", experiment, "--data", phantom_folder, "--output", run]
        child = WarmProcess([*command, "--progress", "none"], tmp_path)
        metrics = run / "metrics.csv"
        while child.poll() is None:
            if metrics.exists() and metrics.read_text().count("\n") > wait_for_epochs:
                child.kill()
                break
            time.sleep(0.02)
        child.wait()
        begun = [run / name / ".writing-abc" for name in ("snapshots", "model_phase1/models")]
        for path in begun:  # as a kill at another moment leaves them
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        resumed = train(experiment, phantom_folder, run, "--resume")
        assert resumed.returncode == 0, resumed.stderr
        assert_same_weights(run, uninterrupted)
        assert not any(path.exists() for path in begun)

    def test_killed_before_its_first_checkpoint_a_run_starts_again(
        self, experiment, phantom_folder, uninterrupted, tmp_path
    ):
        resumed = train(experiment, phantom_folder, tmp_path / "run", "--resume")
        assert resumed.returncode == 0, resumed.stderr
        assert_same_weights(tmp_path / "run", uninterrupted)

    def test_a_used_folder_is_not_overwritten(self, experiment, phantom_folder, uninterrupted):
        before = (uninterrupted / "checkpoint.pt").read_bytes()
        done = train(experiment, phantom_folder, uninterrupted)
        assert done.returncode == 2
        assert "--resume" in done.stderr
        assert (uninterrupted / "checkpoint.pt").read_bytes() == before

    def test_resuming_another_experiment_is_refused(
        self, experiment, phantom_folder, uninterrupted
    ):
        done = train(
            experiment, phantom_folder, uninterrupted, "--resume", "--set", "training.seed=9"
        )
        assert done.returncode == 2
        assert "training.seed" in done.stderr

    def test_a_run_from_before_a_setting_existed_resumes_with_its_default(self, tmp_path):
        old = Experiment().to_dict()
        del old["weights"], old["training"]["dice"], old["training"]["phase1"]["decay"]
        save_state(tmp_path, TrainingState(old))
        now = Experiment().to_dict()
        assert load_state(tmp_path, now).experiment == now
        now["training"]["dice"], now["training"]["phase1"]["decay"] = 1.0, 0.5
        with pytest.raises(InputError, match=r"training\.dice, training\.phase1\.decay"):
            load_state(tmp_path, now)

    @pytest.mark.parametrize(
        ("setting", "words"),
        [
            ("training.batch_size=0", "'training.batch_size' = 0, expected .* from 1 to"),
            ("training.average_decay=1.0", "below 1"),
            ("training.start_share=1.0", "below 1"),
            ("training.start_share=0.5", "without a network to start from"),
            ("training.balance=tumor", "'labels' or 'patches'"),
            ("training.phase1.steps_per_epoch=0", "training.phase1"),
            ("training.seed=true", "expected a whole number"),
        ],
    )
    def test_settings_out_of_range_are_refused(self, experiment, setting, words):
        with pytest.raises(InputError, match=words):
            load_experiment(experiment, [setting])

    def test_unknown_key_names_the_nearest(self, experiment, phantom_folder, tmp_path):
        done = train(experiment, phantom_folder, tmp_path / "x", "--set", "training.sed=9")
        assert done.returncode == 2
        assert "unknown key 'training.sed', expected 'seed'" in done.stderr
        assert not (tmp_path / "x").exists()

    def test_cascade_trains_on_its_frozen_first_network(
        self, phantom_folder, uninterrupted, tmp_path
    ):
        path = tmp_path / "cascade.toml"
        path.write_text(
            EXPERIMENT.replace("TwoPathCNN", "InputCascadeCNN").replace("epochs = 3", "epochs = 1")
        )
        first = f"network.parts.first={uninterrupted / 'model'}"
        done = train(path, phantom_folder, tmp_path / "run", "--set", first)
        assert done.returncode == 0, done.stderr
        trained, before = weights(tmp_path / "run"), weights(uninterrupted)
        assert all(torch.equal(trained[f"first.{key}"], before[key]) for key in before)

    def test_a_share_of_the_start_is_mixed_into_what_is_kept(
        self, experiment, phantom_folder, uninterrupted, tmp_path
    ):
        start = ["--set", f"network.start={uninterrupted / 'model'}"]
        mixed = [*start, "training.start_share=0.25"]
        for name, options in (("plain", start), ("mixed", mixed), ("mixed", [*mixed, "--resume"])):
            done = train(experiment, phantom_folder, tmp_path / name, *options)
            assert done.returncode == 0, done.stderr
        before, after = weights(uninterrupted), weights(tmp_path / "plain")
        assert any(not torch.equal(before[key], after[key]) for key in before)
        for key, value in weights(tmp_path / "mixed").items():
            torch.testing.assert_close(value, 0.25 * before[key] + 0.75 * after[key])

    def test_cascade_without_first_network_says_what_to_do(self, phantom_folder, tmp_path):
        path = tmp_path / "cascade.toml"
        path.write_text(EXPERIMENT.replace("TwoPathCNN", "InputCascadeCNN"))
        done = train(path, phantom_folder, tmp_path / "run")
        assert done.returncode == 2
        assert "network.parts.first" in done.stderr


def train_two_steps(folder, phase, **settings):
    """Train phase 1 for two steps; return the network and its output weights after each step."""
    training = TrainingConfig(
        batch_size=1,
        output_size=4,
        pixels_per_patch=20,
        optimizer="adam",
        phase1=phase,
        phase2=PhaseConfig(epochs=0),
        **settings,
    )
    network = TwoPathCNN(initialization="he")
    after_step = []
    hook = register_optimizer_step_post_hook(
        lambda *_: after_step.append(network.output.weight.detach().clone())
    )
    experiment = Experiment(training=training)
    try:
        cases = ([make_case()], [])
        Trainer(experiment, network, cases, BrainsTask(), folder, Progress()).run(TrainingState({}))
    finally:
        hook.remove()
    assert not torch.equal(*after_step)
    return network, after_step


def test_the_moving_average_of_the_weights_is_kept(tmp_path):
    phase = PhaseConfig(epochs=1, steps_per_epoch=2)
    network, (first, second) = train_two_steps(tmp_path, phase, average_decay=0.75)
    assert torch.allclose(network.output.weight, 0.75 * first + 0.25 * second)


@pytest.mark.parametrize(("patience", "kept"), [(5, 0), (0, 1)])
def test_best_epoch_is_kept_with_early_stopping_and_the_last_one_without(
    tmp_path, monkeypatch, patience, kept
):
    scores = iter([{"score": 1.0}, {"score": 0.0}])
    monkeypatch.setattr(Trainer, "_validate", lambda self, loss: next(scores))
    phase = PhaseConfig(epochs=2, steps_per_epoch=1, patience=patience)
    network, weights = train_two_steps(tmp_path, phase)
    assert torch.equal(network.output.weight, weights[kept])
