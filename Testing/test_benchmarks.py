"""The measurements run at their smallest sizes and print their tables; their times are nobody's promise."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
PHANTOM = ["--phantom-size", "24", "24", "8"]
SMALL = [*PHANTOM, "--threads", "1"]


@pytest.fixture
def table_of(monkeypatch, capsys):
    """Return a function that runs a measurement and returns the lines of its output."""

    def run(name, *arguments):
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        assert importlib.import_module(name).main(list(arguments)) == 0
        return capsys.readouterr().out.splitlines()

    return run


def row(lines, start):
    """Return the numbers at the end of the line that starts with some words."""
    (line,) = [line for line in lines if line.startswith(start)]
    return [float(word.rstrip("%")) for word in line[len(start) :].split()]


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory with `resource`")
def test_training_throughput_compares_dense_crops_with_literal_patches():
    """In a process of its own, because it forks."""
    arguments = (
        "--network LocalPathCNN --sizes 2 --batch 2 --crops 1 --phases 2 --rounds 1 --seconds 0"
    )
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "training_throughput.py", *arguments.split()],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    rate, ratio, crops, peak = row(lines, f"    2  {'literal 33 x 33 patches, batch 2':48} float32")
    assert ratio == 1
    assert crops == pytest.approx(rate, abs=0.6)
    assert peak > 50
    rate, ratio, crops, _ = row(lines, f"    2  {'dense crops, 2 x 2 out, batch 1':48} float32")
    assert rate == pytest.approx(4 * crops, abs=2)
    assert ratio > 0


def test_crop_sampling_prints_a_row_for_each_number_of_cases(table_of):
    lines = table_of("crop_sampling", "--cases", "1", "3", "--crops", "3", *PHANTOM)
    assert row(lines, "    1")[1::2] == [1.0, 1.0]
    assert all(value > 0 for value in row(lines, "    3"))


def test_dense_prediction_agrees_with_the_patch_wise_window(table_of):
    arguments = ["--networks", "TwoPathCNN", "--voxels", "3", "--rounds", "1", *SMALL]
    patchwise, dense, ratio, difference = row(
        table_of("dense_prediction", *arguments), "TwoPathCNN"
    )
    assert min(patchwise, dense, ratio) >= 0
    assert difference < 1e-4


def test_mixed_precision_shows_what_half_precision_does_to_the_output_layer(table_of):
    lines = table_of(
        "mixed_precision", "--slices", "1", "--size", "8", "--precisions", "bfloat16", *SMALL
    )
    exact = row(lines, "float32    float32 ")
    as_trained = row(lines, "bfloat16   float32 ")
    everything = row(lines, "bfloat16   bfloat16  ")
    assert exact[0] < as_trained[0] < everything[0]
    assert exact[0] < 1e-5


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory with `resource`")
def test_whole_brain_sets_the_forms_beside_each_other():
    """In a process of its own, whose children are its measurements."""
    arguments = [*SMALL, "--networks", "GlobalPathCNN", "--slices", "1", "--slices-of-volume", "9"]
    arguments += ["--slice-edge", "40", "--voxels", "2", "--rounds", "1"]
    arguments += ["--forms", "plain whole slices", "spectral"]
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "whole_brain.py", *arguments],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert row(lines, "GlobalPathCNN    plain whole slices ")[1] == 1
    seconds, ratio, peak = row(lines, "GlobalPathCNN    spectral ")
    assert seconds >= 0
    assert ratio > 0
    assert peak > 0.1
    (errors,) = [line for line in lines if line.startswith("GlobalPathCNN: error")]
    assert float(errors.split()[-1].rstrip(";")) < 2e-6
    assert any(": 0 differ between plain and spectral, 0 from" in line for line in lines)
