"""The command `scripted-models cases`: list, JSON and exit codes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from case_trees import LAYOUTS, SHAPE, plant, plant_msd, write

from scripted_models.cli import main
from scripted_models.labels import CODINGS


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


class TestCommand:
    def test_list(self, root, capsys):
        plant(root, LAYOUTS["2021"])
        plant(root, LAYOUTS["loose"])
        write(root / "q/q_t1.nii.gz", np.ones(SHAPE, np.uint8))
        write(root / "q/q_t1n.nii.gz", np.ones(SHAPE, np.uint8))
        assert main(["cases", str(root)]) == 0
        lines = capsys.readouterr().out.splitlines()
        seg = "ground truth BraTS2021_00000_seg.nii.gz (brats2021)"
        assert lines[0] == f"BraTS2021_00000  complete  {seg}"
        assert lines[1] == "patient          complete  ground truth seg.nii.gz (unknown coding)"
        assert lines[2].startswith(
            "q                missing t1c, t2, flair  no ground truth  Found 2 files for t1 ("
        )
        assert lines[3:] == ["3 cases, 2 complete, 2 with ground truth"]

    def test_json(self, root, capsys):
        folder = plant_msd(root)
        layout = plant(root, LAYOUTS["2023-GLI"]) and LAYOUTS["2023-GLI"]
        write(root / "q/q_t2.nii.gz", np.ones(SHAPE, np.uint8))
        for word in ("t1", "t1n"):
            write(root / f"r/r_{word}.nii.gz", np.ones(SHAPE, np.uint8))
        assert main(["cases", str(root), "--json"]) == 0
        told = {case["name"]: case for case in json.loads(capsys.readouterr().out)}
        msd, gli, lacking = told["BRATS_001"], told[layout.name], told["q"]
        (twice,) = told["r"]["problems"]
        assert (twice["kind"], twice["expected"]) == ("t1", "one")
        assert twice["found"] == "2 files for t1 (r_t1.nii.gz, r_t1n.nii.gz)"
        path = str(folder / "imagesTr/BRATS_001.nii.gz")
        assert msd["images"]["t1c"] == {"path": path, "channel": 2}
        assert gli["images"]["t1c"] == {"path": str(root / layout.image("t1c")), "channel": None}
        assert (gli["truth"], gli["coding"]) == (str(root / layout.truth), "brats2023")
        assert gli["coding_note"] == CODINGS["brats2023"].note
        assert lacking["missing"] == ["t1", "t1c", "flair"]
        assert (lacking["truth"], lacking["coding"], lacking["problems"]) == (None, None, [])
        assert len(told) == 6

    @pytest.mark.parametrize("more", [[], ["--json"]])
    @pytest.mark.parametrize("name", ["", "none", "msd"])
    def test_bad_folders_end_with_code_2(self, root, name, more, capsys):
        if name == "msd":
            (plant_msd(root / "msd") / "dataset.json").write_text("{")
        assert main(["cases", str(root / name), *more]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("Error: ")
        assert len(told.err.strip().splitlines()) == 1

    def test_wrong_options_end_with_code_2(self, root, capsys):
        for arguments in (["cases"], ["cases", str(root), "--nonsense"]):
            with pytest.raises(SystemExit) as caught:
                main(arguments)
            assert caught.value.code == 2
            assert "Error: " in capsys.readouterr().err

    def test_as_a_program(self, root):
        plant(root, LAYOUTS["2013"])
        done = subprocess.run(
            [sys.executable, "-m", "scripted_models", "cases", str(root), "--json"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert [case["name"] for case in json.loads(done.stdout)] == ["HG_0001"]
