"""Cases as a data set of nnU-Net: read back as they were, with labels that our importer knows."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from scripted_models.bundle.importers.answers import Answers, Understood
from scripted_models.bundle.importers.foreign_words import channels_of, outputs_of
from scripted_models.bundle.importers.nnunet_labels import read_targets
from scripted_models.bundle.importers.source import ForeignSource
from scripted_models.cases.discovery import find_cases
from scripted_models.cli import main
from scripted_models.geometry import Grid
from scripted_models.sequences import SEQUENCES

GRID = Grid((8, 7, 6), (1.0, 1.0, 2.0), (3.0, -4.0, 5.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
YEARS = {  # name of a case -> words of the sequences, sign, values of the truth, what they become
    "BraTS2021_00001": ("t1 t1ce t2 flair", "_", {1: 1, 2: 2, 4: 3}),
    "BraTS-GLI-00001-000": ("t1n t1c t2w t2f", "-", {1: 1, 2: 2, 3: 3}),
    "BraTS-GLI-02001-100": ("t1n t1c t2w t2f", "-", {1: 1, 2: 2, 3: 3, 4: 4}),
}
NOWHERE = ForeignSource(Path("dataset.json"), ())


def write_case(folder, name, words, sign, values, truth=True, shift=0.0):
    rng = np.random.default_rng(len(name))
    place = folder / name
    place.mkdir(parents=True)
    for index, word in enumerate(words.split()):
        image = GRID.image_from((100 * index + rng.integers(1, 99, (6, 7, 8))).astype(np.int16))
        if index == 2:
            image.SetOrigin((3.0 + shift, -4.0, 5.0))
        sitk.WriteImage(image, str(place / f"{name}{sign}{word}.nii.gz"))
    labels = rng.choice([0, *values], (6, 7, 8)).astype(np.uint8)
    if truth:
        sitk.WriteImage(GRID.image_from(labels), str(place / f"{name}{sign}seg.nii.gz"))
    return labels


def export(folder, output, *options):
    return main(["cases", str(folder), "--export", "nnunet", "--output", str(output), *options])


def array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def output(tmp_path):
    return tmp_path / "raw" / "Dataset137_BrainTumor"


class TestLabels:
    @pytest.mark.parametrize("name", YEARS)
    def test_numbers_of_a_year(self, name, tmp_path, output, capsys):
        words, sign, meant = YEARS[name]
        given = write_case(tmp_path / "in", name, words, sign, meant)
        assert export(tmp_path / "in", output) == 0
        written = array(output / "labelsTr" / f"{name}.nii.gz")
        expected = np.select([given == value for value in meant], list(meant.values()))
        np.testing.assert_array_equal(written, expected)
        stated = json.loads((output / "dataset.json").read_text("utf-8"))
        assert stated["labels"] == {
            "background": 0,
            "necrosis and non-enhancing tumor": 1,
            "edema": 2,
            "enhancing": 3,
            **({"resection cavity": 4} if 4 in meant.values() else {}),
        }
        assert (stated["numTraining"], stated["file_ending"]) == (1, ".nii.gz")
        assert stated["channel_names"] == {"0": "T1", "1": "T1c", "2": "T2", "3": "FLAIR"}
        assert "one label" in capsys.readouterr().out

    def test_four_labels_where_all_cases_tell_them_apart(self, phantom_folder, output):
        assert export(phantom_folder, output) == 0
        labels = json.loads((output / "dataset.json").read_text("utf-8"))["labels"]
        assert list(labels) == ["background", "necrosis", "edema", "non-enhancing", "enhancing"]
        assert list(labels.values()) == [0, 1, 2, 3, 4]
        read_back(phantom_folder, output)

    def test_a_case_that_does_not_makes_it_three_for_all(self, phantom_folder, tmp_path, output):
        folder = tmp_path / "in"
        name, (words, sign, meant) = next(iter(YEARS.items()))
        write_case(folder, name, words, sign, meant)
        (folder / "Phantom_00001").symlink_to(phantom_folder / "Phantom_00001")
        assert export(folder, output) == 0
        truth, _ = find_cases(phantom_folder)[0].read_truth()
        assert {1, 3} <= set(np.unique(truth))
        written = array(output / "labelsTr" / "Phantom_00001.nii.gz")
        np.testing.assert_array_equal(written, np.array([0, 1, 2, 1, 3])[truth])

    @pytest.mark.parametrize("options", [[], ["--regions"]])
    def test_the_importer_knows_what_was_written(self, options, phantom_folder, output):
        assert export(phantom_folder, output, *options) == 0
        stated = json.loads((output / "dataset.json").read_text("utf-8"))
        targets = read_targets(stated, NOWHERE)
        assert targets.regions == bool(options)
        asked = (Answers(), Understood())
        count = len(targets.names)
        outputs = outputs_of(targets.names, count, targets.regions, *asked)
        assert outputs.order == (("WT", "TC", "ET") if options else (0, 1, 2, 3, 4))
        channels = [stated["channel_names"][str(n)] for n in range(4)]
        assert channels_of(channels, 4, *asked) == SEQUENCES

    def test_regions_are_numbered_as_they_are_drawn(self, phantom_folder, output):
        assert export(phantom_folder, output, "--regions") == 0
        stated = json.loads((output / "dataset.json").read_text("utf-8"))
        assert stated["labels"] == {
            "background": 0,
            "whole tumor": [1, 2, 3, 4],
            "tumor core": [1, 3, 4],
            "enhancing tumor": [4],
        }
        assert stated["regions_class_order"] == [2, 1, 4]


def read_back(folder, output):
    """Make sure that our own discovery finds the same cases, voxels and grids."""
    before, after = ({c.name: c for c in find_cases(place)} for place in (folder, output))
    assert set(before) == set(after)
    for name, case in before.items():
        labels, grid = after[name].read_truth()
        np.testing.assert_array_equal(labels, case.read_truth()[0])
        for sequence in SEQUENCES:
            given, found = (c.images[sequence].read() for c in (case, after[name]))
            np.testing.assert_array_equal(*map(sitk.GetArrayFromImage, (given, found)))
            assert Grid.of(found).matches(Grid.of(given))
            assert Grid.of(found) == grid


class TestCases:
    def test_those_without_truth_are_to_be_tested(self, tmp_path, output):
        name, (words, sign, meant) = next(iter(YEARS.items()))
        write_case(tmp_path / "in", name, words, sign, meant)
        write_case(tmp_path / "in", "BraTS2021_00002", words, sign, meant, truth=False)
        assert export(tmp_path / "in", output) == 0
        assert len(list((output / "imagesTr").iterdir())) == 4
        assert sorted(path.name for path in (output / "imagesTs").iterdir()) == [
            f"BraTS2021_00002_{n:04}.nii.gz" for n in range(4)
        ]
        assert [path.name for path in (output / "labelsTr").iterdir()] == [f"{name}.nii.gz"]

    def test_unusable_ones_are_left_out_and_told(self, tmp_path, output, capsys):
        name, (words, sign, meant) = next(iter(YEARS.items()))
        write_case(tmp_path / "in", name, words, sign, meant)
        write_case(tmp_path / "in", "BraTS2021_00002", words, sign, meant, shift=3.0)
        write_case(tmp_path / "in", "BraTS2021_00003", "t1 t1ce t2", sign, meant)
        assert export(tmp_path / "in", output) == 2
        told = capsys.readouterr().err
        assert "BraTS2021_00002 was left out" in told
        assert "another grid" in told
        assert "BraTS2021_00003 was left out" in told
        assert "2 of 3 cases" in told
        assert [path.name for path in (output / "labelsTr").iterdir()] == [f"{name}.nii.gz"]

    def test_labels_that_do_not_tell_all_regions(self, tmp_path, output, capsys):
        words, sign, _ = YEARS["BraTS2021_00001"]
        write_case(tmp_path / "in", "BraTS2021_00001", words, sign, {1: 1, 2: 2})
        assert export(tmp_path / "in", output, "--coding", "brats2012") == 2
        assert "labels that tell WT and TC only" in capsys.readouterr().err
        assert not output.exists()

    def test_nothing_is_left_where_nothing_can_train(self, tmp_path, output, capsys):
        words, sign, meant = YEARS["BraTS2021_00001"]
        write_case(tmp_path / "in", "BraTS2021_00001", words, sign, meant, truth=False)
        assert export(tmp_path / "in", output) == 2
        assert "no case to train with" in capsys.readouterr().err
        assert not list(output.parent.iterdir())


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--export", "nnunet"], "--export and --output together"),
            (["--output", "Dataset001_A"], "--export and --output together"),
            (["--regions"], "the others with them only"),
            (["--export", "nnunet", "--output", "brains"], "DatasetNNN_NAME"),
        ],
    )
    def test_options(self, options, words, phantom_folder, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert main(["cases", str(phantom_folder), *options]) == 2
        assert words in capsys.readouterr().err
        assert not list(tmp_path.iterdir())

    def test_a_folder_that_is_there(self, phantom_folder, output, capsys):
        output.mkdir(parents=True)
        (output / "mine").write_text("kept")
        assert export(phantom_folder, output) == 2
        assert "there already" in capsys.readouterr().err
        assert [path.name for path in output.iterdir()] == ["mine"]
