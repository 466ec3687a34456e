"""`scripted-models segment` as users run it: files in, files out, nothing partial."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from model_fixtures import quick_model
from phantom_fixtures import write_doll

from scripted_models.cases.phantom.phantom_case import write_phantom_case
from scripted_models.cli import main
from scripted_models.geometry import Grid
from scripted_models.images.volume_files import read_label_map, read_volume, write_volume
from scripted_models.inference import (
    predict_slice,
    predict_volume,
)

NAMES = ("t1", "t1c", "t2", "flair")
SUFFIX = {"t1": "t1", "t1c": "t1ce", "t2": "t2", "flair": "flair"}


def files(case):
    return {m: case / f"{case.name}_{SUFFIX[m]}.nii.gz" for m in NAMES}


MODEL = quick_model()


def as_options(paths):
    return [text for m in NAMES for text in (f"--{m}", str(paths[m]))]


def run(*arguments):
    options = [] if "--model" in arguments else ["--model", MODEL]
    return main(["segment", *map(str, arguments), *options, "--progress", "none"])


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Three phantoms of 40 x 40 x 14 voxels that claim to be small: few voxels for the network."""
    folder = tmp_path_factory.mktemp("cases")
    for seed in (1, 2, 3):
        write_doll(folder, seed, spacing_xyz_mm=(2, 2, 4))
    return folder


@pytest.fixture(scope="module")
def case(cases):
    return cases / "Phantom_00001"


@pytest.fixture(scope="module")
def segmented(case, tmp_path_factory):
    output = tmp_path_factory.mktemp("segmented")
    assert run(case, "--output", output) == 0
    return output / case.name


@pytest.fixture(scope="module")
def with_probabilities(case, tmp_path_factory):
    output = tmp_path_factory.mktemp("probabilities")
    assert run(case, "--output", output, "--probabilities") == 0
    return output / case.name


class TestOutputs:
    def test_three_files_and_nothing_else(self, segmented):
        names = sorted(path.name for path in segmented.iterdir())
        assert names == ["overlay.png", "report.json", "segmentation.nii.gz"]
        assert sorted(p.name for p in segmented.parent.iterdir()) == [segmented.name]

    def test_labels_lie_on_the_input_grid(self, segmented, case):
        labels, grid = read_label_map(segmented / "segmentation.nii.gz")
        assert grid.matches(Grid.of(read_volume(files(case)["t1"])))
        assert set(np.unique(labels)) <= {0, 1, 2, 3, 4}
        assert labels.any()

    def test_report_counts_what_the_file_holds(self, segmented):
        report = json.loads((segmented / "report.json").read_text())
        labels, grid = read_label_map(segmented / "segmentation.nii.gz")
        for value, name in report["labels"].items():
            if int(value):
                expected = (labels == int(value)).sum() * grid.voxel_volume_ml
                assert report["volumes_ml"][name] == pytest.approx(expected, abs=1e-3)
        assert report["model"]["name"] == "quick"
        assert set(report["seconds"]) >= {"read", "preprocess", "network", "postprocess", "write"}

    def test_four_files_give_the_same_as_the_folder(self, segmented, case, tmp_path):
        assert run(*as_options(files(case)), "--output", tmp_path, "--case-name", "x") == 0
        first, _ = read_label_map(segmented / "segmentation.nii.gz")
        second, _ = read_label_map(tmp_path / "x" / "segmentation.nii.gz")
        assert np.array_equal(first, second)

    @pytest.mark.parametrize(("coding", "enhancing"), [("brats2021", 4), ("brats2023", 3)])
    def test_codings(self, segmented, case, tmp_path, coding, enhancing):
        assert run(case, "--output", tmp_path, "--coding", coding) == 0
        internal, _ = read_label_map(segmented / "segmentation.nii.gz")
        coded, _ = read_label_map(tmp_path / case.name / "segmentation.nii.gz")
        assert np.array_equal(coded == enhancing, internal == 4)
        assert np.array_equal(coded == 1, np.isin(internal, (1, 3)))

    def test_probabilities_sum_to_one(self, with_probabilities):
        volumes = [
            sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
            for path in sorted(with_probabilities.glob("probability_*.nii.gz"))
        ]
        assert len(volumes) == 5
        assert np.allclose(sum(volumes), 1, atol=1e-4)

    def test_a_second_run_keeps_what_the_user_put_beside_its_results(
        self, case, with_probabilities
    ):
        edited = with_probabilities / "segmentation_edited.nii.gz"
        edited.write_bytes(b"hours of work")
        assert run(case, "--output", with_probabilities.parent) == 0
        assert edited.read_bytes() == b"hours of work"
        assert not list(edited.parent.glob("probability_*"))

    def test_a_failed_rerun_leaves_no_label_map_beside_another_report(
        self, case, segmented, tmp_path, monkeypatch, capsys
    ):
        target = tmp_path / case.name
        shutil.copytree(segmented, target)
        move = Path.replace

        def full_after_the_report(path, to):
            if path.name == "segmentation.nii.gz":
                raise OSError(errno.ENOSPC, "No space left on device")
            return move(path, to)

        monkeypatch.setattr(Path, "replace", full_after_the_report)
        assert run(case, "--output", tmp_path, "--coding", "brats2023") == 4
        assert "a full disk" in capsys.readouterr().err
        assert json.loads((target / "report.json").read_text())["coding"] == "brats2023"
        assert not (target / "segmentation.nii.gz").exists()

    def test_a_folder_of_cases_gives_a_folder_each(self, cases, tmp_path):
        assert run(cases, "--output", tmp_path) == 0
        assert len(list(tmp_path.glob("*/segmentation.nii.gz"))) == 3

    def test_json_events(self, case, tmp_path, capfd):
        assert (
            main(
                [
                    "segment",
                    str(case),
                    "--output",
                    str(tmp_path),
                    "--model",
                    MODEL,
                    "--progress",
                    "json",
                ]
            )
            == 0
        )
        events = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
        fractions = [e["fraction"] for e in events if "fraction" in e]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1
        (result,) = [e for e in events if e["event"] == "result"]
        assert result["case"] == case.name
        assert os.path.exists(result["segmentation"])


class TestErrors:
    def fails(self, capsys, code, *arguments):
        assert run(*arguments) == code
        text = capsys.readouterr().err
        assert text.startswith("Error: ")
        assert "Traceback" not in text
        return text

    def test_missing_sequence(self, case, tmp_path, capsys):
        paths = as_options(files(case))[:-2]
        assert "--flair" in self.fails(capsys, 2, *paths, "--output", tmp_path / "o")
        assert not (tmp_path / "o").exists()

    def test_truncated_input(self, case, tmp_path, capsys):
        paths = files(case)
        broken = tmp_path / "t2.nii.gz"
        broken.write_bytes(paths["t2"].read_bytes()[:2000])
        text = self.fails(
            capsys, 2, *as_options({**paths, "t2": broken}), "--output", tmp_path / "o"
        )
        assert "t2.nii.gz" in text
        assert not list((tmp_path / "o").glob("*"))

    def test_different_grids(self, case, tmp_path, capsys):
        paths = files(case)
        image = read_volume(paths["flair"])
        image.SetOrigin([v + 0.5 for v in image.GetOrigin()])
        write_volume(tmp_path / "flair.nii.gz", image)
        moved = {**paths, "flair": tmp_path / "flair.nii.gz"}
        never = ("--prepare", "never")
        text = self.fails(capsys, 2, *as_options(moved), "--output", tmp_path / "o", *never)
        assert "flair.nii.gz: found another grid" in text

    def test_unknown_model(self, case, tmp_path, capsys):
        self.fails(capsys, 3, case, "--output", tmp_path / "o", "--model", "nothing")
        assert not (tmp_path / "o").exists()

    def test_output_that_would_replace_the_input(self, case, tmp_path, capsys):
        self.fails(capsys, 2, case, "--output", case.parent)
        assert all(path.exists() for path in files(case).values())

    def test_no_folder(self, tmp_path, capsys):
        self.fails(capsys, 2, tmp_path / "none", "--output", tmp_path / "o")

    def test_cancelled_run_leaves_nothing(self, tmp_path):
        case = write_phantom_case(tmp_path / "in", 4, (40, 40, 14))
        command = [sys.executable, "-m", "scripted_models", "segment", str(case)]
        command += ["--output", str(tmp_path / "o"), "--progress", "json"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in child.stdout:
            if json.loads(line).get("stage") == "network":
                time.sleep(0.2)
                if os.name != "nt":  # it uses all cores, but lets others go first
                    assert os.getpriority(os.PRIO_PROCESS, child.pid) >= 5
                child.send_signal(signal.SIGTERM)
                break
        rest = [json.loads(line) for line in child.stdout]
        assert child.wait() == 130
        assert rest[-1]["event"] == "error"
        assert rest[-1]["code"] == "cancelled"
        assert not list((tmp_path / "o").glob("*"))


class TestInference:
    def test_brain_boxes_give_the_same_as_whole_slices(self, small_network):
        rng = np.random.default_rng(0)
        brain = np.zeros((3, 60, 50), bool)
        brain[1, 20:31, 12:30] = True
        image = np.where(brain, rng.standard_normal((4, 3, 60, 50)), 0).astype(np.float32)
        boxed = predict_volume(small_network, image, brain)
        everywhere = np.ones(brain.shape, bool)
        _, _, whole = predict_slice(small_network, image, everywhere, 1)
        inside = brain[1]
        assert np.allclose(boxed[:, 1][:, inside], whole[:, inside], atol=1e-5)
        assert (boxed[0, 0] == 1).all()

    def test_one_slice_and_smaller_than_the_receptive_field(self, small_network):
        image = np.ones((4, 1, 9, 7), np.float32)
        out = predict_volume(small_network, image, np.ones((1, 9, 7), bool))
        assert out.shape == (5, 1, 9, 7)
        assert np.allclose(out.sum(axis=0), 1, atol=1e-5)


class TestRealCases:
    @pytest.mark.real_data
    def test_one_slice_cases_of_2013(self, real_data, tmp_path):
        folder = real_data / "brats2013-2d" / "BRATS_HG0001"
        if not folder.is_dir():
            pytest.skip("no brats2013-2d cases")
        assert run(folder, "--output", tmp_path) == 0
        labels, _ = read_label_map(tmp_path / "BRATS_HG0001" / "segmentation.nii.gz")
        assert labels.shape[0] == 1
        assert labels.any()
