"""The examples for clusters run as they stand: a job array in bash, and two workers of Dask."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from training_fixtures import write_small_case

from scripted_models.cli import main

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NAMES = [f"Brats18_{letter}_1_1" for letter in "ABCD"]


@pytest.fixture
def data(tmp_path):
    for seed, name in enumerate(NAMES):
        write_small_case(tmp_path / "data", name, seed)
    return tmp_path / "data"


def dates(output):
    """Return name -> time of writing of all results; each must be whole."""
    reports = {path: json.loads(path.read_text()) for path in output.glob("*/report.json")}
    assert all((path.parent / "segmentation.nii.gz").is_file() for path in reports)
    return {report["case"]: path.stat().st_mtime_ns for path, report in reports.items()}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_the_job_array_of_slurm(data, tmp_path, capsys):
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    output = tmp_path / "out"

    def task(number, *count):
        environment = {
            **os.environ,
            **{"PATH": path, "SLURM_ARRAY_TASK_ID": str(number), "SLURM_CPUS_PER_TASK": "1"},
            **({} if count else {"SLURM_ARRAY_TASK_COUNT": "2"}),
        }
        words = ["bash", EXAMPLES / "slurm_array.sh", data, output, *count]
        done = subprocess.run(words, env=environment, capture_output=True, encoding="utf-8")
        return done.returncode, done.stderr

    assert task(1)[0] == 0
    assert sorted(dates(output)) == NAMES[0::2]
    collect = ["collect", str(output), "--output", str(output), "--cases", str(data)]
    assert main(collect) == 2
    assert f"no result of 2 of 4 cases ({NAMES[1]} and {NAMES[3]})" in capsys.readouterr().err
    first = dates(output)
    code, words = task(2, "2")
    assert code == 0, words
    assert sorted(dates(output)) == NAMES
    assert first.items() <= dates(output).items()
    assert main(collect) == 0
    code, words = task(3, "2")
    assert (code, "--shard 3/2" in words) == (2, True)


@pytest.fixture
def dask_cohort():
    pytest.importorskip("distributed", reason="distributed is not installed")
    spec = importlib.util.spec_from_file_location("dask_cohort", EXAMPLES / "dask_cohort.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_two_workers_of_dask_of_which_one_is_killed(data, tmp_path, dask_cohort, monkeypatch):
    psutil = pytest.importorskip("psutil")
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))  # a script is sent along, a module is not
    output, killed = tmp_path / "out", []

    def kill_one():
        while not dates(output):
            time.sleep(0.05)
        workers = [
            p for p in psutil.Process().children(True) if "spawn_main" in " ".join(p.cmdline())
        ]
        workers[0].kill()
        killed.append(dates(output))

    (data / NAMES[2] / f"{NAMES[2]}_t2.nii.gz").write_bytes(b"damaged")
    threading.Thread(target=kill_one, daemon=True).start()
    assert dask_cohort.main([str(data), str(output), "--model", "TwoPathCNN"]) == 2
    assert killed
    assert sorted(dates(output)) == [name for name in NAMES if name != NAMES[2]]
    assert killed[0].items() <= dates(output).items()
