"""Mistakes around raw volumes: wrong units, masks elsewhere, former results, late installs."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from head_fixtures import (
    make_small_head,  # noqa: F401 - the fixture phantom
    motion,
    moved,
    with_skull,
)

from scripted_models.cases.case import Case, ImageSource
from scripted_models.cli import main
from scripted_models.errors import InputError, ResourceError
from scripted_models.geometry import Grid
from scripted_models.preparation import image_preparation
from scripted_models.preparation.brain_extraction import brain_of, shown_part
from scripted_models.preparation.image_preparation import prepare_images
from scripted_models.preparation.mask_file import read_mask
from scripted_models.preparation.needs import needs_of
from scripted_models.runtime.progress import Progress
from scripted_models.segmentation import raw_cases
from scripted_models.segmentation.raw_cases import (
    LACKED,
    PreparationOptions,
    asked_and_lacked,
    is_as_asked,
    read_case,
)


def no_extractor():
    raise AssertionError("nothing is to be extracted")


def prepared(images, mask=None, reference=None):
    needs = needs_of(images, reference, always=True)
    return prepare_images(images, needs, no_extractor, mask, Progress())


def scaled(image, factor):
    other = sitk.Image(image)
    other.SetSpacing([factor * step for step in image.GetSpacing()])
    return other


def written(path: Path, image):
    sitk.WriteImage(image, str(path))
    return path


class TestSizes:
    def test_a_head_in_a_wrong_unit_is_refused_before_it_takes_all_memory(self, phantom):
        images = {"t1c": phantom["t1c"], "t2": scaled(phantom["t2"], 8)}
        with pytest.raises(InputError, match=r"t2: found an extent of 1344 x 1344 x 868 mm"):
            prepared(images)

    def test_a_working_grid_without_memory_for_it(self, phantom, monkeypatch):
        def none(voxels, training_voxels):
            raise ResourceError(found=f"no memory for {voxels} voxels")

        monkeypatch.setattr(image_preparation, "check_memory", none)
        with pytest.raises(ResourceError, match=f"for {168 * 168 * 109} voxels"):
            prepared({"t1c": phantom["t1c"]})


class TestMasks:
    def test_one_of_another_place_is_not_called_a_head_without_brain(self, phantom, tmp_path):
        brain = brain_of(shown_part(phantom["t1c"]))
        brain.SetOrigin([900.0, 0.0, 0.0])
        images = {"t1c": phantom["t1c"]}
        mask = read_mask(written(tmp_path / "m.nii.gz", brain), images, "t1c")
        with pytest.raises(
            InputError, match=r"0 mL of the brain mask.*in the space of this volume"
        ):
            prepared(images, mask)

    def test_a_later_value_is_seen(self, phantom, tmp_path):
        values = np.ones((60, 60, 60), np.uint8)
        values[0], values[-1] = 0, 2  # behind more than 100,000 ones
        path = written(tmp_path / "labels.nii.gz", sitk.GetImageFromArray(values))
        with pytest.raises(InputError, match="other values than 0 and one more"):
            read_mask(path, phantom, "t1c")

    @pytest.mark.parametrize("is_moved", [True, False])
    def test_one_on_the_grid_of_two_that_lie_apart(self, phantom, tmp_path, is_moved):
        head = phantom["flair"]
        images = {
            "t1c": with_skull(phantom["t1c"]),
            "flair": with_skull(moved(head, motion(head)) if is_moved else head),
        }
        brain = brain_of(shown_part(phantom["t1c"]))
        mask = read_mask(written(tmp_path / "m.nii.gz", brain), images, "t1c")
        found = [finding.sentence for finding in prepared(images, mask).findings]
        assert any("the grid of t1c and flair" in sentence for sentence in found) == is_moved


class TestBackgrounds:
    def test_another_background_than_zero_does_not_bleed_into_the_brain(self, phantom):
        def below(image):
            array = sitk.GetArrayFromImage(image).astype(np.float32)
            return Grid.of(image).image_from(np.where(array == 0, -1000, array))

        usual, other = (prepared({"t1c": i}) for i in (phantom["t1c"], below(phantom["t1c"])))
        for a, b in ((usual.images["t1c"], other.images["t1c"]), (usual.brain, other.brain)):
            assert np.array_equal(sitk.GetArrayViewFromImage(a), sitk.GetArrayViewFromImage(b))

    def test_volumes_that_need_nothing_else_get_it_too(self, phantom, tmp_path):
        array = sitk.GetArrayFromImage(phantom["t1c"]).astype(np.float32)
        below = Grid.of(phantom["t1c"]).image_from(np.where(array == 0, -1000, array))
        case = Case("p", {"t1c": ImageSource(written(tmp_path / "p_t1c.nii.gz", below))})
        read = read_case(case, ("t1c",), PreparationOptions(), Progress())
        assert np.array_equal(sitk.GetArrayViewFromImage(read.images["t1c"]), array)
        assert [finding.found for finding in read.findings] == ["a background that is not 0"]
        assert not read.lacks_extractor

    def test_one_brain_is_doubted_once(self, phantom):
        found = [finding.found for finding in prepared({"t1c": phantom["t1c"]}).findings]
        assert sum("a brain of" in words for words in found) == 1


class TestFormerFiles:
    def run(self, phantom, tmp_path, *options):
        folder = tmp_path / "patient"
        folder.mkdir(exist_ok=True)
        for m in ("t1c", "flair"):
            if not (path := folder / f"patient_{m}.nii.gz").exists():
                written(path, phantom[m])
        command = ["prepare", str(folder), "--output", str(tmp_path / "out"), "--progress", "none"]
        return main([*command, *options])

    def test_files_of_another_reference_go(self, phantom, tmp_path):
        assert self.run(phantom, tmp_path, "--reference", "flair") == 0
        assert (tmp_path / "out" / "patient" / "t1c_to_flair.tfm").exists()
        assert self.run(phantom, tmp_path, "--without", "flair") == 0
        left = {path.name for path in (tmp_path / "out" / "patient").iterdir()}
        assert left == {
            *("t1c.nii.gz", "brain_mask.nii.gz", "preparation.json", "preparation.png"),
            "check.html",
        }

    def test_other_files_are_told_before_the_work(self, phantom, tmp_path, capsys, monkeypatch):
        def never(*arguments):
            raise AssertionError("prepared in vain")

        monkeypatch.setattr(raw_cases, "prepare_case", never)
        (tmp_path / "out" / "patient").mkdir(parents=True)
        (tmp_path / "out" / "patient" / "notes.txt").write_text("mine")
        assert self.run(phantom, tmp_path) == 2
        assert "other files (notes.txt)" in capsys.readouterr().err


class TestLateInstall:
    def test_a_result_with_skull_is_not_one_without(self, phantom, tmp_path, monkeypatch):
        path = written(tmp_path / "p_t1c.nii.gz", with_skull(phantom["t1c"]))
        options = PreparationOptions()
        monkeypatch.setattr(raw_cases, "is_installed", lambda: False)
        case = Case("p", {"t1c": ImageSource(path)})
        read = read_case(case, ("t1c",), options, Progress())
        report = json.loads(json.dumps(asked_and_lacked(options, read.lacks_extractor)))
        assert LACKED in report
        assert is_as_asked(options, report)
        monkeypatch.setattr(raw_cases, "is_installed", lambda: True)
        assert not is_as_asked(options, report)
        assert is_as_asked(options, options.asked)
        assert is_as_asked(options, None)
        assert not is_as_asked(PreparationOptions("never"), None)
