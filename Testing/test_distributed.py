"""Two processes that `torchrun` starts train one network, over gloo."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from training_fixtures import write_small_case
from warm_processes import WarmProcess

from scripted_models.bundle.weights import load_model
from scripted_models.cli import main
from scripted_models.commands.train import EXPERIMENTS
from scripted_models.runtime.progress import Progress
from scripted_models.training.checkpoint import TrainingState
from scripted_models.training.training_run import tell_batch

EXPERIMENT = """
name = "two"
[data]
validation_every = 3
validation_slices = 1
[network]
name = "LocalPathCNN"
arguments = { dropout = 0.0 }
[training]
seed = 3
threads = 1
batch_size = {batch_size}
output_size = 4
pixels_per_patch = 10
l2 = 0.0001
augmentation = [{ step = "flip" }, { step = "intensity_jitter", std = 0.1 }]
[training.phase1]
epochs = {epochs}
steps_per_epoch = 3
[training.phase2]
epochs = 1
steps_per_epoch = 2
"""


def write_experiment(folder, batch_size, epochs=2):
    path = folder / f"batch{batch_size}_{epochs}.toml"
    text = EXPERIMENT.replace("{batch_size}", str(batch_size)).replace("{epochs}", str(epochs))
    path.write_text(text)
    return path


def train_command(experiment, data, output, *options):
    return ["train", experiment, "--data", data, "--output", output, "--progress", "none", *options]


def torchrun(*arguments):
    """Run the program in two processes as a user does."""
    start = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    command = [sys.executable, "-m", *start, "scripted_models", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


def weights(output):
    return load_model(str(output / "model")).network.state_dict()


def assert_near(first, second):
    a, b = weights(first), weights(second)
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=1e-4, atol=1e-6, msg=key)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory, phantom_folder):
    folder = tmp_path_factory.mktemp("one")
    command = train_command(write_experiment(folder, 4), phantom_folder, folder / "run")
    assert main([*map(str, command)]) == 0
    return folder / "run"


def test_two_processes_train_to_the_weights_of_one_with_the_doubled_batch(
    tmp_path, phantom_folder, one_process
):
    experiment = write_experiment(tmp_path, 2)
    done = torchrun(*train_command(experiment, phantom_folder, tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert_near(tmp_path / "run", one_process)
    rows = [(r / "metrics.csv").read_text().splitlines() for r in (tmp_path / "run", one_process)]
    assert len(rows[0]) == len(rows[1]) == 4


def test_a_run_of_two_processes_is_resumed_in_one(tmp_path, phantom_folder, one_process, capsys):
    """With as many patches in each step it ends with the same weights."""
    two, four = write_experiment(tmp_path, 2), write_experiment(tmp_path, 4)
    command = train_command(two, phantom_folder, tmp_path / "run")
    child = WarmProcess(command, tmp_path, processes=2)
    wait_for_epochs(child, tmp_path / "run", 1)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    command = train_command(four, phantom_folder, tmp_path / "run", "--resume")
    assert main([*map(str, command), "--progress", "json"]) == 0
    assert_near(tmp_path / "run", one_process)
    said = capsys.readouterr().out
    assert '"result"' in said
    assert "resumed with" not in said


@pytest.mark.parametrize(("batch_size", "told"), [(4, 0), (2, 1)])
def test_another_number_of_patches_in_each_step_is_told(batch_size, told):
    said = []
    progress = Progress()
    progress.warning = said.append
    state = TrainingState({}, processes=1, patches_per_step=4)
    tell_batch(state, {"training": {"batch_size": batch_size}}, progress)
    assert len(said) == told
    assert not told or "had 4 patches in each step and is resumed with 2" in said[0]


def test_a_dead_process_ends_the_job(tmp_path, phantom_folder):
    experiment = write_experiment(tmp_path, 1, epochs=500)
    command = train_command(experiment, phantom_folder, tmp_path / "run")
    child = WarmProcess(command, tmp_path, processes=2)
    try:
        wait_for_epochs(child, tmp_path / "run", 1)
        ranks = subprocess.run(
            ["pgrep", "-P", str(child.pid)], capture_output=True, text=True, check=True
        ).stdout.split()
        os.kill(int(ranks[-1]), signal.SIGKILL)
        assert child.wait(timeout=120) != 0
    finally:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)


def test_two_processes_share_the_cases_of_a_list_of_experiments(tmp_path):
    for index, name in enumerate(("A", "B", "C", "D")):
        write_small_case(tmp_path / "data", f"Brats18_{name}_1_1", index)
    small = [
        "data.test_every=2",
        "data.validation_every=0",
        "training.phase1.patience=0",
        "training.phases=1",
        "training.threads=1",
        "training.batch_size=1",
        "training.output_size=2",
        "training.phase1.epochs=1",
        "training.phase1.steps_per_epoch=1",
    ]
    path = EXPERIMENTS / "havaei2017" / "LocalPathCNN_phase1.toml"
    arguments = ["experiments", path, "--data", tmp_path / "data", "--output", tmp_path / "run"]
    child = WarmProcess([*arguments, "--progress", "json", "--set", *small], tmp_path, processes=2)
    assert child.wait() == 0, child.stderr
    table = json.loads((tmp_path / "run" / "table" / "table.json").read_text())
    assert table["facts"]["processes"] == 2
    assert len(table["facts"]["test cases"]) == 2
    told = [line for line in child.stdout.splitlines() if "segmenting" in line]
    assert len(told) == 1  # by the process that talks; the other one did the other case
    assert len(list((tmp_path / "run").glob("*/test/*/segmentation.nii.gz"))) == 2


def test_bad_input_ends_all_processes_with_a_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    command = train_command(write_experiment(tmp_path, 1), tmp_path / "empty", tmp_path / "run")
    child = WarmProcess(command, tmp_path, processes=2)
    assert child.wait() != 0
    assert "Error:" in child.stderr
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def wait_for_epochs(child, output, number):
    """Wait until a running job has finished some epochs."""
    metrics = output / "metrics.csv"
    ends = time.monotonic() + 120
    while time.monotonic() < ends and child.poll() is None:
        if metrics.exists() and metrics.read_text().count("\n") > number:
            return
        time.sleep(0.02)
    raise AssertionError(f"the job ended or stalled (exit code {child.poll()})")
